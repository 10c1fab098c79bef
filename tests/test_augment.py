"""What is drawn follows from (seed, epoch, image), with torchvision's distributions; boxes move with the pixels."""

from __future__ import annotations

import math
import random
from dataclasses import replace
from itertools import combinations
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from torchvision.transforms import ColorJitter, RandomAffine, RandomErasing, RandomResizedCrop, RandomRotation

from hilum.training.variation.augment import Augmentation, Draws, draw, matrices, transform_boxes

Floats = NDArray[np.float64]

# The published lists, by the letters of the systems that hilum reproduces.
PUBLISHED = {
    "A": Augmentation(flip_horizontal=0.5, flip_vertical=0.5, rotation=25, area=(0.4, 1.0), ratio=(0.5, 1.5)),
    "B": Augmentation(flip_horizontal=0.5, rotation=20),
    # Brightness comes first there; where black is outside the film, that makes no difference.
    "C": Augmentation(flip_horizontal=0.5, rotation=15, brightness=0.2),
    # Its RandomGrayscale changes nothing on grey films.
    "D": Augmentation(flip_horizontal=0.5, rotation=10, translation=0.05),
}
EVERYTHING = Augmentation(
    flip_horizontal=0.5,
    flip_vertical=0.5,
    rotation=25,
    area=(0.4, 1.0),
    ratio=(0.5, 1.5),
    translation=0.1,
    zoom=(0.8, 1.25),
    brightness=0.2,
    contrast=0.3,
    gamma=(0.7, 1.4),
    blur=0.9,
    noise=0.02,
    jpeg=60,
    erase=0.5,
)


def drawn(augmentation: Augmentation, count: int, size: tuple[int, int] = (224, 224), seed: int = 1) -> Draws:
    return draw(augmentation, size, seed, 0, np.arange(count))


def columns(draws: Draws) -> dict[str, Floats]:
    """Everything that was drawn, by name, a column for each number."""
    tables = {name: np.atleast_2d(getattr(draws, name).T) for name in Draws.__slots__[3:]}
    return {f"{name} {i}": row.astype(np.float64) for name, rows in tables.items() for i, row in enumerate(rows)}


def fixed(size: tuple[int, int] = (224, 224), described: Augmentation | None = None, **values: Any) -> Draws:
    """One film's draws: as they are when nothing is varied, apart from these."""
    arrays: dict[str, Any] = {name: np.array([value], np.float64) for name, value in values.items()}
    return replace(drawn(Augmentation(), 1, size), augmentation=described or Augmentation(), **arrays)


def distance(ours: Floats, theirs: Floats) -> float:
    """Kolmogorov's and Smirnov's distance of two samples, in units of its 1% level."""
    both = np.concatenate([ours, theirs])
    shares = [np.searchsorted(np.sort(sample), both, "right") / len(sample) for sample in (ours, theirs)]
    level = 1.63 * math.sqrt(1 / len(ours) + 1 / len(theirs))
    return float(np.abs(shares[0] - shares[1]).max() / level)


@given(st.lists(st.integers(0, 10**9), min_size=1, max_size=40), st.integers(0, 2**70), st.integers(0, 500))
@settings(deadline=None, max_examples=50)
def test_a_film_is_drawn_alike_in_any_batch(images: list[int], seed: int, epoch: int) -> None:
    together = columns(draw(EVERYTHING, (256, 300), seed, epoch, np.array(images)))
    for place, image in enumerate(images):
        alone = columns(draw(EVERYTHING, (256, 300), seed, epoch, np.array([image])))
        assert {name: values[place] for name, values in together.items()} == {n: v[0] for n, v in alone.items()}


def test_what_is_drawn_stays_the_same_from_version_to_version() -> None:
    draws = draw(EVERYTHING, (224, 224), 2021, 3, np.array([7]))
    assert draws.angle[0] == pytest.approx(-8.22573682220743)
    assert draws.crop[0].tolist() == [21, 6, 186, 206]


def test_seeds_epochs_and_images_draw_independently() -> None:
    count = 20_000
    images = np.arange(count)
    base = drawn(EVERYTHING, count)
    others = {
        "next image": draw(EVERYTHING, (224, 224), 1, 0, images + 1),
        "next epoch": draw(EVERYTHING, (224, 224), 1, 1, images),
        "next seed": draw(EVERYTHING, (224, 224), 2, 0, images),
        "seed and epoch exchanged": draw(EVERYTHING, (224, 224), 0, 1, images),
    }
    for name, other in others.items():
        for ours, theirs in zip(columns(base).values(), columns(other).values(), strict=True):
            assert abs(np.corrcoef(ours, theirs)[0, 1]) < 5 / math.sqrt(count), name


