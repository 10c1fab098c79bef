"""The metric of the RSNA Pneumonia Detection Challenge (2018).

A film's score is the mean, over the overlaps 0.40, 0.45 ... 0.75, of TP / (TP + FP + FN), predictions being matched
greedily by confidence; the score of a set is the mean over its films. Where the rule leaves room:

- A film without true boxes scores 0 if anything is predicted on it, and is left out if nothing is. The rule says the
  first half only; for the second the formula is 0/0. Leaving out is what published code does (that of the 2nd place
  too: its metric returns None for such a film), and the one reading that fits the leaderboard: 6,012 of the 26,684
  training films have boxes, so counting the others as 1 would give an empty submission 0.77, and counting them as 0
  would hold a perfect one at 0.23, below the 0.25 that the challenge was won with.
- A hit overlaps by more than the threshold, as the rule's "greater than" says; published code has >=.
- Predictions choose in the order of their confidence, as the rule says, and each takes the true box that it overlaps
  most. Published code goes through the true boxes instead, which differs only where several boxes overlap one another.
- A film whose boxes are not known is none of the set; whoever calls leaves it out.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from hilum.measures.bootstrap import Measure, Weights, shares
from hilum.measures.boxes.overlap import Detections, Matches, match
from hilum.measures.figure import Floats

OVERLAPS = (0.40, 0.45, 0.50, 0.55, 0.60, 0.65, 0.70, 0.75)


def rsna_score(truths: Sequence[Floats], found: Sequence[Detections]) -> float:
    """The challenge's score of a set of films; NaN where no film counts."""
    return mean_of_counted(film_scores(match(truths, found, OVERLAPS)))


def rsna_measure(scores: Floats) -> Measure:
    """The score under weights, from that of each film."""
    counted = (~np.isnan(scores)).astype(np.float64)
    known = np.nan_to_num(scores)

    def measure(weights: Weights) -> Floats:
        return shares(weights @ known, weights @ counted)

    return measure


def film_scores(matches: Matches, score_threshold: float = -np.inf) -> Floats:
    """The score of each film by the predictions of at least this confidence; NaN for films that are left out.

    `matches` must have been made at OVERLAPS.
    """
    kept = matches.score >= score_threshold
    film, films = matches.film[kept], len(matches.true)
    found = np.stack([np.bincount(film, hits, films) for hits in matches.hit[kept].T], axis=1)
    # TP + FP is what was predicted, TP + FN is what is true.
    union = (np.bincount(film, minlength=films) + matches.true)[:, None] - found
    scores = np.divide(found, union, out=np.full(found.shape, np.nan), where=union > 0)
    return np.asarray(scores.mean(axis=1), np.float64)


def mean_of_counted(scores: Floats) -> float:
    """The mean over the films that count; NaN where none does."""
    counted = scores[~np.isnan(scores)]
    return float(counted.mean()) if counted.size else float("nan")
