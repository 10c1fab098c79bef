"""The card: what was written is read back whole, and nothing that is not understood passes."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from typing import Any

import pytest
from bundles import tiny_card
from conftest import LONGER
from hypothesis import given, settings
from hypothesis import strategies as st

from hilum.bundle.card import FORMAT, BundleError, DataCard, card_from_json, pack_digests
from hilum.radiograph.geometry import Geometry


def digest(text: str) -> str:
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def test_a_card_survives_json() -> None:
    card = tiny_card(Geometry("crop", 96, 128, 0.9), notes=["trained on phantoms \u2013 only"])
    assert card_from_json(card.to_json()) == card
    ungated = tiny_card(gate=None)
    assert card_from_json(ungated.to_json()) == ungated


def test_a_card_keeps_its_parents_and_answers_for_their_networks() -> None:
    parents = [
        tiny_card(title=title, recipe={"network": {"name": network}}).as_parent(digest(title))
        for title, network in (("first", "small_cnn1"), ("second", "vgg11"))
    ]
    made_of_both = tiny_card(parents=parents, recipe={})
    assert card_from_json(made_of_both.to_json()) == made_of_both
    assert made_of_both.networks == ["small_cnn1", "vgg11"]
    # A bundle made of an ensemble still has the networks of both.
    grandchild = tiny_card(recipe={}, parents=[made_of_both.as_parent(digest("both"))])
    assert grandchild.networks == ["small_cnn1", "vgg11"]
    assert tiny_card(recipe={}).networks == []


def test_a_card_from_before_parents_has_none() -> None:
    values = json.loads(tiny_card().to_json())
    del values["parents"]
    assert card_from_json(json.dumps(values)).parents == []


def test_a_gate_from_before_lateral_films_has_the_states_of_then() -> None:
    values = json.loads(tiny_card().to_json())
    del values["gate"]["states"]
    gate = card_from_json(json.dumps(values)).gate
    assert gate is not None
    assert gate.states == ["upright", "turned by 90", "turned by 180", "turned by 270", "inverted", "no chest film"]


def test_whole_numbers_stand_for_floats() -> None:
    values = json.loads(tiny_card().to_json())
    values["operating_points"][0]["threshold"] = 1
    threshold = card_from_json(json.dumps(values)).operating_points[0].threshold
    assert threshold == 1.0
    assert isinstance(threshold, float)


def broken(change: Any) -> str:
    values = json.loads(tiny_card().to_json())
    change(values)
    return json.dumps(values)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "damaged"),
        ("[1]", "states no format"),
        ("[" * 100_000, "damaged"),
        ('{"format": NaN}', "damaged"),
        (broken(lambda card: card.update(format=FORMAT + 1, novelty=1)), "update hilum"),
        (broken(lambda card: card.update(format=True)), "states no format"),
        (broken(lambda card: card.update(novelty=1)), "card.novelty, which this hilum does not know; update hilum"),
        (broken(lambda card: card["geometry"].update(depth=1)), "card.geometry.depth"),
        (broken(lambda card: card.pop("classes")), "lacks card.classes"),
        (broken(lambda card: card.update(classes="normal")), "damaged at card.classes"),
        (broken(lambda card: card.update(task="segmentation")), "damaged at card.task"),
        (broken(lambda card: card["operating_points"][0].update(threshold="high")), "threshold"),
        (broken(lambda card: card["operating_points"][0].update(threshold=True)), "threshold"),
        (broken(lambda card: card["figures"]["validation"].update(auc=10**400)), "card.figures.validation.auc"),
        (broken(lambda card: card["geometry"].update(height=1)), "sides run from 8 to 4096"),
        (broken(lambda card: card.update(positive=["tumor"])), "which of its classes mean pneumonia"),
        (broken(lambda card: card.update(positive=[])), "which of its classes mean pneumonia"),
        (broken(lambda card: card.update(classes=["a", "a"])), "distinct"),
        (broken(lambda card: card.update(default_point="best")), "'best' is not among"),
    ],
)
def test_what_is_not_understood_is_refused(text: str, message: str) -> None:
    with pytest.raises(BundleError, match=message):
        card_from_json(text)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)


@pytest.mark.soak
@settings(max_examples=100 * LONGER)
@given(st.data())
def test_any_value_in_place_of_another_is_read_or_refused(data: st.DataObject) -> None:
    values = json.loads(tiny_card().to_json())
    place: Any = values
    key: Any = data.draw(st.sampled_from(sorted(values)))
    while isinstance(place[key], (dict, list)) and place[key] and data.draw(st.booleans()):
        place = place[key]
        key = data.draw(st.sampled_from(sorted(place) if isinstance(place, dict) else range(len(place))))
    place[key] = data.draw(json_values)
    try:
        card = card_from_json(json.dumps(values))
    except BundleError as error:
        assert "\n" not in str(error)
    else:
        assert card_from_json(card.to_json()) == card


@given(st.lists(st.text(max_size=8), max_size=40, unique=True), st.text(min_size=9, max_size=12))
def test_data_know_their_films(known: list[str], stranger: str) -> None:
    half = len(known) // 2
    films = {"train": pack_digests(map(digest, known[:half])), "val": pack_digests(map(digest, known[half:]))}
    data = DataCard("", {}, {}, "", "", "", "patient", films)
    assert [data.holds(digest(text)) for text in known] == ["train"] * half + ["val"] * (len(known) - half)
    assert data.holds(digest(stranger)) is None


def test_points_are_found_by_name() -> None:
    card = tiny_card()
    assert card.point().name == "balanced"
    assert card.point("sensitive").threshold == 0.2
    with pytest.raises(BundleError, match="this bundle has balanced, sensitive"):
        card.point("best")


def test_numbers_that_are_none_are_not_written() -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        replace(tiny_card(), figures={"validation": {"auc": float("nan")}}).to_json()
