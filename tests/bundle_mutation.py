"""Bundles changed by someone who knows ONNX, as random bytes would hardly do it, under a digest made anew."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from random import Random
from typing import NamedTuple

import numpy as np
import onnx
from bundles import QUARTERS, tiny_card, tiny_model
from onnx import AttributeProto, TensorProto, helper, numpy_helper

from hilum.bundle.card import BoxCard, BundleError, Card
from hilum.bundle.onnx_file import write_metadata
from hilum.bundle.trust.operators import ALLOWED

Change = Callable[[onnx.ModelProto, Random], None]
NUMBERS = [0, -1, 1, 2, 7, 2**15, 2**31 - 1, 2**31, 2**40, 2**63 - 1, -(2**31), -(2**63), 10**9]
HARMFUL = ["\x1b[31mred", "\x1b]0;title\x07", "\x9b2J", "\u202egnp", "", "x" * 5000, "a\nb", "\x00"]
OTHERS = ["Loop", "If", "Scan", "SequenceMap", "RandomNormal", "StringNormalizer", "RegexFullMatch", "LSTM", "NoSuch"]


class Mutant(NamedTuple):
    """A changed bundle and how it came about."""

    changes: str
    content: bytes

    def __repr__(self) -> str:
        return self.changes


def mutants(seed: int, count: int) -> Iterator[Mutant]:
    """Bundles that anyone could make: one to three changes each; the same seed gives the same."""
    for number in range(count):
        chance = Random(f"{seed} {number}")
        card, model = chance.choice(BASES)()
        made = []
        for change in chance.choices(CHANGES, k=chance.choice([1, 1, 1, 2, 3])):
            change(model, chance)
            made.append(change.__name__)
        try:
            content = write_metadata(model.SerializeToString(), card)
        except (BundleError, ValueError):
            continue
        yield Mutant(f"mutant {number} of seed {seed}: {', '.join(made)}", content)


def _classifier() -> tuple[Card, onnx.ModelProto]:
    card = tiny_card()
    return card, tiny_model(card)


def _detector() -> tuple[Card, onnx.ModelProto]:
    boxes = BoxCard(0.5, 0.3, 1.0, len(QUARTERS), [1.0, 0.0, 0.0], {"rsna_score": 0.2})
    card = tiny_card(task="detection", boxes=boxes, heatmap="none: it draws boxes instead")
    return card, tiny_model(card, heatmaps=False, boxes=True)


BASES = (_classifier, _detector)


def duplicate_nodes(model: onnx.ModelProto, chance: Random) -> None:
    node = chance.choice(model.graph.node)
    for number in range(chance.choice([1, 50, 3000, 11_000])):
        copy = model.graph.node.add()
        copy.CopyFrom(node)
        copy.output[:] = [f"{name} {number}" for name in node.output]


def chain_nodes(model: onnx.ModelProto, chance: Random) -> None:
    """One after the other, so that each must be computed."""
    before = chance.choice(["grey", "map", "features", "weights", "zeros"])
    operator = chance.choice(["Relu", "Exp", "Transpose", "Identity", "Einsum", "Sin"])
    for number in range(chance.choice([3, 200, 5000])):
        attributes = {"equation": "...->..."} if operator == "Einsum" else {}
        model.graph.node.add().CopyFrom(helper.make_node(operator, [before], [f"chain {number}"], **attributes))
        before = f"chain {number}"
    _use(model, before)


def double_again_and_again(model: onnx.ModelProto, chance: Random) -> None:
    """Thirty nodes make a billion times as much of what they are given."""
    before = chance.choice(["grey", "features", "weights", "zeros", "upright"])
    for number in range(chance.choice([4, 20, 30, 40, 60])):
        node = helper.make_node("Concat", [before, before], [f"doubled {number}"], axis=chance.choice([0, 0, 1]))
        model.graph.node.add().CopyFrom(node)
        before = f"doubled {number}"
    _use(model, before)


def blow_up(model: onnx.ModelProto, chance: Random) -> None:
    """A few numbers ask for a tensor of any size, from constants or from the film."""
    side = chance.choice([10, 3000, 100_000, 2**31, 2**62])
    sides = np.array([side] * chance.choice([1, 2, 3]), np.int64)
    model.graph.initializer.append(numpy_helper.from_array(sides, "sides"))
    model.graph.initializer.append(numpy_helper.from_array(np.array([0, side, 1], np.int64), "range"))
    kind = chance.choice(["ConstantOfShape", "Expand", "Tile", "Range", "Pad", "Resize", "OneHot", "EyeLike"])
    given = chance.choice(["one", "levels", "features"])
    match kind:
        case "ConstantOfShape":
            nodes = [helper.make_node(kind, ["sides"], ["blown up"])]
        case "Expand" | "Tile":
            nodes = [helper.make_node(kind, [given, "sides"], ["blown up"])]
        case "Range":
            scalars = {"start": 0, "limit": side, "step": 1}
            for name, value in scalars.items():
                model.graph.initializer.append(numpy_helper.from_array(np.array(value, np.int64), name))
            nodes = [helper.make_node(kind, list(scalars), ["blown up"])]
        case "Pad":
            pads = np.array([0, 0, 0, 0, 0, 0, side, side], np.int64)
            model.graph.initializer.append(numpy_helper.from_array(pads, "pads"))
            nodes = [helper.make_node(kind, ["grey", "pads"], ["blown up"])]
        case "Resize":
            wanted = np.array([1, 1, side, side], np.int64)
            model.graph.initializer.append(numpy_helper.from_array(wanted, "wanted"))
            nodes = [helper.make_node(kind, ["grey", "", "", "wanted"], ["blown up"])]
        case "OneHot":
            model.graph.initializer.append(numpy_helper.from_array(np.array([side], np.int64), "depth"))
            model.graph.initializer.append(numpy_helper.from_array(np.array([0, 1], np.float32), "off and on"))
            nodes = [helper.make_node(kind, ["flat", "depth", "off and on"], ["blown up"])]
        case _:
            nodes = [
                helper.make_node("ConstantOfShape", ["sides"], ["empty"]),
                helper.make_node(kind, ["empty"], ["blown up"]),
            ]
    model.graph.node.extend(nodes)
    _use(model, "blown up")


def change_attribute(model: onnx.ModelProto, chance: Random) -> None:
    attributes = [attribute for node in model.graph.node for attribute in node.attribute]
    attribute = chance.choice(attributes)
    match attribute.type:
        case AttributeProto.INT:
            attribute.i = chance.choice(NUMBERS)
        case AttributeProto.INTS:
            attribute.ints[:] = [chance.choice(NUMBERS) for _ in range(chance.choice([1, 2, 4, 500]))]
        case AttributeProto.FLOAT:
            attribute.f = chance.choice([0.0, -1.0, 1e38, float("nan"), float("inf")])
        case _:
            attribute.type = chance.choice([AttributeProto.INT, AttributeProto.GRAPH, AttributeProto.SPARSE_TENSOR])


def add_attribute(model: onnx.ModelProto, chance: Random) -> None:
    node = chance.choice(model.graph.node)
    names = ["kernel_shape", "strides", "pads", "dilations", "group", "axis", "auto_pad", "ceil_mode", "to", "perm"]
    value = chance.choice([chance.choice(NUMBERS), [chance.choice(NUMBERS)] * 2, "SAME_UPPER", "\x1b[31m"])
    node.attribute.append(helper.make_attribute(chance.choice(names), value))


def resize_initializer(model: onnx.ModelProto, chance: Random) -> None:
    tensor = chance.choice(model.graph.initializer)
    tensor.dims[:] = [chance.choice(NUMBERS) for _ in range(chance.choice([0, 1, 2, 4, 12]))]


def refill_initializer(model: onnx.ModelProto, chance: Random) -> None:
    """Whole numbers among the weights are shapes, axes and counts."""
    tensor = chance.choice(model.graph.initializer)
    array = numpy_helper.to_array(tensor)
    values = [chance.choice(NUMBERS) % (2**63) for _ in range(array.size)]
    filled = np.array(values, np.float64).astype(array.dtype) if array.dtype.kind == "f" else np.array(values, np.int64)
    tensor.CopyFrom(numpy_helper.from_array(filled.reshape(array.shape), tensor.name))


def change_type(model: onnx.ModelProto, chance: Random) -> None:
    chance.choice(model.graph.initializer).data_type = chance.choice(range(26))


def sparse(model: onnx.ModelProto, chance: Random) -> None:
    values = numpy_helper.from_array(np.ones(1, np.float32), "sparse")
    indices = numpy_helper.from_array(np.zeros(1, np.int64), "indices")
    model.graph.sparse_initializer.append(helper.make_sparse_tensor(values, indices, [2**20, 2**20]))


def change_shape(model: onnx.ModelProto, chance: Random) -> None:
    value = chance.choice([*model.graph.input, *model.graph.output])
    for dim in value.type.tensor_type.shape.dim:
        if chance.random() < 0.6:
            dim.dim_value = chance.choice(NUMBERS)
    if chance.random() < 0.2:
        value.type.tensor_type.elem_type = chance.choice(range(20))


def replace_operator(model: onnx.ModelProto, chance: Random) -> None:
    others = sorted(operator.decode() for operator in ALLOWED)
    chance.choice(model.graph.node).op_type = chance.choice([*others, *OTHERS])


def add_node(model: onnx.ModelProto, chance: Random) -> None:
    """Any operator at all on anything that is there."""
    names = [
        *(tensor.name for tensor in model.graph.initializer),
        *(n for node in model.graph.node for n in node.output),
    ]
    operator = chance.choice(sorted(ALLOWED)).decode()
    inputs = chance.choices(names, k=chance.choice([0, 1, 2, 3, 5]))
    model.graph.node.append(helper.make_node(operator, inputs, ["added"]))
    _use(model, "added")


def rewire(model: onnx.ModelProto, chance: Random) -> None:
    """Another input: types and shapes that do not fit, or a ring."""
    node = chance.choice(model.graph.node)
    names = [name for other in model.graph.node for name in other.output]
    if node.input:
        node.input[chance.randrange(len(node.input))] = chance.choice(names)


def loop(model: onnx.ModelProto, chance: Random) -> None:
    body = helper.make_graph(
        [helper.make_node("Identity", ["go on"], ["goes on"]), helper.make_node("Relu", ["state"], ["next"])],
        "body",
        [
            helper.make_tensor_value_info("number", TensorProto.INT64, []),
            helper.make_tensor_value_info("go on", TensorProto.BOOL, []),
            helper.make_tensor_value_info("state", TensorProto.FLOAT, None),
        ],
        [
            helper.make_tensor_value_info("goes on", TensorProto.BOOL, []),
            helper.make_tensor_value_info("next", TensorProto.FLOAT, None),
        ],
    )
    model.graph.initializer.append(numpy_helper.from_array(np.array(2**62, np.int64), "times"))
    model.graph.initializer.append(numpy_helper.from_array(np.array(True), "yes"))
    model.graph.node.append(helper.make_node("Loop", ["times", "yes", "features"], ["looped"], body=body))
    _use(model, "looped")


def name_harmfully(model: onnx.ModelProto, chance: Random) -> None:
    text, node = chance.choice(HARMFUL), chance.choice(model.graph.node)
    match chance.randrange(7):
        case 0:
            node.op_type = text
        case 1:
            node.domain = text
        case 2:
            node.name = text
            node.op_type = "Relu"
        case 3 if node.input:
            node.input[0] = text
        case 4:
            model.graph.output[0].name = text
        case 5:
            model.graph.input[0].name = text
        case _:
            model.graph.name = model.producer_name = text
            model.metadata_props.add(key=text, value=text)


def change_versions(model: onnx.ModelProto, chance: Random) -> None:
    model.opset_import[0].version = chance.choice([1, 7, 11, 13, 30, 2**31 - 1, 0, -1])
    model.ir_version = chance.choice([1, 3, 8, 10, 100, 2**31 - 1])


def _use(model: onnx.ModelProto, name: str) -> None:
    """Let an output depend on it, whatever its shape, so that no optimizer leaves it out."""
    if not all(node.output[0] != "probabilities" for node in model.graph.node):
        last = next(node for node in model.graph.node if "probabilities" in node.output)
        last.output[:] = ["before"]
    model.graph.node.append(helper.make_node("Cast", [name], [f"{name} as float"], to=TensorProto.FLOAT))
    model.graph.node.append(helper.make_node("ReduceMax", [f"{name} as float"], [f"{name} at most"], keepdims=0))
    model.graph.node.append(helper.make_node("Max", ["before", f"{name} at most"], ["probabilities"]))


CHANGES: tuple[Change, ...] = (
    duplicate_nodes,
    chain_nodes,
    double_again_and_again,
    blow_up,
    blow_up,
    change_attribute,
    add_attribute,
    resize_initializer,
    refill_initializer,
    change_type,
    sparse,
    change_shape,
    replace_operator,
    replace_operator,
    add_node,
    rewire,
    loop,
    name_harmfully,
    change_versions,
)
