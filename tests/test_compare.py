"""Two models on the same films: DeLong by its definition, McNemar by statsmodels, pairs by digest."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from html import unescape
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from judged import random_films
from numpy.typing import NDArray
from statsmodels.stats.contingency_tables import mcnemar as reference_mcnemar

from hilum.evaluation.comparison.paired import compare_predictions, match
from hilum.evaluation.predictions import Failure, Predictions, load_predictions, save_predictions
from hilum.evaluation.report.comparison import describe_comparison, make_comparison_report, verdicts
from hilum.evaluation.report.page import write_page
from hilum.measures.bootstrap import Resampling
from hilum.measures.delong import delong, delong_covariance
from hilum.measures.figure import EvaluationError
from hilum.measures.mcnemar import mcnemar


def predictions(name: str, seed: int = 1, skill: float = 1.5, count: int = 120) -> Predictions:
    films = random_films(count, 1)
    p = random_films(count, seed, skill).probability if seed != 1 else films.probability
    truth = films.truth
    p = np.clip(0.5 * p + 0.25 * truth * skill / 2, 0, 1)
    return Predictions(
        name=name,
        classes=("normal", "pneumonia"),
        thresholds=np.full(count, 0.5),
        paths=tuple(f"films/{row}.png" for row in range(count)),
        digests=tuple(f"{row:032x}" for row in range(count)),
        patients=films.patients,
        labels=tuple("viral" if sick else "" for sick in truth),
        truth=truth,
        targets=truth.astype(np.int64),
        probability=p,
        class_probabilities=np.column_stack([1 - p, p]),
        gate=tuple("inverted" if row == 3 else "passed" for row in range(count)),
        failures=(Failure("films/broken.png", "", "truncated: no pixels, none"),),
    )


def covariance_by_definition(scores: list[NDArray[np.float64]], truth: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Components of DeLong et al. 1988 for every pair of films."""

    def wins(sick: float, healthy: float) -> float:
        return 1.0 if sick > healthy else 0.5 if sick == healthy else 0.0

    of_sick = [[np.mean([wins(x, y) for y in s[~truth]]) for x in s[truth]] for s in scores]
    of_healthy = [[np.mean([wins(x, y) for x in s[truth]]) for y in s[~truth]] for s in scores]
    made = np.zeros((len(scores), len(scores)))
    for (r, s), parts in product(product(range(len(scores)), repeat=2), (of_sick, of_healthy)):
        first, second = np.array(parts[r]), np.array(parts[s])
        made[r, s] += ((first - first.mean()) * (second - second.mean())).sum() / (len(first) - 1) / len(first)
    return made


@given(st.integers(0, 10**6), st.sampled_from([1, 2]))
@settings(max_examples=20, deadline=None)
def test_the_covariance_of_aurocs_is_that_of_the_definition(seed: int, digits: int) -> None:
    random = np.random.default_rng(seed)
    truth = np.arange(24) % 3 == 0
    scores = [np.round(random.random(24), digits) for _ in range(3)]
    aurocs, covariance = delong_covariance(list(scores), truth)
    assert covariance == pytest.approx(covariance_by_definition(scores, truth))
    assert all(0 <= value <= 1 for value in aurocs)


def test_delong_finds_a_real_difference_and_none_where_there_is_none() -> None:
    films = random_films(600)
    random = np.random.default_rng(9)
    assert delong(random.random(600), films.probability, films.truth).p_value < 1e-6
    same = delong(films.probability, films.probability, films.truth)
    assert (same.difference, same.p_value) == (0, 1)
    # A monotone change moves no pair of films.
    assert delong(films.probability, films.probability**2, films.truth).p_value == 1


def test_under_no_difference_delong_says_so_in_all_but_about_one_of_twenty_cases() -> None:
    random, found = np.random.default_rng(11), 0
    for _ in range(200):
        truth = np.arange(60) % 2 == 0
        first, second = (1 / (1 + np.exp(-(random.normal(size=60) + truth))) for _ in range(2))
        found += delong(first, second, truth).p_value < 0.05
    assert 2 <= found <= 22


@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=80))
@settings(max_examples=60, deadline=None)
def test_mcnemar_is_that_of_statsmodels(pairs: list[tuple[bool, bool]]) -> None:
    first, second = (np.array(side) for side in zip(*pairs, strict=True))
    table = [[(first & second).sum(), (first & ~second).sum()], [(~first & second).sum(), (~first & ~second).sum()]]
    made = mcnemar(first, second)
    assert made.p_value == pytest.approx(reference_mcnemar(table, exact=True).pvalue)
    assert (made.only_first, made.only_second) == (table[0][1], table[1][0])


def test_mcnemar_of_many_films_is_the_corrected_approximation() -> None:
    first = np.arange(4000) < 2150
    made = mcnemar(first, ~first)
    expected = reference_mcnemar([[0, 2150], [1850, 0]], exact=False, correction=True).pvalue
    assert made.p_value == pytest.approx(expected)
    assert made.method.startswith("chi-squared")


def test_films_are_matched_by_their_digests_in_any_order() -> None:
    first, second = predictions("a"), predictions("b", 2)
    shuffled = second.take(np.random.default_rng(1).permutation(len(second))[:100])
    aligned, notes = match([first, shuffled])
    assert aligned[0].digests == aligned[1].digests
    assert len(aligned[0]) == 100
    assert notes == ["20 films of a left out: not judged by all models."]
    for row, digest in enumerate(aligned[1].digests):
        assert aligned[1].probability[row] == second.probability[second.digests.index(digest)]


