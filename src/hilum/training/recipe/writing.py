"""A recipe as TOML with every default written out: what a run keeps of it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from hilum.training.recipe.recipe import Recipe


def to_toml(recipe: Recipe) -> str:
    """Reading it gives the same recipe."""
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
        # JSON's escapes are TOML's, but for one control character that JSON lets stand.
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(map(_toml, value)) + "]"
    return repr(value)
