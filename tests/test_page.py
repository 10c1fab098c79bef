"""The page as people use it: films chosen, dropped and walked through, with mouse and with keys alone."""

from __future__ import annotations

import base64
import csv
import json
import re
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from axe_playwright_python.sync_playwright import Axe
from browser import choose, chromium, film, opened
from bundles import tiny_bundle
from conftest import PYDICOM_DATA_FILES
from films import dicom, picture
from numpy.typing import NDArray
from PIL import Image
from playwright.sync_api import Browser, FileChooser, Page, expect
from service import Service, served

import hilum

DRAWN = (Path(hilum.__file__).parent / "service" / "page" / "drawn-film.jpg").read_bytes()
LEVELS = np.asarray(Image.open(BytesIO(DRAWN)).convert("L"))
REAL = PYDICOM_DATA_FILES / "RG1_UNCR.dcm"


def drawn(**elements: Any) -> bytes:
    """The drawn film as a DICOM file with 12 bits."""
    return dicom(LEVELS.astype(np.uint16) * 16, BitsStored=12, **elements)


def photograph() -> bytes:
    noise = np.random.default_rng(0).integers(0, 255, (32, 40, 3), np.uint8)
    return picture(Image.fromarray(noise).resize((400, 320)), "JPEG")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as started:
        yield started


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    tiny = tiny_bundle(tmp_path_factory.mktemp("bundle"), gate=False)  # its own gate knows no film
    with served("--model", "default", "--model", f"tiny={tiny}", "--processes", "1") as started:
        yield started


@pytest.fixture
def page(browser: Browser, service: Service) -> Iterator[Page]:
    with opened(browser, service) as page:
        yield page


def said(page: Page) -> list[str]:
    """What the list says of each film."""
    return page.locator("#list .said").all_inner_texts()


def percent(probability: float) -> str:
    """As the page writes it: nothing is impossible to it, and nothing certain."""
    if probability < 0.01:
        return "<1%"
    return ">99%" if probability > 0.99 else f"{100 * probability:.0f}%"


def test_films_get_the_answers_of_the_service(page: Page, service: Service) -> None:
    films = {
        "film.jpg": (DRAWN, "image/jpeg"),
        "film": (drawn(), "application/dicom"),
        "real.dcm": (REAL.read_bytes(), "application/dicom"),
    }
    choose(page, *(film(name, content) for name, (content, _) in films.items()))
    answers = [service.post(content, kind).json for content, kind in films.values()]
    for line, answer in zip(said(page), answers, strict=True):
        words = {"pneumonia": "Pneumonia", "no_pneumonia": "No pneumonia"}[answer["decision"]]
        assert line.split() == [*words.split(), percent(answer["probability"])]
    expect(page.locator("#verdict h2")).to_contain_text(percent(answers[0]["probability"]))
    shares = page.locator(".classes .number").all_inner_texts()
    assert shares == [percent(value) for value in answers[0]["probabilities"].values()]


