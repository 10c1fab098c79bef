"""From logits to calibrated probabilities, as part of the graph; `calibrate.apply` is the same in NumPy."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from hilum.bundle.card import Calibration
from hilum.bundle.format import line_names
from hilum.export.calibrate import groups
from hilum.export.graph.adjustable import Adjustable
from hilum.radiograph.patient import Patient


class Probabilities(nn.Module):
    """Softmax after calibration. `positive` are the columns of the classes that mean pneumonia.

    Temperature divides all logits. Platt and isotonic change the probability of the positive classes together; the
    shares within these, and within the others, stay. Slope and offset, which can be set in the file, act on the log
    odds that come of it.
    """

    x: Tensor
    y: Tensor
    inside: Tensor
    outside: Tensor
    back: Tensor
    raised: Tensor

    def __init__(
        self, calibration: Calibration, classes: int, positive: list[int], patient: Patient | None = None
    ) -> None:
        super().__init__()
        self.method, self.temperature = calibration.method, calibration.temperature
        inside, outside = groups(classes, positive)
        for name, columns in (
            ("inside", inside),
            ("outside", outside),
            ("back", np.argsort(inside + outside).tolist()),
        ):
            self.register_buffer(name, torch.tensor(columns))
        self.register_buffer("raised", torch.tensor([float(column in inside) for column in range(classes)]))
        self.line = calibration.x  # of platt
        # Of isotonic. In double precision, for knots of a sure network lie nearer to 1 than single can tell apart.
        self.register_buffer("x", torch.tensor(calibration.x, dtype=torch.float64))
        self.register_buffer("y", torch.tensor(calibration.y, dtype=torch.float64))
        slope, offset = line_names(patient)
        self.slope, self.offset = Adjustable(slope, calibration.slope), Adjustable(offset, calibration.offset)

    def forward(self, logits: Tensor) -> Tensor:
        if self.method in ("none", "temperature"):
            scores = logits if self.temperature == 1 else logits / self.temperature
            odds = self._odds(scores)
            # What the line leaves as it is loses nothing to rounding; and 8-bit files would round a sum, not this.
            return torch.softmax(scores - self.raised * (odds - self._adjusted(odds)), 1)
        score = self._odds(logits)
        if self.method == "platt":
            odds = self.line[0] * score + self.line[1]
        else:
            # Piecewise linear: each stretch between two knots adds its rise, as far as it is passed.
            passed = (torch.sigmoid(score.double()) - self.x[:-1]) / (self.x[1:] - self.x[:-1])
            chance = self.y[:1] + passed.clamp(0, 1) @ (self.y[1:] - self.y[:-1])[:, None]
            odds = torch.log(chance / (1 - chance)).float()
        chance = torch.sigmoid(self._adjusted(odds))
        if logits.shape[1] == 2:
            both = (chance, 1 - chance)
        else:
            inside, outside = logits.index_select(1, self.inside), logits.index_select(1, self.outside)
            both = (chance * torch.softmax(inside, 1), (1 - chance) * torch.softmax(outside, 1))
        return torch.cat(both, 1).index_select(1, self.back)

    def _odds(self, logits: Tensor) -> Tensor:
        return together(logits.index_select(1, self.inside)) - together(logits.index_select(1, self.outside))

    def _adjusted(self, odds: Tensor) -> Tensor:
        return self.slope.number * odds + self.offset.number


def together(logits: Tensor) -> Tensor:
    """The logit (films, 1) of several classes as one."""
    return logits if logits.shape[1] == 1 else torch.logsumexp(logits, 1, keepdim=True)
