"""The first screen of a report: how good, how sure, on whom, at which threshold, and with what caution."""

from __future__ import annotations

from hilum.dataset.audit.finding import counted
from hilum.evaluation.judge import PATIENT, Judgement
from hilum.evaluation.measure import Evaluation
from hilum.evaluation.measure_boxes import BoxEvaluation
from hilum.evaluation.report.document import Tile
from hilum.evaluation.report.words import WHOSE, interval, number, of_what, percent, threshold_in_words, value
from hilum.measures.figure import Figure

FAR_FROM_CALIBRATED, WORSE = 0.1, 0.02
FEW = 50


def title(judged: Judgement) -> str:
    """What the report is of."""
    return judged.card.title or judged.card.name


def subtitle(judged: Judgement) -> str:
    """On how many films of what, and of how many patients."""
    films = judged.predictions
    patients = len(set(films.patients.tolist()))
    return (
        f"{counted(len(films), 'film')} of {counted(patients, 'patient')}, {int(films.truth.sum()):,} with pneumonia "
        f"({percent(float(films.truth.mean()))}) · {judged.manifest_name}, split {judged.split} · "
        f"{judged.model.name}"
    )


def stamp(judged: Judgement) -> str:
    """What makes the figures no test; empty where the model has seen none of the films."""
    if not judged.seen:
        return ""
    listed = " and ".join(f"{count:,} of its {split} split" for split, count in sorted(judged.seen.items()))
    return (
        f"NO TEST: the model was trained or calibrated on {sum(judged.seen.values()):,} of the "
        f"{len(judged.predictions):,} films judged here ({listed}). The figures say nothing of new films."
    )


def answer(evaluation: Evaluation) -> str:
    """How good it is, in two sentences without a term that would need a glossary."""
    judged, figures = evaluation.judgement, evaluation.all
    sensitivity, specificity, auroc = figures["sensitivity"], figures["specificity"], figures["auroc"]
    outcomes = []
    if sensitivity.value is not None:
        outcomes.append(f"recognized {of_what(sensitivity)} films with pneumonia")
    if specificity.value is not None:
        outcomes.append(f"cleared {of_what(specificity)} films without it")
    point = f"operating point “{judged.point.name}”, fixed on validation beforehand"
    sentences = f"At the threshold {threshold_in_words(judged)} ({point}) the model {' and '.join(outcomes)}."
    if auroc.value is not None:
        sentences += (
            f" Of a film with and one without pneumonia, it gives the higher probability to the right one in "
            f"{percent(auroc.value)} of cases."
        )
    return sentences + _answer_of_boxes(evaluation)


def _answer_of_boxes(evaluation: Evaluation) -> str:
    if (boxes := evaluation.boxes) is None:
        return ""
    counts, false = boxes.counts, boxes.figures["false_boxes"].value or 0
    return (
        f" The boxes that it draws, from score {boxes.threshold:.4g} on, find {counts['true_boxes_found']:,} of "
        f"{counted(counts['true_boxes'], 'true box', 'true boxes')}, with {number(false)} false boxes a film."
    )


def tiles(evaluation: Evaluation) -> list[Tile]:
    """The few figures that a reader takes away, each with what it means."""
    judged, figures = evaluation.judgement, evaluation.all
    films = judged.predictions
    made = [
        Tile("AUROC", value("auroc", figures["auroc"]), _sure("auroc", figures["auroc"]), "chance is 0.5, 1 is best"),
        *(
            Tile(name, value(key, figures[key]), _sure(key, figures[key]), _of_films(figures[key], kind))
            for key, name, kind in (
                ("sensitivity", "Sensitivity", "with pneumonia recognized"),
                ("specificity", "Specificity", "without pneumonia cleared"),
            )
        ),
    ]
    made.append(_calibration_tile(evaluation))
    if evaluation.boxes is not None:
        made += _box_tiles(evaluation.boxes)
    turned = int(films.turned_away.sum())
    if judged.card.gate is None:
        made.append(Tile("Abstained", "never", "", "the bundle has no gate"))
    else:
        made.append(
            Tile("Abstained", f"{turned:,}", "", f"of {len(films):,} films turned away; the figures here are over all")
        )
    return made


def _box_tiles(boxes: BoxEvaluation) -> list[Tile]:
    counts = boxes.counts
    false = counts["predicted_boxes"] - counts["true_boxes_found"]
    details = {
        "rsna_score": ("RSNA score", f"boxes from score {boxes.threshold:.4g} on"),
        "sensitivity": ("True boxes found", f"{counts['true_boxes_found']:,} of {counts['true_boxes']:,}"),
        "false_boxes": ("False boxes a film", f"{false:,} on {counted(counts['films'], 'film')}"),
    }
    return [
        Tile(name, value(key, boxes.figures[key]), _sure(key, boxes.figures[key]), detail)
        for key, (name, detail) in details.items()
    ]


def _sure(key: str, figure: Figure) -> str:
    return interval(key, figure) if figure.low is None else f"95% interval {interval(key, figure)}"


