"""The `hilum` command itself: it gathers the commands and does nothing else."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from hilum import __version__
from hilum.cli.data import data
from hilum.cli.inspect import inspect
from hilum.cli.train import train

app = typer.Typer(
    name="hilum",
    help="Pneumonia detection on chest radiographs. Research use only, not a medical device.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command()(inspect)
app.add_typer(data, name="data")
app.command()(train)


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"hilum {__version__}")
        raise typer.Exit


@app.callback()
def _hilum(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version and exit.", callback=_print_version, is_eager=True)
    ] = False,
) -> None:
    pass


def main() -> None:
    try:
        app()
    except BrokenPipeError:  # `hilum ... | head` closes the pipe early, which is no fault
        sys.stderr.close()
        sys.exit(141)
