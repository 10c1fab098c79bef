"""Films are judged on a graphics card that answers as the processor does; here on one that is software."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from browser import GRAPHICS, choose, chromium, film, what_goes_wrong
from bundles import tiny_detection_bundle
from commands import run
from conftest import PATIENCE
from playwright.sync_api import Browser, expect
from site_page import hosted

from hilum.service.page.files import FILES

PLAIN, GRAPHIC = (f"/page/lib/ort-wasm-simd-threaded.{name}wasm" for name in ("", "jspi."))
HAS_CARD = "async () => 'Suspending' in WebAssembly && Boolean(await navigator.gpu?.requestAdapter())"
# What a bundle says of a film by the processor, by the card, and once the card is gone.
JUDGED = """async ([bundleAddress, cardAddress, filmAddress]) => {
    const { openBundle } = await import("/page/bundle/bundle.js");
    const { read } = await import("/page/radiograph/read.js");
    const content = new Uint8Array(await (await fetch(bundleAddress)).arrayBuffer());
    const bundle = await openBundle(content, await (await fetch(cardAddress)).json(), 1);
    const film = await read(new Uint8Array(await (await fetch(filmAddress)).arrayBuffer()), bundle.atLeast);
    const answers = [await bundle.look(film)];
    bundle.graphics = await bundle.runtime.InferenceSession.create(content, { executionProviders: ["webgpu"] });
    answers.push(await bundle.look(film));
    const judged = bundle.graphics !== null;
    await bundle.graphics.release();
    answers.push(await bundle.look(film));
    const numbers = ({ probabilities, boxes, scores, heatmaps, lungs }) =>
        [probabilities, boxes, scores, heatmaps.values, lungs.values].map((values) => Array.from(values));
    return { judged, still: bundle.graphics !== null, answers: answers.map(numbers) };
}"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium(*GRAPHICS) as started:
        yield started


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page with a small detector."""
    written = tmp_path_factory.mktemp("site")
    bundle = tiny_detection_bundle(written, maps=True)
    assert run("page", written / "page", "--model", bundle).returncode == 0
    return written / "page"


def test_the_card_says_what_the_processor_says_and_may_be_taken_away(browser: Browser, folder: Path) -> None:
    with hosted(folder) as (address, _):
        page = browser.new_page()
        page.set_default_timeout(1000 * PATIENCE)
        page.goto(address)
        page.locator("#model option").first.wait_for(state="attached")
        if not page.evaluate(HAS_CARD):
            pytest.skip("this Chromium has no graphics card of software")
        files = [f"/models/tiny_detector.{ending}" for ending in ("onnx", "json")]
        said = page.evaluate(JUDGED, [*files, "/page/drawn-film.jpg"])
        page.close()
    processor, card, afterwards = said["answers"]
    assert said["judged"]
    assert not said["still"]
    for values, others in zip(processor, card, strict=True):
        assert others == pytest.approx(values, abs=1e-4)
    assert afterwards == processor


def test_of_the_two_runtimes_a_browser_keeps_the_one_it_can_use(browser: Browser, folder: Path) -> None:
    context = browser.new_context(locale="en-US")
    context.set_default_timeout(1000 * PATIENCE)
    with hosted(folder) as (address, asked):
        page = context.new_page()
        wrong = what_goes_wrong(page)
        page.goto(address)
        page.locator("#model option").first.wait_for(state="attached")
        graphics = page.evaluate(HAS_CARD)
    context.set_offline(True)  # what is needed from here on is there
    choose(page, film("one.jpg", FILES["drawn-film.jpg"]), film("two.jpg", FILES["drawn-film.jpg"]))
    page.click("#show-card")
    expect(page.locator("#judged-by")).to_contain_text("of this computer")
    assert not wrong
    context.close()
    assert {path for path in asked if path.endswith(".wasm") and "ort" in path} == {GRAPHIC if graphics else PLAIN}
