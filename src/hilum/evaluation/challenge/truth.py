"""A submission beside the manifest that knows what is true."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path, PurePath
from typing import NamedTuple

import numpy as np
import polars as pl

from hilum.dataset.manifest.manifest import Manifest
from hilum.dataset.manifest.side import side_of_film
from hilum.evaluation.challenge.submission import SubmissionError
from hilum.measures.boxes.overlap import Detections
from hilum.measures.figure import Floats


class Judgeable(NamedTuple):
    """Films of a manifest whose boxes are known, and what a submission says of them, in fractions."""

    truths: list[Floats]
    found: list[Detections]
    patients: list[str]
    notices: list[str]


def join_manifest(submission: Mapping[str, Detections], path: Path, manifest: Manifest, split: str | None) -> Judgeable:
    """Truth and prediction of each film of the manifest, or of one split; films are known by the stem of their name."""
    table = manifest.table
    if split is not None:
        table = table.filter(side_of_film() == split)
        if table.is_empty():
            raise SubmissionError(
                f"no film of the manifest is in the split {split}; `hilum data show` lists the splits"
            )
    known = table.filter(pl.col("boxes").is_not_null())
    if known.is_empty():
        raise SubmissionError("the manifest knows the boxes of no film, so there is nothing to score against")
    names = [PurePath(place).stem for place in known["path"]]
    if len(set(names)) < len(names):
        twice = next(name for place, name in enumerate(names) if name in names[:place])
        raise SubmissionError(f"{twice}: two films of that name in the manifest; a submission cannot tell them apart")
    if absent := [name for name in names if name not in submission]:
        raise SubmissionError(
            f"{path}: {len(absent):,} of {len(names):,} films have no row, the first being {absent[0]}; "
            "a film without boxes has one with an empty PredictionString, and --split scores a part of the manifest"
        )
    if known["width"].null_count() or known["height"].null_count():
        raise SubmissionError("the manifest lacks the size of some films; `hilum data import` finds it")
    found = []
    for name, width, height in zip(names, known["width"], known["height"], strict=True):
        boxes, scores = submission[name]
        fractions = boxes / (width, height, width, height)
        if (fractions[:, :2] > 1.5).any() or (fractions[:, :2] < -0.5).any():
            raise SubmissionError(
                f"{path}: {name}: a box lies outside the film of {width} x {height}; "
                "boxes must be in pixels of the films of the manifest"
            )
        found.append(Detections(fractions, scores))
    notices = []
    if unknown := table.height - known.height:
        notices.append(f"{unknown:,} films left out, whose boxes are not known")
    if others := len(submission.keys() - set(names)):
        notices.append(f"{others:,} rows left out, of films that are not judged here")
    truths = [np.array(boxes, np.float64).reshape(-1, 4) for boxes in known["boxes"].to_list()]
    return Judgeable(truths, found, known["patient"].to_list(), notices)
