"""A Figure: a number with its interval, or the reason why there is none. And what may be measured at all."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Ints = NDArray[np.int64]

WILSON, BY_PATIENTS, WALD = "Wilson", "bootstrap over patients", "Wald"


class EvaluationError(ValueError):
    """What cannot be judged, or must not be; one line with what to do."""


@dataclass(frozen=True, slots=True)
class Figure:
    """`low` and `high` are the 95% interval by `method`. Where there is no value or no interval, `why` says so.

    A share of films also says `hits` out of `of`. Wilson's interval takes films as independent, so `by_patients` gives
    the interval of the bootstrap over patients beside it.
    """

    value: float | None
    low: float | None = None
    high: float | None = None
    method: str = ""
    why: str = ""
    hits: int | None = None
    of: int | None = None
    by_patients: tuple[float, float] | None = None

    def __str__(self) -> str:
        if self.value is None:
            return f"none: {self.why}"
        return f"{self.value:.3f} ({self.interval})" if self.interval else f"{self.value:.3f}"

    @property
    def interval(self) -> str:
        """Its ends in words, empty where there is none."""
        return "" if self.low is None or self.high is None else f"{self.low:.3f} to {self.high:.3f}"

    def describe(self) -> dict[str, Any]:
        """Plain data for JSON: what there is of it. A missing value is null, never left out."""
        stated = {key: value for key, value in asdict(self).items() if value not in (None, "")}
        if self.by_patients is not None:
            stated["by_patients"] = list(self.by_patients)
        return {"value": self.value, **stated}


def checked(probability: ArrayLike, truth: ArrayLike) -> tuple[Floats, Bools]:
    """Probabilities of pneumonia and what is true, of the same films: refused if any is no probability."""
    p, t = np.asarray(probability, np.float64), np.asarray(truth)
    if p.ndim != 1 or p.shape != t.shape:
        raise EvaluationError(f"{p.shape} probabilities do not go with {t.shape} truths; give one of each for a film")
    if not len(p):
        raise EvaluationError("there is not one film to judge on")
    if t.dtype != np.bool_ and not np.isin(t, (0, 1)).all():
        # A NaN or a class number would pass as true.
        raise EvaluationError("the truth of a film is true or false; leave films without one out")
    if wrong := int((~((p >= 0) & (p <= 1))).sum()):  # NaN compares false
        raise EvaluationError(f"{wrong:,} of {len(p):,} probabilities are no numbers from 0 to 1; predict these again")
    return p, t.astype(np.bool_)
