"""Processes that start clean: with no lock of this process's threads, and without the script that it runs."""

from __future__ import annotations

import multiprocessing
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from multiprocessing.context import BaseContext
from types import ModuleType
from typing import Any

# Forked processes would inherit the locks of this process's threads (torch, polars). Forked off a server that has
# imported everything, where the system can, they are there at once.
METHOD = "forkserver" if "forkserver" in multiprocessing.get_all_start_methods() else "spawn"
_CONTEXT: Any = multiprocessing.get_context(METHOD)


class CleanProcess(_CONTEXT.Process):  # type: ignore[misc]
    """A process that does not run its parent's script once more."""

    def start(self) -> None:
        """Start it; what it is to do must be found without the script."""
        with _without_script():
            super().start()


class CleanContext(type(_CONTEXT)):  # type: ignore[misc]
    """What multiprocessing, its executors and torch take to start processes."""

    Process = CleanProcess


def clean_context(imported: Sequence[str]) -> BaseContext:
    """Starts clean processes, for which these modules are imported once and not by each."""
    if METHOD == "forkserver":
        _CONTEXT.set_forkserver_preload(list(imported))
    context: BaseContext = CleanContext()
    return context


@contextmanager
def _without_script() -> Iterator[None]:
    # multiprocessing runs the parent's script in every process, under another name. Of a script of a few lines, which
    # asks for no name before it trains, all of it: each process would begin the training anew, and wait for ever.
    script = sys.modules["__main__"]
    sys.modules["__main__"] = ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = script
