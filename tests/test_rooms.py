"""The order of rooms: imports run downwards only, folders stay small enough to take in at one look."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "src" / "hilum"
# Lowest first, as in ARCHITECTURE.md.
FLOORS = (
    *("system", "dicomweb", "radiograph", "network", "measures", "dataset", "bundle", "output"),
    *("training", "evaluation", "export", "service", "node", "scale", "label", "cli"),
)
NOT_CODE = {"models", "recipes"}
MODULES = sorted(path for path in PACKAGE.rglob("*.py") if path.parent != PACKAGE)


def imported(path: Path) -> Iterator[tuple[int, str]]:
    """Every module of hilum that a file names in an import, wherever in the file, with its line."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: imports are written out in full"
            yield from ((node.lineno, f"{node.module}.{alias.name}") for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)


def test_every_room_has_a_floor() -> None:
    rooms = {path.name for path in PACKAGE.iterdir() if path.is_dir() and any(path.rglob("*.py"))}
    assert rooms - NOT_CODE <= set(FLOORS)


@pytest.mark.parametrize("room", FLOORS)
def test_a_room_imports_from_its_own_floor_and_those_below(room: str) -> None:
    allowed = set(FLOORS[: FLOORS.index(room) + 1])
    upwards = [
        f"{path.relative_to(PACKAGE)}:{line}: {name}"
        for path in MODULES
        if path.relative_to(PACKAGE).parts[0] == room
        for line, name in imported(path)
        if name.startswith("hilum.") and name.split(".")[1] in FLOORS and name.split(".")[1] not in allowed
    ]
    assert not upwards


def test_private_names_stay_in_their_room() -> None:
    crossing = [
        f"{path.relative_to(PACKAGE)}:{line}: {name}"
        for path in MODULES
        for line, name in imported(path)
        if name.startswith("hilum.")
        and name.split(".")[1] != path.relative_to(PACKAGE).parts[0]
        and any(part.startswith("_") and not part.startswith("__") for part in name.split("."))
    ]
    assert not crossing


def test_no_folder_holds_more_than_fifteen_files_side_by_side() -> None:
    folders = {path.parent for path in MODULES}
    crowded = {
        str(folder.relative_to(PACKAGE)): count
        for folder in folders
        if (count := sum(path.name != "__init__.py" for path in folder.glob("*.py"))) > 15
    }
    assert not crowded
