"""Whether cutting films to their lungs helps a classifier on hospitals that it never saw, on validation films: CSV.

    python results/lung_crop.py FILMS.parquet OUT > results/lung-crop.csv

FILMS.parquet is what results/hilum_data.py writes. A small network (recipe `default` at 96 px, 3 epochs) learns from
400 films of SIIM's hospitals or of the NIH's, as they are or cut to the lungs that the model in the box finds, and is
judged on 300 validation films of the other; no test film has a say. Films on which no two lungs were found stay
as they are. Mean AUROC over the seeds, its interval of 95% over patients, and the lowest and highest run; differences
are of the same films. Minutes of one core.
"""

from __future__ import annotations

import csv
import sys
from pathlib import Path

import numpy as np
import polars as pl
from going_on import judged, trained
from PIL import Image

import hilum
from hilum.bundle.prediction import Answered
from hilum.dataset.manifest.manifest import Manifest, load_manifest, save_manifest
from hilum.measures.bootstrap import auroc_measure, bootstrap
from hilum.measures.films.binary import auroc
from hilum.output.lungs import box_of_lungs, cut_to_lungs
from hilum.system.files import file_digest

FILMS, VAL_FILMS, JUDGED, SEEDS = 400, 120, 300, (1,)
SMALL = {"input.height": 96, "input.width": 96, "phases.0.epochs": 3, "training.batch_size": 16}
HOSPITALS = {"SIIM": ["siim-covid"], "NIH": ["nih", "rsna"]}
WHOLE, CUT = "whole films", "cut to the lungs"


def chosen(manifest: Manifest, sources: list[str]) -> pl.DataFrame:
    """Films of one hospital, one a patient, as many with pneumonia as without; judged ones are of validation, too."""
    table = manifest.table.filter(pl.col("source").is_in(sources) & pl.col("pneumonia").is_not_null())
    table = table.unique("patient", keep="first", maintain_order=True)
    parts = []
    for split, films in (("train", FILMS), ("val", VAL_FILMS + JUDGED)):
        for sick in (False, True):
            kind = table.filter((pl.col("split") == split) & (pl.col("pneumonia") == sick))
            parts.append(kind.sample(min(films // 2, len(kind)), seed=0, shuffle=True))
    return pl.concat(parts)


def rewritten(manifest: Manifest, table: pl.DataFrame, folder: Path) -> dict[str, Manifest]:
    """The same films as PNG, as they are and cut; a folder that is there is taken as it is."""
    model, tables = hilum.load("default"), {WHOLE: [], CUT: []}
    for place, path in enumerate(table["path"]):
        files = {way: folder / way.replace(" ", "-") / f"{place}.png" for way in tables}
        if not all(file.is_file() for file in files.values()):
            film = hilum.read(manifest.path(path))
            answer = model.predict(film, hilum.Asked(gate=False))
            box = box_of_lungs(answer) if isinstance(answer, Answered) else None
            for way, file in files.items():
                file.parent.mkdir(parents=True, exist_ok=True)
                whole = way == WHOLE or box is None
                Image.fromarray(cut_to_lungs(film.pixels, (0, 0, 1, 1) if whole else box)).save(file)
        for way, file in files.items():
            width, height = Image.open(file).size
            digest = file_digest(file)
            tables[way].append((str(file.relative_to(folder)), digest, digest, height, width))
    return {way: Manifest(_with_files(table, rows), folder) for way, rows in tables.items()}


def _with_files(table: pl.DataFrame, rows: list[tuple[str, str, str, int, int]]) -> pl.DataFrame:
    names = ("path", "file_digest", "pixel_digest", "height", "width")
    columns = [
        pl.Series(name, values, table[name].dtype) for name, values in zip(names, zip(*rows, strict=True), strict=True)
    ]
    plain = [
        pl.lit("png").alias("format"),
        pl.lit("L").alias("mode"),
        pl.lit(None, table["boxes"].dtype).alias("boxes"),
    ]
    return table.with_columns(*columns, *plain)


def main() -> None:
    manifest, out = load_manifest(Path(sys.argv[1])), Path(sys.argv[2])
    films: dict[str, dict[str, Manifest]] = {}
    for name, sources in HOSPITALS.items():
        films[name] = rewritten(manifest, chosen(manifest, sources), out / name)
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(
        ["learned_from", "judged_on", "films", "way", "runs", "auroc", "low", "high", "lowest_run", "highest_run"]
    )
    for learned, other in (("SIIM", "NIH"), ("NIH", "SIIM")):
        values, measures, truth, patients = [], [], np.empty(0), np.empty(0)
        for way in (WHOLE, CUT):
            apart = films[learned][way].table
            val = np.cumsum(apart["split"] == "val") % ((VAL_FILMS + JUDGED) // VAL_FILMS) == 1
            kept = apart.filter((pl.col("split") == "train") | (pl.Series(val) & (pl.col("split") == "val")))
            file = out / f"{learned}-{way.replace(' ', '-')}.parquet"
            save_manifest(Manifest(kept, films[learned][way].folder), file)
            table = films[other][way].table.filter(pl.col("split") == "val")
            test = Manifest(table.sample(min(JUDGED, len(table)), seed=0), films[other][way].folder)
            truth, patients = test.table["pneumonia"].to_numpy(), test.table["patient"].to_numpy()
            for seed in SEEDS:
                run = out / f"run-{learned}-{way.replace(' ', '-')}-{seed}"
                chance = judged(
                    trained(file, run, recipe="default", settings=SMALL | {"training.seed": seed}), other, test
                )
                values.append(auroc(chance, truth))
                measures.append(auroc_measure(chance, truth))
                print(learned, other, way, seed, values[-1], file=sys.stderr, flush=True)
        drawn, found, count = bootstrap(patients, measures), np.array(values), len(SEEDS)
        for way, here, of in (
            (WHOLE, found[:count], drawn[:, :count].mean(1)),
            (CUT, found[count:], drawn[:, count:].mean(1)),
            (
                f"{CUT}, less {WHOLE}",
                found[count:] - found[:count],
                drawn[:, count:].mean(1) - drawn[:, :count].mean(1),
            ),
        ):
            cells = here.mean(), *np.quantile(of, [0.025, 0.975]), here.min(), here.max()
            writer.writerow([learned, other, len(truth), way, count, *(f"{cell:.4f}" for cell in cells)])
        sys.stdout.flush()


if __name__ == "__main__":
    main()
