"""Names become networks: built, filled with weights, and given heads for our classes."""

from hilum.network.backbone import BACKBONES, Backbone, Hub, UnknownNetworkError, find_backbone
from hilum.network.fold import fold_input
from hilum.network.network import Network, Outputs, create_network, load_weights
from hilum.network.view import Head, View
from hilum.network.weights import WeightsError

__all__ = [
    "BACKBONES",
    "Backbone",
    "Head",
    "Hub",
    "Network",
    "Outputs",
    "UnknownNetworkError",
    "View",
    "WeightsError",
    "create_network",
    "find_backbone",
    "fold_input",
    "load_weights",
]
