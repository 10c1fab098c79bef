"""Names become networks: built, filled with weights, and given a head for our classes."""

from hilum.network.backbone import BACKBONES, Backbone, Hub, UnknownNetworkError, find_backbone
from hilum.network.classifier import Classifier, Head, TrainingLogits, create_classifier, load_weights
from hilum.network.fold import fold_input
from hilum.network.weights import WeightsError

__all__ = [
    "BACKBONES",
    "Backbone",
    "Classifier",
    "Head",
    "Hub",
    "TrainingLogits",
    "UnknownNetworkError",
    "WeightsError",
    "create_classifier",
    "find_backbone",
    "fold_input",
    "load_weights",
]
