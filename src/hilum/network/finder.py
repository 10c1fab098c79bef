"""A network that finds the lungs for another one: trained before, held fast, part of the network that it tells."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from torch import Tensor, nn

from hilum.network import timm_networks
from hilum.network.backbone import Backbone, find_backbone
from hilum.network.heads.lungs import STRIDES, LungHead, believed
from hilum.network.heads.resample import Resample
from hilum.network.view import Normalization
from hilum.network.weights import WeightsError, read_weights

# Where the weights of a Network that finds lungs stand here.
PLACES = {"film.body.": "body.", "masks.": "head."}


class FinderShape(NamedTuple):
    """Which network finds the lungs, on films of which height and width."""

    network: str
    size: tuple[int, int]


class LungFinder(nn.Module):
    """Reads films as the network that it tells sees them, whose grey levels are `levels` means and deviations."""

    def __init__(self, shape: FinderShape, seen: tuple[int, int], levels: Backbone) -> None:
        super().__init__()
        backbone = find_backbone(shape.network)
        own = timm_networks.timm_name(backbone.name)
        if own is None:
            raise ValueError(f"{backbone.name} gives no maps to find lungs on")
        self.mean, self.std = levels.mean[0], levels.std[0]
        self.resample = Resample(seen, shape.size)
        self.normalization = Normalization(backbone.mean, backbone.std)
        self.body = timm_networks.feature_maps(own, (STRIDES[0], STRIDES[-1]), shape.size).body
        self.head = LungHead(self.body.channels_at(STRIDES))
        found, told = ((height // STRIDES[0], width // STRIDES[0]) for height, width in (shape.size, seen))
        self.to_film = Resample(found, told)

    def forward(self, x: Tensor) -> Tensor:
        """How much of each place is lung (films, 1, rows, columns), at a quarter of the films' sides."""
        grey = x[:, :1] * self.std + self.mean
        _, taps = self.body.maps_and_taps(self.normalization(self.resample(grey)))
        masks: Tensor = self.to_film(believed(self.head(self.body.select(taps, STRIDES)).float()))
        return masks

    def fill(self, file: Path) -> None:
        """Take the weights of a network that finds lungs, as `hilum train` keeps them."""
        given = read_weights(file)
        own = {
            ours + name.removeprefix(theirs): tensor
            for name, tensor in given.items()
            for theirs, ours in PLACES.items()
            if name.startswith(theirs)
        }
        try:
            self.load_state_dict(own)
        except RuntimeError:
            raise WeightsError(f"{file}: holds no network that finds lungs, laid out as this one") from None
