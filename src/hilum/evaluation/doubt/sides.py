"""Which labels a model can tell apart: the classes between which a label may be wrong."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hilum.evaluation.doubt.opinion import Opinion
from hilum.evaluation.predictions import NEGATIVE, POSITIVE
from hilum.measures.figure import EvaluationError, Floats, Ints


@dataclass(frozen=True, slots=True, eq=False)
class Sides:
    """Of each film the side that its label is on, and the model's probability of each side."""

    names: tuple[str, ...]
    given: Ints
    shares: Floats


def sides_of(opinion: Opinion) -> Sides:
    """Classes that one label may stand for are one side, since no model could say that such a label is wrong.

    A class that no label speaks of goes with the only side that means the same, and is left out where there are more.
    """
    card, films = opinion.card, opinion.films
    positive = {number for number, name in enumerate(card.classes) if name in card.positive}
    negative = set(range(len(card.classes))) - positive
    meant = [
        frozenset(numbers) or frozenset(positive if truth else negative)
        for numbers, truth in films.select("may_be", "truth").iter_rows()
    ]
    sides: list[set[int]] = []
    for classes in sorted(set(meant), key=sorted):
        touched = [side for side in sides if side & classes]
        sides = [side for side in sides if not side & classes] + [set(classes).union(*touched)]
    sides.sort(key=min)
    for number in sorted(set(range(len(card.classes))).difference(*sides)):
        alike = [side for side in sides if side <= (positive if number in positive else negative)]
        if len(alike) == 1:
            alike[0].add(number)
    if len(sides) < 2:
        raise EvaluationError("all labels here mean the same to the model, so it can doubt none of them")
    given = np.array(
        [next(place for place, side in enumerate(sides) if classes <= side) for classes in meant], np.int64
    )
    shares = np.stack([opinion.shares[:, sorted(side)].sum(1) for side in sides], 1)
    # A film of none of these, as a class that was left out, says nothing: it is as likely each.
    whole = shares.sum(1, keepdims=True)
    shares = np.divide(shares, whole, out=np.full_like(shares, 1 / len(sides)), where=whole > 0)
    labels = films["label"].to_list()
    names = []
    for place, side in enumerate(sides):
        of_side = {labels[row] for row in np.flatnonzero(given == place)} - {None}
        if len(of_side) == 1:
            names.append(str(of_side.pop()))
        elif side == positive:
            names.append(POSITIVE)
        elif side == negative:
            names.append(NEGATIVE)
        else:
            names.append(" or ".join(card.classes[number] for number in sorted(side)))
    return Sides(tuple(names), given, shares)
