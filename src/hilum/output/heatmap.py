"""The heatmap alone, to be laid over a film by whoever shows it."""

from __future__ import annotations

import numpy as np
from PIL import Image

from hilum.bundle.prediction import Answered
from hilum.output.marks import MOST_OPAQUE, colors_of

LONGEST = 1024  # pixels: it has far fewer places


def draw_heatmap(answer: Answered) -> Image.Image:
    """Evidence for pneumonia in an overlay's colors, transparent where there is none, in the film's proportions."""
    scale = min(LONGEST / max(answer.height, answer.width), 1.0)
    height, width = max(round(answer.height * scale), 1), max(round(answer.width * scale), 1)
    evidence = answer.heatmap_on_film(height, width)
    strength = np.clip(evidence / max(float(np.abs(evidence).max()), 1e-9), 0, 1)
    alpha = 255 * MOST_OPAQUE * strength**0.7
    levels = np.concatenate([colors_of(strength), alpha[..., None]], axis=2)
    return Image.fromarray(np.rint(levels).astype(np.uint8))
