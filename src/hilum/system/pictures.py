"""Pictures as files that are whole or not there: encoded in memory first, since libraries leave half a file behind."""

from __future__ import annotations

from functools import cache
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hilum.system.files import write_whole
from hilum.system.text import printable, written_out

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from PIL.Image import Image

DOTS_PER_INCH = 110


def write_picture(picture: Image, path: Path, kind: str = "PNG", *, durable: bool = True, **settings: Any) -> None:
    """Save a picture as "PNG" or "JPEG"; `settings` are those of Pillow. Raises OSError."""
    encoded = BytesIO()
    picture.save(encoded, kind, **settings)
    write_whole(path, encoded.getvalue(), durable=durable)


def write_figure(figure: Figure, path: Path) -> None:
    """Save a figure of matplotlib as PNG. Raises OSError."""
    encoded = BytesIO()
    figure.savefig(encoded, format="png", dpi=DOTS_PER_INCH)
    write_whole(path, encoded.getvalue())


def drawable(text: str) -> str:
    r"""Text from a file as matplotlib can draw it: characters that its font lacks are written out, as \u4e2d."""
    return "".join(character if _has(character) else written_out(character) for character in printable(text))


@cache
def _has(character: str) -> bool:
    from matplotlib import rcParams  # loads slowly
    from matplotlib.font_manager import FontProperties, findfont, get_font

    fonts = (get_font(findfont(FontProperties(family=[family]))) for family in rcParams["font.family"])
    return any(font.get_char_index(ord(character)) for font in fonts)
