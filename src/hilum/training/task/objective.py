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
    """Mean loss of a batch; `targets` are class numbers, shares after mixup, or which classes each film may be."""
    if targets.dtype == torch.bool:
        return loss_of_either(logits, targets, loss, weights)
    if loss.name == "cross_entropy":
        return functional.cross_entropy(logits, targets, weights, label_smoothing=loss.label_smoothing)
    shares = targets if targets.is_floating_point() else functional.one_hot(targets, logits.shape[1]).to(logits.dtype)
    shares = shares * (1 - loss.label_smoothing) + loss.label_smoothing / logits.shape[1]
    log_probabilities = functional.log_softmax(logits, dim=1)
    focus = (1 - log_probabilities.exp()) ** loss.focal_gamma
    weighted = shares if weights is None else shares * weights
    losses = -(weighted * focus * log_probabilities).sum(1)
    return losses.mean() if weights is None else losses.sum() / weighted.sum()


def loss_of_either(logits: Tensor, may_be: Tensor, loss: Loss, weights: Tensor | None) -> Tensor:
    """The same where a film is of one of several classes: what counts is the probability of all these together."""
    log_probabilities = functional.log_softmax(logits, dim=1)
    together = log_probabilities.masked_fill(~may_be, -math.inf).logsumexp(1)
    spread = loss.label_smoothing
    losses = -(1 - spread) * together - spread * log_probabilities.mean(1)
    if loss.name == "focal":
        losses = losses * (1 - together.exp()) ** loss.focal_gamma
    if weights is None:
        return losses.mean()
    weight = (may_be * weights).sum(1) / may_be.sum(1)
    return (losses * weight).sum() / weight.sum()


def mix(films: Tensor, targets: Tensor, alpha: float, classes: int, seed: Sequence[int]) -> tuple[Tensor, Tensor]:
    """Mixup: each film blended with another of its batch, and their labels in the same shares."""
    random = np.random.Generator(np.random.Philox(list(seed)))
    share = float(random.beta(alpha, alpha))
    partner = torch.from_numpy(random.permutation(len(films))).to(films.device)
    shares = functional.one_hot(targets, classes).float()
    return films * share + films[partner] * (1 - share), shares * share + shares[partner] * (1 - share)


def right_of(logits: Tensor, targets: Tensor) -> int:
    """For how many films the most probable class is right, or one that it may be."""
    called = logits.argmax(1)
    right = called == targets if targets.ndim == 1 else targets.gather(1, called[:, None])
    return int(right.sum())


def figures(
    logits: NDArray[np.float64], targets: NDArray[np.int64], either: NDArray[np.bool_] | None = None
) -> dict[str, float]:
    """Loss, accuracy, balanced accuracy and AUC (of the second class of two; else mean of one against the rest).

    A film that may be of several classes is recognized when it is taken for any of them. Such films have a recall of
    their own in the balanced accuracy, and are left out of the AUC. Of logits that overflowed nothing is known.
    """
    if not np.isfinite(logits).all():
        return dict.fromkeys(("loss", "accuracy", "balanced_accuracy", "auc"), math.nan)
    shifted = logits - logits.max(axis=1, keepdims=True)
    log_probabilities = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    probabilities = np.exp(log_probabilities)
    predicted = logits.argmax(axis=1)
    if either is None:
        either = np.arange(logits.shape[1]) == targets[:, None]
    recognized = either[np.arange(len(targets)), predicted]
    kinds = np.unique(either, axis=0, return_inverse=True)[1].reshape(-1)
    sure = either.sum(axis=1) == 1
    return {
        "loss": float(-np.logaddexp.reduce(np.where(either, log_probabilities, -np.inf), axis=1).mean()),
        "accuracy": float(recognized.mean()),
        "balanced_accuracy": float(np.mean([recognized[kinds == kind].mean() for kind in np.unique(kinds)])),
        "auc": _auc(probabilities[sure], targets[sure]),
    }


def _auc(probabilities: NDArray[np.float64], targets: NDArray[np.int64]) -> float:
    if len(np.unique(targets)) < probabilities.shape[1]:
        return math.nan  # a class that validation lacks cannot be told from the others
    if probabilities.shape[1] == 2:
        return float(roc_auc_score(targets, probabilities[:, 1]))
    return float(roc_auc_score(targets, probabilities, multi_class="ovr"))
