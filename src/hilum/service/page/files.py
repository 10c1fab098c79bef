"""The web page's files, in memory from the start: no request makes a path of the disk out of what a client sent."""

from __future__ import annotations

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


def type_of(name: str) -> str:
    """The media type of a file with this name."""
    return TYPES[Path(name).suffix]
