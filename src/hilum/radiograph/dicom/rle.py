"""DICOM's run-length encoding (PS3.5 annex G).

Written by hand because the libraries fail on damaged data: pylibjpeg-rle's decoder aborts with a Rust panic that no
`except Exception` catches, pydicom's expands a bomb to any size before it compares.
"""

from __future__ import annotations

import struct

from hilum.radiograph.errors import ReadError, Reason


def decode_rle(frame: bytes, segments: int, segment_size: int) -> bytearray:
    """The byte planes of a frame one after the other, most significant first, each of `segment_size` bytes."""
    if len(frame) < 64:
        raise ReadError(Reason.TRUNCATED_PIXEL_DATA, "the run-length header is cut short; copy the file again")
    count, *offsets = struct.unpack_from("<16I", frame)
    if count != segments:
        raise ReadError(
            Reason.INCONSISTENT_HEADER, f"the run-length data has {count} segments where the header needs {segments}"
        )
    planes = bytearray()
    for start, end in zip(offsets[:count], [*offsets[1:count], len(frame)], strict=True):
        planes += _decode_segment(frame[start:end], segment_size)
    return planes


def _decode_segment(segment: bytes, size: int) -> bytearray:
    """One plane. Whatever follows once it is full is padding; a run across its end is damage."""
    plane = bytearray()
    position = 0
    while len(plane) < size and position < len(segment):
        control = segment[position]
        if control < 128:  # that many bytes and one more follow as they are
            plane += segment[position + 1 : position + 2 + control]
            position += control + 2
        elif control > 128:  # the next byte is repeated
            plane += segment[position + 1 : position + 2] * (257 - control)
            position += 2
        else:
            position += 1
    if len(plane) < size:
        raise ReadError(
            Reason.TRUNCATED_PIXEL_DATA,
            f"a run-length segment holds {len(plane):,} of {size:,} bytes; copy the file again",
        )
    if len(plane) > size:
        raise ReadError(Reason.DAMAGED, "the run-length data expand past the size that the header claims")
    return plane
