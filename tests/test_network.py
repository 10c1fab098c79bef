"""Names become networks: every one, its published size, grey input, heads, freezing, groups, folding."""

from __future__ import annotations

from itertools import chain

import pytest
import timm
import torch
import torchvision.models
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torchvision.transforms import Normalize

from hilum.network import BACKBONES, Network, UnknownNetworkError, View, create_network, find_backbone, fold_input
from hilum.network.weights import fit_weights

# Too large to be filled with numbers in a test, or built of the same parts as one that is.
ON_META = {"vgg13", "vgg16", "vgg19", "resnet101", "resnet152", "small_cnn1"} | {
    f"resnet{kind}_multi_scale" for kind in ("50", "101", "50_v1")
}
TORCHVISION = [name for name, backbone in BACKBONES.items() if backbone.hub == "torchvision" and not backbone.published]


def created(name: str, classes: int = 2, **options: object) -> View:
    return create_network(name, classes, weights="none", seed=1, **options).film  # type: ignore[arg-type]


def count(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def films(view: View, number: int = 2, channels: int = 1) -> Tensor:
    return torch.rand(number, channels, *view.input_size, generator=torch.Generator().manual_seed(0))


def close(one: Tensor, other: Tensor) -> bool:
    """Equal up to rounding; the logits of networks that were never trained can be of any size."""
    return (one - other).abs().max().item() <= 1e-5 * max(1.0, other.abs().max().item())


@pytest.mark.parametrize("name", BACKBONES)
def test_every_network_is_built_and_gives_logits_at_its_own_size(name: str) -> None:
    with torch.device("meta" if name in ON_META else "cpu"), torch.no_grad():
        view = created(name, 3).eval()
        x = torch.rand(2, 1, *view.input_size)
        assert view(x).shape == (2, 3)
        if view.body.averaged:
            assert view.features(x).shape[:2] == (2, view.body.width)
    network = Network(view)
    grouped = network.layer_groups()
    assert 4 < len(grouped) < 9
    assert list(map(id, chain(*grouped))) == list(map(id, network.parameters()))
    assert list(map(id, grouped[-1])) == list(map(id, network.head_parameters()))


@pytest.mark.parametrize("name", TORCHVISION)
def test_sizes_are_those_that_torchvision_publishes(name: str) -> None:
    with torch.device("meta"):
        view = created(name, 1000)
    published = torchvision.models.get_model_weights(name)["IMAGENET1K_V1"].meta["num_params"]
    counted = count(view.body) + count(view.head)
    # Of the two networks with auxiliary heads, the figure of Inception v3 has them in it.
    assert published == counted + (count(view.auxiliary) if name == "inception_v3" else 0)


@pytest.mark.parametrize("name", ["alexnet", "vgg11", "resnet18", "resnet50", "googlenet", "inception_v3"])
def test_arithmetic_is_torchvisions(name: str) -> None:
    options = {"init_weights": True, "transform_input": True} if name in ("googlenet", "inception_v3") else {}
    with torch.random.fork_rng():
        torch.manual_seed(0)
        published = torchvision.models.get_model(name, num_classes=7, **options)
    view = created(name, 7)
    fitting = fit_weights(published.state_dict(), view.state_dict(), view.body)
    assert fitting.keys() == view.state_dict().keys()
    view.load_state_dict(fitting)
    x = films(view)
    normalized = Normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))(x.repeat(1, 3, 1, 1))
    view.eval()
    # The published auxiliary heads speak only in training, but nothing in there may act as it does in training.
    published.eval().training = bool(view.auxiliary)
    with torch.no_grad():
        expected, got = published(normalized), Network(view).training_outputs(x)
        assert close(view(x), got.film)
    if not view.auxiliary:
        assert close(got.film, expected)
    elif name == "inception_v3":
        assert close(got.film, expected.logits) and close(got.auxiliary[0], expected.aux_logits)
    else:
        assert close(got.film, expected.logits)
        assert close(got.auxiliary[0], expected.aux_logits1) and close(got.auxiliary[1], expected.aux_logits2)


