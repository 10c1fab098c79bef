"""A Run becomes a Bundle: its best weights, what validation says of them, and all that belongs to them, in one file."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path, PurePath
from typing import Any, Literal

import numpy as np
import onnx
import onnxruntime as ort
from numpy.typing import NDArray

from hilum.bundle.card import FORMAT, BoxCard, BundleError, Card
from hilum.bundle.onnx_file import DIGEST, parse_card, read_card, read_model, write_metadata
from hilum.bundle.trust.trial import remember
from hilum.dataset.manifest.manifest import Manifest
from hilum.dataset.terms import sources
from hilum.export.box_settings import (
    calibrate_boxes,
    choose_settings,
    figures_of_file,
    highest_scores,
    too_few_boxes,
    truths_of,
)
from hilum.export.box_sweep import BoxSweep, check_prevalence, into_run
from hilum.export.calibrate import operating_points
from hilum.export.compress import half_weights, int8
from hilum.export.data_card import describe_data, limits_of
from hilum.export.drift import AXES_FILMS, NONE, OfFile, describe_films
from hilum.export.film_fits import (
    Validation,
    fit_films,
    for_boxes,
    group_cards,
    notes_of,
    of_own_group,
    probabilities,
)
from hilum.export.gate.learning import learn_gate
from hilum.export.gate.sight import GateFilms
from hilum.export.gate.turned_away import laterals_and_others
from hilum.export.gate.two_lungs import check_finds_lungs, learn_two_lungs
from hilum.export.graph.as_onnx import as_onnx
from hilum.export.graph.graph import Fitted, Graph
from hilum.export.graph.suppression import suppress_in_graph
from hilum.export.look import look_at, with_logits
from hilum.export.material import best_network, is_positive, open_material, some_rows
from hilum.measures.figure import Floats
from hilum.network.hub_weights import PREFIX
from hilum.system.files import write_whole
from hilum.training.feed.examples import Examples
from hilum.training.recipe import Recipe
from hilum.training.run import Run
from hilum.training.start import started_from
from hilum.training.task.objective import figures

Compression = Literal["none", "int8", "fp16-weights"]
OnProgress = Callable[[str, int, int], None]

DEFAULT_POINT = "balanced"
JUDGED = ("probabilities", "groups", "features", "gate", "boxes", "scores")
BOX_FIGURES = ("rsna_score", "map_50", "sensitivity_at_1")
BATCH = 16
# How far a probability of the file may be from that of the network it was made from, on any film of validation.
PARITY = 1e-4
# The gate draws from at most this many films of a split, the quantization measures ranges on that many.
GATE_FILMS, QUANTIZATION_FILMS = 2000, 100
INTENDED_USE = (
    "Research and teaching: sorting frontal chest radiographs like those it was trained on by how much they look like "
    "pneumonia. Research use only: not a medical device, not for the care of patients."
)
LIMITS = (
    "Knows upright frontal films only, and names pneumonia only: other diseases have no name in its answer, and many "
    "of them look like pneumonia.",
)
LIMIT_OF_HEATMAPS = "A heatmap shows which places spoke for an answer, not where a disease begins or ends."
LIMIT_OF_WEIGHTS = "Made of weights that others published; whoever uses it is bound by their terms: {}."
LIMIT_OF_BOXES = "Boxes are drawn as the readers of its training films drew them; other readers draw other boxes."


@dataclass(frozen=True, slots=True)
class ExportOptions:
    """What may be asked of an export.

    A detector's boxes are set for films of which the share `prevalence` have boxes, that of validation if left out.
    The gate learns to turn away the pictures of `turn_away`, as lateral films those whose view is lateral, and with
    `two_lungs` films on which the network does not find two.
    """

    compression: Compression = "none"
    prevalence: float | None = None
    turn_away: Manifest | None = None
    two_lungs: bool = False


def export_run(
    run: Run,
    out: Path,
    options: ExportOptions = ExportOptions(),
    *,
    on_progress: OnProgress = lambda doing, done, total: None,
) -> Card:
    """Write the run's best network to `out` as a Bundle, complete or not at all, and return its card.

    Calibration, operating points and the gate's limit come from validation films alone, and the figures on the card
    are those of the very file that is written. Raises BundleError where these films are too few.
    """
    compression, prevalence = options.compression, options.prevalence
    check_prevalence(prevalence)
    if not out.parent.is_dir():
        raise BundleError(f"{out.parent}: there is no such folder")
    if options.two_lungs:
        check_finds_lungs(run)
    recipe, facts, manifest, store, train, val, positive = open_material(run, on_progress)
    classes, films = list(recipe.classes), store.pixels
    turn_away = (films[:0], films[:0])
    if options.turn_away is not None:
        turn_away = laterals_and_others(
            options.turn_away,
            store.geometry,
            lambda done, total: on_progress("decoding pictures to turn away", done, total),
        )
    columns = [classes.index(name) for name in positive]
    network, state = best_network(run, recipe)
    if prevalence is not None and network.boxes is None:
        raise BundleError(f"{run.folder}: draws no boxes, so a prevalence changes nothing; leave it out")

    raw = look_at(network, films, val.rows, on_progress)
    validation = Validation.of(raw, val, columns)
    fits = fit_films(validation, recipe.training.seed, by_group=network.group is not None)
    start, start_digest = started_from(run.folder) or (None, "")
    truths: list[Floats | None] = []
    boxes: BoxCard | None = None
    if network.boxes is not None:
        raw = with_logits(raw, for_boxes(validation, fits))
        truths = truths_of(val, network.input_size)
    if start is not None and start.boxes is not None and too_few_boxes(truths):
        boxes = start.boxes
    elif network.boxes is not None:
        on_progress("choosing suppression, size and threshold of boxes", 0, 1)
        boxes, tried, best = choose_settings(
            calibrate_boxes(raw, truths, columns, suppresses=network.boxes.suppresses), prevalence
        )
        if into_run(out, run):  # elsewhere one file was asked for, and `hilum sweep` shows the settings
            BoxSweep({"validation": tried}, best).save(run.folder)
    gate, gate_card = learn_gate(
        network,
        GateFilms(films[some_rows(train, GATE_FILMS)], films[some_rows(val, GATE_FILMS)], *turn_away),
        recipe.training.seed,
        on_progress=lambda done, total: on_progress("learning the gate", done, total),
    )
    two_lungs = None
    if options.two_lungs:
        sick = is_positive(val, columns)
        two_lungs, gate_card = learn_two_lungs(
            network,
            gate_card,
            {"pneumonia": films[val.rows[sick]], "others": films[val.rows[~sick]]},
            recipe.training.seed,
            on_progress=lambda done, total: on_progress("looking for two lungs", done, total),
        )
    on_progress("writing the graph", 0, 1)
    of_boxes = boxes.calibration if boxes is not None else None
    graph = Graph(network, Fitted(fits, columns, of_boxes, gate, two_lungs))
    model = as_onnx(graph)
    if boxes is not None:
        model = suppress_in_graph(model, boxes)
    plain = run_model(model, films, val.rows, on_progress)
    apart = check_parity(plain["probabilities"], probabilities(validation, fits))
    if boxes is not None:
        check_parity(plain["scores"][:, 0], highest_scores(raw, boxes, columns))
    notes = [
        f"Weights before training: {facts['weights']}.",
        f"Against the network in PyTorch: probabilities differ by at most {apart:.1g} on {len(val):,} films.",
        *notes_of(fits),
    ]
    if start is not None and boxes is start.boxes:
        notes.append("Validation has too few boxes: their threshold, suppression and figures are those of its parent.")
    given = plain
    if compression != "none":
        if compression == "int8":
            model = int8(model, films[some_rows(train, QUANTIZATION_FILMS)])
        else:
            model = half_weights(model)
        given = run_model(model, films, val.rows, on_progress)
        notes += compared(compression, plain, given, val, columns)
    if boxes is not None and (start is None or boxes is not start.boxes):
        boxes = replace(boxes, figures=finite(figures_of_file(given, truths, boxes.threshold)))
        if compression != "none":
            before = figures_of_file(plain, truths, boxes.threshold)
            notes.append(
                f"{compression}: "
                + ", ".join(f"{name} {before[name]:.4f} -> {boxes.figures[name]:.4f}" for name in BOX_FIGURES)
                + "."
            )

    of_training = run_model(model, films, some_rows(train, AXES_FILMS), on_progress)
    drift = describe_films(manifest, films, val, OfFile(given, of_training), columns)
    if drift is None:
        notes.append(NONE)
    groups = group_cards(validation, fits, given)
    chance = of_own_group(given, val)[:, columns].sum(1, dtype=np.float64)
    card = Card(
        format=FORMAT,
        task="classification" if boxes is None else "detection",
        name=f"{recipe.network.name}-{'-'.join(sources(manifest))}-{facts['recipe'][:8]}",
        title=recipe.title or recipe.network.name,
        classes=classes,
        positive=positive,
        geometry=store.geometry,
        heatmap=graph.heatmap,
        calibration=None if groups else fits[0].calibration,
        operating_points=[] if groups else operating_points(chance, validation.truth),
        default_point=DEFAULT_POINT,
        gate=gate_card,
        recipe=plain_recipe(recipe),
        data=describe_data(
            manifest,
            {"train": [store.digests[row] for row in train.rows], "val": [store.digests[row] for row in val.rows]},
            start,
        ),
        figures={
            "validation": judged(given, val, columns),
            "training": {
                "epoch": float(state["epoch"]),
                "epochs": float(recipe.epochs),
                **{f"validation_{name}": value for name, value in finite(state["figures"]).items()},
            },
        },
        versions={name: str(facts[name]) for name in ("hilum", "torch", "torchvision", "timm")}
        | {"onnx": onnx.__version__, "onnxruntime": ort.__version__},
        made=f"{datetime.now(UTC):%Y-%m-%d}",
        intended_use=INTENDED_USE,
        limits=[
            *(*LIMITS, LIMIT_OF_HEATMAPS, *([LIMIT_OF_BOXES] if boxes is not None else []), *limits_of(manifest)),
            *([LIMIT_OF_WEIGHTS.format(facts["terms"])] if facts.get("terms") else []),
        ],
        notes=notes,
        boxes=boxes,
        groups=groups,
        drift=drift,
        parents=[] if start is None else [start.as_parent(start_digest)],
    )
    content = write_metadata(model.SerializeToString(deterministic=True), card)
    write_whole(out, content, check=read_card)  # read back before it takes its name
    metadata = read_model(out)
    remember(metadata[DIGEST])  # it ran here a moment ago
    return parse_card(metadata, str(out))


def run_model(
    model: onnx.ModelProto, films: NDArray[np.uint8], rows: NDArray[np.int64], on_progress: OnProgress
) -> dict[str, NDArray[np.float32]]:
    """What onnxruntime gives from the file, of the outputs that are judged."""
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    wanted = [output.name for output in session.get_outputs() if output.name in JUDGED]
    given: list[list[NDArray[np.float32]]] = []
    for part in batches(rows):
        given.append(session.run(wanted, {"films": films[part][:, None]}))
        on_progress("judging the file", min(len(given) * BATCH, len(rows)), len(rows))
    return {name: np.concatenate(parts) for name, parts in zip(wanted, zip(*given, strict=True), strict=True)}


def batches(rows: NDArray[np.int64]) -> Iterator[NDArray[np.int64]]:
    """Rows, a few at a time."""
    yield from (rows[start : start + BATCH] for start in range(0, len(rows), BATCH))


def check_parity(given: NDArray[np.float32], expected: NDArray[np.float64]) -> float:
    """The largest difference between the file's probabilities and the network's."""
    apart = float(np.abs(given - expected).max())
    if not apart <= PARITY:
        raise BundleError(
            f"the written graph says something else than the network: probabilities differ by {apart:.2g}. This is a "
            "fault of hilum or of this pair of torch and onnxruntime versions; please report it with the recipe"
        )
    return apart


def judged(given: Mapping[str, NDArray[np.float32]], val: Examples, columns: list[int]) -> dict[str, float]:
    """The figures of validation as the file gives them."""
    own = of_own_group(given, val).astype(np.float64)
    measured = figures(np.log(np.maximum(own, 1e-12)), val.targets, val.either)
    measured["brier"] = float(np.mean((own[:, columns].sum(1) - is_positive(val, columns)) ** 2))
    return {"films": float(len(val)), **finite(measured)}


def compared(
    compression: Compression,
    plain: Mapping[str, NDArray[np.float32]],
    given: Mapping[str, NDArray[np.float32]],
    val: Examples,
    columns: list[int],
) -> list[str]:
    """What compression changed on validation, in a line for people."""
    before, after = judged(plain, val, columns), judged(given, val, columns)
    changes = ", ".join(
        f"{name} {before[name]:.4f} -> {after[name]:.4f}"
        for name in ("auc", "accuracy", "loss", "brier")
        if name in before
    )
    apart = np.abs(plain["probabilities"] - given["probabilities"])
    moved = f"probabilities move by {apart.mean():.4f} on average, {apart.max():.4f} at most"
    line = f"{compression}: on {len(val):,} validation films {changes}; {moved}"
    if "gate" in given:
        outside = [float((held["gate"][:, 0] > 1).mean()) for held in (plain, given)]
        line += f"; the gate's distance rejects {outside[0]:.1%} -> {outside[1]:.1%}"
    return [f"{line}."]


def finite(values: Mapping[str, float]) -> dict[str, float]:
    """The figures that are numbers: a card may hold no others."""
    return {name: float(value) for name, value in values.items() if np.isfinite(value)}


def plain_recipe(recipe: Recipe) -> dict[str, Any]:
    """The recipe as plain data; a file of weights is known by its name, not by where it lay."""
    plain = recipe.as_dict()
    if not plain["network"]["weights"].startswith(PREFIX):
        plain["network"]["weights"] = PurePath(plain["network"]["weights"]).name
    if plain["finder"] is not None:
        plain["finder"]["weights"] = PurePath(plain["finder"]["weights"]).name
    return plain
