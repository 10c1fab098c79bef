"""How logits of films become probabilities, fitted on validation films: for all alike, or for children and for adults.

Films of children and of adults are made and read by different people: the same score means more in one group than in
the other, so one calibration and one threshold serve neither. Networks that tell the two apart are fitted to each.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from hilum.bundle.card import Calibration, GroupCard, JoiningCard
from hilum.bundle.format import GROUPS, PROBABILITIES
from hilum.export.calibrate import apply, are_enough, calibrate, operating_points, positive_score
from hilum.export.joining import SCORES, Joining, Sight, fit_joining, join
from hilum.export.look import RawFilm, logits_of, sight_of
from hilum.export.material import is_positive, take
from hilum.measures.figure import Floats
from hilum.measures.films.thresholds import FEWEST
from hilum.radiograph.patient import PATIENTS, Patient
from hilum.training.feed.examples import Examples

NEARLY_ALL = 0.95  # of films
UNCALIBRATED = Calibration("none", 1.0, [], [], {})
Given = Mapping[str, NDArray[np.float32]]  # the outputs of a bundle's file for all validation films


class FilmFit(NamedTuple):
    """What becomes of a film's logits: both views are joined, where there are two, and calibrated.

    It is for films of a `patient` group, or of everyone. `on_all` says that the group had too few films of its own.
    """

    calibration: Calibration
    joining: Joining | None = None
    patient: Patient | None = None
    on_all: bool = False


class Validation(NamedTuple):
    """Validation films: what the network says of them, and what is known; `positive` classes mean pneumonia."""

    logits: Floats
    sight: Sight | None  # of a network that looks twice
    films: Examples
    positive: list[int]

    @classmethod
    def of(cls, raw: Sequence[RawFilm], films: Examples, positive: list[int]) -> Validation:
        """As a network was seen to say."""
        return cls(logits_of(raw), sight_of(raw), films, positive)

    @property
    def truth(self) -> NDArray[np.bool_]:
        """Which films show pneumonia."""
        return is_positive(self.films, self.positive)

    def members(self, patient: Patient) -> NDArray[np.bool_]:
        """The films known to be of a group of patients."""
        if self.films.facts is None:
            return np.zeros(len(self.films), bool)
        return np.asarray(self.films.facts.adult == PATIENTS.index(patient))

    def take(self, chosen: NDArray[np.bool_]) -> Validation:
        """Some of the films."""
        sight = None if self.sight is None else self.sight.take(chosen)
        return Validation(self.logits[chosen], sight, take(self.films, chosen), self.positive)

    def joined(self, fit: FilmFit) -> Floats:
        """The logits of all films as a fit joins both views."""
        if self.sight is None or fit.joining is None:
            return self.logits
        return join(self.sight, fit.joining, self.positive)


def fit_films(validation: Validation, seed: int, *, by_group: bool) -> list[FilmFit]:
    """One fit for all films, or with `by_group` one for each of PATIENTS. Raises BundleError on too few films.

    A group that has too few is fitted on the films of everyone.
    """
    if not by_group:
        return [_fit(validation, seed)]
    fits = []
    for patient in PATIENTS:
        members = validation.members(patient)
        enough = are_enough(validation.truth[members])
        fit = _fit(validation.take(members) if enough else validation, seed)
        fits.append(fit._replace(patient=patient, on_all=not enough))
    return fits


def _fit(validation: Validation, seed: int) -> FilmFit:
    joining = None
    if validation.sight is not None:
        joining = fit_joining(validation.sight, validation.truth, validation.positive, seed)
    logits = validation.joined(FilmFit(UNCALIBRATED, joining))
    return FilmFit(calibrated(logits, validation.films, validation.positive, seed), joining)


def calibrated(logits: Floats, films: Examples, positive: list[int], seed: int) -> Calibration:
    """Where labels stand for one of several classes, only the odds of pneumonia are calibrated, which are sure.

    A few such films among many that are sure are left out instead.
    """
    sure = films.sure
    if sure.mean() >= NEARLY_ALL:
        return calibrate(logits[sure], films.targets[sure], positive, seed)
    score = positive_score(logits, positive)
    made = calibrate(np.stack([-score, score], 1) / 2, is_positive(films, positive).astype(np.int64), [1], seed)
    if made.method != "temperature":
        return made
    return replace(made, method="platt", temperature=1.0, x=[1 / made.temperature, 0.0])


def probabilities(validation: Validation, fits: Sequence[FilmFit]) -> Floats:
    """What the graph of a bundle with these fits must give: (films, classes), or (films, groups, classes)."""
    each = [apply(fit.calibration, validation.joined(fit), validation.positive) for fit in fits]
    return np.stack(each, 1) if fits[0].patient is not None else each[0]


def for_boxes(validation: Validation, fits: Sequence[FilmFit]) -> Floats:
    """The logits of films that have a say in the scores of their boxes.

    A box has one score, whoever the patient is. Nearly all boxes that people drew are on films of adults, so the log
    odds are those that the adults' fit, the last one, joins; a network that knows no groups has but one.
    """
    return validation.joined(fits[-1])


def of_own_group(given: Given, films: Examples) -> NDArray[np.float32]:
    """The probabilities (films, classes) that a bundle decides by: of the group known, else of the network's."""
    if GROUPS not in given:
        return given[PROBABILITIES]
    assert films.facts is not None
    known = films.facts.adult.astype(np.int64)
    own = np.where(known >= 0, known, given[GROUPS].argmax(1))
    return given[PROBABILITIES][np.arange(len(films)), own]


