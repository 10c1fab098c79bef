"""A view of which the body can be held fast while the rest is trained."""

from __future__ import annotations

from typing import Any, Self

from torch import nn


class Freezable(nn.Module):
    """A `body` that was trained before, and new layers after it."""

    body: Any
    statistics_frozen: bool = False

    def set_body_trainable(self, trainable: bool, *, moving_statistics: bool = False) -> None:
        """Freezes the body, or sets it free.

        A frozen body keeps the statistics of its batch normalization too, so it stays the very function it was.
        Published code often stops the gradients only and trains on with statistics that follow the new films:
        `moving_statistics` does as that does. Dropout inside the body stays on in either case.
        """
        self.body.requires_grad_(trainable)
        self.statistics_frozen = not trainable and not moving_statistics
        self.train(self.training)

    def train(self, mode: bool = True) -> Self:
        """As torch's, but a frozen body keeps its statistics."""
        super().train(mode)
        if self.statistics_frozen:
            for module in self.body.modules():
                if isinstance(module, nn.modules.batchnorm._BatchNorm):
                    module.eval()
        return self