def test_what_cannot_be_judged_says_why_and_what_to_do(page: Page) -> None:
    choose(
        page,
        film("photo.jpg", photograph()),
        film("lateral.dcm", drawn(ViewPosition="LL")),
        film("cut.jpg", DRAWN[: len(DRAWN) // 8]),
        film("letter.txt", b"a letter"),
    )
    assert [line.strip() for line in said(page)] == ["Not judged", "Not judged", "Not readable", "Not readable"]
    for words in (
        "color picture",
        "lateral film; give the frontal one",
        "copy the file again",
        "give a JPEG, PNG or DICOM",
    ):
        expect(page.locator("#verdict p")).to_contain_text(re.compile(words, re.IGNORECASE))
        page.keyboard.press("ArrowDown")


def on_canvas(page: Page) -> NDArray[np.int16]:
    """What the canvas shows, in shades of grey."""
    drawn_now = "new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))"
    page.evaluate(drawn_now)
    content = page.evaluate("document.querySelector('#canvas').toDataURL('image/png')").partition(",")[2]
    levels = np.asarray(Image.open(BytesIO(base64.b64decode(content))).convert("RGB"))
    assert (levels[..., 0] == levels[..., 1]).all() and (levels[..., 0] == levels[..., 2]).all()
    return levels[..., 0].astype(np.int16)


def windowed(levels: NDArray[Any], width: float, center: float) -> NDArray[Any]:
    """DICOM's LINEAR_EXACT, as PS3.3 C.11.2.1.3.2 has it, into 0 to 255."""
    return np.rint(np.clip((levels - center) / width + 0.5, 0, 1) * 255)


def test_dragging_windows_the_film_as_dicom_has_it(page: Page) -> None:
    levels = (np.arange(300 * 400).reshape(300, 400) % 4096).astype(np.uint16)
    choose(page, film("ramp.dcm", dicom(levels, BitsStored=12, WindowCenter=2048, WindowWidth=4096)))
    page.keyboard.press("h")
    page.keyboard.press("1")
    canvas = page.locator("#canvas").bounding_box()
    assert canvas is not None
    left, top = (round((canvas["width"] - 400) / 2), round((canvas["height"] - 300) / 2))

    def agrees(width: float, center: float, inverted: bool = False) -> bool:
        shown = on_canvas(page)[top : top + 300, left : left + 400]
        expected = windowed(levels.astype(float), width, center)
        expected = 255 - expected if inverted else expected
        assert np.abs(shown - expected).max() <= 1  # both sides round, and a value may lie on the edge
        return bool((shown == expected).mean() > 0.99)

    assert agrees(4095, 2047.5)
    page.mouse.move(canvas["x"] + 100, canvas["y"] + 100)
    page.mouse.down()
    page.mouse.move(canvas["x"] - 200, canvas["y"] + 160, steps=5)
    page.mouse.up()
    assert agrees(4095 * (1 - 300 / 600), 2047.5 + 4095 * 60 / 600)
    page.keyboard.press("i")
    assert agrees(4095 * (1 - 300 / 600), 2047.5 + 4095 * 60 / 600, inverted=True)
    page.keyboard.press("i")
    page.fill("#window-width", "1000")
    page.fill("#window-center", "700")
    page.keyboard.press("Enter")
    assert agrees(1000, 700)


def test_a_film_larger_than_what_comes_first_is_fetched_whole_for_a_close_look(page: Page) -> None:
    rows, columns = np.mgrid[0:2600, 0:300]
    levels = ((rows * 7 + columns * 3) % 256).astype(np.uint8)
    choose(page, film("long.png", picture(Image.fromarray(levels), "PNG")))
    with page.expect_response("**/v1/pixels?longest=65536"):
        page.keyboard.press("1")
    expect(page.locator("#notice")).to_be_hidden()
    shown = on_canvas(page)
    middle = shown[:, shown.shape[1] // 2 - 100 : shown.shape[1] // 2 + 100]
    places = [
        np.abs(levels[top : top + len(middle), left : left + 200] - middle).max()
        for top in range((2600 - len(middle)) // 2 - 1, (2600 - len(middle)) // 2 + 2)
        for left in (49, 50, 51)
    ]
    assert min(places) == 0


def test_another_operating_point_decides_all_films_as_the_service_would(page: Page, service: Service) -> None:
    films = [
        DRAWN,
        picture(Image.fromarray(255 - (255 - LEVELS) // 2), "PNG"),
        picture(Image.fromarray(LEVELS[40:, 60:]), "PNG"),
    ]
    choose(page, *(film(f"{number}.png", content) for number, content in enumerate(films)))
    for point in ("sensitive", "balanced", "specific"):
        page.locator(f"#point-{point}").check()
        decisions = [service.post(content, query=f"operating_point={point}").json["decision"] for content in films]
        words = {"pneumonia": "Pneumonia", "no_pneumonia": "No pneumonia", "abstain": "Not judged"}
        expect(page.locator("#list .said span")).to_have_text([words[decision] for decision in decisions])


def test_twenty_films_at_once_are_judged_in_their_order_and_can_be_sorted(page: Page) -> None:
    films = [
        film(f"{number}.png", picture(Image.fromarray(np.roll(LEVELS, number * 9, 1)[::2, ::2]), "PNG"))
        for number in range(20)
    ]
    choose(page, *films)
    expect(page.locator("#progress")).to_have_text("20 of 20")
    assert page.locator("#list .name").all_inner_texts() == [one["name"] for one in films]
    page.select_option("#sort", "probability")
    shares = [float(line.split()[-1].strip("%<>")) for line in said(page) if "%" in line]
    assert shares == sorted(shares, reverse=True) and len(shares) > 1


def test_a_film_on_a_slow_way_says_how_much_of_it_has_gone(page: Page) -> None:
    noise = np.random.default_rng(1).integers(0, 256, (700, 700), np.uint8)
    network = page.context.new_cdp_session(page)
    slow = {"offline": False, "latency": 0, "downloadThroughput": -1, "uploadThroughput": 400_000}
    network.send("Network.enable")
    network.send("Network.emulateNetworkConditions", slow)
    page.evaluate(
        """() => {
          window.heard = [];
          const all = () => [...document.querySelectorAll(".said, #notice")];
          const hear = () => window.heard.push(...all().map((one) => one.textContent));
          new MutationObserver(hear).observe(document.body, { subtree: true, childList: true, characterData: true });
        }"""
    )
    choose(page, film("noise.png", picture(Image.fromarray(noise), "PNG")))
    heard = page.evaluate("window.heard")
    shares = [int(found[1]) for words in heard if (found := re.search(r"Being sent, (\d+)%", words))]
    assert any(0 < share < 100 for share in shares)
    assert not page.locator("#list .sending").count()


def test_all_of_it_goes_without_a_mouse(page: Page) -> None:
    choosers: list[FileChooser] = []
    page.on("filechooser", lambda chooser: choosers.append(chooser))
    expect(page.locator("#model option")).to_have_count(2)
    page.keyboard.press("Tab")
    expect(page.locator("#choose")).to_be_focused()
    page.keyboard.press("Enter")
    while not choosers:
        page.wait_for_timeout(50)
    choosers[0].set_files([film("one.jpg", DRAWN), film("two.dcm", drawn())])
    expect(page.locator("#list li:not(.waiting, .judging)")).to_have_count(2)
    page.keyboard.press("ArrowDown")
    expect(page.locator("#list").get_by_role("option", selected=True)).to_contain_text("two.dcm")
    page.keyboard.press("]")
    expect(page.get_by_role("radio", checked=True)).to_have_value("specific")
    for key, button in (("i", "Invert"), ("h", "Heatmap"), ("m", "Magnifier"), ("c", "Compare"), ("l", "Lung edge")):
        pressed = page.get_by_role("button", name=button, exact=True)
        before = pressed.get_attribute("aria-pressed")
        page.keyboard.press(key)
        expect(pressed).to_have_attribute("aria-pressed", "false" if before == "true" else "true")
    expect(page.locator("#pinned")).to_be_visible()
    page.keyboard.press("?")
    expect(page.get_by_role("dialog")).to_contain_text("the film before, the next one")
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)


def test_answers_can_be_taken_along_under_their_names(page: Page, service: Service) -> None:
    choose(page, film("=one.jpg", DRAWN), film("letter.txt", b"a letter"))
    page.locator("#point-specific").check()
    with page.expect_download() as saved:
        page.click("#save-json")
    content = json.loads(Path(saved.value.path()).read_text())
    assert content == {**service.post(DRAWN, query="operating_point=specific").json, "file": "=one.jpg"}
    with page.expect_download() as saved:
        page.click("#save-csv")
    with Path(saved.value.path()).open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["file"] for row in rows] == ["'=one.jpg", "letter.txt"]
    assert float(rows[0]["probability"]) == content["probability"] and "not_an_image" in rows[1]["error"]
    with page.expect_download() as saved:
        page.click("#save-picture")
    with Image.open(saved.value.path()) as overlay:
        assert overlay.format == "PNG"


def test_another_model_judges_anew_and_draws_what_it_has(page: Page, service: Service) -> None:
    choose(page, film("film.jpg", DRAWN))
    expect(page.locator("#boxes")).to_be_visible()
    page.select_option("#model", "tiny")
    answer = service.post(DRAWN, "image/jpeg", "model=tiny").json
    expect(page.locator("#verdict h2")).to_contain_text(percent(answer["probability"]))
    expect(page.locator("#boxes")).to_be_hidden()


def test_a_drawn_film_is_there_to_try(page: Page) -> None:
    page.click("#try")
    expect(page.locator("#verdict h2")).to_contain_text("Pneumonia")


def test_german_is_spoken_where_the_browser_asks_for_it(browser: Browser, service: Service) -> None:
    with opened(browser, service, locale="de-DE") as page:
        expect(page.locator("#choose")).to_have_text("Aufnahmen wählen")
        choose(page, film("film.jpg", DRAWN))
        expect(page.locator("#verdict h2")).to_contain_text("Pneumonie")
        page.click("[data-language=en]")
        expect(page.locator("#choose")).to_have_text("Choose films")
        expect(page.locator("#verdict p").last).to_contain_text("begins")


# Controls beyond the screen's edge; tools may be scrolled to.
WITHIN = """[...document.querySelectorAll("header :is(button, select), footer button, #welcome > *")]
  .filter((one) => one.getBoundingClientRect().right > innerWidth).map((one) => one.outerHTML)"""
LOOKS: dict[str, dict[str, Any]] = {
    "light": {},
    "dark": {"color_scheme": "dark"},
    "phone": {"viewport": {"width": 390, "height": 844}, "has_touch": True, "device_scale_factor": 2},
    "phone in German": {"viewport": {"width": 390, "height": 844}, "has_touch": True, "locale": "de-DE"},
}


@pytest.mark.parametrize("look", LOOKS)
def test_nobody_is_kept_out(browser: Browser, service: Service, look: str) -> None:
    """axe finds no serious violation, empty and with films; nothing is wider than the screen."""
    with opened(browser, service, **LOOKS[look]) as page:
        expect(page.locator("#model option")).to_have_count(2)
        for _ in range(2):
            found = Axe().run(page).response["violations"]
            serious = [
                (one["id"], [node["html"] for node in one["nodes"]])
                for one in found
                if one["impact"] in ("serious", "critical")
            ]
            assert not serious
            assert page.evaluate(WITHIN) == []
            choose(page, film("film.jpg", DRAWN), film("letter.txt", b"a letter"))


def test_a_service_with_a_token_asks_for_it_once(browser: Browser) -> None:
    with (
        served("--model", "default", "--processes", "1", HILUM_TOKEN="open sesame") as service,
        opened(browser, service) as page,
    ):
        expect(page.locator("#token-wrong")).to_be_hidden()
        page.fill("#token", "wrong")
        page.keyboard.press("Enter")
        expect(page.locator("#token-wrong")).to_be_visible()
        page.fill("#token", "open sesame")
        page.keyboard.press("Enter")
        choose(page, film("film.jpg", DRAWN))
        expect(page.locator("#verdict h2")).to_contain_text("Pneumonia")
