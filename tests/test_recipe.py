"""Recipes are typed: a typo is an error that suggests what was meant, and what is kept in a run reads back the same."""

from __future__ import annotations

import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hilum.training.recipe import Recipe, RecipeError, changed, load_recipe, recipe_from, shipped_recipes, to_toml


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


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ("optimiser.name=sgd", "optimiser: .*did you mean optimizer"),
        ("optimizer.lerning_rate=1", "optimizer.lerning_rate: .*did you mean learning_rate"),
        ("optimizer.name=sdg", "did you mean sgd"),
        ("training.batch_size=many", "training.batch_size = 'many': must be a whole number"),
        ("training.batch_size=0", "training.batch_size = 0: must be at least 1"),
        ("training.channels_last=1", "training.channels_last = 1: must be true or false"),
        ("phases.9.epochs=1", "phases 0 to 0"),
        ("optimizer=3", "optimizer: a section"),
        ("augmentation.rotation=400", "rotation = 400.0: a number from 0 to 180"),
        ("loss.class_weights=[1,2,3]", "2 classes need as many weights"),
        ("selection.after_epoch=99", "none of the 6 epochs could be kept"),
        ("training.offline_passes=-1", "must be at least 0"),
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


def test_an_unknown_recipe_suggests_the_nearest() -> None:
    with pytest.raises(RecipeError, match="did you mean default"):
        load_recipe("defalt")


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
