"""DICOM results of the films, a file each, beside the rows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from hilum.bundle.prediction import Failed
from hilum.cli.terminal.lines import say
from hilum.output.dicom.results import Kind, dicom_results, not_of, write_result
from hilum.output.dicom.source import NoResultError, Source, open_source
from hilum.system.text import printable

if TYPE_CHECKING:
    from hilum.bundle.prediction import Prediction
    from hilum.cli.terminal.files import Found
    from hilum.radiograph import Radiograph


def dicom_writer(
    found: list[Found], folder: Path, kinds: Sequence[Kind]
) -> Callable[[Prediction, Radiograph | None], None]:
    """Writes the results of each film under its own name below the folders that were named."""
    places = iter(found)
    taken: set[Path] = set()
    shown = _studies_with_films_for_people(found)
    told: set[str] = set()

    def write(prediction: Prediction, radiograph: Radiograph | None) -> None:
        film = next(places)
        if radiograph is None or isinstance(prediction, Failed):
            return
        try:
            source = open_source(film.path)
        except NoResultError as error:
            say(f"{printable(str(film.path))}: {error}")
            return
        if source.for_processing and str(source.header.StudyInstanceUID) in shown:
            say(f"{printable(str(film.path))}: no result, since its study has the film for presentation as well")
            return
        for mended in set(source.mended) - told:
            say(f"{printable(str(film.path))}: {mended}; told once")
            told.add(mended)
        for words in filter(None, (not_of(source, kind) for kind in kinds)):
            say(f"{printable(str(film.path))}: {words}")
        for kind, result in dicom_results(prediction, radiograph, source, kinds):
            target = folder / printable(str(film.relative.with_name(f"{film.relative.name}.{kind}.dcm")))
            while target in taken:  # films of the same name from different folders
                target = target.with_name("again-" + target.name)
            taken.add(target)
            target.parent.mkdir(parents=True, exist_ok=True)
            write_result(result, target)

    return write


def _studies_with_films_for_people(found: list[Found]) -> set[str]:
    sources = filter(None, (_opened(film.path) for film in found))
    return {str(source.header.StudyInstanceUID) for source in sources if not source.for_processing}


def _opened(path: Path) -> Source | None:
    try:
        return open_source(path)
    except (NoResultError, OSError):
        return None
