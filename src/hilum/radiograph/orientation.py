"""Turning a stored picture upright, named by EXIF's eight codes whatever the file format."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def upright(pixels: NDArray[np.float32], turn: int) -> NDArray[np.float32]:
    """Undo the turn with this EXIF code: 1 as stored, 3 half turn, 6 and 8 quarter turns, 2, 4, 5, 7 mirrored."""
    if turn in (5, 6, 7, 8):
        pixels = pixels.T
    if turn in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    if turn in (3, 4, 7, 8):
        pixels = pixels[::-1]
    return np.ascontiguousarray(pixels)


def turn_from_patient_orientation(rows_to: str, columns_to: str) -> int:
    """The EXIF code for a film whose rows and columns run to these body directions (DICOM's PatientOrientation).

    Upright is columns to the feet (F) and, on a frontal film, rows to the patient's left (L). A film is mirrored only
    where turning alone cannot bring that about; a lateral film (rows to A or P) never is.
    """
    if columns_to == "F":
        return 2 if rows_to == "R" else 1
    if columns_to == "H":
        return 4 if rows_to == "L" else 3
    if rows_to == "F":
        return 5 if columns_to == "L" else 6
    if rows_to == "H":
        return 7 if columns_to == "R" else 8
    return 1
