"""A recipe: everything that decides how a network is trained, as one typed TOML file.

Unknown keys are errors that suggest the nearest key, so that a typo never trains something else than was meant. The
resolved recipe, every default written out, is kept in the run.
"""

from __future__ import annotations

import difflib
import tomllib
import types
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, asdict, dataclass, field, fields, is_dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from hilum.network.pyramid import Pyramid
from hilum.radiograph.geometry import Geometry
from hilum.training.variation.augment import Augmentation

Metric = Literal["loss", "accuracy", "balanced_accuracy", "auc", "ap50", "rsna_score"]  # the last two are of boxes
# Labels as sources state them; a recipe that names no classes trains pneumonia against the rest that is known.
BINARY: dict[str, list[str]] = {
    "normal": ["normal", "negative"],
    "pneumonia": [
        *("pneumonia", "bacterial", "viral", "lung_opacity", "typical", "indeterminate", "atypical", "covid"),
        *("covid-19", "covid19", "bacteria", "virus"),
    ],
}


class RecipeError(ValueError):
    """A recipe that cannot be followed; one line naming the key and what it may be."""


@dataclass(frozen=True, slots=True)
class Network:
    name: str = "efficientnet_lite0"
    weights: str = "imagenet"  # imagenet, none, or a .safetensors or .pth file
    head: Literal["linear", "mlp"] = "linear"
    dropout: float = 0.0


@dataclass(frozen=True, slots=True)
class Input:
    geometry: Literal["squash", "fit", "crop"] = "squash"
    height: int = 224
    width: int = 224
    keep: float = 1.0  # look at this central share of the film

    def to_geometry(self) -> Geometry:
        return Geometry(self.geometry, self.height, self.width, self.keep)


@dataclass(frozen=True, slots=True)
class Detector(Pyramid):
    """With this section a detector is trained: boxes, and the classes for the film as a whole."""

    box_loss: Literal["giou", "l1"] = "giou"
    box_weight: float = 1.0  # in the sum of losses, that of the scores being 1
    image_weight: float = 0.5
    mosaic: float = 0.0  # share of each batch that is put together from quarters of four films; at most a half


@dataclass(frozen=True, slots=True)
class Loss:
    name: Literal["cross_entropy", "focal"] = "cross_entropy"
    class_weights: Literal["none", "inverse"] | list[float] = "none"  # inverse: by frequency in the training split
    label_smoothing: float = 0.0
    focal_gamma: float = 2.0
    mixup: float = 0.0  # alpha of the Beta distribution; 0 is off


@dataclass(frozen=True, slots=True)
class Optimizer:
    name: Literal["adam", "adamw", "sgd", "rmsprop", "adagrad", "adadelta"] = "adamw"
    learning_rate: float = 1e-3
    weight_decay: float = 0.0
    momentum: float = 0.0  # of sgd and rmsprop
    body_factor: float = 1.0  # learning rate of the stem as a share of the head's; layers between lie between


@dataclass(frozen=True, slots=True)
class Schedule:
    name: Literal["constant", "step", "plateau", "cosine", "one_cycle"] = "constant"
    warmup_epochs: float = 0.0  # of cosine
    step_epochs: int = 5  # of step
    factor: float = 0.1  # of step and plateau
    patience: int = 2  # of plateau, in epochs


@dataclass(frozen=True, slots=True)
class Phase:
    """A stretch of epochs; what it leaves out is as in the recipe's optimizer and schedule."""

    epochs: int = 10
    train: Literal["all", "head"] = "all"
    learning_rate: float | None = None
    body_statistics: Literal["frozen", "moving"] = "frozen"  # of batch normalization while only the head trains


@dataclass(frozen=True, slots=True)
class Training:
    batch_size: int = 32
    feed: Literal["store", "torchvision", "dali"] = "store"  # torchvision and dali decode the files in every epoch
    offline_passes: int = 0  # variations of each film, made once and shown with it in every epoch; 0: varied anew
    accumulate: int = 1  # batches a step
    clip: float = 0.0  # largest norm of the gradient; 0 is off
    ema: float = 0.0  # decay of averaged weights, which are then what is judged and kept; 0 is off
    precision: Literal["float32", "bf16", "fp16"] = "float32"
    channels_last: bool = True
    compile: bool = False
    seed: int = 1


@dataclass(frozen=True, slots=True)
class Selection:
    """Which epoch is kept, by validation alone, and when to stop."""

    metric: Metric = "loss"
    after_epoch: int = 0  # earlier epochs are never kept
    patience: int = 0  # stop after so many epochs without improvement; 0 never stops


