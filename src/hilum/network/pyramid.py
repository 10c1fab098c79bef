"""The shape of a detector, as a recipe says it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

GROUPS = 16  # of group normalization


@dataclass(frozen=True, slots=True)
class Pyramid:
    """The maps a detector reads and the anchors on them: at each place of each map, one a scale and ratio."""

    first_stride: int = 16
    levels: int = 3  # maps, each of twice the stride of the one before
    width: int = 128  # channels
    depth: int = 2  # convolutions before each output
    norm: Literal["group", "none"] = "group"
    anchor: float = 2.0  # side of the smallest anchor, in strides
    ratios: tuple[float, float, float] = (1.0, 1.7, 2.8)  # of an anchor's height to its width

    def __post_init__(self) -> None:
        if self.first_stride not in (8, 16, 32):
            raise ValueError(f"detector.first_stride = {self.first_stride}: 8, 16 or 32")
        if not 1 <= self.levels <= 5 or not 1 <= self.depth <= 8:
            raise ValueError("detector.levels runs from 1 to 5, detector.depth from 1 to 8")
        if self.width % GROUPS or self.width < GROUPS:
            raise ValueError(f"detector.width = {self.width}: a multiple of {GROUPS}")
        if self.anchor <= 0 or min(self.ratios) <= 0:
            raise ValueError("detector.anchor and detector.ratios: above 0")

    @property
    def strides(self) -> list[int]:
        return [self.first_stride * 2**level for level in range(self.levels)]
