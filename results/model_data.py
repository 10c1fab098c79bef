"""The data that the shipped models are trained, chosen and judged on, from three public sets.

    python results/model_data.py FOLDER OUT

OUT gets films.parquet with everything, for the classifier; siim.parquet with SIIM's films, for the detector; and
free.parquet with Kermany's films and those of NIH with NIH's own labels, which come without a non-commercial term.

FOLDER holds kermany-224 (Kermany, Zhang, Goldbaum 2018; CC BY 4.0), siim-covid-256 (SIIM-FISABIO-RSNA COVID-19, 2021;
non-commercial research) and nih-adult-256 (NIH ChestX-ray14 films, free with attribution to the NIH Clinical Center,
893 of them with the classes and boxes of the RSNA challenge, non-commercial).

- Kermany: the official test split is left alone, the rest is split by patient, near duplicates together.
- SIIM: fold 0 is test, fold 1 validation.
- NIH: of the films that RSNA's radiologists judged, a third of the patients is test, drawn by patient and label; their
  names are kept in results/adult-test.csv. No other film of these patients is used. NIH's own labels are mined from
  reports: such a label is called text_normal, text_not_normal or text_pneumonia here, so that a recipe decides on it.
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
from hilum.dataset.split import split_by_patient, split_from_folds
from hilum.dataset.store.store import build_store
from hilum.radiograph.geometry import Geometry

SEED = 1
ADULT_TEST = Path(__file__).with_name("adult-test.csv")


def main() -> None:
    folder, out = Path(sys.argv[1]), Path(sys.argv[2])
    sets = [kermany(folder / "kermany-224"), siim(folder / "siim-covid-256"), nih(folder / "nih-adult-256")]
    made, notices = merge(sets)
    out.mkdir(parents=True, exist_ok=True)
    source, label = pl.col("source"), pl.col("label")
    free = (source == "kermany") | ((source == "nih") & label.str.starts_with("text_"))
    for name, chosen in {"films": pl.lit(True), "siim": source == "siim-covid", "free": free}.items():
        save_manifest(Manifest(made.table.filter(chosen), made.folder), out / f"{name}.parquet")
    for notice in notices:
        print(notice)
    counts = made.table.group_by("source", "label", "split").len().sort("source", "label", "split")
    with pl.Config(tbl_rows=-1):
        print(counts)


def kermany(folder: Path) -> Manifest:
    manifest, _, _ = import_folder(folder, "kermany")
    split, _ = split_by_patient(manifest, seed=SEED, together=copies(manifest))
    return split


def siim(folder: Path) -> Manifest:
    manifest, _, _ = import_folder(folder, "siim-covid")
    split, _ = split_from_folds(manifest, {"fold0": "test", "fold1": "val"})
    # A few films are the same under two patients, in two folds: only one side keeps them.
    rank = pl.col("split").replace_strict({"test": 0, "val": 1, "train": 2}, return_dtype=pl.Int8)
    kept = pl.when(rank == rank.min().over("pixel_digest")).then("split").otherwise(None)
    return Manifest(split.table.with_columns(kept.alias("split")), split.folder)


def nih(folder: Path) -> Manifest:
    manifest, _, _ = import_folder(folder, "nih")
    judged = pl.col("findings").list.eval(pl.element().str.starts_with("rsna:")).list.any()
    by_radiologists = Manifest(manifest.table.filter(judged), manifest.folder)
    split, _ = split_by_patient(by_radiologists, {"train": 0.56, "val": 0.11, "test": 0.33}, seed=SEED)
    tested = split.table.filter(pl.col("split") == "test")
    with ADULT_TEST.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(("image", "rsna_class"))
        writer.writerows(sorted((Path(path).name, label) for path, label in tested.select("path", "label").iter_rows()))
    validated = split.table.filter(pl.col("split") == "val")["patient"].to_list()
    mined = manifest.table.filter(~judged).with_columns(
        pl.concat_str(pl.lit("text_"), pl.col("label")).alias("label"),
        pl.when(pl.col("patient").is_in(tested["patient"].to_list()))
        .then(None)
        .when(pl.col("patient").is_in(validated))
        .then(pl.lit("val"))
        .otherwise(pl.lit("train"))
        .alias("split"),
    )
    return Manifest(pl.concat([split.table, mined]), manifest.folder)


def copies(manifest: Manifest) -> list[list[str]]:
    """Films that an audit holds for the same, which no split may tear apart."""
    findings = audit(manifest, build_store(manifest, Geometry("squash", 224, 224)))[0].findings
    return [list(group) for finding in findings if finding.kind in LINKED for group in finding.groups]


if __name__ == "__main__":
    main()
