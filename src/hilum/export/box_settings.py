"""What is decided after a detector's network, on validation films alone: calibration, suppression, size, threshold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from hilum.bundle.card import BoxCard, BundleError
from hilum.export.calibrate import positive_score
from hilum.export.graph.suppression import LEAST_SCORE
from hilum.export.look import RawFilm
from hilum.measures.boxes.coco import coco_precision
from hilum.measures.boxes.froc import OVERLAP, sensitivity_measure
from hilum.measures.boxes.overlap import Detections, match, suppress
from hilum.measures.boxes.rsna_score import OVERLAPS, film_scores, mean_of_counted
from hilum.measures.boxes.sweep import Grid, Swept, choose, sweep
from hilum.measures.figure import Floats
from hilum.measures.films.thresholds import FEWEST
from hilum.radiograph.geometry import sides_of
from hilum.training.feed.examples import Examples

MOST = 50  # boxes a film
NEVER = 1.0  # an overlap that is never more: nothing is suppressed
NMS_OVERLAP = 0.3  # while calibrating; which is best is swept afterwards, on calibrated scores


class Calibrated(NamedTuple):
    """Predictions of films whose boxes are known, before suppression, with calibrated scores."""

    truths: list[Floats]
    raw: list[Detections]
    calibration: list[float]
    suppresses: bool = True


def calibrate_boxes(
    raw: Sequence[RawFilm], truths: Sequence[Floats | None], positive: Sequence[int], *, suppresses: bool = True
) -> Calibrated:
    """How likely a box is a hit, from its own logit and that of its film, learned from films whose boxes are known.

    A true box here is one overlapped by more than half. The film has a say because a box is likelier where the film as
    a whole looks like an opacity; within a film the order of boxes stays. Where nothing `suppresses` them, each box
    stands for itself.
    """
    films = [(film, boxes) for film, boxes in zip(raw, truths, strict=True) if boxes is not None]
    known = [boxes for _, boxes in films]
    limit = NMS_OVERLAP if suppresses else NEVER
    plain = [suppress(Detections(film.boxes, film.logits), limit) for film, _ in films]
    kept = [Detections(found.boxes[:MOST], found.scores[:MOST]) for found in plain]
    matches = match(known, kept, (OVERLAP,))
    whole = np.array([positive_score(film.image[None], positive)[0] for film, _ in films])
    hits = matches.hit[:, 0]
    if sum(map(len, known)) < FEWEST or hits.sum() < FEWEST:
        raise BundleError(
            f"validation has {sum(map(len, known)):,} true boxes and the network found {hits.sum():,} of them; a "
            f"threshold needs at least {FEWEST} found: train longer, or split with more films for validation"
        )
    evidence = np.column_stack([matches.score, whole[matches.film]])
    line = LogisticRegression(C=100.0, max_iter=1000).fit(evidence, hits)
    slope, share = line.coef_[0].tolist()
    if slope <= 0:
        raise BundleError("the scores of boxes say nothing of whether they are true: train longer")
    calibration = [slope, share, float(line.intercept_[0])]
    return Calibrated(
        known,
        [
            Detections(film.boxes, likely(calibration, film.logits, score))
            for (film, _), score in zip(films, whole.tolist(), strict=True)
        ],
        calibration,
        suppresses,
    )


def likely(calibration: Sequence[float], logits: Floats, film: float) -> Floats:
    """The calibrated scores of a film's boxes; what the graph of a bundle computes, in NumPy."""
    slope, share, offset = calibration
    return np.asarray(1 / (1 + np.exp(-(slope * logits + share * film + offset))))


def choose_settings(calibrated: Calibrated, prevalence: float | None) -> tuple[BoxCard, list[Swept], Swept]:
    """The settings with the challenge's best score on these films, and all that were tried."""
    rows = sweep_calibrated(calibrated, prevalence)
    best = choose({"validation": rows})
    setting = best.setting
    card = BoxCard(
        threshold=float(setting.score_threshold),
        nms_overlap=float(setting.nms_overlap),
        shrinkage=float(setting.shrinkage),
        most=min(MOST, min(len(found.scores) for found in calibrated.raw)),
        calibration=calibrated.calibration,
        figures={},
        prevalence=prevalence,
    )
    return card, rows, best


def sweep_calibrated(calibrated: Calibrated, prevalence: float | None) -> list[Swept]:
    """Every setting; of boxes that nothing suppresses, size and threshold."""
    grid = Grid() if calibrated.suppresses else Grid(nms_overlaps=(NEVER,))
    return sweep(calibrated.truths, calibrated.raw, prevalence=prevalence, grid=grid)


def truths_of(val: Examples, size: tuple[int, int]) -> list[Floats | None]:
    """The true boxes of films as x, y, width, height in fractions of the picture; None where nobody drew any."""
    assert val.boxes is not None
    height, width = size
    frame = np.array([width, height, width, height])
    return [None if corners is None else sides_of(corners) / frame for corners in val.boxes]


def too_few_boxes(truths: Sequence[Floats | None]) -> bool:
    """Whether these are too few for a threshold."""
    return sum(len(boxes) for boxes in truths if boxes is not None) < FEWEST


def highest_scores(raw: Sequence[RawFilm], card: BoxCard, positive: Sequence[int]) -> Floats:
    """What the network in torch gives each film's best box, which no suppression takes away; 0 where it is none."""
    films = [positive_score(film.image[None], positive)[0] for film in raw]
    best = [likely(card.calibration, film.logits[:1], float(score))[0] for film, score in zip(raw, films, strict=True)]
    return np.where(np.array(best) > LEAST_SCORE, best, 0.0)


def figures_of_file(
    given: Mapping[str, NDArray[np.float32]], truths: Sequence[Floats | None], threshold: float
) -> dict[str, float]:
    """Of the boxes that a file gives, on films whose boxes are known. With intervals they come from evaluation."""
    known = [film for film, boxes in enumerate(truths) if boxes is not None]
    true = [boxes for boxes in truths if boxes is not None]
    boxes, scores = given["boxes"].astype(np.float64), given["scores"].astype(np.float64)
    found = [Detections(boxes[film][scores[film] > 0], scores[film][scores[film] > 0]) for film in known]
    at_half = match(true, found, (OVERLAP,))
    return {
        "films": float(len(true)),
        "true_boxes": float(sum(map(len, true))),
        "rsna_score": mean_of_counted(film_scores(match(true, found, OVERLAPS), threshold)),
        "map_50": coco_precision(true, found).at_50,
        "sensitivity_at_1": float(sensitivity_measure(at_half, 1.0)(np.ones((1, len(true))))[0]),
    }
