"""The Predictor on a bundle made by hand, whose answers can be said without it."""

from __future__ import annotations

import hashlib
import html
import json
import pickle
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
from bundles import (
    PLACES,
    SLOPE,
    an_answer,
    answered,
    expected_boxes,
    expected_probability,
    tiny_bundle,
    tiny_card,
    tiny_detection_bundle,
    tiny_model,
)
from films import dicom, film, picture, shaded, write_films
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

import hilum
from hilum import Abstained, Asked, Failed
from hilum.bundle.card import BoxCard, BundleError, GateCard
from hilum.bundle.format import LATERAL, STATES
from hilum.bundle.onnx_file import DIGEST, read_card, read_model, write_metadata
from hilum.bundle.opening import OpenBundle
from hilum.bundle.prediction import RESEARCH_USE
from hilum.bundle.predictor import Predictor
from hilum.bundle.trust.trial import remember
from hilum.radiograph import ReadError, Reason, read
from hilum.radiograph.geometry import MODES, Geometry

GEOMETRIES = [Geometry("squash", 64, 64), Geometry("fit", 64, 96), Geometry("crop", 96, 64, 0.8)]


def test_a_bundle_runs_with_nothing_but_onnxruntime_and_numpy(tmp_path: Path) -> None:
    levels = shaded(64, 64)
    session = onnxruntime.InferenceSession(tiny_bundle(tmp_path), providers=["CPUExecutionProvider"])
    probabilities, heatmaps, features, gate = session.run(None, {"films": levels[None, None]})
    assert probabilities[0, 1] == pytest.approx(expected_probability(levels), abs=1e-5)
    outputs = hilum.load(tmp_path / "tiny.onnx").run(levels[None])
    np.testing.assert_array_equal(outputs.probabilities, probabilities)
    np.testing.assert_array_equal(outputs.heatmaps, heatmaps)
    np.testing.assert_array_equal(outputs.features, features)
    np.testing.assert_array_equal(outputs.gate, gate)


@pytest.mark.parametrize("threads", [1, 3])
def test_many_films_at_once_answer_as_each_alone(tmp_path: Path, threads: int) -> None:
    model = hilum.load(tiny_bundle(tmp_path), threads=threads)
    levels = np.random.default_rng(1).integers(0, 256, (7, 64, 64), np.uint8)
    together = model.run(levels)
    for number, alone in enumerate(levels):
        np.testing.assert_allclose(together.probabilities[number], model.run(alone[None]).probabilities[0], rtol=1e-6)
        assert together.probabilities[number, 1] == pytest.approx(expected_probability(alone), abs=1e-5)
    np.testing.assert_allclose(together.probabilities.sum(axis=1), 1, rtol=1e-6)
    assert together.heatmaps is not None
    assert together.heatmaps.shape == (7, 2, PLACES, PLACES)


def test_levels_of_another_size_or_type_are_refused(tmp_path: Path) -> None:
    model = hilum.load(tiny_bundle(tmp_path))
    for levels in (np.zeros((1, 32, 64), np.uint8), np.zeros((1, 64, 64), np.float32), np.zeros((0, 64, 64), np.uint8)):
        with pytest.raises(ValueError, match="films"):
            model.run(levels)  # type: ignore[arg-type]


def test_a_film_is_decided_on_at_the_default_point_another_one_or_a_number(tmp_path: Path) -> None:
    model = hilum.load(tiny_bundle(tmp_path))
    levels = shaded(64, 64, 215)
    expected = expected_probability(levels)
    assert 0.2 < expected < 0.5
    answer = answered(model.predict(film(levels)))
    assert answer.probability == pytest.approx(expected, abs=1e-5)
    assert (answer.decision, answer.operating_point, answer.threshold) == ("no_pneumonia", "balanced", 0.5)
    sensitive = model.predict(film(levels), Asked(operating_point="sensitive"))
    assert (sensitive.decision, sensitive.operating_point, sensitive.threshold) == ("pneumonia", "sensitive", 0.2)
    own = answered(model.predict(film(levels), Asked(threshold=answer.probability)))
    assert (own.decision, own.operating_point) == ("pneumonia", None)
    assert model.predict(film(levels), Asked(threshold=answer.probability + 1e-6)).decision == "no_pneumonia"
    assert own.probabilities == pytest.approx({"normal": 1 - expected, "pneumonia": expected}, abs=1e-5)


