"""`hilum evaluate` and `hilum compare` as a user meets them, on a bundle and films made by hand."""

from __future__ import annotations

import csv
import json
import re
import shutil
from dataclasses import replace
from html import unescape
from html.parser import HTMLParser
from importlib import import_module
from inspect import signature
from pathlib import Path

import polars as pl
import pytest
from bundles import answered, tiny_bundle, tiny_card
from commands import run
from judged import write_data_set
from sklearn import metrics
from typer.testing import CliRunner

import hilum
from hilum import Abstained, Answered, Asked
from hilum.bundle.card import BundleError, pack_digests
from hilum.bundle.predictor import load
from hilum.cli.app import app
from hilum.dataset.manifest.manifest import Manifest, ManifestError, load_manifest, save_manifest
from hilum.dataset.sources import SourceError
from hilum.system.installed import install_extra


@pytest.fixture(scope="module")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_data_set(tmp_path_factory.mktemp("films"))


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory, manifest: Path) -> Path:
    table = load_manifest(manifest).table.filter(pl.col("split") == "train")
    data = replace(tiny_card().data, films={"train": pack_digests([*table["file_digest"], *table["pixel_digest"]])})
    return tiny_bundle(tmp_path_factory.mktemp("bundle"), data=data)


@pytest.fixture(scope="module")
def evaluated(tmp_path_factory: pytest.TempPathFactory, manifest: Path, bundle: Path) -> Path:
    folder = tmp_path_factory.mktemp("evaluated") / "report"
    answer = run("evaluate", bundle, manifest, "--out", folder, "--by", "ward", "--md")
    assert answer.returncode == 0, answer.stderr
    assert answer.stdout.startswith("figure\tvalue\t95% interval\tfilms\nAUROC\t")
    assert f"report: {folder / 'report.html'}" in answer.stderr
    assert "note: The films are of 2 sources, and the AUROC goes from 0." in answer.stderr
    return folder


def rows(folder: Path) -> list[dict[str, str]]:
    with (folder / "predictions.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_the_function_writes_what_the_command_writes(
    evaluated: Path, manifest: Path, bundle: Path, tmp_path: Path
) -> None:
    report = hilum.evaluate(bundle, manifest, by=["ward"], markdown=True, out=tmp_path / "report")
    names = sorted(path.relative_to(evaluated) for path in evaluated.rglob("*") if path.is_file())
    for name in names:
        assert (tmp_path / "report" / name).read_bytes() == (evaluated / name).read_bytes(), name
    assert json.loads((evaluated / "metrics.json").read_text(encoding="utf-8")) == report.to_dict()
    assert report.figures["auroc"].value == report.to_dict()["binary"]["auroc"]["value"]
    assert report.name == "tiny-test"


@pytest.mark.parametrize("name", ["evaluate", "compare"])
def test_every_option_of_the_command_is_a_keyword_of_the_function(name: str) -> None:
    command = getattr(import_module(f"hilum.cli.{name}"), name)
    assert set(signature(command).parameters) == set(signature(getattr(hilum, name)).parameters) - {"on_progress"}


def test_a_report_is_rows_for_a_data_frame_and_a_table_in_a_notebook(manifest: Path, bundle: Path) -> None:
    report = hilum.evaluate(hilum.load(bundle), manifest)
    frame = pl.DataFrame(report.rows())
    assert frame.height == report.to_dict()["counts"]["films"]
    p, truth = frame["probability"].to_list(), frame["truth"].to_list()
    assert report.figures["auroc"].value == pytest.approx(metrics.roc_auc_score(truth, p))
    page = report._repr_html_()
    assert f"<td>{report.figures['auroc'].value:.3f}</td>" in page
    assert "Research use only, not a medical device" in page
    assert all(caution in unescape(page) for caution in report.cautions)


