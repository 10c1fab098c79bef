"""Whatever bytes a file holds, reading ends in pixels within [0, 1] or in a ReadError. `make fuzz` does more of it."""

from __future__ import annotations

import os
import time

import numpy as np
from hypothesis import HealthCheck, given, seed, settings
from mutation import damaged, seed_films

from hilum import ReadError, read

EXAMPLES = int(os.environ.get("HILUM_FUZZ_EXAMPLES", "1500"))
SEED = int(os.environ.get("HILUM_FUZZ_SEED", "1"))
LAST_INPUT = os.environ.get("HILUM_FUZZ_LAST_INPUT")  # where the input is kept, should a codec crash the process
LONGEST_SECONDS = 30  # of the processor: a film takes a hundredth of one


@seed(SEED)
@settings(
    max_examples=EXAMPLES, deadline=None, database=None, suppress_health_check=list(HealthCheck), print_blob=False
)
@given(damaged(seed_films()))
def test_any_bytes_end_in_pixels_or_in_a_typed_error(data: bytes) -> None:
    if LAST_INPUT:
        with open(LAST_INPUT, "wb") as file:  # noqa: PTH123
            file.write(data)
    start = time.process_time()
    try:
        pixels = read(data).pixels
    except ReadError as error:
        assert error.detail
        assert "\n" not in str(error)
    else:
        assert pixels.dtype == np.float32
        assert pixels.ndim == 2
        assert np.isfinite(pixels).all()
        assert pixels.min() >= 0
        assert pixels.max() <= 1
    assert time.process_time() - start < LONGEST_SECONDS
