"""Labels in doubt: what cleanlab says of the same numbers, and what a user finds of labels that were made wrong."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from bundles import tiny_bundle, tiny_card
from cleanlab.count import compute_confident_joint
from cleanlab.rank import get_label_quality_scores
from hypothesis import given, settings
from hypothesis import strategies as st
from judged import write_data_set
from typer.testing import CliRunner

import hilum
from hilum.bundle.card import pack_digests
from hilum.bundle.predictor import load
from hilum.cli.app import app
from hilum.dataset.folds import Folds
from hilum.dataset.manifest.manifest import Manifest, load_manifest, save_manifest
from hilum.evaluation.data_set import DataSet
from hilum.evaluation.doubt.confident import Estimate, doubt_of, flagged, wrong_shares
from hilum.evaluation.doubt.doubt import Doubts
from hilum.evaluation.doubt.opinion import Opinion
from hilum.evaluation.doubt.sides import Sides, sides_of
from hilum.evaluation.judge import Scope, judge
from hilum.evaluation.predictions import save_predictions
from hilum.measures.bootstrap import Resampling
from hilum.measures.figure import EvaluationError


@st.composite
def made_sides(draw: st.DrawFn) -> Sides:
    """Films with labels of two to four sides, each of which has some, and probabilities that may be sure or even."""
    count, seed = draw(st.integers(2, 4)), draw(st.integers(0, 2**32 - 1))
    random = np.random.default_rng(seed)
    films = draw(st.integers(count, 60))
    given = np.concatenate([np.arange(count), random.integers(0, count, films - count)])
    shares = random.dirichlet([draw(st.sampled_from([0.05, 1.0, 20.0]))] * count, films)
    return Sides(tuple("abcd"[:count]), given, shares)


@given(made_sides())
@settings(max_examples=60, deadline=None)
def test_the_share_of_wrong_labels_is_that_of_cleanlabs_confident_joint(sides: Sides) -> None:
    joint = compute_confident_joint(sides.given, sides.shares, calibrate=False)
    expected = 1 - joint.diagonal() / joint.sum(1)
    assert wrong_shares(sides, np.ones(len(sides.given))) == pytest.approx(expected)


@given(made_sides(), st.integers(0, 2**32 - 1))
@settings(max_examples=30, deadline=None)
def test_a_film_that_counts_twice_is_as_two_films(sides: Sides, seed: int) -> None:
    times = np.random.default_rng(seed).integers(0, 4, len(sides.given))
    times[: len(sides.names)] += 1  # a label that is not there at all has no share
    repeated = Sides(sides.names, np.repeat(sides.given, times), np.repeat(sides.shares, times, axis=0))
    weighted = wrong_shares(sides, times.astype(np.float64))
    assert weighted == pytest.approx(wrong_shares(repeated, np.ones(times.sum())))


@given(made_sides())
@settings(max_examples=60, deadline=None)
def test_the_score_is_cleanlabs_self_confidence_turned_round(sides: Sides) -> None:
    quality = get_label_quality_scores(sides.given, sides.shares, method="self_confidence")
    assert doubt_of(sides) == pytest.approx(1 - quality)
    rows = flagged(sides)  # whatever few films there are of a label
    assert (np.diff(quality[rows]) >= 0).all() and len(np.unique(rows)) == len(rows)


def test_flipped_labels_are_counted_within_the_interval_where_the_model_is_good() -> None:
    random = np.random.default_rng(1)
    truth = np.arange(2000) % 2
    odds = random.normal(0, 1, 2000) + np.where(truth, 4, -4)
    chance = 1 / (1 + np.exp(-odds))
    flipped = random.random(2000) < np.where(truth, 0.10, 0.04)
    sides = Sides(("a", "b"), np.where(flipped, 1 - truth, truth), np.column_stack([1 - chance, chance]))
    estimate = Estimate(sides, np.arange(2000) // 2, Resampling(300))
    for films in (None, sides.given == 0, sides.given == 1):
        figure = estimate.share(films)
        assert figure.low is not None and figure.high is not None
        assert figure.low <= flipped[slice(None) if films is None else films].mean() <= figure.high
        assert figure.high - figure.low < 0.06


def opinion_of(labels: list[str | None], may_be: list[list[int]], truth: list[bool], shares: Any) -> Opinion:
    card = replace(tiny_card(), classes=["normal", "other", "bacterial", "viral"], positive=["bacterial", "viral"])
    films = pl.DataFrame(
        {"label": labels, "may_be": may_be, "truth": truth},
        {"label": pl.String, "may_be": pl.List(pl.Int64), "truth": pl.Boolean},
    )
    return Opinion(card, films, np.array(shares, np.float64), "a test")


def test_classes_that_a_label_may_stand_for_are_one_side() -> None:
    """`opacity` is bacterial or viral, so none of the three can be told to be wrong for another."""
    shares = [[0.7, 0.1, 0.1, 0.1], [0.1, 0.1, 0.2, 0.6], [0.2, 0.2, 0.3, 0.3]]
    sides = sides_of(opinion_of(["normal", "opacity", "viral"], [[0], [2, 3], [3]], [False, True, True], shares))
    # nobody is labeled `other`, which means no pneumonia as `normal` does
    assert sides.names == ("normal", "pneumonia")
    assert sides.given.tolist() == [0, 1, 1]
    assert sides.shares == pytest.approx(np.array([[0.8, 0.2], [0.2, 0.8], [0.4, 0.6]]))


def test_a_label_that_the_model_does_not_know_is_taken_by_what_it_means() -> None:
    shares = [[0.6, 0.2, 0.1, 0.1]] * 3
    sides = sides_of(opinion_of(["effusion", "bacterial", "viral"], [[], [2], [3]], [False, True, True], shares))
    assert sides.names == ("effusion", "bacterial", "viral")
    assert sides.shares[0] == pytest.approx([0.8, 0.1, 0.1])


def test_labels_that_all_mean_the_same_cannot_be_doubted() -> None:
    with pytest.raises(EvaluationError, match="mean the same to the model"):
        sides_of(opinion_of(["normal", "normal"], [[0], [0]], [False, False], [[0.25] * 4] * 2))


FLIPPED = 5  # places in the table of whom the labels are made wrong


@pytest.fixture(scope="module")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Films that are brighter with pneumonia, the brightest and the darkest under each other's label; a copy of a film
    under another label, and boxes here and there."""
    folder = tmp_path_factory.mktemp("films")
    path = write_data_set(folder, films=80)
    loaded = load_manifest(path)
    with load(tiny_bundle(tmp_path_factory.mktemp("bundle"))) as model:
        answers = model.predict([loaded.path(film) for film in loaded.table["path"]], hilum.Asked(gate=False))
    chances = np.array([answer.probability for answer in answers if isinstance(answer, hilum.Answered)])
    truth = loaded.table["pneumonia"].to_numpy()
    order = np.argsort(np.where(truth, chances, 1 - chances))  # those whose label the model is surest of come last
    wrong = np.isin(np.arange(80), order[-FLIPPED:])
    table = loaded.table.with_columns(
        pl.Series("label", np.where(truth ^ wrong, "pneumonia", "normal")),
        pl.Series("pneumonia", truth ^ wrong),
        pl.Series("made_wrong", wrong),
        pl.Series(
            "boxes", [[[0.2, 0.2, 0.3, 0.4]] if sick else [] for sick in truth ^ wrong], loaded.table["boxes"].dtype
        ),
    )
    save_manifest(Manifest(table, folder), path)
    return path


