"""What `benchmarks/detect.py` compares with: the same detector in eager torchvision and timm, as people write it.

python benchmarks/eager_detect.py WEIGHTS FILM...    boxes of each film, with a DataLoader for many

Its anchors lie half a stride beside those of hilum, which costs no time; all else is of the same size.
"""

from __future__ import annotations

import sys
from collections import OrderedDict
from functools import partial
from typing import Any

import numpy as np
import pydicom
import timm
import torch
from PIL import Image
from torch import Tensor, nn
from torchvision.models.detection import RetinaNet
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.retinanet import RetinaNetHead
from torchvision.ops import FeaturePyramidNetwork

BATCH, WORKERS, SIDE = 16, 2, 256
WIDTH, DEPTH, GROUPS = 128, 2, 16
STRIDES, ANCHOR, SCALES, RATIOS = (16, 32, 64), 2.0, (1.0, 2 ** (1 / 3), 2 ** (2 / 3)), (1.0, 1.7, 2.8)


class Backbone(nn.Module):
    """EfficientNet-Lite0 under a pyramid of three maps, and a head that says whether the film shows an opacity."""

    def __init__(self) -> None:
        super().__init__()
        body: Any = timm.create_model("tf_efficientnet_lite0", features_only=True, out_indices=(3, 4))
        channels = body.feature_info.channels()
        self.body = body
        self.fpn = FeaturePyramidNetwork(channels, WIDTH)
        self.above = nn.Conv2d(WIDTH, WIDTH, 3, 2, 1)
        self.image_head = nn.Linear(channels[-1], 2)
        self.out_channels = WIDTH
        self.film = torch.empty(0)

    def forward(self, x: Tensor) -> OrderedDict[str, Tensor]:
        maps = self.body(x)
        self.film = self.image_head(maps[-1].mean((2, 3))).softmax(1)
        levels: OrderedDict[str, Tensor] = self.fpn(
            OrderedDict((str(number), map_) for number, map_ in enumerate(maps))
        )
        levels["above"] = self.above(levels["1"])
        return levels


def network() -> Any:
    anchors = AnchorGenerator(
        tuple(tuple(ANCHOR * stride * scale for scale in SCALES) for stride in STRIDES), (RATIOS,) * 3
    )
    head = RetinaNetHead(WIDTH, anchors.num_anchors_per_location()[0], 1, partial(nn.GroupNorm, GROUPS))
    for part in (head.classification_head, head.regression_head):
        part.conv = part.conv[:DEPTH]  # torchvision's has four
    return RetinaNet(
        Backbone(),
        num_classes=1,
        min_size=SIDE,
        max_size=SIDE,
        image_mean=[0.5] * 3,
        image_std=[0.5] * 3,
        anchor_generator=anchors,
        head=head,
        nms_thresh=0.3,
        detections_per_img=50,
    ).eval()


class Films(torch.utils.data.Dataset[Tensor]):
    """The films at 256 x 256, decoded at full size."""

    def __init__(self, paths: list[str]) -> None:
        self.paths = paths

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, number: int) -> Tensor:
        stored = pydicom.dcmread(self.paths[number]).pixel_array.astype(np.float32)
        film = Image.fromarray(np.asarray(stored / stored.max() * 255, np.uint8))
        pixels = np.asarray(film.convert("RGB").resize((SIDE, SIDE), Image.Resampling.BILINEAR), np.float32)
        return torch.from_numpy(pixels / 255).permute(2, 0, 1)


def predict(weights: str, paths: list[str]) -> None:
    model, films = network(), Films(paths)
    model.load_state_dict(torch.load(weights, weights_only=True))
    batches = torch.utils.data.DataLoader(films, BATCH, num_workers=WORKERS) if len(paths) > 1 else [films[0][None]]
    with torch.inference_mode():
        for batch in batches:
            found = model(list(batch))
            for one, probabilities in zip(found, model.backbone.film.tolist(), strict=True):
                print(probabilities, one["boxes"].tolist(), one["scores"].tolist())


if __name__ == "__main__":
    predict(sys.argv[1], sys.argv[2:])
