"""Augmented films on the device where they are: one grid_sample, then blur, `grade`, noise and erasing.

`sampler_cpu` does the same with OpenCV, at least ten times as fast on a CPU. The two differ by a grey level here and
there, from rounding.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import conv2d, grid_sample, pad

from hilum.training.variation.augment import Draws, Floats, grade, grain, kernels

PADDINGS = {"edge": "border", "reflect": "reflection"}


@torch.no_grad()
def sample(
    pixels: Tensor, rows: NDArray[np.int64], matrices: Floats, draws: Draws, result_size: tuple[int, int]
) -> Tensor:
    """(films, height, width), uint8: the films of these rows of `pixels` (uint8) as drawn, moved by these matrices."""
    device, described = pixels.device, draws.augmentation
    films = pixels[torch.from_numpy(rows).to(device)].float()[:, None]
    padding, level = PADDINGS.get(str(described.fill), "zeros"), described.fill
    outside = level if isinstance(level, int) else 0
    grid = _grid(matrices, draws.size, result_size, device)
    levels = grid_sample(films - outside, grid, mode="bilinear", padding_mode=padding, align_corners=False)[:, 0]
    return vary((levels + outside).round(), draws)


@torch.no_grad()
def vary(levels: Tensor, draws: Draws) -> Tensor:
    """All that is done to films (films, height, width) apart from moving them, as uint8."""
    device, described, (height, width) = levels.device, draws.augmentation, levels.shape[1:]
    if described.blur:
        levels = _blurred(levels.float(), _on(device, kernels(draws).astype(np.float64)))
    if described.grades:
        drawn = (draws.contrast, draws.brightness, draws.gamma)
        contrast, brightness, gamma = (_on(device, column[:, None, None]) for column in drawn)
        levels = levels.float()
        levels = grade(levels, levels.mean((1, 2), keepdim=True), contrast, brightness, gamma)
    if described.noise:
        noise = _grain_on(device, draws.seed, described.noise, height * width)
        window = torch.from_numpy(draws.grain).to(device)[:, None] + torch.arange(height * width, device=device)
        levels = (levels + noise[window].view_as(levels)).clip(0, 255)
    if described.erase:
        edges = np.rint(draws.patch * [width, height, width, height])
        left, top, across, down = _on(device, edges.T[..., None, None])
        x, y = torch.arange(width, device=device), torch.arange(height, device=device)[:, None]
        levels = levels.masked_fill((x >= left) & (x < left + across) & (y >= top) & (y < top + down), 0)
    return levels.to(torch.uint8)


def _blurred(levels: Tensor, kernel: Tensor) -> Tensor:
    """Each film by its own kernel, down and then across, in whole grey levels."""
    films, reach = len(levels), kernel.shape[1] // 2
    down = conv2d(pad(levels[None], (0, 0, reach, reach), "replicate"), kernel[:, None, :, None], groups=films)
    return conv2d(pad(down, (reach, reach, 0, 0), "replicate"), kernel[:, None, None, :], groups=films)[0].round()


def _grid(matrices: Floats, size: tuple[int, int], result_size: tuple[int, int], device: torch.device) -> Tensor:
    """Where each pixel of the result looks, in grid_sample's coordinates, which run from -1 to 1 across the source.

    Not by affine_grid: it multiplies matrices, and under autocast or with TF32 does so too coarsely to place a pixel.
    """
    height, width = size
    from_pixels = np.diag([2 / width, 2 / height]) @ matrices
    from_pixels[:, :, 2] += np.array([1 / width, 1 / height]) - 1
    along_x, along_y, start = _on(device, from_pixels.transpose(2, 0, 1)[:, :, None, None, :])
    x, y = (torch.arange(side, dtype=torch.float32, device=device) for side in reversed(result_size))
    grid: Tensor = start + along_x * x[None, None, :, None] + along_y * y[None, :, None, None]
    return grid


def _on(device: torch.device, values: Floats) -> Tensor:
    return torch.from_numpy(values.astype(np.float32)).to(device)


@lru_cache(maxsize=2)
def _grain_on(device: torch.device, seed: int, noise: float, pixels: int) -> Tensor:
    return torch.from_numpy(grain(seed, noise, pixels)).to(device)
