"""Text from files and their names, shown so that it does nothing."""

from __future__ import annotations

import json
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hilum.system.text import json_text, megabytes, printable

ANY_TEXT = st.text(st.characters(exclude_categories=()))


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("film.dcm", "film.dcm"),
        ("\N{LATIN SMALL LETTER O WITH DIAERESIS}l \N{CJK UNIFIED IDEOGRAPH-4E2D}.png",) * 2,
        ("esc\x1b[31mred.dcm", r"esc\x1b[31mred.dcm"),
        ("\x1b]0;title\a.dcm", r"\x1b]0;title\x07.dcm"),
        ("two\nlines\tand a tab\r", r"two\nlines\tand a tab\r"),
        ("c1\x9b31m", r"c1\x9b31m"),
        ("\u202egnp.exe", r"\u202egnp.exe"),
        ("no utf-8: \udcff", r"no utf-8: \udcff"),
    ],
)
def test_control_characters_are_written_out(text: str, shown: str) -> None:
    assert printable(text) == shown


@given(ANY_TEXT)
def test_nothing_shown_moves_a_terminal_or_fails_to_print(text: str) -> None:
    shown = printable(text)
    assert not {unicodedata.category(letter) for letter in shown} & {"Cc", "Cs", "Zl", "Zp"}
    shown.encode()


@given(ANY_TEXT, ANY_TEXT)
def test_json_keeps_every_text_and_shows_none_raw(name: str, text: str) -> None:
    for indent in (None, 1):
        written = json_text({name: [text]}, indent)
        assert json.loads(written) == {name: [text]}
        assert not {unicodedata.category(letter) for letter in written.replace("\n", "")} & {"Cc", "Cs", "Zl", "Zp"}


def test_what_we_laid_out_ourselves_stays() -> None:
    assert printable("<p>\n\t\x1b</p>\n", keep="\n\t") == "<p>\n\t\\x1b</p>\n"


def test_nothing_takes_no_megabytes() -> None:
    assert [megabytes(count) for count in (1, 1_000_000, 1_000_001, 2_345_000_000)] == [
        "1 MB",
        "1 MB",
        "2 MB",
        "2,345 MB",
    ]
