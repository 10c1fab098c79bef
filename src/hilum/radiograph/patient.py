"""Whose film it is: a child's or an adult's. Nothing else is ever kept of a patient."""

from __future__ import annotations

from typing import Literal

Patient = Literal["child", "adult"]
PATIENTS: tuple[Patient, ...] = ("child", "adult")
ADULT = 18  # years from which on a patient is no child


def patient_of(age: float | None) -> Patient | None:
    """By an age in years; None where no age is known."""
    if age is None:
        return None
    return "adult" if age >= ADULT else "child"
