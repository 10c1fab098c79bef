"""Films from many threads put together into runs, for devices that like several films at once."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future

import numpy as np
from numpy.typing import NDArray

Named = dict[str, NDArray[np.float32]]  # the graph's outputs by name, a row a film


class Batches:
    """Runs one batch at a time: the films that came while the last one ran. No film waits for a batch to fill."""

    def __init__(self, run: Callable[[NDArray[np.uint8]], Named], most: int) -> None:
        self._run = run
        self._most = most
        self._waiting: deque[tuple[NDArray[np.uint8], Future[Named]]] = deque()
        self._running = threading.Lock()

    def __call__(self, film: NDArray[np.uint8]) -> Named:
        """The outputs for one film (1 x 1 x height x width), run alone or with others that wait."""
        answer: Future[Named] = Future()
        self._waiting.append((film, answer))
        with self._running:
            while not answer.done():  # whoever had the lock before may have run this film, too
                self._run_some()
        return answer.result()

    def _run_some(self) -> None:
        batch = [self._waiting.popleft() for _ in range(min(len(self._waiting), self._most))]
        try:
            outputs = self._run(np.concatenate([film for film, _ in batch]))
        except Exception as error:  # everyone whose film was in the batch is told
            for _, answer in batch:
                answer.set_exception(error)
            return
        for place, (_, answer) in enumerate(batch):
            answer.set_result({name: values[place : place + 1] for name, values in outputs.items()})
