"""The data that the shipped model is trained, chosen and judged on, from four public sets.

    python results/model_data.py FOLDER OUT

OUT gets films.parquet.

FOLDER holds kermany-224 (Kermany, Zhang, Goldbaum 2018; CC BY 4.0), siim-covid-256 (SIIM-FISABIO-RSNA COVID-19, 2021;
non-commercial research), nih-adult-256 (NIH ChestX-ray14 films, free with attribution to the NIH Clinical Center, 893
of them with the classes and boxes of the RSNA challenge, non-commercial) and rsna-256 (films of the RSNA challenge,
whole or with all but the lungs blackened; the same terms).

- Kermany: the official test split is left alone, the rest is split by patient, near duplicates together.
- SIIM: fold 0 is test, fold 1 validation.
- NIH: of the films that RSNA's radiologists judged, a third of the patients is test, drawn by patient and label; their
  names are kept in results/adult-test.csv. Films with NIH's own labels alone, which are mined from reports, stay out.
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

from hilum.dataset.audit import audit
from hilum.dataset.audit.report import LINKED
from hilum.dataset.importing import import_folder
from hilum.dataset.manifest.manifest import Manifest, save_manifest
from hilum.dataset.merge import merge
from hilum.dataset.sources.nih import RSNA_NAMES
from hilum.dataset.split import split_by_patient, split_from_folds
from hilum.dataset.store.store import build_store
from hilum.radiograph.geometry import Geometry

SEED = 1
ADULT_TEST, RSNA_TEST = (Path(__file__).with_name(name) for name in ("adult-test.csv", "rsna-test.csv"))


def main() -> None:
    folder, out = Path(sys.argv[1]), Path(sys.argv[2])
    adults = apart([nih(folder / "nih-adult-256"), *rsna(folder / "rsna-256")])
    made, notices = merge([kermany(folder / "kermany-224"), siim(folder / "siim-covid-256"), *adults])
    out.mkdir(parents=True, exist_ok=True)
    save_manifest(made, out / "films.parquet")
    for notice in notices:
        print(notice)
    counts = made.table.group_by("source", "label", "split").len().sort("source", "label", "split")
    with pl.Config(tbl_rows=-1):
        print(counts)


def kermany(folder: Path) -> Manifest:
    manifest, _, _ = import_folder(folder, "kermany")
    split, _ = split_by_patient(manifest, seed=SEED, together=copies(manifest))
    # A normal film has no opacity to draw a box around; of the others nobody drew any.
    none = pl.when(pl.col("label") == "normal").then(pl.lit([], split.table["boxes"].dtype)).otherwise(None)
    return Manifest(split.table.with_columns(none.alias("boxes"), pl.lit("child").alias("group")), split.folder)


def siim(folder: Path) -> Manifest:
    manifest, _, _ = import_folder(folder, "siim-covid")
    split, _ = split_from_folds(manifest, {"fold0": "test", "fold1": "val"})
    # A few films are the same under two patients, in two folds: only one side keeps them.
    rank = pl.col("split").replace_strict({"test": 0, "val": 1, "train": 2}, return_dtype=pl.Int8)
    kept = pl.when(rank == rank.min().over("pixel_digest")).then("split").otherwise(None)
    return Manifest(split.table.with_columns(kept.alias("split"), pl.lit("adult").alias("group")), split.folder)


def nih(folder: Path) -> Manifest:
    manifest, _, _ = import_folder(folder, "nih")
    judged = pl.col("findings").list.eval(pl.element().str.starts_with("rsna:")).list.any()
    by_radiologists = Manifest(manifest.table.filter(judged), manifest.folder)
    split, _ = split_by_patient(by_radiologists, {"train": 0.56, "val": 0.11, "test": 0.33}, seed=SEED)
    write_test(split.table, ADULT_TEST)
    return grouped(split)


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
    write_test(split.table.filter(split.table["source"] == "rsna"), RSNA_TEST)
    lungs, _ = split_by_patient(Manifest(table.filter(alone), manifest.folder), {"train": 0.9, "val": 0.1}, seed=SEED)
    return [grouped(split), grouped(lungs)]


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


def grouped(manifest: Manifest) -> Manifest:
    """With the column that tells children from adults where no age is known; here it always is."""
    return Manifest(manifest.table.with_columns(pl.lit(None, pl.String).alias("group")), manifest.folder)


def write_test(table: pl.DataFrame, path: Path) -> None:
    tested = table.filter(pl.col("split") == "test").select("path", "label").iter_rows()
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(("image", "rsna_class"))
        writer.writerows(sorted((Path(path).name, label) for path, label in tested))


def copies(manifest: Manifest) -> list[list[str]]:
    """Films that an audit holds for the same, which no split may tear apart."""
    findings = audit(manifest, build_store(manifest, Geometry("squash", 224, 224)))[0].findings
    return [list(group) for finding in findings if finding.kind in LINKED for group in finding.groups]


if __name__ == "__main__":
    main()
