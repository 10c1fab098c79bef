"""hilum.calibrate: a bundle is made to fit films of one's own. Its weights stay; what follows them is fitted anew."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from hilum.bundle.card import BundleError, Calibration, Card
from hilum.bundle.format import GATE_LIMIT, line_names
from hilum.bundle.onnx_file import DIGEST, read_bytes, read_card, read_model, write_metadata, write_numbers
from hilum.bundle.predictor import Predictor, load
from hilum.bundle.trust.trial import remember
from hilum.evaluation.data_set import open_data_set
from hilum.evaluation.report.document import Document
from hilum.evaluation.report.page import write_page
from hilum.export.local.carded import local_card
from hilum.export.local.films import (
    LocalFilms,
    check_labels,
    judged_before,
    labeled_films,
    unlabeled_films,
    usual_split,
)
from hilum.export.local.outcome import Outcome, Wish, fit_bundle
from hilum.export.local.report import HEADER, make_document, sentences, summary
from hilum.measures.bootstrap import SEED, Resampling
from hilum.radiograph.patient import Patient
from hilum.system.files import write_whole
from hilum.system.notebook import html_table

OnProgress = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True, eq=False)
class LocalBundle:
    """A bundle that fits films of one's own, and what that changed: `card` is its card, `outcome` what was fitted.

    In a notebook it shows the figures before and after; `save` writes the bundle and, beside it, the report.

    >>> local = hilum.calibrate("model.onnx", "ours/manifest.parquet")
    >>> [change.name for change in local.outcome.parts[0].changes][:2]
    ['log_loss', 'ece']
    >>> saved = local.save("local.onnx")
    """

    card: Card
    outcome: Outcome
    document: Document
    content: bytes

    def summary(self) -> Iterator[tuple[str, ...]]:
        """Every figure before and after, under HEADER."""
        return summary(self.outcome)

    def sentences(self) -> list[str]:
        """What was fitted, how sure that is, and what stayed as it was."""
        return sentences(self.outcome)

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the bundle, and the report beside it under the same name with .html; returns the report's path."""
        path = Path(path)
        page = path.with_suffix(".html")
        write_whole(page, write_page(self.document))
        write_whole(path, self.content, check=read_card)
        remember(read_model(path)[DIGEST])  # the graph is its parent's, which ran here
        return page

    def _repr_html_(self) -> str:
        return html_table(self.document.title, HEADER, self.summary(), self.sentences())


def calibrate(
    model: str | os.PathLike[str] | Predictor,
    films: str | os.PathLike[str],
    out: str | os.PathLike[str] | None = None,
    *,
    split: str | None = None,
    targets: Mapping[str, float] | None = None,
    labeled: bool = True,
    keep_digests: bool = False,
    seed: int = SEED,
    on_progress: OnProgress = lambda doing, done, total: None,
) -> LocalBundle:
    """Fit calibration, operating points and the gate's limit of a bundle to films of known truth.

    `films` is a manifest, a folder of films named by class, or the folder that `hilum evaluate` wrote for this bundle,
    whose films need not be judged again. `split` is the one to take, val if left out, and every film where nothing is
    set apart. `targets` say what the points `sensitive` and `specific` hold on average over new films, as
    {"sensitivity": 0.9}; the first becomes the default point. Without labels the gate's limit is all that is fitted.
    With `keep_digests` the card keeps short digests of the films, so that nobody judges the bundle on them by mistake.
    `seed` is of folds and bootstrap. `on_progress` is told what is done, how far, of how many.

    >>> local = hilum.calibrate("model.onnx", "ours/manifest.parquet", "local.onnx", targets={"sensitivity": 0.9})
    >>> local.card.parents[0].digest == hilum.load("model.onnx").digest
    True
    >>> local.card.default_point, local.card.local.films
    ('sensitive', 240)

    Raises BundleError, ManifestError, SourceError, OSError where bundle or films cannot be opened, and EvaluationError
    where the films are too few, or no bundle must be fitted to them.
    """
    wish = Wish.of(targets or {}, labeled, keep_digests, Resampling(seed=seed))
    predictor = model if isinstance(model, Predictor) else load(model)
    check_place(predictor.path, out)
    parent = read_bytes(predictor.path)
    _named(predictor, lambda: write_numbers(parent, dict.fromkeys(names_of(predictor.card), 1.0)))
    seen = films_of(predictor, Path(films), split, wish, on_progress)
    on_progress("fitting", 0, 1)
    outcome = fit_bundle(predictor.card, predictor.digest, seen, wish)
    card = local_card(outcome)
    content = write_metadata(write_numbers(parent, numbers_of(card)), card)
    made = LocalBundle(card, outcome, make_document(outcome), content)
    if out is not None:
        made.save(out)
    return made


def films_of(predictor: Predictor, path: Path, split: str | None, wish: Wish, on_progress: OnProgress) -> LocalFilms:
    """The films at a path, judged by the bundle now or before."""
    if (path / "predictions.csv").is_file() and wish.labeled:
        return judged_before(path, predictor)
    data = open_data_set(path, partial(on_progress, "reading films"))
    chosen = split or usual_split(data)
    judging = partial(on_progress, "judging films")
    if not wish.labeled:
        return unlabeled_films(predictor, data, chosen, judging)
    check_labels(predictor.card, data, chosen, wish.goals)  # before hours are spent
    return labeled_films(predictor, data, chosen, judging)


def names_of(card: Card) -> list[str]:
    """The numbers of a bundle's file that can be set anew."""
    whose: list[Patient | None] = [group.name for group in card.groups] or [None]
    gate = [GATE_LIMIT] if card.gate is not None else []
    return [*(name for patient in whose for name in line_names(patient)), *gate]


def numbers_of(card: Card) -> dict[str, float]:
    """Their values, as a card states them."""
    numbers = {} if card.gate is None else {GATE_LIMIT: card.gate.limit}
    made: dict[Patient | None, Calibration] = {group.name: group.calibration for group in card.groups}
    if card.calibration is not None:
        made[None] = card.calibration
    for patient, each in made.items():
        numbers |= dict(zip(line_names(patient), (each.slope, each.offset), strict=True))
    return numbers


def check_place(parent: Path, out: str | os.PathLike[str] | None) -> None:
    """Where no bundle could be written is known before films are judged for it."""
    if out is None:
        return
    out = Path(out)
    if not out.parent.is_dir():
        raise BundleError(f"{out.parent}: there is no such folder")
    if out.is_dir() or out.suffix != ".onnx":
        raise BundleError(f"{out}: a bundle is a file that ends in .onnx; name it so")
    if out.exists() and out.samefile(parent):
        raise BundleError(f"{out}: is the bundle that is calibrated, which stays as it is; name another file")


def _named(predictor: Predictor, check: Callable[[], object]) -> None:
    try:
        check()
    except BundleError as error:
        raise BundleError(f"{predictor.path}: {error}") from None
