"""What a model's answer in sight does to the time that a reader takes for a film."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from hilum.dataset.readings.reading import Saw
from hilum.evaluation.readers.film_readings import ALONE, WITH_ANSWER, FilmReadings
from hilum.measures.bootstrap import Measure, Resampling, Weights, bootstrap, with_interval
from hilum.measures.figure import Figure, Floats


class TimeSaved(NamedTuple):
    """Seconds a film of one reader with the answer, less those without it.

    On the same films, read both ways, it is the median of the films' own differences; on other films, read one way
    each, the difference of the two medians.
    """

    reader: str
    on: Literal["same films", "other films"]
    with_answer: int
    without: int
    difference: Figure


def times_saved(readings: FilmReadings, patients: NDArray[np.generic], resampling: Resampling) -> Iterator[TimeSaved]:
    """Of each reader who read with the answer and without it. `patients` are those of the films that were judged."""
    for reader in readings.readers:
        seconds = {saw: _seconds(readings, reader, saw) for saw in (ALONE, WITH_ANSWER)}
        both = sorted(seconds[ALONE].keys() & seconds[WITH_ANSWER].keys())
        if both:
            apart = np.array([seconds[WITH_ANSWER][row] - seconds[ALONE][row] for row in both])
            drawn = bootstrap(patients[both], [median_measure(apart)], resampling)[:, 0]
            figure = with_interval(float(np.median(apart)), drawn, "")
            yield TimeSaved(reader, "same films", len(both), len(both), figure)
        alone, answered = ([row for row in sorted(seconds[saw]) if row not in both] for saw in (ALONE, WITH_ANSWER))
        if alone and answered:
            took = np.array([*(seconds[ALONE][row] for row in alone), *(seconds[WITH_ANSWER][row] for row in answered)])
            seen = np.arange(len(took)) >= len(alone)
            measures = [median_measure(took, seen), median_measure(took, ~seen)]
            drawn = bootstrap(patients[[*alone, *answered]], measures, resampling)
            once = float(np.median(took[seen]) - np.median(took[~seen]))
            figure = with_interval(once, drawn[:, 0] - drawn[:, 1], "")
            yield TimeSaved(reader, "other films", len(answered), len(alone), figure)


def _seconds(readings: FilmReadings, reader: str, saw: Saw) -> Mapping[int, float]:
    """By the film's row: of its first showing, or of its second where the first was the other way."""
    again = {row: each for row, each in readings.again.get(reader, {}).items() if each.saw == saw}
    first = readings.first.get((reader, saw), {})
    return {row: reading.seconds for row, reading in {**again, **first}.items()}


def median_measure(values: Floats, of: NDArray[np.bool_] | None = None) -> Measure:
    """The median of values, each as often as it weighs; NaN where none of those asked for is drawn."""
    rows = np.arange(len(values)) if of is None else np.flatnonzero(of)
    rows = rows[np.argsort(values[rows])]
    ordered = values[rows]

    def measure(weights: Weights) -> Floats:
        below = weights[:, rows].cumsum(1)
        whole = below[:, -1:]
        lower, upper = ordered[(2 * below >= whole).argmax(1)], ordered[(2 * below > whole).argmax(1)]
        return np.where(whole[:, 0] > 0, (lower + upper) / 2, np.nan)

    return measure
