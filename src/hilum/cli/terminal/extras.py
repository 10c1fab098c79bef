"""What a command needs beyond the base package, said in one line where it is missing."""

from __future__ import annotations

from importlib.util import find_spec

import typer

from hilum.cli.terminal.lines import say
from hilum.system.installed import install_extra


def need(command: str, extra: str, *packages: str) -> None:
    """End the command unless the packages, which come with this extra, can be imported. Imports none of them."""
    if any(find_spec(package) is None for package in packages):
        say(f"{command} needs more than the base package: {install_extra(extra)}")
        raise typer.Exit(1)
