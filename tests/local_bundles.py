"""Tiny bundles whose calibration and gate can be set anew, and films of a hospital where both are off."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import polars as pl
from bundles import tiny_bundle, tiny_group_bundle
from onnx import helper, numpy_helper
from PIL import Image

from hilum.bundle.card import Card, OperatingPoint
from hilum.bundle.format import GATE_LIMIT, line_names
from hilum.bundle.onnx_file import DIGEST, read_card, read_model, write_metadata
from hilum.bundle.trust.trial import remember
from hilum.dataset.importing import import_folder
from hilum.dataset.manifest.manifest import Manifest, save_manifest
from hilum.radiograph.patient import PATIENTS, Patient

POINTS = [
    OperatingPoint("balanced", 0.5, "highest Youden index", 0.9, 0.8),
    OperatingPoint("sensitive", 0.2, "sensitivity of at least 0.95", 0.96, 0.6),
    OperatingPoint("specific", 0.8, "specificity of at least 0.95", 0.6, 0.96),
]


def settable_bundle(folder: Path, **changes: Any) -> Path:
    """The tiny bundle with three operating points and numbers to be set anew."""
    return _settable(tiny_bundle(folder, **{"operating_points": POINTS} | changes), [None])


def settable_group_bundle(folder: Path, **changes: Any) -> Path:
    """The tiny bundle with groups, with the same."""
    path = tiny_group_bundle(folder, **changes)
    card = read_card(path)
    groups = [replace(group, operating_points=POINTS) for group in card.groups]
    return _settable(path, PATIENTS, replace(card, groups=groups))


def _settable(path: Path, whose: Sequence[Patient | None], card: Card | None = None) -> Path:
    """What an export writes after the probabilities, by other nodes."""
    card = card or read_card(path)
    model = onnx.load(path)
    graph = model.graph
    positive = np.array([[float(name in card.positive)] for name in card.classes], np.float32)
    numbers = {
        "positive": positive, "others": 1 - positive, "raised": positive.T, "side": np.array([1], np.int64),
        GATE_LIMIT: np.float32(1),
    }  # fmt: skip
    node = helper.make_node
    for held in graph.node:
        held.output[:] = [{"probabilities": "as made", "distance": "far"}.get(name, name) for name in held.output]
    place = next(number for number, held in enumerate(graph.node) if "far" in held.output) + 1
    graph.node.insert(place, node("Div", ["far", GATE_LIMIT], ["distance"]))
    nodes, made = [], []
    for column, patient in enumerate(whose):
        own, (slope, offset) = f"{column}", line_names(patient)
        numbers |= {slope: np.float32(1), offset: np.float32(0), f"column {own}": np.array(column, np.int64)}
        nodes += [
            node("Gather", ["as made", f"column {own}"], [f"{own} p"], axis=1)
            if patient
            else node("Identity", ["as made"], [f"{own} p"]),
            node("MatMul", [f"{own} p", "positive"], [f"{own} in"]),
            node("MatMul", [f"{own} p", "others"], [f"{own} out"]),
            node("Div", [f"{own} in", f"{own} out"], [f"{own} ratio"]),
            node("Log", [f"{own} ratio"], [f"{own} odds"]),
            node("Mul", [f"{own} odds", slope], [f"{own} steep"]),
            node("Add", [f"{own} steep", offset], [f"{own} new"]),
            node("Sub", [f"{own} new", f"{own} odds"], [f"{own} more"]),
            node("Mul", [f"{own} more", "raised"], [f"{own} raise"]),
            node("Log", [f"{own} p"], [f"{own} logits"]),
            node("Add", [f"{own} logits", f"{own} raise"], [f"{own} sum"]),
            node("Softmax", [f"{own} sum"], [f"{own} now"], axis=1),
            node("Unsqueeze", [f"{own} now", "side"], [f"{own} row"]),
        ]
        made.append(f"{own} row" if patient else f"{own} now")
    nodes.append(node("Concat", made, ["probabilities"], axis=1))
    graph.node.extend(nodes)
    graph.initializer.extend(numpy_helper.from_array(np.asarray(value), name) for name, value in numbers.items())
    path.write_bytes(write_metadata(model.SerializeToString(), card))
    remember(read_model(path)[DIGEST])
    return path


def hospital(folder: Path, films: int = 240, ages: Sequence[float | None] = (None,)) -> Path:
    """Films that all are darker than the bundle expects, so that its thresholds miss most pneumonias; two a patient.

    Brighter ones have pneumonia, with exceptions; a third of them do. Returns the manifest.
    """
    random = np.random.default_rng(7)
    for number in range(films):
        sick = number // 2 % 3 == 0
        level = np.clip((105 if sick else 75) + random.normal(0, 14), 5, 250)
        kind = folder / ("PNEUMONIA" if sick else "NORMAL")
        kind.mkdir(parents=True, exist_ok=True)
        levels = np.clip(level + random.normal(0, 12, (96, 80)), 0, 255).astype(np.uint8)
        Image.fromarray(levels).save(kind / f"film{number:03}.png")
    manifest = import_folder(folder)[0]
    numbers = [int(Path(path).stem.removeprefix("film")) for path in manifest.table["path"]]
    table = manifest.table.with_columns(
        patient=pl.Series([f"secret-{number // 2}" for number in numbers]),
        age=pl.Series([ages[number // 2 % len(ages)] for number in numbers], dtype=pl.Float64),
    )
    path = folder / "manifest.parquet"
    save_manifest(Manifest(table, folder), path)
    return path
