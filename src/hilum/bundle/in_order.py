"""Work on many things at once, handed out in their order."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future
from queue import Empty, SimpleQueue
from typing import TypeVar

A = TypeVar("A")
B = TypeVar("B")


def in_order(work: Callable[[A], B], items: Iterable[A], pool: Executor, ahead: int) -> Iterator[B]:
    """The result of each item in the items' order, as soon as it is there; what work raises is raised in its turn.

    Items are taken in a thread of its own: where they are long in coming, as from a scanner, what is done is handed
    out meanwhile. No more than `ahead` items are taken whose results were not.
    """
    line: SimpleQueue[Future[B] | None] = SimpleQueue()
    room = threading.Semaphore(ahead)
    stopped = threading.Event()

    def feed() -> None:
        source = iter(items)
        while room.acquire() and not stopped.is_set():
            try:
                line.put(pool.submit(work, next(source)))
            except StopIteration:
                break
            except BaseException as error:  # of the items, or of a pool that was closed: raised where results are
                failed: Future[B] = Future()
                failed.set_exception(error)
                line.put(failed)
                break
        line.put(None)

    # A daemon, since nobody can wake a thread that waits for an item which never comes.
    threading.Thread(target=feed, daemon=True, name="hilum-films").start()
    try:
        while (future := line.get()) is not None:
            result = future.result()
            room.release()
            yield result
            del result  # it may hold a film
    finally:  # also when nobody asks for more, or on Ctrl-C
        stopped.set()
        room.release()
        _cancel(line)


def _cancel(line: SimpleQueue[Future[B] | None]) -> None:
    while True:
        try:
            future = line.get_nowait()
        except Empty:
            return
        if future is not None:
            future.cancel()
