"""What `hilum evaluate` says of a detector's boxes, on a bundle and films made by hand."""

from __future__ import annotations

import base64
import csv
import json
import re
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from bundles import QUARTERS, expected_boxes, tiny_bundle, tiny_detection_bundle
from PIL import Image
from typer.testing import CliRunner, Result

from hilum.bundle.card import BoxCard
from hilum.cli.app import app
from hilum.dataset.importing import import_folder
from hilum.dataset.manifest.manifest import Manifest, load_manifest, save_manifest
from hilum.evaluation.report.film_pictures import PREDICTED, TRUE, draw_boxes
from hilum.measures.bootstrap import Resampling
from hilum.measures.boxes.figures import box_figures
from hilum.measures.boxes.overlap import Detections

THRESHOLD = 0.5


def run(*words: str | Path) -> Result:
    return CliRunner().invoke(app, [str(word) for word in words])


def write_films(folder: Path, films: int = 48) -> Path:
    """Films with opacities in their quarters, most of them bright, and brightness where there is none.

    The tiny detector draws its box of a bright quarter; true boxes lie near it, some of them too far off. Nobody drew
    boxes on the last four. Returns the manifest.
    """
    random = np.random.default_rng(7)
    drawn: dict[str, list[list[float]] | None] = {}
    for number in range(films):
        levels = np.full((64, 64), 40.0)
        true = []
        for quarter, (x, y, width, height) in enumerate(QUARTERS):
            opacity = number % 2 == 0 and random.random() < 0.4
            bright = random.uniform(110, 250) if opacity else random.choice([40, 40, random.uniform(80, 200)])
            row, column = quarter // 2 * 32, quarter % 2 * 32
            levels[row : row + 32, column : column + 32] = bright
            if opacity:
                shift = random.uniform(-0.08, 0.08, 2)
                true.append([max(x + shift[0], 0), max(y + shift[1], 0), width, height])
        kind = folder / "test" / ("PNEUMONIA" if true else "NORMAL")
        kind.mkdir(parents=True, exist_ok=True)
        levels = np.clip(levels + random.normal(0, 3, levels.shape), 0, 255)
        Image.fromarray(levels.astype(np.uint8)).save(kind / f"film{number:03}.png")
        drawn[f"film{number:03}.png"] = true if number < films - 4 else None
    table = import_folder(folder)[0].table
    names = [Path(path).name for path in table["path"]]
    table = table.with_columns(
        split=pl.lit("test"),
        patient=pl.Series([f"secret-{int(name[4:7]) // 2}" for name in names]),
        boxes=pl.Series([drawn[name] for name in names], dtype=table["boxes"].dtype),
    )
    path = folder / "manifest.parquet"
    save_manifest(Manifest(table, folder), path)
    return path


@pytest.fixture(scope="module")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_films(tmp_path_factory.mktemp("films"))


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_detection_bundle(tmp_path_factory.mktemp("bundle"), threshold=THRESHOLD)


@pytest.fixture(scope="module")
def evaluated(tmp_path_factory: pytest.TempPathFactory, manifest: Path, bundle: Path) -> Path:
    folder = tmp_path_factory.mktemp("evaluated") / "report"
    answer = run("evaluate", bundle, manifest, "--out", folder, "--md")
    assert answer.exit_code == 0, answer.output
    told = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))["boxes"]["figures"]
    shown = {row[0]: row[1:3] for row in (line.split("\t") for line in answer.stdout.splitlines())}
    for name, key in (("RSNA score", "rsna_score"), ("mAP at an overlap of 0.5", "map_50")):
        assert shown[name] == [f"{told[key]['value']:.3f}", f"{told[key]['low']:.3f} to {told[key]['high']:.3f}"]
    assert shown["sensitivity at 1 false box a film"][0] == f"{told['sensitivity_at_1']['value']:.1%}"
    return folder


def known_films(manifest: Path) -> pl.DataFrame:
    return load_manifest(manifest).table.filter(pl.col("boxes").is_not_null())


def drawn_on(path: Path) -> Detections:
    """What the tiny detector must draw on a film, from its file alone."""
    with Image.open(path) as film:
        rows = np.array(expected_boxes(np.asarray(film))).reshape(-1, 5)
    return Detections(rows[:, :4], rows[:, 4])


