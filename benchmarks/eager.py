"""What `benchmarks/predict.py` compares with: the same network in eager torch and timm, as people write it.

python benchmarks/eager.py WEIGHTS FILM...      class probabilities of each film, with a DataLoader for many
python benchmarks/eager.py --gradcam WEIGHTS    seconds a film without and with pytorch-grad-cam
"""

from __future__ import annotations

import sys
from importlib import import_module
from typing import Any

import numpy as np
import timm
import torch
from PIL import Image
from torch import Tensor

BATCH, WORKERS, SIDE = 32, 2, 224
NAME = "tf_efficientnet_lite0"


class Films(torch.utils.data.Dataset[Tensor]):
    """The films at 224 x 224 with ImageNet-style normalization, decoded at full size."""

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
        return torch.from_numpy((pixels / 255 - 0.5) / 0.5).permute(2, 0, 1)


def network(weights: str) -> torch.nn.Module:
    model = timm.create_model(NAME, num_classes=2)
    model.load_state_dict(torch.load(weights, weights_only=True))
    return model.eval()


def predict(weights: str, paths: list[str]) -> None:
    model, films = network(weights), Films(paths)
    with torch.inference_mode():
        if len(paths) == 1:
            print(paths[0], model(films[0][None]).softmax(1).tolist())
            return
        for batch in torch.utils.data.DataLoader(films, BATCH, num_workers=WORKERS):
            for probabilities in model(batch).softmax(1).tolist():
                print(probabilities)


def gradcam(weights: str) -> None:
    """Alternating, so that both see the same machine."""
    import time

    grad_cam: Any = import_module("pytorch_grad_cam")
    target = import_module("pytorch_grad_cam.utils.model_targets").ClassifierOutputTarget(1)

    model = network(weights)
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
        gradcam(sys.argv[2])
    else:
        predict(sys.argv[1], sys.argv[2:])
