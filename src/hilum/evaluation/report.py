"""An Evaluation becomes a Document: the sections in the order in which a reader asks."""

from __future__ import annotations

from collections.abc import Sequence

from hilum.evaluation import first_screen, section_of_boxes, sections, sections_of_films
from hilum.evaluation.document import Document, Gallery, Section
from hilum.evaluation.gallery import Chosen
from hilum.evaluation.measure import Evaluation


def make_report(evaluation: Evaluation, chosen: Chosen, box_galleries: Sequence[Gallery], command: str) -> Document:
    """`command` is what the user typed, to be typed again."""
    judged = evaluation.judgement
    made: list[Section | None] = [
        sections.decisions(evaluation),
        section_of_boxes.boxes(evaluation, box_galleries),
        sections.ranking(evaluation),
        sections.classes(evaluation.by_class) if evaluation.by_class is not None else None,
        sections.calibrated(evaluation),
        sections.usefulness(evaluation),
        sections.thresholds(evaluation),
        sections_of_films.subgroups(evaluation),
        sections_of_films.errors(chosen),
        sections_of_films.heatmaps(evaluation),
        sections_of_films.abstentions(evaluation),
        sections_of_films.provenance(judged),
        sections_of_films.reproduction(judged, command),
        sections_of_films.limits(judged),
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
