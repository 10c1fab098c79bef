"""On real films a bundle's file says what the network in torch says."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnxruntime as ort
import torch

from hilum.export.film_fits import UNCALIBRATED, FilmFit
from hilum.export.graph.as_onnx import as_onnx
from hilum.export.graph.graph import Fitted, Graph
from hilum.network.network import create_network
from hilum.radiograph import read
from hilum.radiograph.geometry import Geometry

FILMS = 500


def test_probabilities_on_real_films_are_those_of_the_network(real_data: Path) -> None:
    paths = sorted((real_data / "kermany-224" / "test").rglob("*.jpeg"))[:FILMS]
    assert len(paths) == FILMS
    geometry = Geometry("squash", 160, 160)
    films = np.stack([geometry.apply(read(path).pixels) for path in paths])[:, None]
    network = create_network("efficientnet_lite0", 2, "imagenet", input_size=(160, 160), seed=1).eval()
    model = as_onnx(Graph(network, Fitted([FilmFit(UNCALIBRATED)], [1])))
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    for start in range(0, FILMS, 50):
        part = films[start : start + 50]
        with torch.inference_mode():
            expected = network(torch.from_numpy(part).float() / 255).film.softmax(1).numpy()
        assert np.abs(session.run(["probabilities"], {"films": part})[0] - expected).max() < 1e-4
