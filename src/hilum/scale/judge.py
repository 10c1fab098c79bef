"""Judging shards: the one way, whether a process alone, an array of jobs or a cluster does it.

Films go through in processes with limits, as those of a service, so that one that breaks a decoder or takes for ever is
a row with the reason and costs nobody else anything. Where the network runs on another device, they go through threads
that decode beside it, and the device gets them in batches.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import NamedTuple

from hilum.bundle.card import BundleError
from hilum.bundle.in_order import in_order
from hilum.bundle.opening import CPU, PROVIDERS
from hilum.bundle.prediction import flat_row
from hilum.bundle.predictor import Predictor, load
from hilum.scale.dicomweb import is_dicomweb, read_instance
from hilum.scale.errors import ScaleError, StoreError
from hilum.scale.parts import Judged, schema_of, write_part
from hilum.scale.plan import Film, Plan
from hilum.scale.stores import read_object
from hilum.scale.uris import local_path
from hilum.service.films.pool import PAUSE, FilmBug, FilmPool, Unavailable
from hilum.service.films.process import Limits, judge
from hilum.service.films.served import FAILED, Answer, Served, Wanted

CUDA = "cuda"
NAME = "archive"  # of the bundle, among those of its processes
OVERLAY = "overlay"
TRIES = 5  # a PAUSE apart, for a process to be there
AHEAD = 4  # films at hand for each that is being judged: one may be long in coming, or in being judged


class Hardware(NamedTuple):
    """Where films are judged: how many at once, and the device that runs the network; None for the best there is."""

    processes: int
    device: str | None = CPU


class Step(NamedTuple):
    """What has been done since the last step."""

    films: int = 0
    failed: int = 0
    shards: int = 0

    def __add__(self, other: tuple[int, ...]) -> Step:  # type: ignore[override]
        return Step(*map(sum, zip(self, other, strict=True)))


class Place(NamedTuple):
    """A film of the plan, by its shard and its place there; without a film, the end of that shard."""

    shard: int
    number: int
    film: Film | None


Give = Callable[[Wanted, "str | bytes"], Answer]


def open_on(model: str | None, device: str | None, note: Callable[[str], None]) -> tuple[Predictor, str]:
    """A bundle, and the device that runs it: what is asked for, else a GPU if onnxruntime can start one.

    Raises BundleError.
    """
    if device is None and CUDA in PROVIDERS:
        try:
            return load(model, threads=1, device=CUDA), CUDA
        except BundleError:  # of the bundle itself, it is raised again
            note("onnxruntime cannot start a GPU here; the CPU judges")
    chosen = (device or CPU).lower()
    return load(model, threads=1, device=chosen), chosen


def shards_judged(plan: Plan, shards: Iterable[int], judging: Judging) -> Iterator[Step]:
    """Judge shards, one after the other, and put each one's part into its place; a step for each film and each shard.

    Films of the next shard are judged while the last ones of a shard are. Raises ScaleError or OSError where a place
    cannot be reached: what is whole by then stays, and nothing is held against the films.
    """
    schema = schema_of(judging.served.card, plan.card.how.overlays)
    films: list[Judged] = []
    with ThreadPoolExecutor(judging.at_hand, "hilum-archive") as threads:
        work = partial(_judged, plan, judging)
        for shard, judged in in_order(work, _places(plan, shards), threads, judging.at_hand):
            if judged is None:
                write_part(plan.results, shard, films, schema)
                films.clear()
                yield Step(shards=1)
            else:
                films.append(judged)
                yield Step(films=1, failed=int(judged.row["error"] is not None))


class Judging:
    """Films in, answers out: by `give`, of which `at_hand` may go on at once."""

    def __init__(self, served: Served, wanted: Wanted, give: Give, at_hand: int) -> None:
        self.served = served
        self.at_hand = at_hand
        self._wanted = wanted
        self._give = give
        self._bugs: set[str] = set()

    def answer(self, film: Film) -> Answer:
        """What is said of a film. Raises StoreError where the place that it comes from is away."""
        path = local_path(film.uri)
        if film.failure is not None:
            return self._failed(*film.failure)
        try:
            if film.content is not None:
                return self._judge(film.content)
            if path is None:
                return self._judge(read_instance(film.uri) if is_dicomweb(film.uri) else read_object(film.uri))
        except StoreError:
            raise
        except (FileNotFoundError, PermissionError) as error:
            return self._failed("cannot_open", error.strerror or "the object cannot be opened")
        return self._judge(path)

    def _judge(self, film: str | bytes) -> Answer:
        """By a second process, if the first one was lost: who ends processes for their memory takes any of them."""
        wanted = self._wanted._replace(path=film if isinstance(film, str) else None)
        try:
            answer = self._patiently(wanted, film)
            return self._patiently(wanted, film) if answer.lost else answer
        except FilmBug as bug:
            if str(bug) not in self._bugs:  # a fault of ours shows, and stops nobody's night
                self._bugs.add(str(bug))
                print(f"a film ended in a bug of hilum:\n{bug}", file=sys.stderr, flush=True)
            return self._failed("bug", "a fault of hilum's own, whose traceback is in the log; report it")
        except Unavailable:
            raise ScaleError("no process can judge films just now; see what it said, then go on") from None

    def _patiently(self, wanted: Wanted, film: str | bytes) -> Answer:
        """Once there is a process again, where there is none for a moment."""
        for _ in range(TRIES):
            with suppress(Unavailable):
                return self._give(wanted, film)
            time.sleep(PAUSE)
        return self._give(wanted, film)

    def _failed(self, reason: str, detail: str) -> Answer:
        return self.served.failed(self._wanted, reason, detail)


@contextmanager
def judging_with(served: Served, plan: Plan, hardware: Hardware) -> Iterator[Judging]:
    """All that judges films of this plan here, until the end of `with`."""
    how = plan.card.how
    wanted = Wanted(NAME, how.asked(), how.invert, (OVERLAY,) if how.overlays else ())
    device, at_hand = hardware.device or CPU, AHEAD * hardware.processes
    if device == CPU:
        with FilmPool((served,), hardware.processes, Limits()) as pool:
            yield Judging(served, wanted, partial(_in_a_process, pool), at_hand)
        return
    with load(served.path, threads=1, device=device) as predictor:
        yield Judging(served, wanted, partial(_beside_a_device, predictor), at_hand)


def _in_a_process(pool: FilmPool, wanted: Wanted, film: str | bytes) -> Answer:
    return pool.submit(wanted, bytearray() if isinstance(film, str) else bytearray(film)).result()


def _beside_a_device(predictor: Predictor, wanted: Wanted, film: str | bytes) -> Answer:
    began = time.monotonic()
    return judge(predictor, film, wanted)._replace(seconds=time.monotonic() - began)


def _places(plan: Plan, shards: Iterable[int]) -> Iterator[Place]:
    for shard in shards:
        for number, film in enumerate(plan.films_of(shard)):
            yield Place(shard, number, film)
        yield Place(shard, 0, None)


def _judged(plan: Plan, judging: Judging, place: Place) -> tuple[int, Judged | None]:
    film = place.film
    if film is None:
        return place.shard, None
    answer = judging.answer(film)
    if answer.outcome == FAILED and answer.reason == "cannot_open":
        _check_place(film.uri, plan.card.sources)
    row = {**flat_row(json.loads(answer.line)), "uri": film.uri, "member": film.member}
    if picture := b"".join(answer.pictures):
        name = f"overlays/{place.shard:08}/{place.number:06}.png"
        plan.results.write(name, picture, durable=False)
        row[OVERLAY] = name
    return place.shard, Judged(row, answer.seconds, answer.traits if plan.has_traits_kept(film) else b"")


def _check_place(uri: str, sources: list[str]) -> None:
    """A film may be gone; but where the folder that was named is, or holds nothing any more, a share is away."""
    path = local_path(uri)
    if path is None:
        return
    for source in filter(Path(path).is_relative_to, sources):
        if source != path and not (os.path.isdir(source) and os.listdir(source)):  # noqa: PTH112, PTH208
            raise StoreError(None, "is away; see to it, then give the same command", source)
