"""What `benchmarks/predict.py` compares with: a network as recipe `hilum` trains, in eager torch, timm and torchvision.

python benchmarks/eager.py WEIGHTS FILM...      class probabilities and boxes of each film, with a DataLoader for many
python benchmarks/eager.py --gradcam            seconds a film of its body without and with pytorch-grad-cam

As people write it: timm's bodies, torchvision's RetinaNet with its own post-processing, plain layers for the rest. Its
anchors lie half a stride beside those of hilum, which costs no time; all else is of the same size.
"""

from __future__ import annotations

import sys
from collections import OrderedDict
from functools import partial
from importlib import import_module
from typing import Any

import numpy as np
import timm
import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional
from torchvision.models.detection import RetinaNet
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.retinanet import RetinaNetHead
from torchvision.ops import FeaturePyramidNetwork

BATCH, WORKERS, SIDE, LUNGS_SIDE, CLASSES = 16, 2, 256, 160, 4
NAME = "tf_efficientnet_lite0"
WIDTH, DEPTH, GROUPS = 96, 2, 16
STRIDES, ANCHOR, SCALES, RATIOS = (16, 32, 64), 2.0, (1.0, 2 ** (1 / 3), 2 ** (2 / 3)), (1.0, 1.7, 2.8)


class Opacity(nn.Module):
    """A map of opacities from the two coarsest maps of a body; the mean over its highest places is a score."""

    def __init__(self, near: int, far: int) -> None:
        super().__init__()
        self.near, self.far = nn.Conv2d(near, 64, 1), nn.Conv2d(far, 64, 1)
        self.out = nn.Sequential(nn.ReLU(), nn.Conv2d(64, 64, 3, padding=1), nn.ReLU(), nn.Conv2d(64, 1, 1))

    def forward(self, maps: list[Tensor]) -> Tensor:
        found = self.out(self.near(maps[-2]) + functional.interpolate(self.far(maps[-1]), scale_factor=2.0)).flatten(1)
        score: Tensor = found.topk(max(round(0.03 * found.shape[1]), 1), 1).values.mean(1)
        return score


class Mask(nn.Module):
    """The lungs, from all maps of a body."""

    def __init__(self, channels: list[int]) -> None:
        super().__init__()
        self.narrow = nn.ModuleList(nn.Conv2d(width, 32, 1) for width in channels)
        self.out = nn.Sequential(nn.ReLU(), nn.Conv2d(32, 32, 3, padding=1), nn.ReLU(), nn.Conv2d(32, 1, 1))

    def forward(self, maps: list[Tensor]) -> Tensor:
        *finer, made = (layer(map_) for layer, map_ in zip(self.narrow, maps, strict=True))
        for map_ in reversed(finer):
            made = map_ + functional.interpolate(made, scale_factor=2.0)
        mask: Tensor = torch.sigmoid(4 * self.out(made))
        return mask


class Backbone(nn.Module):
    """Two EfficientNet-Lite0, the second one on the lungs alone, under a pyramid of three maps of the first one."""

    def __init__(self) -> None:
        super().__init__()
        body: Any = timm.create_model(NAME, features_only=True, out_indices=(1, 2, 3, 4))
        channels = body.feature_info.channels()
        self.body, self.lungs = body, timm.create_model(NAME, features_only=True, out_indices=(3, 4))
        self.fpn = FeaturePyramidNetwork(channels[2:], WIDTH)
        self.above = nn.Conv2d(WIDTH, WIDTH, 3, 2, 1)
        self.heads = nn.ModuleList(nn.Linear(channels[-1], CLASSES) for _ in range(2))
        self.opacities = nn.ModuleList(Opacity(*channels[2:]) for _ in range(2))
        self.mask, self.joined = Mask(channels), nn.Linear(4, 1)
        self.out_channels = WIDTH
        self.film = torch.empty(0)

    def forward(self, x: Tensor) -> OrderedDict[str, Tensor]:
        maps = self.body(x)
        small = partial(functional.interpolate, size=LUNGS_SIDE, mode="bilinear", antialias=True)
        grown = functional.avg_pool2d(functional.max_pool2d(self.mask(maps), 3, 1, 1), 3, 1, 1)
        views = (maps, self.lungs(small(x) * small(grown)))
        odds = [head(view[-1].mean((2, 3))) for head, view in zip(self.heads, views, strict=True)]
        places = [opacity(view) for opacity, view in zip(self.opacities, views, strict=True)]
        scores = [odds[0][:, 1], places[0], odds[1][:, 1], places[1]]
        self.film = torch.cat([self.joined(torch.stack(scores, 1)), odds[0][:, 1:]], 1).softmax(1)
        levels: OrderedDict[str, Tensor] = self.fpn(OrderedDict(enumerate(maps[2:])))
        levels["above"] = self.above(levels[1])  # type: ignore[index]  # torchvision takes any keys
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
        path = self.paths[number]
        if path.endswith(".dcm"):
            import pydicom

            stored = pydicom.dcmread(path).pixel_array.astype(np.float32)
            film = Image.fromarray(np.asarray(stored / stored.max() * 255, np.uint8))
        else:
            film = Image.open(path)
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


def gradcam() -> None:
    """Alternating, so that both see the same machine."""
    import time

    grad_cam: Any = import_module("pytorch_grad_cam")
    target = import_module("pytorch_grad_cam.utils.model_targets").ClassifierOutputTarget(1)

    model: Any = timm.create_model(NAME, num_classes=CLASSES).eval()
    films = torch.randn(8, 3, SIDE, SIDE)
    plain, explained = [], []
    with grad_cam.GradCAM(model, [model.conv_head]) as cam:
        for _ in range(6):
            start = time.perf_counter()
            with torch.inference_mode():
                model(films)
            plain.append(time.perf_counter() - start)
            start = time.perf_counter()
            cam(films, [target] * len(films))
            explained.append(time.perf_counter() - start)
    print(sorted(plain[1:])[2] / len(films), sorted(explained[1:])[2] / len(films))


if __name__ == "__main__":
    if sys.argv[1] == "--gradcam":
        gradcam()
    else:
        predict(sys.argv[1], sys.argv[2:])
