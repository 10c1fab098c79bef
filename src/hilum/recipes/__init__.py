"""The recipes themselves, one .toml file each; every published system that hilum reproduces is one of them."""

from __future__ import annotations

from importlib.resources import files


def shipped_recipes() -> list[str]:
    """The names of the recipes inside the package."""
    names = (path.name for path in files("hilum.recipes").iterdir())
    return sorted(name.removesuffix(".toml") for name in names if name.endswith(".toml"))
