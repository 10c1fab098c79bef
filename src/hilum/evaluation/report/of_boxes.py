"""The section of a report that is about a detector's boxes."""

from __future__ import annotations

from collections.abc import Sequence

from hilum.evaluation.measure import Evaluation
from hilum.evaluation.measure_boxes import BoxEvaluation
from hilum.evaluation.report import plots
from hilum.evaluation.report.document import Beside, Block, Gallery, Plots, Section, Table, Text
from hilum.evaluation.report.gallery import LINES
from hilum.evaluation.report.words import BOX_NAMES, NOTHING, interval, number, percent, value
from hilum.measures.boxes import froc

AT_THRESHOLD = ("rsna_score", "sensitivity", "false_boxes")
OF_ALL = (
    "map_50",
    "map_50_95",
    *(f"sensitivity_at_{rate:g}" for rate in froc.RATES),
    "auroc_of_scores",
)


def boxes(evaluation: Evaluation, galleries: Sequence[Gallery]) -> Section | None:
    """How well a detector's boxes find true ones; None for other models."""
    made, card = evaluation.boxes, evaluation.judgement.card.boxes
    if made is None or card is None:
        return None
    blocks: list[Block] = [
        Beside(
            [
                [_compared(made), _table(_fixed_at(made), AT_THRESHOLD, made, card.figures)],
                [_table("All boxes, whatever their score", OF_ALL, made, card.figures)],
            ]
        ),
        Text(
            f"Intervals are by the bootstrap over patients ({evaluation.resamples:,} resamples, seed "
            f"{evaluation.seed}). A true box is found by one box that overlaps it by more than {froc.OVERLAP:g}; every "
            "other box is a false one. The RSNA score is that of the 2018 challenge: true boxes found among all boxes "
            "true or drawn, mean over films and over overlaps of 0.40 to 0.75; a film without either does not count. "
            "mAP follows COCO. Films count whatever the gate says of them.",
            "hint",
        ),
    ]
    if made.figures["map_50"].value is None:
        blocks.append(Text("No curves: no film has a true box."))
    else:
        blocks.append(
            Plots(
                [
                    plots.froc(made.curves[froc.OVERLAP], made.threshold, froc.RATES, _froc_in_words(made)),
                    plots.box_precision_recall(
                        [(overlap, made.average_precision[overlap], curve) for overlap, curve in made.curves.items()],
                        made.threshold,
                        _precision_in_words(made),
                    ),
                ]
            )
        )
    blocks += [Text(LINES), *galleries]
    return Section("boxes", "Boxes: are they where the opacities are?", blocks)


def _fixed_at(made: BoxEvaluation) -> str:
    return f"Boxes from score {made.threshold:.4g} on, fixed on validation"


def _compared(made: BoxEvaluation) -> Table:
    counts = made.counts
    rows = [
        ["Films whose true boxes are known", f"{counts['films']:,}"],
        ["of these with a true box", f"{counts['films_with_true_boxes']:,}"],
        ["Films left out, since nobody drew boxes on them", f"{made.without:,}"],
        ["True boxes", f"{counts['true_boxes']:,}"],
        [f"Boxes drawn from score {made.threshold:.4g} on", f"{counts['predicted_boxes']:,}"],
        ["of these on a true box", f"{counts['true_boxes_found']:,}"],
    ]
    return Table("What is compared", ["Films and boxes", "Count"], rows)


def _table(caption: str, names: Sequence[str], made: BoxEvaluation, validation: dict[str, float]) -> Table:
    header = ["Figure", "Value", "95% interval"]
    rows = [
        [_capital(BOX_NAMES[name]), value(name, made.figures[name]), interval(name, made.figures[name])]
        for name in names
    ]
    if any(name in validation for name in names):
        header.append("On validation")
        for name, row in zip(names, rows, strict=True):
            known = validation.get(name)
            row.append(NOTHING if known is None else percent(known) if name.startswith("sens") else number(known))
    return Table(caption, header, rows)


def _capital(text: str) -> str:
    return text if text.startswith("mAP") else text[0].upper() + text[1:]


def _froc_in_words(made: BoxEvaluation) -> str:
    points = (
        f"{value(name, made.figures[name])} at {rate:g}" for rate in froc.RATES for name in [f"sensitivity_at_{rate:g}"]
    )
    figures = made.figures
    return (
        f"FROC curve: share of true boxes found against false boxes a film: {', '.join(points)}. At the box threshold "
        f"{value('sensitivity', figures['sensitivity'])} at {number(figures['false_boxes'].value or 0)}."
    )


def _precision_in_words(made: BoxEvaluation) -> str:
    each = (f"{number(ap)} at {overlap:g}" for overlap, ap in made.average_precision.items())
    return f"Precision against recall of boxes, by the overlap that is asked for. Average precision: {', '.join(each)}."
