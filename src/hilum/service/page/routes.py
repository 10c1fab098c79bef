"""The web page's files, in memory from the start: no request makes a path of the disk out of what a client sent."""

from __future__ import annotations

from pathlib import Path

from fastapi import APIRouter
from starlette.exceptions import HTTPException
from starlette.responses import Response

FOLDER = Path(__file__).parent
# Written out, since what a system takes a .js for is its own affair, and browsers are told to believe us.
TYPES = {
    ".css": "text/css",
    ".html": "text/html",
    ".jpg": "image/jpeg",
    ".js": "text/javascript",
    ".json": "application/json",
    ".svg": "image/svg+xml",
}
FILES = {
    path.relative_to(FOLDER).as_posix(): (path.read_bytes(), TYPES[path.suffix])
    for path in sorted(FOLDER.rglob("*"))
    if path.suffix in TYPES
}
router = APIRouter(include_in_schema=False)


@router.get("/")
async def front() -> Response:
    """The page itself."""
    return _file("index.html")


@router.get("/page/{name:path}")
async def part_of_page(name: str) -> Response:
    """What it is made of."""
    return _file(name)


def _file(name: str) -> Response:
    if name not in FILES:
        raise HTTPException(404, "Not Found")
    content, media_type = FILES[name]
    return Response(content, media_type=media_type)
