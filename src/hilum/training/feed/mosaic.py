"""Mosaic: a film put together from quarters of four, each where it was, so that the chest keeps its layout.

The usual mosaic tiles whole small pictures; a chest film of which only the upper left is a left upper lung would then
teach shapes that no film has.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from hilum.network.heads.boxes import Boxes
from hilum.training.feed.boxes import LEAST_VISIBLE, SMALLEST_SIDE


def mosaic(films: Tensor, boxes: Boxes, count: int, seed: Sequence[int]) -> tuple[Tensor, Boxes]:
    """The first `count` films become mosaics; the cross between their quarters lies in the middle half of the frame.

    A box is cut at the cross as it would be at the frame. Its boxes are known where those of all four films are.
    """
    random = np.random.Generator(np.random.Philox(list(seed)))
    height, width = films.shape[2:]
    sources = np.stack([np.resize(random.permutation(len(films)), 4) for _ in range(count)])
    across = random.integers(width // 4, width - width // 4, count)
    down = random.integers(height // 4, height - height // 4, count)
    zero, right, bottom = np.zeros(count, np.int64), np.full(count, width), np.full(count, height)
    quarters = np.stack(
        [
            np.stack(sides, 1)
            for sides in (
                (zero, zero, across, down),
                (across, zero, right, down),
                (zero, down, across, bottom),
                (across, down, right, bottom),
            )
        ],
        1,
    )
    made = films.clone()
    for film in range(count):
        for source, (left, top, end, foot) in zip(sources[film], quarters[film], strict=True):
            made[film, :, top:foot, left:end] = films[source, :, top:foot, left:end]

    chosen = torch.from_numpy(sources).to(boxes.corners.device)
    frames = torch.from_numpy(quarters).to(boxes.corners)[:, :, None]
    whole = boxes.corners[chosen]  # (count, 4, most, 4)
    cut = torch.cat([whole[..., :2].maximum(frames[..., :2]), whole[..., 2:].minimum(frames[..., 2:])], -1)
    sides = (cut[..., 2:] - cut[..., :2]).clamp(min=0)
    visible = sides.prod(-1) >= LEAST_VISIBLE * (whole[..., 2:] - whole[..., :2]).prod(-1)
    kept = boxes.present[chosen] & visible & (sides >= SMALLEST_SIDE).all(-1)

    most = boxes.corners.shape[1]
    corners = boxes.corners.repeat(1, 4, 1)
    present = torch.cat([boxes.present, torch.zeros_like(boxes.present).repeat(1, 3)], 1)
    corners[:count], present[:count] = cut.reshape(count, 4 * most, 4), kept.reshape(count, 4 * most)
    known = boxes.known.clone()
    known[:count] = boxes.known[chosen].all(1)
    return made, Boxes(corners, present, known)