def test_what_cannot_be_decided_by_is_refused(tmp_path: Path) -> None:
    model = hilum.load(tiny_bundle(tmp_path))
    bright = film(shaded())
    with pytest.raises(BundleError, match=r"tiny\.onnx: no operating point is called best; this bundle has balanced"):
        model.predict(bright, Asked(operating_point="best"))
    with pytest.raises(BundleError, match="from 0 to 1"):
        model.predict(bright, Asked(threshold=1.5))
    with pytest.raises(BundleError, match="one of them"):
        model.predict(bright, Asked(threshold=0.5, operating_point="balanced"))


def test_a_film_that_the_gate_turns_away_gets_no_probability(tmp_path: Path) -> None:
    model = hilum.load(tiny_bundle(tmp_path))
    bright = film(255 - shaded(brightest=100))
    answer = model.predict(bright)
    assert isinstance(answer, Abstained)
    assert (answer.decision, answer.gate.passed) == ("abstain", False)
    assert not hasattr(answer, "probability")
    assert answer.to_dict()["probability"] is None
    assert answer.gate.reason == "not_a_chest_film"
    assert answer.gate.distance == pytest.approx(2 * (1 - shaded(brightest=100).mean() / 255), abs=0.01)
    overruled = answered(model.predict(bright, Asked(gate=False)))
    assert (overruled.decision, overruled.gate.passed) == ("pneumonia", None)


def test_a_bundle_without_gate_or_heatmaps_still_checks_plainly(tmp_path: Path) -> None:
    model = hilum.load(tiny_bundle(tmp_path, gate=False, heatmaps=False))
    outputs = model.run(shaded(64, 64)[None])
    assert outputs.gate is None
    assert outputs.heatmaps is None
    answer = answered(model.predict(film(shaded())))
    assert (answer.decision, answer.heatmap) == ("no_pneumonia", None)
    blank = model.predict(film(np.full((128, 128), 90, np.uint8)))
    assert isinstance(blank, Abstained)
    assert blank.gate.reason == "blank"


@pytest.mark.parametrize("geometry", GEOMETRIES, ids=str)
def test_files_are_placed_as_the_store_places_them(tmp_path: Path, geometry: Geometry) -> None:
    from hilum.dataset.phantom.film import draw_phantom
    from hilum.dataset.store.decoding import Work, fill_rows

    levels = draw_phantom(3, "bacterial", 300).pixels
    grey = np.asarray(levels, np.float32)
    grey = np.asarray(np.rint(grey / grey.max() * 255), np.uint8)
    files = {
        "film.jpeg": picture(Image.fromarray(grey), "JPEG", quality=90),
        "film.png": picture(Image.fromarray(grey), "PNG"),
        "film.dcm": dicom(grey.astype(np.uint16) * 16, PhotometricInterpretation="MONOCHROME1"),
    }
    model = hilum.load(tiny_bundle(tmp_path, geometry))
    for name, content in files.items():
        path = tmp_path / name
        path.write_bytes(content)
        work = Work(0, path, hashlib.blake2b(content, digest_size=16).hexdigest())
        pixels = tmp_path / "pixels"
        pixels.write_bytes(bytes(geometry.height * geometry.width))
        assert fill_rows([work], geometry, pixels, (1, geometry.height, geometry.width)) == [(0, None)]
        stored = np.fromfile(pixels, np.uint8).reshape(1, geometry.height, geometry.width)
        outputs = model.run(stored)
        answer = answered(model.predict(path, Asked(gate=False)))
        assert answer.probability == float(outputs.probabilities[0, 1])
        assert (answer.height, answer.width) == grey.shape


