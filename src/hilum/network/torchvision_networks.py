"""The networks of torchvision, cut into their layers.

The arithmetic is that of torchvision's own `forward`, as our tests hold. Written out as a sequence, every one of them
gives its last feature map, and its layers keep the names that published weights use.
"""

from __future__ import annotations

import torchvision.models
from torch import nn

from hilum.network.body import Body, Parts, layers_of


def resnet(name: str, size: tuple[int, int], classes: int) -> Parts:
    """A ResNet of any depth."""
    net = torchvision.models.get_model(name)
    groups = ("layer1", "layer2", "layer3", "layer4")
    return Parts(Body(layers_of(net, "avgpool", "fc"), net.fc.in_features, groups=groups), {})


def resnet50_v1(name: str, size: tuple[int, int], classes: int) -> Parts:
    """ResNet50 as first published; torchvision's, called v1.5, has its strides in the 3x3 convolutions."""
    parts = resnet("resnet50", size, classes)
    for layer in ("layer2", "layer3", "layer4"):
        parts.body.get_submodule(f"{layer}.0.conv1").stride = (2, 2)  # type: ignore[assignment]
        parts.body.get_submodule(f"{layer}.0.conv2").stride = (1, 1)  # type: ignore[assignment]
    return parts


def alexnet(name: str, size: tuple[int, int], classes: int) -> Parts:
    """AlexNet."""
    net = torchvision.models.alexnet()
    return Parts(stacked(net, ("features.3", "features.6", "classifier")), {})


def vgg(name: str, size: tuple[int, int], classes: int) -> Parts:
    """A VGG of any depth."""
    net = torchvision.models.get_model(name)
    pools = [index for index, layer in enumerate(net.features) if isinstance(layer, nn.MaxPool2d)]
    return Parts(stacked(net, (*(f"features.{pool + 1}" for pool in pools[:-1]), "classifier")), {})


def stacked(net: torchvision.models.AlexNet | torchvision.models.VGG, groups: tuple[str, ...]) -> Body:
    """AlexNet and VGG: the feature map is flattened, not averaged, and read by two wide layers before the last."""
    layers = {"features": net.features, "avgpool": net.avgpool, "flatten": nn.Flatten()}
    layers["classifier"] = net.classifier[:-1]
    last = len(net.classifier) - 1
    return Body(layers, 4096, averaged=False, groups=groups, last=(f"classifier.{last}",))


def googlenet(name: str, size: tuple[int, int], classes: int) -> Parts:
    """GoogLeNet with both of its auxiliary heads."""
    net = torchvision.models.googlenet(num_classes=classes, aux_logits=True, init_weights=True)
    layers = layers_of(net, "aux1", "aux2", "avgpool", "dropout", "fc")
    groups = ("conv2", "inception3a", "inception4a", "inception5a")
    taps = ("inception4a", "inception4d")
    return Parts(Body(layers, 1024, groups=groups, taps=taps), {"aux1": net.aux1, "aux2": net.aux2})


def inception_v3(name: str, size: tuple[int, int], classes: int) -> Parts:
    """Inception v3 with its auxiliary head."""
    net = torchvision.models.inception_v3(num_classes=classes, aux_logits=True, init_weights=True)
    layers = layers_of(net, "AuxLogits", "avgpool", "dropout", "fc")
    groups = ("Conv2d_3b_1x1", "Mixed_5b", "Mixed_6a", "Mixed_7a")
    return Parts(Body(layers, 2048, groups=groups, taps=("Mixed_6e",)), {"AuxLogits": net.AuxLogits})
