"""What journals ask for: flow, precision, failures and checklists, counted again from the films themselves."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import polars as pl
import pytest
from bundles import tiny_bundle
from commands import run
from judged import write_data_set
from PIL import Image

import hilum
from hilum.dataset.manifest.manifest import Manifest, load_manifest, save_manifest
from hilum.evaluation.evaluate import Report
from hilum.evaluation.journal.claim import CLAIM
from hilum.evaluation.journal.failures import SUREST
from hilum.evaluation.journal.sections import failures_section
from hilum.evaluation.journal.strata import bands
from hilum.evaluation.journal.tripod import TRIPOD
from hilum.evaluation.report.document import Folded, Section, Table
from hilum.evaluation.report.words import NOTHING
from hilum.system.files import file_digest


@pytest.fixture(scope="module")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Films that are no blank ones, every ninth too bright for the gate; of split test three have no label, and two
    cannot be read."""
    path = write_data_set(tmp_path_factory.mktemp("films"), 120)
    given = load_manifest(path)
    for number, film in enumerate(given.table["path"]):
        with Image.open(given.path(film)) as picture:
            levels = np.asarray(picture, np.float64)
        levels = levels + np.linspace(-30, 30, levels.shape[1]) + (80 if number % 9 == 0 else 0)
        Image.fromarray(np.clip(levels, 0, 255).astype(np.uint8)).save(given.path(film))
    row = pl.int_range(pl.len())
    test = pl.col("split") == "test"
    place = test.cum_sum()
    unlabeled = test & place.is_in([4, 9, 11])
    table = given.table.with_columns(
        label=pl.when(unlabeled).then(None).otherwise("label"),
        pneumonia=pl.when(unlabeled).then(None).otherwise("pneumonia"),
        path=pl.when(test & place.is_in([5, 20]))
        .then("gone/" + row.cast(pl.String) + pl.lit(".png"))
        .otherwise("path"),
        file_digest=pl.Series([file_digest(given.path(film)) for film in given.table["path"]]),
        sex=pl.when(row % 7 == 0).then(None).when(row % 2 == 0).then(pl.lit("F")).otherwise(pl.lit("M")),
    )
    save_manifest(Manifest(table, given.folder), path)
    return path


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory, manifest: Path) -> Report:
    return hilum.evaluate(
        tiny_bundle(tmp_path_factory.mktemp("bundle")), manifest, by=["ward"], operating_point="sensitive"
    )


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory, report: Report) -> Path:
    folder = tmp_path_factory.mktemp("saved")
    report.save(folder)
    return folder


def section(report: Report, key: str) -> Section:
    return next(part for part in report.document.sections if part.key == key)


def test_the_flow_accounts_for_every_film_of_the_manifest(report: Report, manifest: Path) -> None:
    flow, table = report.to_dict()["flow"], load_manifest(manifest).table
    test = table.filter(pl.col("split") == "test")
    assert flow["found"] == {"films": table.height, "patients": table["patient"].n_unique()}
    assert flow["chosen"] == {"films": test.height, "patients": test["patient"].n_unique()}
    assert flow["elsewhere"]["train"]["films"] == table.height - test.height
    assert flow["without_label"]["films"] == 3
    assert flow["unreadable"] == {"cannot open": 2}
    rows = [row for row in report.rows() if not row["error"]]
    assert flow["readable"]["films"] == len(rows) == test.height - 5
    for name, decision in (("called", "pneumonia"), ("cleared", "no_pneumonia"), ("abstained", "abstain")):
        for side, truth in (("sick", 1), ("healthy", 0)):
            expected = [row for row in rows if row["decision"] == decision and row["truth"] == truth]
            assert flow[name][side] == {"films": len(expected), "patients": len({row["patient"] for row in expected})}
    assert flow["turned_away"] == {"not a chest film": sum(row["decision"] == "abstain" for row in rows)}
    assert min(flow[name]["sick"]["films"] + flow[name]["healthy"]["films"] for name in ("called", "abstained")) > 0


def test_the_drawn_flow_holds_the_counts_as_text(saved: Path, report: Report) -> None:
    flow = report.to_dict()["flow"]
    drawn = ElementTree.parse(saved / "journal" / "flow.svg")
    texts = [text.text or "" for text in drawn.iter("{http://www.w3.org/2000/svg}text")]
    for words in (
        f"{flow['found']['films']} films of {flow['found']['patients']} patients",
        "3 films of 3 patients",
        "cannot open: 2",
        f"{flow['called']['sick']['films']} with pneumonia",
        f"{flow['cleared']['healthy']['films']} without",
    ):
        assert words in texts


