"""What a run goes on from: a trained network, laid out and weighted as it is; the recipe tells how it learns on."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from safetensors import safe_open
from safetensors.torch import save
from torch import Tensor

from hilum.bundle.card import Card, card_from_json
from hilum.network.weights import ORIGIN
from hilum.system.files import write_whole
from hilum.training.recipe import BINARY, Input, Recipe
from hilum.training.run import STARTS, RunError

WEIGHTS, CARD = STARTS


class Start(NamedTuple):
    """A trained network. `positive` are its classes that mean pneumonia; a bundle has a card and a digest, a run the
    digests of the `films` of its manifest that it learned from or was chosen by.
    """

    name: str
    recipe: Recipe
    positive: Sequence[str]
    weights: Mapping[str, Tensor]
    card: Card | None = None
    digest: str = ""
    films: frozenset[str] = frozenset()

    def knows(self, digest: str | None) -> bool:
        """Whether it learned from this film, or was chosen or calibrated by it."""
        return digest is not None and (
            digest in self.films or (self.card is not None and self.card.data.holds(digest) is not None)
        )

    @property
    def folded(self) -> bool:
        """Whether batch normalization came out of a graph, where its statistics were no longer."""
        return self.card is not None and any(name.endswith("running_mean") for name in self.weights)

    def save(self, folder: Path) -> None:
        """Into the folder of the run that goes on from it."""
        folder.mkdir(parents=True, exist_ok=True)
        tensors = {name: tensor.contiguous() for name, tensor in self.weights.items()}
        write_whole(folder / WEIGHTS, save(tensors, {ORIGIN: self.name}))
        if self.card is not None:
            write_whole(folder / CARD, json.dumps({"digest": self.digest, "card": self.card.to_json()}) + "\n")


def going_on(learning: Recipe, start: Start, folder: Path) -> tuple[Recipe, Start]:
    """The recipe of a run in `folder` that goes on from `start` as `learning` says, and what of the start it takes.

    Its classes and the size of its input stay, unless the recipe names others: for other classes heads are new.
    """
    if start.folded and any(phase.statistics_move for phase in learning.phases):
        raise RunError(
            f"{start.name}: a bundle has batch normalization folded into its weights, and statistics that follow the "
            "films would undo what it learned; --set phases.0.body_statistics=frozen, or go on from its run"
        )
    classes, taken = dict(learning.classes), start
    if classes == BINARY:
        classes = known_labels(start.recipe.classes, start.positive)
    if list(classes) != list(start.recipe.classes):
        heads = ("film.head.", "lungs.head.")
        body = {name: tensor for name, tensor in start.weights.items() if not name.startswith(heads)}
        taken = start._replace(weights=body)
    before = start.recipe
    recipe = replace(
        learning,
        title=f"{learning.title or 'trained on'}, from {start.name}",
        classes=classes,
        network=replace(before.network, weights=str((folder / WEIGHTS).absolute())),
        input=resized(before.input, learning.input),
        detector=before.detector,
        opacity=before.opacity,
        lungs=before.lungs,
        group=before.group,
        finder=before.finder,
    )
    return recipe, taken


def resized(before: Input, learning: Input) -> Input:
    """The input of a network that goes on, at the size that the recipe names, if it does."""
    return replace(before, height=learning.height or before.height, width=learning.width or before.width)


def known_labels(classes: Mapping[str, Sequence[str]], positive: Sequence[str]) -> dict[str, list[str]]:
    """These classes, where every label that hilum knows means something: any pneumonia, or none, not known which."""
    named = {label for labels in classes.values() for label in labels}
    healthy, ill = (
        [label for label in labels if label not in named] for labels in (BINARY["normal"], BINARY["pneumonia"])
    )
    return {name: [*labels, *(ill if name in positive else healthy)] for name, labels in classes.items()}


def knows_classes(recipe: Recipe) -> bool:
    """Whether a run's network has learned to tell its classes apart before."""
    file = Path(recipe.network.weights)
    if file.name != WEIGHTS:
        return False
    with safe_open(file, "pt") as held:
        return any(name.startswith("film.head.") for name in held.keys())  # noqa: SIM118, it is no dict


def pass_on(folder: Path, run: Path) -> None:
    """What all folds of a folder go on from, known to the run of one of them: where the weights lie its recipe says."""
    if (folder / CARD).is_file():
        run.mkdir(exist_ok=True)
        write_whole(run / CARD, (folder / CARD).read_bytes())


def started_from(folder: Path) -> tuple[Card, str] | None:
    """The card of the bundle that the run in this folder went on from, and its digest."""
    if not (folder / CARD).is_file():
        return None
    held = json.loads((folder / CARD).read_text(encoding="utf-8"))
    return card_from_json(held["card"]), held["digest"]
