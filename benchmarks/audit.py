"""Time and memory of the audit on as many films as the RSNA challenge has, the store being built.

The films are phantoms, bent and grained anew so that no two are copies, as JPEG files on disk: headers are read too.

    python benchmarks/audit.py [COUNT]
"""

from __future__ import annotations

import resource
import sys
import tempfile
import time
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from hilum.dataset.audit import audit
from hilum.dataset.importing import import_folder
from hilum.dataset.phantom.film import LABELS, draw_phantom
from hilum.dataset.store.store import build_store
from hilum.radiograph.geometry import Geometry

COUNT, DRAWN, SIDE = 26_684, 200, 224


def bend(film: NDArray[np.uint8], random: np.random.Generator) -> NDArray[np.uint8]:
    """Another patient, as far as pixels go."""
    y, x = np.mgrid[:SIDE, :SIDE].astype(np.float32)
    shift = cv2.resize(random.normal(0, 6, (5, 5, 2)).astype(np.float32), (SIDE, SIDE), interpolation=cv2.INTER_CUBIC)
    bent = cv2.remap(film, x + shift[..., 0], y + shift[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)
    return np.asarray(np.clip(bent + random.normal(0, 3, bent.shape), 0, 255), np.uint8)


def write_films(folder: Path, count: int) -> None:
    random = np.random.default_rng(3)
    square = Geometry("squash", SIDE, SIDE)
    for number in range(DRAWN):
        label = LABELS[number % 3]
        drawn = square.apply(draw_phantom(number, label, 256).pixels.astype(np.float32) / np.float32(255))
        (folder / label).mkdir(parents=True, exist_ok=True)
        for copy in range(number, count, DRAWN):
            cv2.imwrite(str(folder / label / f"{copy}.jpg"), bend(drawn, random), [cv2.IMWRITE_JPEG_QUALITY, 85])


def main(count: int) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        write_films(folder / "films", count)
        manifest, _, _ = import_folder(folder / "films", "folder")
        store = build_store(manifest, Geometry("squash", SIDE, SIDE), folder / "stores")
        start = time.perf_counter()
        report, _ = audit(manifest, store)
        seconds = time.perf_counter() - start
        megabytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
        print(f"audit of {report.films:,} films: {seconds:.0f} s, peak memory {megabytes:,} MB")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else COUNT)