def test_what_is_drawn_for_a_film_is_uncorrelated() -> None:
    count = 20_000
    of_film = columns(drawn(EVERYTHING, count))
    connected = ({"crop"}, {"patch"})  # a wide crop is low, and cannot be moved far
    for (a, ours), (b, theirs) in combinations(of_film.items(), 2):
        if {a.split()[0], b.split()[0]} not in connected:
            assert abs(np.corrcoef(ours, theirs)[0, 1]) < 5 / math.sqrt(count), (a, b)


def test_numbers_are_even_over_images_and_over_epochs() -> None:
    turned = Augmentation(rotation=180)
    over_images = drawn(turned, 50_000).angle
    over_epochs = np.array([draw(turned, (8, 8), 1, epoch, np.zeros(1, np.int64)).angle[0] for epoch in range(3000)])
    for angles in (over_images, over_epochs, over_images[::64]):
        assert distance(angles, np.linspace(-180, 180, 100_000)) < 1
        # Pairs of neighbors fill the square evenly too: chi-square of 16 x 16 cells, 255 degrees of freedom.
        cells = np.histogram2d(angles[:-1:2], angles[1::2], 16, [[-180, 180]] * 2)[0]
        expected = len(angles[1::2]) / 256
        assert abs(((cells - expected) ** 2 / expected).sum() - 255) < 5 * math.sqrt(2 * 255)


@pytest.mark.parametrize("size", [(224, 224), (256, 300), (300, 120)])
@pytest.mark.parametrize("area, ratio", [((0.4, 1.0), (0.5, 1.5)), ((0.08, 1.0), (3 / 4, 4 / 3)), ((0.9, 1), (2, 3))])
def test_crops_are_those_of_torchvision(
    size: tuple[int, int], area: tuple[float, float], ratio: tuple[float, float]
) -> None:
    torch.manual_seed(0)
    film = torch.empty(1, *size)
    params = [RandomResizedCrop.get_params(film, list(area), list(ratio)) for _ in range(2000)]
    theirs = np.array(params, np.float64)[:, [1, 0, 3, 2]]  # top, left, height, width there
    ours = drawn(Augmentation(area=area, ratio=ratio), 20_000, size).crop
    for column in range(4):
        assert distance(ours[:, column], theirs[:, column]) < 1.2
    assert distance(ours[:, 2] * ours[:, 3], theirs[:, 2] * theirs[:, 3]) < 1.2
    assert distance(ours[:, 2] / ours[:, 3], theirs[:, 2] / theirs[:, 3]) < 1.2


def test_patches_are_those_of_torchvision() -> None:
    torch.manual_seed(0)
    film = torch.zeros(1, 200, 200)
    params = [RandomErasing.get_params(film, (0.02, 0.33), (0.3, 3.3), [0.0])[:4] for _ in range(2000)]
    theirs = np.array(params, np.float64)[:, [1, 0, 3, 2]]
    ours = drawn(Augmentation(erase=1), 20_000, (200, 200)).patch * 200
    for column in range(4):
        assert distance(ours[:, column], theirs[:, column]) < 1.2
    assert (drawn(Augmentation(erase=0.3), 20_000).patch[:, 2] > 0).mean() == pytest.approx(0.3, abs=0.02)


@pytest.mark.parametrize("letter", PUBLISHED)
def test_published_lists_are_drawn_as_by_torchvision(letter: str) -> None:
    torch.manual_seed(0)
    random.seed(0)
    described = PUBLISHED[letter]
    ours = drawn(described, 20_000)
    count = 3000
    angles = [RandomRotation.get_params([-described.rotation, described.rotation]) for _ in range(count)]
    assert distance(ours.angle, np.array(angles)) < 1.2
    assert ours.flip_horizontal.mean() == pytest.approx(0.5, abs=0.02)
    assert ours.flip_vertical.mean() == pytest.approx(described.flip_vertical, abs=0.02)
    far = (described.translation, described.translation)
    shifts = [RandomAffine.get_params([0.0, 0.0], list(far), None, None, [224, 224])[1] for _ in range(count)]
    for axis in range(2):
        assert distance(ours.shift[:, axis], np.array(shifts, np.float64)[:, axis]) < 1.2
    jitter = ColorJitter(brightness=described.brightness)
    factors = [ColorJitter.get_params(jitter.brightness, None, None, None)[1] or 1.0 for _ in range(count)]
    assert distance(ours.brightness, np.array(factors)) < 1.2
    untouched = {"zoom": 1, "contrast": 1, "gamma": 1, "patch": 0}
    for name, value in untouched.items():
        assert np.all(getattr(ours, name) == value), name
    if letter != "A":
        assert np.all(ours.crop == [0, 0, 224, 224])


