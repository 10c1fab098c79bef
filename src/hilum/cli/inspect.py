"""`hilum inspect`: what hilum sees in files, before anything is made of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from PIL import Image

from hilum.cli.terminal.files import Found, find_films
from hilum.cli.terminal.lines import say
from hilum.cli.terminal.progress import track
from hilum.cli.terminal.table import print_table
from hilum.radiograph import Radiograph, ReadError, read
from hilum.system.pictures import write_picture

COLUMNS = ("file", "size", "encoding", "bits", "mode", "view", "notes")


def inspect(
    paths: Annotated[list[Path], typer.Argument(help="Films (JPEG, PNG, DICOM) or folders of them.", metavar="PATH")],
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object a line instead of a table.")] = False,
    png: Annotated[
        Path | None, typer.Option(help="Write each film as hilum sees it to this folder, as 8-bit PNG.", metavar="DIR")
    ] = None,
    max_megapixels: Annotated[
        float, typer.Option(help="Refuse pictures larger than this.", min=0.001, metavar="N")
    ] = 64,
) -> None:
    """Show what films are made of and whether hilum can read them.

    One row a film: size, encoding, bit depth, photometric interpretation or color mode, view, and anything odd about
    it. A file that cannot be read is a row with the reason; the others are still shown, and the exit code is 1.
    """
    films, others = find_films(paths)
    rows: list[tuple[str, ...]] = []
    failed = 0
    for film in track(films, "reading", len(films)):
        try:
            radiograph = read(film.path, max_megapixels=max_megapixels)
        except (ReadError, OSError) as error:
            failed += 1
            reason, detail = _reason(error)
            if as_json:
                print(json.dumps({"file": str(film.path), "reason": reason, "detail": detail}), flush=True)
            rows.append((str(film.path), "", "", "", "", "", f"{reason}: {detail}"))
            continue
        if png is not None:
            _write_png(radiograph, png / film.relative.with_name(film.relative.name + ".png"))
        if as_json:
            print(json.dumps({"file": str(film.path), **radiograph.describe()}), flush=True)
        rows.append(_row(film, radiograph))
    if not as_json:
        print_table(COLUMNS, rows)
    if png is not None:
        say(f"pictures written to {png}: {len(films) - failed}")
    if others:
        say(f"passed over, neither JPEG, PNG nor DICOM: {others}")
    if not films:
        say("no films found; give JPEG, PNG or DICOM files or folders that hold some")
    if failed:
        say(f"{failed} of {len(films)} files could not be read")
    if failed or not films:
        raise typer.Exit(1)


def _reason(error: ReadError | OSError) -> tuple[str, str]:
    if isinstance(error, ReadError):
        return error.reason, error.detail
    return "cannot_open", error.strerror or "the file cannot be opened"


def _row(film: Found, radiograph: Radiograph) -> tuple[str, ...]:
    return (
        str(film.path),
        f"{radiograph.width} x {radiograph.height}",
        radiograph.encoding,
        str(radiograph.bits),
        radiograph.mode,
        radiograph.view or "",
        "; ".join(warning.detail for warning in radiograph.warnings),
    )


def _write_png(radiograph: Radiograph, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    levels = np.rint(radiograph.pixels * 255).astype(np.uint8)
    write_picture(Image.fromarray(levels), path, durable=False, compress_level=1)
