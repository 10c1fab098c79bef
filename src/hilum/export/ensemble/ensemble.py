"""`hilum.ensemble`: several bundles become one. `hilum ensemble` calls it and prints what comes."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from hilum.bundle.card import BundleError, Card, DataCard, join_digests
from hilum.bundle.format import line_names
from hilum.bundle.onnx_file import DIGEST, read_card, read_model, write_metadata, write_numbers
from hilum.bundle.predictor import Predictor, load
from hilum.bundle.trust.trial import remember
from hilum.dataset.manifest.manifest import load_manifest
from hilum.dataset.manifest.side import side_of_film
from hilum.evaluation.data_set import DataSet, open_data_set
from hilum.evaluation.guard import choose, seen_films
from hilum.evaluation.judge import Judgement, Scope, judge, with_digests
from hilum.export.data_card import describe_data
from hilum.export.ensemble.baseline import baseline
from hilum.export.ensemble.fitting import Means, calibrations, fitted, fitted_boxes, fitted_out_of_fold
from hilum.export.ensemble.graph import join_graphs
from hilum.export.ensemble.merged import merge_cards
from hilum.export.ensemble.named import OutOfFold, named
from hilum.export.ensemble.parents import largest, open_parents
from hilum.export.ensemble.resized import differences, some
from hilum.export.local.films import VALIDATION, usual_split
from hilum.system.files import write_whole

OnProgress = Callable[[str, int, int], None]
COMPARED_FILMS = 100  # of which smaller films are made in both ways


def ensemble(
    bundles: Sequence[str | os.PathLike[str]],
    out: str | os.PathLike[str],
    *,
    val: str | os.PathLike[str] | None = None,
    on_progress: OnProgress = lambda doing, done, total: None,
) -> Predictor:
    """Make one bundle of several, whose answers it averages, and open it.

    `bundles` are files, folders of runs, or the one folder of `hilum train --folds`. `val` is a manifest or a folder of
    films of known truth, of which no bundle learned: its split val, or every film where nothing is set apart,
    calibrates the mean and sets the operating points. It may be left out for runs of one manifest, whose own split val
    is taken, and for folds, whose operating points are set by what each film's one network that never saw it says of
    it.

    >>> both = hilum.ensemble(["model.onnx", "other.onnx"], "both.onnx", val="films/manifest.parquet")
    >>> both.card.parents[0].digest == hilum.load("model.onnx").digest
    True

    Raises BundleError where the bundles cannot be one or cannot be calibrated, and ManifestError, SourceError,
    EvaluationError or OSError where films cannot be opened or judged.
    """
    out = Path(out)
    if not out.parent.is_dir():
        raise BundleError(f"{out.parent}: there is no such folder")
    wanted = named([Path(bundle) for bundle in bundles], None if val is None else Path(val))
    data = None if wanted.val is None else open_data_set(wanted.val, partial(on_progress, "reading films"))
    parents = open_parents(wanted.bundles)
    merged = merge_cards(parents)
    if data is not None:
        _refuse_seen(merged, data)  # before the hours
    on_progress("joining the graphs", 0, 1)
    model = join_graphs(parents).SerializeToString(deterministic=True)
    if data is not None:
        judged = _judged(model, merged, data, partial(on_progress, "judging films with the mean"))
        card = _calibrated(merged, judged)
        apart = differences(
            parents, some(judged.film_paths, COMPARED_FILMS), partial(on_progress, "comparing smaller films")
        )
        card = replace(card, notes=[*card.notes, *(each.in_words(largest(parents)) for each in apart)])
    else:
        assert wanted.out_of_fold is not None
        card = _by_folds(merged, wanted.out_of_fold)
    content = write_metadata(write_numbers(model, _lines(card)), card)
    write_whole(out, content, check=read_card)
    remember(read_model(out)[DIGEST])  # of parents that were all tried
    return load(out)


def _refuse_seen(card: Card, data: DataSet) -> None:
    """Films that taught a parent say nothing of how the mean does on others."""
    split = _split(data)
    rows = with_digests(data.manifest, choose(data.manifest, split))
    if taught := seen_films(card, rows)["train"]:
        raise BundleError(
            f"{data.name}: {taught:,} of the {rows.height:,} films of split {split} taught one of the bundles; "
            "name films that none of them learned from with --val"
        )


def _split(data: DataSet) -> str:
    split = usual_split(data)
    if split == VALIDATION and not data.manifest.table.select(side_of_film().eq(VALIDATION).any()).item():
        raise BundleError(f"{data.name}: no film is in split val, by which an ensemble is calibrated; name such films")
    return split


def _judged(model: bytes, card: Card, data: DataSet, on_progress: Callable[[int, int], None]) -> Judgement:
    """What the mean of the parents says of films of known truth, through the Predictor that everyone uses."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "ensemble.onnx"
        path.write_bytes(write_metadata(model, card))
        remember(read_model(path)[DIGEST])
        with load(path) as predictor:
            return judge(predictor, data, Scope(_split(data), allow_training_films=True), on_progress)


def _calibrated(card: Card, judged: Judgement) -> Card:
    """The card with all that the films that were judged settle."""
    films = judged.predictions
    made = fitted(card, Means.of(judged))
    drift = baseline(made, judged)
    gate = card.gate and replace(card.gate, distance_false_rejection=float(films.turned_away.mean()))
    used = describe_data(judged.manifest, {"val": [digest for digest in films.digests if digest]})
    return replace(
        made,
        gate=gate,
        boxes=fitted_boxes(card, judged),
        drift=drift,
        data=_with_validation(card.data, used),
        notes=[
            f"Calibrated, and its operating points set, on {len(films):,} films of {len(set(films.patients)):,} "
            f"patients ({judged.manifest_name}, split {judged.split}, data set {judged.manifest.digest}); none of them "
            "taught a parent.",
            *([] if drift else ["There were too few patients for a baseline of drift: `hilum drift` cannot be used."]),
        ],
    )


def _with_validation(data: DataCard, used: DataCard) -> DataCard:
    """The films that it was calibrated on are its validation, beside those of its parents."""
    return replace(
        data,
        counts=data.counts | used.counts,
        patients=data.patients | used.patients,
        films=data.films | {"val": join_digests([data.films.get("val", ""), used.films["val"]])},
    )


def _by_folds(card: Card, folds: OutOfFold) -> Card:
    """The card by predictions out of fold; its films are those of all folds, each of which taught some parents."""
    manifest = load_manifest(folds.manifest)
    digests: Mapping[str, list[str]] = {"train": [], "val": []}
    for digest in manifest.table["file_digest"].drop_nulls().unique().to_list():
        if role := card.data.holds(digest):
            digests[role].append(digest)
    films = folds.predictions
    return replace(
        fitted_out_of_fold(card, films),
        data=describe_data(manifest, {split: files for split, files in digests.items() if files}, card),
        notes=[
            f"Operating points and figures are of predictions out of fold: each of {len(films):,} films of "
            f"{len(set(films.patients)):,} patients was judged by the one parent that neither learned from it nor was "
            "chosen by it. The mean of all parents was judged on none of them, for each taught some parents: judge it "
            "on other films. So there is no baseline of drift either.",
        ],
    )


def _lines(card: Card) -> dict[str, float]:
    """The numbers of the graph that the card's calibrations say."""
    return {
        name: number
        for patient, fit in calibrations(card).items()
        for name, number in zip(line_names(patient), (fit.slope, fit.offset), strict=True)
    }
