"""Several server processes on one port: one service to its clients, whichever of them answers."""

from __future__ import annotations

import os
import re
import signal
from pathlib import Path

from bundles import tiny_bundle
from films import picture, shaded
from PIL import Image
from service import Service, descendants, served, until

FILM = picture(Image.fromarray(shaded()), "PNG")


def judged(service: Service) -> float:
    """How many films, as any of the server processes tells."""
    counted = service.ask("GET", "/metrics").content
    return sum(map(float, re.findall(rb'^hilum_films_total\{model="tiny".*\} (.+)$', counted, re.MULTILINE)))


def servers(service: Service) -> list[int]:
    """The server processes, which have children of their own."""
    return [process for process in descendants(service.process.pid) if len(descendants(process)) > 1]


def test_they_count_together_are_replaced_and_end_together(tmp_path: Path) -> None:
    with served("--model", tiny_bundle(tmp_path), "--workers", "2", "--processes", "1") as service:
        until(lambda: b"\nhilum_processes_ready 2.0\n" in service.ask("GET", "/metrics").content)
        for _ in range(10):
            assert service.post(FILM).status == 200
        assert {judged(service) for _ in range(5)} == {10.0}
        lost, stays = servers(service)
        os.kill(lost, signal.SIGKILL)
        until(lambda: len(servers(service)) == 2 and lost not in servers(service))
        assert stays in servers(service)
        until(lambda: b"\nhilum_processes_ready 2.0\n" in service.ask("GET", "/metrics").content)
        for _ in range(10):
            assert service.post(FILM).status == 200
        assert {judged(service) for _ in range(5)} == {20.0}
        family = descendants(service.process.pid)
        service.process.kill()  # what started them is gone, and so are they
        until(lambda: not any(Path(f"/proc/{process}").exists() for process in family))
        assert "Traceback" not in service.log
