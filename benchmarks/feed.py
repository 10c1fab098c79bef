"""Augmented images a second, from full-size JPEG films to batches of 32 on the device: hilum's Feed and its peers.

The list is that of the recipe transfer-published: flips both ways, turns of up to 25 degrees, random resized crops of
0.4 to 1.0 in area and 0.5 to 1.5 in ratio, to 224 x 224. All take turns in one process; figures are medians over the
rounds, ratios medians of each round's ratios.

- hilum, from the second epoch on: the films come from the Store. It delivers one channel of floats in [0, 1], because
  hilum's networks repeat and normalize inside, folded into the first convolution where that is possible. The line below
  has that done outside, to three channels, as the peers do it.
- torchvision: ImageFolder, the transforms as published (full-size RGB, turns to the nearest pixel), a DataLoader with
  2 workers.
- DALI as published: the same steps in the same order. DALI at its best: decoded grey and only where the crop is, then
  turned and flipped small. Left out where DALI is not installed.
- hilum's first epoch builds the Store on the way. The line below has the import of the folder in it too, which is done
  once for all stores.

    python benchmarks/feed.py [FOLDER [COUNT]]     class folders of JPEG films, repeated to 1,000 without COUNT
"""

from __future__ import annotations

import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hilum.dataset.importing import import_folder
from hilum.dataset.manifest.manifest import Manifest
from hilum.dataset.store.store import build_store
from hilum.radiograph.geometry import Geometry
from hilum.system.cores import available_cores

if (
    TYPE_CHECKING
):  # torch is imported late, because the store's workers import this file, as they do the `hilum` command
    import torch

    from hilum.training.feed.feed import Feed

ROUNDS, COUNT, BATCH, SIDE = 5, 1000, 32, 224
REAL = Path(__file__).parents[2] / "shared" / "data" / "kermany-original" / "train"
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
ANGLE, AREA, RATIO = 25.0, (0.4, 1.0), (0.5, 1.5)
FIRST = "hilum, first epoch with the store"
Batches = Callable[[], Iterator[Any]]  # the batches of one epoch


def repeat_films(source: Path, folder: Path, count: int) -> None:
    """Class folders of `count` distinct files: the same films again, told apart by bytes after the picture's end."""
    films = sorted(source.rglob("*.jp*g"))
    for number in range(count):
        film = films[number % len(films)]
        path = folder / film.parent.name / f"{number}.jpeg"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(film.read_bytes() + number.to_bytes(4, "big"))


def hilum_feed(manifest: Manifest, stores: Path, device: torch.device) -> Feed:
    import numpy as np

    from hilum.training.feed.examples import Examples
    from hilum.training.feed.feed import Feed, Shown
    from hilum.training.variation.augment import Augmentation

    store = build_store(manifest, Geometry("crop", SIDE, SIDE), stores)
    described = Augmentation(flip_horizontal=0.5, flip_vertical=0.5, rotation=ANGLE, area=AREA, ratio=RATIO)
    films = len(store.digests)
    examples = Examples(np.arange(films), np.zeros(films, np.int64), [""] * films, films)
    return Feed(Shown(store.pixels, examples, described), BATCH, device)


def hilum_batches(feed: Feed, *, three_channels: bool) -> Batches:
    from hilum.network.view import Normalization

    normalization = Normalization(MEAN, STD).to(feed.device)
    epochs = iter(range(10**6))

    def batches() -> Iterator[Any]:
        for batch in feed.batches(next(epochs)):
            yield normalization(batch.films) if three_channels else batch.films

    return batches


def torchvision_batches(folder: Path, device: torch.device) -> Batches:
    from torch.utils.data import DataLoader
    from torchvision import transforms
    from torchvision.datasets import ImageFolder

    steps = transforms.Compose(
        [
            transforms.RandomHorizontalFlip(),
            transforms.RandomVerticalFlip(),
            transforms.RandomRotation(ANGLE),
            transforms.RandomResizedCrop(SIDE, AREA, RATIO),
            transforms.ToTensor(),
            transforms.Normalize(MEAN, STD),
        ]
    )
    loader = DataLoader(ImageFolder(str(folder), steps), BATCH, shuffle=True, num_workers=2)
    return lambda: (films.to(device) for films, _ in loader)


