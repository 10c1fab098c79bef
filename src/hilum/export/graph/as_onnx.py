"""A Graph written as ONNX: standard operators only, any number of films, nothing of the machine it was made on."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import onnx
import torch

from hilum.bundle.card import BundleError
from hilum.export.graph.adjustable import kept_apart, set_by_name
from hilum.export.graph.graph import Graph

# The lowest that torch's exporter writes.
OPSET = 18


def as_onnx(graph: Graph) -> onnx.ModelProto:
    """The graph as a model; `films` in, `graph.outputs` out."""
    films = torch.zeros((2, 1, *graph.input_size), dtype=torch.uint8)
    try:
        with warnings.catch_warnings(), kept_apart(graph) as numbers, _nothing_in_place(graph):
            # torch 2.11 still uses itself what it warns others of.
            warnings.filterwarnings("ignore", ".*LeafSpec", FutureWarning)
            program = torch.onnx.export(
                graph,
                (films,),
                dynamo=True,
                dynamic_shapes=({0: torch.export.Dim("films", min=1)},),
                input_names=["films"],
                output_names=graph.outputs,
                opset_version=OPSET,
                verbose=False,
            )
            assert program is not None
            model = program.model_proto  # made now, of the numbers that keep it apart
    except torch.onnx.OnnxExporterError as error:
        # The chain ends in what went wrong; before it stand pages of advice to programmers.
        reason = str(error.__cause__ or error).strip().partition("\n")[0][:200]
        raise BundleError(f"{graph.name} cannot be written as ONNX ({reason}); train another network") from error
    _forget_origin(model)
    _share_equal(model)
    set_by_name(model, numbers)
    onnx.checker.check_model(model)
    return model


@contextmanager
def _nothing_in_place(graph: Graph) -> Iterator[None]:
    """Activations that make new values, meanwhile: those in place the exporter takes apart first, half of its time."""
    in_place: list[Any] = [module for module in graph.modules() if getattr(module, "inplace", False)]
    for module in in_place:
        module.inplace = False
    try:
        yield
    finally:
        for module in in_place:
            module.inplace = True


def _forget_origin(model: onnx.ModelProto) -> None:
    """Take out what the exporter notes of source files, and shapes in between, which every runtime finds itself."""
    model.producer_name, model.producer_version = "hilum", ""
    held = model.graph
    del model.metadata_props[:], held.metadata_props[:], held.value_info[:]
    for part in (*held.node, *held.input, *held.output, *held.initializer):
        del part.metadata_props[:]
        part.ClearField("doc_string")
    held.name = "hilum"


def _share_equal(model: onnx.ModelProto) -> None:
    """One copy of weights that two layers use, as the logits and the heatmaps do."""
    held = model.graph
    first: dict[tuple[int, tuple[int, ...], bytes], str] = {}
    same: dict[str, str] = {}
    for tensor in held.initializer:
        content = (tensor.data_type, tuple(tensor.dims), tensor.raw_data)
        if tensor.raw_data and first.setdefault(content, tensor.name) != tensor.name:
            same[tensor.name] = first[content]
    for node in held.node:
        node.input[:] = [same.get(name, name) for name in node.input]
    kept = [tensor for tensor in held.initializer if tensor.name not in same]
    del held.initializer[:]
    held.initializer.extend(kept)
