"""Learning the gate from the training films alone: how they look upright, turned and inverted, and how much they vary.

Two answers come of it. A distance says how far a film lies from those learned from; a linear reading says whether it
is upright, turned, inverted, or none of these, which it learns from made-up strangers. Nobody has to collect pictures.
Used at export; what is learned becomes part of the bundle's graph.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import islice

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from torch import Tensor

from hilum.bundle.card import GateCard
from hilum.bundle.gate import not_upright
from hilum.export.gate.module import BOUND, DIRECTIONS, EDGES, THUMBNAIL, GateModule, Scatter, Taps, View, choose_taps
from hilum.export.gate.strangers import draw_stranger
from hilum.export.gate.variation import STATES, in_state, vary
from hilum.network.network import Network

__all__ = ["GateModule", "Taps", "learn_gate"]

Films = NDArray[np.uint8]
Floats = NDArray[np.float64]

FILMS, VAL_FILMS, TURNED, STRANGERS = 600, 400, 300, 800  # at most of each, drawn at random
BATCH = 16
AXES = 256  # along which scatter is told apart, at most
# How far the scatter of a sample is drawn towards an even one: thumbnails, maps.
EVENED = (0.5, 0.1)
REJECTED = 0.01
TURNED_LIMIT = 0.8
PENALTY = 0.03  # scikit-learn's C


def learn_gate(
    network: Network,
    films: Films,
    val_films: Films,
    seed: int = 0,
    *,
    on_progress: Callable[[int, int], None] | None = None,
) -> tuple[GateModule, GateCard]:
    """The gate of a trained network; `films` and `val_films` are (n, height, width) at its geometry.

    The scatter is that of films as they are. Its limits leave room for what differs between hospitals: they turn away
    1 % of the validation films after each of these was varied. `on_progress` is told how many pictures have passed the
    network, of how many.
    """
    random = np.random.default_rng(seed)
    chosen, chosen_val = some(films, FILMS, random), some(val_films, VAL_FILMS, random)
    total = len(chosen) + len(STATES) * min(len(chosen), TURNED) + STRANGERS + 2 * len(chosen_val)
    sight = Sight(network, (films.shape[1], films.shape[2]), total, on_progress)
    plain = sight.see(iter(chosen))
    states = [
        sight.see(in_state(vary(film, random), state) for film in some(chosen, TURNED, random))
        for state in range(len(STATES))
    ]
    strangers = sight.see(draw_stranger(chosen, number, random) for number in range(STRANGERS))
    plain_val = sight.see(iter(chosen_val))
    varied_val = sight.see(vary(film, random) for film in chosen_val)
    sight.taps.remove()

    center = plain.mean(0)
    scale = spread(plain, sight.maps)
    upright = np.concatenate([plain, states[0]])
    lines = fit_lines([(group - center) / scale for group in (upright, *states[1:], strangers)])
    points = (plain - center) / scale
    parts = [slice(0, THUMBNAIL**2), *([sight.maps] if sight.names else [])]
    scatters = [(part, scatter_of(points[:, part], evened)) for part, evened in zip(parts, EVENED, strict=False)]
    standard = as_tensor(center), as_tensor(scale)
    gate = GateModule(sight.names, sight.view, standard, scatters, (as_tensor(lines[0]), as_tensor(lines[1]))).eval()
    set_limits(gate, as_tensor((varied_val - center) / scale))
    rejected, varied_rejected = share_rejected(gate, plain_val), share_rejected(gate, varied_val)
    note = (
        f"Learned from {len(chosen):,} training films. The limit is the distance that {REJECTED:.0%} of "
        f"{len(chosen_val):,} validation films exceed after each was varied in framing, tone and sharpness as films of "
        f"other hospitals differ. Of these films the gate turns away {rejected:.1%} as they are, "
        f"{varied_rejected:.1%} varied."
    )
    return gate, GateCard(rejected, TURNED_LIMIT, len(chosen), note)


class Sight:
    """Pictures on their way through the network, and what the gate sees of them; `maps` is the maps' part of it."""

    maps = slice(THUMBNAIL**2 + EDGES**2 * DIRECTIONS, None)

    def __init__(
        self,
        network: Network,
        size: tuple[int, int],
        total: int,
        on_progress: Callable[[int, int], None] | None,
    ) -> None:
        self.film = network.eval().film
        self.device = next(network.parameters()).device
        self.view = View(size)
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


def some(films: Films, most: int, random: np.random.Generator) -> Films:
    """Up to so many films, drawn at random and in their order."""
    return films[np.sort(random.permutation(len(films))[:most])]


def spread(rows: Floats, maps: slice) -> Floats:
    """The standard deviations; one that is nearly 0 in the films at hand may not make all of any other film."""
    deviations = rows.std(0)
    for part in (slice(0, maps.start), maps):
        if deviations[part].size:
            deviations[part] = np.maximum(deviations[part], 0.1 * deviations[part].mean())
    return np.asarray(deviations + 1e-6)


def scatter_of(points: Floats, evened: float) -> Scatter:
    """The scatter of points around zero."""
    features = points.shape[1]
    _, singular, axes = np.linalg.svd(points, full_matrices=False)
    variances = singular**2 / len(points)
    known = min(AXES, len(variances) - 1)
    even = variances[known:].sum() / (features - known)
    weights = 1 / ((1 - evened) * variances[:known] + evened)
    rest = 1 / ((1 - evened) * even + evened)
    return Scatter(as_tensor(axes[:known].T), as_tensor(weights / features), as_tensor(np.array(rest / features)))


def fit_lines(groups: list[Floats]) -> tuple[Floats, Floats]:
    """Slopes (features, groups) and offsets that tell the groups apart, each counting the same."""
    points = np.clip(np.concatenate(groups), -BOUND, BOUND)
    labels = np.repeat(np.arange(len(groups)), [len(group) for group in groups])
    fitted = LogisticRegression(C=PENALTY, class_weight="balanced", max_iter=3000, tol=1e-3).fit(points, labels)
    return fitted.coef_.T, fitted.intercept_


@torch.no_grad()
def set_limits(gate: GateModule, varied: Tensor) -> None:
    """Limits of the distances that bind equally often, and together turn away the share meant."""
    found = gate.distances(varied).numpy()
    singly = np.quantile(found, 1 - REJECTED / found.shape[1], axis=0)
    together = np.quantile((found / singly).max(1), 1 - REJECTED)
    for scatter, limit in zip(gate.scatters, singly * together, strict=True):
        assert isinstance(scatter, Scatter)
        scatter.limit.fill_(float(limit))


@torch.no_grad()
def share_rejected(gate: GateModule, rows: Floats) -> float:
    """How many of these rows the gate turns away."""
    judged = gate.judge(as_tensor(rows)).numpy()
    return float(np.mean([row[0] > 1 or not_upright(row) > TURNED_LIMIT for row in judged]))


def as_tensor(values: Floats) -> Tensor:
    """Floats as the graph has them."""
    return torch.from_numpy(np.asarray(values, np.float32))
