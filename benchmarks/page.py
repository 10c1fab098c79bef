"""What a film costs in the browser, against onnxruntime in Python: seconds of the clock, the ratio, and the memory.

    python benchmarks/page.py [--films 500] [--data FOLDER]

Chromium judges drawn films, and those of FOLDER, with one thread and with as many as the page takes by itself; Python
the same files with as many threads. Needs ./hilum-browser, Playwright and Chromium.
"""

from __future__ import annotations

import argparse
import base64
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import Any

from PIL import Image
from playwright.sync_api import Browser, BrowserContext, Page

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
import hilum_browser
from browser import chromium
from site_page import hosted

import hilum
from hilum.bundle.shipped import find_bundle
from hilum.dataset.phantom.film import draw_phantom
from hilum.service.page.site import write_site

SIDES = (512, 1024, 2048)
ROUNDS, EVERY = 7, 50
MB = 1e6
ENGINE = """async ([threads, version]) => {
  const { SiteFiles, WasmEngine } = await import(new URL("page/engine-wasm.js", document.baseURI).href);
  globalThis.engine = threads ? new WasmEngine(new SiteFiles(["default"]), version, threads)
                              : new WasmEngine(new SiteFiles(["default"]), version);
  await engine.model(null);
  return engine.threads;
}"""
JUDGE = """async (content) => {
  const film = new Blob([Uint8Array.from(atob(content), (letter) => letter.charCodeAt(0))]);
  const began = performance.now();
  const { answer } = await engine.predict(film, { heatmap: true });
  return [performance.now() - began, answer.decision];
}"""


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--films", type=int, default=500, help="how many are judged one after the other for memory")
    arguments.add_argument("--data", type=Path, help="a folder of films, which are judged beside drawn ones")
    given = arguments.parse_args()
    films = dict(drawn(side) for side in SIDES)
    for path in sorted(given.data.iterdir()) if given.data else []:
        films[path.name] = path.read_bytes()
    with tempfile.TemporaryDirectory() as folder, chromium() as browser:
        site = Path(folder) / "site"
        write_site(site, {"default": find_bundle(None)}, hilum_browser.FOLDER)
        print(f"site: {sum(path.stat().st_size for path in site.rglob('*') if path.is_file()) / MB:.1f} MB")
        with hosted(site) as (address, _):
            first_answers(browser, address, films[f"drawn, {SIDES[1]} px"])
            context = browser.new_context(locale="en-US")
            page = opened(context, address)
            per_film(page, films)
            memory(page, list(films.values()), given.films)


def drawn(side: int) -> tuple[str, bytes]:
    """A phantom as a JPEG."""
    content = BytesIO()
    Image.fromarray(draw_phantom(3, "bacterial", side).pixels).save(content, "JPEG", quality=92)
    return f"drawn, {side} px", content.getvalue()


def opened(context: BrowserContext, address: str) -> Page:
    """The page once it can judge."""
    context.set_default_timeout(600_000)
    page = context.new_page()
    page.goto(address)
    page.locator("#model option").first.wait_for(state="attached")
    return page


def first_answers(browser: Browser, address: str, film: bytes) -> None:
    """From the address to the first answer, and to that of a page that was there before; and of a new Python."""
    context = browser.new_context(locale="en-US")
    for visit in ("first visit", "second visit"):
        start = time.perf_counter()
        page = opened(context, address)
        page.evaluate(ENGINE, [None, hilum.__version__])
        judge(page, film)
        print(f"to the first answer, {visit}: {time.perf_counter() - start:.1f} s")
        page.close()
    context.close()
    start = time.perf_counter()
    hilum.load().predict([film])
    print(f"to the first answer, Python with its modules loaded: {time.perf_counter() - start:.1f} s")


def judge(page: Page, film: bytes) -> float:
    """Milliseconds that a film takes."""
    taken, _ = page.evaluate(JUDGE, base64.b64encode(film).decode())
    return float(taken)


def per_film(page: Page, films: dict[str, bytes]) -> None:
    """Medians of both, in turn, so that whatever else runs disturbs them alike."""
    print(f"{'':24}{'threads':>8}{'browser ms':>12}{'Python ms':>11}{'ratio':>7}")
    best: dict[str, float] = {}
    for threads in (1, None):
        used = page.evaluate(ENGINE, [threads, hilum.__version__])
        if threads is None and used == 1:
            print("by itself the page takes one thread here")
            used = page.evaluate(ENGINE, [2, hilum.__version__])
        native = hilum.load(threads=used)
        for name, film in films.items():
            ours, theirs = in_turn(partial(judge, page, film), partial(timed, native, film))
            print(f"{name:24}{used:>8}{ours:>12.0f}{theirs:>11.0f}{ours / theirs:>7.1f}")
            best[name] = min(best.get(name, ours / theirs), ours / theirs)
    print(f"with the faster of both, median over films: {statistics.median(best.values()):.1f} times Python's")


def timed(predictor: Any, film: bytes) -> float:
    """Milliseconds that a film takes Python, with the heatmap that the page draws."""
    start = time.perf_counter()
    (prediction,) = predictor.predict([film])
    assert prediction.decision is not None
    return 1000 * (time.perf_counter() - start)


def in_turn(*measures: Callable[[], float]) -> list[float]:
    """The median of each; the first round only warms up."""
    rounds = [[measure() for measure in measures] for _ in range(ROUNDS + 1)]
    return [statistics.median(each) for each in zip(*rounds[1:], strict=True)]


def memory(page: Page, films: Sequence[bytes], count: int) -> None:
    """Of all of Chromium's processes, while many films are judged."""
    page.evaluate(ENGINE, [None, hilum.__version__])
    for number in range(count + 1):
        if number % EVERY == 0:
            print(f"after {number} films: {resident() / MB:,.0f} MB")
        judge(page, films[number % len(films)])


def resident() -> int:
    """What Chromium's processes hold, each its share of what they have in common, in bytes."""
    held = 0
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if "chrom" in (process / "comm").read_text():
                lines = (process / "smaps_rollup").read_text().splitlines()
                held += sum(1024 * int(line.split()[1]) for line in lines if line.startswith("Pss:"))
        except OSError:  # it has ended meanwhile
            continue
    return held


if __name__ == "__main__":
    main()
