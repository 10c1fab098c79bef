"""What films of known truth settle in an ensemble: calibration, operating points, the score of boxes that counts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from hilum.bundle.card import BoxCard, Calibration, Card, GroupCard
from hilum.dataset.patients import patients_of
from hilum.evaluation.judge import Judgement
from hilum.evaluation.predictions import Predictions
from hilum.export.calibrate import (
    STANDARD_ERRORS,
    apply,
    are_enough,
    check_enough,
    expected_calibration_error,
    fit_platt,
    log_losses,
    operating_points,
    positive_score,
    stratified_folds,
)
from hilum.export.ensemble.merged import UNTOUCHED
from hilum.export.ensemble.probability import LEAST, Line, along
from hilum.measures.bootstrap import auroc_measure
from hilum.measures.boxes.coco import coco_precision
from hilum.measures.boxes.froc import OVERLAP, sensitivity_measure
from hilum.measures.boxes.overlap import match
from hilum.measures.boxes.rsna_score import OVERLAPS, film_scores, mean_of_counted
from hilum.measures.boxes.sweep import SCORE_THRESHOLDS
from hilum.measures.figure import Bools, Floats
from hilum.measures.films.thresholds import FEWEST
from hilum.radiograph.patient import PATIENTS, Patient


class Means(NamedTuple):
    """What an ensemble says of films of known truth, before it is calibrated: the means (films, groups, classes), one
    group where all patients are judged alike; how likely each group is, where there are some; whose films are known."""

    probabilities: Floats
    groups: Floats | None
    known: list[Patient | None]
    truth: Bools
    targets: NDArray[np.int64]

    @classmethod
    def of(cls, judged: Judgement) -> Means:
        """Of films that the ensemble was seen to judge."""
        rows = np.stack([reading.probabilities for reading in judged.readings]).astype(np.float64)
        groups = [reading.groups for reading in judged.readings if reading.groups is not None]
        return cls(
            rows if rows.ndim == 3 else rows[:, None],
            np.stack(groups).astype(np.float64) if groups else None,
            patients_of(judged.films),
            judged.predictions.truth,
            judged.predictions.targets,
        )


def calibrate_means(score: Floats, truth: Bools, seed: int = 0) -> Calibration:
    """A line for log odds of means, if films left out of the fit are clearly better judged along it than as they are.

    `ece`, `brier` and `log_loss` are of pneumonia or not, `..._after` those of films left out.
    """
    check_enough(truth)
    logits, targets = np.stack([-score, score], axis=1) / 2, truth.astype(np.int64)
    folds = stratified_folds(targets, seed)
    left_out = np.empty_like(logits)
    for fold in np.unique(folds):
        inside = folds == fold
        left_out[inside] = apply(fit_platt(logits[~inside], targets[~inside], [1]), logits[inside], [1])
    before = np.stack([expit(-score), expit(score)], axis=1)
    gain = log_losses(before, targets) - log_losses(left_out, targets)
    clearly = gain.mean() > STANDARD_ERRORS * gain.std(ddof=1) / np.sqrt(len(gain))
    line = Line(*fit_platt(logits, targets, [1]).x) if clearly else Line()
    figures = {"films": float(len(score))}
    for moment, chance in (("before", before), ("after", left_out if clearly else before)):
        figures[f"log_loss_{moment}"] = float(log_losses(chance, targets).mean())
        figures[f"ece_{moment}"] = expected_calibration_error(chance[:, 1], truth)
        figures[f"brier_{moment}"] = float(np.mean((chance[:, 1] - truth) ** 2))
    return replace(UNTOUCHED, figures=figures, slope=line.slope, offset=line.offset)


def fitted(card: Card, means: Means) -> Card:
    """The card with calibration and operating points, each group's by films of its own where there are enough."""
    positive = [card.classes.index(name) for name in card.positive]
    if not card.groups:
        calibration, chance = _calibrated(means.probabilities[:, 0], means.truth, positive)
        return replace(
            card,
            calibration=calibration,
            operating_points=operating_points(chance, means.truth),
            figures={"validation": figures_of(chance, means.truth)},
        )
    groups, own = [], np.empty(len(means.truth))
    whose = np.array([_column(patient, likely) for patient, likely in zip(means.known, _groups(means), strict=True)])
    for column, patient in enumerate(PATIENTS):
        members = np.array([known == patient for known in means.known])
        enough = are_enough(means.truth[members])
        used = members if enough else np.ones(len(members), bool)
        rows = means.probabilities[:, column]
        calibration, _ = _calibrated(rows[used], means.truth[used], positive)
        chance = along(Line(calibration.slope, calibration.offset), rows, positive)[:, positive].sum(1)
        own[whose == column] = chance[whose == column]
        groups.append(
            GroupCard(
                name=patient,
                calibration=calibration,
                operating_points=operating_points(chance[used], means.truth[used]),
                tells_kinds=all(parent.groups[column].tells_kinds for parent in card.parents),
                films={
                    "with_pneumonia": int(means.truth[members].sum()),
                    "without": int((~means.truth[members]).sum()),
                    "recognized": int((_groups(means)[members].argmax(1) == column).sum()),
                },
                fitted_on_all=not enough,
            )
        )
    return replace(card, groups=groups, figures={"validation": figures_of(own, means.truth)})


