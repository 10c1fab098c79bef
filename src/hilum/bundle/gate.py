"""The gate: whether a picture is an upright frontal chest film at all, asked before any probability is shown.

Plain checks look at the Radiograph; the rest reads what the bundle's graph says of it. NumPy only.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hilum.bundle.card import GateCard
from hilum.bundle.format import DISTANCE, LATERAL, NO_TWO_LUNGS
from hilum.bundle.reading import Verdict
from hilum.radiograph.radiograph import Radiograph
from hilum.radiograph.raster import STRONGLY_COLORED

SMALLEST = 64  # pixels of the shorter side
LONGEST = 3.5  # sides to each other; films cut to the lungs of a small child may be twice as wide as high, and wider
FLAT = 0.02  # standard deviation of the grey levels, where black is 0 and white is 1; the palest films have 0.05
# What each state of format.py but upright and no chest film is called: the reason, how the film looks, what to do.
NAMED = {
    "turned by 90": ("rotated", "looks turned clockwise by 90 degrees", "turn it back by 90 degrees and try again"),
    "turned by 180": ("rotated", "looks turned clockwise by 180 degrees", "turn it by 180 degrees and try again"),
    "turned by 270": ("rotated", "looks turned clockwise by 270 degrees", "turn it back by 270 degrees and try again"),
    "inverted": ("inverted", "looks inverted, black for white", "invert it (hilum predict --invert) and try again"),
    LATERAL: ("lateral", "looks like a lateral film", "give the frontal one of the study"),
    NO_TWO_LUNGS: ("no_two_lungs", "no two lungs were found", "give one whole upright frontal chest film"),
}
# A picture that is no chest film at all often resembles an inverted or a turned one more than anything else the gate
# knows. Of chest films that are, 95 of 100 are more surely so than this; of hip films, slices and photographs none is.
SURE = 0.98
# What is no chest film seldom looks lateral, and of lateral films of patients not learned from 25 of 28 reach this.
# That no two lungs were found is true of whatever else it may be.
LESS_SURE = {LATERAL: 0.85, NO_TWO_LUNGS: 0.0}


def plain_checks(radiograph: Radiograph) -> Verdict | None:
    """What is wrong with a picture as seen without the network; None where nothing is."""
    short, long = sorted((radiograph.height, radiograph.width))
    if short < SMALLEST:
        size = f"{radiograph.width} x {radiograph.height} pixels"
        return _refused("too_small", f"{size} show no detail of a lung; give the film at its full size")
    if radiograph.colorfulness > STRONGLY_COLORED:
        return _refused("color_photograph", "a color picture, and films are grey; give the file that the film came in")
    if long > LONGEST * short:
        return _refused(
            "odd_shape", f"one side is {long / short:.1f} times the other; give one whole frontal chest film"
        )
    if radiograph.lateral:
        return _refused("lateral", "its header calls it a lateral film; give the frontal one of the study")
    if float(radiograph.pixels.std()) < FLAT:
        return _refused("blank", "nearly the same grey everywhere; look at the picture, and export the film again")
    return None


def verdict(radiograph: Radiograph, gate_row: NDArray[np.float32] | None, card: GateCard | None) -> Verdict:
    """Passed, or the first reason to abstain. A bundle without a gate is left with the plain checks.

    `gate_row` is what the graph's output `gate` says of the film, in the columns of format.py.
    """
    distance = None if gate_row is None else float(gate_row[DISTANCE])
    if refused := plain_checks(radiograph):
        return refused._replace(distance=distance)
    if gate_row is None or distance is None or card is None:
        return Verdict(True)
    if not_upright(gate_row) > card.turned_limit:
        return _refused(*_named(gate_row, card.states), distance)
    # Not `> 1`: a network that gives no number has not seen a film.
    if not distance <= 1:
        return _refused("not_a_chest_film", _unlike(distance), distance)
    return Verdict(True, distance=distance)


def not_upright(gate_row: NDArray[np.float32]) -> float:
    """The probability that a film is turned, inverted, lateral, no chest film at all, or without two lungs."""
    return float(gate_row[2:].sum())


def _named(gate_row: NDArray[np.float32], states: list[str]) -> tuple[str, str]:
    place = 2 + int(gate_row[2:].argmax())
    unlike = _unlike(float(gate_row[DISTANCE]))
    if states[place - 1] not in NAMED:
        return "not_a_chest_film", unlike
    reason, looks, repair = NAMED[states[place - 1]]
    if gate_row[place] < LESS_SURE.get(states[place - 1], SURE):
        return "not_a_chest_film", f"{unlike} (if it is one, it {looks})"
    return reason, f"{looks}; {repair}"


def _unlike(distance: float) -> str:
    far = f" ({distance:.1f} times the limit)" if distance > 1 else ""
    return f"unlike the films this model knows{far}; give an upright frontal chest film"


def _refused(reason: str, detail: str, distance: float | None = None) -> Verdict:
    return Verdict(False, reason, detail, distance)
