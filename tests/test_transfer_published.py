"""The study of 12 networks and 5 optimizers: each of them can be trained by the recipe."""

from __future__ import annotations

import math

import pytest
import torch

from hilum.network.network import create_network
from hilum.training.optimizer import make_optimizer
from hilum.training.recipe import load_recipe
from hilum.training.task.objective import loss_of

# The smallest films that each takes in training; Inception's auxiliary head needs its own size.
SIDES = {
    "alexnet": 63,
    **dict.fromkeys(("vgg11", "vgg13", "vgg16", "vgg19"), 32),
    **dict.fromkeys(("resnet18", "resnet34", "resnet50", "resnet101", "resnet152"), 32),
    "googlenet": 32,
    "inception_v3": 299,
}
PUBLISHED = ("adam", "sgd", "rmsprop", "adagrad", "adadelta")


@pytest.mark.parametrize(
    ("network", "optimizer"),
    [*((name, "sgd") for name in SIDES), *(("resnet18", name) for name in PUBLISHED if name != "sgd")],
)
def test_every_network_and_optimizer_learns_in_a_step(network: str, optimizer: str) -> None:
    side = SIDES[network]
    settings = (f"network.name={network}", "network.weights=none", f"optimizer.name={optimizer}")
    recipe = load_recipe("transfer-published", [*settings, f"input.height={side}", f"input.width={side}"])
    size = recipe.input.size
    made = create_network(recipe.network.name, 2, recipe.network.weights, input_size=size, seed=1)
    made.train()
    stepping = make_optimizer(recipe, recipe.phases[0], made.layer_groups())
    films = torch.rand(2, 1, *size, generator=torch.Generator().manual_seed(0))
    outputs = made.training_outputs(films)
    assert len(outputs.auxiliary) == {"googlenet": 2, "inception_v3": 1}.get(network, 0)
    targets = torch.tensor([0, 1])
    losses = [loss_of(logits, targets, recipe.loss, None) for logits in (outputs.film, *outputs.auxiliary)]
    sum(losses, torch.zeros(())).backward()  # type: ignore[no-untyped-call]
    assert all(math.isfinite(loss.item()) for loss in losses)
    assert all(parameter.grad is not None for parameter in made.parameters())
    first, last = next(made.parameters()), next(made.film.head.parameters())
    before = first.detach().clone(), last.detach().clone()
    stepping.step()
    assert not torch.equal(before[0], first)
    assert not torch.equal(before[1], last)
