"""The data of recipe `hilum`, one network for children and adults, from four public sets: OUT/films.parquet.

    python results/hilum_data.py FOLDER OUT

FOLDER holds what results/model_data.py takes, and rsna-256: films of the RSNA challenge (non-commercial), whole or with
all but the lungs blackened. Kermany, SIIM and the NIH films that RSNA's radiologists judged are split as there, so the
tests of results/ stay tests. Films with NIH's own labels alone, which are mined from reports, stay out.

- RSNA: a fifth of the patients of whole films is test, a tenth validation, drawn by patient and label; the films of the
  test are named in results/rsna-test.csv. Films that show their lungs alone are never test, and follow their patient.
- NIH and RSNA number patients alike, so a patient of any test is in no training and no validation, and none of
  validation is in training, wherever they appear.
"""

from __future__ import annotations

import csv
import sys
from pathlib import Path

import polars as pl
from model_data import SEED, kermany, nih, siim

from hilum.dataset.importing import import_folder
from hilum.dataset.manifest.manifest import Manifest, save_manifest
from hilum.dataset.merge import merge
from hilum.dataset.sources.nih import RSNA_NAMES
from hilum.dataset.split import split_by_patient

RSNA_TEST = Path(__file__).with_name("rsna-test.csv")


def main() -> None:
    folder, out = Path(sys.argv[1]), Path(sys.argv[2])
    adults = apart([judged(nih(folder / "nih-adult-256")), *rsna(folder / "rsna-256")])
    children = without_boxes_where_normal(kermany(folder / "kermany-224"))
    made, notices = merge([of(children, "child"), of(siim(folder / "siim-covid-256"), "adult"), *adults])
    out.mkdir(parents=True, exist_ok=True)
    save_manifest(made, out / "films.parquet")
    for notice in notices:
        print(notice)
    counts = made.table.group_by("source", "label", "split").len().sort("source", "label", "split")
    with pl.Config(tbl_rows=-1):
        print(counts)


def of(manifest: Manifest, group: str | None) -> Manifest:
    """With the column that tells children from adults where no age is known."""
    return Manifest(manifest.table.with_columns(pl.lit(group, pl.String).alias("group")), manifest.folder)


def without_boxes_where_normal(manifest: Manifest) -> Manifest:
    """A normal film has no opacity to draw a box around; of the others nobody drew any."""
    none = pl.when(pl.col("label") == "normal").then(pl.lit([], manifest.table["boxes"].dtype)).otherwise(None)
    return Manifest(manifest.table.with_columns(none.alias("boxes")), manifest.folder)


def judged(manifest: Manifest) -> Manifest:
    """The films that radiologists judged."""
    by_radiologists = pl.col("findings").list.eval(pl.element().str.starts_with("rsna:")).list.any()
    return of(Manifest(manifest.table.filter(by_radiologists), manifest.folder), None)


def rsna(folder: Path) -> list[Manifest]:
    """Whole films, and films with all but their lungs blackened; `study` is the challenge's number of a film."""
    columns = {
        "path": "image",
        "patient": "patient",
        "study": "rsna_id",
        "label": "rsna_class",
        "boxes": "rsna_boxes_xywh_relative",
        "view": "view",
        "sex": "sex",
        "age": "age",
    }
    manifest, _, _ = import_folder(folder / "images.csv", "table", columns=columns, labels=RSNA_NAMES)
    alone = pl.col("path").str.starts_with("lungs/")
    table = manifest.table.with_columns(
        pl.when(alone).then(pl.lit("rsna-lungs")).otherwise(pl.lit("rsna")).alias("source"),
        (pl.col("label") == "lung_opacity").alias("pneumonia"),
    )
    whole = Manifest(table.filter(~alone), manifest.folder)
    split, _ = split_by_patient(whole, {"train": 0.7, "val": 0.1, "test": 0.2}, seed=SEED)
    write_test(split.table)
    lungs, _ = split_by_patient(Manifest(table.filter(alone), manifest.folder), {"train": 0.9, "val": 0.1}, seed=SEED)
    return [of(split, None), of(lungs, None)]


def apart(sets: list[Manifest]) -> list[Manifest]:
    """Films of patients who are on another side in another set leave the lower one: test before val before train."""
    rank = {"test": 0, "val": 1, "train": 2}
    sides: dict[str, str] = {}
    for manifest in sets:
        for patient, split in manifest.table.select("patient", "split").drop_nulls().iter_rows():
            sides[patient] = min(sides.get(patient, "train"), split, key=lambda side: rank[side])
    kept = []
    for manifest in sets:
        side = pl.col("patient").replace_strict(sides, default=None)
        alone = pl.col("source") == "rsna-lungs"
        split = (
            pl.when(pl.col("split") == side)
            .then("split")
            .when(alone & (side != "test"))  # films that show their lungs alone follow their patient
            .then(side)
            .otherwise(None)
        )
        kept.append(Manifest(manifest.table.with_columns(split.alias("split")), manifest.folder))
    return kept


def write_test(table: pl.DataFrame) -> None:
    tested = table.filter(pl.col("split") == "test").select("path", "label").iter_rows()
    with RSNA_TEST.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(("image", "rsna_class"))
        writer.writerows(sorted((Path(path).name, label) for path, label in tested))


if __name__ == "__main__":
    main()
