"""The bundles that ship with hilum, by name: `default` says whether a film shows pneumonia, `boxes` where."""

from __future__ import annotations

import os
from importlib.util import find_spec
from pathlib import Path

from hilum.bundle.card import BundleError

DEFAULT, BOXES = "default", "boxes"


def find_bundle(model: str | os.PathLike[str] | None) -> Path:
    """The file of a bundle given as a path, or by the name of one that ships; None is the default."""
    if model is None:
        return shipped_bundle(DEFAULT)
    path = Path(model)
    return shipped_bundle(str(model)) if str(model) in (DEFAULT, BOXES) and not path.exists() else path


def shipped_bundle(name: str) -> Path:
    package = find_spec("hilum")
    assert package is not None
    assert package.origin is not None
    path = Path(package.origin).parent / "models" / f"{name}.onnx"
    if not path.is_file():
        raise BundleError(
            f"no model {name} ships with this hilum; name a bundle, made with `hilum export RUN -o model.onnx`"
        )
    return path
