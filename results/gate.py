"""What a bundle's gate turns away, and what it lets pass: a table for people and one in CSV.

Pictures that are no upright frontal chest films should all be turned away: photographs out of scikit-image,
scikit-learn and matplotlib (in color, as grey pictures, and as grey details), slices and test pictures of pydicom,
hip and limb films, noise, blank pictures, pages of text, and films turned or inverted. Films that nobody learned from
should pass; those that the bundle names as its own training or validation films are left out. Lateral films and
coronal slices of DATA/lateral that the bundle may have learned from are judged by gates of its run that did not: see
gate_left_out.py. Shares have 95% intervals (Wilson).

    python results/gate.py BUNDLE [DATA] [--run RUN] [--csv FILE] [--films N]

DATA holds kermany-224, nih-adult-256, ...; RUN is what the bundle was exported from.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import data_store
import matplotlib
import numpy as np
import pydicom
import skimage
import sklearn
from gate_left_out import left_out
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

import hilum
from hilum import Radiograph, read
from hilum.bundle.card import DataCard
from hilum.bundle.predictor import Predictor
from hilum.bundle.reading import Reading, Verdict
from hilum.measures.intervals import wilson
from hilum.radiograph.errors import ReadError

Grey = NDArray[np.floating]
TURNS = {"turned by 90": -1, "turned by 180": 2, "turned by 270": 1}  # clockwise, as np.rot90 counts them
WORDS = [
    *("patient", "film", "chest", "lung", "opacity", "right", "left", "report"),
    *("normal", "heart", "lower", "of"),
]
CHEST, NO_CHEST = ("RG1_", "test1"), ("RG2_", "RG3_")  # in the names of DICOM test films
INVERTED = "MONOHR1"


class Line(NamedTuple):
    """One group of pictures and what became of them."""

    group: str
    should: str  # "turn away" or "pass"
    pictures: int
    turned_away: int
    share: float
    low: float
    high: float
    reasons: str
    median_distance: float


def main() -> None:
    parser = argparse.ArgumentParser(description="What a bundle's gate turns away, and what it lets pass.")
    parser.add_argument("bundle", type=Path)
    parser.add_argument("data", type=Path, nargs="?")
    parser.add_argument("--csv", type=Path)
    parser.add_argument("--films", type=int, default=300, help="at most, of each source of films")
    parser.add_argument("--run", type=Path, help="the run that the bundle was exported from")
    given = parser.parse_args()
    if given.run is not None and given.data is None:
        parser.error("--run judges DATA/lateral; name DATA")
    lines = []
    print(
        f"{'group':64} {'should':10} {'pictures':>8} {'away':>6} {'share':>7} {'interval':>14} {'distance':>8}  reasons"
    )
    for line in judged(hilum.load(given.bundle), given.data, given.films, given.run):
        lines.append(line)
        print(
            f"{line.group:64} {line.should:10} {line.pictures:8} {line.turned_away:6} {line.share:7.1%} "
            f"{line.low:6.1%} {line.high:6.1%} {line.median_distance:8.2f}  {line.reasons}",
            flush=True,
        )
    if given.csv:
        with given.csv.open("w", newline="", encoding="utf-8") as file:
            table = csv.writer(file, lineterminator="\n")
            table.writerow(Line._fields)
            table.writerows(
                line._replace(share=round(line.share, 4), low=round(line.low, 4), high=round(line.high, 4))
                for line in lines
            )


def judged(model: Predictor, data: Path | None, most: int, run: Path | None) -> Iterator[Line]:
    for should, group, pictures in groups(model, data, most):
        verdicts = [seen.gate for seen in model.readings(pictures) if isinstance(seen, Reading)]
        if verdicts:
            yield line_of(group, should, verdicts)
        else:
            print(f"{group}: none found", file=sys.stderr)
    if data is not None and run is not None:
        for group, verdicts in left_out(run, data / "lateral"):
            yield line_of(group, "turn away", verdicts)
    elif data is not None:
        for name, pattern in (("lateral films", "l-*.jpg"), ("coronal slices", "coronal-*.jpg")):
            pictures = readable(sorted((data / "lateral").glob(pattern)))
            yield line_of(
                name, "turn away", [seen.gate for seen in model.readings(pictures) if isinstance(seen, Reading)]
            )


def line_of(group: str, should: str, verdicts: list[Verdict]) -> Line:
    reasons = Counter(verdict.reason for verdict in verdicts if verdict.reason)
    distances = [verdict.distance for verdict in verdicts if verdict.distance is not None]
    away = sum(reasons.values())
    why = ", ".join(f"{reason} {count}" for reason, count in reasons.most_common())
    median = round(float(np.median(distances)), 3) if distances else float("nan")
    return Line(group, should, len(verdicts), away, away / len(verdicts), *wilson(away, len(verdicts)), why, median)


def groups(model: Predictor, data: Path | None, most: int) -> Iterator[tuple[str, str, Iterable[Radiograph]]]:
    random = np.random.default_rng(1)
    photographs = list(readable(photograph_files()))
    yield "turn away", "photographs", photographs
    yield "turn away", "photographs, grey", [grey(photo.pixels) for photo in photographs]
    details = [detail for photo in photographs for detail in details_of(photo.pixels, 8, random)]
    yield "turn away", "details of photographs, grey", details
    yield "turn away", "noise", [grey(noise(number, random)) for number in range(60)]
    yield "turn away", "blank, slopes, simple shapes", [grey(picture) for picture in simple_pictures()]
    yield "turn away", "pages of text", [grey(page(number, random)) for number in range(40)]
    dicom = distinct(dicom_files(data))
    yield (
        "turn away",
        "DICOM: CT, MR, ultrasound, test pictures",
        pixels_of(dicom, without=(*CHEST, *NO_CHEST, INVERTED)),
    )
    yield "turn away", "DICOM: hip and limb films", pixels_of(dicom, NO_CHEST)
    yield "turn away", "DICOM: chest film that comes out inverted", pixels_of(dicom, (INVERTED,))
    yield "pass", "DICOM: chest films", pixels_of(dicom, CHEST)
    if data is None:
        return
    for source, folder, pattern in (
        ("Kermany test, children", "kermany-224/test", "*/*.jpeg"),
        ("NIH, adults", "nih-adult-256/images", "*.jpg"),
        ("SIIM-COVID, adults", "siim-covid-256/images", "*.jpg"),
        ("Kermany in original size, children", "kermany-original", "*/*/*.jpeg"),
        ("RSNA", "rsna-256/images", "*.jpg"),
        ("RSNA, DICOM", "rsna-mini/stage_2_train_images", "*.dcm"),
    ):
        films = held_out(sorted((data / folder).glob(pattern)), model.card.data, most)
        yield "pass", source, readable(films)
        some = films[: most // 3]
        for state, turns in TURNS.items():
            yield "turn away", f"{source}, {state}", (grey(np.rot90(film.pixels, turns)) for film in readable(some))
        yield "turn away", f"{source}, inverted", (grey(1 - film.pixels) for film in readable(some))


def photograph_files() -> list[Path]:
    folders = [Path(str(package.__file__)).parent for package in (skimage, sklearn, matplotlib)]
    found = [
        path for folder in folders for path in sorted(folder.rglob("*")) if "test" not in str(path.relative_to(folder))
    ]
    return [path for path in found if path.suffix in (".png", ".jpg", ".jpeg") and "mpl-data/images" not in str(path)]


def dicom_files(data: Path | None) -> list[Path]:
    folders = [Path(pydicom.__file__).parent / "data/test_files", Path(data_store.__file__).parent / "data"]
    return [
        path for folder in (*folders, *([data / "dicom"] if data else [])) for path in sorted(folder.rglob("*.dcm"))
    ]


def readable(paths: Iterable[Path]) -> Iterator[Radiograph]:
    """Those that can be read; what cannot is another command's matter."""
    for path in paths:
        try:
            yield read(path)
        except ReadError:
            continue


