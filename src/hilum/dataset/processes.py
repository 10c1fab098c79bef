"""Worker processes for decoding films: started clean, quiet on Ctrl-C."""

from __future__ import annotations

import multiprocessing
import signal
from concurrent.futures import ProcessPoolExecutor


def clean_processes(count: int) -> ProcessPoolExecutor:
    """A pool of workers that inherit nothing of this process, and leave Ctrl-C to it."""
    # Forked workers would inherit the locks of this process's threads (torch, polars); these start clean.
    method = "forkserver" if "forkserver" in multiprocessing.get_all_start_methods() else "spawn"
    context = multiprocessing.get_context(method)
    if method == "forkserver":
        context.set_forkserver_preload(["hilum.dataset.store.decoding"])  # imported once, not by every worker
    return ProcessPoolExecutor(count, mp_context=context, initializer=_leave_interrupts_to_parent)


def _leave_interrupts_to_parent() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