def test_zoom_and_gamma_stay_in_their_ranges() -> None:
    draws = drawn(Augmentation(zoom=(0.8, 1.2), gamma=(0.5, 2)), 20_000)
    assert distance(draws.zoom, np.linspace(0.8, 1.2, 20_000)) < 1
    assert distance(np.log2(draws.gamma), np.linspace(-1, 1, 20_000)) < 1


@pytest.mark.parametrize(
    "values, message",
    [
        ({"flip_horizontal": 1.5}, "augmentation.flip_horizontal = 1.5: must be a number from 0 to 1"),
        ({"rotation": -5}, "augmentation.rotation = -5: must be a number from 0 to 180"),
        ({"rotation": math.nan}, "augmentation.rotation = nan: must be a number from 0 to 180"),
        ({"area": (0.0, 1.0)}, "augmentation.area = (0.0, 1.0): must be two numbers from 0.01 to 1, the smaller first"),
        ({"gamma": (2, 0.5)}, "augmentation.gamma = (2, 0.5): must be two numbers from 0.1 to 10, the smaller first"),
        ({"fill": 256}, "augmentation.fill = 256: must be a whole number from 0 to 255, edge or reflect"),
        ({"fill": "mirror"}, "augmentation.fill = mirror: must be a whole number from 0 to 255, edge or reflect"),
        ({"ratio": (0.5, 2)}, "augmentation.ratio = (0.5, 2): without a crop (area below 1) it does nothing"),
    ],
)
def test_impossible_values_are_refused_in_one_line(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError) as caught:
        Augmentation(**values)
    assert str(caught.value) == message


@given(st.tuples(*[st.integers(20, 150)] * 2), st.tuples(*[st.integers(12, 60)] * 2), st.integers(0, 10_000))
@settings(deadline=None, max_examples=200)
def test_pixels_and_boxes_move_together(corner: tuple[int, int], sides: tuple[int, int], image: int) -> None:
    (left, top), (across, down) = corner, sides
    film = np.zeros((224, 224), np.uint8)
    film[top : top + down, left : left + across] = 255
    described = replace(PUBLISHED["A"], translation=0.1, zoom=(0.8, 1.2))
    matrix = matrices(draw(described, (224, 224), 5, 0, np.array([image])), (224, 224))[0]
    moved = cv2.warpAffine(film, matrix, (224, 224), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP)
    box = np.array([[left, top, left + across, top + down]], np.float64)
    boxes, _ = transform_boxes(box, matrix, (224, 224), 0.0)
    # Pixels that are mostly of the box lie in it, and it ends where the last pixel does that is of the box at all.
    if np.any(moved > 127):
        assert np.all((edges(moved > 127) - boxes[0]) * [1, 1, -1, -1] > -0.75)
    if len(boxes):
        assert np.all((edges(moved > 0) - boxes[0]) * [1, 1, -1, -1] < 1)


def edges(lit: NDArray[np.bool_]) -> NDArray[np.int64]:
    y, x = np.nonzero(lit)
    return np.array([x.min(), y.min(), x.max() + 1, y.max() + 1])


def test_boxes_that_leave_the_frame_are_clipped_then_dropped() -> None:
    matrix = matrices(fixed((100, 100), shift=(60.0, 0.0)), (100, 100))[0]
    boxes = np.array([[10, 10, 20, 20], [30, 10, 50, 40], [30.0, 5, 45, 10], [80, 10, 90, 20]])
    moved, kept = transform_boxes(boxes, matrix, (100, 100), 0.6)
    assert kept.tolist() == [True, False, True, False]
    assert moved == pytest.approx(np.array([[70, 10, 80, 20], [90, 5, 100, 10]]))
    moved, kept = transform_boxes(boxes, matrix, (100, 100), 0.0)
    assert kept.tolist() == [True, True, True, False]
    assert moved[1] == pytest.approx([90, 10, 100, 40])
    assert transform_boxes(np.empty((0, 4)), matrix, (100, 100), 0.5)[0].shape == (0, 4)


def test_a_turned_box_becomes_the_upright_one_around_its_corners() -> None:
    matrix = matrices(fixed((200, 200), angle=45.0), (200, 200))[0]
    moved, _ = transform_boxes(np.array([[80.0, 80, 120, 120]]), matrix, (200, 200), 0.5)
    reach = 20 * math.sqrt(2)
    assert moved[0] == pytest.approx([100 - reach, 100 - reach, 100 + reach, 100 + reach])
