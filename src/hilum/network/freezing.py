"""A view of which the body can be held fast while the rest is trained."""

from __future__ import annotations

from typing import Any, Self

from torch import nn


class Freezable(nn.Module):
    """A `body` that was trained before, and new layers after it, or in it, as it names them itself."""

    body: Any  # a Body
    statistics_frozen: bool = False

    def set_body_trainable(self, trainable: bool, *, moving_statistics: bool) -> None:
        """Freezes the body, or sets it free, and so its batch normalization.

        With frozen statistics a frozen body stays the very function it was, and a free one goes on from that function.
        Published code often stops the gradients only and trains on with statistics that follow the new films. Dropout
        inside the body stays on in either case.
        """
        for name, layer in self.body.named_children():
            layer.requires_grad_(name in self.body.new or (trainable and name not in self.body.fixed))
        self.statistics_frozen = not moving_statistics
        self.train(self.training)

    def train(self, mode: bool = True) -> Self:
        """As torch's, but frozen statistics stay, and what never learns is as it will be used."""
        super().train(mode)
        for name in self.body.fixed:
            if (layer := getattr(self.body, name)) is not None:
                layer.eval()
        if self.statistics_frozen:
            for module in self.body.modules():
                if isinstance(module, nn.modules.batchnorm._BatchNorm):
                    module.eval()
        return self
