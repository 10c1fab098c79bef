"""One report for a whole study, made of the reports of its films: which films there are, and what they say together."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from copy import deepcopy
from datetime import datetime
from typing import Literal, NamedTuple, Self

from pydicom.dataset import Dataset
from pydicom.sr.coding import Code

from hilum.bundle.prediction import RESEARCH_USE
from hilum.output.dicom.made import ABSENT, COMMENT, PNEUMONIA, PRESENT, PROBABILITY, uid_of
from hilum.output.table import percent

StudyRule = Literal["highest", "mean"]
SERIES_NUMBER = 9800
MEASUREMENTS, LIBRARY, TRACKING, TRACKING_UID = (
    Code(value, "DCM", "") for value in ("126010", "111028", "112039", "112040")
)
SOURCE = Code("260753009", "SCT", "Source (attribute)")


class FilmReport(NamedTuple):
    """A film's own report, as pydicom reads it, and what it says; no numbers where the film was turned away."""

    report: Dataset
    pneumonia: bool
    probability: float | None
    threshold: float | None

    @classmethod
    def of(cls, report: Dataset, line: str | bytes) -> Self:
        """With the line that `hilum predict --json` prints of the film."""
        answer = json.loads(line)
        return cls(report, answer["decision"] == "pneumonia", answer["probability"], answer["threshold"])


class UnreadFilm(NamedTuple):
    """A film of the study that could not be judged, by its identifiers."""

    kind: str
    series: str
    instance: str


class StudyAnswer(NamedTuple):
    """What films say together; `film` is the one by whose threshold. Without any answer there is no probability."""

    film: int
    pneumonia: bool
    probability: float | None


def answer_of_study(films: Sequence[FilmReport], rule: StudyRule) -> StudyAnswer:
    """By the film that speaks most for pneumonia, or by the mean of all that have an answer."""
    answered = [
        (film.pneumonia, film.probability, -place) for place, film in enumerate(films) if film.probability is not None
    ]
    if not answered:
        return StudyAnswer(0, False, None)
    pneumonia, highest, place = max(answered)
    if rule == "highest":
        return StudyAnswer(-place, pneumonia, highest)
    mean = sum(probability for _, probability, _ in answered) / len(answered)
    return StudyAnswer(-place, mean >= (films[-place].threshold or 0), mean)


def report_of_study(
    films: Sequence[FilmReport], unread: Sequence[UnreadFilm], rule: StudyRule, replaced: str | None = None
) -> Dataset:
    """All that the films' reports hold in one, behind a group with the study's answer, also when that is no.

    `replaced` identifies an earlier report of this study, of fewer films. Identifiers follow from those of the films.
    """
    first = films[0].report
    named = [*(str(film.report.SOPInstanceUID) for film in films), *(film.instance for film in unread)]
    made = deepcopy(first)
    made.SOPInstanceUID = uid_of("study", rule, *sorted(named))
    made.SeriesInstanceUID = uid_of("series of studies", str(first.StudyInstanceUID))
    made.file_meta.MediaStorageSOPInstanceUID = made.SOPInstanceUID
    made.SeriesNumber = SERIES_NUMBER
    made.SeriesDescription = f"hilum report of the study, {RESEARCH_USE.split(',')[0].lower()}"
    now = datetime.now()
    made.InstanceCreationDate = made.ContentDate = f"{now:%Y%m%d}"
    made.InstanceCreationTime = made.ContentTime = f"{now:%H%M%S}"
    measurements, library = _item(made, MEASUREMENTS), _item(made, LIBRARY)
    for film in films[1:]:
        measurements.ContentSequence.extend(deepcopy(_item(film.report, MEASUREMENTS).ContentSequence))
        library.ContentSequence.extend(deepcopy(_item(film.report, LIBRARY).ContentSequence))
    library.ContentSequence[0].ContentSequence.extend(_image(film, SOURCE) for film in unread)
    measurements.ContentSequence.insert(0, _of_study(films, len(unread), rule, str(made.SOPInstanceUID)))
    made.CurrentRequestedProcedureEvidenceSequence[0].ReferencedSeriesSequence = _evidence(films, unread)
    if replaced is not None:
        made.PredecessorDocumentsSequence = [_document(made, replaced)]
    return made


