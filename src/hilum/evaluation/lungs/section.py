"""The section of a report that is about the lungs."""

from __future__ import annotations

from hilum.evaluation.judge import Judgement
from hilum.evaluation.lungs.measure import LungEvaluation
from hilum.evaluation.lungs.pictures import lung_galleries
from hilum.evaluation.report.document import Section, Table, Text
from hilum.evaluation.report.words import interval, value

NAMES = {"dice": "Dice", "iou": "Intersection over union"}


def lungs_section(found: LungEvaluation | None, judged: Judgement, seed: int) -> Section | None:
    """How well the lungs are found; None where nobody knows where they are."""
    if found is None:
        return None
    rows = [[NAMES[name], value(name, figure), interval(name, figure)] for name, figure in found.figures.items()]
    return Section(
        "lungs",
        "Lungs: are they where the masks say?",
        [
            Table(
                f"{len(found.rows):,} films of which a copy shows the lungs alone",
                ["Mean over films", "Value", "95% interval"],
                rows,
            ),
            Text(f"On {found.not_found:,} of them no pair of lungs was found."),
            *lung_galleries(found, judged, seed),
            Text(
                "Copies come of a network or of a person, whom these figures take for the truth: they are agreement "
                "with that. Masks have a place for every four pixels that the model sees along each side. Intervals "
                "are by the bootstrap over patients.",
                "hint",
            ),
        ],
    )
