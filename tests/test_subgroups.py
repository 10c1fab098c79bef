"""Parts of the films, and heatmaps against boxes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from judged import random_films
from sklearn import metrics

from hilum.evaluation.heatmaps import point
from hilum.evaluation.predictions import Predictions
from hilum.evaluation.subgroups import Subgroup, age_band, subgroups
from hilum.measures.bootstrap import Resampling


def split_by(values: Sequence[str | None]) -> list[Subgroup]:
    p, t, patients = random_films(len(values))
    away = np.arange(len(values)) % 10 == 0
    paths = tuple(f"{row}.png" for row in range(len(values)))
    films = Predictions(
        name="model",
        classes=("normal", "pneumonia"),
        thresholds=np.full(len(values), 0.5),
        paths=paths,
        digests=paths,
        patients=patients,
        labels=paths,
        truth=t,
        targets=t.astype(np.int64),
        probability=p,
        class_probabilities=np.column_stack([1 - p, p]),
        gate=tuple("inverted" if turned else "passed" for turned in away),
    )
    return subgroups("ward", values, films, Resampling(50))


def test_each_group_has_the_figures_of_its_films() -> None:
    p, t, patients = random_films(300)
    values = ["PA" if row % 3 else "AP" for row in range(300)]
    groups = split_by(values)
    assert [group.name for group in groups] == ["AP", "PA"]
    for group in groups:
        members = np.array(values) == group.name
        assert group.films == members.sum()
        assert group.sick == t[members].sum()
        assert group.patients == len(np.unique(patients[members]))
        assert group.abstained == (members & (np.arange(300) % 10 == 0)).sum()
        assert group.figures["auroc"].value == pytest.approx(metrics.roc_auc_score(t[members], p[members]))
        assert not group.small


def test_films_without_a_value_are_a_group_and_small_groups_are_warned_of() -> None:
    groups = split_by(["PA"] * 280 + [None] * 20)
    assert [group.name for group in groups] == ["PA", "not known"]
    assert "read with care" in groups[1].small


def test_a_column_that_tells_nothing_makes_no_groups_and_one_of_many_values_puts_the_rare_together() -> None:
    assert split_by(["PA"] * 50) == []
    assert split_by([None] * 50) == []
    values = [f"ward {row % 12}" for row in range(288)] + [f"rare {row}" for row in range(12)]
    groups = split_by(values)
    assert len(groups) == 13
    assert (groups[-1].name, groups[-1].films) == ("others", 12)
    assert sum(group.films for group in groups) == 300


@given(st.floats(0, 130))
def test_every_age_has_a_band_that_holds_it(age: float) -> None:
    band = age_band(age)
    assert band is not None
    numbers = [int(word) for word in band.split() if word.isdigit()]
    if band.startswith("under"):
        assert age < numbers[0]
    elif "over" in band:
        assert age >= numbers[0]
    else:
        assert numbers[0] <= age < numbers[1] + 1


def test_ages_are_listed_young_to_old() -> None:
    groups = split_by([age_band(float(row % 90)) for row in range(270)])
    assert [group.name for group in groups] == [
        *("under 5", "5 to 17", "18 to 39", "40 to 59", "60 to 79", "80 and over")
    ]


def test_a_heatmap_points_where_its_highest_place_lies() -> None:
    heatmap = np.zeros((7, 7), np.float32)
    heatmap[1, 5] = 3  # top right
    right, left = np.array([[0.6, 0.0, 0.4, 0.4]]), np.array([[0.0, 0.5, 0.4, 0.5]])
    hit, missed = point(heatmap, right), point(heatmap, left)
    assert hit is not None and missed is not None
    assert hit.hit
    assert hit.energy == pytest.approx(1, abs=0.02)
    assert hit.area == pytest.approx(0.16, abs=0.01)
    assert not missed.hit
    assert missed.energy == 0


def test_a_heatmap_that_knows_nothing_gets_the_area_of_the_boxes_and_points_nowhere() -> None:
    box = np.array([[0.25, 0.25, 0.5, 0.5]])
    made = point(np.ones((7, 7), np.float32), box)
    assert made is not None
    assert made.energy == pytest.approx(made.area) == pytest.approx(0.25, abs=0.01)
    assert not made.hit
    against = point(np.full((7, 7), -1, np.float32), box)
    assert against is not None and against.energy == 0


def test_boxes_that_overlap_count_once_and_boxes_outside_do_not_count() -> None:
    heatmap = np.ones((7, 7), np.float32)
    made = point(heatmap, np.array([[0.0, 0.0, 0.5, 1.0], [0.0, 0.0, 0.5, 1.0]]))
    assert made is not None and made.area == pytest.approx(0.5, abs=0.01)
    assert point(heatmap, np.array([[1.2, 0.0, 0.5, 1.0]])) is None
