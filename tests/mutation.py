"""Damaged files for the fuzz tests: Hypothesis picks a real film and what happens to its bytes."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from hashlib import sha256

from conftest import PYDICOM_DATA_FILES, PYDICOM_FILES, REAL_DATA
from films import dicom, picture, ramp, smooth_picture
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn
from PIL import Image

MOST_BYTES = 300_000
INTERESTING = [b"\0", b"\xff", b"\x7f", b"\x80", b"\xff\xff\xff\xff", b"\0\0\0\0", b"\xff\xff", b"\xfe\xff\xdd\xe0"]


def seed_films() -> list[bytes]:
    """Films of every kind hilum reads: made here, from installed packages and, where it is, from the real data."""
    picture_of = Image.fromarray(smooth_picture())
    films = [
        *(picture(picture_of.convert(mode), "JPEG") for mode in ("L", "RGB", "CMYK")),
        picture(picture_of, "JPEG", progressive=True),
        *(picture(picture_of.convert(mode), "PNG") for mode in ("L", "RGBA", "P", "1", "LA")),
        picture(Image.fromarray(ramp()), "PNG"),
        dicom(WindowCenter=2000, WindowWidth=4000),
        dicom(ramp().astype("int16"), transfer_syntax="1.2.840.10008.1.2"),
        dicom(transfer_syntax="1.2.840.10008.1.2.2"),
        dicom(transfer_syntax="1.2.840.10008.1.2.1.99"),
        dicom(smooth_picture(), transfer_syntax="1.2.840.10008.1.2.4.50", frame=picture(picture_of, "JPEG")),
    ]
    real = (REAL_DATA / "rsna-mini", REAL_DATA / "kermany-original")
    for folder in (PYDICOM_FILES, PYDICOM_DATA_FILES, *real):
        for path in sorted(folder.rglob("*")):
            if path.suffix in (".dcm", ".jpeg") and path.stat().st_size <= MOST_BYTES:
                films.append(path.read_bytes())
    return films


class Damaged(bytes):
    """Bytes that print shortly."""

    def __repr__(self) -> str:
        return f"<{len(self)} bytes, sha256 {sha256(self).hexdigest()[:12]}>"


@st.composite
def damaged(draw: DrawFn, films: Sequence[bytes]) -> Damaged:
    """A film after one to six accidents: bytes changed, cut out, repeated, moved, or a length field overwritten."""
    data = bytearray(draw(st.sampled_from(films)))
    for _ in range(draw(st.integers(1, 6))):
        # headers decide most, so half of the accidents happen in the first kilobyte or at the start of the pixels
        around = data.find(b"\xe0\x7f\x10\x00")
        start = draw(st.sampled_from([0, 0, max(around, 0), None]))
        reach = len(data) - 1 if start is None else min(len(data) - 1, start + 1200)
        position = draw(st.integers(start or 0, max(reach, start or 0)))
        match draw(st.integers(0, 6)):
            case 0:
                data[position : position + 1] = draw(st.binary(min_size=1, max_size=1))
            case 1:
                value = draw(st.sampled_from(INTERESTING))
                data[position : position + len(value)] = value
            case 2:
                number = draw(st.integers(0, 2**32 - 1))
                data[position : position + 4] = struct.pack(draw(st.sampled_from(["<I", ">I"])), number)
            case 3:
                del data[position : position + draw(st.integers(1, 64))]
            case 4:
                data[position:position] = data[position : position + draw(st.integers(1, 64))]
            case 5:
                data[position:position] = draw(st.binary(min_size=1, max_size=16))
            case 6:
                del data[position:]
        if not data:
            break
    return Damaged(data)
