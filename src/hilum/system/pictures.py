"""Pictures as files that are whole or not there: encoded in memory first, since libraries leave half a file behind."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hilum.system.files import write_whole

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
