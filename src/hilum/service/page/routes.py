"""The web page as the service gives it."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.exceptions import HTTPException
from starlette.responses import FileResponse, Response

from hilum import __version__
from hilum.service.page.files import FILES, library, library_files, type_of
from hilum.service.page.policy import FRAMELESS, POLICY

# What judges films in the browser, where its package is installed; from the disk, since few ask for it.
LIBRARY = library_files(found) if (found := library()) else {}
HEADERS = {"Content-Security-Policy": POLICY + FRAMELESS}
router = APIRouter(include_in_schema=False)


@router.get("/")
async def front() -> Response:
    """The page itself."""
    return _file("index.html")


@router.get("/page/site.json")
async def site() -> dict[str, object]:
    """What the page is part of: a service, or a site without one (site.py)."""
    return {"hilum": __version__, "server": True, "browser": bool(LIBRARY)}


@router.get("/page/{name:path}")
async def part_of_page(name: str) -> Response:
    """What it is made of."""
    return _file(name)


def _file(name: str) -> Response:
    if name in LIBRARY:
        return FileResponse(LIBRARY[name], media_type=type_of(name), headers=HEADERS)
    if name not in FILES:
        raise HTTPException(404, "Not Found")
    return Response(FILES[name], media_type=type_of(name), headers=HEADERS)
