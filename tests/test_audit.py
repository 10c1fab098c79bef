"""Every finding appears where its trouble was planted, with the right count, and nowhere else."""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from PIL import Image
from sklearn.metrics import roc_auc_score

from hilum.dataset.audit import AuditReport, Finding, audit, leakage, shortcut
from hilum.dataset.importing import import_folder
from hilum.dataset.manifest.manifest import SCHEMA, Manifest, ManifestError
from hilum.dataset.phantom.film import draw_phantom
from hilum.dataset.phantom.phantom import write_phantoms
from hilum.dataset.scan import scan_film
from hilum.dataset.store.store import build_store
from hilum.radiograph.geometry import Geometry

FILMS = 60
Rows = list[dict[str, Any]]


def scanned(folder: Path) -> Manifest:
    rows = [{"path": path.name, "patient": path.name, **asdict(scan_film(path))} for path in sorted(folder.iterdir())]
    return Manifest(pl.DataFrame(rows, schema=SCHEMA, orient="row"), folder)


@pytest.fixture(scope="module")
def clean(tmp_path_factory: pytest.TempPathFactory) -> Manifest:
    """Phantoms of as many patients, nothing wrong with them."""
    folder = tmp_path_factory.mktemp("clean")
    for number in range(FILMS):
        film = draw_phantom((11, number), ("normal", "bacterial")[number % 2], 160)
        Image.fromarray(film.pixels).save(folder / f"film-{number:02d}.png")
    manifest = scanned(folder)
    rows = manifest.table.to_dicts()
    for number, row in enumerate(rows):
        sick = number % 2 == 1
        row |= {"label": "bacterial" if sick else "normal", "pneumonia": sick, "patient": f"p{number}", "boxes": None}
    return with_rows(manifest, rows)


def with_rows(manifest: Manifest, rows: Rows) -> Manifest:
    return Manifest(pl.DataFrame(rows, schema=SCHEMA, orient="row"), manifest.folder)


def changed(manifest: Manifest, **columns: Callable[[int, Any], Any]) -> Manifest:
    """The manifest with columns made from the row's number and the old value."""
    rows = manifest.table.to_dicts()
    for number, row in enumerate(rows):
        row |= {name: change(number, row[name]) for name, change in columns.items()}
    return with_rows(manifest, rows)


def judged(manifest: Manifest, tmp_path: Path) -> dict[str, Finding]:
    return {finding.kind: finding for finding in report_on(manifest, tmp_path).findings}


def report_on(manifest: Manifest, tmp_path: Path) -> AuditReport:
    store = build_store(manifest, Geometry("squash", 224, 224), tmp_path / "stores", skip_bad=1000, processes=1)
    return audit(manifest, store)[0]


def rescanned(manifest: Manifest, folder: Path) -> Manifest:
    """The manifest for a copy of the films that a test has changed."""
    facts = {row["path"]: row for row in scanned(folder).table.to_dicts()}
    file_columns = list(SCHEMA)[list(SCHEMA).index("format") :]
    rows = [{**row, **{name: facts[row["path"]][name] for name in file_columns}} for row in manifest.table.to_dicts()]
    return Manifest(pl.DataFrame(rows, schema=SCHEMA, orient="row"), folder)


@pytest.fixture
def copied(clean: Manifest, tmp_path: Path) -> Path:
    folder = tmp_path / "films"
    shutil.copytree(clean.folder, folder)
    return folder


def test_a_clean_set_has_only_notes(clean: Manifest, tmp_path: Path) -> None:
    report = report_on(clean, tmp_path)
    assert {finding.severity for finding in report.findings} <= {"note"}, report.findings
    assert (report.films, report.patients, report.leaks) == (FILMS, FILMS, False)


