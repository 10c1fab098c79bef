"""Every public name says what it is for: whoever reads code or API reference finds a sentence where they look."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import hilum

PACKAGE = Path(hilum.__file__).parent


def missing(node: ast.Module | ast.ClassDef, where: str = "") -> Iterator[str]:
    """The public classes, functions and methods in a node that have no docstring."""
    for part in node.body:
        if isinstance(part, (ast.ClassDef, ast.FunctionDef)) and needs_words(part):
            name = f"{where}{part.name}"
            if ast.get_docstring(part) is None:
                yield name
            if isinstance(part, ast.ClassDef):
                yield from missing(part, f"{name}.")


def needs_words(part: ast.ClassDef | ast.FunctionDef) -> bool:
    """A network's forward is told by its class, and a signature that only types see by the function it is of."""
    overload = any(isinstance(mark, ast.Name) and mark.id == "overload" for mark in part.decorator_list)
    return not (part.name.startswith("_") or part.name == "forward" or overload)


def test_every_public_name_says_what_it_is_for() -> None:
    silent = []
    for path in sorted(PACKAGE.rglob("*.py")):
        file = path.relative_to(PACKAGE).as_posix()
        tree = ast.parse(path.read_text(encoding="utf-8"))
        if ast.get_docstring(tree) is None:
            silent.append(file)
        silent += [f"{file}: {name}" for name in missing(tree)]
    assert not silent, "without a docstring: " + ", ".join(silent)


def test_a_name_without_words_is_found() -> None:
    tree = ast.parse(
        "def said():\n    'Says.'\nclass Film:\n    'A film.'\n    def show(self): ...\n    def _hide(self): ..."
    )
    assert list(missing(tree)) == ["Film.show"]
