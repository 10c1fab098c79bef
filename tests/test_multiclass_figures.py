"""Figures of several classes against scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn import metrics

from hilum.measures.bootstrap import Resampling
from hilum.measures.figure import EvaluationError
from hilum.measures.films.multiclass import by_class

CLASSES = ("normal", "bacterial", "viral")


def films(seed: int, count: int = 60) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    random = np.random.default_rng(seed)
    targets = random.integers(0, 3, count)
    targets[:3] = (0, 1, 2)
    scores = random.normal(size=(count, 3)) + 1.2 * np.eye(3)[targets]
    shares = np.exp(scores)
    return shares / shares.sum(1, keepdims=True), targets


@given(st.integers(0, 10**6))
@settings(max_examples=20, deadline=None)
def test_figures_of_classes_are_those_of_scikit_learn(seed: int) -> None:
    p, t = films(seed)
    made = by_class(p, t, CLASSES, np.arange(len(t)), Resampling(30))
    called = p.argmax(1)
    assert made.confusion.tolist() == metrics.confusion_matrix(t, called, labels=range(3)).tolist()
    precision, recall, f1, support = metrics.precision_recall_fscore_support(
        t, called, labels=range(3), zero_division=0
    )
    for number, name in enumerate(CLASSES):
        figures = made.of_class[name]
        assert figures["recall"].value == pytest.approx(recall[number])
        assert figures["recall"].of == support[number]
        assert figures["f1"].value == pytest.approx(f1[number])
        assert figures["auroc"].value == pytest.approx(metrics.roc_auc_score(t == number, p[:, number]))
        if (called == number).any():
            assert figures["precision"].value == pytest.approx(precision[number])
    overall = made.overall
    assert overall["accuracy"].value == pytest.approx(metrics.accuracy_score(t, called))
    assert overall["balanced_accuracy"].value == pytest.approx(metrics.balanced_accuracy_score(t, called))
    assert overall["macro_f1"].value == pytest.approx(f1.mean())
    assert overall["macro_precision"].value == pytest.approx(precision.mean())
    assert overall["macro_auroc"].value == pytest.approx(metrics.roc_auc_score(t, p, multi_class="ovr"))
    for figure in overall.values():
        assert figure.low is not None and figure.high is not None and figure.value is not None
        assert figure.low <= figure.value <= figure.high


def test_a_class_without_films_has_no_figures_and_macro_figures_are_of_the_others() -> None:
    p, t = films(1)
    p, t = p[t != 2], t[t != 2]
    made = by_class(p, t, CLASSES, np.arange(len(t)), Resampling(30))
    assert made.of_class["viral"]["recall"].why == "no film is viral"
    there = [made.of_class[name] for name in CLASSES if name != "viral"]
    for name in ("recall", "auroc", "f1"):
        macro = {"recall": "balanced_accuracy"}.get(name, f"macro_{name}")
        assert made.overall[macro].value == pytest.approx(np.mean([figures[name].value for figures in there]))
    assert made.overall["accuracy"].value == pytest.approx(np.mean(p.argmax(1) == t))


def test_one_film_is_enough_for_an_accuracy() -> None:
    made = by_class([[0.2, 0.5, 0.3]], [1], CLASSES, [7], Resampling(10))
    assert made.overall["accuracy"].value == 1
    assert made.overall["balanced_accuracy"].value is None


def test_what_cannot_be_judged_is_refused() -> None:
    p, t = films(1)
    p[4, 0] = np.nan
    with pytest.raises(EvaluationError, match="1 of 60 films have probabilities that are no numbers"):
        by_class(p, t, CLASSES, np.arange(len(t)))
    with pytest.raises(EvaluationError, match="none of the classes"):
        by_class([[0.5, 0.3, 0.2]], [3], CLASSES, [1])
    with pytest.raises(EvaluationError, match="not one film"):
        by_class(np.empty((0, 3)), [], CLASSES, [])
