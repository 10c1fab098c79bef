"""All the parts of a node that runs, for those who look at it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from hilum.node.catch_up.asking import Asking
from hilum.node.dimse.receiving import Receiver
from hilum.node.intake import Intake
from hilum.node.judging import Judge
from hilum.node.queue import Queue
from hilum.node.settings.node import NodeSettings
from hilum.node.spool import Spool
from hilum.node.targets.sender import Sender
from hilum.service.films.monitors import Monitors
from hilum.service.films.pool import FilmPool


@dataclass(frozen=True, slots=True)
class Running:
    """A node, part by part."""

    settings: NodeSettings
    spool: Spool
    queue: Queue
    intake: Intake
    receiver: Receiver
    pool: FilmPool
    judge: Judge
    monitors: Monitors
    senders: list[Sender]
    asking: list[Asking]

    def not_ready(self) -> Iterator[str]:
        """Why it cannot take or judge films just now, a line for each reason."""
        if not self.pool.ready:
            yield "no process can judge films just now"
        if not self.spool.has_room(self.settings.spool_gigabytes):
            yield "the spool is full"
