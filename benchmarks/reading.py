"""Images a second from full-size JPEG files to float32 grey levels: hilum against plain Pillow, in one run.

Pillow does what people write by hand: open, convert to grey, to an array, to float in [0, 1]; at 224 px it resizes the
grey picture before. hilum at 224 px is `read(at_least=224)` and the geometry that training and predicting use. Both
read the same files from the disk cache in one process, in turn; the figures are medians over the rounds.

    python benchmarks/reading.py [FOLDER]     films to read; without it, films of Kermany's sizes are drawn
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from hilum import read
from hilum.radiograph.geometry import Geometry

ROUNDS = 7
SQUARE = Geometry("squash", 224, 224)
REAL = Path(__file__).parents[2] / "shared" / "data" / "kermany-original"
# Widths and heights across the range of Kermany's originals, 0.5 to 6 megapixels.
SIZES = [(1040, 600), (1300, 900), (1500, 1100), (1858, 1317), (2090, 1858), (2534, 2111)]


def pillow(path: Path) -> NDArray[np.float32]:
    with Image.open(path) as picture:
        return np.asarray(picture.convert("L"), dtype=np.float32) / np.float32(255)


def pillow_224(path: Path) -> NDArray[np.float32]:
    with Image.open(path) as picture:
        small = picture.convert("L").resize((224, 224), Image.Resampling.BILINEAR)
        return np.asarray(small, dtype=np.float32) / np.float32(255)


def hilum_224(path: Path) -> NDArray[np.uint8]:
    return SQUARE.apply(read(path, at_least=SQUARE.at_least).pixels)


def draw_films(folder: Path) -> None:
    for number in range(24):
        noise = Image.effect_noise((320, 240), 40).resize(SIZES[number % len(SIZES)], Image.Resampling.BICUBIC)
        noise.convert("RGB" if number % 5 == 0 else "L").save(folder / f"{number}.jpeg", quality=90)


def seconds(reader: Callable[[Path], object], paths: list[Path]) -> float:
    start = time.perf_counter()
    for path in paths:
        reader(path)
    return time.perf_counter() - start


def compare(paths: list[Path]) -> None:
    readers: dict[str, Callable[[Path], object]] = {
        "pillow, full size": pillow,
        "hilum, full size": read,
        "hilum, at_least=224": lambda path: read(path, at_least=224),
        "pillow, 224 x 224": pillow_224,
        "hilum, 224 x 224": hilum_224,
    }
    for reader in readers.values():
        seconds(reader, paths)  # warms the disk cache and the code
    times: dict[str, list[float]] = {name: [] for name in readers}
    for _ in range(ROUNDS):
        for name, reader in readers.items():
            times[name].append(seconds(reader, paths))
    print(f"{len(paths)} films, median of {ROUNDS} rounds")
    for name in readers:
        rate = len(paths) / statistics.median(times[name])
        peer = "pillow, 224 x 224" if name.endswith("224 x 224") else "pillow, full size"
        ratio = statistics.median(a / b for a, b in zip(times[peer], times[name], strict=True))
        print(f"{name:20} {rate:7.1f} images/s   {ratio:5.2f} x {peer}")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as drawn:
        folder = Path(sys.argv[1]) if len(sys.argv) > 1 else REAL
        if not folder.is_dir():
            folder = Path(drawn)
            draw_films(folder)
        compare(sorted(folder.rglob("*.jp*g")))