def test_boxes_csv_holds_every_box_whatever_its_score(evaluated: Path, manifest: Path) -> None:
    with (evaluated / "boxes.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["path", "x", "y", "width", "height", "score"]
    assert any(float(row["score"]) < THRESHOLD / 2 for row in rows)
    for path in load_manifest(manifest).table["path"]:
        of_film = [row for row in rows if row["path"] == path]
        expected = drawn_on(manifest.parent / path)
        got = [[float(row[side]) for side in ("x", "y", "width", "height")] for row in of_film]
        np.testing.assert_allclose(np.array(got).reshape(-1, 4), expected.boxes, atol=1e-6)
        np.testing.assert_allclose([float(row["score"]) for row in of_film], expected.scores, atol=1e-6)


def test_figures_are_those_of_the_boxes_that_were_drawn(evaluated: Path, manifest: Path) -> None:
    told = json.loads((evaluated / "metrics.json").read_text(encoding="utf-8"))["boxes"]
    table = known_films(manifest)
    truths = [np.array(boxes).reshape(-1, 4) for boxes in table["boxes"].to_list()]
    found = [drawn_on(manifest.parent / path) for path in table["path"]]
    expected = box_figures(truths, found, table["patient"].to_list(), Resampling(20), score_threshold=THRESHOLD)
    for name, figure in expected.items():
        assert told["figures"][name]["value"] == pytest.approx(figure.value, abs=1e-6), name
        assert told["figures"][name]["low"] < told["figures"][name]["high"]
    assert told["threshold"] == THRESHOLD
    shown = [found_.scores >= THRESHOLD for found_ in found]
    assert told["counts"] == {
        "films": 44,
        "films_with_true_boxes": sum(map(bool, map(len, truths))),
        "films_without_known_boxes": 4,
        "true_boxes": sum(map(len, truths)),
        "true_boxes_found": round((expected["sensitivity"].value or 0) * sum(map(len, truths))),
        "predicted_boxes": int(sum(map(sum, shown))),
        "predicted_boxes_of_any_score": sum(len(found_.scores) for found_ in found),
    }
    assert list(told["average_precision_at_overlap"]) == ["0.4", "0.5", "0.6", "0.75"]
    assert told["average_precision_at_overlap"]["0.5"] == pytest.approx(told["figures"]["map_50"]["value"])


def test_the_first_screen_says_what_the_boxes_are_worth(evaluated: Path) -> None:
    page = (evaluated / "report.html").read_text(encoding="utf-8")
    told = json.loads((evaluated / "metrics.json").read_text(encoding="utf-8"))["boxes"]
    head = page[: page.index("<nav")]
    assert f'<dt>RSNA score</dt><dd><span class="value">{told["figures"]["rsna_score"]["value"]:.3f}' in head
    assert "boxes from score 0.5 on" in head
    found, true = told["counts"]["true_boxes_found"], told["counts"]["true_boxes"]
    assert f"find {found} of {true} true boxes, with {told['figures']['false_boxes']['value']:.3f} false boxes" in head


def section(page: str) -> str:
    start = page.index('<section id="boxes">')
    return page[start : page.index("</section>", start)]


def test_the_section_names_its_threshold_and_counts_what_it_leaves_out(evaluated: Path) -> None:
    said = section((evaluated / "report.html").read_text(encoding="utf-8"))
    assert "Boxes from score 0.5 on, fixed on validation" in said
    assert re.search(r"nobody drew boxes on them</th><td>4</td>", said)
    assert re.findall(r"<h3>([^(<]*)", said) == [
        "Films with missed boxes, the surest misses first ",
        "Films with false boxes, the highest scores first ",
        "Taken by chance ",
    ]
    curves = re.findall(r'<svg role="img" aria-label="([^"]*)"', said)
    assert len(curves) == 2
    assert curves[0].startswith("FROC curve: share of true boxes found against false boxes a film: ")
    assert re.search(r"Average precision: 0\.\d+ at 0\.4, 0\.\d+ at 0\.5, 0\.\d+ at 0\.6, 0\.\d+ at 0\.75\.", curves[1])


def test_galleries_begin_with_the_worst(evaluated: Path) -> None:
    said = section((evaluated / "report.html").read_text(encoding="utf-8"))
    missed, wrong, by_chance = said.split("<h3>")[1:]
    words = re.compile(r"<figcaption>([^<]*)")
    misses = [re.search(r"on the missed one(?:, at any score| ([\d.]+))", text) for text in words.findall(missed)]
    scores = [float(found[1] or 0) for found in misses if found]
    assert scores == sorted(scores) and len(scores) == len(misses) > 1
    for text in words.findall(missed):
        found, true = map(int, re.findall(r"(\d+) of (\d+) true box", text)[0])
        assert found < true
    scores = [float(re.findall(r"score (\d\.\d\d)", text)[0]) for text in words.findall(wrong)]
    assert scores == sorted(scores, reverse=True) and min(scores) >= THRESHOLD and len(scores) == 9
    assert len(words.findall(by_chance)) == 9
    assert said.count("the same film with its boxes") == said.count('alt="chest film ')


def test_markdown_carries_boxes_too(evaluated: Path) -> None:
    text = (evaluated / "report.md").read_text(encoding="utf-8")
    assert "## Boxes: " in text
    shown = re.findall(r"!\[[^\]]*[^\\]\]\(([^)]+)\)", text)
    assert {"pictures/froc.png", "pictures/box-precision-recall.png"} <= set(shown)
    assert any(place.endswith("-boxes.jpg") for place in shown)
    assert all((evaluated / place).is_file() for place in shown)


def test_patients_are_not_named(evaluated: Path) -> None:
    for path in evaluated.rglob("*"):
        assert not path.is_file() or b"secret-" not in path.read_bytes(), path


def changed(manifest: Path, name: str, boxes: Sequence[object]) -> Path:
    table = load_manifest(manifest).table
    path = manifest.parent / name
    known = pl.Series(boxes, dtype=table["boxes"].dtype)
    save_manifest(Manifest(table.with_columns(boxes=known), manifest.parent), path)
    return path


def test_films_whose_boxes_nobody_knows_give_no_section_and_a_word(
    manifest: Path, bundle: Path, tmp_path: Path
) -> None:
    films = load_manifest(manifest).table.height
    answer = run("evaluate", bundle, changed(manifest, "unknown.parquet", [None] * films), "--out", tmp_path)
    assert answer.exit_code == 0, answer.output
    assert "No film here has known boxes" in answer.stderr
    assert "RSNA score" not in answer.stdout
    assert json.loads((tmp_path / "metrics.json").read_text())["boxes"] is None
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert '<section id="boxes">' not in page
    assert "nobody drew true boxes on it" in page  # the films to look at still show what was drawn
    assert (tmp_path / "boxes.csv").is_file()


def test_films_without_a_true_box_give_statements(manifest: Path, bundle: Path, tmp_path: Path) -> None:
    films = load_manifest(manifest).table.height
    answer = run("evaluate", bundle, changed(manifest, "none.parquet", [[]] * films), "--out", tmp_path)
    assert answer.exit_code == 0, answer.output
    assert "mAP at an overlap of 0.5\tnot defined\tno film has a true box" in answer.stdout
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "No curves: no film has a true box." in page and "No true box was missed." in page
    assert not re.search(r"\b(nan|inf)\b", re.sub(r"base64,[^\"]*", "", page))
    told = json.loads((tmp_path / "metrics.json").read_text())["boxes"]["figures"]
    assert told["rsna_score"]["value"] == 0 and told["sensitivity"]["value"] is None


def test_a_detector_that_shows_no_box_is_judged(manifest: Path, tmp_path: Path) -> None:
    boxes = BoxCard(1.0, 0.3, 1.0, 4, [1.0, 0.0, 0.0], {"rsna_score": 0.9})
    answer = run("evaluate", tiny_detection_bundle(tmp_path, boxes=boxes), manifest, "--out", tmp_path / "out")
    assert answer.exit_code == 0, answer.output
    assert "The RSNA score was 0.900 on validation" in answer.stderr
    told = json.loads((tmp_path / "out" / "metrics.json").read_text())["boxes"]
    assert told["counts"]["predicted_boxes"] == 0
    assert told["figures"]["rsna_score"]["value"] == told["figures"]["sensitivity"]["value"] == 0
    assert "No false box was drawn." in (tmp_path / "out" / "report.html").read_text(encoding="utf-8")


def test_a_classifier_says_nothing_of_boxes(manifest: Path, tmp_path: Path) -> None:
    answer = run("evaluate", tiny_bundle(tmp_path), manifest, "--out", tmp_path / "out")
    assert answer.exit_code == 0, answer.output
    assert "RSNA" not in answer.stdout + answer.stderr
    assert not (tmp_path / "out" / "boxes.csv").exists()
    assert '<section id="boxes">' not in (tmp_path / "out" / "report.html").read_text(encoding="utf-8")


def test_true_and_predicted_lines_differ_in_color_and_in_style() -> None:
    picture = draw_boxes(
        np.full((200, 200), 128, np.uint8),
        np.array([[0.1, 0.3, 0.3, 0.6]]),
        Detections(np.array([[0.6, 0.3, 0.3, 0.6]]), np.array([0.62])),
    )
    true, predicted = ((picture == color).all(axis=2) for color in (TRUE, PREDICTED))
    assert true[62, 22:78].all()  # solid
    dashed = predicted[61, 122:178]
    assert 0.3 < dashed.mean() < 0.9 and np.abs(np.diff(dashed.astype(int))).sum() >= 4
    assert not true[:, 100:].any() and not predicted[:, :100].any()


def test_boxes_beyond_the_film_are_drawn_on_its_edge() -> None:
    beyond = np.array([[-0.2, -0.2, 1.5, 1.5], [0.999, 0.999, 0.001, 0.001]])
    picture = draw_boxes(np.zeros((90, 120), np.uint8), beyond, Detections(beyond, np.array([1.0, 0.001])))
    assert picture.shape == (90, 120, 3)
    assert (picture[88:, :] == TRUE).all(axis=2).any()


def test_pictures_show_what_the_words_say(evaluated: Path) -> None:
    said = section((evaluated / "report.html").read_text(encoding="utf-8"))
    by_chance = said.split("<h3>")[3].split("</figure>")[:-1]
    for figure in by_chance:
        with Image.open(BytesIO(base64.b64decode(re.findall(r"base64,([^\"]*)", figure)[1]))) as opened:
            levels = np.asarray(opened.convert("RGB"), int)
        blue = (np.abs(levels - TRUE).max(axis=2) < 40).sum()
        orange = (np.abs(levels - PREDICTED).max(axis=2) < 40).sum()
        words = re.findall(r"<figcaption>([^<]*)", figure)[0]
        found = int(re.findall(r"(\d+) of", words)[0]) if "of" in words else 0
        assert (blue > 0) == ("no true box" not in words)
        assert (orange > 0) == (found > 0 or "false" in words)
