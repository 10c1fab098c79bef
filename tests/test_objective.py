"""Losses and figures where a label stands for one of several classes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch

from hilum.dataset.manifest.manifest import SCHEMA, Manifest
from hilum.dataset.store.store import Store
from hilum.radiograph.geometry import Geometry
from hilum.training.feed.examples import choose_examples
from hilum.training.feed.feed import Feed, Shown
from hilum.training.recipe import Loss
from hilum.training.task.objective import figures, loss_of, right_of
from hilum.training.variation.augment import Augmentation


def test_a_label_of_several_classes_counts_their_probability_together() -> None:
    random = np.random.default_rng(1)
    logits, targets = torch.from_numpy(random.normal(size=(40, 3))), torch.from_numpy(random.integers(0, 3, 40))
    probabilities = logits.softmax(1)
    either = torch.zeros(40, 3, dtype=torch.bool)
    either[:, 1:] = True
    expected = -(probabilities[:, 1] + probabilities[:, 2]).log().mean()
    assert loss_of(logits, either, Loss(), None).item() == pytest.approx(expected.item())
    sure = torch.nn.functional.one_hot(targets, 3).bool()
    for settings in (Loss(), Loss(label_smoothing=0.1), Loss(name="focal")):
        for weights in (None, torch.tensor([0.2, 0.3, 0.5], dtype=torch.float64)):
            if settings.label_smoothing and weights is not None:
                continue  # torch weighs each class's share of the smoothing by itself
            ours, plain = (loss_of(logits, wanted, settings, weights) for wanted in (sure, targets))
            assert ours.item() == pytest.approx(plain.item())

    measured = figures(logits.numpy(), either.numpy().argmax(1), either.numpy())
    predicted = logits.argmax(1)
    assert measured["accuracy"] == pytest.approx((predicted > 0).double().mean().item())
    assert measured["loss"] == pytest.approx(expected.item())


def test_a_label_of_several_classes_reaches_the_loss(tmp_path: Path) -> None:
    classes = {"normal": ["normal"], "one": ["one", "either"], "two": ["two", "either"]}
    table = pl.DataFrame(
        [
            {"path": f"{label}.png", "file_digest": f"{place}", "label": label, "split": "train", "patient": label}
            for place, label in enumerate(("normal", "one", "two", "either"))
        ],
        schema=SCHEMA,
    )
    store = Store(np.zeros((4, 8, 8), np.uint8), Geometry("squash", 8, 8), tmp_path, ("0", "1", "2", "3"), {})
    examples = choose_examples(Manifest(table, tmp_path), store, classes, ["train"])
    assert examples.either is not None
    assert examples.either.tolist() == [
        [True, False, False],
        [False, True, False],
        [False, False, True],
        [False, True, True],
    ]
    assert examples.counts(3) == [1, 1, 1]
    batch = next(Feed(Shown(store.pixels, examples, Augmentation()), 4, torch.device("cpu")).in_order())
    assert batch.targets.tolist() == examples.either.tolist()


def test_right_is_the_class_or_one_of_those_it_may_be() -> None:
    logits = torch.tensor([[2.0, 1.0, 0.0], [0.0, 1.0, 3.0], [5.0, 1.0, 0.0]])
    assert right_of(logits, torch.tensor([0, 1, 0])) == 2
    may_be = torch.tensor([[True, False, False], [False, True, True], [False, True, True]])
    assert right_of(logits, may_be) == 2


@pytest.mark.parametrize("odd", [np.inf, -np.inf, np.nan])
def test_of_logits_that_overflowed_nothing_is_known(odd: float) -> None:
    logits = np.array([[0.0, 1.0], [odd, 0.0]])
    assert all(np.isnan(value) for value in figures(logits, np.array([0, 1])).values())
