"""Learning the gate from the training films: how they look upright, turned and inverted, and how much they vary.

Two answers come of it. A distance says how far a film lies from those learned from; a linear reading says whether it
is upright, turned, inverted, lateral, or none of these, which it learns from made-up lateral films and strangers, so
nobody has to collect pictures, and from real ones where there are some. Used at export; what is learned becomes part of
the bundle's graph.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from torch import Tensor

from hilum.bundle.card import GateCard
from hilum.bundle.format import LATERAL, STATES
from hilum.bundle.gate import not_upright
from hilum.export.gate.module import BOUND, THUMBNAIL, GateModule, Scatter
from hilum.export.gate.sight import GateFilms, GateRows, GateSight, OnProgress, look
from hilum.network.network import Network

Floats = NDArray[np.float64]

AXES = 256  # along which scatter is told apart, at most
# How far the scatter of a sample is drawn towards an even one: thumbnails, maps.
EVENED = (0.5, 0.1)
REJECTED = 0.01
# Below it validation films are turned away more often; above it lateral films of a kind that was not learned from pass.
TURNED_LIMIT = 0.7
PENALTY = 0.03  # scikit-learn's C


def learn_gate(
    network: Network, films: GateFilms, seed: int = 0, *, on_progress: OnProgress | None = None
) -> tuple[GateModule, GateCard]:
    """The gate of a trained network.

    The scatter is that of films as they are. Its limits leave room for what differs between hospitals: they turn away
    1 % of the validation films after each of these was varied. `on_progress` is called with how many pictures have
    passed the network, of how many.
    """
    sight, seen = look(network, films, seed, on_progress=on_progress)
    gate = fit_gate(sight, seen)
    rejected, varied_rejected = share_rejected(gate, seen.plain_val), share_rejected(gate, seen.varied_val)
    note = (
        f"Learned from {len(seen.plain):,} training films. The limit is the distance that {REJECTED:.0%} of "
        f"{len(seen.plain_val):,} validation films exceed after each was varied in framing, tone and sharpness as "
        f"films of other hospitals differ. Of these films the gate turns away {rejected:.1%} as they are, "
        f"{varied_rejected:.1%} varied. {real_in_words(seen)}"
    )
    return gate, GateCard(rejected, TURNED_LIMIT, len(seen.plain), note, [*STATES, LATERAL])


def fit_gate(sight: GateSight, seen: GateRows) -> GateModule:
    """The gate that these rows teach."""
    center = seen.plain.mean(0)
    scale = spread(seen.plain, sight.maps)
    upright = np.concatenate([seen.plain, seen.states[0]])
    strangers = np.concatenate([seen.strangers, *seen.real_strangers])
    laterals = np.concatenate([seen.laterals, *seen.real_laterals])
    lines = fit_lines([(group - center) / scale for group in (upright, *seen.states[1:], strangers, laterals)])
    points = (seen.plain - center) / scale
    parts = [slice(0, THUMBNAIL**2), *([sight.maps] if sight.names else [])]
    scatters = [(part, scatter_of(points[:, part], evened)) for part, evened in zip(parts, EVENED, strict=False)]
    standard = as_tensor(center), as_tensor(scale)
    gate = GateModule(sight.names, sight.view, standard, scatters, (as_tensor(lines[0]), as_tensor(lines[1]))).eval()
    set_limits(gate, as_tensor((seen.varied_val - center) / scale))
    return gate


def real_in_words(seen: GateRows) -> str:
    """What it knows lateral films and other pictures from."""
    laterals, strangers = len(seen.real_laterals), len(seen.real_strangers)
    if not laterals:
        known = "Lateral films it knows from made-up ones alone"
    else:
        known = f"Lateral films it knows from {laterals:,} real and many made-up ones"
    return f"{known}, what is no chest film from made-up pictures{f' and {strangers:,} real ones' * bool(strangers)}."


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