def test_three_classes_share_the_probability_of_pneumonia(tmp_path: Path) -> None:
    """Two classes of the tiny network are the brightness; the third splits from it by its own weights."""
    import onnx

    card = tiny_card(classes=["bacterial", "normal", "viral"], positive=["bacterial", "viral"])
    model = tiny_model(card)
    weights = next(part for part in model.graph.initializer if part.name == "weights")
    three = np.array([[SLOPE, 0], [0, SLOPE], [SLOPE / 2, 1]], np.float32)[:, :, None, None]
    weights.CopyFrom(onnx.numpy_helper.from_array(three, "weights"))
    for output in model.graph.output:
        if output.name in ("probabilities", "heatmaps"):
            output.type.tensor_type.shape.dim[1].dim_value = 3
    path = tmp_path / "three.onnx"
    path.write_bytes(write_metadata(model.SerializeToString(), card))
    predictor = hilum.load(path)
    levels = shaded(64, 64)
    answer = answered(predictor.predict(film(levels)))
    bright = levels.astype(np.float64).reshape(PLACES, 8, PLACES, 8).mean(axis=(1, 3)) / 255
    maps = np.stack([SLOPE * bright, SLOPE * (1 - bright), SLOPE / 2 * bright + (1 - bright)])
    shares = np.exp(maps.mean(axis=(1, 2)))
    shares /= shares.sum()
    assert answer.probabilities == pytest.approx(dict(zip(card.classes, shares, strict=True)), abs=1e-5)
    assert answer.probability == pytest.approx(shares[0] + shares[2], abs=1e-5)
    # The heatmap is the slope of the log odds of pneumonia: nudge the maps at one place and watch the odds.
    assert answer.heatmap is not None

    def log_odds(scores: NDArray[np.float64]) -> float:
        raised = np.exp(scores.mean(axis=(1, 2)))
        return float(np.log((raised[0] + raised[2]) / raised[1]))

    nudged = maps.copy()
    nudged[:, 2, 5] *= 1 + 1e-5
    slope = (log_odds(nudged) - log_odds(maps)) / 1e-5 * PLACES * PLACES
    assert float(answer.heatmap[2, 5]) == pytest.approx(slope, rel=1e-3)


def test_an_unreadable_film_raises_alone_and_is_a_row_among_others(tmp_path: Path) -> None:
    model = hilum.load(tiny_bundle(tmp_path))
    good, broken, absent = write_films(tmp_path / "films", 1)[0], tmp_path / "broken.jpg", tmp_path / "absent.png"
    broken.write_bytes(b"\xff\xd8\xff\xe0")
    with pytest.raises(ReadError) as caught:
        model.predict(broken)
    assert caught.value.reason == Reason.DAMAGED
    with pytest.raises(FileNotFoundError):
        model.predict(absent)
    answers = model.predict([broken, str(good), absent, read(good)])
    assert [answer.path for answer in answers] == [str(broken), str(good), str(absent), None]
    assert [answer.decision for answer in answers] == [None, "no_pneumonia", None, "no_pneumonia"]
    assert isinstance(answers[0], Failed)
    assert (answers[0].reason, answers[0].error) == ("damaged", f"damaged: {answers[0].detail}")
    assert isinstance(answers[2], Failed)
    assert answers[2].error == "cannot_open: No such file or directory"


def test_a_network_that_gives_no_number_decides_nothing(tmp_path: Path) -> None:
    import onnx

    card = tiny_card()
    model = tiny_model(card)
    weights = next(part for part in model.graph.initializer if part.name == "weights")
    weights.CopyFrom(onnx.numpy_helper.from_array(np.full((2, 2, 1, 1), np.nan, np.float32), "weights"))
    path = tmp_path / "broken.onnx"
    path.write_bytes(write_metadata(model.SerializeToString(), card))
    answer = hilum.load(path).predict(film(shaded()))
    assert isinstance(answer, Failed)
    assert (answer.decision, answer.reason) == (None, "not_a_number")


def test_a_prediction_is_plain_data_for_json(tmp_path: Path) -> None:
    model = hilum.load(tiny_bundle(tmp_path))
    path = tmp_path / "film.dcm"
    path.write_bytes(dicom(shaded().astype(np.uint16), PatientName="Doe^Jane", PatientID="secret-7"))
    answer = model.predict(path)
    plain = json.loads(json.dumps(answer.to_dict(), allow_nan=False))
    assert plain["file"] == str(path)
    assert plain["decision"] == answer.decision
    assert plain["research_use"] == RESEARCH_USE
    assert plain["gate"]["passed"] is True
    assert (plain["height"], plain["width"]) == (128, 128)
    assert "Doe" not in json.dumps(plain)
    assert "secret" not in json.dumps(plain)