def calibrations(card: Card) -> dict[Patient | None, Calibration]:
    """That of each group of patients, or the one of all."""
    made: dict[Patient | None, Calibration] = {group.name: group.calibration for group in card.groups}
    if card.calibration is not None:
        made[None] = card.calibration
    return made


def fitted_out_of_fold(card: Card, films: Predictions) -> Card:
    """The card with operating points by what each film's one parent, which never saw it, said of it.

    That is what can be known where every film taught some of the parents. The mean is taken as it is: it cannot be
    calibrated on answers that it did not give.
    """
    figures = {"out_of_fold": figures_of(films.probability, films.truth)}
    if not card.groups:
        points = operating_points(films.probability, films.truth)
        return replace(card, operating_points=points, figures=figures)
    groups = []
    for column, group in enumerate(card.groups):
        members = np.array([patient == group.name for patient in films.patient_groups])
        enough = are_enough(films.truth[members])
        used = members if enough else np.ones(len(members), bool)
        own = [parent.groups[column] for parent in card.parents]
        groups.append(
            GroupCard(
                name=group.name,
                calibration=UNTOUCHED,
                operating_points=operating_points(films.probability[used], films.truth[used]),
                tells_kinds=all(each.tells_kinds for each in own),
                films={name: sum(each.films[name] for each in own) for name in group.films},
                fitted_on_all=not enough,
            )
        )
    return replace(card, groups=groups, figures=figures)


def fitted_boxes(card: Card, judged: Judgement) -> BoxCard | None:
    """The score from which on boxes are shown, by the challenge's score on films whose boxes are known.

    Where these are too few, it stays the mean of the parents'.
    """
    if card.boxes is None or judged.found is None:
        return card.boxes
    known = [row for row in range(len(judged.found)) if judged.true_boxes(row) is not None]
    truths = [boxes for row in known if (boxes := judged.true_boxes(row)) is not None]
    found = [judged.found[row] for row in known]
    if sum(map(len, truths)) < FEWEST:
        return card.boxes
    matches = match(truths, found, OVERLAPS)
    scores = {each: mean_of_counted(film_scores(matches, each)) for each in SCORE_THRESHOLDS}
    threshold = max(scores, key=lambda each: scores[each])
    at_half = match(truths, found, (OVERLAP,))
    figures = {
        "films": float(len(truths)),
        "true_boxes": float(sum(map(len, truths))),
        "rsna_score": scores[threshold],
        "map_50": coco_precision(truths, found).at_50,
        "sensitivity_at_1": float(sensitivity_measure(at_half, 1.0)(np.ones((1, len(truths))))[0]),
    }
    return replace(card.boxes, threshold=threshold, figures=figures)


def figures_of(chance: Floats, truth: Bools) -> dict[str, float]:
    """Of pneumonia or not."""
    both = np.stack([1 - chance, chance], axis=1)
    return {
        "films": float(len(truth)),
        "auc": float(auroc_measure(chance, truth)(np.ones((1, len(truth))))[0]),
        "loss": float(log_losses(np.clip(both, LEAST, 1), truth.astype(np.int64)).mean()),
        "brier": float(np.mean((chance - truth) ** 2)),
    }


def _calibrated(means: Floats, truth: Bools, positive: Sequence[int]) -> tuple[Calibration, Floats]:
    """The calibration for means (films, classes), and the probabilities of pneumonia that come of it."""
    calibration = calibrate_means(positive_score(np.log(np.maximum(means, LEAST)), positive), truth)
    chance = along(Line(calibration.slope, calibration.offset), means, positive)[:, positive].sum(1)
    return calibration, chance


def _groups(means: Means) -> Floats:
    assert means.groups is not None
    return means.groups


def _column(known: Patient | None, likely: Floats) -> int:
    return int(likely.argmax()) if known is None else PATIENTS.index(known)
