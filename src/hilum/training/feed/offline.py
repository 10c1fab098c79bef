"""Films varied beforehand: every film as it is and in a number of variations that stay the same in every epoch.

Published systems write such variations to disk and train on these files. Here they are made anew each time, from the
same draws, so a study of them costs no space.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
from numpy.typing import NDArray

from hilum.training.feed.feed import Batch, Course, Feed, Share, Shown


class OfflineFeed(Feed):
    """A Feed whose epoch is every film `1 + passes` times: the first time as it is."""

    def __init__(
        self,
        passes: int,
        shown: Shown,
        batch_size: int,
        device: torch.device,
        course: Course = Course(),  # noqa: B008, it is immutable
    ) -> None:
        super().__init__(shown, batch_size, device, course)
        self.passes = passes

    @property
    def shown(self) -> int:
        """How many films an epoch shows: every film as it is and in each of its variations."""
        return len(self.examples) * (1 + self.passes)

    def _sample(
        self, epoch: int | NDArray[np.int64], chosen: NDArray[np.int64], executor: ThreadPoolExecutor
    ) -> torch.Tensor:
        passes, chosen = np.divmod(chosen, len(self.examples))
        films = super()._sample(passes, chosen, executor)
        as_they_are = np.flatnonzero(passes == 0)
        if len(as_they_are):
            films[torch.from_numpy(as_they_are)] = self._as_they_are(chosen[as_they_are])
        return films

    def _batch(self, films: torch.Tensor, share: Share, epoch: int | None = None) -> Batch:
        return super()._batch(films, Share(*(places % len(self.examples) for places in share)), epoch)
