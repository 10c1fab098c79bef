"""The network beneath a detector as weights for a classifier of the same network: SafeTensors, to name in a recipe.

    python results/body_of_detector.py RUN OUT.safetensors
    hilum train films.parquet --set network.weights=OUT.safetensors

Boxes tell a network where to look, which labels of whole films do not. What a detector leaves out of the network (the
layers after its last feature map) keeps its weights from ImageNet.
"""

from __future__ import annotations

import sys
from pathlib import Path

import torch
from safetensors.torch import save_file

from hilum.network.backbone import find_backbone
from hilum.network.weights import imagenet_weights
from hilum.training.run import Run


def main() -> None:
    run = Run(Path(sys.argv[1]))
    recipe = run.recipe()
    weights = imagenet_weights(find_backbone(recipe.network.name), recipe.input.size)
    trained = torch.load(run.best, map_location="cpu", weights_only=True)["network"]
    start = "film.body.net."
    body = {name.removeprefix(start): tensor for name, tensor in trained.items() if name.startswith(start)}
    unknown = body.keys() - weights.keys()
    assert not unknown, f"the network has no {sorted(unknown)[:3]}"
    left = sorted(weights.keys() - body.keys())
    print(f"{len(body)} tensors of the detector, from ImageNet: {', '.join(left)}")
    save_file({name: tensor.contiguous() for name, tensor in (weights | body).items()}, sys.argv[2])


if __name__ == "__main__":
    main()
