"""The page of `hilum serve` with its switch: films are judged in the browser, and none is sent."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from browser import choose, chromium, film, opened
from playwright.sync_api import Browser, expect
from service import Service, served
from site_page import LIBRARY

import hilum
from hilum.bundle.shipped import find_bundle
from hilum.service.page.files import FILES


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as started:
        yield started


@pytest.fixture(scope="module")
def service() -> Iterator[Service]:
    with served("--processes", "1") as started:
        yield started


def test_the_service_gives_a_bundle_and_what_runs_it(service: Service) -> None:
    assert service.ask("GET", "/v1/bundle?model=default").content == find_bundle(None).read_bytes()
    assert service.ask("GET", "/v1/bundle?model=other").json["reason"] == "no_such_model"
    for path in (LIBRARY / "files").iterdir():
        reply = service.ask("GET", f"/page/lib/{path.name}")
        assert hashlib.sha256(reply.content).digest() == hashlib.sha256(path.read_bytes()).digest()
    assert service.ask("GET", "/page/lib/../packages.json").status == 404


def test_films_stay_where_they_are_once_that_is_chosen(browser: Browser, service: Service, tmp_path: Path) -> None:
    answer = hilum.load().predict(FILES["drawn-film.jpg"])
    assert isinstance(answer, hilum.Answered)
    answered = ">99%" if answer.probability > 0.99 else f"{100 * answer.probability:.0f}%"
    with opened(browser, service) as page:
        sent: list[str] = []
        page.on("request", lambda request: sent.append(request.url) if request.method != "GET" else None)
        page.locator("#keep-here").check()
        expect(page.locator("#kept")).to_contain_text("Films stay on this computer")
        choose(page, film("film.jpg", FILES["drawn-film.jpg"]))
        expect(page.locator("#verdict")).to_contain_text(answered)
        assert not sent
        page.reload()
        expect(page.locator("#keep-here")).to_be_checked()
        page.locator("#keep-here").uncheck()
        choose(page, film("film.jpg", FILES["drawn-film.jpg"]))
        expect(page.locator("#verdict")).to_contain_text(answered)
        assert any("/v1/predictions" in url for url in sent)
