"""Scanning: facts and digests of every film, whatever becomes of one of them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from films import dicom, picture
from PIL import Image

from hilum.dataset import scan
from hilum.dataset.scan import FileFacts, scan_film, scan_films
from hilum.dataset.sources import SourceError


def grey(seed: int, height: int = 12, width: int = 16) -> Image.Image:
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (height, width), np.uint8))


def test_a_film_s_facts(tmp_path: Path) -> None:
    content = dicom(ViewPosition="PA")
    (tmp_path / "a.dcm").write_bytes(content)
    film = scan_film(tmp_path / "a.dcm")
    assert (film.format, film.mode, film.view, film.bits) == ("dicom", "MONOCHROME2", "PA", 16)
    assert (film.width, film.height, film.file_bytes) == (16, 12, len(content))
    assert film.error is None
    assert len(film.file_digest or "") == len(film.pixel_digest or "") == 32


def test_the_pixel_digest_is_the_picture_s_and_not_the_file_s(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(picture(grey(1), "PNG"))
    (tmp_path / "b.png").write_bytes(picture(grey(1).convert("RGB"), "PNG", compress_level=1))
    (tmp_path / "c.png").write_bytes(picture(grey(2), "PNG"))
    (tmp_path / "d.png").write_bytes(picture(Image.fromarray(np.asarray(grey(1)).reshape(24, 8)), "PNG"))
    a, b, c, d = (scan_film(tmp_path / name) for name in ("a.png", "b.png", "c.png", "d.png"))
    assert a.pixel_digest == b.pixel_digest
    assert a.file_digest != b.file_digest
    assert len({a.pixel_digest, c.pixel_digest, d.pixel_digest}) == 3


def test_a_turned_film_has_the_upright_film_s_digest_and_size(tmp_path: Path) -> None:
    turned = grey(1).transpose(Image.Transpose.ROTATE_90)
    exif = Image.Exif()
    exif[0x0112] = 6  # turn it clockwise to be upright
    (tmp_path / "upright.png").write_bytes(picture(grey(1), "PNG"))
    (tmp_path / "turned.png").write_bytes(picture(turned, "PNG", exif=exif))
    upright, turned_film = scan_film(tmp_path / "upright.png"), scan_film(tmp_path / "turned.png")
    assert upright.pixel_digest == turned_film.pixel_digest
    assert (turned_film.width, turned_film.height) == (16, 12)


def test_what_cannot_be_read_has_a_reason(tmp_path: Path) -> None:
    (tmp_path / "broken.jpg").write_bytes(b"\xff\xd8\xff\xe0")
    (tmp_path / "empty.png").write_bytes(b"")
    with (tmp_path / "huge.png").open("wb") as file:
        file.truncate(600 << 20)  # sparse: it takes no room
    broken, empty, huge, absent = scan_films(
        [tmp_path / name for name in ("broken.jpg", "empty.png", "huge.png", "no")]
    )
    assert broken.error is not None and broken.error.startswith("damaged: ")
    assert broken.file_digest is not None and broken.pixel_digest is None
    assert empty.error is not None and empty.error.startswith("empty: ")
    assert huge.error is not None and huge.error.startswith("too_large: ")
    assert huge.file_bytes == 600 << 20
    assert absent == FileFacts(error="cannot_open: No such file or directory")


def test_a_bug_says_which_film_brings_it_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def buggy(source: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(scan, "read", buggy)
    (tmp_path / "a.png").write_bytes(b"x")
    with pytest.raises(ZeroDivisionError) as caught:
        scan_film(tmp_path / "a.png")
    assert "a.png" in caught.value.__notes__[0]


def test_processes_keep_the_order_and_tell_how_far_they_are(tmp_path: Path) -> None:
    paths = [tmp_path / f"{number}.png" for number in range(300)]
    for number, path in enumerate(paths):
        path.write_bytes(picture(grey(number), "PNG"))
    paths[7].write_bytes(b"")
    told: list[int] = []
    films = scan_films(paths, told.append, processes=2)
    assert films == [scan_film(path) for path in paths]
    assert told == sorted(told) and told[-1] == 300


def test_a_worker_that_dies_is_said_so() -> None:
    class Deadly:
        def __reduce__(self) -> tuple[Any, ...]:
            return os._exit, (1,)

    deadly: Any = [Deadly()] * 300
    with pytest.raises(SourceError, match="a process died while decoding films"):
        scan_films(deadly, processes=2)
