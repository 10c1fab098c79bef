"""The graph: everything between the grey levels of a film and what a Bundle says of it, as one torch module.

Made for few nodes, because each costs time when a bundle is loaded: grey levels, normalization and repeated channels
are folded into the first convolution, the exporter folds batch normalization, and the heatmap shares what the logits
are made of.
"""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn
from torch.nn import functional

from hilum.bundle.card import Calibration
from hilum.export.gate.module import GateModule, Taps
from hilum.export.graph.heatmap import last_maps, reading_of
from hilum.export.graph.probability import Probabilities
from hilum.network.classifier import Classifier
from hilum.network.fold import Shift, fold_input

# How much a folded network may differ from the one it was made of, in logits.
FOLDING_ERROR = 1e-3


class Graph(nn.Module):
    """uint8 films (N, 1, H, W) in; the outputs of a Bundle that it has, in their order, as `outputs` names them."""

    def __init__(
        self, classifier: Classifier, calibration: Calibration, positive: list[int], gate: GateModule | None = None
    ) -> None:
        super().__init__()
        self.name, self.input_size = classifier.backbone.name, classifier.input_size
        noise = torch.Generator().manual_seed(0)
        example = torch.randint(0, 256, (2, 1, *self.input_size), dtype=torch.uint8, generator=noise)
        with torch.no_grad():
            self.normalization, folded = fold_levels(classifier.eval(), example)
            self.body = folded.body
            self.reading = reading_of(folded, last_maps(self.body, self.normalization(example)))
        self.probabilities = Probabilities(calibration, classifier.classes, positive)
        self.gate = gate
        # Not an attribute that torch sees, for it is no part of the network.
        self.taps = Taps(self.body, gate.taps) if gate is not None else None
        self.eval().requires_grad_(False)

    @property
    def heatmap(self) -> str:
        """What kind of heatmap there is, or why there is none."""
        return self.reading.kind

    @property
    def outputs(self) -> list[str]:
        heatmaps = [] if self.heatmap.startswith("none") else ["heatmaps"]
        return ["probabilities", *heatmaps, "features", *(["gate"] if self.gate is not None else [])]

    def forward(self, films: Tensor) -> tuple[Tensor, ...]:
        features, logits, heatmaps = self.reading(last_maps(self.body, self.normalization(films)))
        said = [self.probabilities(logits), *([] if heatmaps is None else [heatmaps]), features]
        if self.gate is not None and self.taps is not None:
            said.append(self.gate(films.float() / 255, self.taps.maps))
        return tuple(said)


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


def fold_levels(classifier: Classifier, example: Tensor) -> tuple[nn.Module, Classifier]:
    """What to do with grey levels 0 to 255 first, and a copy of the classifier that wants them so.

    Some networks transform the weights of their first convolution, or begin with another layer than the one they
    list first. So folding is tried on an example, and given up where it changes what comes out.
    """
    try:
        folded = fold_input(classifier)
        shift = folded.normalization
        assert isinstance(shift, Shift)
        first = next(module for module in folded.body.modules() if isinstance(module, nn.Conv2d))
        first.weight /= 255
        levels = Levels(shift.mean * 255, shift.ones)
        said, meant = folded.head(folded.body(levels(example))), classifier(example.float() / 255)
        if torch.allclose(said, meant, atol=FOLDING_ERROR):
            return levels, folded
    except (ValueError, StopIteration, RuntimeError):
        pass  # there is no convolution for its channels, or another layer meets them first
    return Scaled(classifier.normalization), copy.deepcopy(classifier)
