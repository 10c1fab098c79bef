"""Do heatmaps point at the opacities? The pointing game on phantoms, whose opacities are known to the pixel.

    python results/heatmaps.py [--films 400] [--side 384] [--epochs 0]

The place where a heatmap is highest is a hit if it lies in a box of an opacity. A network that learned must hit clearly
more often than chance, than the same network taught with shuffled labels, and than one with random weights. Heatmaps
are those of the graph that a bundle holds, pneumonia's less normal's.

EfficientNet-Lite0 comes from ImageNet. With no epochs only its last layer is taught, which needs one pass over the
films; else everything is, for so many epochs.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from functools import partial
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from torch import Tensor
from torch.nn import functional

from hilum.dataset.phantom.film import draw_phantom
from hilum.export.film_fits import UNCALIBRATED, FilmFit
from hilum.export.graph.graph import Fitted, Graph
from hilum.network import Network, View, create_network
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


def network(films: Films, weights: str = "imagenet") -> View:
    side = films.levels.shape[1]
    return create_network("efficientnet_lite0", 2, weights, input_size=(side, side), seed=1).eval().film


@torch.inference_mode()
def averaged_maps(films: Films) -> NDArray[np.float64]:
    """What the last layer of the network from ImageNet sees of each film."""
    view = network(films)
    return torch.cat([view.body(view.normalization(part)) for part in in_parts(films.levels)]).double().numpy()


def learn_head(films: Films, features: NDArray[np.float64], *, shuffled: bool = False) -> View:
    """The last layer alone, by logistic regression on the averaged feature maps."""
    view = network(films)
    center, scale = features.mean(0), features.std(0) + 1e-3
    fitted = LogisticRegression(C=1e-3, max_iter=2000).fit((features - center) / scale, taught(films, shuffled))
    weights = fitted.coef_[0] / scale / 2
    last = view.get_submodule("head.linear")
    assert isinstance(last, torch.nn.Linear)
    bias = fitted.intercept_[0] / 2 - weights @ center
    with torch.no_grad():
        last.weight.copy_(torch.from_numpy(np.stack([-weights, weights])))
        last.bias.copy_(torch.tensor([-bias, bias]))
    return view


def learn_everything(films: Films, epochs: int, *, shuffled: bool = False) -> View:
    view, targets = network(films), torch.from_numpy(taught(films, shuffled))
    optimizer = torch.optim.AdamW(view.parameters(), 1e-3, weight_decay=0.02)
    a_batch = 16
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, epochs * (len(targets) // a_batch))
    torch.manual_seed(1)
    view.train()
    for epoch in range(epochs):
        order = torch.randperm(len(targets))
        for start in range(0, len(targets) - a_batch + 1, a_batch):
            chosen = order[start : start + a_batch]
            (batch,) = in_parts(films.levels[chosen.numpy()], a_batch)
            optimizer.zero_grad()
            loss = functional.cross_entropy(view(batch.flip(3) if epoch % 2 else batch), targets[chosen])
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            schedule.step()
    # Running averages of so few steps still hold much of where they began.
    for module in view.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.momentum = None
            module.reset_running_stats()
    with torch.no_grad():
        for part in in_parts(films.levels):
            view(part)
    return view.eval()


def taught(films: Films, shuffled: bool) -> NDArray[np.int64]:
    return np.random.default_rng(1).permutation(films.targets) if shuffled else films.targets


def in_parts(levels: NDArray[np.uint8], count: int = 4) -> Iterator[Tensor]:
    for start in range(0, len(levels), count):
        yield torch.from_numpy(levels[start : start + count])[:, None].float() / 255


@torch.inference_mode()
def play(view: View, films: Films) -> Game:
    graph = Graph(Network(view), Fitted([FilmFit(UNCALIBRATED)], [1]))
    answers = [
        dict(zip(graph.outputs, graph(torch.from_numpy(part)[:, None]), strict=True))
        for part in np.array_split(films.levels, -(-len(films.levels) // 4))
    ]
    maps = torch.cat([part["heatmaps"][:, 1] - part["heatmaps"][:, 0] for part in answers]).numpy()
    chance = torch.cat([part["probabilities"][:, 1] for part in answers]).numpy()
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
    parser.add_argument("--films", type=int, default=400)
    parser.add_argument("--side", type=int, default=384)
    parser.add_argument("--epochs", type=int, default=0)
    asked = parser.parse_args()
    train, test = draw(asked.films, asked.side, 1), draw(asked.films // 2, asked.side, 2)
    learn: Callable[..., View] = partial(learn_everything, epochs=asked.epochs)
    if not asked.epochs:
        learn = partial(learn_head, features=averaged_maps(train))
    print("| network | hits | chance | best fixed place | AUC | films |\n|---|---|---|---|---|---|")
    for name, made in (
        ("taught", partial(learn, train)),
        ("taught with shuffled labels", partial(learn, train, shuffled=True)),
        ("random weights", partial(network, train, "none")),
    ):
        game = play(made(), test)
        shares = f"{game.hits:.3f} | {game.chance:.3f} | {game.habit:.3f} | {game.auc:.3f}"
        print(f"| {name} | {shares} | {game.films} |", flush=True)


if __name__ == "__main__":
    main()
