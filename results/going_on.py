"""What going on from a trained network is worth where a hospital has few films, and what it forgets: CSV.

    python results/going_on.py FILMS.parquet OUT > results/going-on.csv

FILMS.parquet is what results/hilum_data.py writes. The model in the box learned from all sources there are, so none is
a hospital that it never saw: a network of recipe `default` learns here from Kermany's children and from the NIH's
adults (whole films that RSNA's radiologists judged), and goes on, by the recipe `fine-tune` as it is, with films of
SIIM's hospitals. 100, 300 and 1,000 of SIIM's training films, a quarter of them for validation, chosen by patient and
seed, train a network from there and one from ImageNet (recipe `default`, with more epochs where films are few). All are
judged on test films of SIIM and, for what is forgotten, of Kermany and the NIH. Small inputs, so that all of it takes
an hour of one core. Runs that are whole are not trained again. Of several runs the mean AUROC stands in the table, with
its interval of 95% over patients and the lowest and highest run; differences are of the same films.
"""

from __future__ import annotations

import csv
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import torch

import hilum
from hilum.dataset.manifest.manifest import Manifest, load_manifest, save_manifest
from hilum.dataset.store.store import build_store
from hilum.export.material import best_network
from hilum.measures.bootstrap import auroc_measure, bootstrap
from hilum.measures.figure import Floats
from hilum.measures.films.binary import auroc
from hilum.training.run import Run

SIDE, SIZES, SEEDS = 128, (100, 300, 1000), (1, 2, 3)
SMALL = {"input.height": SIDE, "input.width": SIDE}
HOSPITAL, KERMANY, NIH = "siim-covid", "kermany", ("nih", "rsna")
LEARNED = 4000  # films of the other hospitals
MOST_TESTED = 500  # films of a hospital, one of each patient
# About 100, 140 and 240 steps: of recipe default's six epochs a network from ImageNet learns little of 100 films.
EPOCHS = {100: 20, 300: 10, 1000: 5}
ALONE, OTHERS, IMAGENET = "the other hospitals alone", "from the other hospitals", "from ImageNet"


def split_to(manifest: Manifest, path: Path, splits: pl.Expr) -> Path:
    """A manifest of the films that get a split."""
    table = manifest.table.with_columns(splits.alias("split"), pl.lit(None, pl.String).alias("official_split"))
    save_manifest(Manifest(table.filter(pl.col("split").is_not_null()), manifest.folder), path)
    return path


def chosen(table: pl.DataFrame, sources: Sequence[str], films: int, seed: int) -> pl.Series:
    """The split of each film where only so many are at hand: whole patients, in drawn order, a quarter to validate."""
    random = np.random.default_rng([seed, films])
    wanted = (table["source"].is_in(sources) & (table["split"] == "train")).fill_null(value=False).to_numpy()
    names = table["patient"].to_numpy()
    order = random.permutation(np.unique(names[wanted]))
    splits: list[str | None] = [None] * len(table)
    taken = 0
    for number, patient in enumerate(order):
        for row in np.flatnonzero((names == patient) & wanted):
            splits[row] = "val" if number % 4 == 3 else "train"
            taken += 1
        if taken >= films:
            break
    return pl.Series("split", splits, pl.String)


def tests_of(manifest: Manifest) -> dict[str, Manifest]:
    """Test films by where they are from, one of each patient, at most MOST_TESTED and the same ones every time."""
    tests = {}
    for name, sources in {"SIIM": [HOSPITAL], "Kermany": [KERMANY], "NIH": list(NIH)}.items():
        table = manifest.table.filter((pl.col("split") == "test") & pl.col("source").is_in(sources))
        table = table.unique("patient", keep="first", maintain_order=True)
        table = table.sample(min(len(table), MOST_TESTED), seed=0)
        tests[name] = Manifest(table, manifest.folder)
    return tests


def judged(run: Path, name: str, test: Manifest) -> Floats:
    """The chance of pneumonia of each film, kept beside the run."""
    kept = run / f"{name}.npy"
    if not kept.is_file():
        recipe = Run(run).recipe()
        store = build_store(test, recipe.input.to_geometry())
        network, _ = best_network(Run(run), recipe)
        pixels = store.pixels[store.rows(test.table["file_digest"].to_list())]
        with torch.inference_mode():
            parts = [network(torch.from_numpy(pixels[start : start + 32])[:, None].float() / 255).film
                     for start in range(0, len(pixels), 32)]  # fmt: skip
        logits = torch.cat(parts).double()
        np.save(kept, (logits[:, 1:].logsumexp(1) - logits[:, 0]).sigmoid().numpy())
    return np.asarray(np.load(kept))


