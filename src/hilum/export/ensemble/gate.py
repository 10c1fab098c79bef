"""The gate of an ensemble, as nodes of its graph: a film is turned away when most parents turn it away.

Each parent says how surely it does: how many times its limit the film's distance is, or the probability that the film
is not upright. Above 1 it turns the film away. In the order of these numbers, the highest first, there is one at which
most parents, more than half, have spoken: its row is the ensemble's. So a film passes or not as most decide, and the
reason is one that a parent gave.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from onnx import numpy_helper

from hilum.bundle.card import GateCard
from hilum.bundle.format import DISTANCE, GATE, GATE_LIMIT
from hilum.export.ensemble.nodes import Nodes


def vote_in_graph(nodes: Nodes, rows: Sequence[str], cards: Sequence[GateCard]) -> None:
    """`gate` of the ensemble, from the rows of its parents; it has all states that any of them knows."""
    add, number = nodes.add, nodes.number
    columns = 1 + len(states_of(cards))
    alike = [_alike(nodes, row, card, columns, limit_of(cards)) for row, card in zip(rows, cards, strict=True)]
    limit, first = number(limit_of(cards), np.float32), number([DISTANCE], np.int64)
    each = []
    for row in alike:
        distance = add("Gather", row, first, axis=1)
        each.append(add("Max", distance, add("Div", _not_upright(nodes, row), limit)))
    nodes.several(
        "TopK",
        [add("Concat", *each, axis=1), number([len(rows)], np.int64)],
        [f"{GATE}.surest", f"{GATE}.order"],
        axis=1,
    )
    at_which_most = add("Gather", f"{GATE}.order", number([len(rows) // 2], np.int64), axis=1)
    second = number([1], np.int64)
    stacked = add("Concat", *(add("Unsqueeze", row, second) for row in alike), axis=1)
    row = add("GatherND", stacked, at_which_most, batch_dims=1)
    # Films of one's own may set the limit of the distance anew, so it stands in the file by its name.
    nodes.numbers.append(numpy_helper.from_array(np.asarray(1, np.float32), GATE_LIMIT))
    sizes = number([1, columns - 1], np.int64)
    nodes.several("Split", [row, sizes], [f"{GATE}.distance", f"{GATE}.states"], axis=1)
    add("Concat", add("Div", f"{GATE}.distance", GATE_LIMIT), f"{GATE}.states", axis=1, called=GATE)


def states_of(cards: Sequence[GateCard]) -> list[str]:
    """Those of the parent that knows most; each list begins with all of a shorter one."""
    return max((card.states for card in cards), key=len)


def limit_of(cards: Sequence[GateCard]) -> float:
    """The limit of not being upright that the ensemble's card has: the lowest of its parents'."""
    return min(card.turned_limit for card in cards)


def _alike(nodes: Nodes, row: str, card: GateCard, columns: int, limit: float) -> str:
    """A parent's row with the columns of the ensemble, its probabilities such that the ensemble's limit fits them."""
    if missing := columns - 1 - len(card.states):
        row = nodes.add("Pad", row, nodes.number([0, 0, 0, missing], np.int64))
    if card.turned_limit == limit:
        return row
    factors = np.full((1, columns), limit / card.turned_limit)
    factors[0, :2] = 1
    scaled = nodes.add("Mul", row, nodes.number(factors, np.float32))
    # What is upright gets the rest, so that probabilities still add up to 1.
    away = nodes.add("Sub", _not_upright(nodes, row), _not_upright(nodes, scaled))
    upright = np.zeros((1, columns))
    upright[0, 1] = 1
    return nodes.add("Add", scaled, nodes.add("Mul", away, nodes.number(upright, np.float32)))


def _not_upright(nodes: Nodes, row: str) -> str:
    bounds = (nodes.number([each], np.int64) for each in (2, np.iinfo(np.int64).max, 1))
    return nodes.add("ReduceSum", nodes.add("Slice", row, *bounds), nodes.number([1], np.int64), keepdims=1)
