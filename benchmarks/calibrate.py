"""Fitting a bundle to films that were judged already: from their file to the card, with figures and intervals.

python benchmarks/calibrate.py [FILMS]
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from hilum.bundle.onnx_file import DIGEST, parse_card, read_model
from hilum.bundle.shipped import find_bundle
from hilum.evaluation.predictions import PASSED, Predictions, load_predictions, save_predictions
from hilum.export.local.carded import local_card
from hilum.export.local.films import LocalFilms
from hilum.export.local.outcome import Wish, fit_bundle
from hilum.measures.figure import Floats
from hilum.radiograph.patient import PATIENTS


def main(films: int) -> None:
    metadata = read_model(find_bundle("default"))
    card = parse_card(metadata, "default")
    with TemporaryDirectory() as folder:
        path = Path(folder) / "predictions.csv"
        save_predictions(drawn(films, tuple(card.classes)), path)
        start = time.perf_counter()
        said = load_predictions(path)
        read = time.perf_counter() - start
        seen = LocalFilms("films", "all", "0" * 32, "made up", said, (), tuple(said.patients.tolist()), ())
        local_card(fit_bundle(card, metadata[DIGEST], seen, Wish()))
        whole = time.perf_counter() - start
    print(f"{films:,} films judged before, of two groups: {whole:.1f} s, of which {read:.1f} s read their file")


def drawn(films: int, classes: tuple[str, ...]) -> Predictions:
    """Films of half as many patients, a fifth of them with pneumonia, that a bundle is too sure of."""
    random = np.random.default_rng(1)
    truth = random.random(films) < 0.2
    odds = 2 * (random.normal(size=films) + 3 * truth)
    chance = 1 / (1 + np.exp(-odds))
    shares: Floats = np.stack([(1 - chance) / 2, (1 - chance) / 2, chance / 2, chance / 2], axis=1)
    return Predictions(
        name="films",
        classes=classes,
        thresholds=np.full(films, 0.5),
        paths=tuple(f"film{number}.png" for number in range(films)),
        digests=("0" * 32,) * films,
        patients=random.integers(1, films // 2, films),
        labels=("",) * films,
        truth=truth,
        targets=np.full(films, -1),
        probability=chance,
        class_probabilities=shares,
        gate=(PASSED,) * films,
        patient_groups=tuple(PATIENTS[number] for number in random.integers(0, 2, films)),
    )


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 10_000)
