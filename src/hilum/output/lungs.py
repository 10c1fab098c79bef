"""The lungs alone, to be laid over a film by whoever shows it."""

from __future__ import annotations

import numpy as np
from PIL import Image

from hilum.bundle.prediction import Answered

LONGEST = 256  # pixels: the mask has far fewer places


def found_lungs(answer: Answered) -> bool:
    """Whether the network has a mask of the lungs, and found a pair of them on this film."""
    return answer.lungs is not None and bool((answer.lungs < 128).any())


def draw_lungs(answer: Answered) -> Image.Image:
    """The mask in grey levels, white where the lungs are, in the film's proportions."""
    scale = min(LONGEST / max(answer.height, answer.width), 1.0)
    height, width = max(round(answer.height * scale), 1), max(round(answer.width * scale), 1)
    return Image.fromarray(np.rint(answer.lungs_on_film(height, width) * 255).astype(np.uint8))
