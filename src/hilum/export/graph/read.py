"""What a graph reads from the last feature map of a network, and the kinds of heatmap."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor

CLASS_ACTIVATION_MAP = "class activation map"
GRAD_CAM = "Grad-CAM"


class Read(NamedTuple):
    """What is read from the last feature map; `heatmaps` are (films, classes, height, width), None where undefined."""

    features: Tensor
    logits: Tensor
    heatmaps: Tensor | None
