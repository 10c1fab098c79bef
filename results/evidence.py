"""Which heatmap of a network that looks twice points at the boxes of radiologists, on validation films.

    python results/evidence.py RUN [--films 350]

`hits`: the highest place of the map lies in a box. `energy`: the share of what speaks for pneumonia that lies in boxes.
A map that knows nothing gets the share of the film that boxes cover of both. The weights of the scores are fitted on
films with boxes and as many without, as `hilum export` does. Chosen by these figures and by what can be said of each
map in words; what the graph of a bundle holds is `joined` (src/hilum/export/graph/evidence.py).
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hilum.evaluation.heatmaps import point
from hilum.export.box_settings import truths_of
from hilum.export.calibrate import groups
from hilum.export.graph.evidence import Evidence
from hilum.export.graph.heatmap import reading_of
from hilum.export.graph.read import Read
from hilum.export.joining import Joining, Sight, fit_joining
from hilum.export.material import best_network, is_positive, open_material
from hilum.network.heads.lungs import STRIDES as LUNG_STRIDES
from hilum.network.heads.lungs import believed
from hilum.network.heads.opacity import STRIDES, highest
from hilum.network.network import Network
from hilum.network.view import View
from hilum.training.run import Run

BATCH = 8


class Looks(NamedTuple):
    """Both views of a batch."""

    film: Read
    opacity: Tensor
    lungs: Read
    lung_opacity: Tensor


@torch.inference_mode()
def look(network: Network, levels: NDArray[np.uint8]) -> Looks:
    assert network.lungs is not None and network.masks is not None and network.blackened is not None
    grey = torch.from_numpy(levels[:, None]).float() / 255
    film, taps = network.film.maps_and_taps(grey)
    masks = believed(network.masks(network.film.body.select(taps, LUNG_STRIDES)))
    lungs, lung_taps = network.lungs.maps_and_taps(network.blackened(grey, masks))
    return Looks(
        reading_of(network.film, film)(film),
        opacity_of(network.film, taps),
        reading_of(network.lungs, lungs)(lungs),
        opacity_of(network.lungs, lung_taps),
    )


def opacity_of(view: View, taps: list[Tensor]) -> Tensor:
    assert view.opacity is not None
    made: Tensor = view.opacity(*view.body.select(taps, STRIDES))
    return made


def sight_of(looks: list[Looks]) -> Sight:
    parts = [(each.film.logits, highest(each.opacity), each.lungs.logits, highest(each.lung_opacity)) for each in looks]
    return Sight(*(torch.cat(part).double().numpy() for part in zip(*parts, strict=True)))


def candidates(network: Network, joining: Joining, positive: list[int], looks: Looks) -> dict[str, Tensor]:
    """Maps (films, rows, columns) by what they are of."""
    inside, outside = groups(network.classes, positive)

    def against(maps: Tensor, logits: Tensor) -> Tensor:
        shares = (logits[:, side].softmax(1)[:, :, None, None] for side in (inside, outside))
        pro, contra = ((share * maps[:, side]).sum(1) for share, side in zip(shares, (inside, outside), strict=True))
        return pro - contra

    def joined(usual: list[float], every_place: bool) -> Tensor:
        made = Evidence(network, [joining._replace(usual=usual)], positive)
        held = looks
        if every_place:  # a map whose places are all the highest ones of their own
            weights = [joining.weights[0], 0.0, joining.weights[2], 0.0]
            made = Evidence(network, [joining._replace(weights=weights, usual=usual)], positive)
        maps = made(held.film, held.opacity, held.lungs, held.lung_opacity, None)
        one = against(maps, held.film.logits)
        if every_place:
            own, lung = held.opacity - usual[0], held.lung_opacity - usual[1]
            one = one + (joining.weights[1] * own + made.lung_places(joining.weights[3] * lung))[:, 0]
        return one

    film_map = against(looks.film.heatmaps, looks.film.logits)  # type: ignore[arg-type]  # linear heads have maps
    return {
        "class activation map, whole film": film_map,
        "class activation map, lungs": against(looks.lungs.heatmaps, looks.lungs.logits),  # type: ignore[arg-type]
        "opacity map, whole film": looks.opacity[:, 0].sigmoid(),
        "opacity map, lungs": looks.lung_opacity[:, 0].sigmoid(),
        "joined, every place of the opacity maps": joined(joining.usual, every_place=True),
        "joined, highest places, counted from 0": joined([0.0, 0.0], every_place=False),
        "joined": joined(joining.usual, every_place=False),
    }


def chosen_films(has_boxes: NDArray[np.bool_], count: int) -> NDArray[np.int64]:
    random = np.random.default_rng(0)
    sides = (np.flatnonzero(has_boxes), np.flatnonzero(~has_boxes))
    return np.sort(np.concatenate([random.permutation(side)[:count] for side in sides]))


def in_parts(films: NDArray[np.int64]) -> Iterator[NDArray[np.int64]]:
    yield from (films[start : start + BATCH] for start in range(0, len(films), BATCH))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("--films", type=int, default=350)
    asked = parser.parse_args()
    run = Run(asked.run)
    material = open_material(run, lambda doing, done, total: None)
    network, state = best_network(run, material.recipe)
    positive = [list(material.recipe.classes).index(name) for name in material.positive]
    films = material.val
    boxes = truths_of(films, network.input_size)
    chosen = chosen_films(np.array([held is not None and len(held) > 0 for held in boxes]), asked.films)
    looks = [look(network, material.store.pixels[films.rows[part]]) for part in in_parts(chosen)]
    joining = fit_joining(sight_of(looks), is_positive(films, positive)[chosen], positive)
    found: dict[str, list[tuple[float, float, float]]] = {}
    for part, seen in zip(in_parts(chosen), looks, strict=True):
        with torch.inference_mode():
            maps = candidates(network, joining, positive, seen)
        for place, film in enumerate(part):
            held = boxes[film]
            for name, values in maps.items():
                if held is not None and len(held) and (made := point(values[place].numpy(), held)):
                    found.setdefault(name, []).append((made.hit, made.energy, made.area))
    weights = ", ".join(f"{weight:.2f}" for weight in joining.weights)
    print(f"{asked.run.name}, epoch {state['epoch']}; weights of the scores {weights}\n")
    print("| map | hits | energy | boxes cover | films |\n|---|---|---|---|---|")
    for name, figures in found.items():
        hits, energy, area = np.mean(figures, 0)
        print(f"| {name} | {hits:.3f} | {energy:.3f} | {area:.3f} | {len(figures)} |")


if __name__ == "__main__":
    main()
