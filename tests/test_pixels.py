"""POST /v1/pixels: the grey values of a film as hilum reads it, in their own size or a smaller one."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from bundles import tiny_bundle
from films import dicom, picture, ramp, smooth_picture
from numpy.typing import NDArray
from PIL import Image
from service import Reply, Service, form, served

import hilum


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with served("--model", tiny_bundle(tmp_path_factory.mktemp("bundle")), "--processes", "1") as started:
        yield started


def ask(service: Service, film: bytes, kind: str = "application/dicom", query: str = "") -> Reply:
    return service.ask("POST", f"/v1/pixels{query}", film, {"Content-Type": kind})


def grey(reply: Reply) -> NDArray[np.uint16]:
    height, width = int(reply.headers["film-height"]), int(reply.headers["film-width"])
    return np.frombuffer(reply.content, "<u2").reshape(height, width)


def test_a_film_comes_in_all_its_levels_with_what_is_known_of_it(service: Service) -> None:
    film = dicom(ramp(40, 60), BitsStored=12, PixelSpacing=[0.2, 0.1])
    reply = ask(service, film)
    assert (reply.status, reply.headers["content-type"]) == (200, "application/octet-stream")
    np.testing.assert_array_equal(grey(reply), np.rint(hilum.read(film).pixels * np.float32(65535)))
    known = {name: reply.headers[f"film-{name}"] for name in ("full-height", "full-width", "bits", "pixel-spacing")}
    assert known == {"full-height": "40", "full-width": "60", "bits": "12", "pixel-spacing": "0.2 0.1"}
    assert "Doe" not in str(reply.headers)


def test_a_turned_film_comes_upright(service: Service) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    film = picture(Image.fromarray(smooth_picture(40, 60)), "JPEG", exif=exif.tobytes())
    reply = ask(service, film, "image/jpeg")
    assert grey(reply).shape == hilum.read(film).pixels.shape == (60, 40)
    assert "film-pixel-spacing" not in reply.headers


def test_a_large_film_comes_reduced_unless_all_of_it_is_wanted(service: Service) -> None:
    large = smooth_picture(1200, 2400)
    film = picture(Image.fromarray(large), "PNG")
    assert grey(ask(service, film, "image/png")).shape == (1024, 2048)
    assert grey(ask(service, film, "image/png", "?longest=65536")).shape == (1200, 2400)
    small = ask(service, film, "image/png", "?longest=240")
    assert (small.headers["film-full-height"], small.headers["film-full-width"]) == ("1200", "2400")
    expected = large.reshape(120, 10, 240, 10).mean(axis=(1, 3)) * 257
    assert np.abs(grey(small).astype(float) - expected).max() < 257


@pytest.mark.parametrize(
    ("film", "query", "status", "reason"),
    [
        (b"a letter", "", 415, "not_an_image"),
        (picture(Image.fromarray(smooth_picture(40, 60)), "PNG")[:70], "", 422, "truncated_pixel_data"),
        (b"", "", 422, "empty"),
        (b"a letter", "?longest=2", 422, "bad_parameter"),
    ],
)
def test_what_is_no_film_is_a_problem(service: Service, film: bytes, query: str, status: int, reason: str) -> None:
    reply = ask(service, film, query=query)
    assert (reply.status, reply.json["reason"]) == (status, reason)


def test_films_are_shown_one_at_a_time(service: Service) -> None:
    content, kind = form([dicom(), dicom()])
    assert ask(service, content, kind).json["reason"] == "bad_parameter"


def test_the_front_is_the_page_and_what_is_no_part_of_it_is_not_found(service: Service) -> None:
    front = service.ask("GET", "/")
    assert (front.status, front.headers["content-type"]) == (200, "text/html; charset=utf-8")
    for path in ("/page/nothing.js", "/page/../app.py", "/page/%2e%2e/app.py", "/page//etc/passwd"):
        assert service.ask("GET", path).status == 404


def test_the_page_is_small(service: Service) -> None:
    """What a browser loads before a film comes; the engine in the browser is fetched when chosen."""
    folder = Path(hilum.__file__).parent / "service" / "page"
    modules, found = [folder / "main.js"], set()
    while modules:
        if (module := modules.pop()) not in found:
            found.add(module)
            imports = re.findall(r'^(?:import|export)\b[^;]*?from "(\.[^"]+)"', module.read_text(), re.MULTILINE)
            modules += [(module.parent / name).resolve() for name in imports]
    assert folder / "viewer.js" in found
    at_once = {path for pattern in ("*.html", "*.css", "*.svg", "words/*") for path in folder.glob(pattern)} | found
    assert sum(path.stat().st_size for path in at_once) < 150_000
