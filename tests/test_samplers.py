"""Both samplers show what torchvision shows at the same parameters, and each other's pictures."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from scipy.ndimage import gaussian_filter
from test_augment import EVERYTHING, PUBLISHED, fixed
from torchvision.transforms.v2 import functional as F

from hilum.dataset.phantom.film import draw_phantom
from hilum.training.variation import sampler_cpu, sampler_torch
from hilum.training.variation.augment import Augmentation, Draws, draw, matrices

Grey = NDArray[np.uint8]
BILINEAR = F.InterpolationMode.BILINEAR


class Sampler(Protocol):
    def __call__(self, films: Grey, draws: Draws, result_size: tuple[int, int] | None = None) -> Grey: ...


def on_cpu(films: Grey, draws: Draws, result_size: tuple[int, int] | None = None) -> Grey:
    size, rows = result_size or draws.size, np.arange(len(films))
    return sampler_cpu.sample(films, rows, matrices(draws, size), draws, size, threads=2)


def on_torch(films: Grey, draws: Draws, result_size: tuple[int, int] | None = None) -> Grey:
    size, rows = result_size or draws.size, np.arange(len(films))
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    sampled = sampler_torch.sample(torch.tensor(films, device=device), rows, matrices(draws, size), draws, size)
    levels: Grey = sampled.cpu().numpy()
    return levels


samplers = pytest.mark.parametrize("sampler", [on_cpu, on_torch])


@pytest.fixture(scope="module")
def films() -> Grey:
    """Real ones where they are, else phantoms: 24 at 224 x 224."""
    folder = Path(__file__).parents[2] / "shared" / "data" / "kermany-224" / "train"
    if paths := sorted(folder.rglob("*.jpeg"))[::220][:24]:
        return np.stack([np.asarray(Image.open(path).convert("L")) for path in paths])
    drawn = [Image.fromarray(draw_phantom(seed, "viral", 224).pixels).resize((224, 224)) for seed in range(24)]
    return np.stack([np.asarray(film) for film in drawn])


def smooth(height: int, width: int) -> Grey:
    y, x = np.mgrid[:height, :width]
    waves = np.sin(x / 23) * np.cos(y / 31) + 0.5 * np.sin((x + 2 * y) / 47)
    return np.asarray(np.rint(127 + 75 * waves), np.uint8)[None]


def difference(ours: Grey, theirs: torch.Tensor | Grey) -> NDArray[np.int64]:
    return np.asarray(np.abs(ours.astype(np.int64) - np.asarray(theirs, np.int64).reshape(ours.shape)), np.int64)


@samplers
def test_nothing_varied_nothing_changed(sampler: Sampler, films: Grey) -> None:
    still = draw(Augmentation(), (224, 224), 1, 0, np.arange(len(films)))
    assert np.array_equal(sampler(films, still), films)


@samplers
@pytest.mark.parametrize("size", [(224, 224), (256, 300)])
def test_flips_turns_and_shifts_are_exact(sampler: Sampler, size: tuple[int, int]) -> None:
    film = np.random.default_rng(1).integers(0, 256, (1, *size), np.uint8)
    tensor = torch.from_numpy(film)
    assert np.array_equal(sampler(film, fixed(size, flip_horizontal=True)), F.horizontal_flip(tensor))
    assert np.array_equal(sampler(film, fixed(size, flip_vertical=True)), F.vertical_flip(tensor))
    assert np.array_equal(sampler(film, fixed(size, angle=180.0)), F.rotate(tensor, 180))
    shifted = F.affine(tensor, 0.0, [11, -7], 1.0, [0.0, 0.0], BILINEAR)
    assert np.array_equal(sampler(film, fixed(size, shift=(11.0, -7.0))), shifted)
    if size[0] == size[1]:
        for angle in (90, 270):
            assert np.array_equal(sampler(film, fixed(size, angle=float(angle))), F.rotate(tensor, angle))


@samplers
@pytest.mark.parametrize("letter", PUBLISHED)
def test_published_lists_look_as_with_torchvision(sampler: Sampler, letter: str) -> None:
    """At fixed parameters, each list in the order in which its authors wrote it, with bilinear interpolation."""
    film = smooth(224, 224)
    drawn = {
        "A": fixed(flip_horizontal=True, flip_vertical=True, angle=-19.0, crop=(13.0, 40.0, 190.0, 150.0)),
        "B": fixed(angle=14.0, flip_horizontal=True),
        "C": fixed(described=PUBLISHED["C"], brightness=1.17, angle=-11.0, flip_horizontal=True),
        "D": fixed(flip_horizontal=True, angle=8.0, shift=(9.0, -4.0)),
    }[letter]
    theirs = torch.from_numpy(film).float()
    if letter == "A":
        theirs = F.rotate(F.vertical_flip(F.horizontal_flip(theirs)), -19.0, BILINEAR)
        theirs = F.resized_crop(theirs, 40, 13, 150, 190, [224, 224], BILINEAR)
    elif letter == "B":  # its turn comes first: a turn before a flip is the opposite turn after it
        theirs = F.horizontal_flip(F.rotate(theirs, -14.0, BILINEAR))
    elif letter == "C":
        theirs = (theirs * 1.17).clip(0, 255)
        theirs = F.horizontal_flip(F.rotate(theirs, 11.0, BILINEAR))
    else:
        theirs = F.rotate(F.horizontal_flip(theirs), 8.0, BILINEAR)
        theirs = F.affine(theirs, 0.0, [9, -4], 1.0, [0.0, 0.0], BILINEAR)
    ours = sampler(film, drawn)
    both = (ours > 0) & (theirs.numpy() > 0)  # D: torchvision's shift cannot bring back what its turn cut off
    apart = difference(ours, theirs.round())
    assert apart[both].mean() < 0.6
    assert np.quantile(apart[both], 0.99) <= 2  # the rest lies along the film's edges
    assert (both == (ours > 0)).mean() > 0.975


def spots(size: tuple[int, int], centers: NDArray[np.float64]) -> NDArray[np.float32]:
    """A film for each center, with a soft spot there."""
    y, x = np.mgrid[: size[0], : size[1]]
    away = (x - centers[:, 0, None, None]) ** 2 + (y - centers[:, 1, None, None]) ** 2
    return np.asarray(np.exp(-away / (2 * 4.0**2)), np.float32)


@pytest.mark.parametrize("size, result", [((224, 224), (224, 224)), ((256, 300), (256, 300)), ((240, 200), (160, 128))])
def test_landmarks_go_where_torchvision_takes_them(size: tuple[int, int], result: tuple[int, int]) -> None:
    middle = np.array([size[1], size[0]]) / 2
    centers = np.array([[x, y] for x in (-25.0, -3.5, 17.3) for y in (-20.0, 1.7, 24.0)]) + middle
    films = torch.from_numpy(spots(size, centers))[:, None]
    crop = (20, 31, size[1] - 40, size[0] - 50)
    draws = fixed(size, flip_horizontal=True, flip_vertical=True, angle=17.0, zoom=0.9, shift=(9.0, -6.0), crop=crop)
    moved = F.vertical_flip(F.horizontal_flip(films))
    moved = F.affine(moved, -17.0, [9, -6], 0.9, [0.0, 0.0], BILINEAR)  # affine turns clockwise, rotate does not
    moved = F.resized_crop(moved, crop[1], crop[0], crop[3], crop[2], list(result), BILINEAR)[:, 0].numpy()
    y, x = np.mgrid[: result[0], : result[1]]
    weights = moved.sum((1, 2))
    theirs = np.stack([(moved * x).sum((1, 2)) / weights, (moved * y).sum((1, 2)) / weights], 1)
    matrix = matrices(draws, result)[0]
    ours = (centers - matrix[:, 2]) @ np.linalg.inv(matrix[:, :2]).T
    assert np.abs(ours - theirs).max() < 0.1


@samplers
@pytest.mark.parametrize("size, result", [((256, 300), (224, 224)), ((280, 280), (224, 260))])
def test_other_sizes(sampler: Sampler, size: tuple[int, int], result: tuple[int, int]) -> None:
    film = smooth(*size)
    crop = (20, 30, size[1] - 60, size[0] - 50)
    ours = sampler(film, fixed(size, angle=10.0, zoom=1.2, crop=crop), result)
    theirs = F.affine(torch.from_numpy(film).float(), -10.0, [0, 0], 1.2, [0.0, 0.0], BILINEAR)
    theirs = F.resized_crop(theirs, crop[1], crop[0], crop[3], crop[2], list(result), BILINEAR)
    assert difference(ours, theirs.round()).max() <= 2


@samplers
def test_grey_levels_are_those_of_torchvision(sampler: Sampler, films: Grey) -> None:
    described = Augmentation(brightness=0.5, contrast=0.5, gamma=(0.5, 2))
    tensor = torch.from_numpy(films[:1].copy())
    wanted = {
        "brightness": (1.3, F.adjust_brightness(tensor, 1.3)),
        "contrast": (1.4, F.adjust_contrast(tensor, 1.4)),
        "gamma": (0.6, F.adjust_gamma(tensor, 0.6)),
    }
    for name, (factor, theirs) in wanted.items():
        values: dict[str, Any] = {name: factor}
        ours = sampler(films[:1], fixed(described=described, **values))
        assert difference(ours, theirs).max() <= 1, name  # torchvision cuts fractions off, we round
    both = fixed(described=described, contrast=0.7, brightness=1.2)
    assert difference(sampler(films[:1], both), F.adjust_brightness(F.adjust_contrast(tensor, 0.7), 1.2)).max() <= 2


@pytest.mark.parametrize("fill", [0, 90, "edge", "reflect"])
@pytest.mark.parametrize(
    "described", [*PUBLISHED.values(), replace(EVERYTHING, jpeg=100)], ids=[*PUBLISHED, "everything"]
)
def test_samplers_agree(films: Grey, described: Augmentation, fill: int | Literal["edge", "reflect"]) -> None:
    draws = draw(replace(described, fill=fill), (224, 224), 3, 1, np.arange(len(films)))
    apart = difference(on_cpu(films, draws), on_torch(films, draws))
    # Brightness, contrast and gamma widen a warp that was rounded the other way.
    assert apart.max() <= (1 if not described.grades else 2 if described is PUBLISHED["C"] else 4)
    assert apart.mean() < 0.005


@samplers
def test_outside_the_film(sampler: Sampler) -> None:
    film = np.full((1, 64, 64), 200, np.uint8)
    film[0, :, :8] = 100
    far: Any = {"shift": (20.0, 0.0)}
    assert np.all(sampler(film, fixed((64, 64), Augmentation(fill=0), **far))[0, :, :20] == 0)
    assert np.all(sampler(film, fixed((64, 64), Augmentation(fill=37), **far))[0, :, :20] == 37)
    assert np.all(sampler(film, fixed((64, 64), Augmentation(fill="edge"), **far))[0, :, :20] == 100)
    reflected = sampler(film, fixed((64, 64), Augmentation(fill="reflect"), **far))[0]
    assert np.array_equal(reflected[:, :20], reflected[:, 39:19:-1])


@samplers
def test_blur_is_that_of_scipy(sampler: Sampler, films: Grey) -> None:
    described = Augmentation(blur=2.0)
    for blur in (0.0, 0.6, 1.3, 2.0):
        ours = sampler(films[:1], fixed(described=described, blur=blur))[0]
        theirs = gaussian_filter(films[0].astype(float), blur, mode="nearest", radius=6)
        assert np.abs(ours - theirs).max() <= 1.6, blur  # rounded once along each side


@samplers
def test_noise_has_its_spread_and_differs_between_films_and_epochs(sampler: Sampler) -> None:
    flat = np.full((6, 128, 128), 128, np.uint8)
    epochs = [draw(Augmentation(noise=0.03), (128, 128), 1, epoch, np.arange(6)) for epoch in (0, 1)]
    noise = np.concatenate([sampler(flat, draws) for draws in epochs]).astype(float).reshape(12, -1) - 128
    wanted = np.concatenate([draws.noise for draws in epochs])
    assert (wanted < 0.03 * 255).all()
    strong = wanted > 1  # what rounding to whole levels leaves as it is
    assert noise[strong].std(1) == pytest.approx(np.hypot(wanted[strong], 1 / np.sqrt(12)), abs=0.1)
    assert np.abs(noise.mean(1)).max() < 0.2
    assert np.abs(np.corrcoef(noise[strong]) - np.eye(strong.sum())).max() < 0.05


@samplers
@pytest.mark.parametrize("side", [128, 99])
def test_jpeg_is_that_of_pillow(sampler: Sampler, side: int, films: Grey) -> None:
    film = np.ascontiguousarray(films[:1, :side, :side])
    for quality in (25, 50, 77, 95):
        written = BytesIO()
        Image.fromarray(film[0]).save(written, "JPEG", quality=quality)
        theirs = np.asarray(Image.open(written)).astype(int)
        ours = sampler(film, fixed((side, side), Augmentation(jpeg=20), jpeg=quality))[0].astype(int)
        # libjpeg computes in whole numbers, so where it is close another step is taken.
        assert np.abs(ours - theirs).mean() < 0.35, quality  # of 1.2 to 4 levels that it changes


@samplers
def test_erased_rectangles_are_where_they_were_drawn(sampler: Sampler) -> None:
    flat = np.full((40, 128, 96), 255, np.uint8)
    draws = draw(Augmentation(erase=0.5), (128, 96), 1, 0, np.arange(40))
    black = (sampler(flat, draws) == 0).mean((1, 2))
    assert black == pytest.approx(draws.patch[:, 2] * draws.patch[:, 3], abs=1e-6)


def test_neither_threads_nor_batches_matter(films: Grey, tmp_path: Path) -> None:
    films.tofile(tmp_path / "films")
    mapped = np.memmap(tmp_path / "films", np.uint8, "r", shape=films.shape)
    rows = np.random.default_rng(0).integers(0, len(films), 40)
    draws = draw(EVERYTHING, (224, 224), 1, 0, rows)
    where = matrices(draws, (224, 224))
    once = sampler_cpu.sample(films, rows, where, draws, (224, 224), threads=1)
    assert np.array_equal(sampler_cpu.sample(mapped, rows, where, draws, (224, 224), threads=3), once)
    part = slice(17, 30)
    some = sampler_cpu.sample(films, rows[part], where[part], draws[part], (224, 224), threads=1)
    assert np.array_equal(some, once[part])
    resident = torch.from_numpy(films)
    whole = sampler_torch.sample(resident, rows, where, draws, (224, 224))
    half = sampler_torch.sample(resident, rows[part], where[part], draws[part], (224, 224))
    assert difference(half.numpy(), whole[part]).max() <= 1  # means of films are summed in another order


@pytest.mark.parametrize("described", [Augmentation(), *PUBLISHED.values(), EVERYTHING])
def test_floats_are_the_grey_levels(films: Grey, described: Augmentation) -> None:
    draws = draw(described, (224, 224), 1, 0, np.arange(len(films)))
    floats = np.full(films.shape, np.nan, np.float32)
    with ThreadPoolExecutor(2) as executor:
        where = matrices(draws, (224, 224))
        sampler_cpu.sample_into(floats, executor, films, np.arange(len(films)), where, draws)
    assert np.array_equal(floats, torch.from_numpy(on_cpu(films, draws)).float().mul_(1 / 255).numpy())


def test_autocast_does_not_move_pixels(films: Grey) -> None:
    draws = draw(PUBLISHED["A"], (224, 224), 1, 0, np.arange(len(films)))
    plain = on_torch(films, draws)
    with torch.autocast("cpu", torch.bfloat16), torch.autocast("cuda", enabled=torch.cuda.is_available()):
        assert np.array_equal(on_torch(films, draws), plain)
