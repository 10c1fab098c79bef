"""Whether a heatmap points to where the radiologist's boxes are."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from hilum.measures.figure import Floats

SIDE = 224  # heatmaps are coarse; they are compared with boxes at this many pixels a side


class Pointing(NamedTuple):
    """`hit`: the highest place of the heatmap lies in a box. `energy`: the share of its positive evidence that does.
    `area`: the share of the film that the boxes cover, which is what a heatmap that knows nothing gets of both."""

    hit: bool
    energy: float
    area: float


def point(heatmap: NDArray[np.float32], boxes: Floats) -> Pointing | None:
    """`boxes` are (x, y, width, height) in fractions of what the heatmap covers. None where no box lies on it."""
    inside = _covered(boxes)
    if not inside.any():
        return None
    full = np.asarray(Image.fromarray(heatmap.astype(np.float32)).resize((SIDE, SIDE), Image.Resampling.BILINEAR))
    # What speaks against pneumonia points nowhere.
    evidence = np.maximum(full, 0).astype(np.float64)
    total = float(evidence.sum())
    highest = full == full.max()
    return Pointing(
        # Where several places are equally high, each must lie in a box: a flat heatmap points nowhere.
        hit=bool(inside[highest].all()),
        energy=float(evidence[inside].sum() / total) if total > 0 else 0.0,
        area=float(inside.mean()),
    )


def _covered(boxes: Floats) -> NDArray[np.bool_]:
    """The pixels whose centers lie in a box."""
    center = (np.arange(SIDE) + 0.5) / SIDE
    inside = np.zeros((SIDE, SIDE), np.bool_)
    for x, y, width, height in boxes:
        rows, columns = (center >= y) & (center < y + height), (center >= x) & (center < x + width)
        inside |= rows[:, None] & columns[None, :]
    return inside
