"""metrics.json: every figure of an evaluation as plain data, for programs."""

from __future__ import annotations

import math
from typing import Any

from hilum import __version__
from hilum.evaluation.journal.failures import Failures
from hilum.evaluation.journal.flow import flow
from hilum.evaluation.measure import Evaluation
from hilum.evaluation.measure_boxes import BoxEvaluation
from hilum.measures.figure import Figure

FORMAT = 1


def describe(evaluation: Evaluation) -> dict[str, Any]:
    """Plain data for JSON; `format` counts up when a key changes its meaning. Nothing in it depends on the day or the
    machine, so that the same films give the same file."""
    judged, films = evaluation.judgement, evaluation.judgement.predictions
    counts = {
        "films": len(films),
        "patients": len(set(films.patients.tolist())),
        "with_pneumonia": int(films.truth.sum()),
        "abstained": int(films.turned_away.sum()),
        "unreadable": len(films.failures),
        "without_label": judged.unlabeled,
    }
    classes = evaluation.by_class
    stated = {
        "format": FORMAT,
        "hilum": __version__,
        "model": {"file": judged.model.name, "name": judged.card.name, "made": judged.card.made}
        | {"digest": judged.readings[0].bundle},
        "data": {"manifest": judged.manifest_name, "digest": judged.manifest.digest, "split": judged.split},
        "operating_point": {
            "name": judged.point.name,
            "threshold": None if judged.card.groups else judged.point.threshold,
            "rule": judged.point.rule,
            "thresholds": {patient: point.threshold for patient, point in judged.points.items() if patient is not None},
        },
        "training_films_judged": judged.seen,
        "caveats": list(judged.caveats),
        "counts": counts,
        "bootstrap": {"over": "patients", "resamples": evaluation.resamples, "seed": evaluation.seed},
        "binary": _figures(evaluation.all),
        "binary_of_passed_films": None if evaluation.passed is None else _figures(evaluation.passed),
        "confusion": evaluation.confusion.tolist(),
        "calibration": _figures(evaluation.after.figures()),
        "calibration_before": None if evaluation.before is None else _figures(evaluation.before.figures()),
        "sweep": [row._asdict() for row in evaluation.sweep],
        "sensitivity_at_specificity": [row._asdict() for row in evaluation.sensitivity_at],
        "specificity_at_sensitivity": [row._asdict() for row in evaluation.specificity_at],
        "best_threshold_on_this_split": None if evaluation.best is None else evaluation.best._asdict(),
        "risk_coverage_area": evaluation.risk_coverage.area,
        "metadata_alone": {
            "auc": evaluation.shortcut.auc,
            "standard_error": evaluation.shortcut.standard_error,
            "said": list(evaluation.shortcut.sentences),
        },
        "by_class": None
        if classes is None
        else {
            "classes": list(classes.classes),
            "confusion": classes.confusion.tolist(),
            "overall": _figures(classes.overall),
            "of_class": {name: _figures(figures) for name, figures in classes.of_class.items()},
        },
        "classes_not_sure": [unsure._asdict() for unsure in evaluation.unsure],
        "subgroups": {
            column: [
                {
                    "name": group.name,
                    "films": group.films,
                    "patients": group.patients,
                    "with_pneumonia": group.sick,
                    "abstained": group.abstained,
                    "small": group.small,
                    "figures": _figures(group.figures),
                }
                for group in groups
            ]
            for column, groups in evaluation.subgroups.items()
        },
        "pointing": None
        if evaluation.pointed is None
        else {
            "hits": evaluation.pointed.hits.describe(),
            "energy_in_boxes": evaluation.pointed.energy,
            "area_of_boxes": evaluation.pointed.area,
        },
        "boxes": None if evaluation.boxes is None else _boxes(evaluation.boxes),
        "lungs": None if evaluation.lungs is None else evaluation.lungs.describe(),
        "readers": None if evaluation.readers is None else evaluation.readers.describe(),
        "flow": flow(judged).describe(),
        "precision": [each._asdict() for each in evaluation.reach],
        "failures": _failures(evaluation.failures),
    }
    plain: dict[str, Any] = _without_nan(stated)
    return plain


def _boxes(boxes: BoxEvaluation) -> dict[str, Any]:
    return {
        "threshold": boxes.threshold,
        "counts": boxes.counts,
        "figures": _figures(boxes.figures),
        "average_precision_at_overlap": {str(overlap): value for overlap, value in boxes.average_precision.items()},
    }


def _failures(found: Failures) -> dict[str, Any]:
    """Parts of the films; the films of the surest errors are in predictions.csv by their paths."""
    parts = [
        {
            **{name: getattr(part, name) for name in ("column", "name", "films", "errors", "missed", "sick")},
            **{name: getattr(part, name) for name in ("false_alarms", "healthy")},
            **part.excess._asdict(),
            "corrected_p_value": part.corrected,
        }
        for part in found.parts
    ]
    return {"errors": found.errors, "parts": parts, "parts_too_small": found.small, "correction": "Holm"}


def _figures(figures: dict[str, Figure]) -> dict[str, Any]:
    return {name: figure.describe() for name, figure in figures.items()}


def _without_nan(value: Any) -> Any:
    """JSON knows no NaN and no infinity: what is not defined is null."""
    if isinstance(value, dict):
        return {key: _without_nan(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_without_nan(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
