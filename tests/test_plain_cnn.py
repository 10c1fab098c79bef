"""The two small networks: as written out, counted by hand."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from hilum.network import create_network

# weights + biases of each layer, from the description of the system
FIRST_CONVOLUTIONS = sum(
    before * after * 3 * 3 + after
    for before, after in ((3, 32), (32, 64), (64, 128), (128, 128), (128, 256), (256, 256))
)
SECOND_CONVOLUTIONS = (
    *(1 * 48 * 11 * 11 + 48, 48 * 128 * 5 * 5 + 128),
    *(128 * 192 * 3 * 3 + 192, 192 * 192 * 3 * 3 + 192, 192 * 128 * 3 * 3 + 128),
)


def parameters(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def first_wide(network: nn.Module) -> nn.Linear:
    return next(layer for layer in network.modules() if isinstance(layer, nn.Linear))


def test_the_first_is_small_on_small_photographs() -> None:
    network = create_network("small_cnn1", 10, weights="none", input_size=(32, 32))
    wide = (256 * 4 * 4 * 1024 + 1024) + (1024 * 512 + 512) + (512 * 10 + 10)
    assert parameters(network) == FIRST_CONVOLUTIONS + wide
    assert network(torch.rand(2, 1, 32, 32)).film.shape == (2, 10)


def test_the_first_explodes_on_films() -> None:
    with torch.device("meta"):
        network = create_network("small_cnn1", 3, weights="none")
    assert network.input_size == (256, 300)
    assert first_wide(network).in_features == 256 * 32 * 37
    assert parameters(network) == FIRST_CONVOLUTIONS + (303_104 * 1024 + 1024) + (1024 * 512 + 512) + (512 * 3 + 3)
    assert parameters(network) > 311_000_000


def test_the_second_flattens_to_3840() -> None:
    network = create_network("small_cnn2", 3, weights="none")
    assert network.input_size == (256, 300)
    assert first_wide(network).in_features == 3840 == 128 * 5 * 6
    wide = (3840 * 2048 + 2048) + (2048 * 1024 + 1024) + (1024 * 3 + 3)
    assert parameters(network) == sum(SECOND_CONVOLUTIONS) + wide
    assert network(torch.rand(2, 1, 256, 300)).film.shape == (2, 3)


@pytest.mark.parametrize("size", [(64, 64), (97, 143), (224, 224), (255, 301)])
@pytest.mark.parametrize("name", ["small_cnn1", "small_cnn2"])
def test_their_size_follows_from_that_of_the_film(name: str, size: tuple[int, int]) -> None:
    with torch.device("meta"):
        network = create_network(name, 3, weights="none", input_size=size)
        assert network(torch.rand(1, 1, *size)).film.shape == (1, 3)


def test_they_have_no_feature_map_that_is_averaged() -> None:
    network = create_network("small_cnn2", 3, weights="none")
    with pytest.raises(ValueError, match="small_cnn2 does not end in the average"):
        network.film.features(torch.rand(1, 1, 256, 300))


def test_films_are_seen_as_they_are() -> None:
    films = torch.rand(2, 1, 8, 8)
    assert torch.equal(create_network("small_cnn2", 3, weights="none").film.normalization(films), films)
