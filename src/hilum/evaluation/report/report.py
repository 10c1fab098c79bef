"""An Evaluation becomes a Document: the sections in the order in which a reader asks."""

from __future__ import annotations

from collections.abc import Sequence

from hilum.evaluation.journal import sections
from hilum.evaluation.journal.facts import facts
from hilum.evaluation.lungs.section import lungs_section
from hilum.evaluation.measure import Evaluation
from hilum.evaluation.readers.section import readers_section
from hilum.evaluation.report import first_screen, of_boxes, of_films, of_model
from hilum.evaluation.report.document import Document, Gallery, Section
from hilum.evaluation.report.gallery import Chosen
from hilum.evaluation.robustness.robustness import Robustness
from hilum.evaluation.robustness.section import robustness_section


def make_report(
    evaluation: Evaluation,
    chosen: Chosen,
    box_galleries: Sequence[Gallery],
    command: str,
    robustness: Robustness | None = None,
) -> Document:
    """`command` is what the user typed, to be typed again; `robustness` what `hilum robustness` said of the bundle."""
    judged = evaluation.judgement
    made: list[Section | None] = [
        of_model.decisions(evaluation),
        of_boxes.boxes(evaluation, box_galleries),
        lungs_section(evaluation.lungs, judged, evaluation.seed),
        of_model.ranking(evaluation),
        readers_section(evaluation.readers, evaluation.roc) if evaluation.readers is not None else None,
        of_model.classes(evaluation.by_class, evaluation.unsure) if evaluation.by_class is not None else None,
        of_model.calibrated(evaluation),
        of_model.usefulness(evaluation),
        of_model.thresholds(evaluation),
        of_films.subgroups(evaluation),
        sections.precision_section(evaluation),
        sections.failures_section(evaluation.failures, chosen.failures, chosen.about),
        of_films.errors(chosen),
        of_films.heatmaps(evaluation),
        of_films.abstentions(evaluation),
        robustness_section(robustness) if robustness is not None else None,
        sections.flow_section(judged),
        of_films.provenance(judged),
        sections.checklists_section(facts(evaluation, command, robustness)),
        of_films.reproduction(judged, command),
        of_films.limits(judged),
    ]
    return Document(
        title=first_screen.title(judged),
        subtitle=first_screen.subtitle(judged),
        stamp=first_screen.stamp(judged),
        answer=first_screen.answer(evaluation),
        tiles=first_screen.tiles(evaluation),
        cautions=first_screen.cautions(evaluation),
        sections=[section for section in made if section is not None and section.blocks],
    )
