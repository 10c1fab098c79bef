"""The block of YAML at the top of a Markdown page, which model hubs and site makers read."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any


def front_matter(values: Mapping[str, Any]) -> str:
    """Plain data between two rules. Texts are quoted as in JSON, which YAML reads: none is taken for anything else."""
    return "\n".join(["---", *_mapping(values, ""), "---", ""])


def _mapping(values: Mapping[str, Any], indent: str) -> Iterator[str]:
    for key, value in values.items():
        if isinstance(value, str | int | float):
            yield f"{indent}{key}: {_scalar(value)}"
        else:
            yield f"{indent}{key}:"
            nested = _mapping(value, f"{indent}  ") if isinstance(value, Mapping) else _list(value, indent)
            yield from nested


def _list(values: Sequence[Any], indent: str) -> Iterator[str]:
    for value in values:
        if isinstance(value, Mapping):
            first, *rest = _mapping(value, f"{indent}  ")
            yield f"{indent}- {first.strip()}"
            yield from rest
        else:
            yield f"{indent}- {_scalar(value)}"


def _scalar(value: str | int | float) -> str:
    if isinstance(value, float) and "." not in repr(value):
        return repr(value).replace("e", ".0e")  # without a point YAML takes it for a text
    # YAML takes some marks that do not print for ends of lines or refuses them, and knows no pairs of surrogates.
    quoted = json.dumps(value, ensure_ascii=False)
    return "".join(letter if letter.isprintable() else f"\\U{ord(letter):08x}" for letter in quoted)
