"""P-values of many looks at the same films: Holm's correction (1979), which holds however the looks hang together."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from hilum.measures.figure import Floats


def holm(p_values: ArrayLike) -> Floats:
    """P-values so corrected that one below 0.05 comes in fewer than 1 of 20 such tables where nothing differs."""
    p = np.asarray(p_values, np.float64)
    order = np.argsort(p, kind="stable")
    stepped = np.maximum.accumulate(p[order] * (len(p) - np.arange(len(p))))
    corrected = np.empty(len(p))
    corrected[order] = np.minimum(stepped, 1)
    return corrected
