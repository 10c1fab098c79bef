"""Films of one's own as a bundle sees them: what it says of each, what is true, and whose films they are."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from hilum.bundle.card import Card
from hilum.bundle.predictor import Predictor
from hilum.bundle.reading import Reading
from hilum.dataset.manifest.side import side_of_film
from hilum.dataset.terms import sources
from hilum.evaluation.data_set import DataSet
from hilum.evaluation.guard import choose, refuse_seen, seen_films
from hilum.evaluation.judge import Judgement, Scope, judge, with_digests, with_truth
from hilum.evaluation.predictions import Predictions, load_predictions
from hilum.export.calibrate import Goals
from hilum.export.local.enough import shortage
from hilum.export.local.line import LEAST, Sample
from hilum.measures.figure import EvaluationError, Floats

OnProgress = Callable[[int, int], None]

VALIDATION, ALL = "val", "all"


@dataclass(frozen=True, slots=True, eq=False)
class LocalFilms:
    """`predictions` are of films whose truth is known, None without labels; `readings` of all that could be read,
    and `patients` whose they are.

    Where predictions come from a file, there are no readings. `digests` are of the films, for whoever asks to keep
    them.
    """

    name: str
    split: str
    manifest: str
    source: str
    predictions: Predictions | None
    readings: tuple[Reading, ...]
    patients: tuple[object, ...]
    digests: tuple[str, ...]
    unlabeled: int = 0

    @property
    def films(self) -> int:
        """How many there are."""
        return len(self.readings) if self.predictions is None else len(self.predictions)


def usual_split(data: DataSet) -> str:
    """Validation; every film of a data set in which nothing is set apart. The test films stay for the test."""
    side = data.manifest.table.select(side=side_of_film())["side"]
    return ALL if side.is_null().all() else VALIDATION


def of_judgement(judged: Judgement) -> LocalFilms:
    """Films that a bundle was just seen to judge."""
    return LocalFilms(
        judged.manifest_name,
        judged.split,
        judged.manifest.digest,
        ", ".join(sources(judged.manifest)),
        judged.predictions,
        judged.readings,
        tuple(judged.predictions.patients.tolist()),
        tuple(digest for digest in judged.predictions.digests if digest),
        judged.unlabeled,
    )


def labeled_films(
    predictor: Predictor, data: DataSet, split: str, on_progress: OnProgress = lambda done, total: None
) -> LocalFilms:
    """Films of known truth; those that the bundle was made with are refused."""
    return of_judgement(judge(predictor, data, Scope(split), on_progress))


def unlabeled_films(
    predictor: Predictor, data: DataSet, split: str, on_progress: OnProgress = lambda done, total: None
) -> LocalFilms:
    """Films of which nothing need be known."""
    rows = with_digests(data.manifest, choose(data.manifest, split))
    refuse_seen(seen_films(predictor.card, rows), rows.height, split)
    readings: list[Reading] = []
    kept: list[int] = []
    paths = [data.manifest.path(path) for path in rows["path"]]
    for row, reading in enumerate(predictor.readings(paths)):
        if isinstance(reading, Reading):
            readings.append(reading)
            kept.append(row)
        on_progress(row + 1, len(paths))
    if not readings:
        raise EvaluationError(f"none of the {len(paths):,} films could be read; `hilum inspect` says why")
    return LocalFilms(
        data.name,
        split,
        data.manifest.digest,
        ", ".join(sources(data.manifest)),
        None,
        tuple(readings),
        tuple(rows[kept]["patient"]),
        tuple(digest for digest in rows[kept]["file_digest"] if digest),
    )


def odds_of(predictions: Predictions, card: Card) -> Floats:
    """The log odds of pneumonia that a bundle gives, as exact as its probabilities are at both ends."""
    positive = np.array([name in card.positive for name in predictions.classes])
    shares = predictions.class_probabilities.astype(np.float64)
    inside, outside = (np.maximum(shares[:, columns].sum(1), LEAST) for columns in (positive, ~positive))
    return np.asarray(np.log(inside) - np.log(outside))


def sample_of(predictions: Predictions, card: Card) -> Sample:
    """All that a fit needs of the films."""
    return Sample(odds_of(predictions, card), predictions.truth, predictions.patients)


def check_labels(card: Card, data: DataSet, split: str, goals: Goals) -> None:
    """Refuse films whose labels alone say that they are too few."""
    known = with_truth(card, choose(data.manifest, split))
    counts = [known.filter(pl.col("truth") == sick)["patient"].n_unique() for sick in (True, False)]
    if short := shortage(counts[0], counts[1], goals):
        raise EvaluationError(
            f"{data.name}, split {split}: {short}; label more films (`hilum calibrate --plan` says how many make a "
            "figure how sure), name another split, or fit the gate alone with --unlabelled"
        )


def judged_before(folder: Path, predictor: Predictor) -> LocalFilms:
    """The films of an evaluation of this bundle, as it left them in its folder; of any other bundle it is refused."""
    predictions = load_predictions(folder)
    path = folder / "metrics.json"
    try:
        stated = json.loads(path.read_text(encoding="utf-8"))
        bundle, data, seen = stated["model"]["digest"], stated["data"], stated["training_films_judged"]
        name, digest, split = str(data["manifest"]), str(data["digest"]), str(data["split"])
    except (OSError, ValueError, KeyError, TypeError):
        raise EvaluationError(f"{path}: is not what `hilum evaluate` writes; evaluate again") from None
    if bundle != predictor.digest:
        raise EvaluationError(f"{folder}: is an evaluation of another bundle; evaluate {predictor.path.name} first")
    if seen:
        raise EvaluationError(f"{folder}: the bundle was made with some of these films; take others")
    return LocalFilms(
        name,
        split,
        digest,
        "unknown",
        predictions,
        (),
        tuple(predictions.patients.tolist()),
        tuple(digest for digest in predictions.digests if digest),
    )
