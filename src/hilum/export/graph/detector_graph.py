"""The graph of a detector: as that of a classifier, with boxes that are told apart inside it.

The network gives a box for each anchor. Decoding and calibrating them is arithmetic that torch writes as ONNX;
suppression is added to what it wrote, see `suppression`.
"""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn

from hilum.bundle.card import Calibration
from hilum.export.calibrate import groups
from hilum.export.gate.module import GateModule, Taps
from hilum.export.graph.graph import Scaled
from hilum.export.graph.probability import Probabilities, together
from hilum.export.graph.suppression import CANDIDATE_SCORES, CANDIDATES
from hilum.network.detector import Detector, decode


class DetectorGraph(nn.Module):
    """uint8 films (N, 1, H, W) in; the outputs of a Bundle, and every anchor's box, as `outputs` names them.

    `CANDIDATES` are corners as fractions of the picture, (N, anchors, 4); `CANDIDATE_SCORES` are (N, anchors).
    """

    heatmap = "none: it draws boxes instead"

    def __init__(
        self,
        detector: Detector,
        calibration: Calibration,
        positive: list[int],
        box_calibration: list[float],
        gate: GateModule | None = None,
    ) -> None:
        super().__init__()
        self.name, self.input_size = detector.backbone.name, detector.input_size
        self.detector = copy.deepcopy(detector).eval()
        self.normalization = Scaled(self.detector.normalization)
        self.probabilities = Probabilities(calibration, detector.classes, positive)
        inside, outside = groups(detector.classes, positive)
        self.inside, self.outside = torch.tensor(inside), torch.tensor(outside)
        self.slope, self.share, self.offset = box_calibration
        height, width = self.input_size
        self.register_buffer("frame", torch.tensor([width, height, width, height], dtype=torch.float32))
        self.frame: Tensor
        self.gate = gate
        # Not an attribute that torch sees, for it is no part of the network.
        self.taps = Taps(self.detector.body, gate.taps) if gate is not None else None
        self.eval().requires_grad_(False)

    @property
    def outputs(self) -> list[str]:
        gate = ["gate"] if self.gate is not None else []
        return ["probabilities", "features", *gate, CANDIDATES, CANDIDATE_SCORES]

    def forward(self, films: Tensor) -> tuple[Tensor, ...]:
        maps = self.detector.body(self.normalization(films))
        features = maps[-1].mean((2, 3))
        logits = self.detector.image_head(features)
        said = [self.probabilities(logits), features]
        if self.gate is not None and self.taps is not None:
            said.append(self.gate(films.float() / 255, self.taps.maps))
        scores, offsets = self.detector.candidates(maps)
        film = together(logits.index_select(1, self.inside)) - together(logits.index_select(1, self.outside))
        corners = decode(offsets, self.detector.anchors) / self.frame
        likely = torch.sigmoid(self.slope * scores + self.share * film + self.offset)
        return (*said, corners.clamp(0, 1), likely)
