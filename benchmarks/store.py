"""Full-size JPEG films to 224 x 224: building hilum's store against torchvision's usual path, in one run.

The peer is what notebooks do: ImageFolder and a DataLoader with 2 workers, Resize(224), CenterCrop(224), ToTensor. Both
go once over the same files from the disk cache; hilum uses all cores and writes the result to disk. Then the time to
open a finished store of 5,856 films. Medians over the rounds.

    python benchmarks/store.py [FOLDER]     class folders of JPEG films, repeated to 1,000
"""

from __future__ import annotations

import shutil
import statistics
import sys
import tempfile
import time
from io import BytesIO
from pathlib import Path

from PIL import Image

from hilum.dataset.importing import import_folder
from hilum.dataset.manifest.manifest import Manifest
from hilum.dataset.store.store import build_store
from hilum.radiograph.geometry import Geometry
from hilum.system.cores import available_cores

ROUNDS, FILMS, OPENED = 5, 1000, 5856
REAL = Path(__file__).parents[2] / "shared" / "data" / "kermany-original" / "train"
GEOMETRY = Geometry("crop", 224, 224)


def repeat_films(source: Path, folder: Path, count: int) -> None:
    """Class folders of `count` distinct files: the same films again, told apart by bytes after the picture's end."""
    films = sorted(source.rglob("*.jp*g"))
    for number in range(count):
        film = films[number % len(films)]
        path = folder / film.parent.name / f"{number}.jpeg"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(film.read_bytes() + number.to_bytes(4, "big"))


def torchvision_seconds(folder: Path) -> float:
    # imported here, because the store's workers import this file, as they do the `hilum` command
    from torch.utils.data import DataLoader
    from torchvision import transforms
    from torchvision.datasets import ImageFolder

    steps = transforms.Compose([transforms.Resize(224), transforms.CenterCrop(224), transforms.ToTensor()])
    loader = DataLoader(ImageFolder(str(folder), steps), batch_size=64, num_workers=2)
    start = time.perf_counter()
    for _ in loader:
        pass
    return time.perf_counter() - start


def store_seconds(manifest: Manifest, stores: Path) -> float:
    start = time.perf_counter()
    build_store(manifest, GEOMETRY, stores)
    seconds = time.perf_counter() - start
    shutil.rmtree(stores)
    return seconds


def opening_seconds(folder: Path) -> float:
    """From a call to a mapped array, for as many films as Kermany's set has."""
    films = folder / "small"
    for number in range(OPENED):
        path = films / ("normal" if number % 2 else "pneumonia") / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(TINY_PNG + number.to_bytes(4, "big"))
    manifest, _, _ = import_folder(films, "folder")
    build_store(manifest, Geometry("squash", 224, 224), folder / "opened")
    times = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        build_store(manifest, Geometry("squash", 224, 224), folder / "opened")
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def tiny_png() -> bytes:
    stream = BytesIO()
    Image.new("L", (16, 16), 90).save(stream, "PNG")
    return stream.getvalue()


TINY_PNG = tiny_png()


def main(source: Path) -> None:
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        repeat_films(source, scratch / "films", FILMS)
        manifest, _, _ = import_folder(scratch / "films", "folder")
        torchvision_seconds(scratch / "films")  # warms the disk cache
        times: list[tuple[float, float]] = []
        for _ in range(ROUNDS):
            times.append((torchvision_seconds(scratch / "films"), store_seconds(manifest, scratch / "stores")))
        peer, ours = (statistics.median(column) for column in zip(*times, strict=True))
        ratio = statistics.median(theirs / mine for theirs, mine in times)
        print(f"{FILMS} full-size films to 224 x 224, median of {ROUNDS} rounds, {available_cores()} cores")
        print(f"torchvision, 2 workers  {FILMS / peer:7.1f} images/s")
        print(f"hilum, store built      {FILMS / ours:7.1f} images/s   {ratio:5.2f} x torchvision")
        print(f"opening a finished store of {OPENED:,} films: {opening_seconds(scratch) * 1000:.1f} ms")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else REAL)