@pytest.fixture(scope="module")
def doubts(manifest: Path, tmp_path_factory: pytest.TempPathFactory) -> Doubts:
    return hilum.doubt(manifest, bundle=tiny_bundle(tmp_path_factory.mktemp("b")))


def test_labels_that_were_made_wrong_come_first(doubts: Doubts, manifest: Path) -> None:
    table = load_manifest(manifest).table
    wrong = set(table.filter("made_wrong")["path"])
    assert {suspect.path for suspect in doubts.suspects[:FLIPPED]} == wrong
    labels = dict(table.select("path", "label").iter_rows())
    for suspect in doubts.suspects[:FLIPPED]:
        assert suspect.label == labels[suspect.path]
        assert suspect.suggested == ("normal" if suspect.label == "pneumonia" else "pneumonia")
        assert "the model gives" in suspect.reason
    assert [suspect.score for suspect in doubts.suspects] == sorted((s.score for s in doubts.suspects), reverse=True)
    assert [wrong.of for wrong in doubts.wrong] == [
        "all",
        "labeled normal",
        "labeled pneumonia",
        "from here",
        "from there",
    ]
    assert json.loads(json.dumps(doubts.to_dict()))["wrong"][0]["films"] == 80


def test_copies_and_boxes_need_no_model(manifest: Path, tmp_path: Path) -> None:
    loaded = load_manifest(manifest)
    for side in ("test", "train"):
        (tmp_path / side).symlink_to(loaded.folder / side)
    first = loaded.table.filter(pl.col("label") == "normal").head(1)
    copy = tmp_path / "copy.png"
    copy.write_bytes(loaded.path(first["path"][0]).read_bytes())
    doubled = first.with_columns(path=pl.lit("copy.png"), label=pl.lit("pneumonia"), pneumonia=pl.lit(True))
    table = pl.concat([loaded.table, doubled])  # the copy keeps its empty boxes
    save_manifest(Manifest(table, tmp_path), tmp_path / "manifest.parquet")
    doubts = hilum.doubt(tmp_path / "manifest.parquet")
    found = {suspect.path: suspect for suspect in doubts.suspects}
    assert set(found) == {"copy.png", first["path"][0]}
    assert found["copy.png"].found_by == ("copies", "boxes") and found["copy.png"].suggested == "normal"
    assert found[first["path"][0]].suggested == "pneumonia"
    assert "normal and pneumonia" in found["copy.png"].reason and "without a box" in found["copy.png"].reason
    assert not doubts.wrong and "no model was named" in doubts.notes[0]


