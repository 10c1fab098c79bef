"""The page is whole in itself, well formed, shows what was found and nothing of patients, and escapes every text."""

from __future__ import annotations

import re
from dataclasses import asdict
from html.parser import HTMLParser
from pathlib import Path

import polars as pl
import pytest
from PIL import Image

from hilum.dataset.audit import audit
from hilum.dataset.audit.page import MOST_GROUPS, write_audit_page
from hilum.dataset.manifest.manifest import SCHEMA, Manifest
from hilum.dataset.phantom.film import draw_phantom
from hilum.dataset.scan import scan_film
from hilum.dataset.store.store import build_store
from hilum.radiograph.geometry import Geometry

VOID = {"meta", "img", "br"}
FILMS = 32
NASTY = '<img src=x onerror="alert(1)"> & "film" 00.png'


class Outline(HTMLParser):
    """What a page holds; raises on tags that do not match."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []
        self.feed(page)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("films")
    for number in range(FILMS):
        film = draw_phantom((3, number), "normal", 96).pixels
        name = NASTY if number == 0 else f"film-{number:02d}.png"
        Image.fromarray(film).save(folder / name)
        Image.fromarray(film).save(folder / f"copy-{number:02d}.png")
    (folder / "broken.png").write_bytes(b"no film")
    rows = [{"path": path.name, **asdict(scan_film(path))} for path in sorted(folder.iterdir())]
    for number, row in enumerate(rows):
        split = ("train", "test")[number % 2]
        row |= {"label": '<b>"normal"</b>', "patient": f"Jane Doe {number}", "split": split, "pneumonia": True}
        row["boxes"] = [[0.1, 0.1, 0.5, 1.2]] if number % 2 else None
    manifest = Manifest(pl.DataFrame(rows, schema=SCHEMA, orient="row"), folder)
    store = build_store(manifest, Geometry("squash", 224, 224), folder / "stores", skip_bad=9, processes=1)
    report, films = audit(manifest, store)
    assert report.leaks
    return write_audit_page(report, films)


def test_the_page_is_well_formed_and_needs_nothing_else(page: str) -> None:
    outline = Outline(page)
    assert not {"script", "link", "iframe"} & {tag for tag, _ in outline.tags}
    sources = [attributes["src"] or "" for tag, attributes in outline.tags if tag == "img"]
    assert sources and all(source.startswith("data:image/jpeg;base64,") for source in sources)
    assert "http:" not in page and "https:" not in page and "url(" not in page
    assert all((attributes["alt"] or "").startswith("chest film ") for tag, attributes in outline.tags if tag == "img")


def test_every_link_leads_to_a_finding(page: str) -> None:
    outline = Outline(page)
    targets = {attributes.get("id") for _, attributes in outline.tags}
    links = [(attributes["href"] or "")[1:] for tag, attributes in outline.tags if tag == "a"]
    assert links and set(links) <= targets
    assert "duplicate_on_both_sides" in links and "boxes_out_of_frame" in links


def test_texts_are_escaped_and_patients_are_left_out(page: str) -> None:
    said = "".join(Outline(page).text)
    assert NASTY in said and '<b>"normal"</b>' in said
    assert "onerror=" not in re.sub(r"&lt;.*?&gt;", "", page)
    assert "Jane Doe" not in page


def test_it_says_what_it_is_for(page: str) -> None:
    said = "".join(Outline(page).text)
    assert "Research use only" in said and "would leak" in said and "cannot be read" in said


def test_of_many_groups_only_the_first_are_shown(page: str) -> None:
    section = page.split('<section id="exact_duplicates">')[1].split("</section>")[0]
    assert section.count('class="group"') == MOST_GROUPS
    assert f"and {FILMS - MOST_GROUPS} more groups" in section


def test_light_and_dark(page: str, tmp_path: Path) -> None:
    assert "prefers-color-scheme: dark" in page
