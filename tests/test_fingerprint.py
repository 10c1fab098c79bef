"""Copies of a film are found again however they were made; other films, even of the same patient, are no copies."""

from __future__ import annotations

from collections.abc import Callable
from itertools import combinations
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from hilum.dataset.audit.films import linked_groups
from hilum.dataset.audit.fingerprint import (
    NEAR_ENOUGH,
    NEIGHBORS,
    SMALL,
    agreement,
    find_pairs,
    fingerprints,
    propose,
    structures,
    thumbnails,
)
from hilum.dataset.phantom.film import draw_phantom
from hilum.radiograph import read

Grey = NDArray[np.uint8]
SIDE = 224


def crop(film: Grey, top: float, bottom: float, left: float, right: float) -> Grey:
    edges = [round(SIDE * share) for share in (top, 1 - bottom, left, 1 - right)]
    part = film[edges[0] : edges[1], edges[2] : edges[3]]
    return np.asarray(cv2.resize(part, (SIDE, SIDE), interpolation=cv2.INTER_AREA), np.uint8)


def encode(film: Grey, quality: int = 30) -> Grey:
    return np.asarray(cv2.imdecode(cv2.imencode(".jpg", film, [1, quality])[1], cv2.IMREAD_GRAYSCALE), np.uint8)


def halve(film: Grey) -> Grey:
    half = cv2.resize(film, (SIDE // 2, SIDE // 2), interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.resize(half, (SIDE, SIDE), interpolation=cv2.INTER_LINEAR), np.uint8)


def expose(film: Grey, gain: float = 1, lift: float = 0, gamma: float = 1) -> Grey:
    return np.clip(255 * (film / 255) ** gamma * gain + lift, 0, 255).astype(np.uint8)


COPIES: dict[str, Callable[[Grey], Grey]] = {
    "JPEG quality 30": encode,
    "half the size": halve,
    "3% cut off one corner": lambda film: crop(film, 0.03, 0, 0, 0.03),
    "5% cut off every side": lambda film: crop(film, 0.05, 0.05, 0.05, 0.05),
    "brighter": lambda film: expose(film, 1.2, 15),
    "darker": lambda film: expose(film, 0.8, -15),
    "gamma 0.6": lambda film: expose(film, gamma=0.6),
    "gamma 1.6": lambda film: expose(film, gamma=1.6),
    "cut, darker and JPEG": lambda film: encode(expose(crop(film, 0.02, 0.02, 0, 0.03), 0.9, 5, 0.8), 50),
}


def pairs_of(films: list[Grey]) -> set[tuple[int, int]]:
    small = thumbnails(np.stack(films), np.arange(len(films)))
    return {(pair.first, pair.second) for pair in find_pairs(small, structures(small))}


@pytest.fixture(scope="module")
def phantoms() -> list[Grey]:
    drawn = (draw_phantom((5, number), ("normal", "bacterial")[number % 2], SIDE).pixels for number in range(60))
    return [np.asarray(cv2.resize(film, (SIDE, SIDE), interpolation=cv2.INTER_AREA), np.uint8) for film in drawn]


def test_every_copy_of_a_phantom_is_found_and_nothing_else(phantoms: list[Grey]) -> None:
    copies = [(number, copy(phantoms[number])) for number, copy in enumerate(COPIES.values())]
    found = pairs_of(phantoms + [copy for _, copy in copies])
    assert found == {(number, len(phantoms) + place) for place, (number, _) in enumerate(copies)}


@pytest.mark.parametrize("folder", ["kermany-224/train/NORMAL", "nih-adult-256/images", "siim-covid-256/images"])
def test_copies_of_real_films_are_found(real_data: Path, folder: str) -> None:
    paths = sorted((real_data / folder).iterdir())[::7][:100]
    films = [
        np.asarray(cv2.resize(np.rint(read(path).pixels * 255).astype(np.uint8), (SIDE, SIDE)), np.uint8)
        for path in paths
    ]
    copies = [(row, copy(films[row])) for row in range(0, 100, 4) for copy in COPIES.values()]
    found = pairs_of(films + [copy for _, copy in copies])
    expected = {(row, len(films) + place) for place, (row, _) in enumerate(copies)}
    # A film has nine copies here and only so many neighbors are looked at: it counts that they are linked.
    group_of = {row: place for place, group in enumerate(linked_groups(sorted(found))) for row in group}
    missed = [pair for pair in expected if group_of.get(pair[0]) is None or group_of[pair[0]] != group_of.get(pair[1])]
    assert len(missed) <= 0.03 * len(expected)


def test_other_films_of_the_same_patient_are_no_copies(real_data: Path) -> None:
    films_of: dict[str, list[Path]] = {}
    for path in sorted((real_data / "nih-adult-256" / "images").iterdir()):
        films_of.setdefault(path.name[:8], []).append(path)
    chosen = [path for paths in films_of.values() if len(paths) >= 4 for path in paths][:250]
    found = pairs_of([np.rint(read(path).pixels * 255).astype(np.uint8)[:248, :248] for path in chosen])
    told = {(chosen[a].stem, chosen[b].stem) for a, b in found}
    assert told <= {("00000820_015", "00000820_016")}  # identical files


def test_proposals_are_those_of_brute_force(phantoms: list[Grey]) -> None:
    small = thumbnails(np.stack(phantoms), np.arange(len(phantoms)))
    prints = fingerprints(small, structures(small))
    np.testing.assert_allclose(np.linalg.norm(prints, axis=1), 1, rtol=1e-5)
    expected = set()
    for row, own in enumerate(prints):
        others = sorted((-float(own @ other), place) for place, other in enumerate(prints) if place != row)
        expected |= {tuple(sorted((row, place))) for product, place in others[:NEIGHBORS] if -product >= NEAR_ENOUGH}
    assert set(propose(prints, block=7)) == expected


def test_agreement_is_one_with_itself_and_nought_with_strangers(phantoms: list[Grey]) -> None:
    small = thumbnails(np.stack(phantoms[:6]), np.arange(6))
    assert all(agreement(film, film) == pytest.approx(1, abs=1e-4) for film in small)
    assert all(agreement(first, second) == 0 for first, second in combinations(small, 2))


@pytest.mark.parametrize("count", [0, 1, 2])
def test_a_few_or_blank_films_are_no_trouble(count: int) -> None:
    small = np.zeros((count, SMALL, SMALL), np.uint8)
    assert find_pairs(small, structures(small)) == []


def test_groups_are_linked_through_others() -> None:
    assert linked_groups([(1, 5), (2, 3), (1, 9), (9, 12)]) == [[1, 5, 9, 12], [2, 3]]