def test_the_order_of_rows_and_the_place_of_the_films_change_nothing(
    clean: Manifest, copied: Path, tmp_path: Path
) -> None:
    shutil.copy(copied / "film-00.png", copied / "film-01.png")
    manifest = rescanned(changed(clean, split=lambda number, _: ("train", "test")[number % 2]), copied)
    rows = manifest.table.to_dicts()
    random.Random(1).shuffle(rows)
    first = report_on(manifest, tmp_path)
    assert report_on(with_rows(manifest, rows), tmp_path) == first
    elsewhere = tmp_path / "elsewhere"
    shutil.copytree(copied, elsewhere)
    assert report_on(Manifest(manifest.table, elsewhere), tmp_path / "other").describe() == first.describe()


def test_unreadable_films_do_not_stop_the_audit(clean: Manifest, copied: Path, tmp_path: Path) -> None:
    (copied / "film-03.png").write_bytes(b"no film at all")
    (copied / "film-05.png").write_bytes((copied / "film-05.png").read_bytes()[:2000])
    finding = judged(rescanned(clean, copied), tmp_path)["unreadable"]
    assert finding.groups == (("film-03.png",), ("film-05.png",))
    assert "not_an_image" in finding.figures["reasons"]["film-03.png"]


def test_without_digests_nothing_can_be_said(clean: Manifest, tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match="hilum data import"):
        report_on(changed(clean, file_digest=lambda *_: None), tmp_path)


def test_copies_whatever_their_encoding(clean: Manifest, copied: Path, tmp_path: Path) -> None:
    with Image.open(copied / "film-00.png") as film:
        film.save(copied / "film-01.png", compress_level=0)  # another file of the same pixels
        film.point(lambda level: int(level * 0.8)).save(copied / "film-02.png")
    found = judged(rescanned(clean, copied), tmp_path)
    assert found["exact_duplicates"].groups == (("film-00.png", "film-01.png"),)
    assert found["near_duplicates"].groups == (("film-00.png", "film-01.png", "film-02.png"),)
    # One is labeled bacterial, and the films were given to three patients.
    assert found["conflicting_labels"].groups == found["patients_share_film"].groups == found["near_duplicates"].groups
    assert not any(finding.severity == "leak" for finding in found.values())


@pytest.mark.parametrize("column", ["split", "official_split"])
def test_what_is_on_both_sides_leaks(clean: Manifest, copied: Path, tmp_path: Path, column: str) -> None:
    shutil.copy(copied / "film-00.png", copied / "film-01.png")
    with Image.open(copied / "film-02.png") as film:
        film.point(lambda level: int(level * 0.8)).save(copied / "film-03.png")
    sides = {column: lambda number, _: ("train", "test")[number % 2]}
    manifest = changed(
        rescanned(clean, copied), patient=lambda number, name: "twin" if number in (10, 11) else name, **sides
    )
    report = report_on(manifest, tmp_path)
    leaks = {finding.kind: finding.groups for finding in report.findings if finding.severity == "leak"}
    assert leaks == {
        "patient_on_both_sides": (("film-10.png", "film-11.png"),),
        "duplicate_on_both_sides": (("film-00.png", "film-01.png"),),
        "near_duplicate_on_both_sides": (("film-02.png", "film-03.png"),),
    }
    assert report.leaks and report.findings[0].severity == "leak"


def test_folds_are_sides_and_films_without_a_side_are_on_none(clean: Manifest, tmp_path: Path) -> None:
    pairs = changed(clean, patient=lambda number, _: f"p{number // 2}")
    folds = changed(pairs, split=lambda number, _: f"fold{number % 2}" if number < 4 else None)
    assert judged(folds, tmp_path)["patient_on_both_sides"].count == 2
    assert "patient_on_both_sides" not in judged(
        changed(pairs, split=lambda number, _: f"fold{number // 2 % 5}"), tmp_path
    )


