"""A header's claim never costs memory: bombs are refused with less than 200 MB, measured in a process of their own."""

from __future__ import annotations

import struct
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
from films import dicom, picture, ramp
from PIL import Image

from hilum import ReadError, Reason, read

MEASURED_READ = r"""
import re, resource, sys
from pathlib import Path
from hilum import ReadError, read
try:
    film = read(sys.argv[1])
    print("read", film.pixels.shape)
except ReadError as error:
    print(error.reason)
status = Path("/proc/self/status")
# getrusage counts what the parent had when it started this process; the kernel's own mark does not
peak = int(re.search(r"VmHWM:\s+(\d+)", status.read_text())[1]) if status.exists() else 0
print((peak or resource.getrusage(resource.RUSAGE_SELF).ru_maxrss) // 1024)
"""


def png_chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png_bomb() -> bytes:
    """30,000 x 30,000 black pixels in under a megabyte."""
    header = struct.pack(">IIBBBBB", 30_000, 30_000, 8, 0, 0, 0, 0)
    deflate = zlib.compressobj(9)
    rows = b"".join(deflate.compress(bytes(30_001 * 100)) for _ in range(300)) + deflate.flush()
    return b"\x89PNG\r\n\x1a\n" + png_chunk(b"IHDR", header) + png_chunk(b"IDAT", rows) + png_chunk(b"IEND", b"")


def png_text_bomb() -> bytes:
    """A tiny picture with a compressed comment that inflates to 400 MB."""
    small = picture(Image.new("L", (8, 8)), "PNG")
    deflate = zlib.compressobj(9)
    text = b"".join(deflate.compress(bytes(1 << 20)) for _ in range(400)) + deflate.flush()
    return small[:33] + png_chunk(b"zTXt", b"comment\0\0" + text) + small[33:]


def deflated_bomb() -> bytes:
    """389 KB that inflate to 800 MB: a film whose header is followed by nothing but zeros."""
    whole = dicom(transfer_syntax="1.2.840.10008.1.2.1.99")
    start = 144 + int.from_bytes(whole[140:144], "little")  # where the file meta group ends
    body = zlib.decompress(whole[start:], -zlib.MAX_WBITS)
    deflate = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    bomb = deflate.compress(body) + b"".join(deflate.compress(bytes(1 << 20)) for _ in range(800)) + deflate.flush()
    return whole[:start] + bomb


def rle_bomb() -> bytes:
    """A 16 x 12 film whose 8 MB of run-length data expand to half a gigabyte."""
    segment = b"\x81\x00" * 4_000_000
    frame = struct.pack("<16I", 1, 64, *[0] * 14) + segment
    return dicom(ramp(highest=255).astype(np.uint8), transfer_syntax="1.2.840.10008.1.2.5", frame=frame)


def huge_jpeg() -> bytes:
    data = bytearray(picture(Image.new("L", (64, 64)), "JPEG"))
    size = data.index(b"\xff\xc0") + 5
    data[size : size + 4] = struct.pack(">HH", 65535, 65535)
    return bytes(data)


BOMBS = {
    "png": (png_bomb, Reason.TOO_LARGE),
    "png text": (png_text_bomb, Reason.DAMAGED),
    "deflated": (deflated_bomb, Reason.TOO_LARGE),
    "rle": (rle_bomb, Reason.DAMAGED),
    "jpeg": (huge_jpeg, Reason.TOO_LARGE),
    "dicom": (lambda: dicom(Rows=65535, Columns=65535), Reason.TOO_LARGE),
}


@pytest.mark.parametrize("name", BOMBS)
def test_bombs_are_refused_in_little_memory(name: str, tmp_path: Path) -> None:
    make, reason = BOMBS[name]
    path = tmp_path / "bomb"
    path.write_bytes(make())
    assert path.stat().st_size < 10_000_000
    answer = subprocess.run([sys.executable, "-c", MEASURED_READ, path], capture_output=True, text=True, check=True)
    outcome, megabytes = answer.stdout.split("\n")[:2]
    assert outcome == reason
    assert int(megabytes) < 200


def test_the_limit_can_be_set() -> None:
    data = picture(Image.new("L", (1000, 600), 7), "PNG")
    assert read(data, max_megapixels=0.6).pixels.shape == (600, 1000)
    with pytest.raises(ReadError, match=r"over the limit of 0\.59 megapixels"):
        read(data, max_megapixels=0.59)


def test_a_jpeg_of_a_thousand_scans_is_refused() -> None:
    data = picture(Image.effect_noise((64, 64), 50), "JPEG", progressive=True)
    scan = data.rindex(b"\xff\xda")
    with pytest.raises(ReadError) as caught:
        read(data[:scan] + data[scan:-2] * 1000 + data[-2:])
    assert caught.value.reason is Reason.TOO_LARGE
