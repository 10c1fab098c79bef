"""What the page says: every word in both languages, and none that nobody says."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

import hilum
from hilum import Reason

PAGE = Path(hilum.__file__).parent / "service" / "page"
SOURCES = [PAGE / "index.html", *sorted(PAGE.glob("*.js")), *sorted(PAGE.glob("label/*.js"))]
LANGUAGES = ("en", "de")
# Spoken under a key that is put together, so that no source has the whole of it.
FAMILIES = ("answer", "reason", "by", "class", "group", "point", "warning", "keys")


def flat(words: dict[str, Any], before: str = "") -> dict[str, str]:
    found: dict[str, str] = {}
    for name, value in words.items():
        found |= flat(value, f"{before}{name}.") if isinstance(value, dict) else {f"{before}{name}": value}
    return found


def spoken(language: str) -> dict[str, str]:
    return flat(json.loads((PAGE / "words" / f"{language}.json").read_text(encoding="utf-8")))


def test_both_languages_say_the_same_with_the_same_values() -> None:
    english, german = (spoken(language) for language in LANGUAGES)
    assert list(english) == list(german)
    for key, words in english.items():
        assert sorted(re.findall(r"\{\w+\}", words)) == sorted(re.findall(r"\{\w+\}", german[key])), key


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_word_that_the_page_asks_for_is_there(language: str) -> None:
    words = spoken(language)
    for source in SOURCES:
        text = source.read_text(encoding="utf-8")
        for key in re.findall(r"""\bt\("([\w.]+)"|data-(?:words|label)="([\w.]+)\"""", text):
            asked = "".join(key)
            assert any(name == asked or name.startswith(f"{asked}.") for name in words), f"{source.name}: {asked}"


def test_no_word_is_left_that_nobody_says() -> None:
    text = "".join(source.read_text(encoding="utf-8") for source in SOURCES)
    keys = {re.sub(r"\.(one|other|none)$", "", key) for key in spoken("en")}  # without the forms of a plural
    left = [key for key in keys if key.split(".")[0] not in FAMILIES and f'"{key}"' not in text]
    assert not left


def test_every_reason_of_the_reader_has_words() -> None:
    assert {f"reason.{reason}" for reason in Reason} <= set(spoken("de"))


def test_the_page_has_no_script_or_style_that_its_policy_forbids() -> None:
    page = (PAGE / "index.html").read_text(encoding="utf-8")
    assert not re.search(r"<style|style=|<script(?![^>]*src=)|\son\w+=|https?://", page)