@pytest.mark.parametrize(
    ("name", "averaged"), [("timm/resnet18", True), ("mobilenetv3_small_050", False), ("vit_tiny_patch16_224", False)]
)
def test_arithmetic_is_timms(name: str, averaged: bool) -> None:
    view = created(name, 7).eval()
    published = timm.create_model(name.removeprefix("timm/"), num_classes=7).eval()
    fitting = fit_weights(published.state_dict(), view.state_dict(), view.body)
    view.load_state_dict(fitting)
    x = films(view)
    normalized = Normalize(view.backbone.mean, view.backbone.std)(x.repeat(1, 3, 1, 1))
    with torch.no_grad():
        assert close(view(x), published(normalized))
    assert view.body.averaged == averaged
    assert {id(p) for p in chain(*Network(view).layer_groups())} == {id(p) for p in view.parameters()}


def test_a_transformer_is_built_for_the_size_of_the_films() -> None:
    view = created("vit_tiny_patch16_224", input_size=(96, 128)).eval()
    assert view(films(view)).shape == (2, 2)


def test_a_name_that_both_have_is_torchvisions() -> None:
    assert find_backbone("resnet18").hub == "torchvision"
    assert find_backbone("timm/resnet18").hub == "timm"
    assert find_backbone("resnet26d").name == "timm/resnet26d"


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("resnet_18", "resnet18"),
        ("efficientnet-lite0", "efficientnet_lite0"),
        ("VGG16", "vgg16"),
        ("resnet50.nonsense", "resnet50"),
        ("timm/resnet18x", "resnet18"),
        ("vit", "vit_tiny_patch16_224"),
        ("swinv2", "swinv2_tiny_window8_256"),
    ],
)
def test_an_unknown_name_is_answered_with_the_nearest(name: str, near: str) -> None:
    with pytest.raises(UnknownNetworkError, match=rf"no network is called {name}; the nearest names are .*\b{near}\b"):
        create_network(name, 2)


def test_a_name_near_to_none_is_answered_with_ours() -> None:
    with pytest.raises(UnknownNetworkError, match=r"any name of timm's will do; hilum's own are efficientnet_lite0, "):
        create_network("0", 2)


@pytest.mark.parametrize("name", ["efficientnet_lite0", "resnet18"])
def test_grey_is_rgb_with_equal_channels(name: str) -> None:
    view = created(name).eval()
    x = films(view)
    with torch.no_grad():
        assert torch.equal(view(x), view(x.repeat(1, 3, 1, 1)))


@pytest.mark.parametrize("name", ["efficientnet_lite0", "resnet18", "googlenet", "vit_tiny_patch16_224"])
def test_normalization_is_torchvisions(name: str) -> None:
    backbone = find_backbone(name)
    view = created(name)
    x = films(view)
    expected = Normalize(backbone.mean, backbone.std)(x.repeat(1, 3, 1, 1))
    torch.testing.assert_close(view.normalization(x), expected)
    assert not any(key.startswith("normalization") for key in view.state_dict())


def test_efficientnet_lite_wants_what_it_was_trained_on() -> None:
    x = torch.linspace(0, 1, 256).reshape(1, 1, 16, 16)
    seen = created("efficientnet_lite0").normalization(x)[0, 1]
    torch.testing.assert_close(seen, (x[0, 0] * 255 - 127) / 128)


def test_the_mlp_head_is_the_published_one() -> None:
    view = created("resnet34", head="mlp").eval()
    view.set_body_trainable(False, moving_statistics=False)
    trainable = [parameter for parameter in view.parameters() if parameter.requires_grad]
    assert sum(parameter.numel() for parameter in trainable) == 131_842
    assert list(map(id, trainable)) == list(map(id, view.head.parameters()))
    with torch.no_grad():
        logits = view(films(view))
    torch.testing.assert_close(logits.exp().sum(1), torch.ones(2))
    torch.testing.assert_close(logits.softmax(1), logits.exp())


