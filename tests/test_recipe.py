"""Recipes are typed: a typo is an error that suggests what was meant, and what is kept in a run reads back the same."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hilum.training.recipe import (
    Recipe,
    RecipeError,
    changed,
    load_recipe,
    read_recipe,
    recipe_from,
    shipped_recipes,
    to_toml,
)


@pytest.mark.parametrize("name", shipped_recipes())
def test_shipped_recipes_load_and_read_back_the_same(name: str) -> None:
    recipe = load_recipe(name)
    assert recipe.title
    assert recipe_from(tomllib.loads(to_toml(recipe))) == recipe


def test_the_published_systems_are_shipped_with_their_settings() -> None:
    assert {"default", "transfer-published", "resnet34-two-phases", "three-classes-small-cnn"} <= set(shipped_recipes())
    two_phases = load_recipe("resnet34-two-phases")
    assert [(phase.train, phase.epochs) for phase in two_phases.phases] == [("head", 10), ("all", 10)]
    assert (two_phases.optimizer.learning_rate, two_phases.phases[1].learning_rate) == (1e-3, 1e-4)
    weighted = load_recipe("resnet50-class-weights")
    assert (weighted.training.batch_size, weighted.selection.after_epoch, weighted.epochs) == (128, 15, 20)
    small = load_recipe("three-classes-small-cnn")
    assert (small.input.height, small.input.width, small.training.batch_size) == (256, 300, 35)
    assert list(small.classes) == ["normal", "bacterial", "viral"]


def test_settings_from_the_command_line_stand_above_the_file() -> None:
    settings = ["training.batch_size=4", "phases.1.epochs=3", "network.weights=none", "loss.class_weights=[1, 2.5]"]
    recipe = load_recipe("resnet34-two-phases", settings)
    assert (recipe.training.batch_size, recipe.phases[1].epochs, recipe.network.weights) == (4, 3, "none")
    assert recipe.loss.class_weights == [1.0, 2.5]


def test_settings_find_their_place_where_the_file_does_not_name_it() -> None:
    recipe = load_recipe("three-classes-small-cnn", ['classes.viral=["viral", "covid"]', "loss.mixup=0.2"])
    assert recipe.classes["viral"] == ["viral", "covid"]
    assert list(recipe.classes) == ["normal", "bacterial", "viral"]
    assert load_recipe("default", ['classes.pneumonia=["opacity"]']).classes == {
        "normal": ["normal", "negative"],
        "pneumonia": ["opacity"],
    }
    assert load_recipe("default", ['classes={a=["x"], b=["y"]}']).classes == {"a": ["x"], "b": ["y"]}
    assert recipe_from({}).phases[0].epochs != 3
    assert changed(recipe_from({}), ["phases.0.epochs=3"]).phases[0].epochs == 3
    detector = load_recipe("default", ["detector.levels=2"]).detector
    assert detector is not None
    assert (detector.levels, detector.first_stride) == (2, 16)


def test_a_title_says_which_network_was_taken_instead() -> None:
    published = load_recipe("default").title
    assert load_recipe("default", ["optimizer.name=sgd", "network.name=efficientnet_lite0"]).title == published
    other = load_recipe("default", ["network.name=resnet18", "optimizer.name=sgd"])
    assert other.title == f"{published} (network.name=resnet18)"
    assert load_recipe("default", ["network.name=resnet18", "title=ours"]).title == "ours"


def test_a_size_that_is_not_named_is_the_networks_own() -> None:
    own = {"resnet18": (224, 224), "inception_v3": (299, 299), "small_cnn2": (256, 300)}
    for name, size in own.items():
        assert load_recipe("transfer-published", [f"network.name={name}"]).input.size == size
    assert load_recipe("transfer-published", ["network.name=inception_v3", "input.width=320"]).input.size == (299, 320)
    as_read = read_recipe("transfer-published")
    assert [changed(as_read, [f"network.name={name}"]).input.size for name in own] == list(own.values())
    assert load_recipe("resnet34-two-phases", ["network.name=small_cnn2"]).input.size == (224, 224)


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ("network.dropout=2.0", "network.dropout = 2.0: must be a number from 0 and below 1"),
        ("training.ema=1.5", "training.ema = 1.5: must be a number from 0 and below 1"),
        ("training.clip=-1", "training.clip = -1.0: must be a number from 0 up"),
        ("training.clip=nan", "training.clip = nan: must be a number from 0 up"),
        ("training.seed=-1", "training.seed = -1: must be a whole number from 0 to"),
        ("loss.label_smoothing=5", "loss.label_smoothing = 5.0: must be a number from 0 and below 1"),
        ("loss.class_weights=[1, 0]", "loss.class_weights.1 = 0.0: must be a number above 0"),
        ("selection.patience=-3", "selection.patience = -3: must be a whole number from 0 up"),
        ("schedule.factor=1", "schedule.factor = 1.0: must be a number above 0 and below 1"),
        ("phases.0.learning_rate=0", "phases.0.learning_rate = 0.0: must be a number above 0 or left out"),
        ("optimizer.learning_rate=1e999", "optimizer.learning_rate = inf: must be a number above 0"),
        ("input.height=5", "input.height = 5: must be a whole number from 8 to 4096 or left out"),
        ("input.keep=0", "input.keep = 0.0: must be a number from 0.1 to 1"),
        ("detector.width=100", "detector.width = 100: must be a whole number from 16 up, a multiple of 16"),
        ("detector.ratios=[1, -1, 2]", "detector.ratios.1 = -1.0: must be a number above 0"),
        ("augmentation.zoom=[1.2, 0.8]", "two numbers from 0.1 to 10, the smaller first"),
        ("optimiser.name=sgd", "optimiser: .*did you mean optimizer"),
        ("optimizer.lerning_rate=1", "optimizer.lerning_rate: .*did you mean learning_rate"),
        ("optimizer.name=sdg", "did you mean sgd"),
        ("training.batch_size=many", "training.batch_size = 'many': must be a whole number"),
        ("training.batch_size=0", "training.batch_size = 0: must be a whole number from 1 up"),
        ("training.channels_last=1", "training.channels_last = 1: must be true or false"),
        ("phases.9.epochs=1", "there is only phases.0"),
        ("optimizer=3", "optimizer: a section"),
        ("augmentation.rotation=400", "rotation = 400.0: must be a number from 0 to 180"),
        ("loss.class_weights=[1,2,3]", "2 classes need as many weights"),
        ("selection.after_epoch=99", "none of the 6 epochs could be kept"),
        ("training.offline_passes=-1", "must be a whole number from 0 up"),
        ("title.a.b=1", "title.a is no section"),
        ("nonsense", "write section.key=value"),
    ],
)
def test_what_is_wrong_is_named(setting: str, words: str) -> None:
    with pytest.raises(RecipeError, match=words):
        load_recipe("default", [setting])


def test_offline_passes_need_the_store() -> None:
    assert load_recipe("three-classes-small-cnn", ["training.offline_passes=20"]).training.offline_passes == 20
    with pytest.raises(RecipeError, match=r"training\.feed must be store, not torchvision"):
        load_recipe("default", ["training.offline_passes=20", "training.feed=torchvision"])


@pytest.mark.parametrize("name", shipped_recipes())
def test_a_changed_recipe_is_the_recipe_with_the_settings_on_top(name: str) -> None:
    settings = ["training.seed=5", "phases.0.learning_rate=0.01", "augmentation.zoom=[0.9, 1.1]"]
    assert changed(load_recipe(name), settings) == load_recipe(name, settings)
    assert changed(load_recipe(name), []) == load_recipe(name)


def test_a_label_tells_something() -> None:
    with pytest.raises(RecipeError, match="the label viral stands in all of them"):
        recipe_from({"classes": {"sick": ["viral", "bacterial"], "infected": ["viral"]}})
    classes = {"normal": ["normal"], "bacterial": ["bacterial", "pneumonia"], "viral": ["viral", "pneumonia"]}
    assert recipe_from({"classes": classes}).classes == classes
    with pytest.raises(RecipeError, match="mixup"):
        recipe_from({"classes": classes, "loss": {"mixup": 0.2}})


def test_an_unknown_recipe_suggests_the_nearest_and_lists_all() -> None:
    with pytest.raises(RecipeError, match=r"did you mean default.*there are boxes, children-and-adults, default, "):
        load_recipe("defalt")


def test_a_file_that_is_no_recipe_is_named(tmp_path: Path) -> None:
    for content, words in ((None, "No such file"), (b"\xff\xfe", "no text file"), (b"[network", "Expected")):
        path = tmp_path / "own.toml"
        if content is not None:
            path.write_bytes(content)
        with pytest.raises(RecipeError, match=f"own.toml: .*{words}"):
            load_recipe(str(path))


@given(st.text(st.characters(codec="utf-8"), max_size=20))
def test_any_text_reads_back_the_same(text: str) -> None:
    recipe = recipe_from({"title": text, "classes": {text: [text], f"{text}2": [f"{text}2"]}})
    assert recipe_from(tomllib.loads(to_toml(recipe))) == recipe


plain = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8)
tables = st.dictionaries(st.text(max_size=10), plain | st.lists(plain, max_size=3), max_size=4)


@given(
    st.dictionaries(
        st.sampled_from(["network", "input", "loss", "optimizer", "phases", "classes", "x"]), plain | tables
    )
)
def test_any_table_is_a_recipe_or_a_recipe_error(values: dict[str, object]) -> None:
    try:
        recipe = recipe_from(values)
    except RecipeError as error:
        assert str(error)
    else:
        assert isinstance(recipe, Recipe)
