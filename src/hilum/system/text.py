"""Text that came from a file or its name, made safe to show: on a terminal, in a log, on a page.

A file may be named so that its name changes the terminal of whoever lists it, or reads backwards.
"""

from __future__ import annotations

import json
import re
from typing import Any

# Control characters, marks that change the direction of what follows, line ends that only some programs know, and
# halves of characters, as which Python reads names that are not UTF-8.
UNSAFE = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
SHORT = {"\n": r"\n", "\r": r"\r", "\t": r"\t"}


def printable(text: str, keep: str = "") -> str:
    r"""The text with control characters written out, as \x1b, so that it shows what it is and does nothing.

    `keep` names those that stay: the line ends and tabs of a page that we laid out ourselves.
    """
    if text.isprintable():
        return text
    return UNSAFE.sub(lambda found: found[0] if found[0] in keep else written_out(found[0]), text)


def json_text(value: Any, indent: int | None = None) -> str:
    """Plain data as JSON that any terminal may show: letters as they are, control characters escaped as JSON does."""
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, indent=indent)
    # Outside of strings JSON has no such character but its line ends.
    return UNSAFE.sub(lambda found: found[0] if found[0] == "\n" else f"\\u{ord(found[0]):04x}", text)


def written_out(character: str) -> str:
    r"""A character as code has it: \n, \x1b or \u4e2d."""
    code = ord(character)
    if character in SHORT:
        return SHORT[character]
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def megabytes(count: int) -> str:
    """How much bytes are for a person, rounded up: nothing takes 0 MB."""
    return f"{-(-count // 1_000_000):,} MB"
