"""Silence for the warnings of libraries, where hilum's own say what matters."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

# catch_warnings changes a global, so threads take turns. It is for reading headers, which takes a millisecond.
_LOCK = threading.Lock()


@contextmanager
def quiet() -> Iterator[None]:
    """Within it no library warns: pydicom's warnings can quote a patient's data, Pillow's of odd EXIF help nobody."""
    with _LOCK, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
