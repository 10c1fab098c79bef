"""The gray levels of a film as it is placed for a network: how bright they are, how far apart, and how fine.

A network learns to overlook brightness and contrast, so its features hardly move where a machine changes them. These
numbers do.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

GRAYS = ("gray level", "gray spread", "fine detail")
LEAST = 1e-3  # of a level: a film may be of one gray alone


def grays_of(levels: NDArray[np.uint8]) -> NDArray[np.float64]:
    """GRAYS of films (films, height, width): the mean of 256 levels, their standard deviation, and the logarithm of the
    mean difference between neighbors in a row, in standard deviations, which contrast leaves alone: (films, GRAYS).
    """
    spread = levels.std((1, 2), dtype=np.float64)
    steps = np.abs(np.diff(levels.astype(np.int16), axis=2)).mean((1, 2), dtype=np.float64)
    detail = np.log((steps + LEAST) / (spread + LEAST))
    return np.column_stack([levels.mean((1, 2), dtype=np.float64), spread, detail])
