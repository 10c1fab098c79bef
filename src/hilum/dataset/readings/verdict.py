"""What several readings of one film come to: by majority, by whoever settled it, or by one reader alone. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from hilum.dataset.readings.reading import Box, Reading
from hilum.measures.boxes.overlap import overlap

MAJORITY, ADJUDICATED = "majority", "adjudicated"
NOT_READABLE, LATERAL, UNDECIDED = "not readable", "lateral", "undecided"
SAME_BOX = 0.4  # overlap from which two readers' boxes mean the same


class Verdict(NamedTuple):
    """What a film is said to show, and who says so. `label` is None where `why_none` says why."""

    label: str | None
    origin: str
    why_none: str | None = None
    boxes: tuple[Box, ...] = ()
    doubt: bool = False


def verdict(readings: Sequence[Reading], by: str) -> Verdict | None:
    """Of the readings of one film; None where whoever decides has not read it.

    `by` is "majority", "adjudicated" or a reader's name. Second showings only measure readers, and decide nothing.
    """
    first = [each for each in readings if each.round == "first" and not each.repeat]
    settled = [each for each in readings if each.round == "adjudication"]
    if by == MAJORITY:
        return _of_many(first) if first else None
    if by == ADJUDICATED:
        if settled:
            last = max(settled, key=lambda each: each.given)
            return _of_one(last, f"adjudicated by {last.reader}")
        if not first:
            return None
        return _of_many(first) if len({_word(each) for each in first}) == 1 else Verdict(None, UNDECIDED, UNDECIDED)
    own = [each for each in first if each.reader == by]
    return _of_one(own[0], f"read by {by}") if own else None


def _word(reading: Reading) -> tuple[str | None, str | None]:
    """The label, or why there is none: hilum judges upright frontal films that can be read."""
    if not reading.readable:
        return None, NOT_READABLE
    if reading.lateral:
        return None, LATERAL
    return reading.label, None if reading.label is not None else UNDECIDED


def _of_one(reading: Reading, origin: str) -> Verdict:
    label, why_none = _word(reading)
    return Verdict(label, origin, why_none, tuple(reading.boxes), reading.doubt)


def _of_many(readings: Sequence[Reading]) -> Verdict:
    if len(readings) == 1:
        return _of_one(readings[0], f"read by {readings[0].reader}")
    (word, votes), *_ = Counter(map(_word, readings)).most_common()
    if 2 * votes <= len(readings):
        return Verdict(None, UNDECIDED, UNDECIDED)
    agreeing = [each for each in readings if _word(each) == word]
    origin = f"{votes} of {len(readings)} readers"
    return Verdict(*(word[0], origin, word[1]), agreed_boxes(agreeing), any(each.doubt for each in agreeing))


def agreed_boxes(readings: Sequence[Reading]) -> tuple[Box, ...]:
    """Boxes that more than half of the readers drew, each the mean of theirs."""
    left = {number: list(reading.boxes) for number, reading in enumerate(_in_order(readings))}
    agreed: list[Box] = []
    for number in left:
        while left[number]:
            box = left[number].pop(0)
            same = [box, *(found for other in left if other > number if (found := _take(left[other], box)))]
            if 2 * len(same) > len(readings):
                agreed.append(_mean(same))
    return tuple(agreed)


def _in_order(readings: Sequence[Reading]) -> list[Reading]:
    return sorted(readings, key=lambda each: each.reader)


def _take(boxes: list[Box], wanted: Box) -> Box | None:
    """Take the box that overlaps the most with the one that is wanted, if one does enough."""
    shares = [float(overlap(_sides(wanted), _sides(box))) for box in boxes]
    best = int(np.argmax(shares)) if shares else -1
    return boxes.pop(best) if shares and shares[best] >= SAME_BOX else None


def _mean(boxes: Sequence[Box]) -> Box:
    x, y, width, height = np.mean([_sides(box) for box in boxes], axis=0).tolist()
    labels = Counter(box.label for box in boxes).most_common(1)
    return Box(x, y, width, height, labels[0][0])


def _sides(box: Box) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    return np.array([box.x, box.y, box.width, box.height], np.float64)
