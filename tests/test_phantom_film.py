from __future__ import annotations

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from hilum.dataset.phantom.film import LABELS, Phantom, draw_not_normal, draw_phantom


@pytest.fixture(scope="module")
def films() -> list[Phantom]:
    """240 small films; every second one is normal."""
    labels = ("normal", "bacterial", "normal", "viral")
    return [draw_phantom((7, number), labels[number % 4], 96) for number in range(240)]


def separation(values: list[float], films: list[Phantom]) -> float:
    """The AUC with which one number per film tells pneumonia from normal."""
    return float(roc_auc_score([film.label != "normal" for film in films], values))


@pytest.mark.parametrize("label", LABELS)
def test_the_seed_decides_the_film(label: str) -> None:
    first, again = draw_phantom((1, 5), label, 128), draw_phantom((1, 5), label, 128)
    other = draw_phantom((1, 6), label, 128)
    assert np.array_equal(first.pixels, again.pixels) and first.boxes == again.boxes
    assert first.pixels.shape != other.pixels.shape or not np.array_equal(first.pixels, other.pixels)
    assert first.pixels.dtype == np.uint8 and first.pixels.ndim == 2 and first.label == label


def test_a_plain_number_is_a_seed() -> None:
    assert np.array_equal(draw_phantom(3, "viral", 96).pixels, draw_phantom(3, "viral", 96).pixels)


def test_an_unknown_label_is_refused() -> None:
    with pytest.raises(KeyError, match="fungal"):
        draw_phantom(3, "fungal", 96)


def test_normal_films_have_no_boxes_and_the_others_do(films: list[Phantom]) -> None:
    for film in films:
        assert (len(film.boxes) == 0) == (film.label == "normal")


def test_boxes_lie_inside_the_film(films: list[Phantom]) -> None:
    for film in films:
        height, width = film.pixels.shape
        for x, y, wide, tall in film.boxes:
            assert 0 <= x < x + wide <= width and 0 <= y < y + tall <= height


def test_viral_opacities_are_in_both_lungs(films: list[Phantom]) -> None:
    for film in films:
        if film.label == "viral":
            centers = [x + wide / 2 for x, _, wide, _ in film.boxes]
            assert min(centers) < film.pixels.shape[1] / 2 < max(centers) and 2 <= len(centers) <= 4


@pytest.mark.parametrize("label", ["bacterial", "viral"])
def test_an_opacity_only_adds_density_and_only_in_its_box(label: str) -> None:
    for number in range(8):
        sick, healthy = draw_phantom((3, number), label, 256), draw_phantom((3, number), "normal", 256)
        assert (sick.view, sick.sex, sick.age, sick.pixels.shape) == (
            healthy.view,
            healthy.sex,
            healthy.age,
            healthy.pixels.shape,
        )
        added = sick.pixels.astype(float) - healthy.pixels
        boxed = np.zeros(added.shape, bool)
        for x, y, wide, tall in sick.boxes:
            assert added[y : y + tall, x : x + wide].mean() > 2
            boxed[y : y + tall, x : x + wide] = True
        assert np.abs(added[~boxed]).mean() < 0.5 * added[boxed].mean()
        strong = added > 0.5 * np.percentile(added, 99.5)
        assert boxed[strong].mean() > 0.8


def test_opacities_come_faint_and_dense() -> None:
    added = []
    for number in range(24):
        sick, healthy = draw_phantom((4, number), "bacterial", 96), draw_phantom((4, number), "normal", 96)
        added.append(float(np.percentile(sick.pixels.astype(float) - healthy.pixels, 99)))
    assert min(added) < 0.4 * max(added)


def test_a_film_that_is_not_normal_has_no_box() -> None:
    unlike_normal = 0
    for number in range(9):
        film, normal = draw_not_normal((2, number), 96), draw_phantom((2, number), "normal", 96)
        assert film.boxes == () and film.label == "normal"
        unlike_normal += not np.array_equal(film.pixels, normal.pixels)
    assert unlike_normal == 9


def test_films_vary_as_real_sets_do(films: list[Phantom]) -> None:
    ratios = [film.pixels.shape[1] / film.pixels.shape[0] for film in films]
    assert 0.83 < min(ratios) < 0.95 and 1.2 < max(ratios) < 1.37
    assert {film.view for film in films} == {"AP", "PA"} and {film.sex for film in films} == {"F", "M"}
    assert min(film.age for film in films) < 7 and max(film.age for film in films) > 60


def test_the_lungs_are_dark_between_brighter_tissue(films: list[Phantom]) -> None:
    """The profile of every chest film, halfway down: chest wall, lung, heart or spine, lung, chest wall."""
    profiles = np.mean([cv2.resize(film.pixels, (60, 60)).astype(float)[24:30].mean(0) for film in films], axis=0)
    wall, right, middle, left = (profiles[at : at + 4].mean() for at in (4, 17, 28, 41))
    assert right < wall - 10 and left < wall - 10 and middle > right + 40 and middle > left + 40


# Only the opacity tells the label


def frame_brightness(pixels: NDArray[np.uint8]) -> float:
    """Outside the lungs: the upper and the lower edge of the film."""
    edge = len(pixels) // 12
    return float(np.concatenate([pixels[:edge], pixels[-edge:]]).mean())


def grain(pixels: NDArray[np.uint8]) -> float:
    lower = pixels[-(len(pixels) // 8) :].astype(float)
    return float(np.abs(np.diff(lower, axis=1)).mean())


def test_nothing_besides_the_opacity_tells_the_label(films: list[Phantom]) -> None:
    clues = {
        "shorter side": [float(min(film.pixels.shape)) for film in films],
        "ratio": [film.pixels.shape[1] / film.pixels.shape[0] for film in films],
        "brightness outside the lungs": [frame_brightness(film.pixels) for film in films],
        "noise": [grain(film.pixels) for film in films],
        "black border": [float((film.pixels[:, :2] < 3).mean() + (film.pixels[:2] < 3).mean()) for film in films],
        "marker": [float((film.pixels[: film.pixels.shape[0] // 3] > 244).mean()) for film in films],
        "view": [float(film.view == "AP") for film in films],
        "age": [float(film.age) for film in films],
        "sex": [float(film.sex == "F") for film in films],
    }
    for clue, values in clues.items():
        assert 0.4 < separation(values, films) < 0.6, clue


def test_the_label_can_be_learned_but_not_at_once(films: list[Phantom]) -> None:
    small = np.array([cv2.resize(film.pixels, (32, 32), interpolation=cv2.INTER_AREA).ravel() for film in films], float)
    sick = np.array([film.label != "normal" for film in films])
    model = make_pipeline(StandardScaler(), LogisticRegression(C=0.001, max_iter=300))
    linear = roc_auc_score(sick, cross_val_predict(model, small, sick, cv=5, method="predict_proba")[:, 1])
    assert 0.55 < linear < 0.93
