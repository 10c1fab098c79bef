"""The two small networks of the three-class system, trained from nothing.

Both flatten their last feature map into wide layers, so their size follows from the size of the film: the first was
made for photographs of 32 x 32, where its first wide layer holds 4 million weights; at 256 x 300 it holds 310 million.
"""

from __future__ import annotations

from math import ceil

from torch import nn

from hilum.network.body import Body, Parts


def small_cnn1(size: tuple[int, int], classes: int) -> Parts:
    """Three pairs of 3 x 3 convolutions, each pair followed by pooling, for three channels."""
    features = nn.Sequential()
    for before, between, after in ((3, 32, 64), (64, 128, 128), (128, 256, 256)):
        features.extend([nn.Conv2d(before, between, 3, padding=1), nn.ReLU()])
        features.extend([nn.Conv2d(between, after, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)])
    height, width = size
    flat = 256 * (height // 8) * (width // 8)
    wide = nn.Sequential(nn.Linear(flat, 1024), nn.ReLU(), nn.Linear(1024, 512), nn.ReLU())
    return Parts(flattened(features, wide, 512, ("features.5", "features.10", "wide")), {})


def small_cnn2(size: tuple[int, int], classes: int) -> Parts:
    """After AlexNet, for one channel: at 256 x 300 its last feature map is 128 x 5 x 6."""
    features = nn.Sequential(
        *(nn.Conv2d(1, 48, 11, stride=4, padding=5), nn.ReLU()),
        *(nn.Conv2d(48, 128, 5, stride=3, padding=2), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Conv2d(128, 192, 3, padding=1), nn.ReLU()),
        *(nn.Conv2d(192, 192, 3, padding=1), nn.ReLU()),
        *(nn.Conv2d(192, 128, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)),
    )
    # Both strided convolutions give as many places as fit, the last one counted even if it hangs over.
    height, width = (ceil(ceil(side / 4) / 3) // 4 for side in size)
    wide = nn.Sequential(nn.Linear(128 * height * width, 2048), nn.ReLU(), nn.Linear(2048, 1024), nn.ReLU())
    return Parts(flattened(features, wide, 1024, ("features.2", "features.5", "wide")), {})


def flattened(features: nn.Sequential, wide: nn.Sequential, width: int, groups: tuple[str, ...]) -> Body:
    """A body that flattens its last map into wide layers."""
    layers: dict[str, nn.Module] = {"features": features, "flatten": nn.Flatten(), "wide": wide}
    return Body(layers, width, averaged=False, groups=groups, last=())
