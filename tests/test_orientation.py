"""Films are turned upright from what EXIF or DICOM states."""

from __future__ import annotations

import numpy as np
import pytest

from hilum.radiograph.orientation import turn_from_patient_orientation, upright

OPPOSITE = {"L": "R", "R": "L", "A": "P", "P": "A", "H": "F", "F": "H"}


def directions_after(turn: int, rows_to: str, columns_to: str) -> tuple[str, str]:
    """Where rows and columns run to after a turn, found by turning a marked picture."""
    marked = np.zeros((5, 7), np.float32)
    marked[2, 6], marked[4, 3] = 1, 2  # the ends of the middle row and of the middle column
    turned = upright(marked, turn)
    height, width = turned.shape

    def direction(y: int, x: int) -> str:
        value = turned[y, x]
        if value == 1:
            return rows_to
        if value == 2:
            return columns_to
        return ""

    right, left = direction(height // 2, width - 1), direction(height // 2, 0)
    bottom, top = direction(height - 1, width // 2), direction(0, width // 2)
    return right or OPPOSITE[left], bottom or OPPOSITE[top]


@pytest.mark.parametrize("across", ["L", "R"])
@pytest.mark.parametrize("along", ["H", "F"])
@pytest.mark.parametrize("transposed", [False, True])
def test_every_stated_frontal_orientation_ends_upright(across: str, along: str, transposed: bool) -> None:
    rows_to, columns_to = (along, across) if transposed else (across, along)
    turn = turn_from_patient_orientation(rows_to, columns_to)
    assert directions_after(turn, rows_to, columns_to) == ("L", "F")


@pytest.mark.parametrize("across", ["A", "P"])
@pytest.mark.parametrize("along", ["H", "F"])
@pytest.mark.parametrize("transposed", [False, True])
def test_lateral_films_end_upright_and_are_never_mirrored(across: str, along: str, transposed: bool) -> None:
    rows_to, columns_to = (along, across) if transposed else (across, along)
    turn = turn_from_patient_orientation(rows_to, columns_to)
    assert directions_after(turn, rows_to, columns_to)[1] == "F"
    assert turn in (1, 3, 6, 8)


@pytest.mark.parametrize(("rows_to", "columns_to"), [("L", "P"), ("A", "L"), ("X", "Y")])
def test_other_planes_are_left_alone(rows_to: str, columns_to: str) -> None:
    assert turn_from_patient_orientation(rows_to, columns_to) == 1