def test_dropout_stands_before_the_last_layer() -> None:
    assert created("resnet18", dropout=0.4).head.dropout.p == 0.4  # type: ignore[union-attr]
    assert created("resnet18").head.dropout.p == 0.0  # type: ignore[union-attr]
    assert created("googlenet").head.dropout.p == 0.2  # type: ignore[union-attr]
    assert created("googlenet", head="mlp").head.dropout.p == 0.0  # type: ignore[union-attr]
    mlp = created("resnet18", head="mlp", dropout=0.4).head
    assert [name for name, _ in mlp.named_children()] == ["hidden", "relu", "dropout", "linear", "log_softmax"]
    assert mlp.dropout.p == 0.4  # type: ignore[union-attr]
    with pytest.raises(ValueError, match="head deep: one of linear, mlp"):
        created("resnet18", head="deep")


@pytest.mark.parametrize("name", ["efficientnet_lite0", "resnet18", "googlenet"])
def test_the_head_reads_the_average_of_the_feature_map(name: str) -> None:
    view = created(name).eval()
    x = films(view)
    with torch.no_grad():
        torch.testing.assert_close(view.head(view.features(x).mean((2, 3))), view(x))


def statistics(view: View) -> list[Tensor]:
    return [buffer.clone() for name, buffer in view.body.named_buffers() if "running" in name]


def unchanged(before: list[Tensor], after: list[Tensor]) -> bool:
    return all(map(torch.equal, before, after))


def test_a_frozen_body_stays_the_function_it_was() -> None:
    view = created("resnet18", input_size=(64, 64))
    before = statistics(view)
    view.set_body_trainable(False, moving_statistics=False)
    view.train()
    view(films(view)).sum().backward()
    assert all(parameter.grad is None for parameter in view.body.parameters())
    assert all(parameter.grad is not None for parameter in view.head.parameters())
    assert unchanged(before, statistics(view))
    view.set_body_trainable(True, moving_statistics=True)
    view(films(view)).sum().backward()
    assert all(parameter.grad is not None for parameter in view.body.parameters())
    assert not unchanged(before, statistics(view))


def test_statistics_of_a_frozen_body_move_as_in_published_code_if_asked() -> None:
    view = created("resnet18", input_size=(64, 64))
    before = statistics(view)
    view.set_body_trainable(False, moving_statistics=True)
    view.train()
    view(films(view)).sum().backward()
    assert all(parameter.grad is None for parameter in view.body.parameters())
    assert not unchanged(before, statistics(view))


def test_a_seed_repeats_the_start_and_leaves_the_generator_alone() -> None:
    state = torch.get_rng_state()
    one, same, other = (create_network("small_cnn2", 3, weights="none", seed=seed) for seed in (1, 1, 2))
    assert torch.equal(state, torch.get_rng_state())
    assert unchanged(list(one.state_dict().values()), list(same.state_dict().values()))
    assert not unchanged(list(one.state_dict().values()), list(other.state_dict().values()))


# Means that differ between channels, means that do not, one channel, no mean at all, patches.
@pytest.mark.parametrize("name", ["resnet18", "efficientnet_lite0", "small_cnn2", "googlenet", "vit_tiny_patch16_224"])
def test_folding_the_input_changes_no_logit(name: str) -> None:
    view = created(name).eval()
    x = films(view)
    folded = fold_input(view)
    with torch.no_grad():
        assert close(folded(x), view(x))
    first = next(module for module in folded.modules() if isinstance(module, nn.Conv2d))
    assert first.weight.shape[1] == first.in_channels == (2 if name == "resnet18" else 1)


def test_what_cannot_be_folded_says_so() -> None:
    with pytest.raises(ValueError, match="timm/tresnet_m does something else to its input"):
        fold_input(created("tresnet_m"))


@pytest.mark.parametrize(("name", "size"), [("small_cnn2", (256, 300)), ("efficientnet_lite0", (96, 96))])
def test_a_few_steps_lower_the_loss(name: str, size: tuple[int, int]) -> None:
    view = created(name, input_size=size)
    optimizer = torch.optim.Adam(view.parameters(), 3e-4)
    x, labels = films(view, 8), torch.tensor([0, 1] * 4)
    x[labels == 0] *= 0.2
    losses = []
    for _ in range(6):
        loss = cross_entropy(view(x), labels)
        losses.append(loss.item())
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    assert losses[-1] < 0.9 * losses[0]