def test_the_split_that_hilum_made_stands_above_the_published_one(clean: Manifest, tmp_path: Path) -> None:
    manifest = changed(
        clean,
        patient=lambda number, _: f"p{number // 2}",
        official_split=lambda number, _: ("train", "test")[number % 2],
        split=lambda number, _: ("train", "test")[number // 2 % 2],
    )
    assert "patient_on_both_sides" not in judged(manifest, tmp_path)


def test_numbers_that_repeat_across_the_official_split_are_no_proof(clean: Manifest, tmp_path: Path) -> None:
    manifest = changed(clean, patient=lambda number, _: f"{('train', 'test')[number >= 58]}/person{number % 58}")
    finding = judged(manifest, tmp_path)["patient_number_repeats"]
    assert (finding.severity, finding.count) == ("warning", 2)


def test_a_validation_split_too_small_to_choose_by(
    clean: Manifest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    manifest = changed(clean, split=lambda number, _: "val" if number < 16 else "train")
    finding = judged(manifest, tmp_path)["small_validation"]
    assert finding.count == 16
    assert finding.figures == {"pneumonia": 8, "no pneumonia": 8}
    monkeypatch.setattr(leakage, "FEWEST_FILMS", 16)
    monkeypatch.setattr(leakage, "FEWEST_OF_A_CLASS", 8)
    assert "small_validation" not in judged(manifest, tmp_path)
    monkeypatch.setattr(leakage, "FEWEST_OF_A_CLASS", 9)
    assert "small_validation" in judged(manifest, tmp_path)


def test_boxes(clean: Manifest, copied: Path, tmp_path: Path) -> None:
    for copy in (41, 43):
        shutil.copy(copied / f"film-{copy:02d}.png", copied / f"film-{copy + 1:02d}.png")
    good = [0.2, 0.2, 0.3, 0.3]
    drawn: dict[int, list[list[float]]] = {
        1: [good],
        3: [[0.9, 0.5, 0.3, 0.3]],
        5: [good, [0.5, 0.5, 0.004, 0.2]],
        7: [good, [0.201, 0.2, 0.3, 0.3]],
        8: [good],
        41: [good],
        42: [[0.5, 0.2, 0.3, 0.3]],
        43: [good],
    }
    found = judged(changed(rescanned(clean, copied), boxes=lambda number, _: drawn.get(number)), tmp_path)
    names = {kind: [path[5:7] for group in found[kind].groups for path in group] for kind in found}
    assert names["boxes_out_of_frame"] == ["03"]
    assert names["tiny_boxes"] == ["05"]
    assert names["boxes_drawn_twice"] == ["07"]
    assert names["boxes_on_negative"] == ["08", "42"]
    assert names["conflicting_boxes"] == ["41", "42", "43", "44"]
    assert found["conflicting_boxes"].figures == {"contradicting": 1, "only_on_some_copies": 1}
    assert found["positive_without_boxes"].count == 30 - 6


def test_bad_films_are_suggested(clean: Manifest, copied: Path, tmp_path: Path) -> None:
    films = {name: np.asarray(Image.open(copied / f"film-{name}.png")) for name in ("10", "11", "12", "13", "14", "15")}
    noise = np.random.default_rng(2).integers(0, 4, films["10"].shape, np.uint8)
    white, black, noisy = films["11"].copy(), films["12"].copy(), films["15"]
    white[: len(white) // 2] = 255
    black[len(black) // 4 :] = 0
    noisy = np.random.default_rng(3).integers(0, 256, noisy.shape, np.uint8)
    changes = {
        "10": noise + 90,
        "11": white,
        "12": black,
        "13": films["13"][::-1],
        "14": 255 - films["14"],
        "15": noisy,
    }
    for name, film in changes.items():
        Image.fromarray(film).save(copied / f"film-{name}.png")
    found = judged(rescanned(clean, copied), tmp_path)
    names = {kind: [path[5:7] for group in found[kind].groups for path in group] for kind in found}
    assert names["nearly_blank"] == ["10"]
    assert names["washed_out"] == ["11"]
    assert names["mostly_black"] == ["12"]
    assert names["turned"] == ["13", "14"]
    assert found["turned"].figures["how"] == {"film-13.png": "upside down", "film-14.png": "inverted"}
    assert set(names["far_from_others"]) <= {"10", "11", "12", "13", "14", "15"}
    assert all(found[kind].severity == "suggestion" for kind in ("nearly_blank", "turned", "far_from_others"))


def test_phantoms_cannot_be_told_by_their_files(tmp_path: Path) -> None:
    write_phantoms(tmp_path / "films", 160, seed=4, size=96)
    finding = judged(import_folder(tmp_path / "films", processes=1)[0], tmp_path)["metadata_shortcut"]
    # Pneumonia has more fine structure, which takes more bytes: what is left must not come from the file's facts.
    others = {name: auc for name, auc in finding.figures["auc_of_each"].items() if name != "bytes a pixel"}
    assert max(others.values()) < 0.65


def test_size_and_encoding_give_classes_away(clean: Manifest, copied: Path, tmp_path: Path) -> None:
    for number in range(1, FILMS, 2):
        path = copied / f"film-{number:02d}.png"
        with Image.open(path) as film:
            shape = film.resize((200, 160)).convert("RGB" if number < 20 else "L")
        shape.save(path)
    found = judged(rescanned(clean, copied), tmp_path)
    assert found["metadata_shortcut"].severity == "warning"
    assert found["metadata_shortcut"].figures["auc"] > 0.95
    assert found["metadata_shortcut"].figures["auc_of_each"]["aspect ratio"] > 0.9
    assert found["mode_of_one_class"].count == 10
    assert list(found["mode_of_one_class"].figures["chance"]) == ["RGB"]
    sick = [number % 2 for number in range(FILMS)]
    assert found["metadata_shortcut"].figures["auc_of_each"]["color mode"] == pytest.approx(
        roc_auc_score(sick, [number % 2 and number < 20 for number in range(FILMS)]), abs=1e-3
    )


def test_labels_by_chance_are_no_shortcut(clean: Manifest, tmp_path: Path) -> None:
    rng = random.Random(5)
    manifest = changed(
        clean, pneumonia=lambda *_: rng.random() < 0.5, view=lambda number, _: ("AP", "PA")[number % 3 > 0]
    )
    found = judged(manifest, tmp_path)
    assert found["metadata_shortcut"].severity == "note"
    assert 0.2 < found["metadata_shortcut"].figures["auc"] < 0.75
    assert found["view_tells"].figures["auc"] < 0.65


def test_an_auc_below_one_half_is_explained(clean: Manifest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shortcut, "_cross_validated", lambda columns, sick, patients: 0.35)
    finding = judged(changed(clean, view=lambda number, _: ("AP", "PA")[number % 3 > 0]), tmp_path)["metadata_shortcut"]
    assert finding.severity == "note"
    assert "do not tell pneumonia from none: AUC 0.35" in finding.sentence
    assert "Below one half" in finding.sentence and "chance" in finding.sentence


def test_too_few_films_are_said_to_be_too_few(clean: Manifest, tmp_path: Path) -> None:
    found = judged(with_rows(clean, clean.table.to_dicts()[:30]), tmp_path)
    assert found["shortcut_not_measured"].severity == "note" and "metadata_shortcut" not in found


def test_the_known_traps_of_kermany(real_data: Path, tmp_path: Path) -> None:
    original = judged(import_folder(real_data / "kermany-original", processes=1)[0], tmp_path)
    assert original["mode_of_one_class"].figures["chance"].keys() == {"RGB"}
    assert original["metadata_shortcut"].figures["auc"] > 0.9


def test_six_dicom_films(real_data: Path, tmp_path: Path) -> None:
    report = report_on(import_folder(real_data / "rsna-mini", processes=1)[0], tmp_path)
    assert {finding.severity for finding in report.findings} == {"note"}
