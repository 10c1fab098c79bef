"""The boxes of a batch: they go where the pixels of their films go."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from hilum.network.heads.boxes import Boxes
from hilum.radiograph.geometry import Geometry, corners_of
from hilum.training.variation.augment import Floats, transform_boxes

# A box of which less than this share is still in the frame is no longer looked for.
LEAST_VISIBLE = 0.3
SMALLEST_SIDE = 2.0  # in pixels


def boxes_in_picture(boxes: list[list[float]] | None, height: int, width: int, geometry: Geometry) -> Floats | None:
    """A film's boxes (x, y, width, height, as its fractions) as corners in pixels of the picture, cut at its frame."""
    if boxes is None:
        return None
    placed = geometry.boxes_to_result(np.array(boxes, np.float64).reshape(-1, 4), height, width)
    corners = corners_of(placed)
    frame = np.array([geometry.width, geometry.height] * 2)
    corners = np.asarray(np.clip(corners * frame, 0, frame), np.float64)
    large: Floats = corners[(corners[:, 2:] - corners[:, :2] >= SMALLEST_SIDE).all(1)]
    return large


def batch_boxes(
    boxes: Sequence[Floats | None], chosen: NDArray[np.int64], maps: Floats | None, size: tuple[int, int]
) -> Boxes:
    """The boxes of the chosen films, moved by their maps and cut at the frame; None where nobody drew any."""
    moved = []
    for place, film in enumerate(chosen):
        here = boxes[film]
        corners = np.empty((0, 4)) if here is None else here
        if maps is not None and len(corners):
            corners, _ = transform_boxes(corners, maps[place], size, LEAST_VISIBLE)
        moved.append(corners[(corners[:, 2:] - corners[:, :2] >= SMALLEST_SIDE).all(1)])
    most = max(map(len, moved), default=0)
    padded = np.zeros((len(moved), most, 4), np.float32)
    present = np.zeros((len(moved), most), bool)
    for place, corners in enumerate(moved):
        padded[place, : len(corners)], present[place, : len(corners)] = corners, True
    known = np.array([boxes[film] is not None for film in chosen])
    return Boxes(torch.from_numpy(padded), torch.from_numpy(present), torch.from_numpy(known))
