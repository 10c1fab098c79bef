"""Films judged in processes with limits: one that costs its process costs nobody else anything."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
from multiprocessing import forkserver
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from bundles import slow_bundle, tiny_bundle
from films import picture, shaded
from PIL import Image
from service import until

import hilum
from hilum.output.table import to_json_line
from hilum.service.films.pool import FilmPool, Unavailable
from hilum.service.films.process import Limits
from hilum.service.films.served import Answer, Served, Wanted
from hilum.system.processes import METHOD

FILM = picture(Image.fromarray(shaded()), "PNG")
QUICK, SLOW = (Wanted(name, hilum.Asked()) for name in ("quick", "slow"))


@pytest.fixture(scope="module", autouse=True)
def _a_server_of_its_own() -> None:
    """One that another test has started has that test's environment and imports: its cache, where bundles are known."""
    server: Any = forkserver._forkserver
    server._stop()


@pytest.fixture(scope="module")
def bundles(tmp_path_factory: pytest.TempPathFactory) -> tuple[Served, ...]:
    folder = tmp_path_factory.mktemp("bundles")
    paths = {"quick": tiny_bundle(folder), "slow": slow_bundle(folder)}
    return tuple(Served.of(name, hilum.load(path, threads=1)) for name, path in paths.items())


def judge(pool: FilmPool, wanted: Wanted, film: bytes = FILM) -> Answer:
    return pool.submit(wanted, bytearray(film)).result()


def expected(bundles: tuple[Served, ...], film: bytes = FILM) -> bytes:
    return to_json_line(bundles[0].open().predict([film])[0]).encode()


def film_process() -> int:
    (process,) = (child for child in multiprocessing.active_children() if child.name == "hilum-films")
    assert process.pid is not None
    return process.pid


def test_a_film_that_takes_too_long_is_answered_and_the_next_one_judged(bundles: tuple[Served, ...]) -> None:
    lost: list[int] = []
    with FilmPool(bundles, 1, Limits(seconds=1), lambda: lost.append(1)) as pool:
        waiting = [pool.submit(wanted, bytearray(FILM)) for wanted in (QUICK, SLOW, QUICK)]
        first, slow, last = (answer.result() for answer in waiting)
        assert first.line == last.line == expected(bundles)
        assert (slow.outcome, slow.reason) == ("failed", "too_costly")
        assert json.loads(slow.line)["error"] == f"too_costly: {slow.detail}"
        assert len(lost) == 1


def test_a_film_that_takes_too_much_memory_is_answered(bundles: tuple[Served, ...]) -> None:
    large = picture(Image.fromarray(np.tile(shaded(1000, 1000), (6, 6))), "PNG", compress_level=1)
    with FilmPool(bundles, 1, Limits(megabytes=40)) as pool:
        assert judge(pool, QUICK, large).reason == "too_costly"
        assert judge(pool, QUICK).line == expected(bundles)


def test_a_process_that_dies_on_a_film_or_between_films_is_replaced(bundles: tuple[Served, ...]) -> None:
    with FilmPool(bundles, 1, Limits()) as pool:
        assert judge(pool, QUICK).outcome == "no_pneumonia"
        os.kill(film_process(), signal.SIGKILL)
        assert judge(pool, QUICK).outcome == "no_pneumonia"
        slow = pool.submit(SLOW, bytearray(FILM))
        until(slow.running)
        os.kill(film_process(), signal.SIGSEGV)
        assert slow.result().reason == "damaged"
        assert judge(pool, QUICK).outcome == "no_pneumonia"


def test_a_film_that_nobody_waits_for_is_not_judged(bundles: tuple[Served, ...]) -> None:
    with FilmPool(bundles, 1, Limits(seconds=1)) as pool:
        at_hand = pool.submit(SLOW, bytearray(FILM))
        until(lambda: at_hand.running() or at_hand.done())  # on a busy machine its time is over before it was looked at
        waits = pool.submit(SLOW, bytearray(FILM))
        assert waits.cancel()
        assert judge(pool, QUICK).line == expected(bundles)


def test_a_film_can_be_named_by_its_path(bundles: tuple[Served, ...], tmp_path: Path) -> None:
    path = tmp_path / "film.png"
    path.write_bytes(FILM)
    with FilmPool(bundles, 1, Limits()) as pool:
        answer = judge(pool, QUICK._replace(path=str(path)), b"")
        assert answer.line == to_json_line(bundles[0].open().predict(path)).encode()
        assert judge(pool, QUICK._replace(path=str(tmp_path / "none.png")), b"").reason == "cannot_open"


@pytest.mark.skipif(METHOD != "forkserver", reason="processes are not forked off a server here")
def test_where_the_server_of_forks_is_lost_another_one_takes_its_place(bundles: tuple[Served, ...]) -> None:
    with FilmPool(bundles, 1, Limits()) as pool:
        judge(pool, QUICK)
        server: Any = forkserver._forkserver
        for process in (film_process(), server._forkserver_pid):
            os.kill(process, signal.SIGKILL)

        def judged() -> bool:
            try:
                return judge(pool, QUICK).line == expected(bundles)
            except Unavailable:
                return False

        until(judged)
