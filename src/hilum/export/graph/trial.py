"""Whether a network can be written as a bundle at all: tried on the untrained one, before hours are spent on it."""

from __future__ import annotations

import hashlib

import numpy as np
import onnx
import onnxruntime as ort
import timm
import torch

from hilum.bundle.card import BundleError
from hilum.bundle.format import FILMS, PROBABILITIES
from hilum.bundle.onnx_file import MAX_FILE_BYTES, MAX_NODES
from hilum.bundle.trust.operators import ALLOWED
from hilum.bundle.trust.trial import is_known, remember
from hilum.export.film_fits import UNCALIBRATED, FilmFit
from hilum.export.graph.as_onnx import as_onnx
from hilum.export.graph.graph import Fitted, Graph
from hilum.network.backbone import BACKBONES
from hilum.system.text import printable
from hilum.training.prepare import network_of
from hilum.training.recipe import Recipe

BYTES_A_NUMBER = 4
APART = 1e-3  # of probabilities; what is compared more closely is the trained network, when it is exported


def check_writable(recipe: Recipe) -> None:
    """Raises BundleError where the recipe's network cannot be written as ONNX, or not as what a bundle may hold.

    What passed is remembered in the user's cache; hilum's own networks are known to pass.
    """
    name = recipe.network.name
    if name in BACKBONES:
        return
    key = repr((name, recipe.input.size, recipe.heads, recipe.network.head, torch.__version__, timm.__version__))
    digest = hashlib.blake2b(key.encode()).hexdigest()
    if is_known(digest):
        return
    network = network_of(recipe, "none")
    size = BYTES_A_NUMBER * sum(parameter.numel() for parameter in network.parameters())
    if size > MAX_FILE_BYTES:
        raise _refusal(name, f"its weights take {size / 1e9:.1f} GB, and a bundle {MAX_FILE_BYTES / 1e9:.1f} at most")
    graph = Graph(network, Fitted([FilmFit(UNCALIBRATED)], [1], [1.0, 0.0, 0.0]))
    model = as_onnx(graph)
    if foreign := sorted({node.op_type for node in model.graph.node} - {*map(bytes.decode, ALLOWED)}):
        raise _refusal(name, f"it needs the operator {foreign[0]}, which no bundle may hold")
    if len(model.graph.node) > MAX_NODES:
        raise _refusal(name, f"it takes {len(model.graph.node):,} operators, and a bundle {MAX_NODES:,} at most")
    _check_same(name, graph, model)
    remember(digest)


def _refusal(name: str, reason: str) -> BundleError:
    return BundleError(f"{name} cannot be written as ONNX: {reason}; train another network")


def _check_same(name: str, graph: Graph, model: onnx.ModelProto) -> None:
    """For one film and for three: a network may be written for the very number of films that was shown to it."""
    films = torch.randint(0, 256, (3, 1, *graph.input_size), dtype=torch.uint8)
    with torch.no_grad():
        expected = graph(films)[graph.outputs.index(PROBABILITIES)].numpy()
    try:
        session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
        given = [session.run([PROBABILITIES], {FILMS: part.numpy()})[0] for part in (films[:1], films)]
    except Exception as error:  # whatever onnxruntime raises
        raise _refusal(name, f"onnxruntime says {printable(str(error).partition(chr(10))[0][:200])}") from error
    if any(np.abs(part - expected[: len(part)]).max() > APART for part in given):
        raise _refusal(name, "it says something else there than in PyTorch")
