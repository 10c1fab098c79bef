"""The bundle that ships with hilum, by its name."""

from __future__ import annotations

import os
from importlib.util import find_spec
from pathlib import Path

from hilum.bundle.card import BundleError

DEFAULT = "default"
# By this a bundle is known to be the one that ships, wherever it lies; `make model` makes a new one.
DIGESTS = {DEFAULT: "eff2708ce42272ddfb24b23942361b2c"}


def find_bundle(model: str | os.PathLike[str] | None) -> Path:
    """The file of a bundle given as a path, or by the name of the one that ships, which is also meant by None.

    A folder may have the name of a model: only a file comes before what ships.
    """
    if model is None:
        return shipped_bundle(DEFAULT)
    path = Path(model)
    if str(model) in DIGESTS and not path.is_file():
        return shipped_bundle(str(model))
    if path.suffix != ".onnx" and not path.exists():
        raise BundleError(f"{path}: there is no such bundle; {DEFAULT} ships with hilum, others are .onnx files")
    return path


def name_anywhere(path: Path) -> str:
    """What finds this bundle from another folder, or in another installation of hilum."""
    return next((name for name in DIGESTS if shipped_bundle(name) == path), str(path.absolute()))


def shipped_bundle(name: str) -> Path:
    """Where a bundle that ships lies: in the package itself."""
    package = find_spec("hilum")
    assert package is not None
    assert package.origin is not None
    return Path(package.origin).parent / "models" / f"{name}.onnx"


def lies_in_package(path: Path) -> bool:
    """Whether this is a file of the installed package, which nobody changes but who could change hilum itself."""
    return path in map(shipped_bundle, DIGESTS)
