"""`hilum evaluate --readings`: made-up readers of films that a bundle judges, as a user meets them."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import polars as pl
import pytest
from bundles import tiny_bundle
from judged import write_data_set
from numpy.typing import NDArray
from sklearn.metrics import cohen_kappa_score, recall_score
from statsmodels.stats.inter_rater import aggregate_raters, fleiss_kappa
from typer.testing import CliRunner

import hilum
from hilum.bundle.predictor import load
from hilum.cli.app import app
from hilum.dataset.manifest.manifest import Manifest, load_manifest
from hilum.dataset.readings.folder import add_reading
from hilum.dataset.readings.reading import Box, Reading, Saw
from hilum.evaluation.data_set import DataSet
from hilum.evaluation.evaluate import Report
from hilum.evaluation.judge import Scope, judge
from hilum.evaluation.readers.film_readings import FilmReadings
from hilum.evaluation.readers.study import ReaderStudy, study_readers
from hilum.evaluation.readers.times import times_saved
from hilum.measures.bootstrap import Resampling, draw
from hilum.measures.figure import EvaluationError

READERS = {"zoe-marie": 0.95, "anna-lena": 0.85, "ben-ari": 0.7}  # how often each is right
LABELS = np.array(["NORMAL", "PNEUMONIA"])


@pytest.fixture(scope="module")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_data_set(tmp_path_factory.mktemp("films"), films=96)


def reading(film: dict[str, Any], reader: str, label: str | None, **others: Any) -> Reading:
    given: dict[str, Any] = {"given": "2026-01-01T00:00:00+00:00", "seconds": 10.0} | others
    return Reading(reader=reader, film=film["path"], digest=film["file_digest"], label=label, **given)


@pytest.fixture(scope="module")
def calls(manifest: Path) -> dict[str, dict[str, bool]]:
    """What each reader says of each test film: does it show pneumonia?"""
    test = load_manifest(manifest).table.filter(pl.col("split") == "test")
    random = np.random.default_rng(4)
    return {
        reader: {
            path: bool(truth ^ (random.random() > skill))
            for path, truth in test.select("path", "pneumonia").iter_rows()
        }
        for reader, skill in READERS.items()
    }


@pytest.fixture(scope="module")
def folder(manifest: Path, calls: dict[str, dict[str, bool]], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Zoe reads every film, and ten of them twice; Anna all but two; Ben all, the last twelve with the answer."""
    folder = tmp_path_factory.mktemp("read")
    films = load_manifest(manifest).table.filter(pl.col("split") == "test").sort("path").to_dicts()
    labels = sorted({film["label"] for film in films})
    for number, film in enumerate(films):
        for reader, said in calls.items():
            label = labels[said[film["path"]]]
            if reader == "anna-lena" and number < 2:
                add_reading(folder, reading(film, reader, None, readable=False))
                continue
            boxes = [Box(10, 10, 20, 20)] if said[film["path"]] else []
            saw = "answer" if reader == "ben-ari" and number >= len(films) - 12 else "nothing"
            seconds = 4.0 if saw == "answer" else 10.0 + number % 3
            add_reading(folder, reading(film, reader, label, boxes=boxes, saw=saw, seconds=seconds))
        if number < 10:
            add_reading(folder, reading(film, "zoe-marie", labels[said_again(film, calls, number)], repeat=1))
    add_reading(folder, reading(films[0], "zoe-marie", labels[1], round="adjudication"))
    add_reading(folder, Reading("zoe-marie", "elsewhere.png", "0" * 32, "2026-01-01T00:00:00+00:00", 1.0, labels[0]))
    return folder


def said_again(film: dict[str, Any], calls: dict[str, dict[str, bool]], number: int) -> bool:
    return calls["zoe-marie"][film["path"]] ^ (number % 5 == 0)


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_bundle(tmp_path_factory.mktemp("bundle"))


@pytest.fixture(scope="module")
def report(bundle: Path, manifest: Path, folder: Path) -> Report:
    return hilum.evaluate(bundle, manifest, split="test", readings=folder)


@pytest.fixture(scope="module")
def study(report: Report) -> ReaderStudy:
    assert report.evaluation.readers is not None
    return report.evaluation.readers


def test_readers_go_by_letters(study: ReaderStudy, report: Report) -> None:
    assert study.readers.names == ("anna-lena", "ben-ari", "zoe-marie") and study.readers.readers == ("A", "B", "C")
    text = json.dumps(report.to_dict())
    assert not any(name in text for name in READERS)


def test_each_reader_has_the_figures_of_his_own_films(
    study: ReaderStudy, report: Report, calls: dict[str, dict[str, bool]]
) -> None:
    films = report.evaluation.judgement.predictions
    zoe = next(each for each in study.beside if each.reader == "C")
    said = np.array([calls["zoe-marie"][path] for path in films.paths])
    assert zoe.figures["sensitivity"].value == pytest.approx(recall_score(films.truth, said))
    assert zoe.figures["specificity"].value == pytest.approx(recall_score(~films.truth, ~said))
    assert zoe.model["sensitivity"].value == pytest.approx(recall_score(films.truth, films.called))
    less = zoe.differences["sensitivity"]
    assert less.value == pytest.approx(recall_score(films.truth, films.called) - recall_score(films.truth, said))
    assert less.low is not None and less.high is not None and less.low <= (less.value or 0) <= less.high
    assert zoe.films == len(films) and zoe.seconds.value == 11.0


