"""Joining, calibration and points fitted for children and for adults apart, and the graph and card that hold them."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
import polars as pl
import pytest
import torch
from exported import make_run, phantom_manifest
from scipy.special import expit, softmax
from test_joining import POSITIVE, sight, stir
from test_views import HEADS, SIDE

import hilum
from hilum.bundle.card import BoxCard, BundleError, Calibration, Card
from hilum.bundle.trust.operators import ALLOWED
from hilum.dataset.manifest.manifest import Manifest, load_manifest, save_manifest
from hilum.export.export import export_run
from hilum.export.film_fits import (
    FilmFit,
    Validation,
    calibrated,
    fit_films,
    for_boxes,
    group_cards,
    notes_of,
    probabilities,
)
from hilum.export.graph.as_onnx import as_onnx
from hilum.export.graph.graph import Fitted, Graph
from hilum.export.graph.suppression import suppress_in_graph
from hilum.export.joining import Joining
from hilum.export.look import look
from hilum.export.material import best_network, open_material
from hilum.network.network import create_network
from hilum.radiograph.patient import PATIENTS
from hilum.training.feed.examples import Examples, Facts
from hilum.training.run import Run

pytestmark = pytest.mark.usefixtures("exports_remembered")


def examples(truth: np.ndarray, adult: np.ndarray) -> Examples:
    count = len(truth)
    facts = Facts(
        [""] * count,
        [""] * count,
        np.zeros(count, bool),
        np.full(count, -1),
        adult.astype(np.int8),
        truth.astype(np.int8),
    )
    return Examples(np.arange(count), np.where(truth, 2, 0), [""] * count, count, None, None, facts)


def known_films(films: int = 600) -> tuple[Validation, np.ndarray]:
    """Films of which both views see pneumonia, of children the lungs view nothing."""
    seen, truth = sight(films)
    adult = np.arange(films) % 2
    random = np.random.default_rng(8)
    lungs, places = seen.lungs.copy(), seen.lungs_places.copy()
    lungs[adult == 0] = random.normal(0, 1, (films // 2, 3))
    places[adult == 0] = random.normal(0, 1, films // 2)
    seen = seen._replace(lungs=lungs, lungs_places=places)
    return Validation(seen.film, seen, examples(truth, adult), POSITIVE), truth


def test_each_group_is_fitted_as_if_alone() -> None:
    validation, _ = known_films()
    child, adult = fit_films(validation, 0, by_group=True)
    assert child.joining is not None and adult.joining is not None
    assert child.joining.weights[2:] == [0, 0] and adult.joining.weights[2] > 0
    for fit, patient in zip((child, adult), PATIENTS, strict=True):
        (alone,) = fit_films(validation.take(validation.members(patient)), 0, by_group=False)
        assert (fit.joining, fit.calibration) == (alone.joining, alone.calibration)
        assert (fit.patient, fit.on_all) == (patient, False)
    given = probabilities(validation, [child, adult])
    assert given.shape == (len(validation.films), 2, 3)
    np.testing.assert_allclose(given.sum(2), 1)
    np.testing.assert_array_equal(for_boxes(validation, [child, adult]), validation.joined(adult))


def test_a_group_of_too_few_films_is_fitted_on_everyones() -> None:
    validation, truth = known_films()
    few = np.flatnonzero(truth)[:19]
    adult = np.zeros(len(truth))
    adult[few] = 1
    validation = validation._replace(films=examples(truth, adult))
    child, adults = fit_films(validation, 0, by_group=True)
    (everyone,) = fit_films(validation, 0, by_group=False)
    assert (child.on_all, adults.on_all) == (False, True)
    assert (adults.joining, adults.calibration) == (everyone.joining, everyone.calibration)
    assert any("too few films of adults" in note for note in notes_of([child, adults]))
    given = {"probabilities": probabilities(validation, [child, adults]), "groups": np.zeros((len(truth), 2))}
    cards = group_cards(validation, [child, adults], given)  # type: ignore[arg-type]
    assert [card.fitted_on_all for card in cards] == [False, True]
    assert cards[1].films == {"with_pneumonia": 19, "without": 0, "recognized": 0}
    chance = given["probabilities"][:, 1, 2]
    called = chance >= cards[1].operating_points[0].threshold
    assert cards[1].operating_points[0].sensitivity == pytest.approx(called[truth].mean())


def test_classes_are_calibrated_where_nearly_all_films_say_theirs() -> None:
    """Two films of children that say pneumonia alone do not keep the kinds of all others from being calibrated."""
    validation, truth = known_films()
    either = np.eye(3, dtype=bool)[validation.films.targets]

    def fitted(unsure: int) -> Calibration:
        may_be = either.copy()
        may_be[np.flatnonzero(~truth)[:unsure], 1] = True  # one or the other of those that are no pneumonia
        films = replace(validation.films, either=may_be)
        return calibrated(validation.logits, films, POSITIVE, 0)

    few, many = fitted(2), fitted(100)
    assert few.figures["films"] == len(truth) - 2 and many.figures["films"] == len(truth)
    assert many.method != "temperature"


def test_too_few_films_of_everyone_are_refused() -> None:
    validation, truth = known_films()
    kept = truth.copy()
    kept[np.flatnonzero(truth)[19:]] = False
    with pytest.raises(BundleError, match="at least 20 of each"):
        fit_films(validation._replace(films=examples(kept, np.zeros(len(kept)))), 0, by_group=True)


def test_the_graph_answers_for_each_group_as_numpy_does() -> None:
    network = create_network("timm/test_efficientnet", 3, "none", heads=HEADS, input_size=(SIDE, SIDE), seed=4).eval()
    stir(network)
    films = np.random.default_rng(5).integers(0, 256, (6, SIDE, SIDE), np.uint8)
    films[:3, 16:48, 8:28] //= 4
    fits = [
        FilmFit(
            Calibration("temperature", 1.5, [], [], {}), Joining([0.7, 0.04, 0.0, 0.0], -0.3, [0.1, 0.2], {}), "child"
        ),
        FilmFit(
            Calibration("platt", 1.0, [0.8, 0.1], [], {}), Joining([0.2, 0.03, 0.9, 0.04], 0.2, [0.1, 0.2], {}), "adult"
        ),
    ]
    boxes = BoxCard(0.2, 0.3, 1.0, 10, [1.0, 0.5, 0.0], {})
    model = suppress_in_graph(as_onnx(Graph(network, Fitted(fits, POSITIVE, boxes.calibration))), boxes)
    assert {node.op_type.encode() for node in model.graph.node} <= ALLOWED
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    given, groups, scores = session.run(["probabilities", "groups", "scores"], {"films": films[:, None]})
    raw = look(network, films)
    validation = Validation.of(raw, examples(np.zeros(6, bool), np.zeros(6)), POSITIVE)
    np.testing.assert_allclose(given, probabilities(validation, fits), atol=1e-4)
    assert np.abs(given[:, 0] - given[:, 1]).max() > 0.01
    with torch.no_grad():
        adult = expit(network(torch.from_numpy(films[:, None]).float() / 255).group.numpy())
    np.testing.assert_allclose(groups, np.stack([1 - adult, adult], 1), atol=1e-5)
    # The film has its say in a box as the adults' fit joins its views.
    assert validation.sight is not None
    odds = validation.sight.scores(POSITIVE) @ [0.2, 0.03, 0.9, 0.04] + 0.2
    best = np.array([film.logits.max() for film in raw])
    np.testing.assert_allclose(scores[:, 0], expit(best + 0.5 * odds), atol=1e-4)


@pytest.fixture(scope="module")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Children's films say which pneumonia, adults' do not; some show another finding; of some no group is known."""
    folder = tmp_path_factory.mktemp("groups")
    os.environ["HILUM_HOME"] = str(folder / "home")
    path = phantom_manifest(folder / "films", 280)
    made = load_manifest(path)
    labels, groups = [], []
    for number, label in enumerate(made.table["label"]):
        group = (None, *["adult", "child"] * 4)[number % 9]
        kind = "lung_opacity" if group == "adult" else label
        labels.append("not_normal" if label == "normal" and number % 5 == 0 else label if label == "normal" else kind)
        groups.append(group)
    table = made.table.with_columns(pl.Series("label", labels), pl.Series("group", groups, pl.String))
    save_manifest(Manifest(table, made.folder), path)
    return path


