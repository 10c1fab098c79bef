"""`hilum.doubt`: labels that may be wrong. `hilum data doubt` calls it and prints what comes."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from hilum.bundle.prediction import RESEARCH_USE
from hilum.bundle.predictor import Predictor, load
from hilum.dataset.audit import AuditedFilms, gather
from hilum.dataset.manifest.manifest import Manifest, load_manifest
from hilum.dataset.store.store import build_store
from hilum.evaluation.doubt.confident import Estimate
from hilum.evaluation.doubt.opinion import Opinion, of_bundle, of_folds
from hilum.evaluation.doubt.page import write_doubt_page
from hilum.evaluation.doubt.sides import Sides, sides_of
from hilum.evaluation.doubt.suspects import COLUMNS, Suspect, judged_films, suspects_of
from hilum.evaluation.judge import with_digests
from hilum.measures.bootstrap import SEED, Resampling
from hilum.measures.figure import EvaluationError, Figure
from hilum.radiograph.geometry import Geometry
from hilum.system.files import write_whole
from hilum.system.notebook import html_table
from hilum.system.rows import csv_text

OnProgress = Callable[[str, int, int], None]

HEADER = ("labels", "films", "wrong by estimate", "share", "95% interval")
SIZE = 224  # the audit's, and the usual one of training, which then finds its films decoded
FEWEST = 20  # films of a source, below which no share of them is estimated
NO_MODEL = "no model was named, so labels are compared with copies and boxes alone; name --run or --bundle"


@dataclass(frozen=True, slots=True)
class Wrong:
    """How many labels are wrong among films of a kind, by estimate.

    >>> everywhere = hilum.doubt("films/manifest.parquet", bundle="model.onnx").wrong[0]
    >>> 0 <= everywhere.share.value <= 1, everywhere.films > 0
    (True, True)
    """

    of: str
    films: int
    share: Figure

    def row(self) -> tuple[str, str, str, str, str]:
        """Under HEADER."""
        value, low, high = self.share.value or 0.0, self.share.low, self.share.high
        interval = self.share.why if low is None or high is None else f"{low:.1%} to {high:.1%}"
        return self.of, f"{self.films:,}", f"{value * self.films:,.0f}", f"{value:.1%}", interval


@dataclass(frozen=True, slots=True, eq=False)
class Doubts:
    """Films whose label may be wrong, the worst first, and how many labels are wrong by estimate.

    `wrong` begins with all films judged, and goes on by label and by source; it is empty where no model was named.

    >>> doubts = hilum.doubt("films/manifest.parquet", bundle="model.onnx")
    >>> [suspect.score for suspect in doubts.suspects] == sorted((s.score for s in doubts.suspects), reverse=True)
    True
    >>> doubts.wrong[0].of
    'all'
    """

    films: AuditedFilms
    suspects: tuple[Suspect, ...]
    wrong: tuple[Wrong, ...]
    origin: str
    notes: tuple[str, ...]

    def rows(self) -> list[dict[str, Any]]:
        """One row a suspect, for a data frame: what --csv holds."""
        return [suspect.row() for suspect in self.suspects]

    def to_dict(self) -> dict[str, Any]:
        """Plain data."""
        wrong = [{"of": each.of, "films": each.films, "share": each.share.describe()} for each in self.wrong]
        return {"opinion": self.origin, "wrong": wrong, "suspects": self.rows(), "notes": list(self.notes)}

    def summary(self) -> Iterator[tuple[str, str, str, str, str]]:
        """How many are wrong, under HEADER."""
        return (each.row() for each in self.wrong)

    def save_csv(self, path: str | os.PathLike[str]) -> None:
        """The list that `hilum label --order doubt --suspects` takes up."""
        write_whole(Path(path), csv_text([COLUMNS, *(row.values() for row in self.rows())]))

    def save_page(self, path: str | os.PathLike[str]) -> None:
        """The same with pictures, as a page that needs nothing else."""
        write_whole(Path(path), write_doubt_page(self))

    def _repr_html_(self) -> str:
        return html_table(f"labels in doubt, by {self.origin}", HEADER, self.summary(), [*self.notes, RESEARCH_USE])


def doubt(
    films: str | os.PathLike[str] | Manifest,
    *,
    bundle: str | os.PathLike[str] | Predictor | None = None,
    run: str | os.PathLike[str] | None = None,
    seed: int = SEED,
    on_progress: OnProgress = lambda doing, done, total: None,
) -> Doubts:
    """Find labels of a manifest that may be wrong.

    A model's opinion is worth something only of films that it never saw: that of the folds in the folder `run`, which
    `hilum train --folds` made, or of a `bundle`, of which films that it was trained or calibrated on are left out.
    Confident learning (cleanlab) tells from it which labels are wrong and how many. Copies of a film under different
    labels, and boxes that contradict the label, need no model. `seed` is of the bootstrap over patients.

    >>> worst = hilum.doubt("films/manifest.parquet", bundle="model.onnx").suspects[0]
    >>> 0.5 <= worst.score <= 1, worst.found_by
    (True, ('model',))

    Raises ManifestError, BundleError or StoreError where something cannot be opened, and EvaluationError where the
    model knows these films or tells none of their labels apart.
    """
    if bundle is not None and run is not None:
        raise EvaluationError("name folds (--run) or a bundle (--bundle), not both")
    predictor = bundle if isinstance(bundle, Predictor) or bundle is None else load(bundle)
    manifest = films if isinstance(films, Manifest) else load_manifest(films)
    manifest = Manifest(with_digests(manifest, manifest.table), manifest.folder, manifest.notices)
    opinion, sides = None, None
    if run is not None:
        opinion = of_folds(Path(run), manifest)
    elif predictor is not None:
        opinion = of_bundle(predictor, manifest, partial(on_progress, "judging films"))
    if opinion is not None:
        sides = sides_of(opinion)
    store = build_store(
        manifest,
        Geometry("squash", SIZE, SIZE),
        skip_bad=manifest.table.height,
        on_progress=partial(on_progress, "decoding films"),
    )
    audited = gather(manifest, store, on_progress)
    judged = {} if opinion is None or sides is None else judged_films(opinion, sides)
    return Doubts(
        audited,
        tuple(suspects_of(audited, judged)),
        () if opinion is None or sides is None else tuple(_wrong(opinion, sides, Resampling(seed=seed))),
        "copies and boxes alone" if opinion is None else opinion.origin,
        (NO_MODEL,) if opinion is None else opinion.notes,
    )


def _wrong(opinion: Opinion, sides: Sides, resampling: Resampling) -> Iterator[Wrong]:
    films = opinion.films
    estimate = Estimate(sides, films["patient"].to_numpy(), resampling)
    yield Wrong("all", films.height, estimate.share())
    for place, name in enumerate(sides.names):
        chosen = sides.given == place
        yield Wrong(f"labeled {name}", int(chosen.sum()), estimate.share(chosen))
    sources = films["source"].to_numpy()
    known = sorted(set(sources) - {None})
    for source in known if len(known) > 1 else ():
        chosen = np.asarray(sources == source, np.bool_)
        if chosen.sum() >= FEWEST:
            yield Wrong(f"from {source}", int(chosen.sum()), estimate.share(chosen))