def test_who_is_in_which_split_is_what_the_manifest_holds(report: Report, manifest: Path) -> None:
    table = load_manifest(manifest).table
    beside = section(report, "flow").blocks[0]
    (shown,) = [part for column in getattr(beside, "columns", ()) for part in column if isinstance(part, Table)]
    assert list(shown.header)[:3] == ["", "train", "test"]
    cells = {row[0]: row[1:] for row in shown.rows}
    for column, split in enumerate(("train", "test")):
        part = table.filter(pl.col("split") == split)
        assert cells["Films"][column] == str(part.height)
        assert cells["Patients"][column] == str(part["patient"].n_unique())
        women = part.filter(pl.col("sex") == "F").height
        assert cells["Sex: F"][column] == f"{women} ({women / part.height:.1%})"
        ages = np.quantile(part["age"].to_numpy(), [0.5, 0.25, 0.75])
        assert cells["Age, median (quartiles)"][column] == "{:.0f} ({:.0f} to {:.0f})".format(*ages)
    # The tiny bundle learned from other films, of which its card knows labels alone.
    assert (cells["Films"][2], cells["Label: normal"][2], cells["Sex: F"][2]) == ("2", "2", NOTHING)


def test_errors_of_parts_are_those_of_the_predictions(report: Report, manifest: Path) -> None:
    table = load_manifest(manifest).table
    known = dict(zip(table["path"], table.rows(named=True), strict=True))
    rows = [row for row in report.rows() if not row["error"]]
    wrong = {row["path"] for row in rows if (row["probability"] >= row["threshold"]) != bool(row["truth"])}
    failures = report.to_dict()["failures"]
    assert failures["errors"] == len(wrong) > 0
    parts = {(part["column"], part["name"]): part for part in failures["parts"]}
    for column, name in (("view", "AP"), ("sex", "F"), ("source", "here"), ("ward", "north")):
        members = [row["path"] for row in rows if known[row["path"]][column] == name]
        others = [row["path"] for row in rows if known[row["path"]][column] not in (name, None)]
        part = parts[column, name]
        assert (part["films"], part["errors"]) == (len(members), len(wrong & set(members)))
        assert part["missed"] + part["false_alarms"] == part["errors"]
        rates = [len(wrong & set(paths)) / len(paths) for paths in (members, others)]
        assert part["more"] == pytest.approx(rates[0] - rates[1])
    more = [part["more"] for part in failures["parts"]]
    assert more == sorted(more, reverse=True)
    assert all(part["films"] >= 10 for part in failures["parts"])
    assert not any(part["column"] == "label" for part in failures["parts"])


def test_the_surest_errors_are_shown_by_what_they_share(report: Report) -> None:
    rows = [row for row in report.rows() if not row["error"]]
    wrong = [row for row in rows if (row["probability"] >= row["threshold"]) != bool(row["truth"])]

    def logit(p: float) -> float:
        return float(np.log(p / (1 - p)))

    wrong.sort(key=lambda row: -abs(logit(row["probability"]) - logit(row["threshold"])))
    found = report.evaluation.failures.surest
    shown = [row for group in found for row in group.rows]
    assert sorted(rows[row]["path"] for row in shown) == sorted(row["path"] for row in wrong[:SUREST])
    galleries = [block for block in section(report, "failures").blocks if hasattr(block, "films")]
    assert [len(getattr(gallery, "films", ())) for gallery in galleries] == [len(group.rows) for group in found]


def test_precision_is_of_the_intervals_of_the_report(report: Report) -> None:
    reach = {each["name"]: each for each in report.to_dict()["precision"]}
    auroc = report.figures["auroc"]
    assert auroc.low is not None and auroc.high is not None
    assert reach["auroc"]["width"] == pytest.approx(auroc.high - auroc.low)
    assert reach["auroc"]["at_twice"] == pytest.approx((auroc.high - auroc.low) / 2**0.5)
    for name in ("sensitivity", "specificity"):
        assert reach[name]["at_twice"] < reach[name]["width"]
        assert reach[name]["worth"] <= reach[name]["films"] == report.figures[name].of


