"""What is counted, for Prometheus: requests by route and status, films by outcome, nothing by who or what."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead

# Where several server processes count together; a setting of prometheus-client's.
SHARED = "PROMETHEUS_MULTIPROC_DIR"
SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)


class Metrics:
    """The counters of one server process, which `exposition` adds up over all of them."""

    def __init__(self) -> None:
        registry = self._registry = CollectorRegistry()
        self.requests = Counter(
            "hilum_requests", "Requests answered.", ("method", "route", "status"), registry=registry
        )
        self.seconds = Histogram(
            "hilum_request_seconds", "From request to answer.", ("route",), buckets=SECONDS, registry=registry
        )
        self.films = Counter("hilum_films", "Films judged.", ("model", "outcome"), registry=registry)
        self.replaced = Counter("hilum_processes_replaced", "Processes that did not survive a film.", registry=registry)
        self._requests_at_hand = self._gauge("hilum_requests_at_hand", "Requests whose films are read or wait.")
        self._bytes_at_hand = self._gauge("hilum_bytes_at_hand", "Bytes of the films that are read or wait.")
        self._watched = self._gauge("hilum_drift_films", "Films that the watch of drift has seen.", "model")
        self._alarms = self._gauge("hilum_drift_alarms", "Watches of drift that found other films.", "model")
        self._processes_ready = self._gauge("hilum_processes_ready", "Processes that judge films.")

    def update(self, requests: int, size: int, processes: int) -> None:
        """The figures that go up and down, as they are now."""
        self._requests_at_hand.set(requests)
        self._bytes_at_hand.set(size)
        self._processes_ready.set(processes)

    def watched(self, standings: Mapping[str, Mapping[str, Any]]) -> None:
        """How the watches of drift stand, by bundle."""
        for model, standing in standings.items():
            self._watched.labels(model).set(standing["films"])
            self._alarms.labels(model).set(standing["alarm"] is not None)

    def exposition(self) -> bytes:
        """All of it in Prometheus' text format, summed over the server processes."""
        if SHARED not in os.environ:
            return generate_latest(self._registry)
        _forget_the_dead(Path(os.environ[SHARED]))
        together = CollectorRegistry()
        MultiProcessCollector(together)  # type: ignore[no-untyped-call]
        return generate_latest(together)

    def _gauge(self, name: str, meaning: str, *labels: str) -> Gauge:
        return Gauge(name, meaning, labels, registry=self._registry, multiprocess_mode="livesum")


def _forget_the_dead(folder: Path) -> None:
    """What went up and down in a server process that was killed; what it had counted stays."""
    for path in folder.glob("gauge_live*_*.db"):
        process = path.stem.rpartition("_")[2]
        if not Path("/proc", process).exists() and Path("/proc").exists():
            mark_process_dead(int(process))  # type: ignore[no-untyped-call]
