"""The processes that judge films, and the line of films that wait for one of them.

Each process has a thread that gives it the next film as soon as it is free, and puts another one in its place when it
did not survive one. No film waits for others to come.
"""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from queue import SimpleQueue
from typing import Any, NamedTuple

from hilum.service.films.monitors import Monitors
from hilum.service.films.process import OUT_OF_MEMORY, READY, TAKEN, Limits, main, receive_answer
from hilum.service.films.served import BUG, FAILED, Answer, Served, Wanted
from hilum.system.processes import clean_context

IMPORTED = ["hilum.service.films.process", "hilum.radiograph.raster", "hilum.radiograph.dicom.film", "pydicom"]
SECONDS_TO_START, SECONDS_TO_STOP, PAUSE = 600, 5, 1.0
ENDED_BY_THE_SYSTEM = tuple(-getattr(signal, name, 0) for name in ("SIGKILL", "SIGXCPU"))
# multiprocessing looks after all of its processes whenever it starts one, and must not do so from two threads.
PROCESSES = threading.Lock()


class Unavailable(Exception):
    """No process can judge films just now."""


class FilmBug(Exception):
    """A fault of hilum's own, with the traceback of the process that met it."""


class Job(NamedTuple):
    """A film that waits: its bytes, none if it lies at a path."""

    wanted: Wanted
    film: bytearray
    answer: Future[Answer]


class FilmPool:
    """Judges films in `processes` processes; `with` starts and ends them."""

    def __init__(
        self,
        bundles: tuple[Served, ...],
        processes: int,
        limits: Limits,
        on_replaced: Callable[[], object] = lambda: None,
        monitors: Monitors | None = None,
    ) -> None:
        self.processes = processes
        self.limits = limits
        self.seconds = 0.1  # what a film takes, as it was lately
        self._bundles = bundles
        self._served = {served.name: served for served in bundles}
        self._on_replaced = on_replaced  # a film has cost a process
        self._monitors = monitors  # of drift, started and ended by whoever starts and ends the pool
        self._jobs: SimpleQueue[Job | None] = SimpleQueue()
        self._ready: set[int] = set()
        self._stopping = threading.Event()
        # Daemons: a process that is told to end without closing this, as a cluster's worker, does not wait for them.
        self._threads = [
            threading.Thread(target=self._work, args=(number,), daemon=True) for number in range(processes)
        ]

    def __enter__(self) -> FilmPool:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def start(self) -> None:
        """Start the processes, and do not wait for them: films may be given at once."""
        for thread in self._threads:
            thread.start()

    def close(self) -> None:
        """Finish the films at hand, refuse those that wait, and end the processes."""
        self._stopping.set()
        for _ in self._threads:
            self._jobs.put(None)
        for thread in self._threads:
            thread.join()

    @property
    def ready(self) -> int:
        """How many processes are there that judge films."""
        return len(self._ready)

    @property
    def waiting(self) -> int:
        """Films that no process has taken yet."""
        return self._jobs.qsize()

    def submit(self, wanted: Wanted, film: bytearray) -> Future[Answer]:
        """The answer once it is there. A film whose future is cancelled is not judged if it still waits."""
        answer: Future[Answer] = Future()
        self._jobs.put(Job(wanted, film, answer))
        return answer

    def _work(self, number: int) -> None:
        """One thread's life: a process and films for it, and when that is gone, the next one."""
        job: Job | None = None
        while not self._stopping.is_set():
            try:
                with _film_process(self._bundles, self.limits) as (process, connection):
                    job = self._give(number, process, connection, job)
            except Unavailable:
                self._refuse_what_waits()
                self._stopping.wait(PAUSE)
        if job is not None:
            job.answer.set_exception(Unavailable())

    def _give(self, number: int, process: BaseProcess, connection: Connection, job: Job | None) -> Job | None:
        """Films for one process, as long as it is there; the film that it did not take, if there is one."""
        if not _greeted(connection):
            raise Unavailable
        self._ready.add(number)
        try:
            # A process that the system ended meanwhile takes no film; the next one gets it.
            while (job := job or self._next()) is not None and _taken(connection, job.wanted):
                given, job = job, None
                if not self._judge(process, connection, given):
                    break
            return job
        finally:
            self._ready.discard(number)

    def _next(self) -> Job | None:
        """The next film that somebody still waits for; None when there are to be no more."""
        while (job := self._jobs.get()) is not None:
            if job.answer.set_running_or_notify_cancel():
                if not self._stopping.is_set():
                    return job
                job.answer.set_exception(Unavailable())
        return None

    def _judge(self, process: BaseProcess, connection: Connection, job: Job) -> bool:
        """Answer for a film that a process has taken; whether the process survived it."""
        wanted, film, answer = job
        began = time.monotonic()
        try:
            if wanted.path is None:
                connection.send_bytes(film)
            film.clear()  # no longer than needed
            if not connection.poll(self.limits.seconds_in_all):
                process.kill()
            given = receive_answer(connection, wanted)
        except (EOFError, OSError):
            self._on_replaced()
            lost = self._explain(_end(process), wanted)
            answer.set_result(lost._replace(seconds=time.monotonic() - began))
            return False
        seconds = time.monotonic() - began
        self.seconds += 0.1 * (seconds - self.seconds)
        if given.outcome == BUG:
            answer.set_exception(FilmBug(given.detail))
        else:
            answer.set_result(given._replace(seconds=seconds))
            if self._monitors is not None:
                self._monitors.add(wanted.model, given.traits)
        return True

    def _explain(self, code: int | None, wanted: Wanted) -> Answer:
        """What to say of a film whose process ended with this code."""
        reason, detail = "damaged", "the decoder breaks down on it; get the file again from its source"
        if code is None or code == OUT_OF_MEMORY or code in ENDED_BY_THE_SYSTEM:
            seconds, megabytes = self.limits
            reason = "too_costly"
            detail = f"judging it takes more than {seconds} seconds of a core or {megabytes} MB; save it uncompressed"
        if wanted.longest is not None:
            return Answer(b"", FAILED, reason, detail, (), lost=True)
        return self._served[wanted.model].failed(wanted, reason, detail)

    def _refuse_what_waits(self) -> None:
        while not self._jobs.empty():
            job = self._jobs.get()
            if job is None:  # the sign to end, which is another's, too
                self._jobs.put(None)
                return
            if job.answer.set_running_or_notify_cancel():
                job.answer.set_exception(Unavailable())


