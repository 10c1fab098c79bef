"""The Feed: batches of varied, labeled films on the device, straight from the Store.

The order of an epoch follows from (seed, epoch), what is done to a film from (seed, epoch, film). So any batch can be
made again without the ones before it, which is what lets a run go on at any step.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from hilum.network.heads.boxes import Boxes
from hilum.network.network import Seen
from hilum.training.feed.boxes import batch_boxes
from hilum.training.feed.examples import Examples
from hilum.training.feed.masks import lung_masks
from hilum.training.feed.mixture import Mixture
from hilum.training.variation import sampler_cpu, sampler_torch
from hilum.training.variation.augment import Augmentation, draw, matrices

# A store that takes more than this share of a GPU's free memory is streamed to it instead.
RESIDENT_SHARE = 0.5


@dataclass(frozen=True, slots=True)
class Batch:
    """Films (N, 1, height, width, float32 in [0, 1]) and targets on the device, and which examples they are.

    Targets are class numbers, or, where some labels stand for several, which classes each film may be (N, classes).
    A film that only stands in, as `Share` tells, is no example.
    """

    films: torch.Tensor
    targets: torch.Tensor
    examples: NDArray[np.int64]
    boxes: Boxes | None = None
    seen: Seen | None = None
    adult: torch.Tensor | None = None  # 1, 0, or -1 where unknown

    def first(self, count: int) -> Batch:
        """The first films of the batch."""
        return Batch(
            self.films[:count],
            self.targets[:count],
            self.examples[:count],
            None if self.boxes is None else Boxes(*(part[:count] for part in self.boxes)),
            None if self.seen is None else Seen(*(part[:count] for part in self.seen)),
            None if self.adult is None else self.adult[:count],
        )


class Share(NamedTuple):
    """What one of several processes takes of a batch. All take part in every step: if a last batch has no film left for
    this one, a film stands in that is shown and does not count."""

    shown: NDArray[np.int64]
    counted: NDArray[np.int64]


class Shown(NamedTuple):
    """The films of a store that a feed shows, and how it varies them."""

    pixels: NDArray[np.uint8]
    examples: Examples
    augmentation: Augmentation


class Course(NamedTuple):
    """In which order films are shown. `part` of `parts` processes gets its share of every batch; with a `mixture` an
    epoch is not every film once."""

    seed: int = 0
    part: int = 0
    parts: int = 1
    mixture: Mixture | None = None


class Feed:
    """Batches for one device. The next one is made by other threads while the one before it is learned from."""

    def __init__(self, shown: Shown, batch_size: int, device: torch.device, course: Course = Course()) -> None:  # noqa: B008, it is immutable
        self.pixels, self.examples, self.augmentation = shown
        self.seed, self.part, self.parts, self.mixture = course
        self.batch_size = batch_size
        # Each thread has its own current GPU, so it is named here.
        named = device.type != "cuda" or device.index is not None
        self.device = device if named else torch.device("cuda", torch.cuda.current_device())
        self.free: list[NDArray[np.float32]] = []

    def __len__(self) -> int:
        return -(-self.shown // self.batch_size)

    @property
    def shown(self) -> int:
        """How many films an epoch shows."""
        return len(self.examples) if self.mixture is None else self.mixture.films

    def order(self, epoch: int) -> NDArray[np.int64]:
        """The examples of an epoch in the order in which they are shown."""
        if self.mixture is not None:
            return self.mixture.order(self.seed, epoch)
        return np.random.Generator(np.random.Philox([self.seed, epoch])).permutation(self.shown)

    def batches(self, epoch: int, start: int = 0) -> Iterator[Batch]:
        """The shuffled, varied batches of an epoch from batch `start` on."""
        plan = self.plan(epoch, start)
        with ThreadPoolExecutor(torch.get_num_threads(), "hilum-sampler") as executor:
            yield from ahead(lambda share: self._batch(self._sample(epoch, share.shown, executor), share, epoch), plan)

    def in_order(self) -> Iterator[Batch]:
        """Every film once, as it is: for validation."""
        everything = np.arange(len(self.examples))
        parts = (everything[start : start + self.batch_size] for start in range(0, len(everything), self.batch_size))
        yield from ahead(lambda share: self._batch(self._as_they_are(share.shown), share), [Share(p, p) for p in parts])

    def plan(self, epoch: int, start: int) -> list[Share]:
        """This process's share of each batch of an epoch from batch `start` on."""
        order = self.order(epoch)
        firsts = range(start * self.batch_size, len(order), self.batch_size)
        batches = [order[first : first + self.batch_size] for first in firsts]
        shares = [batch[self.part :: self.parts] for batch in batches]
        return [Share(own if len(own) else batch[:1], own) for batch, own in zip(batches, shares, strict=True)]

    def _batch(self, films: torch.Tensor, share: Share, epoch: int | None = None) -> Batch:
        known = self.examples.targets if self.examples.either is None else self.examples.either
        targets = torch.from_numpy(known[share.shown]).to(self.device)
        facts, boxes, seen, adult = self.examples.facts, None, None, None
        size = (self.pixels.shape[1], self.pixels.shape[2])
        maps = None
        if epoch is not None and (self.examples.boxes is not None or facts is not None):
            maps = matrices(draw(self.augmentation, size, self.seed, epoch, self.examples.rows[share.shown]), size)
        if self.examples.boxes is not None:
            drawn = batch_boxes(self.examples.boxes, share.shown, maps, size)
            boxes = Boxes(*(part.to(self.device) for part in drawn))
        if facts is not None:
            masks = torch.from_numpy(lung_masks(self.pixels, facts.masks[share.shown], maps)).to(self.device)
            whole = torch.from_numpy(~facts.lungs_only[share.shown]).to(self.device)
            masked = torch.from_numpy(facts.masks[share.shown] >= 0).to(self.device)
            seen = Seen(whole, masks, masked, torch.ones_like(whole))
            adult = torch.from_numpy(facts.adult[share.shown]).to(self.device)
        return Batch(films, targets, share.counted, boxes, seen, adult)

    def _sample(
        self, epoch: int | NDArray[np.int64], chosen: NDArray[np.int64], executor: ThreadPoolExecutor
    ) -> torch.Tensor:
        rows, size = self.examples.rows[chosen], (self.pixels.shape[1], self.pixels.shape[2])
        draws = draw(self.augmentation, size, self.seed, epoch, rows)
        maps = matrices(draws, size)
        if self.resident is not None:
            return unit_floats(sampler_torch.sample(self.resident, rows, maps, draws, size)[:, None])
        films = self._room(len(rows))
        sampler_cpu.sample_into(films.numpy()[:, 0], executor, self.pixels, rows, maps, draws)
        return self._delivered(films)

    def _as_they_are(self, chosen: NDArray[np.int64]) -> torch.Tensor:
        films = self._room(len(chosen))
        table = sampler_cpu.UNIT if films.is_floating_point() else sampler_cpu.LEVELS
        for row, into in zip(self.examples.rows[chosen], films.numpy()[:, 0], strict=True):
            cv2.LUT(np.asarray(self.pixels[row]), table, into)
        return self._delivered(films)

    def _room(self, count: int) -> torch.Tensor:
        """Floats for the CPU. For a GPU grey levels, which are a quarter to move, where it can fetch them by itself."""
        height, width = self.pixels.shape[1:]
        if self.device.type == "cuda":
            return torch.empty((count, 1, height, width), dtype=torch.uint8, pin_memory=True)
        # Memory that is new each time costs a fifth of the sampling, so a batch's is used again once nothing looks at
        # it: torch holds on to `lent` for as long as there is a tensor or a view that does.
        room = self.free.pop() if self.free else np.empty((self.batch_size, 1, height, width), np.float32)
        lent = room[:count]
        weakref.finalize(lent, self.free.append, room).atexit = False
        return torch.from_numpy(lent)

    def _delivered(self, films: torch.Tensor) -> torch.Tensor:
        moved = films.to(self.device, non_blocking=True)
        return moved if moved.is_floating_point() else unit_floats(moved)

    @cached_property
    def resident(self) -> torch.Tensor | None:
        """All films on the GPU if they fit; a CPU reads them where they are."""
        if self.device.type != "cuda" or self.pixels.nbytes > RESIDENT_SHARE * torch.cuda.mem_get_info(self.device)[0]:
            return None
        return torch.from_numpy(np.array(self.pixels)).to(self.device)


def ahead(make: Callable[[Share], Batch], plan: Sequence[Share]) -> Iterator[Batch]:
    """The batches that `make` makes; a thread is at the next while one is used."""
    with ThreadPoolExecutor(1, "hilum-feed") as executor:
        coming = [executor.submit(make, share) for share in plan[:1]]
        for share in plan[1:]:
            made = coming.pop().result()
            coming.append(executor.submit(make, share))
            yield made
        if coming:
            yield coming.pop().result()


def unit_floats(levels: torch.Tensor) -> torch.Tensor:
    """Grey levels as floats in [0, 1]."""
    return levels.float().mul_(1 / 255)
