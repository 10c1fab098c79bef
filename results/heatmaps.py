"""Do heatmaps point at the opacities? The pointing game on phantoms, whose opacities are known to the pixel.

    python results/heatmaps.py [--films 600] [--side 192] [--epochs 3]

The place where a heatmap is highest is a hit if it lies in a box of an opacity. A network that learned must hit clearly
more often than chance, than the best place one could always name, than the same network taught with shuffled labels,
and than one with random weights. Heatmaps are those of the graph that a bundle holds, pneumonia's less normal's.
"""

from __future__ import annotations

import argparse
from functools import partial
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from hilum.bundle.card import Calibration
from hilum.bundle.graph import Graph
from hilum.dataset.phantom_film import draw_phantom
from hilum.network import Classifier, create_classifier
from hilum.radiograph.geometry import Geometry

LABELS = ("normal", "bacterial", "normal", "viral")


class Films(NamedTuple):
    levels: NDArray[np.uint8]
    targets: NDArray[np.int64]  # 1 is pneumonia
    boxes: list[NDArray[np.float64]]  # x, y, width, height as fractions of the film


class Game(NamedTuple):
    """Shares of the films with opacities; `chance` is that of a place drawn blindly, `habit` of the best fixed one."""

    hits: float
    chance: float
    habit: float
    films: int
    auc: float


def draw(count: int, side: int, seed: int) -> Films:
    geometry = Geometry("squash", side, side)
    drawn = [draw_phantom((seed, number), LABELS[number % len(LABELS)], side) for number in range(count)]
    sizes = [np.array([*film.pixels.shape[::-1]] * 2) for film in drawn]
    return Films(
        np.stack([geometry.apply(film.pixels.astype(np.float32) / np.float32(255)) for film in drawn]),
        np.array([film.label != "normal" for film in drawn], np.int64),
        [np.array(film.boxes, np.float64).reshape(-1, 4) / size for film, size in zip(drawn, sizes, strict=True)],
    )


def learn(films: Films, epochs: int, *, shuffled: bool = False, weights: str = "imagenet") -> Classifier:
    side = films.levels.shape[1]
    classifier = create_classifier("efficientnet_lite0", 2, weights, input_size=(side, side), seed=1)
    targets = np.random.default_rng(1).permutation(films.targets) if shuffled else films.targets
    optimizer = torch.optim.AdamW(classifier.parameters(), 1e-3, weight_decay=0.02)
    steps = epochs * (len(targets) // 16)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, max(steps, 1))
    torch.manual_seed(1)
    classifier.train()
    for step in range(steps):
        if step % (len(targets) // 16) == 0:
            order = torch.randperm(len(targets))
        chosen = order[:16]
        order = order[16:]
        batch = torch.from_numpy(films.levels[chosen])[:, None].float() / 255
        if step % 2:
            batch = batch.flip(3)
        optimizer.zero_grad()
        functional.cross_entropy(classifier(batch), torch.from_numpy(targets)[chosen]).backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        schedule.step()
    if steps:  # the averages of so few steps still hold much of where they began
        for module in classifier.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                module.momentum = None
                module.reset_running_stats()
        with torch.no_grad():
            for start in range(0, len(targets), 32):
                classifier(torch.from_numpy(films.levels[start : start + 32])[:, None].float() / 255)
    return classifier.eval()


@torch.inference_mode()
def play(classifier: Classifier, films: Films) -> Game:
    graph = Graph(classifier, Calibration("none", 1.0, [], [], {}), [1])
    said = [
        dict(zip(graph.outputs, graph(torch.from_numpy(part)[:, None]), strict=True))
        for part in np.array_split(films.levels, -(-len(films.levels) // 16))
    ]
    maps = torch.cat([part["heatmaps"][:, 1] - part["heatmaps"][:, 0] for part in said]).numpy()
    chance = torch.cat([part["probabilities"][:, 1] for part in said]).numpy()
    inside = np.stack([places_in(boxes, maps.shape[1:]) for boxes in films.boxes])
    marked = inside.any((1, 2))
    inside, maps = inside[marked], maps[marked]
    highest = maps.reshape(len(maps), -1).argmax(1)
    hits = inside.reshape(len(inside), -1)[np.arange(len(inside)), highest]
    ranks = chance[films.targets == 1][:, None] - chance[films.targets == 0][None]
    auc = float((ranks > 0).mean() + 0.5 * (ranks == 0).mean())
    return Game(float(hits.mean()), float(inside.mean()), float(inside.mean(0).max()), len(inside), auc)


def places_in(boxes: NDArray[np.float64], places: tuple[int, ...]) -> NDArray[np.bool_]:
    """Which places of a map have their center in a box."""
    y, x = ((np.arange(count) + 0.5) / count for count in places)
    found = np.zeros(places, np.bool_)
    for left, top, width, height in boxes:
        across, down = (x >= left) & (x <= left + width), (y >= top) & (y <= top + height)
        found |= down[:, None] & across[None]
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--films", type=int, default=600)
    parser.add_argument("--side", type=int, default=192)
    parser.add_argument("--epochs", type=int, default=3)
    asked = parser.parse_args()
    train, test = draw(asked.films, asked.side, 1), draw(asked.films // 2, asked.side, 2)
    print("| network | hits | chance | best fixed place | AUC | films |\n|---|---|---|---|---|---|")
    for name, made in (
        ("taught", partial(learn, train, asked.epochs)),
        ("taught with shuffled labels", partial(learn, train, asked.epochs, shuffled=True)),
        ("ImageNet, new head", partial(learn, train, 0)),
        ("random weights", partial(learn, train, 0, weights="none")),
    ):
        game = play(made(), test)
        shares = f"{game.hits:.3f} | {game.chance:.3f} | {game.habit:.3f} | {game.auc:.3f}"
        print(f"| {name} | {shares} | {game.films} |", flush=True)


if __name__ == "__main__":
    main()
