"""A header's claim never costs memory: bombs are refused with less than 200 MB, measured in a process of their own."""

from __future__ import annotations

import struct
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
from films import dicom, picture, png_chunk, ramp
from format_mutants import element, split_dicom
from imagecodecs import jpeg2k_encode, jpeg_encode
from PIL import Image

from hilum import ReadError, Reason, read
from hilum.radiograph.dicom.header import PIXEL_DATA, VIEW_CODE, VOI_LUT

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


def png_bomb() -> bytes:
    """30,000 x 30,000 black pixels in 4 MB."""
    header = struct.pack(">IIBBBBB", 30_000, 30_000, 8, 0, 0, 0, 0)
    deflate = zlib.compressobj(1)
    rows = b"".join(deflate.compress(bytes(30_001 * 100)) for _ in range(300)) + deflate.flush()
    return b"\x89PNG\r\n\x1a\n" + png_chunk(b"IHDR", header) + png_chunk(b"IDAT", rows) + png_chunk(b"IEND", b"")


def png_text_bomb() -> bytes:
    """A tiny picture with a compressed comment that inflates to 400 MB."""
    small = picture(Image.new("L", (8, 8)), "PNG")
    deflate = zlib.compressobj(1)
    text = b"".join(deflate.compress(bytes(1 << 20)) for _ in range(400)) + deflate.flush()
    return small[:33] + png_chunk(b"zTXt", b"comment\0\0" + text) + small[33:]


def deflated_bomb() -> bytes:
    """4 MB that inflate to 800 MB: a film whose header is followed by nothing but zeros."""
    whole = dicom(transfer_syntax="1.2.840.10008.1.2.1.99")
    start = 144 + int.from_bytes(whole[140:144], "little")  # where the file meta group ends
    body = zlib.decompress(whole[start:], -zlib.MAX_WBITS)
    deflate = zlib.compressobj(1, zlib.DEFLATED, -zlib.MAX_WBITS)
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


def png_header(width: int, height: int) -> bytes:
    return png_chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))


def png_of_two_sizes() -> bytes:
    """389 KB that say 300 x 300 first and 20,000 x 20,000 after that, which is what Pillow decodes."""
    deflate = zlib.compressobj(9)
    rows = b"".join(deflate.compress(bytes(20_001 * 100)) for _ in range(200)) + deflate.flush()
    headers = png_header(300, 300) + png_header(20_000, 20_000)
    return b"\x89PNG\r\n\x1a\n" + headers + png_chunk(b"IDAT", rows) + png_chunk(b"IEND", b"")


def jpeg_of_two_sizes() -> bytes:
    """A second frame header, of 20,000 x 20,000, behind the true one."""
    data = picture(Image.new("L", (300, 300)), "JPEG")
    start = data.index(b"\xff\xc0")
    end = start + 2 + int.from_bytes(data[start + 2 : start + 4], "big")
    second = bytearray(data[start:end])
    second[5:9] = struct.pack(">HH", 20_000, 20_000)
    return data[:end] + bytes(second) + data[end:]


def dicom_with_a_larger_jpeg() -> bytes:
    frame = picture(Image.new("L", (20_000, 20_000)), "JPEG")
    return dicom(ramp(highest=255).astype(np.uint8), transfer_syntax="1.2.840.10008.1.2.4.50", frame=frame)


def dicom_with_a_larger_jpeg2000() -> bytes:
    """16 x 12 by its header; the codestream, whose size alone is changed, claims 20,000 x 20,000."""
    frame = bytearray(jpeg2k_encode(ramp(), codecformat="j2k", reversible=True))
    size = frame.index(b"\xff\x4f\xff\x51") + 8
    for position in (size, size + 16):  # of the picture, and of its only tile
        frame[position : position + 8] = struct.pack(">II", 20_000, 20_000)
    return dicom(ramp(), transfer_syntax="1.2.840.10008.1.2.4.90", frame=bytes(frame))


def jpeg_for_the_wrong_decoder() -> bytes:
    """A lossless JPEG that libjpeg refuses for an extension in front, and without the tables that it needs."""
    frame = bytes(jpeg_encode(ramp(), level=100, bitspersample=12, lossless=True))
    without_tables = frame[: frame.index(b"\xff\xc4")] + frame[frame.index(b"\xff\xda") :]
    frame = b"\xff\xd8\xff\xc8\0\x08\x10\xff\xffN \0" + without_tables[2:]
    return dicom(ramp(), transfer_syntax="1.2.840.10008.1.2.4.70", frame=frame)


