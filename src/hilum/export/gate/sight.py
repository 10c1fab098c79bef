"""What the gate learns from: films and other pictures, and what the network lets it see of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import islice
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from hilum.export.gate.laterals import draw_lateral
from hilum.export.gate.module import DIRECTIONS, EDGES, THUMBNAIL, GateInput, Taps, choose_taps
from hilum.export.gate.strangers import draw_stranger
from hilum.export.gate.variation import STATES, in_state, vary
from hilum.network.network import Network

Films = NDArray[np.uint8]
Floats = NDArray[np.float64]
OnProgress = Callable[[int, int], None]

# At most of each, drawn at random. Lateral films and strangers are made up.
FILMS, VAL_FILMS, TURNED, LATERALS, STRANGERS = 600, 400, 200, 300, 700
REAL, VARIATIONS = 240, 8  # of real pictures to turn away: all their variations together, and those of each
BATCH = 16


class GateFilms(NamedTuple):
    """Pictures (n, height, width) at the network's geometry.

    `laterals` and `strangers` are real pictures to turn away: lateral chest films, and what else is no upright frontal
    one. Of either there may be none; then the gate knows of them from made-up pictures alone.
    """

    train: Films
    val: Films
    laterals: Films
    strangers: Films


class GateRows(NamedTuple):
    """What the gate sees, a row a picture, of each group that it learns from.

    `states` are training films varied, upright first and then in each of the other STATES. Of each real picture to turn
    away there are the rows of its variations, so that one can be left out.
    """

    plain: Floats
    states: list[Floats]
    laterals: Floats
    strangers: Floats
    real_laterals: list[Floats]
    real_strangers: list[Floats]
    plain_val: Floats
    varied_val: Floats


def look(
    network: Network, films: GateFilms, seed: int = 0, *, on_progress: OnProgress | None = None
) -> tuple[GateSight, GateRows]:
    """All pictures that the gate learns from, sent through the network.

    `on_progress` is called with how many pictures have passed the network, of how many.
    """
    random = np.random.default_rng(seed)
    chosen, chosen_val = some(films.train, FILMS, random), some(films.val, VAL_FILMS, random)
    turned = [some(chosen, TURNED, random) for _ in STATES]
    laterals, strangers = (some(real, REAL, random) for real in (films.laterals, films.strangers))
    total = len(chosen) + sum(map(len, turned)) + LATERALS + STRANGERS + 2 * len(chosen_val)
    total += sum(len(real) * variations_of(real) for real in (laterals, strangers))
    sight = GateSight(network, (chosen.shape[1], chosen.shape[2]), total, on_progress)
    seen = GateRows(
        plain=sight.see(iter(chosen)),
        states=[
            sight.see(in_state(vary(film, random), state) for film in films_of_state)
            for state, films_of_state in enumerate(turned)
        ],
        laterals=sight.see(vary(draw_lateral(chosen, random), random) for _ in range(LATERALS)),
        strangers=sight.see(draw_stranger(chosen, number, random) for number in range(STRANGERS)),
        real_laterals=[sight.see(several(film, variations_of(laterals), random)) for film in laterals],
        real_strangers=[sight.see(several(film, variations_of(strangers), random)) for film in strangers],
        plain_val=sight.see(iter(chosen_val)),
        varied_val=sight.see(vary(film, random) for film in chosen_val),
    )
    sight.taps.remove()
    return sight, seen


def some(films: Films, most: int, random: np.random.Generator) -> Films:
    """Up to so many films, drawn at random and in their order."""
    return films[np.sort(random.permutation(len(films))[:most])]


def variations_of(real: Films) -> int:
    """How many of each picture: fewer where there are many pictures."""
    return min(VARIATIONS, max(REAL // max(len(real), 1), 1))


def several(film: Films, count: int, random: np.random.Generator) -> Iterator[Films]:
    """So many variations of a film."""
    return (vary(film, random) for _ in range(count))


class GateSight:
    """Pictures on their way through the network, and what the gate sees of them; `maps` is the maps' part of it."""

    maps = slice(THUMBNAIL**2 + EDGES**2 * DIRECTIONS, None)

    def __init__(
        self,
        network: Network,
        size: tuple[int, int],
        total: int,
        on_progress: OnProgress | None,
    ) -> None:
        self.film = network.eval().film
        self.device = next(network.parameters()).device
        self.view = GateInput(size)
        empty = torch.zeros(1, 1, *size, device=self.device)
        self.names = choose_taps(self.film.body, self.film.normalization(empty))
        self.taps = Taps(self.film.body, self.names)
        self.awaited: set[str] = set()
        for name in self.names:
            self.taps.handles.append(
                self.film.body.get_submodule(name).register_forward_hook(lambda *_, name=name: self._passed(name))
            )
        self.done, self.total, self.on_progress = 0, total, on_progress

    @torch.no_grad()
    def see(self, pictures: Iterator[Films]) -> Floats:
        """What the gate sees of these pictures, a row each."""
        rows = []
        while batch := list(islice(pictures, BATCH)):
            grey = torch.from_numpy(np.stack(batch))[:, None].float() / 255
            self.awaited = set(self.names)
            if self.names:
                with suppress(Enough):
                    self.film.body(self.film.normalization(grey.to(self.device)))
            rows.append(self.view(grey, [map_.cpu() for map_ in self.taps.maps]).numpy())
            self.done += len(batch)
            if self.on_progress:
                self.on_progress(self.done, self.total)
        return np.concatenate(rows).astype(np.float64)

    def _passed(self, name: str) -> None:
        self.awaited.discard(name)
        if not self.awaited:
            raise Enough


class Enough(Exception):
    """The last map that the gate reads is there; what comes after it takes most of a transformer's time."""
