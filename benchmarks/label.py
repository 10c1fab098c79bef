"""How long a reader waits for the next film: from the key that gives a reading to the frame that shows the next film.

    python benchmarks/label.py [--films 10000] [--readings 60] [--side 2048] [--data FOLDER]

Films are drawn ones, or those of FOLDER, each many times under other names. The reading is on the disk before the next
film is shown. Needs Playwright and Chromium.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

import polars as pl
from PIL import Image
from playwright.sync_api import Page

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from browser import chromium
from service import reading_room

from hilum.dataset.manifest.manifest import SCHEMA, Manifest, save_manifest
from hilum.dataset.phantom.film import draw_phantom
from hilum.radiograph.folder import files_below, may_be_film

DRAWN = 12  # films that differ
# From the key to the frame in which the next film, which the panel then names, is drawn.
WATCH = """() => {
  window.waited = [];
  let began = 0;
  const which = document.querySelector("#which");
  const shown = () => requestAnimationFrame(() => {
    if (!document.querySelector("#notice").hidden) return shown();
    requestAnimationFrame(() => window.waited.push(performance.now() - began));
  });
  addEventListener("keydown", () => (began = performance.now()), { capture: true });
  let before = which.textContent.split(" · ")[0];
  new MutationObserver(() => {
    const now = which.textContent.split(" · ")[0];
    if (now !== before) shown();
    before = now;
  }).observe(which, { childList: true, characterData: true, subtree: true });
}"""
LAST_ROW = "[...document.querySelectorAll('#list .name')].at(-1)?.textContent ?? ''"


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--films", type=int, default=10_000, help="how many stand in the list")
    arguments.add_argument("--readings", type=int, default=60, help="how many are read")
    arguments.add_argument("--side", type=int, default=2048, help="of drawn films, in pixels")
    arguments.add_argument("--pause", type=float, default=1.0, help="seconds that a reader looks at a film")
    arguments.add_argument("--data", type=Path, help="a folder of films instead of drawn ones")
    given = arguments.parse_args()
    with tempfile.TemporaryDirectory() as folder, chromium() as browser:
        manifest = many(Path(folder), given.films, given.side, given.data)
        with reading_room(manifest, "--out", Path(folder) / "reads", "--classes", "normal,pneumonia") as room:
            page = browser.new_context(viewport={"width": 1600, "height": 1000}, locale="en-US").new_page()
            start = time.perf_counter()
            page.goto(f"http://127.0.0.1:{room.port}/")
            page.wait_for_selector("body.ready")
            page.wait_for_selector("#notice", state="hidden")
            print(f"to the first film, {given.films:,} in the list: {1000 * (time.perf_counter() - start):.0f} ms")
            report("next film", waits(page, given.readings, given.pause))
            start = time.perf_counter()
            page.keyboard.press("End")
            while page.evaluate(LAST_ROW) != f"Film {given.films}":
                time.sleep(0.005)
            print(f"to the end of the list: {1000 * (time.perf_counter() - start):.0f} ms")
            print(f"elements in the list: {page.locator('#list li').count()}")


def many(folder: Path, count: int, side: int, data: Path | None) -> Path:
    """A manifest of so many films, of which most share their bytes with others."""
    if data is None:
        originals = [folder / f"drawn{number}.jpg" for number in range(DRAWN)]
        for number, path in enumerate(originals):
            Image.fromarray(draw_phantom(number, "bacterial", side).pixels).save(path, quality=92)
    else:
        originals = [path for path in files_below(data) if may_be_film(path)]
    (folder / "films").mkdir()
    rows = []
    for number in range(count):
        original = originals[number % len(originals)]
        name = f"films/{number}{original.suffix}"
        try:
            os.link(original, folder / name)
        except OSError:  # on another disk
            (folder / name).symlink_to(original.resolve())
        rows.append({"path": name, "patient": str(number)})
    manifest = folder / "manifest.parquet"
    save_manifest(Manifest(pl.DataFrame(rows, schema=SCHEMA, orient="row"), folder), manifest)
    return manifest


def waits(page: Page, readings: int, pause: float) -> list[float]:
    """Milliseconds that a reader waits who looks at each film for so long."""
    page.evaluate(WATCH)
    for number in range(readings):
        page.wait_for_timeout(1000 * pause)
        page.keyboard.press("12"[number % 2])
        while page.evaluate("window.waited.length") <= number:
            time.sleep(0.005)
    waited: list[float] = json.loads(page.evaluate("JSON.stringify(window.waited)"))
    return waited


def report(what: str, waited: list[float]) -> None:
    """Median and the slow ones."""
    slow = sorted(waited)[int(0.95 * (len(waited) - 1))]
    print(f"{what}: median {statistics.median(waited):.0f} ms, 95% within {slow:.0f} ms, longest {max(waited):.0f} ms")


if __name__ == "__main__":
    main()
