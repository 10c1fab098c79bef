"""How much of the machine is ours."""

from __future__ import annotations

import os

MOST_PROCESSES = 1024  # no machine gains by more, and a slip of the hand should not take it down


def available_cores() -> int:
    """The cores that this process may use, which in a container are fewer than the machine has."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
