"""`hilum submit`: the RSNA challenge's CSV for a folder of films."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hilum.cli.terminal.errors import one_line
from hilum.cli.terminal.extras import need
from hilum.cli.terminal.files import find_films
from hilum.cli.terminal.lines import say
from hilum.cli.terminal.progress import report_stages

PREDICTIONS = (".jsonl", ".json")


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
            metavar="P",
        ),
    ] = None,
) -> None:
    """Write the RSNA challenge's CSV: patientId, and confidence, x, y, width, height of each box in pixels of the film.

    The patientId is the stem of the file's name, as in the challenge; the header of a DICOM file is never asked.
    Boxes of several bundles, or of several files of predictions, are averaged by weighted box fusion.
    """
    need("hilum submit", "evaluate", "polars")
    from hilum.bundle.card import BundleError
    from hilum.evaluation.challenge.opinions import opinions_of, read_opinions
    from hilum.evaluation.challenge.opinions import submit as submit_opinions
    from hilum.evaluation.challenge.submission import SIDE, SubmissionError

    bundles, written, films = (_of_suffix(paths, *suffixes) for suffixes in ((".onnx",), PREDICTIONS, ()))
    if bool(written) == bool(bundles and films) or (written and (bundles or films or mirror)):
        raise typer.BadParameter("name a detection bundle (.onnx) and films, or files of predictions (.jsonl) alone")
    with one_line(BundleError, SubmissionError):
        if not out.parent.is_dir():
            raise SubmissionError(f"{out.parent}: there is no such folder")
        if written:
            opinions = read_opinions(written)
        else:
            with report_stages() as on_progress:
                opinions = opinions_of(bundles, [film.path for film in find_films(films)[0]], mirror, on_progress)
        submitted = submit_opinions(opinions, out, threshold)
    boxes = sum(len(film.found.scores) for film in submitted)
    say(f"{len(submitted):,} films, {boxes:,} boxes written to {out}")
    if odd := sum(film.error is None and (film.height, film.width) != (SIDE, SIDE) for film in submitted):
        say(f"note: {odd:,} films are not of {SIDE} x {SIDE}; boxes are in pixels of each film itself")
    failed = [film for film in submitted if film.error is not None]
    for film in failed:
        say(f"{film.film}: {film.error}; its row is empty")
    if failed:
        raise typer.Exit(1)


def _of_suffix(paths: list[Path], *suffixes: str) -> list[Path]:
    """Those of the paths; without suffixes, all that are neither bundles nor predictions."""
    if suffixes:
        return [path for path in paths if path.suffix.lower() in suffixes]
    return [path for path in paths if path.suffix.lower() not in (".onnx", *PREDICTIONS)]