def distinct(paths: Iterable[Path]) -> dict[str, Radiograph]:
    """Each picture once, by its file's name: the test files hold the same one in many encodings."""
    found: dict[bytes, tuple[str, Radiograph]] = {}
    for path in paths:
        for film in readable([path]):
            small = Image.fromarray(np.rint(film.pixels * 255).astype(np.uint8)).resize((16, 16)).tobytes()
            found.setdefault((np.frombuffer(small, np.uint8) // 32).tobytes(), (path.name, film))
    return dict(found.values())


def pixels_of(
    films: dict[str, Radiograph], having: tuple[str, ...] = ("",), without: tuple[str, ...] = ()
) -> list[Radiograph]:
    return [
        film
        for name, film in films.items()
        if any(part in name for part in having) and not any(part in name for part in without)
    ]


def held_out(paths: list[Path], data: DataCard, most: int) -> list[Path]:
    """Some of the films that the bundle was not made from, the same ones every time."""
    order = np.random.default_rng(2).permutation(len(paths))
    unseen = (
        paths[place]
        for place in order
        if data.holds(hashlib.blake2b(paths[place].read_bytes(), digest_size=16).hexdigest()) is None
    )
    return list(islice(unseen, most))


def grey(pixels: Grey) -> Radiograph:
    height, width = pixels.shape
    return Radiograph(np.ascontiguousarray(pixels, np.float32), "png", "PNG", "L", 8, height, width)


def details_of(pixels: Grey, count: int, random: np.random.Generator) -> Iterator[Radiograph]:
    height, width = pixels.shape
    for _ in range(count):
        columns = int(width * random.uniform(0.3, 1))
        rows = min(height, int(columns * random.uniform(0.7, 1.4)))
        top, left = random.integers(height - rows + 1), random.integers(width - columns + 1)
        if min(rows, columns) >= 64:
            yield grey(pixels[top : top + rows, left : left + columns])


def noise(number: int, random: np.random.Generator) -> Grey:
    shape, kind = (256, 256), number % 5
    if kind == 0:
        return random.random(shape)
    if kind == 1:
        return np.clip(random.normal(0.5, random.uniform(0.05, 0.3), shape), 0, 1)
    if kind == 2:
        levels = random.poisson(random.uniform(1, 30), shape)
        return np.asarray(levels / levels.max())
    if kind == 3:
        return np.asarray(random.random(shape) < random.uniform(0.02, 0.98), np.float32)
    coarse = Image.fromarray((random.random((int(random.integers(4, 30)),) * 2) * 255).astype(np.uint8))
    return np.asarray(coarse.resize(shape, Image.Resampling.BICUBIC), np.float32) / 255


def simple_pictures() -> Iterator[Grey]:
    y, x = np.mgrid[:256, :256] / 255.0
    yield from (np.full((256, 256), level) for level in np.linspace(0, 1, 9))
    yield from (x, y, 1 - x, 1 - y, (x + y) / 2)
    distance = np.hypot(x - 0.5, y - 0.5)
    yield from (np.where(distance < 0.4, 0.8, 0.1), np.clip(1 - 2 * distance, 0, 1), np.clip(2 * distance, 0, 1))
    yield np.where((abs(x - 0.5) < 0.3) & (abs(y - 0.5) < 0.35), 0.7, 0.0)


def page(number: int, random: np.random.Generator) -> Grey:
    width, height = (int(side) for side in random.integers(500, 1400, 2))
    dark = number % 3 == 0
    sheet = Image.new("L", (width, height), 0 if dark else 255)
    draw, size = ImageDraw.Draw(sheet), int(random.integers(10, 36))
    font = ImageFont.load_default(size)
    for top in range(height // 20, int(height * random.uniform(0.5, 1.1)), int(size * 1.4)):
        words = random.choice(WORDS, int(random.integers(2, max(3, width // (size * 4)))))
        draw.text((width * 0.08, top), " ".join(words), fill=255 if dark else 0, font=font)
    return np.asarray(sheet, np.float32) / 255


if __name__ == "__main__":
    main()
