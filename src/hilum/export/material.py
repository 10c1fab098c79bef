"""What a bundle is made of: a run's best network, and the films that it was trained on and chosen by."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from hilum.bundle.card import BundleError
from hilum.dataset.manifest.manifest import Manifest, load_manifest
from hilum.dataset.store.store import Store, build_store
from hilum.network.network import Network
from hilum.training.checkpoint import check_version, read_state
from hilum.training.feed.examples import Examples, Facts, choose_examples
from hilum.training.prepare import network_of, wanted_of
from hilum.training.recipe import Recipe
from hilum.training.run import Run


class Material(NamedTuple):
    """A run opened. Of every film in `val` it is known whether it shows pneumonia, that is, one of `positive`."""

    recipe: Recipe
    facts: Mapping[str, Any]
    manifest: Manifest
    store: Store
    train: Examples
    val: Examples
    positive: list[str]


def open_material(run: Run, on_progress: Callable[[str, int, int], None]) -> Material:
    """The films of a run, which must still be those it was trained on."""
    facts, recipe = run.facts(), run.recipe()
    manifest = load_manifest(facts["manifest"])
    if manifest.digest != facts["data"]:
        raise BundleError(
            f"{facts['manifest']}: is not the data set any more that {run.folder} was trained on; a bundle made from "
            "it would be judged on other films: restore the manifest, or train again"
        )
    positive = positive_classes(manifest, recipe)
    store = build_store(
        manifest,
        recipe.input.to_geometry(),
        on_progress=lambda done, total: on_progress("decoding films", done, total),
    )
    known = wanted_of(recipe)
    chosen = (choose_examples(manifest, store, recipe.classes, [split], known) for split in ("train", "val"))
    train, val = map(whole_films, chosen)
    columns = [list(recipe.classes).index(name) for name in positive]
    return Material(recipe, facts, manifest, store, train, of_one_side(val, columns), positive)


def positive_classes(manifest: Manifest, recipe: Recipe) -> list[str]:
    """The classes whose films the manifest calls pneumonia, most of them at least."""
    called: dict[str, list[bool]] = {name: [] for name in recipe.classes}
    for label, pneumonia in manifest.table.select("label", "pneumonia").drop_nulls().iter_rows():
        for name, labels in recipe.classes.items():
            if label in labels:
                called[name].append(pneumonia)
    positive = [name for name, films in called.items() if sum(films) > len(films) / 2]
    if not positive or len(positive) == len(called):
        which = "every class means" if positive else "no class means"
        raise BundleError(
            f"{which} pneumonia by the manifest's column `pneumonia` (classes {', '.join(called)}); a bundle needs "
            "classes of both kinds: correct the column, or train on other labels"
        )
    return positive


def of_one_side(examples: Examples, columns: list[int]) -> Examples:
    """Without films whose label may mean pneumonia or not."""
    if examples.either is None:
        return examples
    known = examples.either[:, columns].any(1) != np.delete(examples.either, columns, 1).any(1)
    return take(examples, known)


def whole_films(examples: Examples) -> Examples:
    """Without films that show their lungs alone, which nobody will ever ask a bundle about."""
    return examples if examples.facts is None else take(examples, ~examples.facts.lungs_only)


def take(examples: Examples, chosen: NDArray[np.bool_]) -> Examples:
    """Some of the films, with what calibration, operating points and gate ask of them."""
    kept, facts = np.flatnonzero(chosen), examples.facts
    if facts is not None:
        facts = Facts(
            [facts.sources[film] for film in kept],
            [facts.labels[film] for film in kept],
            facts.lungs_only[kept],
            facts.masks[kept],
            facts.adult[kept],
            facts.pneumonia[kept],
        )
    return Examples(
        examples.rows[kept],
        examples.targets[kept],
        [examples.paths[film] for film in kept],
        examples.patients,
        examples.either[kept] if examples.either is not None else None,
        examples.boxes and [examples.boxes[film] for film in kept],
        facts,
    )


def is_positive(examples: Examples, columns: list[int]) -> NDArray[np.bool_]:
    """Which films show pneumonia. A film of one of several classes has them all on one side, and names the first."""
    return np.isin(examples.targets, columns)


def some_rows(examples: Examples, count: int) -> NDArray[np.int64]:
    """Up to `count` films, evenly spread; examples stand in the order of their digests, which is as good as chance."""
    chosen = np.linspace(0, len(examples) - 1, min(count, len(examples))).astype(np.int64)
    return np.sort(examples.rows[chosen])


def best_network(run: Run, recipe: Recipe) -> tuple[Network, dict[str, Any]]:
    """The network of the epoch that was kept, and what is stored with it."""
    if not run.best.is_file():
        raise BundleError(f"{run.folder}: has kept no epoch yet; go on with `hilum train --resume {run.folder}`")
    state = read_state(run.best, torch.device("cpu"))
    network = network_of(recipe, "none")
    check_version(state, network, run.folder)
    network.load_state_dict(state["network"])
    return network.eval().to(memory_format=torch.channels_last), state
