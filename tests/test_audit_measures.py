"""What the audit measures on single boxes and files, and how it counts."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from hilum.dataset.audit.finding import counted
from hilum.dataset.audit.jpeg_quality import jpeg_quality


@pytest.mark.parametrize("quality", [30, 50, 75, 92])
def test_the_quality_of_a_jpeg_is_read_from_its_tables(tmp_path: Path, quality: int) -> None:
    Image.fromarray(np.zeros((16, 16), np.uint8)).save(tmp_path / "film.jpg", quality=quality)
    assert jpeg_quality(tmp_path / "film.jpg") == pytest.approx(quality, abs=1)


def test_what_is_no_jpeg_has_no_quality(tmp_path: Path) -> None:
    (tmp_path / "text.jpg").write_text("no picture")
    assert jpeg_quality(tmp_path / "text.jpg") is jpeg_quality(tmp_path / "absent.jpg") is None


def test_things_are_counted_as_people_say_it() -> None:
    assert counted(1, "film") == "1 film" and counted(2000, "box", "boxes") == "2,000 boxes"