def test_films_read_with_the_answer_stand_apart(study: ReaderStudy) -> None:
    ben = {each.saw: each for each in study.beside if each.reader == "B"}
    assert (ben["nothing"].films, ben["answer"].films) == (36, 12)
    assert ben["answer"].seconds.value == 4.0 < (ben["nothing"].seconds.value or 0)
    assert next(each for each in study.beside if each.reader == "A").films == 46


def test_agreement_is_that_of_other_packages(
    study: ReaderStudy, manifest: Path, calls: dict[str, dict[str, bool]]
) -> None:
    paths = sorted(calls["zoe-marie"])
    pairs = {(each.first, each.second): each for each in study.agreements}
    both = paths[2:]
    assert pairs["A", "C"].kappa.value == pytest.approx(
        cohen_kappa_score([calls["anna-lena"][path] for path in both], [calls["zoe-marie"][path] for path in both])
    )
    everyone = paths[2:-12]
    given = np.array([[calls[reader][path] for reader in READERS] for path in everyone]).astype(int)
    assert pairs["all", ""].films == len(everyone)
    assert pairs["all", ""].kappa.value == pytest.approx(fleiss_kappa(aggregate_raters(given, 2)[0]))
    again = [calls["zoe-marie"][path] ^ (number % 5 == 0) for number, path in enumerate(paths[:10])]
    assert pairs["C", "C"].kappa.value == pytest.approx(
        cohen_kappa_score([calls["zoe-marie"][p] for p in paths[:10]], again)
    )
    boxes = pairs["A", "C"].boxes
    own, other = (np.array([calls[reader][path] for path in both]) for reader in ("anna-lena", "zoe-marie"))
    assert boxes is not None and boxes.same.value == pytest.approx(2 * (own & other).sum() / (own.sum() + other.sum()))


def test_model_less_readers_on_the_films_that_all_read(
    study: ReaderStudy, report: Report, calls: dict[str, dict[str, bool]]
) -> None:
    everyone = sorted(calls["zoe-marie"])[2:-12]
    films = report.evaluation.judgement.predictions
    rows = [films.paths.index(path) for path in everyone]
    truth, model = films.truth[rows], films.called[rows]
    of_readers = [recall_score(truth, [calls[reader][path] for path in everyone]) for reader in READERS]
    found = study.together["sensitivity"]
    assert found.over_films.value == pytest.approx(recall_score(truth, model) - np.mean(of_readers))
    assert found.over_readers is not None and found.over_readers.difference == pytest.approx(found.over_films.value)
    # other readers are one more thing that is not known
    wide = found.over_readers.high - found.over_readers.low
    assert found.over_films.high is not None and found.over_films.low is not None
    assert wide > found.over_films.high - found.over_films.low


def test_time_saved_by_the_answer_is_that_of_every_film_counted_out() -> None:
    """Against resamples that are written out film by film, of films read both ways and of others."""
    random = np.random.default_rng(6)
    films = 40
    patients = random.integers(0, 15, films)
    took = random.gamma(2, 5, (2, films)).round(1)

    def at(row: int, saw: Saw, repeat: Literal[0, 1] = 0) -> Reading:
        return Reading(
            "anna", f"{row}.png", "0", "2026-01-01", took[int(saw == "answer"), row], "n", saw=saw, repeat=repeat
        )

    both, alone, answered = range(12), range(12, 25), range(25, 40)
    given = FilmReadings(
        readers=("A",),
        names=("anna",),
        first={
            ("A", "nothing"): {row: at(row, "nothing") for row in (*both, *alone)},
            ("A", "answer"): {row: at(row, "answer") for row in answered},
        },
        again={"A": {row: at(row, "answer", 1) for row in both} | {13: at(13, "nothing", 1)}},
        means={},
        notes=(),
    )
    same, other = times_saved(given, patients, Resampling(400, 3))

    def interval(rows: Sequence[int], once: Callable[[NDArray[np.int64]], float]) -> list[float]:
        _, patient = np.unique(patients[list(rows)], return_inverse=True)
        drawn = [np.repeat(rows, counts[patient]) for counts in draw(patient.max() + 1, 400, 3)]
        return [float(each) for each in np.nanquantile([once(films) for films in drawn], [0.025, 0.975])]

    def medians(rows: NDArray[np.int64]) -> float:
        with_it, without = took[1][rows[rows >= 25]], took[0][rows[rows < 25]]
        return float(np.median(with_it) - np.median(without)) if len(with_it) and len(without) else float("nan")

    assert (same.on, same.with_answer, same.without) == ("same films", 12, 12)
    assert same.difference.value == pytest.approx(np.median(took[1, :12] - took[0, :12]))
    ends = interval(both, lambda rows: float(np.median((took[1] - took[0])[rows])))
    assert [same.difference.low, same.difference.high] == pytest.approx(ends)
    assert (other.on, other.with_answer, other.without) == ("other films", 15, 13)
    assert other.difference.value == pytest.approx(medians(np.array([*alone, *answered])))
    assert [other.difference.low, other.difference.high] == pytest.approx(interval([*alone, *answered], medians))


