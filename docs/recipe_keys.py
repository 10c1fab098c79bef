"""Writes recipe.md: every setting of a recipe, from the code that reads it.

Meanings are the comments beside the fields.
"""

from __future__ import annotations

import ast
import inspect
import json
import types
from collections.abc import Iterator
from dataclasses import MISSING, Field, fields, is_dataclass
from pathlib import Path
from typing import Any, get_args

from hilum.system.typed import describe, hints_of
from hilum.training.recipe import Recipe

HEAD = """# Every setting of a recipe

A recipe is a TOML file; `hilum train --set KEY=VALUE` changes one setting of it. What a file leaves out is as below.
`phases.0` is the first phase, and a file may have several (`[[phases]]`). A table as a whole is set as in
`--set 'classes={clear=["normal"], opacity=["lung_opacity"]}'`. Sections: [training](training.md),
[detection](detection.md). This page is made by `make docs`; a test keeps it true.
"""


def meanings(kind: type) -> dict[str, str]:
    """The comment of each field of a dataclass, and of those it inherits: beside it, or on the lines above."""
    found: dict[str, str] = {}
    for part in reversed(kind.__mro__[:-1]):
        lines = inspect.getsource(part).splitlines()
        tree = ast.parse(inspect.cleandoc("\n".join(lines)))
        definition = tree.body[0]
        assert isinstance(definition, ast.ClassDef)
        for node in definition.body:
            if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
                assert node.end_lineno is not None
                beside = lines[node.end_lineno - 1].partition("  # ")[2]
                above = lines[node.lineno - 2].strip()
                found[node.target.id] = beside or (above[2:] if above.startswith("# ") else "")
    return found


def default_of(part: Field[Any]) -> str:
    value = part.default if part.default is not MISSING else part.default_factory()  # type: ignore[misc]
    return "left out" if value is None else f"`{json.dumps(value)}`"


def section_of(hint: Any) -> Any:
    """The dataclass that a field holds, alone, in a list or where it is not left out."""
    options = (hint, *get_args(hint))
    return next((option for option in options if isinstance(option, type) and is_dataclass(option)), None)


def tables(kind: type, where: str = "") -> Iterator[str]:
    hints, meaning_of = hints_of(kind), meanings(kind)
    plain = [part for part in fields(kind) if section_of(hints[part.name]) is None]
    rows = []
    for part in plain:
        allowed = describe(hints[part.name])
        default = "normal or pneumonia" if part.name == "classes" else default_of(part)
        rows.append(f"| `{where}{part.name}` | {meaning_of[part.name]} | {default} | {allowed} |")
    title = where.rstrip(".").partition(".")[0]
    if title:
        yield f"\n## {title}\n"
    if where and kind.__doc__ and not kind.__doc__.startswith(f"{kind.__name__}("):
        yield f"{kind.__doc__}\n"
    yield "| key | meaning | default | what it may be |\n|---|---|---|---|\n" + "\n".join(rows)
    for part in fields(kind):
        inside = section_of(hints[part.name])
        if inside is not None:
            many = isinstance(hints[part.name], types.GenericAlias)
            yield from tables(inside, f"{part.name}.0." if many else f"{part.name}.")


def page() -> str:
    return HEAD + "\n" + "\n".join(tables(Recipe)) + "\n"


if __name__ == "__main__":
    Path(__file__).with_name("recipe.md").write_text(page(), encoding="utf-8")
