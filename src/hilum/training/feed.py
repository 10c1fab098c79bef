"""The Feed: batches of varied, labeled films on the device, straight from the Store.

The order of an epoch follows from (seed, epoch), what is done to a film from (seed, epoch, film). So any batch can be
made again without the ones before it, which is what lets a run go on at any step.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from hilum.dataset.manifest import Manifest
from hilum.dataset.store import Store
from hilum.training import sampler_cpu, sampler_torch
from hilum.training.augment import Augmentation, draw, matrices

# A store that takes more than this share of a GPU's free memory is streamed to it instead.
RESIDENT_SHARE = 0.5


@dataclass(frozen=True, slots=True, eq=False)
class Examples:
    """The films of a split that can be learned from: where their pictures are, what they show, which files they are."""

    rows: NDArray[np.int64]
    targets: NDArray[np.int64]
    paths: list[str]
    patients: int

    def __len__(self) -> int:
        return len(self.rows)

    def counts(self, classes: int) -> list[int]:
        return [int(count) for count in np.bincount(self.targets, minlength=classes)]


def choose_examples(
    manifest: Manifest, store: Store, classes: Mapping[str, Sequence[str]], splits: Sequence[str]
) -> Examples:
    """The films of these splits whose label belongs to a class, in the order of their digests."""
    target_of = {label: number for number, labels in enumerate(classes.values()) for label in labels}
    columns = ("file_digest", "path", "label", "patient", "split", "official_split")
    films = sorted(
        (digest, path, target_of[label], patient)
        for digest, path, label, patient, split, official in manifest.table.select(columns).iter_rows()
        if digest is not None and (split or official) in splits and label in target_of
    )
    rows = store.rows([film[0] for film in films])
    kept = [film for film, row in zip(films, rows, strict=True) if row >= 0]
    return Examples(
        rows[rows >= 0],
        np.array([film[2] for film in kept], np.int64),
        [film[1] for film in kept],
        len({film[3] for film in kept}),
    )


@dataclass(frozen=True, slots=True)
class Batch:
    """Films (N, 1, height, width, float32 in [0, 1]) and targets on the device, and which examples they are."""

    films: torch.Tensor
    targets: torch.Tensor
    examples: NDArray[np.int64]


class Feed:
    """Batches for one device. `part` of `parts` processes gets its share of every batch."""

    def __init__(
        self,
        pixels: NDArray[np.uint8],
        examples: Examples,
        augmentation: Augmentation,
        batch_size: int,
        device: torch.device,
        *,
        seed: int = 0,
        part: int = 0,
        parts: int = 1,
    ) -> None:
        self.pixels, self.examples, self.augmentation = pixels, examples, augmentation
        self.batch_size, self.device, self.seed = batch_size, device, seed
        self.part, self.parts = part, parts
        self.resident = _make_resident(pixels, device)

    def __len__(self) -> int:
        return -(-len(self.examples) // self.batch_size)

    def order(self, epoch: int) -> NDArray[np.int64]:
        return np.random.Generator(np.random.Philox([self.seed, epoch])).permutation(len(self.examples))

    def batches(self, epoch: int, start: int = 0) -> Iterator[Batch]:
        """The shuffled, varied batches of an epoch from batch `start` on."""
        order = self.order(epoch)
        for number in range(start, len(self)):
            chosen = order[number * self.batch_size : (number + 1) * self.batch_size][self.part :: self.parts]
            rows = self.examples.rows[chosen]
            size = self.pixels.shape[1:]
            draws = draw(self.augmentation, (size[0], size[1]), self.seed, epoch, rows)
            maps = matrices(draws, (size[0], size[1]))
            if self.resident is not None:
                levels = sampler_torch.sample(self.resident, rows, maps, draws, (size[0], size[1]))
            else:
                threads = torch.get_num_threads()
                sampled = sampler_cpu.sample(self.pixels, rows, maps, draws, (size[0], size[1]), threads=threads)
                levels = _to_device(sampled, self.device)
            yield Batch(_to_floats(levels), self._targets(chosen), chosen)

    def in_order(self) -> Iterator[Batch]:
        """Every film once, as it is: for validation."""
        for start in range(0, len(self.examples), self.batch_size):
            chosen = np.arange(start, min(start + self.batch_size, len(self.examples)))
            levels = _to_device(self.pixels[self.examples.rows[chosen]], self.device)
            yield Batch(_to_floats(levels), self._targets(chosen), chosen)

    def _targets(self, chosen: NDArray[np.int64]) -> torch.Tensor:
        return torch.from_numpy(self.examples.targets[chosen]).to(self.device)


def _make_resident(pixels: NDArray[np.uint8], device: torch.device) -> torch.Tensor | None:
    """All films on the GPU if they fit; a CPU reads them where they are."""
    if device.type != "cuda" or pixels.nbytes > RESIDENT_SHARE * torch.cuda.mem_get_info(device)[0]:
        return None
    return torch.from_numpy(np.array(pixels)).to(device)


def _to_device(levels: NDArray[np.uint8], device: torch.device) -> torch.Tensor:
    films = torch.from_numpy(np.ascontiguousarray(levels))
    return films.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else films


def _to_floats(levels: torch.Tensor) -> torch.Tensor:
    return levels[:, None].float().mul_(1 / 255)