def run_with_groups(manifest: Path, name: str, **sections: Any) -> Run:
    classes = {
        "normal": ["normal"],
        "other_finding": ["not_normal"],
        "bacterial": ["bacterial", "lung_opacity"],
        "viral": ["viral", "lung_opacity"],
    }
    sections = {"classes": classes, "group": {}, "opacity": {}, "lungs": {"size": 32}} | sections
    return make_run(manifest.parent.parent / name, manifest, "timm/test_efficientnet", SIDE, "linear", 15, **sections)


@pytest.fixture(scope="module")
def exported(manifest: Path) -> tuple[Run, Path, Card]:
    run = run_with_groups(manifest, "run")
    return run, run.folder / "model.onnx", export_run(run, run.folder / "model.onnx")


def test_points_of_each_group_hold_on_its_films(exported: tuple[Run, Path, Card]) -> None:
    run, out, card = exported
    material = open_material(run, lambda *told: None)
    facts = material.val.facts
    assert facts is not None and (facts.adult == -1).any()
    said = hilum.load(out).run(material.store.pixels[material.val.rows])
    assert said.groups is not None and said.probabilities.shape == (len(material.val), 2, 4)
    for column, group in enumerate(card.groups):
        members = facts.adult == column
        chance = said.probabilities[members, column, 2:].sum(1, dtype=np.float64)
        truth = material.val.targets[members] >= 2
        assert group.films["with_pneumonia"] == truth.sum() and group.films["without"] == (~truth).sum()
        assert group.films["recognized"] == (said.groups[members].argmax(1) == column).sum()
        for point in group.operating_points:
            called = chance >= point.threshold
            assert called[truth].mean() == pytest.approx(point.sensitivity)
            assert (~called[~truth]).mean() == pytest.approx(point.specificity)
    assert [group.tells_kinds for group in card.groups] == [True, False]
    assert [group.fitted_on_all for group in card.groups] == [False, False]