def test_copies_of_a_film_are_matched_one_by_one() -> None:
    first = replace(predictions("a", count=6), digests=("x", "y", "x", "x", "z", "y"))
    aligned, notes = match([first, replace(first, name="b").take(np.array([5, 4, 3, 2, 1]))])
    assert sorted(aligned[0].digests) == ["x", "x", "y", "y", "z"]
    assert notes == ["1 film of a left out: not judged by all models."]


def test_what_cannot_be_compared_is_refused() -> None:
    first, second = predictions("a"), predictions("b", 2)
    with pytest.raises(EvaluationError, match="two or more"):
        match([first])
    other = second.take(np.arange(10))
    other = replace(other, truth=~other.truth)
    with pytest.raises(EvaluationError, match="another truth for 10 films"):
        match([first, other])
    strangers = replace(second, digests=tuple("f" * 32 + d for d in second.digests))
    with pytest.raises(EvaluationError, match="no film in common"):
        match([first, strangers])


def test_a_comparison_is_paired() -> None:
    first = predictions("a")
    # Nearly the same model: films decide together, so the difference is known far better than either AUROC.
    second = replace(first, name="b", probability=np.clip(first.probability + 0.001, 0, 1))
    third = predictions("c", 5, 0.2)
    made = compare_predictions([first, second, third], Resampling(300))
    near, far = made.differences
    assert near.figures["auroc"].value == pytest.approx(0, abs=1e-9)
    assert near.figures["auroc"].high == pytest.approx(0, abs=1e-3)
    assert near.delong is not None and near.delong.p_value > 0.3
    apart = far.figures["auroc"]
    assert apart.value is not None and apart.high is not None
    assert apart.value < 0
    assert apart.high < 0
    assert far.delong is not None and far.delong.p_value < 0.05
    assert far.delong.difference == pytest.approx(apart.value)
    # Two ways to the same interval.
    assert apart.low == pytest.approx(far.delong.low, abs=0.03)
    json.dumps(describe_comparison(made), allow_nan=False)
    page = write_page(make_comparison_report(made))
    assert page.count("<svg") == 4
    assert "No difference shown between b and a" in page
    assert "c ranks films less well (AUROC 0." in page


def test_a_verdict_is_in_plain_words() -> None:
    first, second = predictions("a"), predictions("a second")
    made = compare_predictions([first, second], Resampling(200))
    assert verdicts(made)[0].startswith("No difference shown between a second and a: AUROC ")
    # The same ranking at another threshold: more is called, of the sick and of the healthy.
    bolder = replace(second, thresholds=np.full(len(second), 0.25))
    (sentence,) = verdicts(compare_predictions([first, bolder], Resampling(200)))
    assert "recognizes more of the pneumonia" in sentence
    assert "clears fewer of the films without it" in sentence
    assert "In ranking films no difference is shown" in sentence
    assert "as another threshold would" in sentence
    # One class alone: nothing can be ranked, and that is no verdict on ranking.
    sick = np.flatnonzero(first.truth)
    (alone,) = verdicts(compare_predictions([first.take(sick), second.take(sick)], Resampling(200)))
    assert "AUROC" not in alone and "specificity" not in alone


def test_names_of_models_are_text_and_nothing_else() -> None:
    nasty = '<img src=x onerror="alert(1)">'
    models = [replace(predictions("a"), name=name) for name in (nasty, "_hidden", "$x$ & \\frac")]
    page = write_page(make_comparison_report(compare_predictions(models, Resampling(50))))
    assert "<img" not in page
    curves = page[page.index("<svg") : page.index("</svg>")]
    written = re.findall(r"<text[^>]*>([^<]*)</text>", curves)
    for name in (nasty, "_hidden", "$x$ & \\frac"):
        assert name in [unescape(text).strip() for text in written], "in the legend, as it is"


def test_predictions_come_back_from_their_file_to_the_last_digit(tmp_path: Path) -> None:
    made = predictions("model")
    (tmp_path / "model").mkdir()
    save_predictions(made, tmp_path / "model" / "predictions.csv")
    for path in (tmp_path / "model", tmp_path / "model" / "predictions.csv"):
        again = load_predictions(path)
        assert again.name == "model"
        for name in ("classes", "threshold", "paths", "digests", "labels", "gate", "failures"):
            assert getattr(again, name) == getattr(made, name)
        for name in ("patients", "truth", "targets", "probability", "class_probabilities"):
            assert (getattr(again, name) == getattr(made, name)).all()
    lines = (tmp_path / "model" / "predictions.csv").read_text(encoding="utf-8").splitlines()
    assert "abstain,inverted," in lines[4]
    assert lines[-1].endswith('"truncated: no pixels, none"')


@pytest.mark.parametrize(
    ("column", "value", "expected"),
    [
        ("probability", "nan", "line 2, column probability: no number from 0 to 1"),
        ("probability", "", "line 2, column probability"),
        ("threshold", "0.7", "several thresholds"),
        ("truth", "maybe", "truth is 0 or 1"),
        ("patient", "Jane", "patient a number"),
        ("target", "cat", "none of the classes"),
    ],
)
def test_a_damaged_file_is_named_with_its_line(tmp_path: Path, column: str, value: str, expected: str) -> None:
    path = tmp_path / "predictions.csv"
    save_predictions(predictions("model", count=6), path)
    lines = [line.split(",") for line in path.read_text(encoding="utf-8").splitlines()]
    lines[1][lines[0].index(column)] = value
    path.write_text("\n".join(",".join(line) for line in lines), encoding="utf-8")
    with pytest.raises(EvaluationError, match=expected):
        load_predictions(path)


def test_another_table_is_refused_by_the_column_it_lacks(tmp_path: Path) -> None:
    path = tmp_path / "other.csv"
    path.write_text("path,score\na.png,0.5\n", encoding="utf-8")
    with pytest.raises(EvaluationError, match="has no column 'file_digest'"):
        load_predictions(path)
