"""Worker processes for decoding films: started clean, quiet on Ctrl-C."""

from __future__ import annotations

import signal
from concurrent.futures import ProcessPoolExecutor

from hilum.system.processes import clean_context


def clean_processes(count: int) -> ProcessPoolExecutor:
    """A pool of workers that inherit nothing of this process, and leave Ctrl-C to it."""
    context = clean_context(["hilum.dataset.store.decoding"])
    return ProcessPoolExecutor(count, mp_context=context, initializer=_leave_interrupts_to_parent)


def _leave_interrupts_to_parent() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
