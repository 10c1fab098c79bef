"""How the small copies of Kermany's films were made, and what a bundle that learned from them says of the originals.

    python results/originals.py BUNDLE COPIES ORIGINALS

COPIES and ORIGINALS are folders with NORMAL and PNEUMONIA in them and the same names; what has no copy is left out.
Every original is made small by several filters, with and without the copies' JPEG; the one that leads back to the copy
made it. Prints the tables of docs/test-split.md.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from film_looks import BANDS, NAMES, SIDE, Levels, detail, measured, rounded
from PIL import Image

import hilum
from hilum import Asked
from hilum.bundle.predictor import Predictor
from hilum.evaluation.robustness.changes import as_jpeg

QUALITY = 85


def main() -> None:
    model = hilum.load(sys.argv[1])
    copies, originals = Path(sys.argv[2]), Path(sys.argv[3])
    paths = [path for path in sorted(originals.glob("*/*.jpeg")) if (copies / path.relative_to(originals)).is_file()]
    normal = np.array([path.parent.name == "NORMAL" for path in paths])
    print_encodings(paths)
    films = [np.asarray(Image.open(path).convert("L")) for path in paths]
    copied = np.stack([np.asarray(Image.open(copies / path.relative_to(originals)).convert("L")) for path in paths])
    print(
        "\n| films made small by | difference from the copies (RMS, grey levels) | finest detail, normal | pneumonia |"
    )
    print("|---|---|---|---|\n" + line("the copies themselves", copied, copied, normal))
    for name, shrink in FILTERS.items():
        small = np.stack([shrink(film) for film in films])
        print(line(name, small, copied, normal))
        again = np.stack([rounded(as_jpeg(film / np.float32(255), QUALITY, 0) * 255) for film in small])
        print(line(f"{name}, JPEG {QUALITY}", again, copied, normal), flush=True)
    print_answers(model, films, copied, paths, normal)
    across = [measured(film)[NAMES.index("detail across to down")] for film in copied]
    aspect = [film.shape[1] / film.shape[0] for film in films]
    print(f"\nDetail across to down goes with width by height: r = {np.corrcoef(across, aspect)[0, 1]:.2f}")


def pillow(filter_name: str) -> Callable[[Levels], Levels]:
    by = Image.Resampling[filter_name]
    return lambda film: np.asarray(Image.fromarray(film).resize((SIDE, SIDE), by))


FILTERS: dict[str, Callable[[Levels], Levels]] = {
    "nearest neighbor": pillow("NEAREST"),
    "bilinear without antialiasing": lambda film: rounded(cv2.resize(film, (SIDE, SIDE))),
    "area": lambda film: rounded(cv2.resize(film, (SIDE, SIDE), interpolation=cv2.INTER_AREA)),
    "bilinear, antialiased": pillow("BILINEAR"),
    "bicubic, antialiased": pillow("BICUBIC"),
    "Lanczos, antialiased": pillow("LANCZOS"),
}


def line(name: str, small: Levels, copied: Levels, normal: Any) -> str:
    apart = np.sqrt(((small.astype(float) - copied) ** 2).mean())
    finest = np.array([np.log(detail(film, *BANDS["finest detail"])) for film in small])
    return f"| {name} | {apart:.2f} | {np.median(finest[normal]):.2f} | {np.median(finest[~normal]):.2f} |"


def print_answers(model: Predictor, films: list[Levels], copied: Levels, paths: list[Path], normal: Any) -> None:
    ways = {
        "the copies": model.run(copied).probabilities,
        **{
            f"originals by {name}": model.run(np.stack([shrink(film) for film in films])).probabilities
            for name, shrink in FILTERS.items()
        },
    }
    positive = [number for number, name in enumerate(model.card.classes) if name in model.card.positive]
    point = model.card.point(patient="child")
    ways = {name: p[:, 0] if model.card.groups else p for name, p in ways.items()}
    calls = {name: p[:, positive].sum(1) >= point.threshold for name, p in ways.items()}
    asked = Asked(gate=False, heatmaps=False, patient="child" if model.card.groups else None)
    read_by_hilum = model.stream(paths, asked)
    calls["originals, as hilum reads them"] = np.array([answer.decision == "pneumonia" for answer in read_by_hilum])
    print("\n| films | normal, called pneumonia | pneumonia, called pneumonia |\n|---|---|---|")
    for name, called in calls.items():
        print(f"| {name} | {called[normal].sum()} of {normal.sum()} | {called[~normal].sum()} of {(~normal).sum()} |")


def print_encodings(paths: list[Path]) -> None:
    found: dict[tuple[str, tuple[int, ...]], list[tuple[str, float, int]]] = {}
    for path in paths:
        picture: Any = Image.open(path)
        key = (path.parent.name, tuple(picture.quantization[0][:3]))
        bytes_a_pixel = path.stat().st_size / (picture.width * picture.height)
        found.setdefault(key, []).append((path.name, bytes_a_pixel, picture.width))
    print("| label | first quantization steps | films | bytes a pixel, median | width, median | film |")
    print("|---|---|---|---|---|---|")
    for (label, steps), files in sorted(found.items()):
        middle, width = np.median([size for _, size, _ in files]), np.median([width for *_, width in files])
        only = files[0][0] if len(files) == 1 else ""
        print(f"| {label} | {steps} | {len(files)} | {middle:.3f} | {width:.0f} | {only} |")


if __name__ == "__main__":
    main()