BOMBS = {
    "jpeg that crashed a decoder": (jpeg_for_the_wrong_decoder, Reason.DAMAGED),
    "png of two sizes": (png_of_two_sizes, Reason.INCONSISTENT_HEADER),
    "jpeg of two sizes": (jpeg_of_two_sizes, Reason.INCONSISTENT_HEADER),
    "dicom with a larger jpeg": (dicom_with_a_larger_jpeg, Reason.TOO_LARGE),
    "dicom with a larger jpeg 2000": (dicom_with_a_larger_jpeg2000, Reason.TOO_LARGE),
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


@pytest.mark.parametrize("second", [(20_000, 20_000), (8, 8), (16, 12)])
@pytest.mark.parametrize("place", ["before the pixels", "behind them"])
def test_a_png_has_one_header(second: tuple[int, int], place: str) -> None:
    data = picture(Image.new("L", (16, 12)), "PNG")
    at = 33 if place == "before the pixels" else data.index(b"IEND") - 4
    with pytest.raises(ReadError) as caught:
        read(data[:at] + png_header(*second) + data[at:])
    assert caught.value.reason is Reason.INCONSISTENT_HEADER


def test_a_compressed_frame_is_of_the_size_that_its_dicom_header_states() -> None:
    """Smaller than any limit, so that only the comparison can refuse it."""
    jpeg = picture(Image.new("L", (64, 64)), "JPEG")
    jpeg2000 = bytes(jpeg2k_encode(ramp(64, 64), codecformat="j2k", reversible=True))
    levels = ramp(highest=255).astype(np.uint8)
    for data in (
        dicom(levels, transfer_syntax="1.2.840.10008.1.2.4.50", frame=jpeg),
        dicom(ramp(), transfer_syntax="1.2.840.10008.1.2.4.90", frame=jpeg2000),
    ):
        with pytest.raises(ReadError, match="the compressed picture is 64 x 64") as caught:
            read(data)
        assert caught.value.reason is Reason.INCONSISTENT_HEADER


HEAD = split_dicom(dicom(transfer_syntax=None))[:-1]
PIXELS = element(*split_dicom(dicom(transfer_syntax=None))[-1])
ITEM, MANY = b"\xfe\xff\0\xe0\0\0\0\0", 200_000


def with_element(*made: bytes) -> bytes:
    return b"".join([element(*part) for part in HEAD] + [*made, PIXELS])


def jpeg_with(made: bytes) -> bytes:
    data = picture(Image.new("L", (16, 12)), "JPEG")
    end = 4 + int.from_bytes(data[4:6], "big")  # of the first segment
    return data[:end] + made + data[end:]


def jpeg2000_with(made: bytes) -> bytes:
    frame = bytes(jpeg2k_encode(ramp(), codecformat="j2k", reversible=True))
    frame = frame.replace(b"\xff\x90", made + b"\xff\x90", 1)
    return dicom(ramp(), transfer_syntax="1.2.840.10008.1.2.4.90", frame=frame)


def png_with(made: bytes) -> bytes:
    data = picture(Image.new("L", (16, 12)), "PNG")
    return data[:33] + made + data[33:]


# Floods of small parts: each is cheap, together they would take a parser minutes and gigabytes in a file of that size.
FLOODS = {
    "png chunks": lambda: png_with(png_chunk(b"teSt", b"") * MANY),
    "jpeg segments": lambda: jpeg_with(b"\xff\xe1\0\x08Exif\0\0" * MANY),
    "jpeg junk": lambda: jpeg_with(bytes(MANY)),
    "jpeg fill bytes": lambda: jpeg_with(b"\xff" * MANY),
    "jpeg extensions": lambda: jpeg_with(b"\xff\xf0\xff\x02" + bytes(0xFF00) + b"\xff\xf0\xff\x02" + bytes(0xFF00)),
    "jpeg 2000 markers": lambda: jpeg2000_with(b"\xff\x64\0\x02" * MANY),
    "elements": lambda: with_element(element(0x00291000, b"LO", b"") * MANY),
    "items without an end": lambda: with_element(element(VOI_LUT, b"SQ", ITEM * MANY, 0xFFFFFFFF)),
    "elements of an item": lambda: with_element(
        element(0x00400555, b"SQ", ITEM[:4] + b"\xff" * 4 + element(0x00291000, b"LO", b"") * MANY, 0xFFFFFFFF)
    ),
    "fragments": lambda: b"".join(
        [bytes(128), b"DICM", element(0x00020010, b"UI", b"1.2.840.10008.1.2.4.90")]
        + [element(*part) for part in HEAD]
        + [element(PIXEL_DATA, b"OB", ITEM * MANY, 0xFFFFFFFF)]
    ),
}


@pytest.mark.parametrize("name", FLOODS)
def test_floods_of_small_parts_are_refused(name: str) -> None:
    with pytest.raises(ReadError) as caught:
        read(FLOODS[name]())
    assert caught.value.reason is Reason.TOO_LARGE


def test_what_is_not_looked_at_may_be_long() -> None:
    """Only the first item of a sequence, the first number of a list: the others are not even taken apart."""
    film = read(dicom())
    for made in (
        element(VOI_LUT, b"SQ", ITEM * MANY),
        element(0x00400555, b"SQ", ITEM * MANY),
        element(0x00283002, b"UN", bytes(MANY)),
        element(VIEW_CODE, b"SQ", ITEM * MANY),
    ):
        np.testing.assert_array_equal(read(with_element(made)).pixels, film.pixels)
    window = read(dicom(WindowCenter=2000, WindowWidth=3000)).pixels
    centers, widths = b"2000\\" + b"1\\" * MANY, b"3000\\" + b"1\\" * MANY
    data = with_element(element(0x00281050, b"UN", centers), element(0x00281051, b"UN", widths))
    np.testing.assert_array_equal(read(data).pixels, window)


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
