"""The shape of a detector, as a recipe says it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from hilum.system.typed import Bounds, out_of_bounds

GROUPS = 16  # of group normalization
Ratio = Annotated[float, Bounds(above=0)]


@dataclass(frozen=True, slots=True)
class Pyramid:
    """The maps a detector reads, and what it makes of them.

    That is anchors, one a scale and ratio at each place of each map, or queries, each of which looks for a box.
    """

    first_stride: Literal[8, 16, 32] = 16  # of the finest map
    levels: Annotated[int, Bounds(1, 5)] = 3  # maps, each of twice the stride of the one before
    width: Annotated[int, Bounds(GROUPS, step=GROUPS)] = 128  # channels
    depth: Annotated[int, Bounds(1, 8)] = 2  # convolutions before each output, or layers in which queries look again
    norm: Literal["group", "none"] = "group"  # of anchors: normalization after these convolutions
    anchor: Annotated[float, Bounds(above=0)] = 2.0  # side of the smallest anchor, in strides
    ratios: tuple[Ratio, Ratio, Ratio] = (1.0, 1.7, 2.8)  # of an anchor's height to its width
    kind: Literal["anchors", "queries"] = "anchors"  # RetinaNet's head, or RT-DETRv2's, by hilum[queries]
    queries: Annotated[int, Bounds(10, 300)] = 100  # how many boxes are looked for, if by queries
    denoising: Annotated[int, Bounds(0, 300)] = 100  # queries in training that begin near a true box; 0: none

    def __post_init__(self) -> None:
        for fault in out_of_bounds(self, "detector"):
            raise ValueError(fault)

    @property
    def strides(self) -> list[int]:
        """The stride of each map, finest first."""
        return [self.first_stride * 2**level for level in range(self.levels)]