def test_a_folder_of_films_named_by_class_is_judged_whole_and_left_as_it_is(
    manifest: Path, bundle: Path, tmp_path: Path
) -> None:
    for kind in ("NORMAL", "PNEUMONIA"):
        shutil.copytree(manifest.parent / "test" / kind, tmp_path / "films" / kind)
    before = sorted(tmp_path.rglob("*"))
    answer = run("evaluate", bundle, "films", cwd=tmp_path)
    assert answer.returncode == 0, answer.stderr
    assert "note: Nothing tells which films are of one patient: each film counts as a patient of its own." in (
        answer.stderr
    )
    assert sorted(path for path in tmp_path.rglob("*") if "evaluations" not in path.parts) == before
    figures = json.loads((tmp_path / "evaluations" / "tiny-all" / "metrics.json").read_text(encoding="utf-8"))
    of_manifest = hilum.evaluate(bundle, manifest).to_dict()
    assert figures["binary"]["auroc"]["value"] == of_manifest["binary"]["auroc"]["value"]
    assert figures["confusion"] == of_manifest["confusion"]


def test_a_film_of_a_folder_that_cannot_be_read_is_named_and_the_rest_is_judged(
    manifest: Path, bundle: Path, tmp_path: Path
) -> None:
    for kind in ("NORMAL", "PNEUMONIA"):
        shutil.copytree(manifest.parent / "test" / kind, tmp_path / kind)
    (tmp_path / "NORMAL" / "broken.png").write_bytes(b"no film")
    report = hilum.evaluate(bundle, tmp_path)
    assert [row["path"] for row in report.rows() if row["error"]] == ["NORMAL/broken.png"]
    assert any("1 of 25 films cannot be read, NORMAL/broken.png: " in caution for caution in report.cautions)
    # Its pixels are no reason to fear training films among those that were judged.
    assert not any("digests" in caution for caution in report.cautions)


def test_a_folder_in_splits_is_judged_on_its_test_films(manifest: Path, bundle: Path, tmp_path: Path) -> None:
    for split in ("train", "test"):
        shutil.copytree(manifest.parent / split, tmp_path / split)
    report = hilum.evaluate(bundle, tmp_path)
    assert {Path(row["path"]).parts[0] for row in report.rows()} == {"test"}
    # Where a manifest lies in the folder it is what counts, with the splits that were made.
    given = load_manifest(manifest)
    halved = given.table.with_columns(split=pl.when(pl.col("official_split") == "test").then(pl.lit("test")))
    save_manifest(Manifest(halved.filter(pl.int_range(pl.len()) % 2 == 0), tmp_path), tmp_path / "manifest.parquet")
    assert len(hilum.evaluate(bundle, tmp_path).rows()) == len(report.rows()) / 2


def test_what_is_judged_is_what_the_predictor_says(evaluated: Path, manifest: Path, bundle: Path) -> None:
    table = load_manifest(manifest).table.filter(pl.col("split") == "test")
    predictor = load(bundle)
    assert [row["path"] for row in rows(evaluated)] == table["path"].to_list()
    for row, digest in zip(rows(evaluated), table["file_digest"], strict=True):
        said = predictor.predict(manifest.parent / row["path"])
        free = answered(predictor.predict(manifest.parent / row["path"], Asked(gate=False)))
        assert row["file_digest"] == digest
        assert isinstance(said, Answered | Abstained)
        assert row["decision"] == said.decision
        assert float(row["probability"]) == free.probability
        assert row["gate"] == ("passed" if said.gate.passed else said.gate.reason)
        assert row["truth"] == str(int("PNEUMONIA" in row["path"]))


def test_figures_are_those_of_the_predictions(evaluated: Path) -> None:
    told = json.loads((evaluated / "metrics.json").read_text(encoding="utf-8"))
    truth = [row["truth"] == "1" for row in rows(evaluated)]
    p = [float(row["probability"]) for row in rows(evaluated)]
    assert told["binary"]["auroc"]["value"] == pytest.approx(metrics.roc_auc_score(truth, p))
    assert told["binary"]["auroc"]["method"] == "bootstrap over patients"
    called = [value >= 0.5 for value in p]
    assert told["confusion"] == metrics.confusion_matrix(truth, called).tolist()
    assert told["counts"]["films"] == len(p)
    assert told["operating_point"]["threshold"] == 0.5
    assert set(told["subgroups"]) >= {"view", "age", "ward"}
    assert told["pointing"]["hits"]["of"] == 12
    assert told["training_films_judged"] == {}