@contextmanager
def _film_process(bundles: tuple[Served, ...], limits: Limits) -> Iterator[tuple[BaseProcess, Connection]]:
    context: Any = clean_context(IMPORTED)
    ours, theirs = context.Pipe()
    process = context.Process(target=main, args=(theirs, bundles, limits), daemon=True, name="hilum-films")
    with PROCESSES:
        try:
            process.start()
        except (OSError, EOFError):  # no room for one more, or the server of forks was ended, and starts anew
            ours.close()
            theirs.close()
            raise Unavailable from None
    theirs.close()
    try:
        yield process, ours
    finally:
        ours.close()  # which is the sign to end
        _end(process)


def _greeted(connection: Connection) -> bool:
    """Whether the process could be started; if not, it has said why."""
    try:
        return connection.poll(SECONDS_TO_START) and connection.recv_bytes() == READY
    except (EOFError, OSError):
        return False


def _taken(connection: Connection, wanted: Wanted) -> bool:
    """Whether the process is there to take a film."""
    try:
        connection.send_bytes(wanted.to_json())
        return connection.recv_bytes() == TAKEN
    except (EOFError, OSError):
        return False


def _end(process: BaseProcess) -> int | None:
    """End a process that does not end by itself; the code with which it did, None where it had to be ended."""
    with PROCESSES:
        process.join(SECONDS_TO_STOP)
        code = process.exitcode
        process.kill()
        process.join()
    return code
