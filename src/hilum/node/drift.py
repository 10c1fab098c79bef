"""How the watch of drift stood when it was put down, for who looks into a spool whose node may not run."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from hilum.bundle.drift.monitor import MonitorState
from hilum.service.films.monitors import STATES
from hilum.system.typed import MisfitError, build


def standings(spool: Path) -> Iterator[str]:
    """A line for each baseline that films were compared with."""
    for path in sorted(spool.glob(STATES)):
        try:
            state = build(MonitorState, json.loads(path.read_text(encoding="utf-8")))
        except (OSError, ValueError, MisfitError):
            yield f"drift: {path.name} cannot be read"
            continue
        found = "no other kind of film" if state.alarm is None else state.alarm.in_words()
        yield f"drift: {state.films:,} films watched; {found}"
