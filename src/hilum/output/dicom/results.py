"""Which results are made of a film, and how they are written: a file each, whole or absent."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from io import BytesIO
from os import PathLike
from pathlib import Path
from typing import BinaryIO, Literal, get_args

from highdicom.utils import is_multiframe_image  # type: ignore[attr-defined]
from pydicom.dataset import Dataset

from hilum.bundle.format import HEATMAPS, LUNGS
from hilum.bundle.prediction import Answered, Failed, Prediction
from hilum.output.dicom.gsps import presentation
from hilum.output.dicom.made import Made
from hilum.output.dicom.maps import parametric_map, segmentation
from hilum.output.dicom.sc import capture
from hilum.output.dicom.source import NoResultError, Source, open_source
from hilum.output.dicom.sr import report
from hilum.radiograph import Radiograph
from hilum.radiograph.quiet import quiet
from hilum.system.files import write_whole

Kind = Literal["sr", "gsps", "sc", "pm", "seg"]
KINDS: tuple[Kind, ...] = get_args(Kind)
NEEDS: dict[Kind, str] = {"pm": HEATMAPS, "seg": LUNGS}  # of what a bundle's network may give
# What the network shows goes into these, so it has to be asked for.
SHOWS: frozenset[Kind] = frozenset({"sc", *NEEDS})


def dicom_results(
    prediction: Prediction,
    film: Radiograph,
    source: str | PathLike[str] | BinaryIO | Source,
    kinds: Sequence[Kind] = ("sr",),
) -> Iterator[tuple[Kind, Dataset]]:
    """DICOM objects of a film's prediction, in the film's own study; `film` is what `hilum.read` gave of `source`.

    A film that was turned away has a report, a presentation state and a capture that say so, and no maps. Raises
    NoResultError where nothing in DICOM can refer to the film; a result that cannot refer to films of its kind is left
    out (`not_of`).
    """
    if isinstance(prediction, Failed):
        raise NoResultError(f"has no result: {prediction.detail}")
    opened = source if isinstance(source, Source) else open_source(source)
    for kind in kinds:
        if not_of(opened, kind):
            continue
        with quiet():  # a name of one part is no concern of whoever asks for a result
            result = _result(Made(opened, prediction, kind), film)
        if result is not None:
            yield kind, result


def not_of(source: Source, kind: Kind) -> str:
    """Why there is no such result of a film as it is stored; empty where there is."""
    if kind in ("gsps", "pm", "seg") and is_multiframe_image(source.header):
        return f"no {kind}, which would refer to frames: it is stored as an object that may have several"
    if kind == "gsps" and source.header.get("SamplesPerPixel", 1) != 1:
        return "no gsps, which is of grey films alone: it is stored in color"
    return ""


def _result(made: Made, film: Radiograph) -> Dataset | None:
    prediction = made.prediction
    match made.kind:
        case "sr":
            return report(made)
        case "gsps":
            return presentation(made)
        case "sc":
            return capture(made, film)
        case "pm" if isinstance(prediction, Answered) and prediction.heatmap is not None:
            return parametric_map(made, prediction)
        case "seg" if isinstance(prediction, Answered) and prediction.lungs is not None:
            return segmentation(made, prediction)
    return None


def write_result(result: Dataset, path: Path) -> None:
    """As a DICOM file."""
    write_whole(path, as_file(result))


def as_file(result: Dataset) -> bytes:
    """The content of a DICOM file."""
    content = BytesIO()
    result.save_as(content, enforce_file_format=True)
    return content.getvalue()
