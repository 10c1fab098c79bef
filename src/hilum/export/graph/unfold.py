"""From a graph back to the weights of the Network that it was made of, to train on from there.

Weights keep their names in a graph, apart from what folding moved: normalization and repeated channels went into the
first convolution, batch normalization into the convolution before it. Taken back, batch normalization does nothing but
add what folding made of it, so its statistics have to stay as they are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

import numpy as np
import onnx
import onnxruntime as ort
import torch
from numpy.typing import NDArray
from onnx import numpy_helper
from torch import Tensor, nn

from hilum.bundle.card import BundleError
from hilum.bundle.format import FEATURES
from hilum.network.network import Network
from hilum.network.view import Normalization

# Where parts of a Network stand in a Graph; the first that fits counts.
PLACES = (
    ("film.body.", "body."),
    ("film.head.linear.", "reading.linear."),
    ("film.head.", "reading.head."),
    ("film.opacity.", "joined.opacity."),
    ("lungs.head.linear.", "joined.reading.linear."),
    ("lungs.head.", "joined.reading.head."),
    ("lungs.", "joined.lungs."),
    ("masks.", "joined.masks."),
    ("masks.", "masks."),
    ("boxes.", "boxes.head."),
)
BatchNorm = nn.modules.batchnorm._BatchNorm
# How far the features of a film may be from those that the graph gives, as a share of the largest.
APART = 1e-3


def weights_of(model: onnx.ModelProto, network: Network) -> dict[str, Tensor]:
    """The state of `network`, which is laid out as the one in the graph. BundleError if that cannot be had exactly."""
    held, place = _Held(model.graph), _places(network)
    wanted = network.state_dict()
    given: dict[str, NDArray[np.float32]] = {}
    after = _normalizations(network)
    for name, module in network.named_modules():
        if not isinstance(module, nn.Conv2d | nn.Linear):
            continue
        weight, bias = held.layer(*place(f"{name}.weight"))
        given[f"{name}.weight"] = weight
        if module.bias is not None:
            given[f"{name}.bias"] = bias if bias is not None else np.zeros(len(weight), np.float32)
        elif bias is not None and isinstance(norm := after.get(name, (None, None))[1], BatchNorm):
            given |= _adding(after[name][0], norm, bias)
        if isinstance(norm := after.get(name, (None, None))[1], nn.GroupNorm):
            scale, shift = held.scaled(place(f"{name}.weight")[0], norm.num_channels)
            given |= {f"{after[name][0]}.weight": scale, f"{after[name][0]}.bias": shift}
    for name in wanted.keys() - given.keys():
        if not name.endswith("num_batches_tracked") and (found := held.values.get(place(name)[0])) is not None:
            given[name] = found
    first = next(name for name, module in network.film.body.named_modules() if isinstance(module, nn.Conv2d))
    stem = f"film.body.{first}.weight"
    if given[stem].shape != wanted[stem].shape and isinstance(network.film.normalization, Normalization):
        given[stem] = _unfolded(given[stem], network.film.normalization, wanted[stem].shape[1])
    return _checked({name: torch.from_numpy(value.copy()) for name, value in given.items()}, wanted)


def check_same(model: onnx.ModelProto, network: Network) -> None:
    """Raises BundleError unless the network sees in a film what the graph sees in it."""
    films = np.random.default_rng(0).integers(0, 256, (2, 1, *network.input_size), np.uint8)
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    (expected,) = session.run([FEATURES], {"films": films})
    with torch.no_grad():
        view = network.film.eval()
        maps, _ = view.maps_and_taps(torch.from_numpy(films).float() / 255)
        features = view.body.pool(maps).numpy().reshape(expected.shape)
    if not np.abs(features - expected).max() <= APART * np.abs(expected).max():
        raise BundleError("its weights, taken back out of its graph, see something else; go on from its run instead")


class _Held:
    """The constants of a graph by name, and where they are used."""

    def __init__(self, graph: onnx.GraphProto) -> None:
        self.values = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
        self.used: dict[str, list[onnx.NodeProto]] = {}
        for node in graph.node:
            if node.op_type == "Cast" and node.input[0] in self.values:  # weights in half precision
                self.values[node.output[0]] = self.values[node.input[0]].astype(np.float32)
            for name in node.input:
                self.used.setdefault(name, []).append(node)

    def layer(self, *names: str) -> tuple[NDArray[np.float32], NDArray[np.float32] | None]:
        """Weight and bias of a convolution or of a linear layer, whose weight has one of these names."""
        for weight in names:
            layers = [node for node in self.used.get(weight, []) if node.op_type in ("Conv", "Gemm")]
            if weight in self.values and layers:
                bias = self.values[layers[0].input[2]] if len(layers[0].input) > 2 else None
                return self.values[weight], bias
        raise BundleError(f"its graph has no weights called {names[0]}; go on from its run instead")

    def scaled(self, weight: str, channels: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """By what the channels of a convolution's output are multiplied, and what is added, after normalization."""
        constants = [
            self.values[name].reshape(-1)
            for node in self._downstream(self.used[weight][0])
            for name in node.input
            if node.op_type in ("Mul", "Add") and name in self.values and self.values[name].size == channels
        ]
        return constants[0], constants[1]

    def _downstream(self, node: onnx.NodeProto) -> Iterator[onnx.NodeProto]:
        while after := self.used.get(node.output[0], []):
            node = after[0]
            yield node