def _of_films(figure: Figure, kind: str) -> str:
    return f"{of_what(figure)} films {kind}" if figure.of is not None else ""


def _calibration_tile(evaluation: Evaluation) -> Tile:
    slope = evaluation.after.slope
    detail = f"slope {number(slope.value)}" if slope.value is not None else ""
    meaning = "mean gap between probability and share with pneumonia; 0 is best"
    return Tile("Calibration error", number(evaluation.after.adaptive_ece), detail, meaning)


def cautions(evaluation: Evaluation) -> list[str]:
    """What there is to doubt in the figures, in sentences."""
    judged, films = evaluation.judgement, evaluation.judgement.predictions
    doubts = list(judged.caveats)
    sick, healthy = int(films.truth.sum()), int((~films.truth).sum())
    for number_of, kind in ((sick, "with"), (healthy, "without")):
        if number_of < FEW:
            doubts.append(
                f"Only {counted(number_of, 'film')} {kind} pneumonia: the intervals are wide, and are meant so."
            )
    doubts += _of_thresholds(evaluation)
    doubts += [*_of_boxes(evaluation), *_by_source(evaluation)]
    pointed = evaluation.pointed
    if pointed is not None and pointed.hits.low is not None and pointed.hits.low <= pointed.area:
        doubts.append(
            f"Heatmaps point to the boxes no better than chance: {value('recall', pointed.hits)} against "
            f"{percent(pointed.area)}."
        )
    alone, auroc = evaluation.shortcut.auc, evaluation.all["auroc"].value
    if alone is not None and auroc is not None and alone >= 0.65:
        doubts.append(
            f"File size, encoding and border alone tell the classes apart with an AUC of {alone:.2f}, beside the "
            f"model's {auroc:.2f}: part of what the model knows may not be about lungs."
        )
    if evaluation.after.adaptive_ece > FAR_FROM_CALIBRATED:
        doubts.append(
            f"Probabilities are off by {100 * evaluation.after.adaptive_ece:.1f} percentage points on average here: "
            "take them as an order, not as chances."
        )
    before = evaluation.before
    if before is not None and evaluation.after.adaptive_ece - before.adaptive_ece > WORSE:
        doubts.append(
            f"Calibration made it worse here: without it the error would be {number(before.adaptive_ece)} instead of "
            f"{number(evaluation.after.adaptive_ece)}. These films differ from those of validation."
        )
    if films.failures:
        doubts.append(
            f"{counted(len(films.failures), 'film')} could not be judged and {_are(len(films.failures))} left out."
        )
    if judged.unlabeled:
        doubts.append(f"{counted(judged.unlabeled, 'film')} without a usable label {_are(judged.unlabeled)} left out.")
    return doubts


def _of_thresholds(evaluation: Evaluation) -> list[str]:
    """Where a threshold does worse than where it was set."""
    judged, doubts = evaluation.judgement, []
    of_group = {group.name: group.figures for group in evaluation.subgroups.get(PATIENT, [])}
    for patient, point in judged.points.items():
        whose = "" if patient is None else f" on films of {WHOSE[patient]}"
        if patient is not None and patient not in judged.columns[PATIENT]:
            continue
        figures = evaluation.all if patient is None else of_group.get(patient, evaluation.all)
        for name, expected in (("sensitivity", point.sensitivity), ("specificity", point.specificity)):
            figure = figures[name]
            if figure.high is not None and figure.high < expected:
                doubts.append(
                    f"{name.capitalize()}{whose} was {percent(expected)} on validation, where the threshold was set, "
                    f"and is {value(name, figure)} here: the threshold does not carry over to these films."
                )
    return doubts


def _of_boxes(evaluation: Evaluation) -> list[str]:
    card, boxes = evaluation.judgement.card.boxes, evaluation.boxes
    if card is None:
        return []
    if boxes is None:
        return ["No film here has known boxes: nothing is said of where the model draws them."]
    doubts, true = [], boxes.counts["true_boxes"]
    if true < FEW:
        doubts.append(f"Only {counted(true, 'true box', 'true boxes')}: the intervals of box figures are wide.")
    expected, score = card.figures.get("rsna_score"), boxes.figures["rsna_score"]
    if expected is not None and score.high is not None and score.high < expected:
        doubts.append(
            f"The RSNA score was {number(expected)} on validation, where the box threshold was set, and is "
            f"{value('rsna_score', score)} here: boxes do not carry over to these films."
        )
    return doubts


def _by_source(evaluation: Evaluation) -> list[str]:
    """Films of several sources in one pot can look better or worse than those of each."""
    groups = evaluation.subgroups.get("source", [])
    measured = sorted((group.figures["auroc"].value, group.name) for group in groups if group.figures["auroc"].value)
    if len(measured) < 2:
        return []
    (lowest, worst), (highest, best) = measured[0], measured[-1]
    return [
        f"The films are of {len(groups)} sources, and the AUROC goes from {number(lowest)} ({worst}) to "
        f"{number(highest)} ({best}): read the sources one by one."
    ]


def _are(count: int) -> str:
    return "is" if count == 1 else "are"
