"""A reader study: readers among themselves, each with himself, and the model beside them on the same films."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import combinations
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from hilum.dataset.readings.reading import Reading, Saw
from hilum.evaluation.judge import Judgement
from hilum.evaluation.readers.film_readings import ALONE, WITH_ANSWER, ByFilm, FilmReadings, film_readings
from hilum.evaluation.readers.times import TimeSaved, median_measure, times_saved
from hilum.measures.bootstrap import (
    USUAL,
    Measure,
    Resampling,
    Weights,
    bootstrap,
    shares,
    total_measure,
    with_interval,
)
from hilum.measures.figure import Bools, EvaluationError, Figure, Floats, Ints
from hilum.measures.intervals import share
from hilum.measures.mcnemar import McNemar, mcnemar
from hilum.measures.readers.beside_model import OverReaders, over_readers
from hilum.measures.readers.box_agreement import BoxAgreement, box_agreement
from hilum.measures.readers.kappa import cohen_measure, fleiss_measure, kappa

SIDES = {"sensitivity": True, "specificity": False}
NO_FILMS = {"sensitivity": "no film with pneumonia", "specificity": "no film without pneumonia"}


@dataclass(frozen=True, slots=True)
class Agreement:
    """Of two readers, of a reader with himself (both names alike), or of all (`second` empty)."""

    first: str
    second: str
    films: int
    kappa: Figure
    linear: Figure | None
    quadratic: Figure | None
    boxes: BoxAgreement | None


@dataclass(frozen=True, slots=True)
class Beside:
    """A reader's figures, the model's on the same films, and the model's less the reader's (paired)."""

    reader: str
    saw: Saw
    films: int
    figures: dict[str, Figure]
    model: dict[str, Figure]
    differences: dict[str, Figure]
    tests: dict[str, McNemar]
    seconds: Figure


class Together(NamedTuple):
    """The model less the mean of all readers who read without its answer, on the films that all of them read: over
    films, for these readers; and over films and readers, for others like them."""

    films: int
    over_films: Figure
    over_readers: OverReaders | None


@dataclass(frozen=True, slots=True, eq=False)
class ReaderStudy:
    """`together` are sensitivity and specificity; empty where fewer than two readers read the same films alone."""

    readers: FilmReadings
    ordered: tuple[str, ...]
    agreements: tuple[Agreement, ...]
    beside: tuple[Beside, ...]
    together: dict[str, Together]
    times: tuple[TimeSaved, ...]

    def describe(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return {
            "readers": list(self.readers.readers),
            "notes": list(self.readers.notes),
            "agreement": [_plain(each) for each in self.agreements],
            "beside_model": [_plain(each) for each in self.beside],
            "together": {
                name: {
                    "films": each.films,
                    "over_films": each.over_films.describe(),
                    "over_readers": None if each.over_readers is None else each.over_readers._asdict(),
                }
                for name, each in self.together.items()
            },
            "times": [{**each._asdict(), "difference": each.difference.describe()} for each in self.times],
        }


def study_readers(
    judged: Judgement, folder: Path, ordered: Sequence[str] = (), resampling: Resampling = USUAL
) -> ReaderStudy:
    """What the readings in a folder say of the films that were judged. `ordered` are labels from least to most, where
    they have an order."""
    readings = film_readings(judged, folder)
    if unknown := sorted(set(ordered) - set(readings.means)):
        raise EvaluationError(f"--ordered: no reader gave {unknown[0]!r}; they gave {', '.join(readings.means)}")
    study = _Study(judged, readings, tuple(ordered), resampling)
    beside = [study.beside(*key) for key in sorted(readings.first) if study.decided(readings.first[key])]
    times = tuple(times_saved(readings, judged.predictions.patients, resampling))
    return ReaderStudy(readings, tuple(ordered), tuple(study.agreements()), tuple(beside), study.together(), times)


class _Study:
    def __init__(
        self, judged: Judgement, readings: FilmReadings, ordered: tuple[str, ...], resampling: Resampling
    ) -> None:
        self.films, self.readings, self.resampling = judged.predictions, readings, resampling
        self.ordered = ordered
        # Labels without a place in the order are no reason to drop films from a kappa that knows none.
        self.classes = [*ordered, *sorted(set(readings.means) - set(ordered))]
        self.alone = {
            reader: readings.first[reader, ALONE] for reader in readings.readers if (reader, ALONE) in readings.first
        }

    def agreements(self) -> Iterator[Agreement]:
        """Between every two who read alone, of all of these, and of each reader with himself."""
        for first, second in combinations(self.alone, 2):
            if agreement := self._agreement(first, second, self.alone[first], self.alone[second]):
                yield agreement
        if len(self.alone) > 2 and (everyone := self._everyone()):
            yield everyone
        for reader, again in self.readings.again.items():
            before = {**self.readings.first.get((reader, WITH_ANSWER), {}), **self.alone.get(reader, {})}
            if agreement := self._agreement(reader, reader, before, again):
                yield agreement

    def _agreement(self, first: str, second: str, own: ByFilm, other: ByFilm) -> Agreement | None:
        rows = sorted(own.keys() & other.keys())
        if not rows:
            return None
        patients = self.films.patients[rows]
        one, two = self._classes(own, rows), self._classes(other, rows)

        def weighted(weighting: Any) -> Figure | None:
            """Over the films that both put somewhere in the order."""
            count = len(self.ordered)
            kept = np.flatnonzero((one < count) & (two < count))
            if count < 3 or not len(kept):
                return None
            return kappa(cohen_measure(one[kept], two[kept], count, weighting), patients[kept], self.resampling)

        plain = kappa(cohen_measure(one, two, len(self.classes)), patients, self.resampling)
        boxes = box_agreement(
            [_corners(own[row]) for row in rows], [_corners(other[row]) for row in rows], patients, self.resampling
        )
        return Agreement(
            first, second, len(rows), plain, weighted("linear"), weighted("quadratic"), boxes if boxes.films else None
        )

    def _everyone(self) -> Agreement | None:
        rows = self._read_by_all()
        if not rows:
            return None
        given = np.stack([self._classes(readings, rows) for readings in self.alone.values()])
        counts = (given[..., None] == np.arange(len(self.classes))).sum(0)
        figure = kappa(fleiss_measure(counts), self.films.patients[rows], self.resampling)
        return Agreement("all", "", len(rows), figure, None, None, None)

    def _classes(self, readings: ByFilm, rows: Sequence[int]) -> Ints:
        return np.array([self.classes.index(str(readings[row].label)) for row in rows], np.int64)

    def _read_by_all(self) -> list[int]:
        return sorted(set.intersection(*(set(readings) for readings in self.alone.values())))

    def decided(self, readings: ByFilm) -> list[int]:
        """Films of which a reader said whether they show pneumonia."""
        return sorted(row for row, reading in readings.items() if self.readings.means[str(reading.label)] is not None)

    def _calls(self, readings: ByFilm, rows: Sequence[int]) -> Bools:
        return np.array([bool(self.readings.means[str(readings[row].label)]) for row in rows])

    def beside(self, reader: str, saw: Saw) -> Beside:
        """A reader, or one who saw the answer first, and the model on the same films."""
        readings = self.readings.first[reader, saw]
        rows = self.decided(readings)
        truth, patients = self.films.truth[rows], self.films.patients[rows]
        calls, model = self._calls(readings, rows), self.films.called[rows]
        figures: dict[str, dict[str, Figure]] = {"reader": {}, "model": {}, "difference": {}}
        tests = {}
        for name, side in SIDES.items():
            of = truth == side
            rights = [of & (calls == truth), of & (model == truth)]
            drawn = bootstrap(patients, [total_measure(each) for each in (of, *rights)], self.resampling)
            resampled = [shares(drawn[:, place], drawn[:, 0]) for place in (1, 2)]
            for whose, right, each in zip(("reader", "model"), rights, resampled, strict=True):
                ends = with_interval(float(right.sum() / max(of.sum(), 1)), each, NO_FILMS[name])
                by_patients = None if ends.low is None or ends.high is None else (ends.low, ends.high)
                figures[whose][name] = share(int(right.sum()), int(of.sum()), NO_FILMS[name], by_patients)
            once = float((rights[1].sum() - rights[0].sum()) / of.sum()) if of.any() else float("nan")
            figures["difference"][name] = with_interval(once, resampled[1] - resampled[0], NO_FILMS[name])
            tests[name] = mcnemar(rights[0][of], rights[1][of])
        seconds = np.array([readings[row].seconds for row in rows])
        took = with_interval(
            float(np.median(seconds)), bootstrap(patients, [median_measure(seconds)], self.resampling)[:, 0], ""
        )
        return Beside(reader, saw, len(rows), figures["reader"], figures["model"], figures["difference"], tests, took)

    def together(self) -> dict[str, Together]:
        """The model less the mean of the readers, on the films that all of them decided on alone."""
        decided = {reader: set(self.decided(readings)) for reader, readings in self.alone.items()}
        if len(decided) < 2 or not (rows := sorted(set.intersection(*decided.values()))):
            return {}
        truth, patients, model = (each[rows] for each in (self.films.truth, self.films.patients, self.films.called))
        calls = [self._calls(self.alone[reader], rows) for reader in decided]
        found = {}
        for name, side in SIDES.items():
            of = truth == side
            # what the model gets right less what each reader does, film by film
            gains = [of * ((model == truth).astype(np.float64) - (each == truth)) for each in calls]
            drawn = bootstrap(patients, [_mean_measure(gain, of) for gain in gains], self.resampling)
            if not of.any():
                continue
            once = np.array([gain.sum() / of.sum() for gain in gains])
            whole = drawn[~np.isnan(drawn).any(1)]
            found[name] = Together(
                int(of.sum()),
                with_interval(float(once.mean()), drawn.mean(1), NO_FILMS[name]),
                over_readers(once, np.cov(whole.T)) if 2 * len(whole) >= len(drawn) else None,
            )
        return found


def _corners(reading: Reading) -> Floats:
    return np.array([[box.x, box.y, box.width, box.height] for box in reading.boxes], np.float64).reshape(-1, 4)


def _mean_measure(values: Floats, of: Bools) -> Measure:
    def measure(weights: Weights) -> Floats:
        return shares(weights @ values, weights @ of.astype(np.float64))

    return measure


def _plain(each: Agreement | Beside) -> dict[str, Any]:
    """Figures as they describe themselves, at every depth."""

    def plain(value: Any) -> Any:
        if isinstance(value, Figure):
            return value.describe()
        if isinstance(value, dict):
            return {name: plain(part) for name, part in value.items()}
        if hasattr(value, "_asdict"):
            return plain(value._asdict())
        return value

    return {name: plain(getattr(each, name)) for name in asdict(each)}