def _places(network: Network) -> Callable[[str], list[str]]:
    """What a weight of the network may be called in a graph."""
    # Where a heatmap is computed through layers with ReLU between them, all of these stand with the heatmap.
    views = {"film.": "reading.layers", "lungs.": "joined.reading.layers"}
    chains = {
        prefix: [name for name, module in network.named_modules() if name.startswith(prefix) and _is_linear(module)]
        for prefix in views
    }

    def place(name: str) -> list[str]:
        found = [in_graph + name.removeprefix(ours) for ours, in_graph in PLACES if name.startswith(ours)] or [name]
        layer, _, kind = name.rpartition(".")
        return found + [
            f"{views[prefix]}.{chain.index(layer)}.{kind}" for prefix, chain in chains.items() if layer in chain
        ]

    return place


def _is_linear(module: nn.Module) -> bool:
    return isinstance(module, nn.Linear)


def _normalizations(network: Network) -> dict[str, tuple[str, nn.Module]]:
    """By convolution: the normalization that reads what it gives, and its name."""
    made: dict[int, str] = {}
    kept: list[Tensor] = []  # so that no other tensor gets the same number
    found: dict[str, tuple[str, nn.Module]] = {}

    def gave(name: str, module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        made[id(output)] = name
        kept.append(output)

    def reads(name: str, module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        if (convolution := made.get(id(inputs[0]))) is not None:
            found[convolution] = name, module

    hooks = [
        module.register_forward_hook(partial(gave, name))
        for name, module in network.named_modules()
        if isinstance(module, nn.Conv2d)
    ]
    hooks += [
        module.register_forward_pre_hook(partial(reads, name))
        for name, module in network.named_modules()
        if isinstance(module, BatchNorm | nn.GroupNorm)
    ]
    with torch.no_grad():
        network.eval()(torch.zeros((1, 1, *network.input_size)))
    for hook in hooks:
        hook.remove()
    return found


def _adding(name: str, norm: BatchNorm, bias: NDArray[np.float32]) -> dict[str, NDArray[np.float32]]:
    """Batch normalization that adds a bias, and nothing else, as long as its statistics stay."""
    return {
        f"{name}.weight": np.ones_like(bias),
        f"{name}.bias": bias,
        f"{name}.running_mean": np.zeros_like(bias),
        f"{name}.running_var": np.full_like(bias, 1 - norm.eps),
    }


def _unfolded(weight: NDArray[np.float32], levels: Normalization, channels: int) -> NDArray[np.float32]:
    """Of a first convolution that reads grey levels 0 to 255: the smallest weights of its channels that do the same.

    See `fold_levels`: one channel is the sum over all, the other one what their means differ by.
    """
    mean, std = levels.mean.double().numpy().reshape(-1), levels.std.double().numpy().reshape(-1)
    folding = np.stack([np.ones(channels), -(mean - mean[0])])[: weight.shape[1]]
    grey = np.einsum("ck,okhw->ochw", np.linalg.pinv(folding), weight.astype(np.float64) * 255)
    return np.asarray(grey * std[:, None, None], np.float32)


def _checked(given: dict[str, Tensor], wanted: dict[str, Tensor]) -> dict[str, Tensor]:
    missing = [
        name
        for name, tensor in wanted.items()
        if not name.endswith("num_batches_tracked") and (name not in given or given[name].shape != tensor.shape)
    ]
    if missing:
        raise BundleError(f"its graph does not hold {missing[0]} as it was trained; go on from its run instead")
    counters = {name: tensor for name, tensor in wanted.items() if name.endswith("num_batches_tracked")}
    return given | counters