def _of_study(films: Sequence[FilmReport], unread: int, rule: StudyRule, instance: str) -> Dataset:
    """The group of the film that decides, which says by which bundle and threshold, with the study's answer in it."""
    answer = answer_of_study(films, rule)
    group: Dataset = deepcopy(_item(films[answer.film].report, MEASUREMENTS).ContentSequence[0])
    _item(group, TRACKING).TextValue = "study"
    _item(group, TRACKING_UID).UID = uid_of("group of the study", instance)
    if answer.probability is not None:
        number = _item(group, PROBABILITY).MeasuredValueSequence[0]
        number.FloatingPointValue = round(answer.probability, 6)
        number.NumericValue = str(round(answer.probability, 6))
        verdict = _items(group, PNEUMONIA)[-1]
        code = PRESENT if answer.pneumonia else ABSENT
        verdict.ConceptCodeSequence[0].CodeValue, verdict.ConceptCodeSequence[0].CodeMeaning = code.value, code.meaning
    _item(group, COMMENT).TextValue = ". ".join([*_in_words(films, answer, unread, rule), RESEARCH_USE])
    items: list[Dataset] = list(group.ContentSequence)
    place = next(place for place, item in enumerate(items) if item.ValueType == "IMAGE")
    items[place : place + 1] = [_source(film.report) for film in films]
    group.ContentSequence = items
    return group


def _in_words(films: Sequence[FilmReport], answer: StudyAnswer, unread: int, rule: StudyRule) -> Iterator[str]:
    answered = sum(film.probability is not None for film in films)
    count = len(films) + unread
    turned_away = len(films) - answered
    parts = [
        f"{answered} answered",
        f"{turned_away} turned away" if turned_away else "",
        f"{unread} unreadable" if unread else "",
    ]
    if answer.probability is None:
        yield "hilum: no answer for the study"
    else:
        yield f"hilum: study {'pneumonia' if answer.pneumonia else 'no pneumonia'}"
        by = "the highest" if rule == "highest" else "the mean"
        yield f"Probability of pneumonia {percent(answer.probability)}, {by} of its films"
    yield f"{count} {'film' if count == 1 else 'films'}: {', '.join(filter(None, parts))}"


def _source(report: Dataset) -> Dataset:
    """The item of a film's group that names the film."""
    items: list[Dataset] = list(_item(report, MEASUREMENTS).ContentSequence[0].ContentSequence)
    return deepcopy(next(item for item in items if item.ValueType == "IMAGE"))


def _evidence(films: Sequence[FilmReport], unread: Sequence[UnreadFilm]) -> list[Dataset]:
    """Every film under its series, as often as it is once."""
    by_series: dict[str, dict[str, str]] = {}
    for film in films:
        for series in film.report.CurrentRequestedProcedureEvidenceSequence[0].ReferencedSeriesSequence:
            for one in series.ReferencedSOPSequence:
                named = by_series.setdefault(str(series.SeriesInstanceUID), {})
                named[str(one.ReferencedSOPInstanceUID)] = str(one.ReferencedSOPClassUID)
    for lost in unread:
        by_series.setdefault(lost.series, {})[lost.instance] = lost.kind
    made = []
    for series_uid, named in by_series.items():
        series = Dataset()
        series.SeriesInstanceUID = series_uid
        series.ReferencedSOPSequence = [_reference(kind, instance) for instance, kind in named.items()]
        made.append(series)
    return made


def _document(made: Dataset, instance: str) -> Dataset:
    document, series = Dataset(), Dataset()
    series.SeriesInstanceUID = made.SeriesInstanceUID
    series.ReferencedSOPSequence = [_reference(str(made.SOPClassUID), instance)]
    document.StudyInstanceUID = made.StudyInstanceUID
    document.ReferencedSeriesSequence = [series]
    return document


def _image(film: UnreadFilm, name: Code) -> Dataset:
    item, concept = Dataset(), Dataset()
    concept.CodeValue, concept.CodingSchemeDesignator, concept.CodeMeaning = (
        name.value,
        name.scheme_designator,
        name.meaning,
    )
    item.RelationshipType, item.ValueType = "CONTAINS", "IMAGE"
    item.ConceptNameCodeSequence = [concept]
    item.ReferencedSOPSequence = [_reference(film.kind, film.instance)]
    return item


def _reference(kind: str, instance: str) -> Dataset:
    reference = Dataset()
    reference.ReferencedSOPClassUID, reference.ReferencedSOPInstanceUID = kind, instance
    return reference


def _items(holder: Dataset, name: Code) -> list[Dataset]:
    return [
        item
        for item in holder.ContentSequence
        if "ConceptNameCodeSequence" in item and item.ConceptNameCodeSequence[0].CodeValue == name.value
    ]


def _item(holder: Dataset, name: Code) -> Dataset:
    return _items(holder, name)[0]
