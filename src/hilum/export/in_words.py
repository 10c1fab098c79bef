"""What came of an export, in lines for a person."""

from __future__ import annotations

from pathlib import Path

from hilum.bundle.card import Card, OperatingPoint
from hilum.export.box_sweep import PICTURE, into_run
from hilum.training.run import Run


def bundle_in_words(card: Card, bundle: Path, run: Run) -> list[str]:
    """Of the bundle just written of a run."""
    lines = [f"{bundle}: {card.title}, {bundle.stat().st_size / 1e6:.1f} MB; hilum show {bundle}"]
    if card.calibration is not None:
        lines.append(f"heatmaps: {card.heatmap}; calibration: {card.calibration.method}")
        lines.append(f"at {_in_words(card.point())} on validation")
    else:
        each = ", ".join(f"{group.name} {group.calibration.method}" for group in card.groups)
        lines.append(f"heatmaps: {card.heatmap}; calibration: {each}")
        for group in card.groups:
            lines.append(f"{group.name}, at {_in_words(card.point(patient=group.name))} on validation")
    if (boxes := card.boxes) is not None:
        shown = run.folder / PICTURE if into_run(bundle, run) else f"hilum sweep {run.folder}"
        lines.append(
            f"boxes from a score of {boxes.threshold:.2f} on: RSNA score {boxes.figures['rsna_score']:.3f}, mAP at 0.5 "
            f"{boxes.figures['map_50']:.3f} on validation; every setting tried: {shown}"
        )
    return lines + [f"note: {note}" for note in card.notes]


def _in_words(point: OperatingPoint) -> str:
    return f"{point.name}: sensitivity {point.sensitivity:.3f}, specificity {point.specificity:.3f}"
