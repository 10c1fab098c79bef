"""Two lungs: whether the mask of a network that finds them has lung on either side, as a state that the gate knows.

What is asked is little, for a lung that is white all over is hardly found, and such films are the ones to answer. The
limit comes of validation films: as good as none of them, with pneumonia or without, has less lung on one side.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import islice
from math import log

import numpy as np
import torch
from torch import Tensor, nn

from hilum.bundle.card import BundleError, GateCard, TwoLungsCard
from hilum.bundle.format import NO_TWO_LUNGS
from hilum.export.gate.module import Taps
from hilum.export.gate.sight import BATCH, Films, Floats, OnProgress, some
from hilum.export.gate.variation import vary
from hilum.network.heads.lungs import STRIDES, LungHead, masks_of
from hilum.network.network import Network
from hilum.training.run import Run

# Of varied validation films with pneumonia, and of those without, no more than this share lies below the limit.
REJECTED = 0.005
MOST = 1000  # films of either kind, drawn at random; many, since few of them are so sick
LOWEST = 1e-4  # of limits, so that one may divide by them
SHARPNESS = 10.0  # by how much the log odds fall from no lung at all to the limit


class TwoLungs(nn.Module):
    """Parts the gate's probability of upright into that with two lungs and that without, a column of its own.

    A film without lung on one side by the `limit` is turned away where all that the gate holds against it is more than
    `turned_limit`, and by this alone it is exactly at that.
    """

    def __init__(self, limit: float, turned_limit: float) -> None:
        super().__init__()
        self.offset = log(turned_limit / (1 - turned_limit)) + SHARPNESS
        self.slope = SHARPNESS / limit

    def forward(self, rows: Tensor, logits: Tensor) -> Tensor:
        """Rows of the gate (films, columns), and what the lung head gave: rows with one column more."""
        without = torch.sigmoid(self.offset - self.slope * smaller_share(logits))
        upright = rows[:, 1:2]
        return torch.cat([rows[:, :1], upright * (1 - without), rows[:, 2:], upright * without], 1)


def smaller_share(logits: Tensor) -> Tensor:
    """(films, 1): how much of the left and of the right half of the picture is lung, the smaller of both."""
    masks = masks_of(logits)
    half = masks.shape[3] // 2
    left, right = masks[..., :half], masks[..., -half:]
    return torch.minimum(left.mean((2, 3)), right.mean((2, 3)))


def lung_head(network: nn.Module) -> LungHead:
    """What finds the lungs in a network or a graph that does, whether by itself or told by another network."""
    return next(module for module in network.modules() if isinstance(module, LungHead))


def check_finds_lungs(run: Run) -> None:
    """Raises BundleError for a run whose network finds no lungs, so that its gate cannot ask for two."""
    recipe = run.recipe()
    if recipe.lungs is None and recipe.finder is None:
        raise BundleError(
            f"{run.folder}: its network finds no lungs, so its gate cannot ask for two; leave --two-lungs out, or "
            "train by a recipe with [lungs] or [finder], as `lungs` or `hilum`"
        )


def learn_two_lungs(
    network: Network, card: GateCard, films: Mapping[str, Films], seed: int, on_progress: OnProgress
) -> tuple[TwoLungs, GateCard]:
    """The gate's question for two lungs, and its card with that.

    `films` are validation films by what is known of them. The limit is the share of lung below which none of these
    groups has more than REJECTED of its films, after each was varied as films of other hospitals differ.
    """
    random = np.random.default_rng(seed)
    chosen = {name: some(group, MOST, random) for name, group in films.items()}
    total, done = 2 * sum(map(len, chosen.values())), 0

    def shares(pictures: Iterator[Films]) -> Floats:
        nonlocal done
        found = []
        while batch := list(islice(pictures, BATCH)):
            found.append(shares_of_lung(network, np.stack(batch)))
            done += len(batch)
            on_progress(done, total)
        return np.concatenate(found)

    plain = {name: shares(iter(group)) for name, group in chosen.items()}
    varied = [shares(vary(film, random) for film in group) for group in chosen.values()]
    limit = max(float(min(np.quantile(found, REJECTED, method="lower") for found in varied)), LOWEST)
    asked = TwoLungsCard(
        limit,
        {name: len(found) for name, found in plain.items()},
        {name: float((found < limit).mean()) for name, found in plain.items()},
    )
    return TwoLungs(limit, card.turned_limit), replace(card, states=[*card.states, NO_TWO_LUNGS], two_lungs=asked)


@torch.no_grad()
def shares_of_lung(network: Network, films: Films) -> Floats:
    """`smaller_share` of films (n, height, width), as a network finds their lungs."""
    heard = Taps(lung_head(network), [""])
    _, taps = network.film.maps_and_taps(torch.from_numpy(films)[:, None].float() / 255)
    if network.masks is not None:
        network.masks(network.film.body.select(taps, STRIDES))
    heard.remove()
    return smaller_share(heard.maps[0].float()).squeeze(1).double().numpy()
