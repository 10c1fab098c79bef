"""A network without its last layer: a batch of images in, one vector of features an image out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from torch import Tensor, nn


class Body(nn.Sequential):
    """The layers of a network in order, under the names their authors gave them, so that published weights fit.

    `width` is that of what comes out. Where `averaged`, that is the average of the last feature map over its
    places, so that a linear head on it can be traced back to places. `groups` names the layers at which a new one of
    the `layer_groups` begins, `taps` those whose output an auxiliary head reads. `last` is what the authors call the
    last layer, which is not here, and then whatever else of theirs was left out with it.
    """

    # Where the authors' names start, seen from here.
    inside = ""
    # Layers that no published weights have, which learn with the head, and such as never learn.
    new: Sequence[str] = ()
    fixed: Sequence[str] = ()
    # What the gate reads of it; left empty: stages of medium size.
    seen_by_gate: Sequence[str] = ()
    # Strides and channels of its maps, finest first, where it gives those that heads for places read.
    strides: Sequence[int] = ()
    channels: Sequence[int] = ()

    def __init__(
        self,
        layers: dict[str, nn.Module],
        width: int,
        *,
        averaged: bool = True,
        groups: Sequence[str] = (),
        taps: Sequence[str] = (),
        last: Sequence[str] = ("fc",),
    ) -> None:
        super().__init__()
        self.finder: Any = None  # a LungFinder, of a body that is told where the lungs are
        for name, layer in layers.items():
            self.add_module(name, layer)
        self.width, self.averaged = width, averaged
        self.groups, self.taps, self.last = tuple(groups), tuple(taps), tuple(last)

    def maps_and_taps(self, x: Tensor) -> tuple[Tensor, list[Tensor]]:
        """What the last layer here gives, and what the tapped layers gave on the way."""
        tapped = []
        for name, layer in self.named_children():
            x = layer(x)
            if name in self.taps:
                tapped.append(x)
        return x, tapped

    def pool(self, maps: Tensor) -> Tensor:
        """The features (films, width) that the last map is made into."""
        return maps.mean((2, 3)) if self.averaged else maps

    @property
    def traced(self) -> bool:
        """Whether the features are the average of the last map over its places, perhaps normalized."""
        return self.averaged

    def places(self, maps: Tensor) -> Tensor:
        """The last map as (films, channels, height, width), where the features are traced to it."""
        return maps

    @property
    def norm(self) -> nn.LayerNorm | None:
        """What normalizes that average, if anything."""
        return None

    def forward(self, x: Tensor) -> Tensor:
        return self.pool(self.maps_and_taps(x)[0])

    def select(self, maps: list[Tensor], strides: Sequence[int]) -> list[Tensor]:
        """Of all its maps those of these strides, as far as it has them."""
        return [map_ for map_, stride in zip(maps, self.strides, strict=True) if stride in strides]

    def channels_at(self, strides: Sequence[int]) -> list[int]:
        """The channels of the maps that `select` gives."""
        return [channels for channels, stride in zip(self.channels, self.strides, strict=True) if stride in strides]

    def fitted(self, weights: dict[str, Tensor]) -> dict[str, Tensor]:
        """Weights of a view with such a body, where they were made for films of another size; most fit any size."""
        return weights

    def layer_groups(self) -> list[list[nn.Parameter]]:
        """All parameters in a handful of groups, from the first layers to the last, but those new or fixed."""
        found: list[list[nn.Parameter]] = [[]]
        ahead = list(self.groups)
        for name, parameter in self.named_parameters():
            if name.startswith(tuple(f"{layer}." for layer in (*self.new, *self.fixed))):
                continue
            if ahead and name.startswith(f"{ahead[0]}."):
                found.append([])
                ahead.pop(0)
            found[-1].append(parameter)
        return found


class Parts(NamedTuple):
    """What building a network gives: its body, and the auxiliary heads that read the body's taps in training."""

    body: Body
    auxiliary: dict[str, nn.Module]


def layers_of(net: nn.Module, *leave_out: str) -> dict[str, nn.Module]:
    """The layers of a network under their authors' names, without those to leave out."""
    return {name: layer for name, layer in net.named_children() if name not in leave_out}
