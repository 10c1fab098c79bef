"""What a trained network says of films in torch, before anything is fitted to it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from hilum.export.joining import Sight
from hilum.measures.figure import Floats
from hilum.network.heads.opacity import highest
from hilum.network.network import Network, Outputs
from hilum.radiograph.geometry import sides_of

BATCH = 16
# Of the anchors of a film no more than these, the best, can be boxes that anyone looks at.
MOST_CANDIDATES = 400


class SecondLook(NamedTuple):
    """What a network that looks twice adds: logits of the lungs alone, and the highest places of both views' maps."""

    lungs: Floats  # (classes,)
    places: tuple[float, float]  # of the whole film, of the lungs


class RawFilm(NamedTuple):
    """What a network says of a film before anything is decided; no boxes of one that draws none."""

    boxes: Floats  # (n, 4): x, y, width, height as fractions of the picture
    logits: Floats  # (n,)
    image: Floats  # (classes,), logits of the film as a whole
    second: SecondLook | None = None


def look_at(
    network: Network,
    films: NDArray[np.uint8],
    rows: NDArray[np.int64],
    on_progress: Callable[[str, int, int], None],
) -> list[RawFilm]:
    """What a network says of these rows of films (n, height, width)."""
    seen: list[RawFilm] = []
    for start in range(0, len(rows), BATCH):
        seen += look(network, films[rows[start : start + BATCH]])
        on_progress("judging validation films", len(seen), len(rows))
    return seen


@torch.inference_mode()
def look(network: Network, films: NDArray[np.uint8]) -> list[RawFilm]:
    """Of a few films, in float32 whatever the network was trained in."""
    outputs = network(torch.from_numpy(films[:, None]).float() / 255)
    drawn, second = _boxes(network, outputs), _second_looks(outputs)
    return [
        RawFilm(*of_film, film.double().numpy(), again)
        for of_film, film, again in zip(drawn, outputs.film, second, strict=True)
    ]


def _boxes(network: Network, outputs: Outputs) -> list[tuple[Floats, Floats]]:
    head = network.boxes
    if head is None or outputs.boxes is None:
        return [(np.empty((0, 4)), np.empty(0))] * len(outputs.film)
    drawn = []
    for scores, offsets in zip(outputs.boxes.scores, outputs.boxes.offsets, strict=True):
        best = scores.argsort(descending=True, stable=True)[:MOST_CANDIDATES]
        boxes = sides_of(head.boxes_at(offsets, best).double().numpy())
        drawn.append((boxes, scores[best].double().numpy()))
    return drawn


def _second_looks(outputs: Outputs) -> list[SecondLook] | list[None]:
    if outputs.lungs is None or outputs.lungs.opacity is None or outputs.opacity is None:
        return [None] * len(outputs.film)
    places = torch.stack([highest(outputs.opacity), highest(outputs.lungs.opacity)], 1).double().tolist()
    lungs = outputs.lungs.film.double().numpy()
    return [SecondLook(logits, (whole, alone)) for logits, (whole, alone) in zip(lungs, places, strict=True)]


def logits_of(raw: Sequence[RawFilm]) -> Floats:
    """(films, classes): of the films as a whole."""
    return np.stack([film.image for film in raw])


def sight_of(raw: Sequence[RawFilm]) -> Sight | None:
    """What both views of a network gave for films; None of a network that looks once."""
    looks = [film.second for film in raw if film.second is not None]
    if len(looks) < len(raw):
        return None
    places = np.array([look.places for look in looks])
    return Sight(logits_of(raw), places[:, 0], np.stack([look.lungs for look in looks]), places[:, 1])


def with_logits(raw: Sequence[RawFilm], logits: Floats) -> list[RawFilm]:
    """The same with other logits of the films as a whole."""
    return [film._replace(image=own) for film, own in zip(raw, logits, strict=True)]
