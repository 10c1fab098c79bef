"""What networks that never saw the films say of them: only such an opinion can tell that a label is wrong."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from hilum.bundle.card import Card
from hilum.bundle.onnx_file import read_card
from hilum.bundle.predictor import Predictor
from hilum.dataset.audit.finding import counted
from hilum.dataset.folds import Folds
from hilum.dataset.manifest.manifest import Manifest
from hilum.evaluation.data_set import DataSet
from hilum.evaluation.guard import where_seen
from hilum.evaluation.judge import Scope, judge, with_truth
from hilum.evaluation.predictions import join_predictions, load_predictions
from hilum.measures.figure import EvaluationError, Floats


@dataclass(frozen=True, slots=True, eq=False)
class Opinion:
    """`films` are the rows of the manifest that were judged, with what their labels mean to the model (`may_be`), and
    `shares` the probability of each of the card's classes. `origin` says in words whose opinion it is."""

    card: Card
    films: pl.DataFrame
    shares: Floats
    origin: str
    notes: tuple[str, ...] = ()


def of_bundle(
    predictor: Predictor, manifest: Manifest, on_progress: Callable[[int, int], None] | None = None
) -> Opinion:
    """A bundle judges the films that its card does not name; the others are left out, and it is said how many."""
    card = predictor.card
    seen = pl.Series([split is not None for split in where_seen(card, manifest.table)], dtype=pl.Boolean)
    films = manifest.table.filter(~seen)
    if not films.height:
        raise EvaluationError(
            f"{predictor.path}: was trained or calibrated on all of these films, and knows their labels by heart; "
            "train with `hilum train MANIFEST --folds 5 -o RUN` and name that with --run, or name another bundle"
        )
    judged = judge(predictor, DataSet(Manifest(films, manifest.folder), "films"), Scope("all"), on_progress)
    left_out = int(seen.sum())
    notes = [f"{counted(left_out, 'film')} left out, on which the bundle was trained or calibrated"] if left_out else []
    if judged.predictions.failures:
        notes.append(f"{counted(len(judged.predictions.failures), 'film')} cannot be read")
    return Opinion(
        card,
        judged.films,
        judged.predictions.class_probabilities,
        f"the bundle {predictor.path.stem}, which never saw these films",
        tuple(notes),
    )


def of_folds(folder: Path, manifest: Manifest) -> Opinion:
    """What each fold's network said of the films left out of its training, and of the labels as they are now."""
    if not Folds.begun(folder):
        raise EvaluationError(
            f"{folder}: holds no folds; make them with `hilum train MANIFEST --folds 5 -o RUN`, so that every film is "
            "judged by a network that never saw it"
        )
    folds = Folds.at(folder)
    done = [fold for fold in range(folds.count) if folds.predictions(fold).is_file() and folds.bundle(fold).is_file()]
    if not done:
        raise EvaluationError(f"{folder}: no fold is finished; go on with `hilum train --resume {folder}`")
    said = join_predictions([load_predictions(folds.predictions(fold)) for fold in done])
    card = read_card(folds.bundle(done[0]))
    place = {digest: row for row, digest in enumerate(said.digests) if digest}
    known = with_truth(card, manifest.table)
    films = known.filter(pl.col("file_digest").is_in(list(place)))
    if not films.height:
        raise EvaluationError(f"{folder}: its networks judged none of these films; name the folds of this data set")
    rows = np.array([place[digest] for digest in films["file_digest"]], np.int64)
    notes = []
    if len(done) < folds.count:
        notes.append(f"{folds.count - len(done)} of {folds.count} folds are not finished, and their films left out")
    elif missing := known.height - films.height:
        notes.append(f"{counted(missing, 'film')} in no fold, as those of a test split, left out")
    changed = sum(said.labels[row] != (label or "") for row, label in zip(rows, films["label"], strict=True))
    if changed:
        notes.append(
            f"{counted(changed, 'label')} changed since the folds learned; train again to judge by the new ones"
        )
    origin = f"{counted(len(done), 'network')} of {folder.name}, each on the films that it never saw"
    return Opinion(card, films, said.class_probabilities[rows], origin, tuple(notes))
