"""The graph: everything between the grey levels of a film and what a Bundle says of it, as one torch module.

Made for few nodes, because each costs time when a bundle is loaded: grey levels, normalization and repeated channels
are folded into the first convolution, the exporter folds batch normalization, and the heatmap shares what the logits
are made of.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from hilum.bundle.format import FEATURES, GATE, GROUPS, HEATMAPS, LUNGS, PROBABILITIES
from hilum.export.calibrate import groups
from hilum.export.film_fits import FilmFit
from hilum.export.gate.module import GateModule, Taps
from hilum.export.gate.two_lungs import TwoLungs, lung_head
from hilum.export.graph.evidence import JOINED
from hilum.export.graph.heatmap import maps_of, reading_of
from hilum.export.graph.joined import Joined
from hilum.export.graph.probability import Probabilities, together
from hilum.export.graph.suppression import CANDIDATE_SCORES, CANDIDATES
from hilum.network.fold import Shift, fold_input
from hilum.network.heads.lungs import STRIDES as LUNG_STRIDES
from hilum.network.heads.lungs import believed
from hilum.network.network import Network
from hilum.network.view import View

# How much a folded network may differ from the one it was made of, in logits.
FOLDING_ERROR = 1e-3


class Fitted(NamedTuple):
    """What was fitted to a trained network on validation films: all of a graph that is no weight of the network.

    `films` are one fit, or one for each group of patients. `positive` are the columns of the classes that mean
    pneumonia. `box_calibration` is as in BoxCard.
    """

    films: Sequence[FilmFit]
    positive: list[int]
    box_calibration: list[float] | None = None
    gate: GateModule | None = None
    two_lungs: TwoLungs | None = None


class Graph(nn.Module):
    """uint8 films (N, 1, H, W) in; the outputs of a Bundle that it has, in their order, as `outputs` names them.

    Boxes are given for every anchor, `CANDIDATES` as corners in fractions of the picture (N, anchors, 4) and
    `CANDIDATE_SCORES` (N, anchors): which of them stay is added to what torch writes, see `suppression`.
    """

    def __init__(self, network: Network, fitted: Fitted) -> None:
        super().__init__()
        self.name, self.input_size = network.backbone.name, network.input_size
        noise = torch.Generator().manual_seed(0)
        example = torch.randint(0, 256, (2, 1, *self.input_size), dtype=torch.uint8, generator=noise)
        with torch.no_grad():
            self.normalization, folded = fold_levels(network.film.eval(), example)
            self.body = folded.body
            self.last_maps = maps_of(self.body)
            self.reading = reading_of(folded, self.last_maps(self.normalization(example))[0])
        self.probabilities = nn.ModuleList(
            Probabilities(fit.calibration, network.classes, fitted.positive, fit.patient) for fit in fitted.films
        )
        self.boxes = CalibratedBoxes(network, fitted) if network.boxes is not None else None
        joinings = [fit.joining for fit in fitted.films if fit.joining is not None]
        self.joined = Joined(network, joinings, fitted.positive) if joinings else None
        # Of a network that finds lungs and looks no second time.
        self.masks = copy.deepcopy(network.masks) if self.joined is None else None
        by_group = fitted.films[0].patient is not None
        self.group = copy.deepcopy(network.group) if by_group else None
        self.gate = fitted.gate
        # Not an attribute that torch sees, for it is no part of the network.
        self.taps = Taps(self.body, self.gate.taps) if self.gate is not None else None
        self.two_lungs = fitted.two_lungs
        self.mask_taps = Taps(lung_head(self), [""]) if self.two_lungs is not None else None
        self.eval().requires_grad_(False)

    @property
    def heatmap(self) -> str:
        """What kind of heatmap there is, or why there is none."""
        one_view = self.reading.kind
        return one_view if self.joined is None or one_view.startswith("none") else JOINED.format(one_view)

    @property
    def outputs(self) -> list[str]:
        """Their names."""
        heatmaps = [] if self.heatmap.startswith("none") else [HEATMAPS]
        gate = [GATE] if self.gate is not None else []
        found = self.joined is not None or self.masks is not None or self.body.finder is not None
        lungs = [LUNGS] if found else []
        boxes = [CANDIDATES, CANDIDATE_SCORES] if self.boxes is not None else []
        groups = [GROUPS] if self.group is not None else []
        return [PROBABILITIES, *groups, *heatmaps, FEATURES, *gate, *lungs, *boxes]

    def forward(self, films: Tensor) -> tuple[Tensor, ...]:
        maps, taps = self.last_maps(self.normalization(films))
        read = self.reading(maps)
        given = {HEATMAPS: read.heatmaps, FEATURES: read.features}
        # Of films as they are for each fit; boxes hear the last one (film_fits.for_boxes says why).
        fitted, groups = [read.logits] * len(self.probabilities), None
        if self.group is not None:
            adult = torch.sigmoid(self.group(read.features))
            groups = given[GROUPS] = torch.cat([1 - adult, adult], 1)
        if self.masks is not None:
            given[LUNGS] = believed(self.masks(self.body.select(taps, LUNG_STRIDES))).squeeze(1)
        if self.body.finder is not None:
            given[LUNGS] = taps[0].squeeze(1)
        if self.joined is not None:
            fitted, given[HEATMAPS], given[LUNGS] = self.joined(films.float() / 255, self.body, taps, read, groups)
        each = [calibrated(own) for calibrated, own in zip(self.probabilities, fitted, strict=True)]
        given[PROBABILITIES] = each[0] if self.group is None else torch.stack(each, 1)
        if self.gate is not None and self.taps is not None:
            given[GATE] = self.gate(films.float() / 255, self.taps.maps)
            if self.two_lungs is not None and self.mask_taps is not None:
                given[GATE] = self.two_lungs(given[GATE], self.mask_taps.maps[0])
        if self.boxes is not None:
            maps_of_boxes = self.body.select(taps, self.boxes.head.pyramid.strides)
            given[CANDIDATES], given[CANDIDATE_SCORES] = self.boxes(maps_of_boxes, fitted[-1])
        return tuple(given[name] for name in self.outputs)


class CalibratedBoxes(nn.Module):
    """Every anchor's box, and how likely it is a hit: the box has a say, and so has the film as a whole."""

    def __init__(self, network: Network, fitted: Fitted) -> None:
        super().__init__()
        assert network.boxes is not None and fitted.box_calibration is not None
        self.head = copy.deepcopy(network.boxes)
        inside, outside = groups(network.classes, fitted.positive)
        self.register_buffer("inside", torch.tensor(inside))
        self.register_buffer("outside", torch.tensor(outside))
        self.inside: Tensor
        self.outside: Tensor
        self.slope, self.share, self.offset = fitted.box_calibration

    def forward(self, maps: Sequence[Tensor], logits: Tensor) -> tuple[Tensor, Tensor]:
        scores, offsets, _ = self.head(maps)
        film = together(logits.index_select(1, self.inside)) - together(logits.index_select(1, self.outside))
        return self.head.corners(offsets), torch.sigmoid(self.slope * scores + self.share * film + self.offset)


