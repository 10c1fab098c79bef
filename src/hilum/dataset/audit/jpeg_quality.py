"""The quality that a JPEG file was saved with, from its quantization table, without decoding it."""

from __future__ import annotations

from pathlib import Path

from PIL.JpegImagePlugin import JpegImageFile

from hilum.radiograph import open_film
from hilum.radiograph.quiet import quiet
from hilum.radiograph.raster import PILLOW_ERRORS

# The sum of the luminance table that the standard suggests, which encoders scale by the quality that a user asks for.
STANDARD_SUM = 3688


def jpeg_quality(path: Path) -> float | None:
    """From 1 to 100 as encoders count it; None where the file is no JPEG or cannot be opened."""
    try:
        with quiet(), open_film(path) as file:
            tables = JpegImageFile(file).quantization
    except PILLOW_ERRORS:  # a film that is gone, a ReadError of one that is no file, or what Pillow makes of damage
        return None
    if not tables:
        return None
    scale = 100 * sum(tables[min(tables)]) / STANDARD_SUM
    return round((200 - scale) / 2 if scale <= 100 else 5000 / scale, 1)
