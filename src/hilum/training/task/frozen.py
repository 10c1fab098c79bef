"""A body that stays as it is: the features of every film once, kept beside the store, and a head fitted to them.

So foundation models are used whose body nobody trains here: a sweep over heads and their regularization takes seconds a
combination. The head is fitted to standardized features by L-BFGS over all films; scale and mean are then folded into
its first layer, so that what comes is an ordinary network.
"""

from __future__ import annotations

import hashlib
import io
import math
import time

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from hilum.dataset.store.store import Store
from hilum.measures.delong import delong_covariance
from hilum.measures.intervals import Z
from hilum.network.network import Outputs
from hilum.network.view import View
from hilum.system.files import write_whole
from hilum.training.checkpoint import write_state
from hilum.training.fit import PRECISIONS
from hilum.training.observer import Epoch, Observer, Working, unobserved
from hilum.training.prepare import Prepared
from hilum.training.recipe import Recipe
from hilum.training.run import Run
from hilum.training.task.objective import loss_of, right_of

BATCH = 16
LEAST_SPREAD = 1e-6  # a feature that is the same on all films has none
Floats32 = NDArray[np.float32]


def fit_head(run: Run, prepared: Prepared, *, observer: Observer = unobserved) -> list[dict[str, float]]:
    """Fit the recipe's head to the features of its body; the history is one row, and what was done is not repeated."""
    if history := run.read_history():
        return history
    began = time.monotonic()
    task, recipe, store = prepared.task, prepared.task.recipe, prepared.store
    view = task.network.to(prepared.train.device).film.eval()
    train, val = prepared.train.examples, prepared.val.examples
    precision = PRECISIONS.get(recipe.training.precision)
    features = features_of(view, store, np.union1d(train.rows, val.rows), precision, observer)
    known = train.targets if train.either is None else train.either
    shown = torch.from_numpy(features[train.rows])
    loss = fit_layers(view.head.cpu(), shown, torch.from_numpy(known), recipe, task.weights)
    with torch.no_grad():
        logits = view.head(torch.from_numpy(features[val.rows]))
        right = right_of(view.head(shown), torch.from_numpy(known))
    measured = task.figures([Outputs(logits)], val) | auc_interval(logits, val.targets, val.either)
    seconds = time.monotonic() - began
    row = {
        "epoch": 1.0,
        "phase": 1.0,
        "train_loss": loss,
        "train_accuracy": right / len(train),
        **measured,
        "images_per_second": len(train) / seconds,
        "seconds": seconds,
        "best": float(math.isfinite(measured[recipe.selection.metric])),
    }
    if row["best"]:
        write_state(run.best, {"network": task.network.cpu().state_dict(), "epoch": 1, "figures": measured})
    run.write_history([row])
    observer(Epoch(row))
    return [row]


def features_of(
    view: View,
    store: Store,
    rows: NDArray[np.int64],
    precision: torch.dtype | None = None,
    observer: Observer = unobserved,
) -> Floats32:
    """(films of the store, features): of these rows what the body gives, of others perhaps nothing (NaN).

    They lie beside the store's films under a name that says of which weights, in which precision, they are.
    """
    file = store.folder / f"features-{_digest(view, precision)}.npy"
    features = np.full((len(store.digests), view.body.width), np.nan, np.float32)
    if file.is_file():
        features = np.load(file, allow_pickle=False)
    missing = rows[np.isnan(features[rows, 0])]
    device = next(view.parameters()).device
    for start in range(0, len(missing), BATCH):
        part = missing[start : start + BATCH]
        with torch.inference_mode(), torch.autocast(device.type, precision, enabled=precision is not None):
            films = torch.from_numpy(store.pixels[part][:, None]).to(device).float() / 255
            features[part] = view.body(view.normalization(films)).float().cpu().numpy()
        observer(Working("looking at films through the encoder", min(start + BATCH, len(missing)), len(missing)))
    if len(missing):
        held = io.BytesIO()
        np.save(held, features, allow_pickle=False)
        write_whole(file, held.getvalue())
    return features


def _digest(view: View, precision: torch.dtype | None) -> str:
    named = f"{view.backbone.name} {view.input_size} {torch.__version__}{precision or ''}"
    held = hashlib.blake2b(named.encode(), digest_size=12)
    for name, tensor in (*view.body.state_dict().items(), *view.normalization.named_buffers()):
        held.update(name.encode() + tensor.detach().cpu().contiguous().numpy().tobytes())
    return held.hexdigest()


def fit_layers(head: nn.Module, features: Tensor, targets: Tensor, recipe: Recipe, weights: Tensor | None) -> float:
    """Fit a head to features (films, width); the loss that it ends with, without the penalty of large weights."""
    assert recipe.frozen is not None
    mean, spread = features.mean(0), features.std(0) + LEAST_SPREAD
    standard, penalty = (features - mean) / spread, recipe.frozen.regularization
    head.eval().requires_grad_(True)
    linear = [module for module in head.modules() if isinstance(module, nn.Linear)]
    optimizer = torch.optim.LBFGS(
        head.parameters(), max_iter=recipe.frozen.iterations, history_size=20, line_search_fn="strong_wolfe"
    )
    last = math.nan

    def closure() -> Tensor:
        nonlocal last
        optimizer.zero_grad()
        loss = loss_of(head(standard), targets, recipe.loss, weights)
        last = float(loss.detach())
        loss = loss + penalty / 2 * sum(layer.weight.square().sum() for layer in linear)
        loss.backward()  # type: ignore[no-untyped-call]
        return loss

    optimizer.step(closure)  # type: ignore[no-untyped-call]
    with torch.no_grad():
        linear[0].weight /= spread
        linear[0].bias.sub_(linear[0].weight @ mean)
    return last


def auc_interval(logits: Tensor, targets: NDArray[np.int64], either: NDArray[np.bool_] | None) -> dict[str, float]:
    """The ends of DeLong's 95% interval of the AUC of two classes, films taken as independent."""
    positive = targets == 1
    if logits.shape[1] != 2 or either is not None or min(positive.sum(), (~positive).sum()) < 2:
        return {}
    chances = logits.double().softmax(1)[:, 1].numpy()
    (auc,), covariance = delong_covariance([chances], positive)
    error = Z * math.sqrt(max(float(covariance[0, 0]), 0.0))
    return {"auc_low": max(float(auc) - error, 0.0), "auc_high": min(float(auc) + error, 1.0)}
