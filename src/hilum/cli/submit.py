"""`hilum submit`: the RSNA challenge's CSV for a folder of films."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import numpy as np
import typer

from hilum.bundle.asked import Asked
from hilum.cli.terminal.errors import one_line
from hilum.cli.terminal.files import find_films
from hilum.cli.terminal.lines import say
from hilum.cli.terminal.progress import track
from hilum.radiograph import Radiograph, read

if TYPE_CHECKING:
    from hilum.bundle.predictor import Predictor
    from hilum.evaluation.challenge.submission import FilmBoxes

PREDICTIONS = (".jsonl", ".json")
# Films of the challenge are chest films, and one that the gate turned away would lose its boxes.
EVERY_BOX = Asked(gate=False, heatmaps=False, box_threshold=0.0)


def submit(
    paths: Annotated[
        list[Path],
        typer.Argument(
            help="Films or folders of them, after the detection bundle (.onnx); several bundles are averaged. Or files "
            "that `hilum predict --json` wrote (.jsonl).",
            metavar="PATH",
        ),
    ],
    out: Annotated[Path, typer.Option("-o", "--out", help="The CSV to write.", metavar="FILE")],
    mirror: Annotated[
        bool, typer.Option("--mirror", help="Look at the mirror image of each film too, and average.")
    ] = False,
    threshold: Annotated[
        float | None,
        typer.Option(
            help="Leave boxes below this score out, after averaging; else below that of the bundles, on average.",
            min=0,
            max=1,
            metavar="SCORE",
        ),
    ] = None,
) -> None:
    """Write the RSNA challenge's CSV: patientId, and confidence, x, y, width, height of each box in pixels of the film.

    The patientId is the stem of the file's name, as in the challenge; the header of a DICOM file is never asked.
    Boxes of several bundles, or of several files of predictions, are averaged by weighted box fusion.
    """
    from hilum.bundle.card import BundleError
    from hilum.evaluation.challenge.submission import (
        SIDE,
        SubmissionError,
        fuse_films,
        read_predictions,
        write_submission,
    )
    from hilum.measures.boxes.overlap import above

    bundles, written, films = (_of_suffix(paths, *suffixes) for suffixes in ((".onnx",), PREDICTIONS, ()))
    if bool(written) == bool(bundles and films) or (written and (bundles or films or mirror)):
        raise typer.BadParameter("name a detection bundle (.onnx) and films, or files of predictions (.jsonl) alone")
    with one_line(BundleError, SubmissionError):
        if not out.parent.is_dir():
            raise SubmissionError(f"{out.parent}: there is no such folder")
        sets, own_threshold = [read_predictions(path) for path in written], 0.0
        if bundles:
            sets, own_threshold = _predict(bundles, films, mirror)
        fused = fuse_films(sets)
        if not fused:
            raise SubmissionError("no films found; give JPEG, PNG or DICOM files or folders that hold some")
        least = own_threshold if threshold is None else threshold
        fused = [film._replace(found=above(film.found, least)) for film in fused]
        write_submission(fused, out)
    boxes = sum(len(film.found.scores) for film in fused)
    say(f"{len(fused):,} films, {boxes:,} boxes written to {out}")
    if odd := sum(film.error is None and (film.height, film.width) != (SIDE, SIDE) for film in fused):
        say(f"note: {odd:,} films are not of {SIDE} x {SIDE}; boxes are in pixels of each film itself")
    failed = [film for film in fused if film.error is not None]
    for film in failed:
        say(f"{film.film}: {film.error}; its row is empty")
    if failed:
        raise typer.Exit(1)


def _of_suffix(paths: list[Path], *suffixes: str) -> list[Path]:
    """Those of the paths; without suffixes, all that are neither bundles nor predictions."""
    if suffixes:
        return [path for path in paths if path.suffix.lower() in suffixes]
    return [path for path in paths if path.suffix.lower() not in (".onnx", *PREDICTIONS)]


def _predict(bundles: list[Path], paths: list[Path], mirror: bool) -> tuple[list[list[FilmBoxes]], float]:
    """What each bundle finds on the films, and with `mirror` on their mirror images; and the mean of their thresholds.

    All boxes are asked for, because what one opinion holds for unlikely another may confirm.
    """
    from hilum.bundle.card import BundleError
    from hilum.bundle.predictor import load
    from hilum.evaluation.challenge.submission import film_boxes

    films = [film.path for film in find_films(paths)[0]]
    sets, thresholds = [], []
    for bundle in bundles:
        predictor = load(bundle)
        if predictor.card.boxes is None:
            raise BundleError(f"{bundle}: a {predictor.card.task} bundle draws no boxes; name a detection bundle")
        thresholds.append(predictor.card.boxes.threshold)
        stream = track(predictor.stream(films, EVERY_BOX), f"predicting with {bundle.name}", len(films))
        sets.append([film_boxes(prediction.to_dict()) for prediction in stream])
        if mirror:
            sets.append(_predict_mirrored(predictor, films, sets[-1]))
    return sets, float(np.mean(thresholds))


def _predict_mirrored(predictor: Predictor, films: list[Path], plain: list[FilmBoxes]) -> list[FilmBoxes]:
    from hilum.evaluation.challenge.submission import film_boxes
    from hilum.measures.boxes import fusion as box_fusion

    readable = [film for film, seen in zip(films, plain, strict=True) if seen.error is None]
    images = (_mirror_image(read(film)) for film in readable)
    stream = track(predictor.stream(images, EVERY_BOX), "predicting mirror images", len(readable))
    records = (prediction.to_dict() for prediction in stream)
    return [
        seen if seen.error is not None else seen._replace(found=box_fusion.mirror(film_boxes(next(records)).found))
        for seen in plain
    ]


def _mirror_image(radiograph: Radiograph) -> Radiograph:
    return replace(radiograph, pixels=np.ascontiguousarray(radiograph.pixels[:, ::-1]))
