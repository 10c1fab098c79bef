"""The gate as a part of a bundle's graph: what it reads from a network on its way, and what it says of a film."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.hooks import RemovableHandle

from hilum.bundle.format import GATE_LIMIT
from hilum.export.graph.adjustable import Adjustable

THUMBNAIL = 8  # cells along each side
EDGES, DIRECTIONS = 4, 8  # cells along each side, and directions told apart in each
SMALL = 66  # pixels along each side of the picture that both are taken from: 64 without its border
# The gate reads maps that are this many times smaller than the film: coarser ones know classes, finer ones edges.
FINEST, COARSEST = 6.0, 24.0
BOUND = 10.0  # standard deviations


class Taps:
    """Catches, on every pass through a body, the maps that the named modules inside it give, in their order."""

    def __init__(self, body: nn.Module, names: Sequence[str]) -> None:
        self.maps: list[Tensor] = [torch.empty(0)] * len(names)
        self.handles: list[RemovableHandle] = []
        for place, name in enumerate(names):

            def catch(module: nn.Module, given: object, result: Tensor, place: int = place) -> None:
                self.maps[place] = result

            self.handles.append(body.get_submodule(name).register_forward_hook(catch))

    def remove(self) -> None:
        """Stop catching."""
        for handle in self.handles:
            handle.remove()


def choose_taps(body: nn.Module, film: Tensor) -> tuple[str, ...]:
    """The stages of a body that end in maps of medium size, found by sending one film (1, channels, h, w) through.

    Of several stages with maps of the same size it is the last; a network without such maps has no taps. A body may
    name its own.
    """
    if own := getattr(body, "seen_by_gate", ()):
        return tuple(own)
    found: dict[tuple[int, int], str] = {}
    height, width = film.shape[2:]

    def note(name: str, result: object) -> None:
        if not isinstance(result, Tensor) or result.ndim != 4:
            return
        rows, columns = result.shape[2:]
        shrunk_rows, shrunk_columns = height / rows, width / columns
        same = 0.75 < shrunk_rows / shrunk_columns < 1.33  # else channels come last
        if same and FINEST <= max(shrunk_rows, shrunk_columns) <= COARSEST:
            found[rows, columns] = name

    handles = [
        module.register_forward_hook(lambda module, given, result, name=name: note(name, result))
        for name, module in body.named_modules()
        if name and name.removeprefix("net.").count(".") < 2
    ]
    with torch.no_grad():
        body(film)
    for handle in handles:
        handle.remove()
    return tuple(found.values())


def averaging(cells: int, pixels: int) -> Tensor:
    """The matrix (cells, pixels) that averages pixels within equal cells, whatever their number."""
    edges = np.linspace(0, pixels, cells + 1)
    starts = np.arange(pixels)
    shares = np.clip(np.minimum(edges[1:, None], starts + 1) - np.maximum(edges[:-1, None], starts), 0, None)
    return torch.from_numpy((shares * cells / pixels).astype(np.float32))


class Shrunk(nn.Module):
    """A film (n, 1, height, width) as averages of `cells` x `cells` equal parts.

    What does not divide by the whole number of pixels that is averaged first, a pixel or two, is left out at the
    bottom and at the right.
    """

    rows: Tensor
    columns: Tensor

    def __init__(self, size: tuple[int, int], cells: int) -> None:
        super().__init__()
        self.first = max(min(size) // cells, 1)
        self.register_buffer("rows", averaging(cells, size[0] // self.first))
        self.register_buffer("columns", averaging(cells, size[1] // self.first).T.contiguous())

    def forward(self, grey: Tensor) -> Tensor:
        smaller = functional.avg_pool2d(grey, self.first) if self.first > 1 else grey
        return torch.matmul(torch.matmul(self.rows, smaller), self.columns)


class Thumbnail(nn.Module):
    """A picture (n, 1, height, width) as 8 x 8 averages, free of brightness and contrast."""

    def __init__(self, size: tuple[int, int]) -> None:
        super().__init__()
        self.shrunk = Shrunk(size, THUMBNAIL)

    def forward(self, grey: Tensor) -> Tensor:
        cells: Tensor = self.shrunk(grey).flatten(1)
        centered = cells - cells.mean(1, keepdim=True)
        # A picture without contrast stays flat instead of becoming all noise.
        return centered / (centered.square().mean(1, keepdim=True).sqrt() + 0.015)


class Edges(nn.Module):
    """How much a picture (n, 1, height, width) brightens towards each of 8 directions, in each of 4 x 4 cells.

    As shares of all its edges, so free of contrast; square roots, so that the strongest do not drown the others.
    """

    slopes: Tensor

    def __init__(self) -> None:
        super().__init__()
        angles = torch.arange(DIRECTIONS) * 2 * torch.pi / DIRECTIONS
        slopes = torch.zeros(DIRECTIONS, 1, 3, 3)
        slopes[:, 0, 1, 2], slopes[:, 0, 1, 0] = angles.cos(), -angles.cos()
        slopes[:, 0, 2, 1], slopes[:, 0, 0, 1] = angles.sin(), -angles.sin()
        self.register_buffer("slopes", slopes)

    def forward(self, grey: Tensor) -> Tensor:
        towards = functional.conv2d(grey, self.slopes).relu()
        cells = functional.avg_pool2d(towards, (SMALL - 2) // EDGES).flatten(1)
        return (cells / (cells.mean(1, keepdim=True) + 0.002)).sqrt()


class GateInput(nn.Module):
    """What the gate looks at, as one row a film: thumbnail, edges, then the average of each map."""

    def __init__(self, size: tuple[int, int]) -> None:
        super().__init__()
        self.shrunk = Shrunk(size, SMALL)
        self.thumbnail, self.edges = Thumbnail((SMALL, SMALL)), Edges()

    def forward(self, grey: Tensor, maps: Sequence[Tensor]) -> Tensor:
        small = self.shrunk(grey)
        return torch.cat([self.thumbnail(small), self.edges(small), *(map_.mean((2, 3)) for map_ in maps)], 1)


class Scatter(nn.Module):
    """The distance of points from the center of a cloud, in units of how far its own points lie.

    The cloud's scatter is known along the `axes` where it is largest; everywhere else it is taken as even. A distance
    of 1 is at the `limit`.
    """

    axes: Tensor
    weights: Tensor
    rest: Tensor
    limit: Tensor

    def __init__(self, axes: Tensor, weights: Tensor, rest: Tensor) -> None:
        super().__init__()
        self.register_buffer("axes", axes)  # (features, axes)
        self.register_buffer("weights", weights)  # one over the variance along each
        self.register_buffer("rest", rest)  # the same for all other directions
        self.register_buffer("limit", torch.ones(()))

    def forward(self, offset: Tensor) -> Tensor:
        along = torch.matmul(offset, self.axes).square()
        beside = (offset.square().sum(1) - along.sum(1)).clamp(min=0)
        return ((along * self.weights).sum(1) + beside * self.rest).sqrt() / self.limit


class GateModule(nn.Module):
    """What the gate says of films.

    `taps` names the modules inside the body whose output maps it reads. `forward` takes grey films
    (n, 1, height, width) in [0, 1] and those maps, and gives (n, 8): the distance from the training films in units of
    its limit; the probabilities of upright, turned by 90, 180 and 270 degrees clockwise and inverted; that of no chest
    film at all; and that of lateral.
    """

    center: Tensor
    scale: Tensor
    slopes: Tensor
    offsets: Tensor

    def __init__(
        self,
        taps: Sequence[str],
        view: GateInput,
        standard: tuple[Tensor, Tensor],
        scatters: Sequence[tuple[slice, Scatter]],
        lines: tuple[Tensor, Tensor],
    ) -> None:
        super().__init__()
        self.taps, self.view = tuple(taps), view
        self.register_buffer("center", standard[0])
        self.register_buffer("scale", standard[1])
        self.parts = [part for part, _ in scatters]  # of a row, each with a distance of its own
        self.scatters = nn.ModuleList(scatter for _, scatter in scatters)
        self.register_buffer("slopes", lines[0])  # (features, 7)
        self.register_buffer("offsets", lines[1])
        self.limit = Adjustable(GATE_LIMIT, 1.0)

    def forward(self, grey: Tensor, maps: Sequence[Tensor]) -> Tensor:
        return self.judge(self.view(grey, maps))

    def judge(self, rows: Tensor) -> Tensor:
        """The same from the rows of a GateInput."""
        standard = (rows - self.center) / self.scale
        # No feature alone may outweigh all others, however strange a picture is.
        states = torch.matmul(standard.clamp(-BOUND, BOUND), self.slopes) + self.offsets
        distance = self.distances(standard).amax(1, keepdim=True) / self.limit.number
        return torch.cat((distance, states.softmax(1)), 1)

    def distances(self, standard: Tensor) -> Tensor:
        """By each part that has a distance of its own (n, parts); a film is as far away as the furthest says."""
        each = zip(self.scatters, self.parts, strict=True)
        return torch.stack([scatter(standard[:, part]) for scatter, part in each], 1)
