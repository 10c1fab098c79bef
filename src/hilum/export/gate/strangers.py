"""Pictures that are no chest films, made up at random, for the gate to learn what else there is.

No photograph is needed: shapes over shapes, filled with greys and pieces of the training films, have the edges and
surfaces of photographs; single shapes on black have those of slices and limbs. Films whose lungs are flat, black and
full of bright vessels look like coronal slices of a CT. Films cut up and put together wrongly, pieces far too close,
noise and lines of writing are the rest.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from hilum.export.gate.variation import vary

Films = NDArray[np.uint8]
Levels = NDArray[np.float32]


def draw_stranger(films: Films, number: int, random: np.random.Generator) -> NDArray[np.uint8]:
    """A picture of the size of these films; `number` decides of which kind, all of them in turn."""
    size = films.shape[1], films.shape[2]
    kind = number % 9
    if kind < 2:
        levels = shapes(films, int(random.integers(6, 120)), random)
    elif kind == 2:
        levels = shapes(films, int(random.integers(1, 4)), random)
    elif kind == 3:
        levels = piece(films, random.uniform(0.02, 0.15), random)
    elif kind == 4:
        levels = shuffled(films, random)
    elif kind == 5:
        levels = noise(size, random)
    elif kind == 6:
        levels = writing(size, random)
    else:
        return coronal(films, random)
    picture = np.clip(levels, 0, 255).astype(np.uint8)
    # Not the single shapes: light all around is what photographs have, not slices.
    return np.asarray(255 - picture) if kind != 2 and random.random() < 0.25 else picture


def shapes(films: Films, count: int, random: np.random.Generator) -> Levels:
    """Ellipses, bars and ragged shapes over each other; a few of them lie large and central on black."""
    height, width = films.shape[1:]
    few = count < 6
    canvas = np.full((height, width), 0 if few else random.uniform(0, 255), np.float32)
    for _ in range(count):
        reach = random.uniform(0.15, 0.45) if few else 0.02 + 0.3 * random.power(0.35)
        radius = float(reach * min(height, width))
        middle = random.uniform(0.2, 0.8, 2) if few else random.random(2)
        x, y = float(middle[0] * width), float(middle[1] * height)
        mask = np.zeros((height, width), np.uint8)
        turned = float(random.choice([0, 90, random.uniform(0, 180)]))
        form = random.integers(3)
        if form == 0:
            axes = (radius, max(radius * random.uniform(0.3, 1), 1.0))
            cv2.ellipse(mask, ((x, y), (2 * axes[0], 2 * axes[1]), turned), 255, -1)
        elif form == 1:
            corners = cv2.boxPoints(((x, y), (2 * radius, 2 * radius * random.uniform(0.15, 1)), turned))
            cv2.fillPoly(mask, [corners.astype(np.int32)], 255)
        else:
            angles = np.sort(random.uniform(0, 2 * np.pi, random.integers(3, 9)))
            radii = radius * random.uniform(0.4, 1.2, len(angles))
            corners = np.stack([x + radii * np.cos(angles), y + radii * np.sin(angles)], 1)
            cv2.fillPoly(mask, [corners.astype(np.int32)], 255)
        canvas = np.where(mask > 0, surface(films, random), canvas)
    blurred = cv2.GaussianBlur(canvas, (0, 0), random.uniform(0.5, 3)) if random.random() < 0.5 else canvas
    return np.asarray(blurred, np.float32)


def surface(films: Films, random: np.random.Generator) -> Levels:
    """What a shape is filled with: one grey, a slope of greys, or a piece of a film; sometimes grained."""
    height, width = films.shape[1:]
    kind = random.integers(3)
    levels: NDArray[np.floating]
    if kind == 0:
        levels = np.full((height, width), random.uniform(0, 255), np.float32)
    elif kind == 1:
        y, x = np.mgrid[:height, :width] / max(height, width)
        angle = random.uniform(0, 2 * np.pi)
        levels = random.uniform(0, 255) + (np.cos(angle) * x + np.sin(angle) * y) * random.uniform(-255, 255)
    else:
        levels = piece(films, random.uniform(0.03, 0.4), random)
    if random.random() < 0.3:
        levels = levels + random.normal(0, random.uniform(2, 40), levels.shape)
    return np.asarray(levels, np.float32)


def piece(films: Films, area: float, random: np.random.Generator) -> Levels:
    """This share of some film, turned any way and enlarged to its whole size."""
    film = films[random.integers(len(films))]
    height, width = film.shape
    rows, columns = max(int(height * area**0.5), 4), max(int(width * area**0.5), 4)
    top, left = random.integers(height - rows + 1), random.integers(width - columns + 1)
    return fitted(np.rot90(film[top : top + rows, left : left + columns], int(random.integers(4))), height, width)


def shuffled(films: Films, random: np.random.Generator) -> Levels:
    """A film cut into tiles that are turned and put together in any order."""
    film = films[random.integers(len(films))]
    height, width = film.shape
    tiles = int(random.choice([2, 3, 4, 6, 8]))
    rows, columns = height // tiles, width // tiles
    order = random.permutation(tiles**2)
    picture = np.zeros((rows * tiles, columns * tiles), np.float32)
    for place, source in enumerate(order):
        top, left = source // tiles * rows, source % tiles * columns
        tile = np.rot90(film[top : top + rows, left : left + columns], int(random.integers(4)))
        top, left = place // tiles * rows, place % tiles * columns
        picture[top : top + rows, left : left + columns] = fitted(tile, rows, columns)
    return fitted(picture, height, width)


def noise(size: tuple[int, int], random: np.random.Generator) -> Levels:
    """Grain, clouds whose detail fades as in nature, or coarse random patches."""
    height, width = size
    kind = random.integers(3)
    if kind == 0:
        return random.normal(random.uniform(60, 200), random.uniform(5, 90), size).astype(np.float32)
    if kind == 1:
        frequency = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width))
        frequency[0, 0] = 1
        clouds = np.fft.irfft2(np.fft.rfft2(random.normal(size=size)) / frequency ** random.uniform(0.5, 2.2), size)
        return np.asarray((clouds - clouds.min()) / np.ptp(clouds) * 255, np.float32)
    cells = int(random.integers(3, 32))
    patches = (random.random((cells, cells)) * 255).astype(np.float32)
    smooth = int(random.choice([cv2.INTER_NEAREST, cv2.INTER_LINEAR, cv2.INTER_CUBIC]))
    return np.asarray(cv2.resize(patches, (width, height), interpolation=smooth), np.float32)


def writing(size: tuple[int, int], random: np.random.Generator) -> Levels:
    """A page with lines of dark strokes, or light ones on black."""
    height, width = size
    page = np.full(size, 255, np.float32)
    line = int(random.integers(3, max(4, height // 14)))
    for top in range(int(random.integers(0, height // 4)), height - line, int(line * 1.6) + 1):
        x, end = int(random.integers(0, width // 5)), width * random.uniform(0.3, 1)
        while x < end:
            stroke, gap = random.integers(1, max(2, line // 2) + 1, 2)
            if random.random() < 0.75:
                page[top + int(random.integers(0, line // 3 + 1)) : top + line, x : x + stroke] = random.uniform(0, 90)
            x += int(stroke + gap)
    return page if random.random() < 0.6 else 255 - page


def coronal(films: Films, random: np.random.Generator) -> NDArray[np.uint8]:
    """A film as a coronal slice of a CT shows a chest: two shades with a sharp edge, and vessels within the darker."""
    film = films[random.integers(len(films))].astype(np.float32)
    height, width = film.shape
    blurred = cv2.GaussianBlur(film, (0, 0), width / 60)
    middle = np.clip(blurred[height // 8 : -height // 8, width // 8 : -width // 8], 0, 255).astype(np.uint8)
    lungs_end, _ = cv2.threshold(middle, 0, 255, cv2.THRESH_BINARY + cv2.THRESH_OTSU)
    edge = 0.6 * lungs_end + 0.4 * cv2.GaussianBlur(film, (0, 0), width / 5) + random.uniform(-15, 15)
    tissue = 1 / (1 + np.exp(np.clip((edge - blurred) / random.uniform(3, 8), -30, 30)))
    vessels = np.maximum(film - cv2.GaussianBlur(film, (0, 0), width / random.uniform(50, 110)), 0)
    lungs = random.uniform(0, 90) + random.uniform(2, 12) * vessels
    around = random.uniform(150, 255) + random.uniform(0, 0.3) * (film - 200)
    grain = cv2.GaussianBlur(random.normal(0, random.uniform(1, 12), film.shape), (0, 0), random.uniform(0.4, 1.2))
    levels = (1 - tissue) * lungs + tissue * around + grain
    return vary(np.asarray(np.clip(levels, 0, 255), np.uint8), random)


def fitted(picture: NDArray[np.uint8] | Levels, height: int, width: int) -> Levels:
    """A picture at the size of films."""
    return np.asarray(cv2.resize(np.ascontiguousarray(picture, np.float32), (width, height)), np.float32)
