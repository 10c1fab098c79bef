"""Films made smaller as one linear map a side: antialiased, exact, and plain arithmetic in any runtime."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional


class Resample(nn.Module):
    """(films, channels, *before) -> (films, channels, *after), as torch's antialiased bilinear interpolation does."""

    rows: Tensor
    columns: Tensor

    def __init__(self, before: tuple[int, int], after: tuple[int, int]) -> None:
        super().__init__()
        # Known from the sizes, so no part of the weights.
        self.register_buffer("rows", weights(before[0], after[0]), persistent=False)
        self.register_buffer("columns", weights(before[1], after[1]).T.contiguous(), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.rows @ x @ self.columns


def weights(before: int, after: int) -> Tensor:
    """(after, before): what each pixel of the result takes of each pixel of the source, along one side."""
    unit = torch.eye(before)[None, None]  # every row a film line with one pixel that is not black
    lines = functional.interpolate(unit, (before, after), mode="bilinear", antialias=True)
    return lines[0, 0].T.contiguous()
