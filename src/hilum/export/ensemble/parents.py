"""The parents of an ensemble: bundles opened, and refused where no mean of their answers would mean anything."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import onnx

from hilum.bundle.card import BundleError, Card
from hilum.bundle.onnx_file import DIGEST, check_model, read_bytes
from hilum.bundle.opening import OpenBundle
from hilum.radiograph.geometry import Geometry

OPSET = 18  # the first that scales with antialiasing


class Parent(NamedTuple):
    """A bundle as it stands in its file."""

    path: Path
    card: Card
    digest: str
    model: onnx.ModelProto

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the films that it takes."""
        return self.card.geometry.height, self.card.geometry.width


def open_parents(paths: Sequence[Path]) -> list[Parent]:
    """Bundles that can be one. Raises BundleError where they cannot, in a line that says why."""
    parents = [_open(path) for path in paths]
    first = parents[0]
    seen: dict[str, Path] = {}
    for parent in parents:
        if parent.digest in seen:
            raise BundleError(f"{parent.path}: the same bundle as {seen[parent.digest]}; name each once")
        seen[parent.digest] = parent.path
        for what, say in SHARED.items():
            one, other = say(first.card), say(parent.card)
            if one != other:
                raise BundleError(
                    f"{parent.path}: {other}, and {first.path}: {one}; bundles of one ensemble have the same {what}"
                )
    _check_sizes(parents)
    for parent in parents:
        if (opset := _opset(parent.model)) != OPSET:
            raise BundleError(f"{parent.path}: written in opset {opset}, not {OPSET}; export it again from its run")
    return parents


def largest(parents: Sequence[Parent]) -> Geometry:
    """The geometry of the parent from whose films those of all others can be made."""
    return max((parent.card.geometry for parent in parents), key=lambda geometry: (geometry.height, geometry.width))


def _open(path: Path) -> Parent:
    opened = OpenBundle(path)
    opened.session()  # what comes from anywhere is checked and tried as for a prediction
    content = read_bytes(opened.path)
    if check_model(content, str(opened.path))[DIGEST] != opened.digest:
        raise BundleError(f"{opened.path}: changed while it was read; try again")
    return Parent(opened.path, opened.card, opened.digest, onnx.load_from_string(content))


def _check_sizes(parents: Sequence[Parent]) -> None:
    """The largest film must hold the others: at no fewer pixels, and of the same shape where shapes are kept."""
    whole = largest(parents)
    owner = next(parent for parent in parents if parent.card.geometry == whole)
    for parent in parents:
        own = parent.card.geometry
        smaller = own.height <= whole.height and own.width <= whole.width
        alike = own.mode == "squash" or own.height * whole.width == own.width * whole.height
        if not (smaller and alike):
            raise BundleError(
                f"{parent.path}: films of {own} cannot be made from those of {owner.path}, {whole}; "
                "bundles of one ensemble see films of one shape"
            )


def _opset(model: onnx.ModelProto) -> int:
    return next(int(each.version) for each in model.opset_import if each.domain in ("", "ai.onnx"))


def _placing(card: Card) -> str:
    kept = f", central {card.geometry.keep:g}" if card.geometry.keep < 1 else ""
    return f"films placed by {card.geometry.mode}{kept}"


# What all parents of an ensemble have alike, in words.
SHARED: dict[str, Callable[[Card], str]] = {
    "classes": lambda card: f"classes {', '.join(card.classes)}",
    "meaning of classes": lambda card: f"{', '.join(card.positive)} meaning pneumonia",
    "groups of patients": lambda card: (
        f"{'answers for children and adults apart' if card.groups else 'answers for all alike'}"
    ),
    "way of placing films": _placing,
    "task": lambda card: "draws boxes" if card.boxes is not None else "draws no boxes",
}