class Levels(nn.Module):
    """Grey levels as a folded first convolution wants them: less one mean, with a channel of ones where it has one.

    One is 255, as in the film, so that the weights of both channels are of one size and can be rounded together.
    """

    def __init__(self, mean: float, ones: bool) -> None:
        super().__init__()
        self.mean, self.ones = mean, ones

    def forward(self, films: Tensor) -> Tensor:
        x = films.float()
        if self.mean:
            x = x - self.mean
        return functional.pad(x, (0, 0, 0, 0, 0, 1), value=255.0) if self.ones else x


class Scaled(nn.Module):
    """Grey levels scaled to [0, 1] and normalized as in training, for networks whose input cannot be folded."""

    def __init__(self, normalization: nn.Module) -> None:
        super().__init__()
        self.normalization = normalization

    def forward(self, films: Tensor) -> Tensor:
        normalized: Tensor = self.normalization(films.float() / 255)
        return normalized


def fold_levels(view: View, example: Tensor) -> tuple[nn.Module, View]:
    """What to do with grey levels 0 to 255 first, and a copy of the view that wants them so.

    Some networks transform the weights of their first convolution, or begin with another layer than the one they
    list first. So folding is tried on an example, and given up where it changes what comes out.
    """
    try:
        folded = fold_input(view)
        shift = folded.normalization
        assert isinstance(shift, Shift)
        first = next(module for module in folded.body.modules() if isinstance(module, nn.Conv2d))
        first.weight /= 255
        levels = Levels(shift.mean * 255, shift.ones)
        logits, expected = folded.head(folded.body(levels(example))), view(example.float() / 255)
        if torch.allclose(logits, expected, atol=FOLDING_ERROR):
            return levels, folded
    except (ValueError, StopIteration, RuntimeError):
        pass  # there is no convolution for its channels, or another layer meets them first
    return Scaled(view.normalization), copy.deepcopy(view)
