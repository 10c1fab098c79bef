"""What a run's gate makes of lateral films and coronal slices that it did not learn from: each patient left out once.

Pictures belong together where they are of one patient or from one publication. The network's part is done once; what is
learned of it is fitted again for each patient, and once from made-up lateral films and slices alone, as is anybody's
gate who has no real ones.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from hilum import Radiograph, read
from hilum.bundle.card import GateCard
from hilum.bundle.format import LATERAL, STATES
from hilum.bundle.gate import verdict
from hilum.bundle.reading import Verdict
from hilum.export.export import GATE_FILMS
from hilum.export.gate.learning import TURNED_LIMIT, fit_gate
from hilum.export.gate.module import GateModule
from hilum.export.gate.sight import GateFilms, GateRows, GateSight, look
from hilum.export.material import best_network, open_material, some_rows
from hilum.training.run import open_run

CARD = GateCard(0.0, TURNED_LIMIT, 0, "", [*STATES, LATERAL])
Rows = NDArray[np.float64]
Group = tuple[str, list[Verdict]]


def left_out(run_folder: Path, folder: Path) -> Iterator[Group]:
    """Verdicts on the pictures of this folder, of each kind a group; `folder` holds images.csv and what it names."""
    with (folder / "images.csv").open(encoding="utf-8", newline="") as file:
        pictures = list(csv.DictReader(file))
    lateral = [picture for picture in pictures if picture["view"] == "lateral"]
    slices = [picture for picture in pictures if picture["view"] != "lateral"]
    films = [[read(folder / picture["image"]) for picture in kind] for kind in (lateral, slices)]
    run = open_run(run_folder)
    material = open_material(run, lambda doing, done, total: None)
    network, _ = best_network(run, material.recipe)
    geometry, pixels = material.store.geometry, material.store.pixels
    real = [np.stack([geometry.apply(film.pixels) for film in kind]) for kind in films]
    train, val = (pixels[some_rows(examples, GATE_FILMS)] for examples in (material.train, material.val))
    sight, seen = look(network, GateFilms(train, val, *real), material.recipe.training.seed)
    plain = GateSight(network, (geometry.height, geometry.width), sum(map(len, real)), None)
    rows = [plain.see(iter(kind)) for kind in real]
    plain.taps.remove()

    patients = joined([*lateral, *slices])
    of_laterals, of_slices = patients[: len(lateral)], patients[len(lateral) :]
    apart: list[list[Verdict]] = [[], []]
    for patient in sorted(set(patients)):
        gate = fit_gate(sight, without(seen, patient, of_laterals, of_slices))
        for kind, owners in enumerate((of_laterals, of_slices)):
            own = [place for place, owner in enumerate(owners) if owner == patient]
            apart[kind] += judged(gate, [films[kind][place] for place in own], rows[kind][own])
    made_up = fit_gate(sight, seen._replace(real_laterals=[], real_strangers=[]))
    for kind, name in enumerate(("lateral films", "coronal slices")):
        yield f"{name}, their patient left out", apart[kind]
        yield f"{name}, by a gate that learned from made-up ones alone", judged(made_up, films[kind], rows[kind])


def without(seen: GateRows, patient: str, of_laterals: list[str], of_slices: list[str]) -> GateRows:
    """What a gate may learn from that has never seen this patient."""
    return seen._replace(
        real_laterals=[rows for rows, owner in zip(seen.real_laterals, of_laterals, strict=True) if owner != patient],
        real_strangers=[rows for rows, owner in zip(seen.real_strangers, of_slices, strict=True) if owner != patient],
    )


@torch.no_grad()
def judged(gate: GateModule, films: Iterable[Radiograph], rows: Rows) -> list[Verdict]:
    found = gate.judge(torch.from_numpy(rows.astype(np.float32))).numpy() if len(rows) else []
    return [verdict(film, row, CARD) for film, row in zip(films, found, strict=True)]


def joined(pictures: list[dict[str, str]]) -> list[str]:
    """For each picture who it is of: patients with a publication in common count as one."""
    linked: dict[str, str] = {}

    def first(name: str) -> str:
        while linked.setdefault(name, name) != name:
            name = linked[name]
        return name

    for picture in pictures:
        linked[first(picture["patient"])] = first(picture["doi_or_url"])
    return [first(picture["patient"]) for picture in pictures]