def dali_batches(folder: Path, count: int, device: torch.device, *, published: bool) -> Batches:
    import torch

    dali = import_module("nvidia.dali")
    fn, types, on_gpu = dali.fn, dali.types, device.type == "cuda"
    pipeline = dali.Pipeline(BATCH, available_cores(), 0 if on_gpu else None, seed=1)
    crop: dict[str, Any] = {"random_area": AREA, "random_aspect_ratio": RATIO}
    with pipeline:
        encoded, _ = fn.readers.file(file_root=str(folder), random_shuffle=True)
        how: dict[str, Any] = {"device": "mixed" if on_gpu else "cpu"}
        flips = {"horizontal": fn.random.coin_flip(), "vertical": fn.random.coin_flip()}
        turn: dict[str, Any] = {"angle": fn.random.uniform(range=[-ANGLE, ANGLE]), "keep_size": True, "fill_value": 0}
        if published:
            films = fn.flip(fn.decoders.image(encoded, output_type=types.RGB, **how), **flips)
            films = fn.random_resized_crop(fn.rotate(films, **turn), size=SIDE, **crop)
            mean, std = [255 * value for value in MEAN], [255 * value for value in STD]
        else:
            films = fn.decoders.image_random_crop(encoded, output_type=types.GRAY, **how, **crop)
            films = fn.flip(fn.rotate(fn.resize(films, size=[SIDE, SIDE]), **turn), **flips)
            mean, std = [255 * MEAN[0]], [255 * STD[0]]
        pipeline.set_outputs(
            fn.crop_mirror_normalize(films, dtype=types.FLOAT, mean=mean, std=std, output_layout="CHW")
        )
    pipeline.build()

    def batches() -> Iterator[Any]:
        for _ in range(count // BATCH):
            (films,) = pipeline.run()
            yield torch.from_dlpack(films.as_tensor()) if on_gpu else torch.from_numpy(films.as_array())  # type: ignore[attr-defined]

    return batches


def rate(batches: Batches, device: torch.device) -> float:
    """Images a second over one epoch."""
    import torch

    images, start = 0, time.perf_counter()
    for films in batches():
        images += len(films)
    if device.type == "cuda":
        torch.cuda.synchronize()
    return images / (time.perf_counter() - start)


def first_epoch_rates(folder: Path, scratch: Path, device: torch.device) -> tuple[float, float]:
    start = time.perf_counter()
    manifest, _, _ = import_folder(folder, "folder")
    imported = time.perf_counter()
    images = sum(len(films) for films in hilum_batches(hilum_feed(manifest, scratch, device), three_channels=False)())
    end = time.perf_counter()
    shutil.rmtree(scratch)
    return images / (end - imported), images / (end - start)


def main(source: Path, count: int) -> None:
    import torch

    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    torch.set_num_threads(available_cores())
    with tempfile.TemporaryDirectory() as folder:
        films, scratch = Path(folder) / "films", Path(folder)
        repeat_films(source, films, count)
        feed = hilum_feed(import_folder(films, "folder")[0], scratch / "stores", device)
        runs: dict[str, Batches] = {
            "torchvision": torchvision_batches(films, device),
            "hilum": hilum_batches(feed, three_channels=False),
            "hilum, three channels normalized outside": hilum_batches(feed, three_channels=True),
        }
        with suppress(ImportError):
            runs["DALI as published"] = dali_batches(films, count, device, published=True)
            runs["DALI at its best"] = dali_batches(films, count, device, published=False)
        rates: dict[str, list[float]] = {name: [] for name in (*runs, FIRST, f"{FIRST}, imported too")}
        for number in range(ROUNDS + 1):
            found = {name: rate(batches, device) for name, batches in runs.items()}
            found[FIRST], found[f"{FIRST}, imported too"] = first_epoch_rates(films, scratch / "new", device)
            if number:  # the first round warms up
                for name, value in found.items():
                    rates[name].append(value)
    peers = [name for name in ("torchvision", "DALI at its best") if name in rates]
    print(f"{count} full-size films to batches of {BATCH}, {device.type}, {available_cores()} cores, {ROUNDS} rounds")
    print(f"{'':45} images/s" + "".join(f"{'x ' + peer:>20}" for peer in peers))
    for name, ours in rates.items():
        ratios = [statistics.median(a / b for a, b in zip(ours, rates[peer], strict=True)) for peer in peers]
        print(f"{name:45} {statistics.median(ours):8,.0f}" + "".join(f"{ratio:20.2f}" for ratio in ratios))
    print("hilum delivers grey levels from 0 to 1, as its networks repeat and normalize channels inside")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else REAL, int(sys.argv[2]) if len(sys.argv) > 2 else COUNT)
