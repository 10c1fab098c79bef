"""What a server process has at hand while it runs."""

from __future__ import annotations

from dataclasses import dataclass

from hilum.service.admission import Admission
from hilum.service.films.monitors import Monitors
from hilum.service.films.pool import FilmPool
from hilum.service.films.served import Served
from hilum.service.metrics import Metrics
from hilum.service.problems import Problem
from hilum.service.settings import Settings


@dataclass(frozen=True, slots=True)
class Running:
    """One server process: the processes that judge, the room for films, what is counted, and watches of drift."""

    settings: Settings
    pool: FilmPool
    admission: Admission
    metrics: Metrics
    monitors: Monitors

    def served(self, name: str | None) -> Served:
        """A bundle by its name, or the first one."""
        if name is None:
            return self.settings.bundles[0]
        for served in self.settings.bundles:
            if served.name == name:
                return served
        known = ", ".join(served.name for served in self.settings.bundles)
        raise Problem("no_such_model", f"there is no such model here; there are: {known}")
