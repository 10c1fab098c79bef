"""Augmented films on the device where they are: one grid_sample, then blur, `grade`, noise and erasing.

`sampler_cpu` does the same with OpenCV, at least ten times as fast on a CPU. The two differ by a grey level here and
there, from rounding.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.fft import dct
from torch import Tensor
from torch.nn.functional import conv2d, grid_sample, pad

from hilum.training.variation.augment import Draws, Floats, grade, grain, kernels

# Annex K of the JPEG standard, at quality 50.
LUMINANCE = np.array(
    [
        [16, 11, 10, 16, 24, 40, 51, 61],
        [12, 12, 14, 19, 26, 58, 60, 55],
        [14, 13, 16, 24, 40, 57, 69, 56],
        [14, 17, 22, 29, 51, 87, 80, 62],
        [18, 22, 37, 56, 68, 109, 103, 77],
        [24, 35, 55, 64, 81, 104, 113, 92],
        [49, 64, 78, 87, 103, 121, 120, 101],
        [72, 92, 95, 98, 112, 100, 103, 99],
    ]
)
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
        noise = _grain_on(device, draws.seed, height * width)
        window = torch.from_numpy(draws.grain).to(device)[:, None] + torch.arange(height * width, device=device)
        added = (noise[window] * _on(device, draws.noise[:, None])).round().view_as(levels)
        levels = (levels + added).clip(0, 255)
    if described.jpeg < 100:
        levels = _as_jpeg(levels.float(), draws.jpeg)
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


def _as_jpeg(levels: Tensor, quality: NDArray[np.int64]) -> Tensor:
    """What JPEG leaves of grey films: the cosine transform of each 8 x 8, in libjpeg's steps at this quality."""
    height, width = levels.shape[1:]
    scale = np.where(quality < 50, 5000 // quality, 200 - 2 * quality)
    steps = _on(levels.device, ((LUMINANCE * scale[:, None, None] + 50) // 100).clip(1, 255)[:, None, None])
    cosines = _on(levels.device, dct(np.eye(8), axis=0, norm="ortho"))
    padded = pad(levels[:, None], (0, -width % 8, 0, -height % 8), "replicate")[:, 0]
    blocks = padded.reshape(len(levels), padded.shape[1] // 8, 8, -1, 8).transpose(2, 3) - 128
    kept = torch.round(_transformed(blocks, cosines) / steps) * steps
    copied = _transformed(kept, cosines.T).round().clip(-128, 127) + 128
    return copied.transpose(2, 3).flatten(3, 4).flatten(1, 2)[:, :height, :width]


def _transformed(blocks: Tensor, matrix: Tensor) -> Tensor:
    """Along both sides. Not by a product of matrices, which autocast or TF32 would do too coarsely."""
    down = (matrix[:, :, None] * blocks[..., None, :, :]).sum(-2)
    return (down[..., None, :] * matrix).sum(-1)


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
def _grain_on(device: torch.device, seed: int, pixels: int) -> Tensor:
    return torch.from_numpy(grain(seed, pixels)).to(device)
