"""Errors that a user can act on: one line on standard error and exit code 1. Bugs keep their traceback."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import typer

from hilum.cli.terminal.lines import say
from hilum.system.files import FULL


@contextmanager
def one_line(*expected: type[Exception]) -> Iterator[None]:
    """Turn the expected errors, and those of the file system, into a line and exit code 1.

    An error that lists several problems has `lines`, one for each.
    """
    try:
        yield
    except expected as error:
        say(*getattr(error, "lines", (str(error),)))
        raise typer.Exit(1) from None
    except OSError as error:
        if error.filename is None and error.errno in FULL:  # standard output, which the `hilum` command answers for
            raise
        say(f"{error.filename}: {error.strerror}" if error.filename else str(error))
        raise typer.Exit(1) from None
