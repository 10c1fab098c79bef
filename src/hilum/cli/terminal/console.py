"""rich's Console, through which no text reaches the terminal but as text."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import rich.console
from rich.segment import Segment

from hilum.system.text import printable


class Console(rich.console.Console):
    """A console that writes control characters out: rich drops some of them and lets escape sequences through."""

    def print(self, *objects: Any, **settings: Any) -> None:
        """Print; texts lose what would change the terminal."""
        super().print(*(printable(part) if isinstance(part, str) else part for part in objects), **settings)

    def render(self, *arguments: Any, **settings: Any) -> Iterable[Segment]:
        """Tables, bars and all else ends here; what rich itself does to the terminal is in control segments."""
        for segment in super().render(*arguments, **settings):
            text = segment.text
            safe = segment.control or text.isprintable()
            yield segment if safe else Segment(printable(text, keep="\n"), segment.style)
