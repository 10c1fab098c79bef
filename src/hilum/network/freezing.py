"""A view of which the body can be held fast while the rest is trained."""

from __future__ import annotations

from typing import Any, Self

from torch import nn


class Freezable(nn.Module):
    """A `body` that was trained before, and new layers after it."""

    body: Any
    statistics_frozen: bool = False

    def set_body_trainable(self, trainable: bool, *, moving_statistics: bool) -> None:
        """Freezes the body, or sets it free, and so its batch normalization.

        With frozen statistics a frozen body stays the very function it was, and a free one goes on from that function.
        Published code often stops the gradients only and trains on with statistics that follow the new films. Dropout
        inside the body stays on in either case.
        """
        self.body.requires_grad_(trainable)
        self.statistics_frozen = not moving_statistics
        self.train(self.training)

    def train(self, mode: bool = True) -> Self:
        """As torch's, but frozen statistics stay."""
        super().train(mode)
        if self.statistics_frozen:
            for module in self.body.modules():
                if isinstance(module, nn.modules.batchnorm._BatchNorm):
                    module.eval()
        return self