def trained(manifest: Path, run: Path, **given: Any) -> Path:
    """A run of these films; one that is whole stays, one that was stopped goes on."""
    if not (run / "curves.png").is_file():
        if run.is_dir():
            hilum.train(resume=run, bundle=False)
        else:
            hilum.train(manifest, out=run, bundle=False, **given)
    return run


Learned = tuple[str, int, Path]


def runs_of(manifest: Manifest, out: Path) -> Iterator[Learned]:
    """What a network goes on from, with how many films, and the run; every size once before the next seed."""
    learned = split_to(manifest, out / "others.parquet", pl.lit(chosen(manifest.table, [KERMANY, *NIH], LEARNED, 0)))
    base = trained(learned, out / "others", recipe="default", settings=SMALL | {"phases.0.epochs": 2})
    yield ALONE, 0, base
    for seed in SEEDS:
        for films in SIZES:
            few = split_to(
                manifest, out / f"{films}-{seed}.parquet", pl.lit(chosen(manifest.table, [HOSPITAL], films, seed))
            )
            drawn = {"training.seed": seed}
            yield OTHERS, films, trained(few, out / f"{films}-{seed}-others", start=base, settings=drawn)
            more = drawn | SMALL | {"phases.0.epochs": EPOCHS[films], "training.batch_size": 16}
            yield IMAGENET, films, trained(few, out / f"{films}-{seed}-imagenet", recipe="default", settings=more)


class OfTest:
    """All runs on the test films of one place, resampled together, so that differences are of the same films."""

    def __init__(self, name: str, test: Manifest, runs: Sequence[Learned]) -> None:
        self.name, self.runs = name, runs
        truth, patients = test.table["pneumonia"].to_numpy(), test.table["patient"].to_numpy()
        chances = [judged(run, name, test) for _, _, run in runs]
        self.values = np.array([auroc(chance, truth) for chance in chances])
        self.drawn = bootstrap(patients, [auroc_measure(chance, truth) for chance in chances])

    def of(self, start: str, films: int) -> list[int]:
        """The places of the runs of every seed."""
        return [place for place, (began, size, _) in enumerate(self.runs) if (began, size) == (start, films)]

    def row(self, films: int, start: str, less: str | None = None) -> list[object]:
        """What runs reach, or what they reach more than others."""
        here = self.of(start, films)
        values, drawn, what = self.values[here], self.drawn[:, here].mean(1), start
        if less is not None:
            other = self.of(less, 0 if less == ALONE else films)
            values, drawn = values - self.values[other].mean(), drawn - self.drawn[:, other].mean(1)
            what = f"{start}, less {less}"
        figures = values.mean(), *np.quantile(drawn, [0.025, 0.975]), values.min(), values.max()
        return [self.name, what, films, len(here), *(f"{figure:.4f}" for figure in figures)]

    def rows(self) -> Iterator[list[object]]:
        """The table's."""
        yield self.row(0, ALONE)
        for films in SIZES:
            yield self.row(films, OTHERS)
            yield self.row(films, OTHERS, less=ALONE)
            if self.name == "SIIM":
                yield self.row(films, IMAGENET)
                yield self.row(films, OTHERS, less=IMAGENET)


def main() -> None:
    manifest, out = load_manifest(Path(sys.argv[1])), Path(sys.argv[2])
    out.mkdir(parents=True, exist_ok=True)
    tests = tests_of(manifest)
    runs = []
    for learned in runs_of(manifest, out):
        runs.append(learned)
        for name, test in tests.items():
            judged(learned[-1], name, test)
        print(*learned, file=sys.stderr, flush=True)
    writer = csv.writer(sys.stdout)
    writer.writerow(["judged_on", "start", "films", "runs", "auroc", "low", "high", "lowest_run", "highest_run"])
    for name, test in tests.items():
        writer.writerows(OfTest(name, test, runs).rows())


if __name__ == "__main__":
    main()
