"""timm's networks under their own names, with few and narrow layers: what holds of one holds of the other, sooner."""

from __future__ import annotations

from typing import Any

import pytest
import timm

NARROW = {"depth": 2, "embed_dim": 32, "num_heads": 2}
FOUR = {"depths": (1, 1, 1, 1)}
SMALL: dict[str, dict[str, Any]] = {
    "vit_tiny_patch16_224": NARROW,
    "deit_tiny_patch16_224": NARROW,
    "vit_small_patch14_reg4_dinov2": NARROW,
    "vit_base_patch16_224": NARROW,
    "swin_tiny_patch4_window7_224": {"embed_dim": 16, "depths": (1, 1), "num_heads": (1, 2), "window_size": 4},
    "maxvit_tiny_rw_224": {**FOUR, "embed_dim": (32, 32, 32, 32), "stem_width": (16, 16)},
    "efficientvit_b0": {
        "widths": (8, 8, 16, 16, 16),
        "depths": (1, 1, 1, 1, 1),
        "head_dim": 8,
        "head_widths": (32, 32),
    },
    "fastvit_t8": {"layers": (1, 1, 1, 1), "embed_dims": (8, 16, 16, 16)},
}


def make_small(patch: pytest.MonkeyPatch) -> None:
    """From now on timm makes these networks small."""
    whole = timm.create_model

    def create_model(name: str, **options: Any) -> Any:
        return whole(name, **{**SMALL.get(name, {}), **options})

    patch.setattr(timm, "create_model", create_model)
