"""NVIDIA DALI decodes the original files in every epoch, on the CPU or with a GPU's decoder: no store, no copy on disk.

DALI's own random operators cannot be taken up in the middle of an epoch. So it is told what was drawn: the same order,
the same affine map for each film, and grey levels, noise and erasing from the same code as with the Feed of the Store.
"""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from typing import Any

import numpy as np
import torch
from torch.utils.dlpack import from_dlpack

from hilum.dataset.store.store import StoreError
from hilum.system.installed import install_extra
from hilum.training.feed.examples import Originals
from hilum.training.feed.feed import Batch, Course, Feed, Share, Shown, unit_floats
from hilum.training.recipe import RecipeError
from hilum.training.variation import sampler_cpu, sampler_torch
from hilum.training.variation.augment import Draws, draw, matrices


class DaliFeed(Feed):
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
        if originals.geometry.mode == "fit":
            raise RecipeError("training.feed = dali: its frames have no padding; set input.geometry to squash or crop")
        if shown.augmentation.fill == "reflect":
            raise RecipeError("training.feed = dali: it does not mirror; set augmentation.fill to a level or to edge")
        (self.files, self.geometry), self.dali = originals, _dali()

    def batches(self, epoch: int, start: int = 0) -> Iterator[Batch]:
        """The batches of an epoch from batch `start` on, decoded and varied by DALI."""
        plan = self.plan(epoch, start)
        pipeline = self._pipeline(epoch, plan)
        # DALI hands batches over on its own stream unless it is told which one goes on with them.
        stream = torch.cuda.current_stream(self.device) if self.device.type == "cuda" else None
        for share in plan:
            try:
                (moved,) = pipeline.run(stream)
            except RuntimeError as error:
                if "decoders.image" not in str(error):
                    raise
                paths = ", ".join(str(self.files[example].path) for example in share.shown)
                raise StoreError(
                    f"DALI cannot decode one of {paths}; find it with `hilum inspect`, or use training.feed = store"
                ) from error
            yield self._batch(self._finished(moved, self._draws(epoch, share)), share)

    def _draws(self, epoch: int, share: Share) -> Draws:
        size = self.geometry.height, self.geometry.width
        return draw(self.augmentation, size, self.seed, epoch, self.examples.rows[share.shown])

    def _pipeline(self, epoch: int, plan: list[Share]) -> Any:
        fn, types, size = self.dali.fn, self.dali.types, (self.geometry.height, self.geometry.width)
        on_gpu = self.device.type == "cuda"
        outside = {} if self.augmentation.fill == "edge" else {"fill_value": self.augmentation.fill}
        pipeline = self.dali.Pipeline(
            self.batch_size, torch.get_num_threads(), self.device.index if on_gpu else None, prefetch_queue_depth=2
        )
        with pipeline:
            encoded, top_left, bottom_right, maps = fn.external_source(
                (self._inputs(epoch, share) for share in plan),
                num_outputs=4,
                dtype=[types.UINT8, types.FLOAT, types.FLOAT, types.FLOAT],
                ndim=[1, 1, 1, 2],
            )
            films = fn.decoders.image(encoded, device="mixed" if on_gpu else "cpu", output_type=types.GRAY)
            frames = fn.resize(films, size=size, roi_start=top_left, roi_end=bottom_right, antialias=True)
            pipeline.set_outputs(fn.warp_affine(frames, matrix=maps, size=size, **outside))
        return pipeline

    def _inputs(self, epoch: int, share: Share) -> tuple[Any, ...]:
        """For each film: its file, the part of it that is shown, from pixels of the result to those of the frame."""
        files = [self.files[example] for example in share.shown]
        parts = [self.geometry.place(file.height, file.width).film for file in files]
        left, top, right, bottom = np.array(parts, np.float32).T
        drawn = self._draws(epoch, share)
        maps = matrices(drawn, drawn.size)
        maps[:, :, 2] += 0.5 - maps[:, :, :2].sum(axis=2) / 2  # DALI counts from the first pixel's corner
        try:
            encoded = [np.fromfile(file.path, np.uint8) for file in files]
        except OSError as error:
            raise StoreError(
                f"{error.filename}: {error.strerror}; put it back, or import the data set again"
            ) from error
        return encoded, np.stack([top, left], 1), np.stack([bottom, right], 1), maps.astype(np.float32)

    def _finished(self, moved: Any, drawn: Draws) -> torch.Tensor:
        if self.device.type == "cuda":
            levels = from_dlpack(moved.as_tensor())[..., 0]
            return unit_floats(sampler_torch.vary(levels, drawn)[:, None])
        films = self._room(len(drawn))
        sampler_cpu.vary(np.array(moved.as_array())[..., 0], drawn, films.numpy()[:, 0])
        return films


def _dali() -> Any:
    try:
        return import_module("nvidia.dali")
    except ImportError:
        raise RecipeError(
            f"training.feed = dali: NVIDIA DALI is not installed; {install_extra('dali')}, or use training.feed = store"
        ) from None
