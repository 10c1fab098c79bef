"""Errors that a user can act on: one line on standard error and exit code 1. Bugs keep their traceback."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import typer


@contextmanager
def one_line(*expected: type[Exception]) -> Iterator[None]:
    """Turn the expected errors, and those of the file system, into a line and exit code 1."""
    try:
        yield
    except expected as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from None
    except OSError as error:
        typer.echo(f"{error.filename}: {error.strerror}" if error.filename else str(error), err=True)
        raise typer.Exit(1) from None