def test_time_saved_stands_in_the_report(report: Report) -> None:
    (saved,) = json.loads(json.dumps(report.to_dict()))["readers"]["times"]
    assert (saved["reader"], saved["on"], saved["with_answer"], saved["without"]) == ("B", "other films", 12, 36)
    assert saved["difference"]["value"] == -7.0 and saved["difference"]["low"] <= -7.0 <= saved["difference"]["high"]


def test_what_was_left_out_is_told(study: ReaderStudy) -> None:
    notes = " ".join(study.readers.notes)
    assert "1 reading of other films" in notes and "2 readings without a class" in notes
    assert "1 adjudication left out" in notes


def test_truth_that_readers_made_is_told(bundle: Path, manifest: Path, folder: Path, tmp_path: Path) -> None:
    loaded = load_manifest(manifest)
    made = pl.when(pl.col("split") == "test").then(pl.lit("2 of 3 readers")).alias("label_origin")
    films = Manifest(loaded.table.with_columns(made), loaded.folder)
    study = study_readers(judge(load(bundle), DataSet(films, "adopted"), Scope("test")), folder)
    assert "labels of 48 of the 48 films were made from readings" in study.readers.notes[0]


def test_ordered_labels_get_a_weighted_kappa(bundle: Path, manifest: Path, tmp_path: Path) -> None:
    films = load_manifest(manifest).table.filter(pl.col("split") == "test").sort("path").to_dicts()
    random = np.random.default_rng(5)
    grades = np.array(["none", "some", "much"])
    given = random.integers(0, 3, (2, len(films)))
    for film, own, other in zip(films, *given, strict=True):
        add_reading(tmp_path, reading(film, "anna-lena", grades[own]))
        add_reading(tmp_path, reading(film, "ben-ari", grades[other]))
    report = hilum.evaluate(bundle, manifest, split="test", readings=tmp_path, ordered=list(grades))
    assert report.evaluation.readers is not None
    (agreement,) = report.evaluation.readers.agreements
    assert agreement.quadratic is not None and agreement.linear is not None
    assert agreement.quadratic.value == pytest.approx(cohen_kappa_score(*given, weights="quadratic"))
    assert agreement.linear.value == pytest.approx(cohen_kappa_score(*given, weights="linear"))
    assert (
        not report.evaluation.readers.beside
        and "whether “much”, “none”, “some” means pneumonia is not known"
        in " ".join(report.evaluation.readers.readers.notes)
    )
    with pytest.raises(EvaluationError, match="--ordered: no reader gave 'severe'"):
        hilum.evaluate(bundle, manifest, split="test", readings=tmp_path, ordered=["none", "severe"])
    with pytest.raises(EvaluationError, match="--ordered is about readers' labels"):
        hilum.evaluate(bundle, manifest, split="test", ordered=list(grades))


def test_the_report_has_a_section_that_names_nobody(bundle: Path, manifest: Path, folder: Path, tmp_path: Path) -> None:
    words = ["evaluate", bundle, manifest, "--split", "test", "--readings", folder, "-o", tmp_path / "out"]
    answer = CliRunner().invoke(app, list(map(str, words)))
    assert answer.exit_code == 0, answer.output
    assert "A is anna-lena, B is ben-ari, C is zoe-marie" in answer.stderr
    page = (tmp_path / "out" / "report.html").read_text()
    assert "Readers and model" in page and "Reader B, with the answer" in page and f"--readings {folder.name}" in page
    assert "Seconds a film with the answer in sight" in page and "other films" in page
    assert not any(name in page for name in READERS)
    stated = json.loads((tmp_path / "out" / "metrics.json").read_text())["readers"]
    assert stated["readers"] == ["A", "B", "C"] and stated["together"]["sensitivity"]["over_readers"]["low"] < 1


def test_a_folder_without_readings_of_these_films_is_one_line(bundle: Path, manifest: Path, tmp_path: Path) -> None:
    def ask() -> str:
        words = ["evaluate", bundle, manifest, "--split", "test", "--readings", tmp_path, "-o", tmp_path / "out"]
        answer = CliRunner().invoke(app, list(map(str, words)))
        assert answer.exit_code == 1 and len(answer.stderr.strip().splitlines()) == 1
        return answer.stderr

    assert "holds no readings" in ask()
    add_reading(tmp_path, Reading("anna-lena", "other.png", "0" * 32, "2026-01-01T00:00:00+00:00", 1.0, "NORMAL"))
    assert "holds no reading of the films of split test" in ask()
