"""`hilum data phantom`: a data set of drawn films, so that a first try needs no download."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated, Literal, get_args

import typer

from hilum.cli.terminal.errors import one_line
from hilum.cli.terminal.lines import say
from hilum.cli.terminal.progress import report

Layout = Literal["kermany", "rsna", "folder"]


def phantom(
    folder: Annotated[Path, typer.Argument(help="An empty or new folder.", metavar="DIR")],
    count: Annotated[int, typer.Option("-n", "--count", help="How many films to draw.", min=1, metavar="N")] = 400,
    layout: Annotated[
        Layout,
        typer.Option(
            help="As which published data set the files are laid out; folder: class folders and boxes.csv.",
            metavar="|".join(get_args(Layout)),
        ),
    ] = "kermany",
    size: Annotated[
        int, typer.Option(help="The shorter side of a typical film, in pixels.", min=64, max=4096, metavar="N")
    ] = 512,
    seed: Annotated[int, typer.Option(help="Another seed draws other patients.", min=0, metavar="N")] = 1,
) -> None:
    """Draw synthetic chest films, some with opacities and their boxes. No person is shown, so they may be shared."""
    from hilum.dataset.phantom.phantom import PhantomError, write_phantoms

    with one_line(PhantomError), report("drawing films") as on_progress:
        write_phantoms(folder, count, layout, seed, size, on_progress=lambda done: on_progress(done, count))
    say(f"{count:,} films in {folder}; next: hilum data import {shlex.quote(str(folder))}")