def test_films_that_the_bundle_learned_from_are_left_out(manifest: Path, tmp_path: Path) -> None:
    table = load_manifest(manifest).table
    known = table.filter(pl.col("split") == "train")["file_digest"]
    some = replace(tiny_card().data, films={"train": pack_digests([*known])})
    doubts = hilum.doubt(manifest, bundle=tiny_bundle(tmp_path, data=some))
    assert doubts.wrong[0].films == 40 and "40 films left out, on which the bundle was trained" in doubts.notes[0]
    assert {s.split for s in doubts.suspects if "model" in s.found_by} == {"test"}
    every = replace(tiny_card().data, films={"train": pack_digests([*table["file_digest"]])})
    with pytest.raises(EvaluationError, match="by heart; train with `hilum train MANIFEST --folds 5"):
        hilum.doubt(manifest, bundle=tiny_bundle(tmp_path, data=every))


@pytest.fixture(scope="module")
def folds(manifest: Path, tmp_path_factory: pytest.TempPathFactory) -> Folds:
    """As `hilum train --folds` leaves them, by a network made by hand: each half of the films is judged once."""
    folds = Folds(tmp_path_factory.mktemp("folds"), 2)
    (folds.folder / "folds.json").write_text(json.dumps({"folds": 2}))
    loaded = load_manifest(manifest)
    for fold, split in enumerate(("train", "test")):
        folds.run(fold).mkdir()
        tiny_bundle(folds.run(fold)).rename(folds.bundle(fold))
        with load(folds.bundle(fold)) as model:
            films = Manifest(loaded.table.filter(pl.col("split") == split), loaded.folder)
            save_predictions(judge(model, DataSet(films, "fold"), Scope("all")).predictions, folds.predictions(fold))
    return folds


def test_folds_judge_each_film_once(folds: Folds, manifest: Path, doubts: Doubts) -> None:
    by_folds = hilum.doubt(manifest, run=folds.folder)
    assert [suspect.path for suspect in by_folds.suspects] == [suspect.path for suspect in doubts.suspects]
    assert [s.score for s in by_folds.suspects] == pytest.approx([s.score for s in doubts.suspects])
    assert by_folds.origin.startswith("2 networks of folds")


def test_labels_changed_since_are_judged_as_they_are_now(folds: Folds, manifest: Path, tmp_path: Path) -> None:
    loaded = load_manifest(manifest)
    right = pl.col("pneumonia") ^ pl.col("made_wrong")
    table = loaded.table.with_columns(
        label=pl.when(right).then(pl.lit("pneumonia")).otherwise(pl.lit("normal")), pneumonia=right
    )
    doubts = hilum.doubt(Manifest(table, loaded.folder), run=folds.folder)
    assert f"{FLIPPED} labels changed since the folds learned" in doubts.notes[0]
    wrong = set(loaded.table.filter("made_wrong")["path"])
    assert not {suspect.path for suspect in doubts.suspects if "model" in suspect.found_by} & wrong


def run(*words: str | Path) -> Any:
    return CliRunner().invoke(app, ["data", "doubt", *map(str, words)])


def test_the_command_prints_the_worst_and_writes_list_and_page(manifest: Path, folds: Folds, tmp_path: Path) -> None:
    listed, page = tmp_path / "suspects.csv", tmp_path / "doubt.html"
    result = run(manifest, "--run", folds.folder, "--csv", listed, "--html", page)
    assert result.exit_code == 0, result.output
    lines = [line.split("\t") for line in result.stdout.splitlines()]
    assert lines[0] == ["labels", "films", "wrong by estimate", "share", "95% interval"] and lines[1][:2] == [
        "all",
        "80",
    ]
    with listed.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0])[:5] == ["path", "label", "suggested", "score", "reason"]
    assert lines[-min(len(rows), 10)][3] == rows[0]["path"]
    html = page.read_text()
    assert html.count("data:image/jpeg") >= FLIPPED and "Research use only, not a medical device" in html
    assert "secret-" not in html and "http" not in html and str(manifest.parent) not in html


def test_what_cannot_be_doubted_is_one_line(manifest: Path, folds: Folds, tmp_path: Path) -> None:
    for words, reason in (
        ((manifest, "--run", tmp_path), "holds no folds; make them with `hilum train MANIFEST --folds 5 -o RUN`"),
        ((manifest, "--run", folds.folder, "--bundle", "default"), "not both"),
        ((manifest, "--csv", tmp_path / "nowhere" / "s.csv"), "there is no such folder"),
        ((tmp_path / "none.csv",), "none.csv"),
    ):
        result = run(*words)
        assert result.exit_code == 1 and reason in result.stderr
        assert len(result.stderr.strip().splitlines()) == 1
