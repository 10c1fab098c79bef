"""A module of mercure's: the films of a folder are judged, their DICOM results and result.json go into another one.

As its documentation has it (docs/modules.rst and process/process_series.py of mercure-imaging/mercure): films are files
*.dcm, beside which tags and the results of earlier steps may lie; task.json is about one step; what comes out is named
SERIES#INSTANCE.dcm, so that a step that follows finds what belongs together; a code other than 0 fails the task.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, NamedTuple

from pydicom.dataset import Dataset

from hilum.bundle.asked import Asked
from hilum.bundle.prediction import RESEARCH_USE, Failed, Prediction
from hilum.bundle.predictor import Predictor, load
from hilum.node.settings.node import NodeError
from hilum.output.dicom.results import NEEDS, SHOWS, Kind, dicom_results, write_result
from hilum.output.dicom.source import NoResultError, Source, open_source
from hilum.output.dicom.study import FilmReport, StudyRule, answer_of_study, report_of_study
from hilum.output.overlay import TALLEST
from hilum.output.table import to_json_line
from hilum.system.files import write_whole
from hilum.system.misfit import in_words
from hilum.system.typed import Bounds, MisfitError, build, out_of_bounds

SUFFIX = ".dcm"
TASK, RESULT, NOTIFICATION = "task.json", "result.json", "__mercure_notification"


@dataclass(frozen=True, slots=True)
class ModuleSettings:
    """What mercure's page of the module takes under Settings."""

    results: list[Kind] = field(default_factory=lambda: ["sr", "gsps", "sc"])
    model: str = "default"
    operating_point: str | None = None
    threshold: Annotated[float, Bounds(lowest=0, highest=1)] | None = None
    study_answer: StudyRule = "highest"


class JudgedFilm(NamedTuple):
    """A film by its place among those of the folder, with what was made of it."""

    number: int
    study: str
    prediction: Prediction
    made: dict[Kind, Dataset]
    refused: str | None = None


def run_module(films: Path, out: Path) -> dict[str, Any]:
    """Judge what lies there; what result.json says. Raises NodeError and BundleError."""
    settings = module_settings(films / TASK)
    paths = sorted(path for path in films.rglob("*") if path.is_file() and path.suffix.lower() == SUFFIX)
    if not paths:
        raise NodeError(f"{films}: no films there, which mercure calls *{SUFFIX}")
    out.mkdir(parents=True, exist_ok=True)
    predictor = load(settings.model)
    for kind, output in NEEDS.items():
        if kind in settings.results:
            predictor.check_output(output, f"{kind} out of the settings' results")
    judged = list(_judged(predictor, paths, settings))
    studies = {film.study: [one for one in judged if one.study == film.study] for film in judged if film.study}
    said: dict[str, Any] = {"films": [_said(film) for film in judged], "studies": [], "research_use": RESEARCH_USE}
    for study in studies.values():
        with_reports = [film for film in study if "sr" in film.made]
        if len(with_reports) > 1:
            said["studies"].append(_report(with_reports, settings, out))
    for film in judged:
        alone = len([one for one in studies.get(film.study, []) if "sr" in one.made]) < 2
        for kind, result in film.made.items():
            if kind != "sr" or alone:  # the study's report holds those of its films
                write_result(result, out / _name(result))
    positive = sum(getattr(film.prediction, "decision", None) == "pneumonia" for film in judged)
    text = f"hilum: pneumonia on {positive} of {len(judged)} films. {RESEARCH_USE}"
    said[NOTIFICATION] = {"text": text, "requested": positive > 0}
    write_whole(out / RESULT, json.dumps(said, indent=1) + "\n")
    return said


def module_settings(task: Path) -> ModuleSettings:
    """From the task that mercure lays beside the films; the usual ones where it says nothing. Raises NodeError."""
    try:
        step = json.loads(task.read_text(encoding="utf-8")).get("process") or {}
        settings = build(ModuleSettings, step.get("settings") or {})
    except FileNotFoundError:
        return ModuleSettings()
    except MisfitError as misfit:
        raise NodeError(f"{task}: settings: {in_words(misfit, 'node')}") from None
    except (ValueError, AttributeError, LookupError):
        raise NodeError(f"{task}: is no task of mercure's") from None
    for line in out_of_bounds(settings):
        raise NodeError(f"{task}: settings: {line}")
    return settings


def _judged(predictor: Predictor, paths: list[Path], settings: ModuleSettings) -> Iterator[JudgedFilm]:
    heatmaps = not SHOWS.isdisjoint(settings.results)
    asked = Asked(operating_point=settings.operating_point, threshold=settings.threshold, heatmaps=heatmaps)
    sources = [_source(path) for path in paths]
    readable = [source for source in sources if isinstance(source, Source)]
    shown = {str(source.header.StudyInstanceUID) for source in readable if not source.for_processing}
    films = predictor.stream_with_films(map(str, paths), asked, at_least=TALLEST)
    for number, (source, (prediction, radiograph)) in enumerate(zip(sources, films, strict=True), start=1):
        if isinstance(source, NoResultError) or isinstance(prediction, Failed) or radiograph is None:
            yield JudgedFilm(number, "", prediction, {}, str(source) if isinstance(source, NoResultError) else None)
            continue
        study = str(source.header.StudyInstanceUID)
        if source.for_processing and study in shown:
            yield JudgedFilm(number, "", prediction, {}, "is for processing; its study has films for presentation")
            continue
        yield JudgedFilm(
            number, study, prediction, dict(dicom_results(prediction, radiograph, source, settings.results))
        )


def _source(path: Path) -> Source | NoResultError:
    try:
        return open_source(path)
    except NoResultError as error:
        return error


def _said(film: JudgedFilm) -> dict[str, Any]:
    """The answer without the file's name, which holds an identifier."""
    answer: dict[str, Any] = json.loads(to_json_line(film.prediction))
    del answer["file"]
    return {"number": film.number, **answer, **({"no_result": film.refused} if film.refused else {})}


def _name(result: Dataset) -> str:
    """Of identifiers that are hilum's own: no film's is in it."""
    return f"{result.SeriesInstanceUID}#{result.SOPInstanceUID}{SUFFIX}"


def _report(films: list[JudgedFilm], settings: ModuleSettings, out: Path) -> dict[str, Any]:
    reports = [FilmReport.of(film.made["sr"], to_json_line(film.prediction)) for film in films]
    report = report_of_study(reports, [], settings.study_answer)
    write_result(report, out / _name(report))
    answer = answer_of_study(reports, settings.study_answer)
    decision = None if answer.probability is None else "pneumonia" if answer.pneumonia else "no_pneumonia"
    return {"films": [film.number for film in films], "decision": decision, "probability": answer.probability}