def group_cards(validation: Validation, fits: Sequence[FilmFit], given: Given) -> list[GroupCard]:
    """What the card says of each group; empty of a network that knows none. Points are of the file's own answers."""
    cards = []
    for column, fit in enumerate(fits):
        if fit.patient is None:
            return []
        members = validation.members(fit.patient)
        measured = np.ones(len(members), bool) if fit.on_all else members
        truth = validation.truth
        chance = given[PROBABILITIES][:, column, validation.positive].sum(1, dtype=np.float64)
        cards.append(
            GroupCard(
                name=fit.patient,
                calibration=fit.calibration,
                operating_points=operating_points(chance[measured], truth[measured]),
                tells_kinds=_tells_kinds(validation.take(members)),
                films={
                    "with_pneumonia": int(truth[members].sum()),
                    "without": int((~truth[members]).sum()),
                    "recognized": int((given[GROUPS][members].argmax(1) == column).sum()),
                },
                fitted_on_all=fit.on_all,
                joining=_joining_card(fit.joining),
            )
        )
    return cards


def _tells_kinds(validation: Validation) -> bool:
    """Whether there are several kinds of pneumonia, and enough films of each to know how well they are told apart."""
    films = validation.films
    counts = films.counts(validation.logits.shape[1])
    return len(validation.positive) > 1 and min(counts[column] for column in validation.positive) >= FEWEST


def _joining_card(joining: Joining | None) -> JoiningCard | None:
    if joining is None:
        return None
    return JoiningCard(dict(zip(SCORES, joining.weights, strict=True)), joining.offset, joining.log_losses)


def notes_of(fits: Sequence[FilmFit]) -> list[str]:
    """What a person should know of the fits, in sentences."""
    notes = []
    for fit in fits:
        whose = {"child": " of children", "adult": " of adults", None: ""}[fit.patient]
        if fit.joining is not None:
            weights = ", ".join(f"{weight:.3g}" for weight in fit.joining.weights)
            notes.append(
                f"It looks twice. Weights of film, its map, lungs and their map in the log odds{whose}: {weights}."
            )
        if fit.on_all:
            notes.append(
                f"Validation has too few films{whose}, fewer than {FEWEST} with pneumonia or without: calibration and "
                "thresholds are those of all films together."
            )
    return notes
