"""Whose film each row of a manifest is, where anything says it."""

from __future__ import annotations

import polars as pl

from hilum.radiograph.patient import PATIENTS, Patient, patient_of

GROUP = "group"  # a column of one's own, which says child or adult where no age is known


def patients_of(films: pl.DataFrame) -> list[Patient | None]:
    """By age, or else by what the column `group` says."""
    stated = films[GROUP].to_list() if GROUP in films.columns else [None] * films.height
    return [
        patient_of(age) or next((patient for patient in PATIENTS if patient == group), None)
        for age, group in zip(films["age"].to_list(), stated, strict=True)
    ]
