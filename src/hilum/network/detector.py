"""A network that says where: grey films in, opacity boxes and image-level logits out.

RetinaNet (Lin et al., 2017) over the feature maps of any timm network, with a second output for the whole film, as the
RSNA challenge's systems had it. The parts of torchvision's RetinaNet are used where they can be; its own forward takes
lists of images of any size and cannot be told that the boxes of a film are unknown.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torchvision.ops import FeaturePyramidNetwork

from hilum.network import timm_networks
from hilum.network.backbone import Backbone, UnknownNetworkError, find_backbone
from hilum.network.classifier import Normalization
from hilum.network.freezing import Freezable
from hilum.network.pyramid import GROUPS, Pyramid
from hilum.network.weights import WeightsError, imagenet_weights, read_weights

LARGEST_STRIDE = 32  # of a network's own feature maps; what lies above is made from the last of them
RARE = 0.01  # how likely an anchor is taken for an opacity before training, so that the many negatives do not drown it
SCALES = (1.0, 2 ** (1 / 3), 2 ** (2 / 3))  # sides of the anchors at a place, between one map and the next
LARGEST_SCALE = math.log(8.0)  # an anchor is stretched at most so far: keeps the exponential from overflowing


class Found(NamedTuple):
    """What a detector says of a batch: a logit and four offsets for each anchor, image-level logits for each film."""

    scores: Tensor  # (films, anchors)
    offsets: Tensor  # (films, anchors, 4)
    image: Tensor  # (films, image-level classes)


class Tower(nn.Module):
    """The same few convolutions over every map, then one output of `numbers` for each anchor."""

    def __init__(self, pyramid: Pyramid, numbers: int, start: float) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for _ in range(pyramid.depth):
            normalized = pyramid.norm == "group"
            layers.append(nn.Conv2d(pyramid.width, pyramid.width, 3, padding=1, bias=not normalized))
            layers += [nn.GroupNorm(GROUPS, pyramid.width)] if normalized else []
            layers.append(nn.ReLU())
        self.numbers = numbers
        self.convolutions = nn.Sequential(*layers)
        self.output = nn.Conv2d(pyramid.width, len(SCALES) * len(pyramid.ratios) * numbers, 3, padding=1)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.normal_(module.weight, std=0.01)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
        assert self.output.bias is not None
        nn.init.constant_(self.output.bias, start)

    def forward(self, maps: Sequence[Tensor]) -> Tensor:
        """(films, anchors, numbers), anchors by map, then row, column, kind."""
        said = [self.output(self.convolutions(map_)).permute(0, 2, 3, 1) for map_ in maps]
        return torch.cat([one.reshape(one.shape[0], -1, self.numbers) for one in said], 1)


class Detector(Freezable):
    """Made by `create_detector`. Boxes are corners (left, top, right, bottom) in pixels of the input."""

    anchors: Tensor

    def __init__(
        self, backbone: Backbone, body: Any, pyramid: Pyramid, image_classes: int, input_size: tuple[int, int]
    ) -> None:
        super().__init__()
        self.backbone, self.pyramid, self.classes, self.input_size = backbone, pyramid, image_classes, input_size
        self.origin = "random"
        self.normalization: nn.Module = Normalization(backbone.mean, backbone.std)
        self.body = body
        channels = body.feature_info.channels()
        self.fpn = FeaturePyramidNetwork(channels, pyramid.width)
        above = pyramid.levels - len(channels)
        self.above = nn.ModuleList(nn.Conv2d(pyramid.width, pyramid.width, 3, 2, 1) for _ in range(above))
        self.score_tower = Tower(pyramid, 1, -math.log((1 - RARE) / RARE))
        self.box_tower = Tower(pyramid, 4, 0.0)
        self.image_head = nn.Sequential(nn.Dropout(0.2), nn.Linear(channels[-1], image_classes))
        self.register_buffer("anchors", draw_anchors(pyramid, input_size), persistent=False)

    def forward(self, x: Tensor) -> Found:
        """Of films (films, 1, height, width) in [0, 1], of the input's size."""
        maps = self.body(self.normalization(x))
        return Found(*self.candidates(maps), self.image_head(maps[-1].mean((2, 3))))

    def candidates(self, maps: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        """The score and the offsets of each anchor, from the body's maps."""
        levels = list(self.fpn(OrderedDict((str(number), map_) for number, map_ in enumerate(maps))).values())
        for layer in self.above:
            levels.append(layer(levels[-1]))
        return self.score_tower(levels)[..., 0], self.box_tower(levels)

    def training_outputs(self, x: Tensor) -> Found:
        """What training makes right: the same."""
        return self(x)  # type: ignore[no-any-return]

    def body_parameters(self) -> list[nn.Parameter]:
        return list(self.body.parameters())

    def head_parameters(self) -> list[nn.Parameter]:
        """All that is new: the pyramid and what reads it."""
        own = {id(parameter) for parameter in self.body.parameters()}
        return [parameter for parameter in self.parameters() if id(parameter) not in own]

    def layer_groups(self) -> list[list[nn.Parameter]]:
        return [self.body_parameters(), self.head_parameters()]


def draw_anchors(pyramid: Pyramid, size: tuple[int, int]) -> Tensor:
    """(anchors, 4): corners in pixels, centered on each map's places, in the order of the towers' outputs."""
    kinds = [
        (pyramid.anchor * scale / math.sqrt(ratio), pyramid.anchor * scale * math.sqrt(ratio))
        for scale in SCALES
        for ratio in pyramid.ratios
    ]
    drawn = []
    for stride in pyramid.strides:
        rows, columns = (-(-side // stride) for side in size)
        y = (torch.arange(rows, dtype=torch.float32) + 0.5) * stride
        x = (torch.arange(columns, dtype=torch.float32) + 0.5) * stride
        centers = torch.stack(torch.meshgrid(y, x, indexing="ij"), -1).flip(-1).reshape(-1, 1, 2)
        half = torch.tensor(kinds, dtype=torch.float32).reshape(1, -1, 2) * (stride / 2)
        drawn.append(torch.cat([centers - half, centers + half], 2).reshape(-1, 4))
    return torch.cat(drawn)


def encode(boxes: Tensor, anchors: Tensor) -> Tensor:
    """The offsets that make these anchors these boxes; both (..., 4)."""
    from_center, from_size = center_and_size(anchors)
    center, size = center_and_size(boxes)
    return torch.cat([(center - from_center) / from_size, torch.log(size / from_size)], -1)


def decode(offsets: Tensor, anchors: Tensor) -> Tensor:
    """The boxes that offsets make of anchors: the way back."""
    from_center, from_size = center_and_size(anchors)
    center = offsets[..., :2] * from_size + from_center
    half = from_size * torch.exp(offsets[..., 2:].clamp(max=LARGEST_SCALE)) / 2
    return torch.cat([center - half, center + half], -1)


def center_and_size(boxes: Tensor) -> tuple[Tensor, Tensor]:
    return (boxes[..., :2] + boxes[..., 2:]) / 2, boxes[..., 2:] - boxes[..., :2]


def create_detector(
    name: str,
    image_classes: int,
    weights: str | Path = "imagenet",
    pyramid: Pyramid | None = None,
    input_size: tuple[int, int] = (256, 256),
    seed: int | None = None,
) -> Detector:
    """A detector on the network of this name.

    `weights` are "imagenet", "none" or a file, of the network alone or of a whole detector; see `create_classifier`.
    """
    backbone, pyramid = find_backbone(name), pyramid or Pyramid()
    own = timm_networks.timm_name(backbone.name)
    if own is None:
        raise UnknownNetworkError(
            f"{name} gives no feature maps to find boxes on; take one of timm's, as timm/resnet50"
        )
    if any(side % LARGEST_STRIDE for side in input_size):
        raise ValueError(
            f"a detector's input of {input_size[0]} x {input_size[1]}: sides are multiples of {LARGEST_STRIDE}"
        )
    with torch.random.fork_rng(devices=[], enabled=seed is not None):
        if seed is not None:
            torch.default_generator.manual_seed(seed)
        body = timm_networks.feature_maps(own, pyramid.first_stride, min(pyramid.strides[-1], LARGEST_STRIDE))
        detector = Detector(backbone, body, pyramid, image_classes, input_size)
    if weights != "none":
        load_detector_weights(detector, weights)
    return detector


def load_detector_weights(detector: Detector, weights: str | Path) -> None:
    """All of the network's weights must be there; a file of a whole detector fills the rest too."""
    backbone = detector.backbone
    if weights == "imagenet":
        source = f"ImageNet ({backbone.hub}, {backbone.license})"
        given = imagenet_weights(backbone, detector.input_size)
    else:
        source, given = Path(weights).name, read_weights(Path(weights))
    whole = detector.state_dict()
    if whole.keys() <= given.keys():
        detector.load_state_dict(given)
        detector.origin = source
        return
    own = detector.body.state_dict()
    missing = [key for key in own if key not in given and not key.endswith("num_batches_tracked")]
    odd = [key for key in own if key in given and own[key].shape != given[key].shape]
    if missing or odd:
        raise WeightsError(
            f"{weights} does not fit {backbone.name}: {len(missing)} missing, {len(odd)} of another shape, "
            f"as {', '.join((missing + odd)[:4])}"
        )
    detector.body.load_state_dict({key: given[key] for key in own if key in given}, strict=False)
    detector.origin = f"{source}, new pyramid and heads"
