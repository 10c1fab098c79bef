"""The classic way, for parity: original files decoded by Pillow in every epoch, torchvision's transforms, a DataLoader.

It is some fifty times slower than the Feed from the Store. Who doubts that a result is the recipe's, and not that of
hilum's own augmentation, trains it once more with this one.
"""

from __future__ import annotations

import signal
from collections.abc import Iterator, Sequence
from functools import cached_property, partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageOps
from torch.utils.data import DataLoader, Dataset
from torchvision.transforms import v2

from hilum.dataset.store.store import StoreError
from hilum.radiograph.geometry import Geometry
from hilum.system.cores import available_cores
from hilum.system.processes import clean_context
from hilum.training.feed.examples import File, Originals
from hilum.training.feed.feed import Batch, Course, Feed, Shown
from hilum.training.recipe import RecipeError
from hilum.training.variation.augment import WHOLE, Augmentation

Place = tuple[int, int]  # epoch, example


class TorchvisionFeed(Feed):
    """A Feed that decodes the training films anew. `in_order` still gives them from the store."""

    def __init__(
        self,
        originals: Originals,
        shown: Shown,
        batch_size: int,
        device: torch.device,
        course: Course = Course(),  # noqa: B008, it is immutable
    ) -> None:
        super().__init__(shown, batch_size, device, course)
        transform = transforms(shown.augmentation, (originals.geometry.height, originals.geometry.width))
        self.films = FilmFiles(originals.files, shown.examples.rows, originals.geometry, transform, self.seed)
        self.places: list[list[Place]] = []

    def batches(self, epoch: int, start: int = 0) -> Iterator[Batch]:
        """The batches of an epoch from batch `start` on, decoded and varied by torchvision."""
        plan = self.plan(epoch, start)
        self.places[:] = [[(epoch, int(example)) for example in share.shown] for share in plan]
        for share, films in zip(plan, self.loader, strict=True):
            if isinstance(films, str):
                raise StoreError(films)
            yield self._batch(films.to(self.device, non_blocking=True), share)

    @cached_property
    def loader(self) -> DataLoader[torch.Tensor | str]:
        """Its workers stay from epoch to epoch; what they are to decode stands in `places`."""
        return DataLoader(
            self.films,
            batch_sampler=self.places,
            num_workers=available_cores(),
            collate_fn=_together,
            pin_memory=self.device.type == "cuda",
            worker_init_fn=_leave_interrupts_to_parent,
            multiprocessing_context=clean_context([__name__]),
            generator=torch.Generator(),  # it draws seeds for the workers, which have their own
            persistent_workers=True,
        )


def transforms(augmentation: Augmentation, size: tuple[int, int]) -> v2.Compose:
    """The recipe's list in torchvision's words, for grey PIL pictures of this height and width."""
    if augmentation.gamma != WHOLE:
        raise RecipeError("training.feed = torchvision: torchvision draws no gamma; leave augmentation.gamma at [1, 1]")
    if augmentation.blur:
        raise RecipeError("training.feed = torchvision: its blur is drawn for a batch; leave augmentation.blur at 0")
    if augmentation.jpeg < 100:
        raise RecipeError("training.feed = torchvision: its JPEG comes before noise; leave augmentation.jpeg at 100")
    if not isinstance(augmentation.fill, int):
        raise RecipeError("training.feed = torchvision: its turns fill with one grey level; set augmentation.fill = 0")
    rotation, far, fill = augmentation.rotation, augmentation.translation, augmentation.fill
    bilinear = v2.InterpolationMode.BILINEAR
    steps: list[Any] = [
        v2.RandomHorizontalFlip(augmentation.flip_horizontal),
        v2.RandomVerticalFlip(augmentation.flip_vertical),
    ]
    if far or augmentation.zoom != WHOLE:
        steps.append(v2.RandomAffine(rotation, (far, far), augmentation.zoom, None, bilinear, fill))
    elif rotation:
        steps.append(v2.RandomRotation(rotation, bilinear, fill=fill))
    if augmentation.area != WHOLE:
        steps.append(v2.RandomResizedCrop(size, augmentation.area, augmentation.ratio, bilinear))
    if augmentation.contrast:
        steps.append(v2.ColorJitter(contrast=augmentation.contrast))
    if augmentation.brightness:
        steps.append(v2.ColorJitter(brightness=augmentation.brightness))
    steps += [v2.ToImage(), v2.ToDtype(torch.float32, scale=True)]
    if augmentation.noise:
        steps.append(v2.Lambda(partial(_noisy, most=augmentation.noise)))
    if augmentation.erase:
        steps.append(v2.RandomErasing(augmentation.erase))
    return v2.Compose([*steps, v2.ToPureTensor()])


def _noisy(film: torch.Tensor, most: float) -> torch.Tensor:
    noisy: torch.Tensor = v2.functional.gaussian_noise(film, sigma=float(torch.rand(()) * most))
    return noisy


class FilmFiles(Dataset[torch.Tensor | str]):
    """What a worker does: a film at its place, or why it cannot be had. All follows from (seed, epoch, film)."""

    def __init__(
        self, files: Sequence[File], rows: NDArray[np.int64], geometry: Geometry, transform: v2.Compose, seed: int
    ) -> None:
        self.files, self.rows, self.geometry, self.transform, self.seed = files, rows, geometry, transform, seed

    def __getitem__(self, place: Place) -> torch.Tensor | str:
        epoch, example = place
        path = self.files[example].path
        try:
            with Image.open(path) as picture:
                levels = np.asarray(ImageOps.exif_transpose(picture).convert("L"), np.float32)
        except OSError as error:  # Pillow's own errors are among these
            return f"{path}: {error.strerror or 'Pillow cannot decode it'}; put it back, or import the data set again"
        drawn_from = np.random.SeedSequence((self.seed % 2**64, epoch, int(self.rows[example])))
        torch.default_generator.manual_seed(int(drawn_from.generate_state(1, np.uint64)[0] % 2**63))
        film: torch.Tensor = self.transform(Image.fromarray(self.geometry.apply(levels / np.float32(255))))
        return film


def _together(items: list[torch.Tensor | str]) -> torch.Tensor | str:
    films = [item for item in items if isinstance(item, torch.Tensor)]
    return torch.stack(films) if len(films) == len(items) else next(item for item in items if isinstance(item, str))


def _leave_interrupts_to_parent(worker: int) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
