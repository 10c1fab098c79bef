"""Whether a bundle tells a child's film from an adult's, or one hospital's from another's.

    python results/patient_group.py BUNDLE FILMS.parquet FOLDER > results/patient-group.csv

Nearly every child that it learned of was a patient of one hospital (Kermany's), so a network may have learned that
hospital's films. It is judged on films that it never saw: Kermany's test films, adults of three other sources, and
patients under 18 of NIH and RSNA, who were photographed where those adults were. FILMS.parquet is what
results/hilum_data.py writes of FOLDER. The group is the likelier one; the shares' intervals are Wilson's.
"""

from __future__ import annotations

import csv
import sys
from pathlib import Path

import numpy as np
import polars as pl

import hilum
from hilum.bundle.predictor import Predictor
from hilum.bundle.reading import Reading
from hilum.dataset.manifest.manifest import load_manifest
from hilum.measures.intervals import share

BANDS = {"under 6": (0, 6), "6 to 11": (6, 12), "12 to 17": (12, 18)}


def main() -> None:
    predictor, films, folder = hilum.load(sys.argv[1]), load_manifest(sys.argv[2]), Path(sys.argv[3])
    never_seen = films.table.filter((pl.col("split") == "test") | pl.col("split").is_null())
    learned = set(films.table.filter(pl.col("split").is_in(["train", "val"]))["patient"])
    mined = pl.read_csv(folder / "nih-adult-256" / "images.csv")
    young = mined.filter((pl.col("age") < 18) & ~pl.col("patient").cast(pl.String).is_in(learned))
    groups: dict[str, tuple[str, list[Path]]] = {}

    def add(name: str, wanted: str, paths: list[Path]) -> None:
        groups[name] = (wanted, paths)

    for source, name, wanted in (
        ("kermany", "Kermany's official test", "child"),
        ("siim-covid", "SIIM fold 0", "adult"),
        ("nih", "NIH adult test, 18 and older", "adult"),
        ("rsna", "RSNA test, 18 and older", "adult"),
    ):
        own = never_seen.filter((pl.col("source") == source) & (pl.col("split") == "test"))
        own = own.filter(pl.col("age").is_null() | (pl.col("age") >= 18))
        add(name, wanted, [films.path(path) for path in own["path"]])
    for band, (low, high) in BANDS.items():
        of_nih = young.filter((pl.col("age") >= low) & (pl.col("age") < high))["image"]
        rsna = never_seen.filter((pl.col("source") == "rsna") & (pl.col("age") >= low) & (pl.col("age") < high))["path"]
        paths = [folder / "nih-adult-256" / name for name in of_nih] + [films.path(path) for path in rsna]
        add(f"NIH and RSNA, {band}", "child", paths)
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(("films_of", "wanted", "films", "right", "share", "low", "high", "median_probability_of_child"))
    for name, (wanted, paths) in groups.items():
        child = np.array(probabilities_of_child(predictor, paths))
        right = share(int(((child >= 0.5) == (wanted == "child")).sum()), len(child), "no films")
        ends = [None if value is None else round(value, 4) for value in (right.value, right.low, right.high)]
        writer.writerow((name, wanted, len(child), right.hits, *ends, round(float(np.median(child)), 4)))
        sys.stdout.flush()


def probabilities_of_child(predictor: Predictor, paths: list[Path]) -> list[float]:
    readings = (reading for reading in predictor.readings(paths) if isinstance(reading, Reading))
    return [float(reading.groups[0]) for reading in readings if reading.groups is not None]


if __name__ == "__main__":
    main()