def test_loading_says_what_is_wrong(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        hilum.load(tmp_path / "absent.onnx")
    card = tiny_card()
    boxes = BoxCard(0.5, 0.3, 1.0, 4, [1.0, 0.0, 0.0], {})
    cases: dict[str, tuple[Any, str]] = {
        "boxes": ((tiny_model(card), replace(card, task="detection", boxes=boxes)), "gives no boxes as"),
        "geometry": ((tiny_model(card), replace(card, geometry=Geometry("squash", 32, 64))), "does not take films of"),
        "states": (
            (tiny_model(card), replace(card, gate=GateCard(0.01, 0.9, 100, "", [*STATES, LATERAL]))),
            "gives no gate as",
        ),
        "classes": ((tiny_model(card), replace(card, classes=["a", "b", "pneumonia"])), "gives no probabilities as"),
    }
    for name, ((model, stated), message) in cases.items():
        path = tmp_path / f"{name}.onnx"
        path.write_bytes(write_metadata(model.SerializeToString(), stated))
        with pytest.raises(BundleError, match=rf"{name}\.onnx: .*{message}"):
            hilum.load(path)


def test_what_onnxruntime_cannot_run_is_one_line(tmp_path: Path) -> None:
    card = tiny_card()
    model = tiny_model(card)
    model.graph.node[2].op_type = "Gather"
    path = tmp_path / "odd.onnx"
    path.write_bytes(write_metadata(model.SerializeToString(), card))
    with pytest.raises(BundleError, match=r"odd\.onnx: onnxruntime .* cannot run it") as caught:
        hilum.load(path)
    assert "\n" not in str(caught.value)
    remember(read_model(path)[DIGEST])  # with another onnxruntime it ran
    started = Predictor(OpenBundle(path))  # the card can be read before the network is known to be broken
    with pytest.raises(BundleError, match="cannot run it"):
        started.predict(film(shaded()))


@given(
    st.sampled_from(MODES),
    st.sampled_from([0.6, 1.0]),
    st.integers(60, 200),
    st.integers(60, 200),
    st.integers(0, 7),
    st.integers(0, 7),
)
@settings(max_examples=60, deadline=None)
def test_a_hot_place_lies_on_the_film_where_the_geometry_saw_it(
    mode: Any, keep: float, height: int, width: int, row: int, column: int
) -> None:
    """Independent of the code: a bright spot drawn on a film, sent through the geometry, is where the heat must lie."""
    geometry = Geometry(mode, 64, 64, keep)
    heat = np.zeros((8, 8), np.float32)
    heat[row, column] = 1
    laid = an_answer(heatmap=heat, geometry=geometry).heatmap_on_film(height, width)
    assert laid.shape == (height, width)
    # Each pixel of the film on its own: where does the geometry put it?
    y, x = np.mgrid[:height, :width]
    centers = np.stack([(x.ravel() + 0.5) / width, (y.ravel() + 0.5) / height], axis=1)
    points = np.concatenate([centers, np.zeros_like(centers)], axis=1)
    placed = geometry.boxes_to_result(points, height, width)[:, :2] * 8
    distance = np.abs(placed - [column + 0.5, row + 0.5]).max(axis=1).reshape(height, width)
    assert laid[distance > 1.2].max(initial=0) < 0.05
    left, top, right, bottom = geometry.place(height, width).film
    seen = (x > left + 1) & (x < right - 2) & (y > top + 1) & (y < bottom - 2)
    near = laid[(distance < 0.15) & seen]
    assert near.min(initial=1) > 0.6


def test_a_bundle_may_give_boxes_and_heatmap_and_lungs_of_one_film(tmp_path: Path) -> None:
    model = hilum.load(tiny_detection_bundle(tmp_path, maps=True, gate=False, threshold=0.1))
    levels = shaded(128, 96)
    reading = model.look(film(levels))
    answer = answered(model.decide(reading))
    assert answer.heatmap is not None and answer.heatmap.shape == (PLACES, PLACES)
    assert len(answer.boxes) == len(expected_boxes(levels))
    seen = model.card.geometry.apply(levels.astype(np.float32) / np.float32(255)) / 255
    expected = seen.reshape(16, 4, 16, 4).mean((1, 3))
    assert answer.lungs is not None and answer.lungs.dtype == np.uint8
    np.testing.assert_allclose(answer.lungs, expected * 255, atol=0.51)
    laid = answer.lungs_on_film(128, 96)
    assert laid.shape == (128, 96)
    np.testing.assert_allclose(laid[12:-12, 12:-12], (levels / 255)[12:-12, 12:-12], atol=0.1)
    without = answered(model.decide(reading, Asked(heatmaps=False)))
    assert (without.heatmap, without.lungs) == (None, None)
    with pytest.raises(ValueError, match="no mask of the lungs"):
        without.lungs_on_film(10, 10)


def test_lungs_of_another_size_than_the_card_says_are_refused(tmp_path: Path) -> None:
    card = read_card(tiny_detection_bundle(tmp_path, maps=True))
    model = tiny_model(card, boxes=True, lungs=True)
    (pool,) = (node for node in model.graph.node if "in fours" in node.output)
    for attribute in pool.attribute:
        attribute.ints[:] = [8, 8]
    (output,) = (output for output in model.graph.output if output.name == "lungs")
    for dim in output.type.tensor_type.shape.dim[1:]:
        dim.dim_value = 8
    odd = tmp_path / "odd.onnx"
    odd.write_bytes(write_metadata(model.SerializeToString(), card))
    with pytest.raises(BundleError, match="gives no lungs as its card says"):
        hilum.load(odd)


# Where the box of the picture's first quarter (6/96 to 42/96 of each side) lies on a film, worked out by hand: left,
# top, right, bottom in pixels.
@pytest.mark.parametrize(
    ("geometry", "height", "width", "corners"),
    [
        (Geometry("squash", 64, 64), 200, 304, (19, 12.5, 133, 87.5)),
        (Geometry("fit", 64, 96), 200, 200, (0, 12.5, 81.25, 87.5)),  # what lies in the margin is cut off
        (Geometry("crop", 96, 64), 200, 304, (93.67, 12.5, 143.67, 87.5)),
        (Geometry("squash", 64, 64, 0.5), 200, 304, (85.5, 56.25, 142.5, 93.75)),
    ],
)
@pytest.mark.parametrize("kind", ["JPEG", "DICOM"])
def test_boxes_are_in_pixels_of_the_film_whatever_the_geometry(
    tmp_path: Path, geometry: Geometry, height: int, width: int, corners: tuple[float, ...], kind: str
) -> None:
    levels = np.full((height, width), 255, np.uint8)
    levels[-1, -1] = 0
    content = picture(Image.fromarray(levels), "JPEG") if kind == "JPEG" else dicom(levels.astype(np.uint16) * 16)
    (tmp_path / "film").write_bytes(content)
    predictor = hilum.load(tiny_detection_bundle(tmp_path, geometry))
    answer = predictor.predict(tmp_path / "film", Asked(gate=False))
    told = answer.to_dict()
    assert len(told["boxes"]) == 4
    found = [(box["x"], box["y"], box["x"] + box["width"], box["y"] + box["height"]) for box in told["boxes"]]
    assert np.abs(np.array(found) - corners).max(axis=1).min() < 0.02
    assert (told["height"], told["width"], told["box_threshold"]) == (height, width, 0.5)
    assert all(0.5 <= box["score"] <= 1 and box["label"] == "pneumonia" for box in told["boxes"])


def test_a_film_turned_away_has_no_boxes(tmp_path: Path) -> None:
    (tmp_path / "white.png").write_bytes(picture(Image.fromarray(np.full((64, 64), 250, np.uint8)), "PNG"))
    predictor = hilum.load(tiny_detection_bundle(tmp_path))
    answer = predictor.predict(tmp_path / "white.png")
    assert (answer.decision, answer.to_dict()["boxes"]) == ("abstain", [])


def test_whatever_holds_a_film_gives_the_same_answer(tmp_path: Path) -> None:
    import pydicom

    levels = shaded()
    png = picture(Image.fromarray(levels), "PNG")
    film_of_dicom = dicom(levels, WindowCenter=128, WindowWidth=256)
    paths = tmp_path / "film.png", tmp_path / "film.dcm"
    for path, content in zip(paths, (png, film_of_dicom), strict=True):
        path.write_bytes(content)
    model = hilum.load(tiny_bundle(tmp_path))
    with paths[0].open("rb") as file, paths[1].open("rb") as other:
        films: list[Any] = [
            *(str(paths[0]), paths[1], png, film_of_dicom, file, other, levels, Image.fromarray(levels)),
            *(pydicom.dcmread(paths[1]), read(png), levels.astype(np.float64) / 255),
        ]
        answers = model.predict(films)
        file.seek(0)
        alone = answered(model.predict(file))
    assert {answered(answer).probability for answer in answers} == {alone.probability}
    assert [answer.path for answer in answers] == [str(paths[0]), str(paths[1]), *[None] * 9]


@pytest.mark.parametrize("film", [7, None, {"film.png": 1}, object(), [3], "text file"])
def test_what_is_no_film_is_a_type_error_that_says_what_is(tmp_path: Path, film: Any) -> None:
    model = hilum.load(tiny_bundle(tmp_path))
    with (
        (tmp_path / "notes.txt").open("w+") as notes,
        pytest.raises(TypeError, match="a film is a path, bytes, an open binary file, a NumPy array"),
    ):
        model.predict(notes if film == "text file" else film)


def test_one_look_serves_any_number_of_decisions(tmp_path: Path) -> None:
    """Also after a trip through pickle; and a bundle refuses what another one saw."""
    model = hilum.load(tiny_bundle(tmp_path))
    path = write_films(tmp_path / "films", 1)[0]
    reading = pickle.loads(pickle.dumps(model.look(path)))
    for asked in (Asked(), Asked(operating_point="sensitive"), Asked(threshold=0.0, gate=False, heatmaps=False)):
        decided = answered(model.decide(reading, asked))
        predicted = answered(model.predict(path, asked))
        assert decided.to_dict() == predicted.to_dict()
        assert (decided.heatmap is None) == (predicted.heatmap is None) == (not asked.heatmaps)
        if decided.heatmap is not None and predicted.heatmap is not None:
            np.testing.assert_array_equal(decided.heatmap, predicted.heatmap)
    (tmp_path / "other").mkdir()
    other = hilum.load(tiny_bundle(tmp_path / "other", name="other"))
    with pytest.raises(BundleError, match="another bundle made this reading"):
        other.decide(reading)


@pytest.mark.parametrize("kind", ["answered", "abstained", "failed"])
def test_predictions_are_small_can_be_pickled_and_say_where_they_come_from(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "film.png"
    levels = 255 - shaded(brightest=100) if kind == "abstained" else shaded()
    path.write_bytes(picture(Image.fromarray(levels), "PNG") if kind != "failed" else b"none")
    bundle = tiny_bundle(tmp_path)
    prediction = hilum.load(bundle).predict([path])[0]
    assert type(prediction).__name__.lower() == kind
    packed = pickle.dumps(prediction)
    assert len(packed) < 3000
    again = pickle.loads(packed)
    assert again.to_dict() == prediction.to_dict()
    assert (again.bundle, again.hilum) == (read_model(bundle)[DIGEST], hilum.__version__)
    row = again.to_row()
    assert repr(again).startswith(f"{type(again).__name__}(") and str(path) in repr(again)
    assert len(repr(again)) < 400
    shown = again._repr_html_()
    assert "Research use only" in shown and html.escape(again.bundle) in shown and "<script" not in shown
    assert {"file", "decision", "probability", "gate", "threshold", "error", "bundle"} <= row.keys()
    assert all(value is None or isinstance(value, str | int | float) for value in row.values())
    assert row["gate"] == {"answered": "passed", "abstained": "failed", "failed": None}[kind]


def test_a_prediction_says_how_its_film_was_turned(tmp_path: Path) -> None:
    """As a DICOM result needs it: places on the upright film can be found again in the stored one."""
    path = tmp_path / "film.dcm"
    path.write_bytes(dicom(shaded(96, 128), PatientOrientation=["H", "L"]))
    answer = answered(hilum.load(tiny_bundle(tmp_path)).predict(path, Asked(gate=False)))
    assert answer.turn == read(path).turn != 1
    assert (answer.height, answer.width) == (128, 96)