def test_checklists_have_every_item_and_invent_nothing(report: Report) -> None:
    assert [item.number for item in CLAIM.items] == [str(number) for number in range(1, 45)]
    numbers = [int(re.sub(r"\D", "", item.number)) for item in TRIPOD.items]
    assert sorted(set(numbers)) == list(range(1, 28)) and len(numbers) == 52
    tables = [block.blocks[0] for block in section(report, "checklists").blocks if isinstance(block, Folded)]
    for table, items in zip(tables, (CLAIM.items, TRIPOD.items), strict=True):
        assert isinstance(table, Table) and len(table.rows) == len(items)
        for (_, known, left), item in zip(table.rows, items, strict=True):
            # What hilum cannot know is left to write, and what it leaves empty is so, too.
            assert (known == NOTHING) <= left.startswith("Yours to write: ")
            assert item.known or known == NOTHING
    # Nothing is said of robustness before it was tried, nor of sources and weights that the card does not name.
    claim = {row[0].split()[0]: row for row in tables[0].rows}  # type: ignore[union-attr]
    assert claim["30"][1:] == [NOTHING, "Yours to write: none yet; run hilum robustness on these films."]
    assert claim["24"][1] == NOTHING
    assert "tiny" in claim["22"][1] and "threshold 0.2000" in claim["22"][1]


def test_the_journal_folder_is_to_paste_and_names_no_patient(saved: Path) -> None:
    text = (saved / "journal" / "journal.md").read_text(encoding="utf-8")
    for title in ("How sure", "Failure analysis", "Flow of films", "CLAIM 2024", "TRIPOD+AI"):
        assert title in text
    for picture in re.findall(r"!\[.*\]\((\S+)\)", text):
        assert (saved / "journal" / picture).is_file()
    assert "secret-" not in text + (saved / "journal" / "flow.svg").read_text(encoding="utf-8")
    assert "data:image" not in text


def test_a_manifest_that_knows_nothing_but_labels_is_judged_all_the_same(manifest: Path, tmp_path: Path) -> None:
    given = load_manifest(manifest)
    bare = given.table.filter(pl.col("split") == "test", pl.col("label").is_not_null()).select("path", "label")
    bare.write_csv(manifest.parent / "bare.csv")
    report = hilum.evaluate(tiny_bundle(tmp_path, gate=False), manifest.parent / "bare.csv", split="all")
    assert {part["column"] for part in report.to_dict()["failures"]["parts"]} <= {"size", "border"}
    report.save(tmp_path / "report")


def test_what_robustness_said_becomes_a_section_if_it_is_of_this_bundle_and_these_films(
    manifest: Path, tmp_path: Path
) -> None:
    bundle = tiny_bundle(tmp_path)
    assert run("robustness", bundle, manifest, "--films", "8", "-o", tmp_path / "tried").returncode == 0
    report = hilum.evaluate(bundle, manifest, robustness=tmp_path / "tried")
    assert section(report, "robustness").blocks
    tables = [block.blocks[0] for block in section(report, "checklists").blocks if isinstance(block, Folded)]
    assert "AUROC" in next(row for row in tables[0].rows if row[0].startswith("30 "))[1]  # type: ignore[union-attr]
    (tmp_path / "other").mkdir()
    other = tiny_bundle(tmp_path / "other", name="another")
    refusals = [
        ((other, manifest), tmp_path / "tried", "is of another bundle"),
        ((bundle, manifest, "--split", "train"), tmp_path / "tried", "is of other films"),
        ((bundle, manifest), tmp_path, "is not there"),
    ]
    plain = json.loads((tmp_path / "tried" / "robustness.json").read_text(encoding="utf-8"))
    (tmp_path / "old.json").write_text(json.dumps({**plain, "format": 0}), encoding="utf-8")
    (tmp_path / "bad.json").write_text("[1]", encoding="utf-8")
    refusals += [((bundle, manifest), tmp_path / "old.json", "another version")]
    refusals += [((bundle, manifest), tmp_path / "bad.json", "is not what `hilum robustness` writes")]
    for films, place, reason in refusals:
        answer = run("evaluate", *films, "--robustness", place, "-o", tmp_path / "report")
        assert (answer.returncode, answer.stderr.count("\n")) == (1, 1)
        assert reason in answer.stderr


def test_numbers_become_bands_that_hold_a_quarter_each_where_they_differ() -> None:
    values = np.append(np.arange(100.0), np.nan)
    names = bands(values, lambda value: f"{value:.0f}", "pixels")
    assert names[-1] is None
    assert {name: names.count(name) for name in names[:-1]} == {
        "up to 24 pixels": 25,
        "24 to 49 pixels": 25,
        "49 to 74 pixels": 25,
        "above 74 pixels": 25,
    }
    mostly = bands(np.array([0.0] * 90 + [1.0] * 10), str, "")
    assert (mostly.count(mostly[0]), mostly.count(mostly[-1])) == (90, 10)
    assert bands(np.full(9, 3.0), str, "") == [None] * 9


def test_a_model_without_an_error_says_so(report: Report) -> None:
    perfect = replace(report.evaluation.failures, errors=0, parts=[], surest=[])
    (first, *_) = failures_section(perfect, [], "").blocks
    assert getattr(first, "text", "") == "Not one film was judged wrongly."