def test_patients_are_numbers_and_their_names_appear_nowhere(evaluated: Path) -> None:
    assert all(row["patient"].isdecimal() for row in rows(evaluated))
    for path in evaluated.rglob("*"):
        if path.is_file():
            assert b"secret-" not in path.read_bytes(), path


class Reader(HTMLParser):
    """What a reader of the page gets: headings, links, pictures without words."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.links: list[str] = []
        self.outside: list[str] = []
        self.silent: list[str] = []
        self.tables: list[set[str]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag not in ("meta", "br", "img", "link", "path", "use", "rect", "stop"):
            self.open.append(tag)
        if given.get("id"):
            self.ids.append(str(given["id"]))
        for name in ("href", "src", "xlink:href"):
            place = given.get(name) or ""
            if place.startswith("#"):
                self.links.append(place[1:])
            elif place and not place.startswith("data:image/jpeg;base64,"):
                self.outside.append(place)
        if tag == "script" or (tag == "img" and not given.get("alt")) or (tag == "svg" and not given.get("aria-label")):
            self.silent.append(tag)
        if tag == "table":
            self.tables.append(set())
        if tag in ("th", "caption"):
            self.tables[-1].add(tag + (given.get("scope") or ""))

    def handle_endtag(self, tag: str) -> None:
        if self.open and self.open[-1] == tag:
            self.open.pop()


def test_the_page_stands_alone_and_speaks_to_who_cannot_see_it(evaluated: Path) -> None:
    page = (evaluated / "report.html").read_text(encoding="utf-8")
    reader = Reader()
    reader.feed(page)
    assert reader.open == []
    assert reader.outside == []
    assert reader.silent == []
    assert set(reader.links) <= set(reader.ids)
    assert len(reader.ids) == len(set(reader.ids))
    assert all(table >= {"caption", "thcol", "throw"} for table in reader.tables)
    assert "http" not in re.sub(r'xmlns(:\w+)?="[^"]*"', "", page)
    assert page.count("<svg") == 7
    assert page.count('class="matrix"') == 1
    for words in ("prefers-color-scheme: dark", "@media print", "Research use only, not a medical device"):
        assert words in page


def test_the_page_answers_in_its_first_screen_and_names_the_best_threshold_for_what_it_is(evaluated: Path) -> None:
    page = (evaluated / "report.html").read_text(encoding="utf-8")
    head = page[: page.index("<nav")]
    for words in (
        "threshold 0.500",
        "fixed on validation beforehand",
        "AUROC",
        "95% interval",
        "24 films of",
        "split test",
    ):
        assert words in head
    assert page.count("<caption>Best threshold on this split (Youden; flatters, not to be used)") == 1
    assert "hilum evaluate tiny.onnx manifest.parquet --split test --seed 1 --by ward" in page


def test_markdown_shows_pictures_that_are_there(evaluated: Path) -> None:
    text = (evaluated / "report.md").read_text(encoding="utf-8")
    shown = re.findall(r"!\[[^\]]*[^\\]\]\(([^)]+)\)", text)
    assert {"pictures/roc.png", "pictures/reliability.png"} <= set(shown)
    assert all((evaluated / place).is_file() for place in shown)
    assert "## Calibration" in text


def test_the_same_films_give_the_same_report(evaluated: Path, manifest: Path, bundle: Path, tmp_path: Path) -> None:
    run("evaluate", bundle, manifest, "--out", tmp_path / "again", "--by", "ward")
    for name in ("report.html", "metrics.json", "predictions.csv"):
        assert (tmp_path / "again" / name).read_bytes() == (evaluated / name).read_bytes()


def test_films_that_it_was_trained_on_are_refused_and_stamped_if_allowed(
    manifest: Path, bundle: Path, tmp_path: Path
) -> None:
    answer = run("evaluate", bundle, manifest, "--split", "train", "--out", tmp_path / "out")
    assert answer.returncode == 1
    assert "trained or calibrated on 24 (24 from its train split)" in answer.stderr
    assert len(answer.stderr.splitlines()) == 1
    assert not (tmp_path / "out").exists()
    allowed = run("evaluate", bundle, manifest, "--split", "train", "--out", tmp_path, "--allow-training-films")
    assert allowed.returncode == 0, allowed.stderr
    assert "NO TEST" in (tmp_path / "report.html").read_text(encoding="utf-8")
    assert json.loads((tmp_path / "metrics.json").read_text())["training_films_judged"] == {"train": 24}


def test_a_training_film_is_known_by_its_pixels_after_it_was_encoded_anew(manifest: Path, tmp_path: Path) -> None:
    loaded = load_manifest(manifest)
    test = loaded.table.filter(pl.col("split") == "test")
    data = replace(tiny_card().data, films={"val": pack_digests([test["pixel_digest"][0]])})
    answer = run("evaluate", tiny_bundle(tmp_path, data=data), manifest)
    assert answer.returncode == 1
    assert "calibrated on 1 (1 from its val split)" in answer.stderr


def test_a_split_by_image_and_shared_patients_are_said(manifest: Path, tmp_path: Path) -> None:
    loaded = load_manifest(manifest)
    one = pl.when(pl.col("path").str.contains("film00")).then(pl.lit("secret-0")).otherwise("patient")
    other = manifest.parent / "shared.parquet"
    save_manifest(Manifest(loaded.table.with_columns(patient=one), manifest.parent), other)
    data = replace(tiny_card().data, split_by="image")
    answer = run("evaluate", tiny_bundle(tmp_path, data=data), other, "--out", tmp_path / "out")
    assert answer.returncode == 0, answer.stderr
    assert "split by image, not by patient" in answer.stderr
    assert "1 patient of this split has films in other splits" in answer.stderr
    assert "split by image, not by patient" in (tmp_path / "out" / "report.html").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--split", "tset"], "no film is in split tset: the splits here are test, train"),
        (["--by", "patient"], "films cannot be grouped by that"),
        (["--by", "shoe"], "films cannot be grouped by that"),
        (["--operating-point", "lucky"], "no operating point is called lucky"),
        (["--out", Path(__file__) / "report"], "is a file, so no folder can be made there"),
    ],
)
def test_what_cannot_be_done_is_one_line(
    manifest: Path, bundle: Path, options: list[str | Path], expected: str
) -> None:
    answer = run("evaluate", bundle, manifest, *options)
    assert answer.returncode == 1
    assert expected in answer.stderr
    assert len(answer.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("model", "films", "error", "expected"),
    [
        ("boxes2", "films", BundleError, "default ships with hilum"),
        ("default", "nowhere", ManifestError, "there is no such manifest or folder"),
        ("default", "", SourceError, "no JPEG, PNG or DICOM film lies in it"),
    ],
)
def test_what_cannot_be_opened_is_named(
    tmp_path: Path, model: str, films: str, error: type[Exception], expected: str
) -> None:
    with pytest.raises(error, match=expected):
        hilum.evaluate(model, tmp_path / films)


@pytest.mark.parametrize(
    ("words", "extra"),
    [
        (["evaluate", "default", "films"], "evaluate"),
        (["compare", "a", "b"], "evaluate"),
        (["score", "s.csv", "m.parquet"], "evaluate"),
        (["export", "run"], "train"),
        (["sweep", "run"], "train"),
        (["data", "split", "m.parquet"], "data"),
    ],
)
def test_what_the_base_package_lacks_is_named_with_how_to_get_it(
    monkeypatch: pytest.MonkeyPatch, words: list[str], extra: str
) -> None:
    monkeypatch.setattr("hilum.cli.terminal.extras.find_spec", lambda package: None)
    answer = CliRunner().invoke(app, words)
    assert answer.exit_code == 1
    assert answer.stderr.endswith(f"needs more than the base package: {install_extra(extra)}\n")
    assert len(answer.stderr.splitlines()) == 1


def test_broken_films_are_listed_and_the_rest_is_judged(manifest: Path, bundle: Path, tmp_path: Path) -> None:
    loaded = load_manifest(manifest)
    table = loaded.table.with_columns(
        path=pl.when(pl.int_range(pl.len()) == 0).then(pl.lit("gone.png")).otherwise("path"),
        file_digest=pl.lit(None, pl.String),
        pixel_digest=pl.lit(None, pl.String),
    )
    other = manifest.parent / "other.csv"
    save_manifest(Manifest(table.filter(pl.col("split") == "test"), manifest.parent), other)
    answer = run("evaluate", bundle, other, "--out", tmp_path)
    assert answer.returncode == 0, answer.stderr
    assert "1 film could not be judged and is left out" in answer.stderr
    last = rows(tmp_path)[-1]
    assert (last["path"], last["probability"], last["decision"]) == ("gone.png", "", "")
    assert "cannot_open" in last["error"]
    # Digests of files that were never scanned are taken on the way, for `hilum compare` and for known films.
    assert all(len(row["file_digest"]) == 32 for row in rows(tmp_path)[:-1])


@pytest.mark.parametrize("kept", [1, 2])
def test_one_film_and_one_class_give_statements(manifest: Path, bundle: Path, tmp_path: Path, kept: int) -> None:
    loaded = load_manifest(manifest)
    few = loaded.table.filter((pl.col("split") == "test") & pl.col("pneumonia")).head(kept)
    path = manifest.parent / f"few{kept}.parquet"
    save_manifest(Manifest(few, manifest.parent), path)
    answer = run("evaluate", bundle, path, "--out", tmp_path)
    assert answer.returncode == 0, answer.stderr
    assert "AUROC\tnot defined\tall films are of one class" in answer.stdout
    told = json.loads((tmp_path / "metrics.json").read_text(encoding="utf-8"))
    assert told["binary"]["specificity"] == {"value": None, "why": "every film shows pneumonia"}
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "No curves: all films are of one class." in page
    assert not re.search(r"\b(nan|inf)\b", re.sub(r"base64,[^\"]*", "", page))


def test_models_are_compared_by_their_files_or_as_bundles(
    evaluated: Path, manifest: Path, bundle: Path, tmp_path: Path
) -> None:
    answer = run("compare", evaluated, bundle, "--manifest", manifest, "--out", tmp_path)
    assert answer.returncode == 0, answer.stderr
    assert answer.stdout.startswith("No difference shown between tiny and report: AUROC ")
    assert answer.stdout.splitlines()[1].startswith("Model\tThreshold\tAUROC")
    assert "tiny less report: AUROC +0.000" in answer.stdout
    told = json.loads((tmp_path / "comparison.json").read_text(encoding="utf-8"))
    assert told["differences"][0]["mcnemar"]["p_value"] == 1
    assert "<svg" in (tmp_path / "comparison.html").read_text(encoding="utf-8")
    compared = hilum.compare([evaluated, hilum.evaluate(bundle, manifest)])
    assert compared.to_dict() == told
    assert [row["model"] for row in compared.rows()] == ["report", "tiny"]
    assert [*compared.differences, *compared.tests] == [answer.stdout.splitlines()[at] for at in (0, -1)]
    assert all(sentence in unescape(compared._repr_html_()) for sentence in compared.differences)
    refused = run("compare", evaluated, bundle)
    assert refused.returncode == 1
    assert "name them with --manifest" in refused.stderr
    alone = run("compare", evaluated)
    assert alone.returncode == 1
    assert "name two or more" in alone.stderr
