"""Sets of phantom films on disk, in the layouts of the real sets, so that tests and a first try need no download."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Literal

import numpy as np
from PIL import Image

from hilum.dataset.phantom.dicom import write_dicom
from hilum.dataset.phantom.film import Phantom, draw_not_normal, draw_phantom
from hilum.system.pictures import write_picture
from hilum.system.rows import write_csv

Layout = Literal["kermany", "rsna", "folder"]
Cells = tuple[object, ...]

KERMANY_SHARES = {"normal": 0.26, "bacterial": 0.48, "viral": 0.26}
KERMANY_KINDS = {"bacterial": "bacteria", "viral": "virus"}
RSNA_SHARES = {"Normal": 0.33, "No Lung Opacity / Not Normal": 0.37, "Lung Opacity": 0.30}
FOLDER_SHARES = {"normal": 0.4, "bacterial": 0.35, "viral": 0.25}
TEST_SHARE = 0.125
FILMS_OF_A_PERSON = {  # the chances of 1, 2, 3 and 4 films
    "normal": (0.9, 0.1, 0.0, 0.0),
    "bacterial": (0.5, 0.28, 0.14, 0.08),
    "viral": (0.6, 0.25, 0.1, 0.05),
}
PLAN, FILE = 1, 2  # keys of the random streams besides those that draw the films


class PhantomError(ValueError):
    """A set of phantoms that cannot be written; one line with what to do."""


def write_phantoms(
    folder: Path,
    count: int,
    layout: Layout = "kermany",
    seed: int = 1,
    size: int = 512,
    on_progress: Callable[[int], None] | None = None,
) -> None:
    """Draw `count` films into an empty folder. A film depends on the seed and its number only, not on `count`."""
    if count < 1:
        raise PhantomError(f"{count} films were asked for; ask for at least one")
    if folder.exists() and any(folder.iterdir()):
        raise PhantomError(f"{folder} already has files; choose an empty folder")
    write = {"kermany": _write_kermany, "rsna": _write_rsna, "folder": _write_folder}[layout]
    for done in write(folder, count, seed, size):
        if on_progress:
            on_progress(done)


@dataclass(frozen=True, slots=True)
class PlannedFilm:
    """A film of a Kermany-like set before it is drawn."""

    label: str
    person: int
    visit: int  # counts the films of a person from 1
    visits: int
    split: str


def planned_films(seed: int) -> Iterator[PlannedFilm]:
    """The endless list of which a set takes the beginning: persons with 1 to 4 films, each in one split."""
    rng = _stream(seed, 0, PLAN)
    films = dict.fromkeys(KERMANY_SHARES, 0)
    tested = dict.fromkeys(KERMANY_SHARES, 0)
    person = 0
    while True:
        person += 1
        label = _due_label(KERMANY_SHARES, films, rng)
        visits = 1 + int(rng.choice(4, p=FILMS_OF_A_PERSON[label]))
        films[label] += visits
        held_out = tested[label] + visits <= TEST_SHARE * films[label] + 0.5
        tested[label] += visits * held_out
        for visit in range(1, visits + 1):
            yield PlannedFilm(label, person, visit, visits, "test" if held_out else "train")


def _due_label(shares: dict[str, float], films: dict[str, int], rng: np.random.Generator) -> str:
    """The label that is most behind its share, so that small sets have the right mix too; a little chance is left."""
    total = sum(films.values()) + 1
    behind = {label: share * total - films[label] + rng.uniform(-0.4, 0.4) for label, share in shares.items()}
    return max(behind, key=behind.__getitem__)


def _labels(seed: int, shares: dict[str, float]) -> Iterator[str]:
    rng = _stream(seed, 0, PLAN)
    films = dict.fromkeys(shares, 0)
    while True:
        label = _due_label(shares, films, rng)
        films[label] += 1
        yield label


def _stream(seed: int, number: int, key: int) -> np.random.Generator:
    return np.random.default_rng(np.random.SeedSequence((seed, number), spawn_key=(9, key)))


def _write_kermany(folder: Path, count: int, seed: int, size: int) -> Iterator[int]:
    for split in ("train", "test"):
        for kind in ("NORMAL", "PNEUMONIA"):
            (folder / split / kind).mkdir(parents=True, exist_ok=True)
    for number, planned in enumerate(islice(planned_films(seed), count)):
        film = draw_phantom((seed, number), planned.label, size)
        kind = "NORMAL" if planned.label == "normal" else "PNEUMONIA"
        _save_jpeg(film, folder / planned.split / kind / _kermany_name(planned, number), _stream(seed, number, FILE))
        yield number + 1


def _kermany_name(planned: PlannedFilm, number: int) -> str:
    if planned.label != "normal":
        return f"person{planned.person}_{KERMANY_KINDS[planned.label]}_{number + 1}.jpeg"
    series = "NORMAL2-IM" if planned.person % 3 == 0 else "IM"
    again = f"-{planned.visit:04d}" if planned.visits > 1 else ""  # how the original names a child's further films
    return f"{series}-{planned.person:04d}-0001{again}.jpeg"


def _write_rsna(folder: Path, count: int, seed: int, size: int) -> Iterator[int]:
    images = folder / "stage_2_train_images"
    images.mkdir(parents=True, exist_ok=True)
    boxes: list[Cells] = []
    classes: list[Cells] = []
    for number, name in enumerate(islice(_labels(seed, RSNA_SHARES), count)):
        rng = _stream(seed, number, FILE)
        patient = str(uuid.UUID(bytes=rng.bytes(16), version=4))
        inverted, bacterial = bool(rng.random() < 0.2), bool(rng.random() < 0.6)
        film = _draw_class(name, bacterial, (seed, number), size)
        write_dicom(images / f"{patient}.dcm", film, number, inverted, rng)
        boxes += [(patient, *map(float, box), 1) for box in film.boxes] or [(patient, "", "", "", "", 0)]
        classes += [(patient, name)] * max(1, len(film.boxes))
        yield number + 1
    _write_table(folder / "stage_2_train_labels.csv", ("patientId", "x", "y", "width", "height", "Target"), boxes)
    _write_table(folder / "stage_2_detailed_class_info.csv", ("patientId", "class"), classes)


def _draw_class(name: str, bacterial: bool, seed: tuple[int, int], size: int) -> Phantom:
    if name == "Lung Opacity":
        return draw_phantom(seed, "bacterial" if bacterial else "viral", size)
    return draw_phantom(seed, "normal", size) if name == "Normal" else draw_not_normal(seed, size)


def _write_folder(folder: Path, count: int, seed: int, size: int) -> Iterator[int]:
    for kind in ("normal", "pneumonia"):
        (folder / kind).mkdir(parents=True, exist_ok=True)
    rows: list[Cells] = []
    for number, label in enumerate(islice(_labels(seed, FOLDER_SHARES), count)):
        rng = _stream(seed, number, FILE)
        film = draw_phantom((seed, number), label, size)
        stem = f"{'normal' if label == 'normal' else 'pneumonia'}/film-{number + 1:04d}"
        form = rng.choice(["jpeg", "png", "deep png"], p=[0.6, 0.25, 0.15])
        image = f"{stem}.jpeg" if form == "jpeg" else f"{stem}.png"
        if form == "jpeg":
            _save_jpeg(film, folder / image, rng)
        elif form == "png":
            write_picture(Image.fromarray(film.pixels), folder / image, durable=False)
        else:
            fine = rng.integers(0, 256, film.pixels.shape, np.uint16)
            deep = Image.fromarray(film.pixels.astype(np.uint16) * np.uint16(256) + fine)
            write_picture(deep, folder / image, durable=False)
        rows += [(image, *box) for box in film.boxes]
        yield number + 1
    _write_table(folder / "boxes.csv", ("image", "x", "y", "width", "height"), rows)


def _save_jpeg(film: Phantom, path: Path, rng: np.random.Generator) -> None:
    quality = int(rng.integers(82, 96))
    write_picture(Image.fromarray(film.pixels), path, "JPEG", durable=False, quality=quality)


def _write_table(path: Path, columns: Cells, rows: Iterable[Cells]) -> None:
    write_csv(path, [columns, *rows])
