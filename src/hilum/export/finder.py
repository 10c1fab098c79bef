"""What finds the lungs for another network, as a recipe names it: a bundle, the one that ships, or a run."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from safetensors.torch import save

from hilum.bundle.card import BundleError
from hilum.export.start import open_start
from hilum.network.finder import PLACES
from hilum.network.weights import ORIGIN
from hilum.system.files import cache_folder, content_digest, write_whole
from hilum.training.recipe import read_recipe

FOLDER = "lung-finders"


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
    file = cache_folder() / FOLDER / f"{content_digest(content)[:16]}.safetensors"
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        write_whole(file, content)
    height, width = start.recipe.input.size
    shape = f"network='{start.recipe.network.name}',height={height},width={width}"
    return [*settings, f"finder={{weights='{file}',{shape}}}"]
