"""Everything a run needs before its first step: films and labels of each split, the network, what to say of it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import timm
import torch
import torchvision
from torch import nn

from hilum import __version__
from hilum.dataset.manifest.manifest import Manifest
from hilum.dataset.store.store import Store, build_store
from hilum.network.fits import learns_from_one
from hilum.network.network import Network, create_network
from hilum.system.text import megabytes
from hilum.training.feed.dali import DaliFeed
from hilum.training.feed.examples import Examples, Wanted, choose_examples, originals
from hilum.training.feed.feed import Course, Feed, Shown
from hilum.training.feed.mixture import mix_sources
from hilum.training.feed.offline import OfflineFeed
from hilum.training.feed.torchvision import TorchvisionFeed
from hilum.training.processes import Processes
from hilum.training.recipe import Recipe, to_toml
from hilum.training.run import RunError
from hilum.training.start import knows_classes
from hilum.training.task.task import Task


@dataclass(frozen=True, slots=True, eq=False)
class Prepared:
    """A network and the films it learns from and is chosen by."""

    task: Task
    train: Feed
    val: Feed
    store: Store
    facts: dict[str, Any]


def prepare(
    manifest: Manifest,
    recipe: Recipe,
    device: torch.device,
    processes: Processes,
    *,
    on_progress: Callable[[int, int], None] | None = None,
) -> Prepared:
    """Build or open the store, choose the films, create the network."""
    network = network_of(recipe)  # first, since its weights may not be to be had, and a store takes long
    store = build_store(manifest, recipe.input.to_geometry(), on_progress=on_progress)
    known = wanted_of(recipe)
    train, val = (choose_examples(manifest, store, recipe.classes, [split], known) for split in ("train", "val"))
    for split, examples in (("train", train), ("val", val)):
        _check_examples(split, examples, recipe)
    settings = recipe.training
    task = Task(network, recipe, train, device)
    feed = _train_feed(manifest, store, train, task, processes)
    _check_batches(feed, recipe, processes)
    judged = Feed(Shown(store.pixels, val, recipe.augmentation), max(settings.batch_size, 64), device)
    facts = {
        "recipe": hashlib.blake2b(to_toml(recipe).encode(), digest_size=8).hexdigest(),
        "data": manifest.digest,
        "store": store.folder.name,
        "films": {"train": len(train), "val": len(val)},
        "classes": list(recipe.classes),
        "weights": task.network.origin,
        "terms": task.network.terms,
        "device": device.type,
        "threads": torch.get_num_threads(),
        "processes": processes.count,
        "hilum": __version__,
        "torch": torch.__version__,
        "torchvision": torchvision.__version__,
        "timm": timm.__version__,
    }
    return Prepared(task, feed, judged, store, facts)


def wanted_of(recipe: Recipe) -> Wanted:
    """What a recipe has to know of its films beside their class."""
    return Wanted(
        boxes=recipe.detector is not None or recipe.opacity is not None,
        facts=recipe.opacity is not None or recipe.lungs is not None or recipe.group is not None,
        lungs_only=() if recipe.lungs is None else tuple(recipe.lungs.sources),
        masks_only=recipe.lungs is not None and not recipe.lungs.size,
    )


def network_of(recipe: Recipe, weights: str | None = None) -> Network:
    """The network that a recipe describes, with its weights, or others."""
    network = create_network(
        recipe.network.name,
        len(recipe.classes),
        recipe.network.weights if weights is None else weights,
        head=recipe.network.head,
        dropout=recipe.network.dropout,
        drop_path=recipe.network.drop_path,
        input_size=recipe.input.size,
        heads=recipe.heads,
        seed=recipe.training.seed,
    )
    if recipe.finder is not None and weights is None:
        assert network.film.body.finder is not None, "hilum.export.start.with_finder comes first"
        network.film.body.finder.fill(Path(recipe.finder.weights))
    return network


def _train_feed(manifest: Manifest, store: Store, train: Examples, task: Task, processes: Processes) -> Feed:
    settings = task.recipe.training
    kind: Callable[..., Feed] = Feed
    if settings.feed != "store":
        decoding = {"torchvision": TorchvisionFeed, "dali": DaliFeed}[settings.feed]
        kind = partial(decoding, originals(manifest, train, store.geometry, settings.feed))
    elif settings.offline_passes:
        kind = partial(OfflineFeed, settings.offline_passes)
    mixture = None
    if settings.mixture and train.facts is not None:
        films = settings.epoch_films or len(train)
        mixture = mix_sources(settings.mixture, films, train.facts.sources, train.facts.labels)
    course = Course(settings.seed, processes.rank, processes.count, mixture)
    shown = Shown(store.pixels, train, task.recipe.augmentation)
    return kind(shown, settings.batch_size, task.frame.device, course)


def describe(prepared: Prepared, recipe: Recipe) -> list[str]:
    """What will be trained on what, in lines for a person."""
    lines = [f"recipe: {recipe.title or 'untitled'}"]
    for split, feed in (("train", prepared.train), ("val", prepared.val)):
        counts = zip(recipe.classes, feed.examples.counts(len(recipe.classes)), strict=True)
        listed = ", ".join(f"{count:,} {name}" for name, count in counts)
        if unsure := len(feed.examples) - int(feed.examples.sure.sum()):
            listed += f", {unsure:,} one of several"
        if (drawn := feed.examples.boxes) is not None:
            known = [boxes for boxes in drawn if boxes is not None]
            listed += f"; {sum(map(len, known)):,} boxes on {sum(map(bool, map(len, known))):,} films"
            listed += f", boxes of {len(drawn) - len(known):,} unknown" if len(known) < len(drawn) else ""
        lines.append(f"{split}: {len(feed.examples):,} films of {feed.examples.patients:,} patients ({listed})")
    network = prepared.task.network
    lines.append(
        f"network: {network.backbone.name}, {_size(network):,} parameters, weights from {network.origin}; "
        f"input {prepared.store.geometry}"
    )
    for number, phase in enumerate(recipe.phases, start=1):
        trained = network.trained_by(phase.train)
        lines.append(f"phase {number}: {phase.epochs} epoch{'s' * (phase.epochs > 1)}, {trained:,} parameters trained")
    store = prepared.store
    lines.append(f"store: {store.folder}, {len(store.digests):,} films, {megabytes(store.pixels.nbytes)}")
    where = f"{prepared.train.device}, {prepared.facts['threads']} threads"
    lines.append(f"device: {where}, batches of {recipe.training.batch_size}")
    if passes := recipe.training.offline_passes:
        shown = (1 + passes) * len(prepared.train.examples)
        lines.append(f"an epoch: every film as it is and in {passes} variations that stay the same, {shown:,} in all")
    return lines


def _check_examples(split: str, examples: Examples, recipe: Recipe) -> None:
    if not len(examples):
        raise RunError(
            f"no film of the {split} split has a label of the recipe's classes ({', '.join(recipe.classes)}); "
            "make splits with `hilum data split`, or name the labels with --set classes.NAME=[...]"
        )
    counts = zip(recipe.classes, examples.counts(len(recipe.classes)), strict=True)
    missing = [name for name, count in counts if not count]
    if missing and split == "train" and not knows_classes(recipe):
        raise RunError(f"no film of the train split is {missing[0]}; a class without films cannot be learned")
    if missing and recipe.selection.metric == "auc":
        raise RunError(
            f"no film of the {split} split is {missing[0]}, so no AUC can tell which epoch to keep; "
            "split anew with `hilum data split`, or --set selection.metric=loss"
        )
    metric = recipe.selection.metric
    if split == "val" and metric in ("ap50", "rsna_score") and all(known is None for known in examples.boxes or ()):
        raise RunError(
            f"of no film of the val split boxes are known, so {metric} cannot tell which epoch to keep; import films "
            "with boxes, or --set selection.metric=loss"
        )
    if split == "val" and metric == "dice" and examples.facts is not None and not (examples.facts.masks >= 0).any():
        raise RunError(
            "of no film of the val split the lungs are known, so dice cannot tell which epoch to keep; import copies "
            "that show the lungs alone, or --set selection.metric=loss"
        )


def _check_batches(feed: Feed, recipe: Recipe, processes: Processes) -> None:
    """Batch normalization of a map of one place has nothing to go by where the film is alone in its batch."""

    def alone(batch_size: int) -> bool:
        return (feed.shown % batch_size or batch_size) < 2 * processes.count

    size = recipe.training.batch_size
    if alone(size) and not learns_from_one(recipe.network.name, recipe.input.size):
        other = next(larger for larger in count(size + 1) if not alone(larger))
        raise RunError(
            f"{recipe.network.name} cannot learn from a film alone, and {feed.shown:,} films in batches of {size} "
            f"leave one alone; --set training.batch_size={other}"
        )


def _size(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())
