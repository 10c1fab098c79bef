"""The page in a real browser: Chromium as the system has it, driven by Playwright, which downloads nothing."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from conftest import PATIENCE
from playwright.sync_api import Browser, FilePayload, Page, expect, sync_playwright
from service import Service

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
# What Chromium itself notes of an answer that is a problem, which the page then shows.
NOTED = "Failed to load resource"


# A graphics card as software, which Chromium brings along.
GRAPHICS = ("--enable-unsafe-webgpu", "--use-webgpu-adapter=swiftshader")


@contextmanager
def chromium(*flags: str) -> Iterator[Browser]:
    path = next((found for name in NAMES if (found := shutil.which(name))), None)
    if path is None:
        pytest.skip("no Chromium on this machine (apt-get install chromium)")
    expect.set_options(timeout=1000 * PATIENCE)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox", *flags])
        yield browser
        browser.close()


@contextmanager
def opened(browser: Browser, service: Service, **how: Any) -> Iterator[Page]:
    """The page as `how` (of a browser context) has it; what goes wrong in it unseen fails the test."""
    context = browser.new_context(**{"viewport": {"width": 1280, "height": 800}, "locale": "en-US", **how})
    context.set_default_timeout(1000 * PATIENCE)
    page = context.new_page()
    wrong = what_goes_wrong(page)
    page.goto(f"http://127.0.0.1:{service.port}/")
    expect(page.locator("#choose")).not_to_be_empty()  # which it is until it listens
    yield page
    context.close()
    assert not wrong, wrong


def what_goes_wrong(page: Page) -> list[str]:
    """A list that fills with what a page throws, and warns of, while it is open."""
    wrong: list[str] = []
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on(
        "console",
        lambda line: wrong.append(line.text) if line.type in ("error", "warning") and NOTED not in line.text else None,
    )
    return wrong


def film(name: str, content: bytes) -> FilePayload:
    """A file as one chooses it."""
    return {"name": name, "mimeType": "", "buffer": content}


def choose(page: Page, *films: FilePayload) -> None:
    """Choose films and wait until each has become something."""
    before = page.locator("#list li").count()
    page.set_input_files("#files", list(films))
    done = page.locator("#list li:not(.waiting, .judging)")
    expect(done).to_have_count(before + len(films))