def test_the_file_is_what_the_network_and_the_fits_say(exported: tuple[Run, Path, Card]) -> None:
    run, out, card = exported
    material = open_material(run, lambda *told: None)
    films = material.store.pixels[material.val.rows[:9]]
    network, _ = best_network(run, material.recipe)
    raw = look(network, films)
    for column, group in enumerate(card.groups):
        assert group.joining is not None
        seen = Validation.of(raw, examples(np.zeros(9, bool), np.zeros(9)), [2, 3])
        fit = FilmFit(group.calibration, Joining([*group.joining.weights.values()], group.joining.offset, [], {}))
        expected = probabilities(seen, [fit])
        np.testing.assert_allclose(hilum.load(out).run(films).probabilities[:, column], expected, atol=1e-4)
    assert raw[0].second is not None
    np.testing.assert_allclose(softmax(raw[0].image).sum(), 1)


def test_the_card_is_of_format_2_and_reads_back(exported: tuple[Run, Path, Card], capsys: Any) -> None:
    from hilum.bundle.onnx_file import read_card
    from hilum.export.in_words import bundle_in_words

    run, out, card = exported
    assert card == read_card(out) and card.format == 2 and card.calibration is None
    assert json.loads(card.to_json())["groups"][1]["name"] == "adult"
    words = "\n".join(bundle_in_words(card, out, run))
    assert "child, at balanced: sensitivity" in words and "adult, at balanced: sensitivity" in words