@dataclass(frozen=True, slots=True)
class Recipe:
    title: str = ""
    # Class -> labels that mean it. A label of several classes means one of these, not known which.
    classes: dict[str, list[str]] = field(default_factory=lambda: dict(BINARY))
    network: Network = field(default_factory=Network)
    input: Input = field(default_factory=Input)
    detector: Detector | None = None
    augmentation: Augmentation = field(default_factory=Augmentation)
    loss: Loss = field(default_factory=Loss)
    optimizer: Optimizer = field(default_factory=Optimizer)
    schedule: Schedule = field(default_factory=Schedule)
    phases: list[Phase] = field(default_factory=lambda: [Phase()])
    training: Training = field(default_factory=Training)
    selection: Selection = field(default_factory=Selection)

    def __post_init__(self) -> None:
        if len(self.classes) < 2:
            raise RecipeError("classes: name at least two")
        named = [label for labels in self.classes.values() for label in set(labels)]
        counted = {label: named.count(label) for label in sorted(set(named))}
        if everywhere := [label for label, count in counted.items() if count == len(self.classes)]:
            raise RecipeError(f"classes: the label {everywhere[0]} stands in all of them, so it tells nothing")
        if max(counted.values(), default=0) > 1 and self.loss.mixup:
            raise RecipeError("loss.mixup: mixes labels that are sure, and some stand in several classes")
        if not self.phases:
            raise RecipeError("phases: name at least one")
        if isinstance(self.loss.class_weights, list) and len(self.loss.class_weights) != len(self.classes):
            raise RecipeError(f"loss.class_weights: {len(self.classes)} classes need as many weights")
        if self.selection.after_epoch >= self.epochs:
            raise RecipeError(f"selection.after_epoch: none of the {self.epochs} epochs could be kept")
        if self.detector is not None:
            if self.training.feed != "store" or self.training.offline_passes:
                raise RecipeError("training.feed: boxes go with films from the store, varied anew in every epoch")
            if self.loss.mixup:
                raise RecipeError("loss.mixup: films with boxes are not mixed")
            if not 0 <= self.detector.mosaic <= 0.5:
                raise RecipeError(f"detector.mosaic = {self.detector.mosaic}: a share from 0 to 0.5")
        elif self.selection.metric in ("ap50", "rsna_score"):
            raise RecipeError(f"selection.metric = {self.selection.metric}: is of boxes, and there is no [detector]")
        for name, value, lowest in (
            ("training.batch_size", self.training.batch_size, 1),
            ("training.accumulate", self.training.accumulate, 1),
            ("optimizer.learning_rate", self.optimizer.learning_rate, 0),
            ("phases.epochs", min(phase.epochs for phase in self.phases), 1),
        ):
            if value < lowest or (lowest == 0 and value == 0):
                raise RecipeError(f"{name} = {value}: must be {'above 0' if lowest == 0 else 'at least 1'}")
        if self.training.offline_passes < 0:
            raise RecipeError(f"training.offline_passes = {self.training.offline_passes}: must be at least 0")
        if self.training.offline_passes and self.training.feed != "store":
            raise RecipeError(f"training.offline_passes: training.feed must be store, not {self.training.feed}")

    @property
    def epochs(self) -> int:
        return sum(phase.epochs for phase in self.phases)

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def shipped_recipes() -> list[str]:
    """The names of the recipes inside the package."""
    names = (path.name for path in files("hilum.recipes").iterdir())
    return sorted(name.removesuffix(".toml") for name in names if name.endswith(".toml"))


def load_recipe(name: str, settings: Sequence[str] = ()) -> Recipe:
    """A shipped recipe by name, or a .toml file, with `section.key=value` settings on top."""
    if name.endswith(".toml"):
        text = Path(name).read_text(encoding="utf-8")
    elif name in shipped_recipes():
        text = files("hilum.recipes").joinpath(f"{name}.toml").read_text(encoding="utf-8")
    else:
        raise RecipeError(f"recipe {name}: {_nearest(name, shipped_recipes())}; or give a .toml file")
    try:
        values = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise RecipeError(f"recipe {name}: {error}") from error
    for setting in settings:
        _set(values, setting)
    return recipe_from(values)


def recipe_from(values: Mapping[str, Any]) -> Recipe:
    recipe = _build(Recipe, values, "")
    assert isinstance(recipe, Recipe)
    return recipe


