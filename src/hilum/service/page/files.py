"""The web page's files, in memory from the start: no request makes a path of the disk out of what a client sent."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

FOLDER = Path(__file__).parent
# Written out, since what a system takes a .js for is its own affair, and browsers are told to believe us.
TYPES = {
    ".css": "text/css",
    ".html": "text/html",
    ".jpg": "image/jpeg",
    ".js": "text/javascript",
    ".json": "application/json",
    ".mjs": "text/javascript",
    ".onnx": "application/octet-stream",
    ".svg": "image/svg+xml",
    ".txt": "text/plain",
    ".wasm": "application/wasm",
}
FILES = {
    path.relative_to(FOLDER).as_posix(): path.read_bytes() for path in sorted(FOLDER.rglob("*")) if path.suffix in TYPES
}
LICENSES = ("licenses.txt", "onnxruntime-notices.txt")


def library() -> Path | None:
    """Where the package lies that has what judges films in a browser, if it is installed."""
    package = find_spec("hilum_browser")
    return Path(package.origin).parent if package is not None and package.origin else None


def library_files(folder: Path) -> dict[str, Path]:
    """Its files, by their names beside the page's own."""
    libraries = {f"lib/{path.name}": path for path in sorted((folder / "files").iterdir())}
    return libraries | {name: folder / name for name in LICENSES}


def type_of(name: str) -> str:
    """The media type of a file with this name."""
    return TYPES[Path(name).suffix]
