"""The gate turns away what is no upright frontal chest film, says why, and lets ordinary variation pass."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache

import cv2
import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import nn

from hilum.bundle.card import BundleError, GateCard
from hilum.bundle.format import LATERAL, STATES
from hilum.bundle.gate import plain_checks, verdict
from hilum.dataset.phantom.film import LABELS, draw_phantom
from hilum.export.gate import sight
from hilum.export.gate.laterals import draw_lateral
from hilum.export.gate.learning import fit_gate, learn_gate, real_in_words, scatter_of
from hilum.export.gate.module import GateInput, GateModule, Scatter, Taps, Thumbnail, averaging, choose_taps
from hilum.export.gate.sight import GateFilms, GateSight, look
from hilum.export.gate.strangers import coronal
from hilum.export.gate.variation import in_state, vary
from hilum.network.network import Network, create_network
from hilum.radiograph.geometry import Geometry
from hilum.radiograph.radiograph import Radiograph

Films = NDArray[np.uint8]
HEIGHT, WIDTH = 72, 64  # not square: turning exchanges the sides
CARD = GateCard(0.01, 0.5, 100, "", [*STATES, LATERAL])
OLD = GateCard(0.01, 0.5, 100, "")  # of the first format, whose gates know no lateral films


def film(pixels: NDArray[np.floating] | None = None, colorfulness: float = 0.0) -> Radiograph:
    levels = np.linspace(0, 1, 6400).reshape(80, 80) if pixels is None else pixels
    height, width = levels.shape
    return Radiograph(levels.astype(np.float32), "png", "PNG", "L", 8, height, width, colorfulness=colorfulness)


@lru_cache
def drawn(number: int) -> Films:
    pixels = draw_phantom(number, LABELS[number % len(LABELS)], 96).pixels
    return Geometry("squash", HEIGHT, WIDTH).apply(np.divide(pixels, 255, dtype=np.float32))


def phantoms(count: int, first: int) -> Films:
    """Films of as many patients: a few that are drawn, each bent and grained in its own way."""
    y, x = np.mgrid[:HEIGHT, :WIDTH].astype(np.float32)
    films = []
    for number in range(first, first + count):
        random = np.random.default_rng(number)
        shift = cv2.resize(random.normal(0, 1.5, (5, 5, 2)).astype(np.float32), (WIDTH, HEIGHT))
        bent = cv2.remap(drawn(number % 12), x + shift[..., 0], y + shift[..., 1], cv2.INTER_LINEAR, borderMode=1)
        films.append(np.clip(bent + random.normal(0, 3, bent.shape), 0, 255).astype(np.uint8))
    return np.stack(films)


@pytest.fixture(scope="module")
def network() -> Network:
    return create_network("efficientnet_lite0", 2, input_size=(HEIGHT, WIDTH), seed=1).eval()


@pytest.fixture(scope="module")
def learned(network: Network) -> tuple[GateModule, GateCard]:
    return learn_gate(network, given(), seed=3)


def given(laterals: Films | None = None, strangers: Films | None = None) -> GateFilms:
    train, val = phantoms(120, 0), phantoms(40, 1000)
    return GateFilms(
        train, val, train[:0] if laterals is None else laterals, train[:0] if strangers is None else strangers
    )


def looker(network: Network, gate: GateModule) -> Callable[[Films], NDArray[np.float32]]:
    taps = Taps(network.film.body, gate.taps)

    def look(films: Films) -> NDArray[np.float32]:
        grey = torch.from_numpy(np.ascontiguousarray(films))[:, None].float() / 255
        with torch.no_grad():
            network(grey)
            return np.asarray(gate(grey, taps.maps))

    return look


@pytest.fixture(scope="module")
def rows(network: Network, learned: tuple[GateModule, GateCard]) -> Callable[[Films], NDArray[np.float32]]:
    return looker(network, learned[0])


def reasons(found: NDArray[np.float32]) -> list[str | None]:
    return [verdict(film(), row, CARD).reason for row in found]


@pytest.mark.parametrize(
    ("picture", "reason", "advice"),
    [
        (film(np.eye(63)), "too_small", "63 x 63 pixels .* full size"),
        (film(np.random.default_rng(1).random((64, 300))), "odd_shape", "4.7 times"),
        (film(colorfulness=0.2), "color_photograph", "films are grey"),
        (film(np.full((80, 80), 0.7)), "blank", "same grey everywhere"),
        (replace(film(), view="LL"), "lateral", "frontal one of the study"),
        (replace(film(), view="LATERAL"), "lateral", "frontal one of the study"),
    ],
)
def test_plain_checks_say_what_is_wrong_and_what_to_do(picture: Radiograph, reason: str, advice: str) -> None:
    found = verdict(picture, None, None)
    assert (found.passed, found.reason) == (False, reason)
    assert found == plain_checks(picture)
    assert re.search(advice, found.detail or "")


@pytest.mark.parametrize("view", ["PA", "AP", "LLD", "RLD", None])
def test_frontal_and_decubitus_films_are_not_lateral(view: str | None) -> None:
    assert verdict(replace(film(), view=view), None, None).passed


def test_a_gate_of_unknown_states_is_refused() -> None:
    with pytest.raises(BundleError, match="states that this hilum does not"):
        GateCard(0.01, 0.5, 100, "", [*STATES, "upside in"])


def test_an_ordinary_film_passes_with_and_without_a_learned_gate() -> None:
    assert verdict(film(colorfulness=0.01), None, None).passed
    row = np.array([0.7, 0.6, 0.2, 0.05, 0.05, 0.05, 0.05], np.float32)
    found = verdict(film(), row, OLD)
    assert found.passed and found.reason is None and found.distance == pytest.approx(0.7)


@pytest.mark.parametrize(
    ("row", "reason", "says"),
    [
        ([1.4, 0.9, 0, 0, 0, 0, 0.1], "not_a_chest_film", "1.4 times the limit"),
        ([0.4, 0.1, 0.2, 0, 0, 0, 0.7], "not_a_chest_film", "unlike the films"),
        ([0.8, 0.01, 0.99, 0, 0, 0, 0], "rotated", "by 90 degrees"),
        ([0.8, 0.01, 0, 0.99, 0, 0, 0], "rotated", "by 180 degrees"),
        ([1.8, 0.01, 0, 0, 0.99, 0, 0], "rotated", "by 270 degrees"),
        ([1.8, 0.01, 0, 0, 0, 0.99, 0], "inverted", "--invert"),
        # As a hip film: more like an inverted chest film than like anything else, but not surely so.
        ([1.3, 0.0, 0, 0, 0, 0.97, 0.03], "not_a_chest_film", r"if it is one, it looks inverted"),
        ([0.8, 0.1, 0.9, 0, 0, 0, 0], "not_a_chest_film", "if it is one, it looks turned clockwise by 90 degrees"),
        ([np.nan] * 7, "not_a_chest_film", "give an upright frontal chest film"),
    ],
)
def test_the_graphs_row_becomes_a_reason(row: list[float], reason: str, says: str) -> None:
    for card, values in ((OLD, row), (CARD, [*row, 0])):
        found = verdict(film(), np.array(values, np.float32), card)
        assert (found.passed, found.reason) == (False, reason)
        assert found.detail is not None and says in found.detail


@pytest.mark.parametrize(
    ("row", "reason", "says"),
    [
        ([0.8, 0.01, 0, 0, 0, 0, 0, 0.99], "lateral", "looks like a lateral film; give the frontal one of the study"),
        ([0.8, 0.1, 0, 0, 0, 0, 0, 0.9], "lateral", "looks like a lateral film"),
        ([0.8, 0.1, 0, 0, 0, 0, 0.2, 0.7], "not_a_chest_film", "if it is one, it looks like a lateral film"),
        ([0.8, 0.3, 0.2, 0, 0, 0, 0.3, 0.2], "not_a_chest_film", "unlike the films"),
    ],
)
def test_a_film_that_looks_lateral_is_called_so(row: list[float], reason: str, says: str) -> None:
    found = verdict(film(), np.array(row, np.float32), CARD)
    assert (found.passed, found.reason) == (False, reason)
    assert found.detail is not None and says in found.detail


def test_films_like_those_learned_from_pass(rows: Callable[[Films], NDArray[np.float32]]) -> None:
    passed = [reason is None for reason in reasons(rows(phantoms(60, 5000)))]
    assert np.mean(passed) >= 0.97
    random = np.random.default_rng(2)
    varied = np.stack([vary(picture, random) for picture in phantoms(60, 6000)])
    assert np.mean([reason is None for reason in reasons(rows(varied))]) >= 0.85


@pytest.mark.parametrize(("state", "reason"), [(1, "rotated"), (2, "rotated"), (3, "rotated"), (4, "inverted")])
def test_turned_and_inverted_films_are_told(
    state: int, reason: str, rows: Callable[[Films], NDArray[np.float32]]
) -> None:
    turned = np.stack([in_state(picture, state) for picture in phantoms(60, 7000)])
    found = reasons(rows(turned))
    assert found.count(reason) >= 57 and None not in found
    assert np.mean(rows(turned)[:, 1:6].argmax(1) == state) >= 0.95


def test_other_pictures_are_turned_away(rows: Callable[[Films], NDArray[np.float32]]) -> None:
    random = np.random.default_rng(4)
    noise = random.integers(0, 256, (20, HEIGHT, WIDTH), np.uint8)
    checks = np.kron(np.indices((9, 8)).sum(0) % 2 * 255, np.ones((8, 8), np.uint8))[None].astype(np.uint8)
    stripes = np.tile(np.arange(WIDTH) % 16 * 15, (1, HEIGHT, 1)).astype(np.uint8)
    text = np.where(random.random((10, HEIGHT, WIDTH)) < 0.15, 0, 255).astype(np.uint8)
    for pictures in (noise, checks, stripes, text):
        assert None not in reasons(rows(pictures))


def test_lateral_films_are_told_from_made_up_ones_alone(rows: Callable[[Films], NDArray[np.float32]]) -> None:
    random = np.random.default_rng(5)
    found = rows(np.stack([draw_lateral(phantoms(20, 9000), random) for _ in range(60)]))
    assert None not in reasons(found)
    assert np.mean(found[:, 1:].argmax(1) == CARD.states.index(LATERAL)) >= 0.95


def test_slices_are_turned_away(rows: Callable[[Films], NDArray[np.float32]]) -> None:
    random = np.random.default_rng(6)
    found = reasons(rows(np.stack([coronal(phantoms(20, 9000), random) for _ in range(40)])))
    assert found.count(None) <= 2


def test_real_pictures_to_turn_away_are_learned_from(network: Network, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, count in {"FILMS": 60, "LATERALS": 30, "STRANGERS": 63}.items():
        monkeypatch.setattr(sight, name, count)
    # Films with a dark band across are still films to a gate that knows no better.
    banded = phantoms(20, 9500)
    banded[:, HEIGHT // 2 - 6 : HEIGHT // 2 + 6] = 0
    seen_by, seen = look(network, given(laterals=banded[:6], strangers=banded[6:12]), seed=3)
    assert [len(variations) for variations in seen.real_laterals] == [8] * 6
    alone = seen._replace(real_laterals=[], real_strangers=[])
    shares = [
        float(looker(network, fit_gate(seen_by, taught))(banded[12:])[:, 1 + CARD.states.index(state)].mean())
        for state, taught in (
            (LATERAL, alone),
            (LATERAL, alone._replace(real_laterals=seen.real_laterals)),
            ("no chest film", alone),
            ("no chest film", alone._replace(real_strangers=seen.real_strangers)),
        )
    ]
    assert shares[0] < 0.5 < 0.9 < shares[1] and shares[2] < 0.5 < 0.9 < shares[3]
    assert "from 6 real and many made-up ones, what is no chest film from made-up pictures and 6 real" in real_in_words(
        seen
    )
    assert "from made-up ones alone" in real_in_words(alone)


def test_rows_are_as_the_bundle_says(rows: Callable[[Films], NDArray[np.float32]]) -> None:
    found = rows(phantoms(5, 8000))
    assert found.shape == (5, 8) and found.dtype == np.float32
    np.testing.assert_allclose(found[:, 1:].sum(1), 1, rtol=1e-5)
    np.testing.assert_allclose(rows(phantoms(5, 8000)[3:])[0], found[3], rtol=1e-4, atol=1e-6)  # alone as in a batch


def test_the_card_says_what_the_limit_means(learned: tuple[GateModule, GateCard]) -> None:
    card = learned[1]
    assert card.films == 120 and 0 <= card.distance_false_rejection <= 0.05
    assert "40 validation films" in card.note and "from made-up ones alone" in card.note
    assert card.states == CARD.states


def test_learning_is_repeatable_and_reports_progress(network: Network, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, count in {"FILMS": 60, "LATERALS": 20, "STRANGERS": 18}.items():
        monkeypatch.setattr(sight, name, count)
    reported: list[tuple[int, int]] = []
    gate, card = learn_gate(network, given(), seed=3)
    again, same = learn_gate(network, given(), seed=3, on_progress=lambda *x: reported.append(x))
    assert card == same
    for name, values in again.state_dict().items():
        torch.testing.assert_close(values, gate.state_dict()[name], rtol=1e-4, atol=1e-5)
    done, totals = zip(*reported, strict=True)
    assert list(done) == sorted(done) and set(totals) == {done[-1]}


def test_a_network_without_maps_still_has_a_gate() -> None:
    class Flat(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x.flatten(1)

    assert choose_taps(nn.Sequential(Flat()), torch.zeros(1, 1, 64, 64)) == ()


def test_taps_are_stages_of_medium_size() -> None:
    net = create_network("resnet18", 2, "none", seed=0).eval()
    assert choose_taps(net.film.body, torch.zeros(1, 3, 224, 224)) == ("layer2", "layer3")
    net = create_network("efficientnet_lite0", 2, "none", seed=0).eval()
    assert choose_taps(net.film.body, torch.zeros(1, 3, 224, 224)) == ("blocks.2", "blocks.4")


@pytest.mark.parametrize("pixels", [8, 64, 100, 225])
def test_thumbnails_average_exactly(pixels: int) -> None:
    values = torch.rand(pixels, dtype=torch.float64, generator=torch.Generator().manual_seed(pixels))
    fine = values.repeat_interleave(8).reshape(8, pixels).mean(1)  # each pixel as eight, so that cells share none
    torch.testing.assert_close(averaging(8, pixels).double() @ values, fine, rtol=1e-5, atol=1e-6)


def test_thumbnails_forget_brightness_and_contrast() -> None:
    coarse = np.random.default_rng(1).random((8, 8)).astype(np.float32)
    fine = torch.from_numpy(np.kron(coarse, np.ones((5, 5), np.float32)))[None, None]
    thumbnail = Thumbnail((40, 40))
    expected = (coarse - coarse.mean()) / (coarse.std() + 0.015)
    np.testing.assert_allclose(thumbnail(fine).reshape(8, 8), expected, atol=1e-4)
    np.testing.assert_allclose(thumbnail(fine * 0.5 + 0.3).reshape(8, 8), expected, rtol=0.1)
    assert thumbnail(torch.full((1, 1, 40, 40), 0.4)).abs().max() < 1e-3


def test_scatter_agrees_with_a_covariance_inverted_whole() -> None:
    random = np.random.default_rng(5)
    points = random.normal(size=(300, 12)) @ random.normal(size=(12, 12))
    covariance = 0.9 * points.T @ points / 300
    # The direction of least scatter is the one that is not told apart.
    values, axes = np.linalg.eigh(covariance)
    inverse = axes @ np.diag(1 / (values + 0.1)) @ axes.T
    others = random.normal(size=(50, 12))
    expected = np.sqrt(np.einsum("ij,jk,ik->i", others, inverse, others) / 12)
    scatter: Scatter = scatter_of(points, 0.1)
    found = scatter(torch.from_numpy(others.astype(np.float32))).numpy()
    np.testing.assert_allclose(found, expected, rtol=1e-3)


def test_states_are_quarter_turns_clockwise_and_inversion() -> None:
    picture = np.arange(12, dtype=np.uint8).reshape(3, 4)
    square = picture[:, :3]
    np.testing.assert_array_equal(in_state(square, 1), [[8, 4, 0], [9, 5, 1], [10, 6, 2]])
    np.testing.assert_array_equal(in_state(picture, 2), picture[::-1, ::-1])
    np.testing.assert_array_equal(in_state(in_state(square, 1), 3), square)
    np.testing.assert_array_equal(in_state(picture, 4), 255 - picture)
    assert in_state(picture, 1).shape == picture.shape


def test_a_network_that_goes_no_further_than_the_gate_reads_gives_the_same(network: Network) -> None:
    films, after = phantoms(3, 50), []
    handle = network.film.body.get_submodule("conv_head").register_forward_hook(lambda *_: after.append(1))
    seen_by = GateSight(network, (HEIGHT, WIDTH), 3, None)
    after.clear()
    seen = seen_by.see(iter(films))
    assert not after
    seen_by.taps.remove()
    taps = Taps(network.film.body, seen_by.names)
    grey = torch.from_numpy(films)[:, None].float() / 255
    with torch.no_grad():
        network(grey)
        whole = GateInput((HEIGHT, WIDTH))(grey, taps.maps)
    handle.remove()
    taps.remove()
    assert after
    assert np.array_equal(seen, whole.numpy())
