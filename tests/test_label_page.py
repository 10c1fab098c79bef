"""A reading room as readers use it: with keys alone, with a mouse, two at once, and whatever is killed in between."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from axe_playwright_python.sync_playwright import Axe
from browser import chromium, what_goes_wrong
from bundles import tiny_bundle
from conftest import PATIENCE
from films import dicom, picture
from PIL import Image
from playwright.sync_api import Browser, Page, expect
from service import Service, reading_room

import hilum
from hilum.dataset.readings.folder import load_readings
from hilum.dataset.readings.reading import Reading

READERS = ("anna", "ben", "Carla K.", "dora", "emil", "fay", "gus")
ROWS, COLUMNS = 600, 400


class Place(NamedTuple):
    """A reading room and the folder that keeps what is said in it."""

    service: Service
    out: Path

    def readings(self, reader: str) -> list[Reading]:
        return [each for each in load_readings(self.out) if each.reader == reader]


def levels(number: int) -> Any:
    """A film whose every part is another one."""
    rows, columns = np.mgrid[0:ROWS, 0:COLUMNS]
    return ((rows * 5 + columns * 3 + number * 40) % 4096).astype(np.uint16)


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Films that reading turns upright and inverts, and others."""
    folder = tmp_path_factory.mktemp("films")
    for number in range(6):
        turned: dict[str, Any] = {"PatientOrientation": ["L", "H"]} if number % 2 else {}
        inverted = "MONOCHROME1" if number % 3 == 0 else "MONOCHROME2"
        content = dicom(levels(number), BitsStored=12, PhotometricInterpretation=inverted, **turned)
        (folder / f"Doe^Jane{number}.dcm").write_bytes(content)
    picture_of = Image.fromarray((levels(7) // 16).astype(np.uint8))
    exif = Image.Exif()
    exif[0x0112] = 6  # lies on its side
    picture_of.save(folder / "secret-turned.jpg", exif=exif, quality=90)
    (folder / "secret-torn.png").write_bytes(picture(picture_of, "PNG")[:200])
    return folder


@pytest.fixture(scope="module")
def place(films: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    out = tmp_path_factory.mktemp("rooms") / "reads"
    classes = "normal,bacterial,viral"
    with reading_room(films, "--out", out, "--readers", ",".join(READERS), "--classes", classes) as service:
        yield Place(service, out)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as started:
        yield started


@contextmanager
def reads(browser: Browser, service: Service, reader: str, **how: Any) -> Iterator[Page]:
    """The page as a reader has it before them; what goes wrong in it unseen fails the test."""
    context = browser.new_context(**{"viewport": {"width": 1280, "height": 800}, "locale": "en-US", **how})
    context.set_default_timeout(1000 * PATIENCE)
    page = context.new_page()
    wrong = what_goes_wrong(page)
    page.goto(f"http://127.0.0.1:{service.port}/#{reader}")
    expect(page.locator("body")).to_have_class("room ready")
    yield page
    context.close()
    assert not wrong, wrong


def shown(page: Page, number: int) -> None:
    """Wait until a film is the one that is shown, or says why it is not."""
    expect(page.locator("#which")).to_contain_text(f"Film {number} ")
    expect(page.locator("#notice")).not_to_contain_text("Reading the film")


def test_two_read_at_once_each_their_own_films(browser: Browser, place: Place) -> None:
    with reads(browser, place.service, "anna") as anna, reads(browser, place.service, "ben") as ben:
        for number, key in enumerate("123", start=1):
            for page in (anna, ben):
                shown(page, number)
                page.keyboard.press(key)
        shown(anna, 4)
        shown(ben, 4)
        expect(anna.locator("#progress")).to_contain_text("3 of 8")
    for reader in ("anna", "ben"):
        assert [each.label for each in place.readings(reader)] == ["normal", "bacterial", "viral"]
        assert all(each.saw == "nothing" and each.seconds >= 0 for each in place.readings(reader))
    assert len({tuple(each.film for each in place.readings(reader)) for reader in ("anna", "ben")}) == 2


def test_all_of_it_goes_without_a_mouse(browser: Browser, place: Place) -> None:
    with reads(browser, place.service, "Carla K.".replace(" ", "%20")) as page:
        shown(page, 1)
        page.keyboard.press("a")
        for key in ("ArrowRight", "ArrowDown", "Shift+ArrowRight", "Shift+ArrowDown"):
            page.keyboard.press(key)
        page.keyboard.press("a")
        expect(page.locator("#own-boxes li")).to_have_count(2)
        page.keyboard.press("Delete")
        expect(page.locator("#own-boxes li")).to_have_count(1)
        page.keyboard.press("d")
        page.keyboard.press("n")
        page.keyboard.type("left 2 of 3, rib?")
        page.keyboard.press("Enter")
        page.keyboard.press("2")
        shown(page, 2)
        page.keyboard.press("c")
        page.keyboard.press("l")
        page.keyboard.press("Enter")
        shown(page, 3)
        expect(page.locator("#pinned")).to_be_visible()
        page.keyboard.down("1")
        shown(page, 4)
        page.keyboard.down("1")  # is held down, and says nothing of the next film
        page.keyboard.up("1")
        page.keyboard.press("u")
        shown(page, 3)
        expect(page.locator("#progress")).to_contain_text("2 of 8")
        page.keyboard.press("3")
        shown(page, 4)
        page.keyboard.press("ArrowUp")
        page.keyboard.press("ArrowUp")
        shown(page, 2)
        page.keyboard.press("r")
        shown(page, 4)
    by_label = {each.label: each for each in place.readings("Carla K.")}
    assert set(by_label) == {"bacterial", "viral", None}
    marked = by_label["bacterial"]
    assert marked.doubt and marked.note == "left 2 of 3, rib?" and len(marked.boxes) == 1
    assert by_label[None].lateral and not by_label[None].readable
    lines = next(place.out.glob("readings/carla*.jsonl")).read_text().splitlines()
    assert [json.loads(line)["withdrawn"] for line in lines] == [False, False, False, True, False, False]


def test_a_box_drawn_at_three_times_the_size_lies_on_the_pixels_meant(
    browser: Browser, place: Place, films: Path
) -> None:
    """On films that reading turned or inverted as well: the page shows them as `hilum.read` gives them."""
    meant: list[tuple[float, ...]] = []
    with reads(browser, place.service, "dora") as page:
        canvas = page.locator("#canvas").bounding_box()
        assert canvas is not None
        page.keyboard.press("b")
        for number in range(1, 9):
            shown(page, number)
            if page.locator("#notice").is_visible():  # the torn one
                page.keyboard.press("r")
                continue
            page.keyboard.press("z")
            while float(page.locator("#zoom").inner_text().rstrip("%")) < 290:
                before = page.locator("#zoom").inner_text()
                page.keyboard.press("+")
                expect(page.locator("#zoom")).not_to_have_text(before)
            zoom = float(page.locator("#zoom").inner_text().rstrip("%")) / 100
            page.mouse.move(canvas["x"] + 150, canvas["y"] + 120)
            page.mouse.down()
            page.mouse.move(canvas["x"] + 240, canvas["y"] + 150, steps=3)
            page.mouse.move(canvas["x"] + 450, canvas["y"] + 390, steps=3)
            page.mouse.up()
            expect(page.locator("#own-boxes li")).to_have_count(1)
            middle = ((150 - canvas["width"] / 2) / zoom, (120 - canvas["height"] / 2) / zoom)
            meant.append((*middle, 300 / zoom, 270 / zoom))
            page.keyboard.press("1")
        expect(page.locator("#progress")).to_contain_text("8 of 8")
    kept = [each for each in place.readings("dora") if each.boxes]
    assert len(kept) == len(meant) == 7
    for reading, (across, down, width, height) in zip(kept, meant, strict=True):
        film = hilum.read(films / reading.film)
        (box,) = reading.boxes
        # Zoomed around the middle of the canvas, which shows the middle of the film.
        assert box.x == pytest.approx(film.width / 2 + across, abs=1.5)
        assert box.y == pytest.approx(film.height / 2 + down, abs=1.5)
        assert [box.width, box.height] == pytest.approx([width, height], abs=1.5)
    sizes = {(hilum.read(films / each.film).width, hilum.read(films / each.film).height) for each in kept}
    assert sizes == {(COLUMNS, ROWS), (ROWS, COLUMNS)}


def test_a_box_is_moved_and_resized_by_the_mouse(browser: Browser, place: Place) -> None:
    with reads(browser, place.service, "emil") as page:
        shown(page, 1)
        canvas = page.locator("#canvas").bounding_box()
        assert canvas is not None
        x, y = canvas["x"] + canvas["width"] / 2, canvas["y"] + canvas["height"] / 2

        def drag(start: tuple[float, float], end: tuple[float, float]) -> None:
            page.mouse.move(x + start[0], y + start[1])
            page.mouse.down()
            page.mouse.move(x + end[0], y + end[1], steps=4)
            page.mouse.up()

        page.keyboard.press("z")
        page.keyboard.press("b")
        drag((-60, -60), (40, 20))
        page.keyboard.press("b")
        drag((-20, -20), (0, 10))  # inside of what is chosen: moves it by (20, 30)
        drag((60, 50), (80, 60))  # its lower right corner
        drag((-40, 0), (-50, 0))  # its left side
        page.keyboard.press("Escape")
        drag((-150, -150), (-100, -100))  # beside it: windows the film
        page.select_option("#box-class-0", "viral")
        page.locator("#give").click()
        shown(page, 2)
    (reading,) = place.readings("emil")
    (box,) = reading.boxes
    assert (box.width, box.height, box.label) == (130, 90, "viral")


def test_a_blind_reader_learns_nothing_of_the_film_but_the_film(browser: Browser, place: Place) -> None:
    heard: list[str] = []
    with reads(browser, place.service, "fay") as page:
        page.on("response", lambda answer: heard.append(answer.url + str(answer.headers)))
        page.reload()
        shown(page, 1)
        page.keyboard.press("1")
        shown(page, 2)
        text = page.content() + "".join(heard)
    listed = place.service.ask("GET", "/v1/list", headers={"Hilum-Reader": "fay"}).content.decode()
    about = place.service.ask("GET", "/v1/films/0", headers={"Hilum-Reader": "fay"}).content.decode()
    assert not any(word in text + listed + about for word in ("Doe", "secret", ".dcm", ".jpg"))
    refused = place.service.ask("GET", "/v1/films/0/answer", headers={"Hilum-Reader": "fay"})
    assert refused.status == 422
    logged = place.service.log.partition("hilum reads on ")[2]
    assert not any(word in logged for word in ("fay", "Doe", "secret-"))


def test_nothing_given_is_lost_whatever_is_killed(browser: Browser, films: Path, tmp_path: Path) -> None:
    """In a room whose model answers once one has read: not before, and then until one goes on."""
    tiny = tiny_bundle(tmp_path, gate=False)
    command = (films, "--out", tmp_path / "reads", "--classes", "normal,viral", "--bundle", tiny)
    with reading_room(*command) as service, reads(browser, service, "") as page:
        for number, key in ((1, "1"), (2, "2")):
            shown(page, number)
            expect(page.locator("#verdict")).to_be_empty()
            assert service.ask("GET", f"/v1/films/{number - 1}/answer").status == 422
            page.keyboard.press(key)
            if page.locator("#notice").is_hidden():  # not the torn one
                expect(page.locator("#verdict h2")).to_contain_text("%")
            shown(page, number)
            page.keyboard.press("Enter")
        shown(page, 3)
        service.stop(signal.SIGKILL)
        page.keyboard.press("1")
        expect(page.locator("#notice")).to_contain_text("What you said is still here")
        expect(page.locator("#which")).to_contain_text("Film 3 ")
    (file,) = (tmp_path / "reads").glob("readings/*.jsonl")
    with file.open("a") as torn:
        torn.write('{"reader": "reader", "fil')
    with reading_room(*command) as service:
        with reads(browser, service, "") as page:  # the browser goes away in mid-film
            shown(page, 3)
            page.keyboard.press("a")
            page.close()
        with reads(browser, service, "") as page:
            shown(page, 3)
            expect(page.locator("#progress")).to_contain_text("2 of 8")
            page.keyboard.press("1")
            expect(page.locator("#progress")).to_contain_text("3 of 8")
    assert [each.label for each in load_readings(tmp_path / "reads")] == ["normal", "viral", "normal"]


LOOKS: dict[str, dict[str, Any]] = {
    "light": {},
    "dark": {"color_scheme": "dark"},
    "phone in German": {"viewport": {"width": 390, "height": 844}, "has_touch": True, "locale": "de-DE"},
}
WITHIN = """[...document.querySelectorAll("header :is(button, span), #panel :is(button, textarea, select)")]
  .filter((one) => one.offsetWidth && one.getBoundingClientRect().right > innerWidth).map((one) => one.outerHTML)"""


@pytest.mark.parametrize("look", LOOKS)
def test_nobody_is_kept_out(browser: Browser, place: Place, look: str) -> None:
    """axe finds no serious violation; nothing is wider than the screen."""
    with reads(browser, place.service, "gus", **LOOKS[look]) as page:
        expect(page.locator("#notice")).to_be_hidden()
        page.keyboard.press("a")
        expect(page.locator("#own-boxes li")).to_have_count(1)
        found = Axe().run(page).response["violations"]
        assert not [(one["id"], one["nodes"]) for one in found if one["impact"] in ("serious", "critical")]
        assert page.evaluate(WITHIN) == []
        page.get_by_role("button", name="Viral").click()
        expect(page.locator("#progress")).to_contain_text(f"{list(LOOKS).index(look) + 1} ")
