"""What training makes small: the loss of a recipe, and the figures of validation it is judged by."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score
from torch import Tensor
from torch.nn import functional

from hilum.training.recipe import Loss


def class_weights(loss: Loss, counts: Sequence[int], device: torch.device) -> Tensor | None:
    """A weight for each class; `inverse` gives each the share of all other films, as the published ResNet50 does."""
    if loss.class_weights == "none":
        return None
    if isinstance(loss.class_weights, list):
        return torch.tensor(loss.class_weights, device=device)
    total = sum(counts)
    if len(counts) == 2:
        return torch.tensor([1 - count / total for count in counts], device=device)
    return torch.tensor([total / (len(counts) * max(count, 1)) for count in counts], device=device)


def loss_of(logits: Tensor, targets: Tensor, loss: Loss, weights: Tensor | None) -> Tensor:
    """Mean loss of a batch; `targets` are class numbers, or shares of classes after mixup."""
    if loss.name == "cross_entropy":
        return functional.cross_entropy(logits, targets, weights, label_smoothing=loss.label_smoothing)
    shares = targets if targets.is_floating_point() else functional.one_hot(targets, logits.shape[1]).to(logits.dtype)
    shares = shares * (1 - loss.label_smoothing) + loss.label_smoothing / logits.shape[1]
    log_probabilities = functional.log_softmax(logits, dim=1)
    focus = (1 - log_probabilities.exp()) ** loss.focal_gamma
    weighted = shares if weights is None else shares * weights
    losses = -(weighted * focus * log_probabilities).sum(1)
    return losses.mean() if weights is None else losses.sum() / weighted.sum()


def mix(films: Tensor, targets: Tensor, alpha: float, classes: int, seed: Sequence[int]) -> tuple[Tensor, Tensor]:
    """Mixup: each film blended with another of its batch, and their labels in the same shares."""
    random = np.random.Generator(np.random.Philox(list(seed)))
    share = float(random.beta(alpha, alpha))
    partner = torch.from_numpy(random.permutation(len(films))).to(films.device)
    shares = functional.one_hot(targets, classes).float()
    return films * share + films[partner] * (1 - share), shares * share + shares[partner] * (1 - share)


def figures(logits: NDArray[np.float64], targets: NDArray[np.int64]) -> dict[str, float]:
    """Loss, accuracy, balanced accuracy and AUC (of the second class of two; else mean of one against the rest)."""
    shifted = logits - logits.max(axis=1, keepdims=True)
    log_probabilities = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    probabilities = np.exp(log_probabilities)
    predicted = logits.argmax(axis=1)
    recalls = [float((predicted[targets == target] == target).mean()) for target in np.unique(targets)]
    return {
        "loss": float(-log_probabilities[np.arange(len(targets)), targets].mean()),
        "accuracy": float((predicted == targets).mean()),
        "balanced_accuracy": float(np.mean(recalls)),
        "auc": _auc(probabilities, targets),
    }


def _auc(probabilities: NDArray[np.float64], targets: NDArray[np.int64]) -> float:
    if len(np.unique(targets)) < probabilities.shape[1]:
        return math.nan  # a class that validation lacks cannot be told from the others
    if probabilities.shape[1] == 2:
        return float(roc_auc_score(targets, probabilities[:, 1]))
    return float(roc_auc_score(targets, probabilities, multi_class="ovr"))
