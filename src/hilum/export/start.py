"""What training goes on from, or has lungs found by, as a person names it: a bundle, the one that ships, or a run."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import onnx
from safetensors.torch import save

from hilum.bundle.card import BundleError
from hilum.bundle.opening import OpenBundle
from hilum.dataset.manifest.manifest import load_manifest
from hilum.dataset.manifest.side import side_of_film
from hilum.export.graph.unfold import check_same, weights_of
from hilum.export.material import best_network, positive_classes
from hilum.network.finder import PLACES
from hilum.network.weights import ORIGIN
from hilum.system.files import cache_folder, content_digest, write_whole
from hilum.training.prepare import network_of
from hilum.training.recipe import read_recipe, recipe_from
from hilum.training.run import Run
from hilum.training.start import Start

EIGHT_BITS = "QuantizeLinear"
FINDERS = "lung-finders"  # in the cache


def open_start(named: str | os.PathLike[str]) -> Start:
    """The network of a bundle, taken back out of its graph, or of a run's best epoch."""
    if Run(Path(named)).exists():
        return _of_run(Run(Path(named)))
    opened = OpenBundle(named)
    card = opened.card
    if not card.recipe:
        raise BundleError(f"{opened.path}: is made of several networks; go on from one of those it was made of")
    model = onnx.load(opened.path)
    if any(node.op_type == EIGHT_BITS for node in model.graph.node):
        raise BundleError(f"{opened.path}: its weights have 8 bits, too few to learn on; go on from its run instead")
    recipe = recipe_from(card.recipe)
    network = network_of(recipe, "none")
    try:
        weights = weights_of(model, network)
        network.load_state_dict(weights)
        check_same(model, network)
    except BundleError as error:
        raise BundleError(f"{opened.path}: {error}") from None
    return Start(opened.path.stem, recipe, card.positive, weights, card, opened.digest)


def _of_run(run: Run) -> Start:
    recipe = run.recipe()
    manifest = load_manifest(run.facts()["manifest"])
    network, _ = best_network(run, recipe)
    known = manifest.table.filter(side_of_film().is_in(["train", "val"]))
    films = frozenset(known["file_digest"].drop_nulls()) | frozenset(known["pixel_digest"].drop_nulls())
    return Start(run.folder.name, recipe, positive_classes(manifest, recipe), network.state_dict(), films=films)


def with_finder(recipe: str, settings: Sequence[str]) -> list[str]:
    """The settings of a recipe and, where it wants lungs to be found, those that say by which weights on which films.

    The weights are kept in the user's cache by their digest, whichever runs are told by them.
    """
    wanted = read_recipe(recipe, settings).finder
    if wanted is None or Path(wanted.weights).suffix == ".safetensors":
        return list(settings)
    start = open_start(wanted.weights)
    weights = {name: tensor.contiguous() for name, tensor in start.weights.items() if name.startswith(tuple(PLACES))}
    if not any(name.startswith("masks.") for name in weights):
        raise BundleError(
            f"{wanted.weights}: finds no lungs; name a bundle or a run that does, as finder.weights=default"
        )
    content = save(weights, {ORIGIN: start.name})
    file = cache_folder() / FINDERS / f"{content_digest(content)[:16]}.safetensors"
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        write_whole(file, content)
    height, width = start.recipe.input.size
    shape = f"network='{start.recipe.network.name}',height={height},width={width}"
    return [*settings, f"finder={{weights='{file}',{shape}}}"]
