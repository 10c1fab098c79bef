"""Whatever bytes a file holds, reading ends in pixels within [0, 1] or in a ReadError. `make fuzz` does more of it."""

from __future__ import annotations

import os
import time
import warnings
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from format_mutants import MUTANTS, mutant
from hypothesis import HealthCheck, given, seed, settings
from mutation import damaged, seed_films
from PIL import Image
from pydicom import dcmread

from hilum import Radiograph, ReadError, read

EXAMPLES = int(os.environ.get("HILUM_FUZZ_EXAMPLES", "600"))
OF_A_KIND = int(os.environ.get("HILUM_FUZZ_OF_A_KIND", "250"))
SEED = int(os.environ.get("HILUM_FUZZ_SEED", "1"))
LAST_INPUT = os.environ.get("HILUM_FUZZ_LAST_INPUT")  # where the input is kept, should a codec crash the process
LONGEST_SECONDS = float(os.environ.get("HILUM_FUZZ_LONGEST_SECONDS", "inf"))  # `make fuzz` looks at the clock


def film_or_refusal(read_it: Callable[[], Radiograph]) -> None:
    start = time.monotonic()
    try:
        film = read_it()
    except ReadError as error:
        assert error.detail
        assert "\n" not in str(error)
        assert str(error).isprintable()
    else:
        pixels = film.pixels
        assert pixels.dtype == np.float32
        assert pixels.ndim == 2
        assert np.isfinite(pixels).all()
        assert pixels.min() >= 0
        assert pixels.max() <= 1
        assert pixels.size <= 64e6
        assert film.age is None or 0 <= film.age <= 125
    assert time.monotonic() - start < LONGEST_SECONDS


def keep(data: bytes) -> bytes:
    if LAST_INPUT:
        Path(LAST_INPUT).write_bytes(data)
    return data


@seed(SEED)
@settings(
    max_examples=EXAMPLES, deadline=None, database=None, suppress_health_check=list(HealthCheck), print_blob=False
)
@given(damaged(seed_films()))
def test_any_bytes_end_in_pixels_or_in_a_typed_error(data: bytes) -> None:
    film_or_refusal(lambda: read(keep(data)))


@pytest.mark.parametrize("kind", MUTANTS)
def test_damage_by_one_who_knows_the_format_ends_so_too(kind: str, capfd: pytest.CaptureFixture[str]) -> None:
    for number in range(OF_A_KIND):
        data = keep(mutant(kind, SEED, number))
        try:
            film_or_refusal(lambda: read(data, at_least=[None, 8][number % 2]))  # noqa: B023  # called at once
        except Exception as error:
            error.add_note(f"mutant {number} of kind {kind}, seed {SEED}")
            raise
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("kind", MUTANTS)
def test_what_other_libraries_made_of_a_damaged_file_ends_so_too(kind: str) -> None:
    """Images that Pillow has opened, and data sets that pydicom has read, with all that they did not look at yet."""
    opened = 0
    for number in range(OF_A_KIND):
        data = keep(mutant(kind, SEED, number))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                holder: Any = Image.open(BytesIO(data)) if kind in ("png", "jpeg") else dcmread(BytesIO(data))
                if holder.width * holder.height > 64e6 if kind in ("png", "jpeg") else "PixelData" not in holder:
                    continue
            except Exception:  # not ours to judge
                continue
            opened += 1
            film_or_refusal(lambda: read(holder))  # noqa: B023  # called at once
    assert opened > OF_A_KIND / 20
