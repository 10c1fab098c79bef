"""The web page as the service gives it."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.exceptions import HTTPException
from starlette.responses import Response

from hilum import __version__
from hilum.service.page.files import FILES, type_of

router = APIRouter(include_in_schema=False)


@router.get("/")
async def front() -> Response:
    """The page itself."""
    return _file("index.html")


@router.get("/page/site.json")
async def site() -> dict[str, object]:
    """What the page is part of: a service, or a site without one (site.py)."""
    return {"hilum": __version__, "server": True}


@router.get("/page/{name:path}")
async def part_of_page(name: str) -> Response:
    """What it is made of."""
    return _file(name)


def _file(name: str) -> Response:
    if name not in FILES:
        raise HTTPException(404, "Not Found")
    return Response(FILES[name], media_type=type_of(name))
