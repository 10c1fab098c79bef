"""How sure the figures are, how sure twice the films would make them, and what difference they could show."""

from __future__ import annotations

import math
from typing import NamedTuple

from hilum.evaluation.predictions import Predictions
from hilum.measures.figure import Figure
from hilum.measures.films.excess import worth
from hilum.measures.intervals import Z, wilson
from hilum.measures.precision import smallest_of_auroc, smallest_of_shares

ALIKE = 0.5  # how much another model of the same films may have in common with this one
NAMES = ("auroc", "sensitivity", "specificity")


class Reach(NamedTuple):
    """Of a figure: its value, the width of its interval at these films and at twice as many patients, and how much
    worse another model must be for this test to show it, if the two have nothing in common or are alike by half.
    None is what cannot be said."""

    name: str
    films: int
    worth: float | None  # independent films that these are worth; of a share
    value: float | None
    width: float | None
    at_twice: float | None
    smallest: float | None
    smallest_if_alike: float | None


def reach(figures: dict[str, Figure], films: Predictions) -> list[Reach]:
    """Of the figures over all films."""
    return [_of_auroc(figures["auroc"], len(films)), *(_of_share(name, figures[name], films) for name in NAMES[1:])]


def _of_auroc(figure: Figure, films: int) -> Reach:
    if figure.value is None or figure.low is None or figure.high is None:
        return Reach("auroc", films, None, figure.value, None, None, None, None)
    width = figure.high - figure.low
    error = width / (2 * Z)
    smallest = [smallest_of_auroc(error, alike) for alike in (0.0, ALIKE)]
    # A difference that would take the other below chance is none that anyone looks for.
    found = [difference if 0 < difference <= figure.value - 0.5 else None for difference in smallest]
    return Reach("auroc", films, None, figure.value, width, width / math.sqrt(2), *found)


def _of_share(name: str, figure: Figure, films: Predictions) -> Reach:
    if figure.value is None or figure.of is None:
        return Reach(name, 0, None, None, None, None, None, None)
    of_class = films.truth if name == "sensitivity" else ~films.truth
    right = (films.called == films.truth)[of_class]
    alone = worth(right, films.patients[of_class])
    widths = []
    for count in (alone, 2 * alone):
        low, high = wilson(figure.value * count, count)
        widths.append(high - low)
    smallest = [smallest_of_shares(figure.value, alone, alike) for alike in (0.0, ALIKE)]
    return Reach(name, figure.of, alone, figure.value, *widths, *smallest)
