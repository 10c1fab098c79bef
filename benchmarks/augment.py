"""Augmented images a second, from films in memory to batches: hilum and torchvision, side by side in one run.

The list is that of system A: flips, turns of up to 25 degrees, random resized crops of 0.4 to 1.0. torchvision's v2
transforms take one film after the other, as in a worker of a DataLoader, with bilinear interpolation. Its figures are
those of one worker times the cores: what a DataLoader would give at best. Drawing what happens to each film is part of
every figure. All take turns in one process; the figures are medians over the rounds.

    python benchmarks/augment.py [SIDE]     of the films, in pixels; 224 without it
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torchvision.transforms import v2

from hilum.dataset.phantom.film import draw_phantom
from hilum.radiograph.geometry import Geometry
from hilum.system.cores import available_cores
from hilum.training.variation import sampler_cpu, sampler_torch
from hilum.training.variation.augment import Augmentation, draw, matrices

ROUNDS, FILMS, BATCH, TORCHVISION_FILMS = 5, 2048, 64, 256
MEAN, STD = 0.485, 0.229
LIST = Augmentation(flip_horizontal=0.5, flip_vertical=0.5, rotation=25, area=(0.4, 1.0), ratio=(0.5, 1.5))
Films = NDArray[np.uint8]


def draw_films(side: int) -> Films:
    geometry = Geometry("squash", side, side)
    drawn = [np.divide(draw_phantom(seed, "viral", side).pixels, 255, dtype=np.float32) for seed in range(8)]
    return np.concatenate([np.stack([geometry.apply(film) for film in drawn])] * (FILMS // len(drawn)))


def with_torchvision(films: Films, floats: bool) -> None:
    augment = v2.Compose(
        [
            v2.RandomHorizontalFlip(),
            v2.RandomVerticalFlip(),
            v2.RandomRotation(25, v2.InterpolationMode.BILINEAR),
            v2.RandomResizedCrop(films.shape[1:], (0.4, 1.0), (0.5, 1.5)),
            *([v2.ToDtype(torch.float32, scale=True), v2.Normalize([MEAN], [STD])] if floats else []),
        ]
    )
    torch.set_num_threads(1)  # as in a worker of a DataLoader
    for start in range(0, TORCHVISION_FILMS, BATCH):
        torch.stack([augment(torch.from_numpy(film[None])) for film in films[start : start + BATCH]])
    torch.set_num_threads(available_cores())


def normalize(levels: torch.Tensor) -> torch.Tensor:
    return levels[:, None].float().mul_(1 / (255 * STD)).sub_(MEAN / STD)


def with_opencv(films: Films, floats: bool) -> None:
    size = (films.shape[1], films.shape[2])
    for start in range(0, FILMS, BATCH):
        rows = np.arange(start, start + BATCH)
        draws = draw(LIST, size, 1, 0, rows)
        levels = sampler_cpu.sample(films, rows, matrices(draws, size), draws, size, threads=available_cores())
        if floats:
            normalize(torch.from_numpy(levels))


def with_torch(films: torch.Tensor, floats: bool, count: int) -> None:
    size = (films.shape[1], films.shape[2])
    for start in range(0, count, BATCH):
        rows = np.arange(start, start + BATCH)
        draws = draw(LIST, size, 1, 0, rows)
        levels = sampler_torch.sample(films, rows, matrices(draws, size), draws, size)
        if floats:
            normalize(levels)
    if films.is_cuda:
        torch.cuda.synchronize()


def seconds(run: Callable[[], None]) -> float:
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def compare(side: int) -> None:
    films = draw_films(side)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    resident = torch.from_numpy(films).to(device)
    on_device = FILMS if resident.is_cuda else TORCHVISION_FILMS  # slow on a CPU
    runs: dict[str, tuple[int, Callable[[], None]]] = {
        "torchvision, uint8": (TORCHVISION_FILMS * available_cores(), partial(with_torchvision, films, False)),
        "torchvision, float32": (TORCHVISION_FILMS * available_cores(), partial(with_torchvision, films, True)),
        "hilum with OpenCV, uint8": (FILMS, partial(with_opencv, films, False)),
        "hilum with OpenCV, float32": (FILMS, partial(with_opencv, films, True)),
        f"hilum with torch, {device.type}, uint8": (on_device, partial(with_torch, resident, False, on_device)),
        f"hilum with torch, {device.type}, float32": (on_device, partial(with_torch, resident, True, on_device)),
    }
    times: dict[str, list[float]] = {name: [] for name in runs}
    for number in range(ROUNDS + 1):
        for name, (count, run) in runs.items():
            taken = seconds(run) / count
            if number:  # the first round warms up
                times[name].append(taken)
    first = times["torchvision, float32"]
    print(f"films of {side} x {side}, {available_cores()} cores, median of {ROUNDS} rounds")
    for name in runs:
        ratio = statistics.median(a / b for a, b in zip(first, times[name], strict=True))
        print(f"{name:34} {1 / statistics.median(times[name]):10,.0f} images/s   {ratio:7.1f} x torchvision, float32")


if __name__ == "__main__":
    compare(int(sys.argv[1]) if len(sys.argv) > 1 else 224)