def changed(recipe: Recipe, settings: Sequence[str]) -> Recipe:
    """The recipe with `section.key=value` settings on top."""
    values = recipe.as_dict()
    for setting in settings:
        _set(values, setting)
    return recipe_from(values)


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
    for section in sections:
        if isinstance(place, list):
            if not section.isdecimal() or int(section) >= len(place):
                raise RecipeError(f"--set {setting}: there are phases 0 to {len(place) - 1}")
            place = place[int(section)]
        elif isinstance(place, dict):
            place = place.setdefault(section, {})
    if not isinstance(place, dict):
        raise RecipeError(f"--set {setting}: {'.'.join(sections)} is no section")
    place[key] = value


def _build(kind: Any, values: Any, where: str) -> Any:
    """A dataclass from a TOML table, each key checked against the field of that name."""
    if not isinstance(values, Mapping):
        raise RecipeError(f"{where or 'recipe'}: a section, not {values!r}")
    hints = get_type_hints(kind)
    names = [part.name for part in fields(kind)]
    for key in values:
        if key not in names:
            raise RecipeError(f"{_dotted(where, key)}: {_nearest(key, names)}")
    made = {
        part.name: _value(hints[part.name], values[part.name], _dotted(where, part.name))
        for part in fields(kind)
        if part.name in values or (part.default is MISSING and part.default_factory is MISSING)
    }
    try:
        return kind(**made)
    except RecipeError:
        raise
    except ValueError as error:
        raise RecipeError(str(error)) from error


def _value(hint: Any, value: Any, where: str) -> Any:
    origin, options = get_origin(hint), get_args(hint)
    if is_dataclass(hint):
        return _build(hint, value, where)
    if origin in (Union, types.UnionType):
        sections = [option for option in options if is_dataclass(option)]
        if sections and isinstance(value, Mapping):
            return _build(sections[0], value, where)
        for option in options:
            try:
                return _value(option, value, where)
            except RecipeError:
                continue
        raise RecipeError(f"{where} = {value!r}: must be {' or '.join(map(_describe, options))}")
    if origin is Literal:
        if value in options:
            return value
        raise RecipeError(f"{where} = {value!r}: {_nearest(str(value), [str(option) for option in options])}")
    if origin is list and isinstance(value, list):
        return [_value(options[0], item, f"{where}.{number}") for number, item in enumerate(value)]
    if origin is tuple and isinstance(value, (list, tuple)) and len(value) == len(options):
        return tuple(_value(option, item, where) for option, item in zip(options, value, strict=True))
    if origin is dict and isinstance(value, Mapping):
        return {key: _value(options[1], item, _dotted(where, key)) for key, item in value.items()}
    if hint is float and isinstance(value, (int, float)) and not isinstance(value, bool):
        return float(value)
    if hint in (int, str, bool, type(None)) and type(value) is hint:
        return value
    raise RecipeError(f"{where} = {value!r}: must be {_describe(hint)}")


def _describe(hint: Any) -> str:
    if get_origin(hint) is Literal:
        return " or ".join(str(option) for option in get_args(hint))
    if get_origin(hint) in (list, tuple):
        return "a list"
    names = {int: "a whole number", float: "a number", str: "text", bool: "true or false", type(None): "left out"}
    return names.get(hint, "a section")


def _nearest(word: str, known: Sequence[str]) -> str:
    close = difflib.get_close_matches(word, known, n=1, cutoff=0.5)
    return f"there is no such name; did you mean {close[0]}?" if close else f"must be one of {', '.join(known)}"


def _dotted(where: str, key: str) -> str:
    return f"{where}.{key}" if where else key


def to_toml(recipe: Recipe) -> str:
    """The recipe with every default written out; reading it gives the same recipe."""
    lines: list[str] = []

    def write(table: Mapping[str, Any], header: str) -> None:
        if header:
            lines.append(f"\n{header}")
        plain = {key: value for key, value in table.items() if not _is_table(value)}
        lines.extend(f"{_key(key)} = {_toml(value)}" for key, value in plain.items() if value is not None)
        for key, value in table.items():
            if isinstance(value, Mapping):
                write(value, f"[{(header.strip('[]') + '.' if header else '')}{_key(key)}]")
            elif _is_table(value):
                for item in value:
                    write(item, f"[[{_key(key)}]]")

    write(recipe.as_dict(), "")
    return "\n".join(lines).lstrip() + "\n"


def _is_table(value: Any) -> bool:
    return isinstance(value, Mapping) or (isinstance(value, list) and bool(value) and isinstance(value[0], Mapping))


def _key(key: str) -> str:
    return key if key.replace("_", "").replace("-", "").isalnum() and key.isascii() else _toml(key)


def _toml(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(map(_toml, value)) + "]"
    return repr(value)
