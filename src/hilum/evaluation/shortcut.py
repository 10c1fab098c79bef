"""How well the files tell the classes apart without a look at the lungs: the bar that a model has to clear."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from hilum.dataset.audit.films import AuditedFilms
from hilum.dataset.audit.fingerprint import SMALL, thumbnails
from hilum.dataset.audit.shortcut import border_shares, find_shortcuts
from hilum.dataset.manifest.manifest import Manifest
from hilum.dataset.store.store import build_store
from hilum.evaluation.judge import Judgement
from hilum.radiograph.geometry import Geometry


@dataclass(frozen=True, slots=True)
class Shortcut:
    """What the audit says of the judged films. `auc` is that of metadata alone, None where it cannot be measured.

    `borders` are the shares of films that are black margin, by their paths.
    """

    auc: float | None
    standard_error: float | None
    sentences: tuple[str, ...]
    figures: dict[str, Any]
    borders: dict[str, float]


def metadata_alone(judgement: Judgement) -> Shortcut:
    """The audit's test on the judged split: a small forest sees size, encoding and border, never lungs."""
    scanned = judgement.films.filter(pl.col("file_digest").is_not_null()).sort("path")
    table = scanned.with_columns(pneumonia=pl.col("truth")).drop("truth", "target")
    manifest = Manifest(table, judgement.manifest.folder)
    with tempfile.TemporaryDirectory() as folder:
        store = build_store(manifest, Geometry("squash", SMALL, SMALL), Path(folder), skip_bad=table.height)
        stored = store.rows(table["file_digest"].to_list())
        readable = stored[stored >= 0]
        picture = np.full(table.height, -1, np.int64)
        picture[stored >= 0] = np.arange(len(readable))
        paths = table["path"].to_list()
        small = thumbnails(store.pixels, readable)
        shown = [path for path, place in zip(paths, picture, strict=True) if place >= 0]
        borders = dict(zip(shown, map(float, border_shares(small)), strict=True))
        # The audit's own gathering looks for copies as well, which no shortcut needs.
        films = AuditedFilms(
            manifest=manifest,
            table=table,
            store=store,
            picture=picture,
            small=small,
            structure=np.empty((0,), np.float32),
            identical=[],
            similar=[],
            paths=paths,
            sides=[None] * len(paths),
            side_column="split",
        )
        findings = find_shortcuts(films)
    figures = next((finding.figures for finding in findings if finding.kind == "metadata_shortcut"), {})
    sentences = tuple(finding.sentence for finding in findings)
    return Shortcut(figures.get("auc"), figures.get("standard_error"), sentences, figures, borders)
