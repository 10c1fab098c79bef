"""Reading recipes: shipped ones by name, files, plain tables; with settings on top.

Unknown keys are errors that suggest the nearest key, so that a typo never trains something else than was meant.
"""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from importlib.resources import files
from pathlib import Path, PurePath
from typing import Any

from hilum.recipes import shipped_recipes
from hilum.system.misfit import in_words
from hilum.system.typed import MisfitError, build
from hilum.training.recipe.recipe import Recipe, RecipeError


def load_recipe(name: str, settings: Sequence[str] = ()) -> Recipe:
    """A shipped recipe by name, or a .toml file, with `section.key=value` settings on top, ready to be trained by."""
    return read_recipe(name, settings).sized()


def read_recipe(name: str, settings: Sequence[str] = ()) -> Recipe:
    """The same with sizes left out where they are the network's own, for whoever changes the network yet."""
    if name.endswith(".toml"):
        text = _read(Path(name))
    elif name in shipped_recipes():
        text = files("hilum.recipes").joinpath(f"{name}.toml").read_text(encoding="utf-8")
    else:
        close = difflib.get_close_matches(name, shipped_recipes(), n=1, cutoff=0.5)
        meant = f"; did you mean {close[0]}?" if close else ""
        listed = ", ".join(shipped_recipes())
        raise RecipeError(f"recipe {name}: there is no such recipe{meant}; there are {listed}; or give a .toml file")
    try:
        values = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise RecipeError(f"recipe {name}: {error}") from error
    return _with(recipe_from(values), settings)


def recipe_from(values: Mapping[str, Any]) -> Recipe:
    """A recipe from a table of plain values, as TOML holds them."""
    try:
        return build(Recipe, values)
    except MisfitError as misfit:
        raise RecipeError(in_words(misfit, "recipe")) from None


def changed(recipe: Recipe, settings: Sequence[str]) -> Recipe:
    """The recipe with `section.key=value` settings on top, ready to be trained by."""
    return _with(recipe, settings).sized()


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise RecipeError(f"recipe {path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise RecipeError(f"recipe {path}: is no text file") from None


def _with(recipe: Recipe, settings: Sequence[str]) -> Recipe:
    if not settings:
        return recipe
    values = recipe.as_dict()  # so that a setting finds its place whether the file named it or not
    for setting in settings:
        _set(values, setting)
    after = recipe_from(values)
    if after.network == recipe.network or after.title != recipe.title:
        return after
    other = ", ".join(map(_without_folder, (setting for setting in settings if setting.startswith("network."))))
    return replace(after, title=f"{recipe.title} ({other})")  # a title names the network that it was written for


def _without_folder(setting: str) -> str:
    key, equals, value = setting.partition("=")
    return f"{key}{equals}{PurePath(value).name}" if key == "network.weights" else setting


def _set(values: dict[str, Any], setting: str) -> None:
    path, equals, text = setting.partition("=")
    if not equals:
        raise RecipeError(f"--set {setting}: write section.key=value, as in optimizer.learning_rate=0.001")
    try:
        value = tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        value = text  # a bare word is text
    *sections, key = path.strip().split(".")
    place: Any = values
    for depth, section in enumerate(sections):
        if isinstance(place, list):
            if not section.isdecimal() or int(section) >= len(place):
                above = ".".join(sections[:depth])
                there = f"are {above}.0 to {above}.{len(place) - 1}" if len(place) > 1 else f"is only {above}.0"
                raise RecipeError(f"--set {setting}: there {there}")
            place = place[int(section)]
        elif isinstance(place, dict):
            if place.get(section) is None:
                place[section] = {}  # a section that was left out, or none at all, of which recipe_from tells
            place = place[section]
    if not isinstance(place, dict):
        raise RecipeError(f"--set {setting}: {'.'.join(sections)} is no section")
    place[key] = value
