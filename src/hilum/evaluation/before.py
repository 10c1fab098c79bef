"""The probabilities that a bundle would have given without its calibration, taken back from those it gives."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from hilum.bundle.card import Calibration, Card
from hilum.measures.figure import Floats

SMALLEST = 1e-12
UNTOUCHED = "So its probabilities are the network's own."


def before_calibration(
    card: Card, probability: Floats, class_probabilities: Floats, patients: Sequence[str | None] = ()
) -> tuple[Floats | None, str]:
    """The probability of pneumonia before calibration; or None, and why it cannot be told.

    `patients` are the groups that the films were judged as, of a bundle that has such.
    """
    if card.calibration is not None:
        return _undone(card, card.calibration, probability, class_probabilities)
    before = np.empty_like(probability)
    for group in card.groups:
        films = np.array([patient == group.name for patient in patients], bool)
        part, why = _undone(card, group.calibration, probability[films], class_probabilities[films])
        if part is None and why != UNTOUCHED:
            return None, why
        before[films] = probability[films] if part is None else part
    return before, ""


def _undone(
    card: Card, done: Calibration, probability: Floats, class_probabilities: Floats
) -> tuple[Floats | None, str]:
    positive = np.array([name in card.positive for name in card.classes])
    if (done.slope, done.offset) != (1.0, 0.0):
        # The line is the last thing done. It moves the log odds of pneumonia and leaves the shares on either side.
        chance = _off_the_line(probability, done.slope, done.offset)
        share = np.clip(probability, SMALLEST, 1 - SMALLEST)
        factors = np.where(positive, (chance / share)[:, None], ((1 - chance) / (1 - share))[:, None])
        probability, class_probabilities = chance, class_probabilities * factors
    if done.method == "none" or (done.method == "temperature" and done.temperature == 1):
        return (None, UNTOUCHED) if (done.slope, done.offset) == (1.0, 0.0) else (probability, "")
    if done.method == "temperature":
        # log p is logits / T but for a constant of the film, which the softmax does not see.
        scores = np.log(np.maximum(class_probabilities, SMALLEST)) * done.temperature
        shares = np.exp(scores - scores.max(1, keepdims=True))
        return np.clip(shares[:, positive].sum(1) / shares.sum(1), 0, 1), ""
    if done.method == "platt" and done.x[0] != 0:
        return _off_the_line(probability, *done.x), ""
    return None, f"A calibration by {done.method} regression cannot be undone: several scores become one probability."


def _off_the_line(probability: Floats, slope: float, offset: float) -> Floats:
    """The probability whose log odds, times the slope and with the offset, are those of this one."""
    chance = np.clip(probability, SMALLEST, 1 - SMALLEST)
    score = (np.log(chance) - np.log1p(-chance) - offset) / slope
    return np.asarray(1 / (1 + np.exp(-np.clip(score, -500, 500))))
