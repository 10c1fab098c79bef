"""Whether some of the films are judged wrongly more often than the others, where a patient may have several films."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from hilum.measures.figure import Bools, Floats, Ints
from hilum.measures.intervals import wilson

ALIKE = 1e-7  # tables as probable as the one seen count as extreme, whatever rounding says


class Excess(NamedTuple):
    """Errors among some films (`share`, from `low` to `high`) and how many more than among the others (`more`), each
    with its 95% interval; `p_value` is the chance of as much under no difference."""

    share: float
    low: float
    high: float
    more: float
    more_low: float
    more_high: float
    p_value: float


def excess(wrong: Bools, member: Bools, patients: Ints) -> Excess:
    """Errors among the members against those among all others.

    Intervals are Wilson's and, for the difference, Newcombe's (1998, his tenth), with as many films as independent ones
    would be worth. The p-value is the larger of Fisher's exact test, which few films cannot fool, and a score test that
    several films of a patient cannot fool.
    """
    share, low, high = _share(wrong[member], patients[member])
    other, other_low, other_high = _share(wrong[~member], patients[~member])
    more = share - other
    return Excess(
        share,
        low,
        high,
        more,
        more - math.hypot(share - low, other_high - other),
        more + math.hypot(high - share, other - other_low),
        max(fisher(wrong, member), _score_test(wrong, member, patients)),
    )


def worth(kind: Bools, patients: Ints) -> float:
    """How many independent films these are worth for their share of a kind: fewer than there are where a patient's
    films go together. Where all are of one kind or none, each patient counts once."""
    films = len(kind)
    share = kind.mean()
    alone = share * (1 - share) / (films - 1) if films > 1 else 0.0
    if alone == 0:
        return float(len(np.unique(patients)))
    together = _by_patient(kind - share, patients)
    variance = len(together) / (len(together) - 1) * (together**2).sum() / films**2 if len(together) > 1 else 0.0
    return films / max(variance / alone, 1.0) if variance else float(len(together))


def fisher(wrong: Bools, member: Bools) -> float:
    """Fisher's exact test, two-sided: the chance of tables no more probable than this one, given both margins."""
    films, errors, members = len(wrong), int(wrong.sum()), int(member.sum())
    seen = int((wrong & member).sum())
    possible = range(max(0, errors + members - films), min(errors, members) + 1)
    log = [
        _log_choose(errors, hits) + _log_choose(films - errors, members - hits) - _log_choose(films, members)
        for hits in possible
    ]
    limit = log[seen - possible.start] + ALIKE
    return min(sum(math.exp(each) for each in log if each <= limit), 1.0)


def _share(kind: Bools, patients: Ints) -> tuple[float, float, float]:
    share, of = float(kind.mean()), worth(kind, patients)
    return share, *wilson(share * of, of)


def _score_test(wrong: Bools, member: Bools, patients: Ints) -> float:
    """The covariance of being wrong and being a member, summed up patient by patient, against its own spread."""
    scores = _by_patient((wrong - wrong.mean()) * (member - member.mean()), patients)
    spread = math.sqrt(float((scores**2).sum()))
    return 1.0 if spread == 0 else math.erfc(abs(float(scores.sum())) / spread / math.sqrt(2))


def _by_patient(values: Floats, patients: Ints) -> Floats:
    _, patient = np.unique(patients, return_inverse=True)
    sums: Floats = np.bincount(patient, values).astype(np.float64)
    return sums


def _log_choose(of: int, some: int) -> float:
    return math.lgamma(of + 1) - math.lgamma(some + 1) - math.lgamma(of - some + 1)
