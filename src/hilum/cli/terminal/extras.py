"""What a command needs beyond the base package, said in one line where it is missing."""

from __future__ import annotations

from importlib.util import find_spec

import typer

from hilum.cli.terminal.lines import say


def need(command: str, extra: str, *packages: str) -> None:
    """End the command unless the packages, which come with this extra, can be imported. Imports none of them."""
    if any(find_spec(package) is None for package in packages):
        say(f"{command} needs more than the base package: pip install 'hilum[{extra}]'")
        raise typer.Exit(1)
