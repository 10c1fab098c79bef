"""How soon films of another kind are found, and how seldom films of the same kind are taken for such.

    python results/drift.py MODEL FOLDER KEPT results/drift.csv

MODEL is a bundle; where its card has no axes, they are found on a third of the NIH films, which take no further part.
FOLDER holds kermany-224, siim-covid-256 and nih-adult-256; what the bundle sees of films is kept in KEPT, so that this
can be run again in no time. Baselines are of NIH films drawn by chance, one of each patient; new films are of others.
How films are stored is left out, for the films of each collection have a size of their own.
"""

from __future__ import annotations

import csv
import sys
from collections.abc import Iterator
from dataclasses import asdict, replace
from itertools import chain, product
from pathlib import Path

import numpy as np

import hilum
from hilum.bundle.drift.baseline import FACTS, Axes, DriftCard, fit_axes
from hilum.bundle.drift.comparison import compare
from hilum.bundle.drift.fitting import fit_baseline
from hilum.bundle.drift.monitor import Monitor
from hilum.bundle.drift.traits import Traits, features_of, traits_of_readings
from hilum.bundle.predictor import Predictor
from hilum.bundle.reading import Reading
from hilum.radiograph import Radiograph, read

SEED = 1
SPLITS, OTHERS, STREAMS = 200, 50, 40  # of NIH films, of others, of films one after the other
SETS = ((100, 20), (100, 50), (100, 200), (300, 20), (300, 50))  # films of the baseline, new films
BASELINES, BEFORE = (300, 100), 200  # of streams; films before the change
LONG, PART = 100_000, 2_000  # films made up
FILMS = {"NIH": 1000, "Kermany": 300, "SIIM": 300}
CHANGED = 300  # NIH films that are changed
HEADER = ("what", "films of baseline", "new films", "runs", "share of alarms", "median delay", "90% find it within")


def of_nih(folder: Path) -> list[Path]:
    return _one_each(folder / "nih-adult-256" / "images.csv", folder / "nih-adult-256" / "images")


def of_siim(folder: Path) -> list[Path]:
    return _one_each(folder / "siim-covid-256" / "images.csv", folder / "siim-covid-256" / "images")


def of_kermany(folder: Path) -> list[Path]:
    """A child is known by the number in the name of a pneumonia film; of normal films nothing is known."""
    films = sorted((folder / "kermany-224" / "test").rglob("*.jpeg"))
    return list({path.name.split("_")[0] if "person" in path.name else path.name: path for path in films}.values())


def _one_each(table: Path, images: Path) -> list[Path]:
    with table.open(newline="") as file:
        rows = list(csv.DictReader(file))
    name = next(key for key in ("image", "file", "path") if key in rows[0])
    return [images / Path(path).name for path in {row["patient"]: row[name] for row in rows}.values()]


def contrast(film: Radiograph, factor: float) -> Radiograph:
    middle = float(film.pixels.mean())
    return replace(film, pixels=np.clip(middle + factor * (film.pixels - middle), 0, 1).astype(np.float32))


def looked_at(predictor: Predictor, films: Iterator[Path | Radiograph], doing: str) -> list[Reading]:
    """What the bundle sees, without heatmaps and masks, which nobody needs here."""
    readings = []
    for reading in predictor.readings(films):
        if isinstance(reading, Reading):
            readings.append(replace(reading, heatmaps=None, lungs=None, boxes=None, scores=None))
        if len(readings) % 100 == 0:
            print(f"{doing}: {len(readings)}", file=sys.stderr)
    return readings


def see(predictor: Predictor, folder: Path) -> dict[str, list[Reading]]:
    random = np.random.default_rng(SEED)
    found = {"NIH": of_nih(folder), "Kermany": of_kermany(folder), "SIIM": of_siim(folder)}
    chosen = {name: [films[row] for row in random.permutation(len(films))] for name, films in found.items()}
    chosen = {name: films[: FILMS[name]] for name, films in chosen.items()}
    seen = {name: looked_at(predictor, iter(films), name) for name, films in chosen.items()}
    some = chosen["NIH"][:CHANGED]
    changes = {
        "contrast x 0.6": lambda film: contrast(film, 0.6),
        "contrast x 1.4": lambda film: contrast(film, 1.4),
        "inverted": lambda film: film.inverted(),
    }
    for name, change in changes.items():
        seen[name] = looked_at(predictor, (change(read(path)) for path in some), name)
    return seen


def without_facts(traits: Traits) -> Traits:
    return replace(traits, facts=(("",) * len(FACTS),) * len(traits))


def baseline_of(traits: Traits, axes: Axes) -> DriftCard:
    made = fit_baseline(traits, ["NIH"] * len(traits), axes)
    assert made is not None
    return made


def keep(kept: Path, seen: dict[str, Traits], axes: Axes) -> None:
    arrays = {f"axes|{key}": np.array(value) for key, value in asdict(axes).items()}
    for name, traits in seen.items():
        arrays[f"{name}|numbers"] = traits.numbers
        arrays[f"{name}|patients"] = np.array([patient or "" for patient in traits.patients])
    np.savez(kept, **arrays)


def take_up(kept: Path) -> tuple[dict[str, Traits], Axes]:
    held = np.load(kept, allow_pickle=False)
    names = [name.removesuffix("|numbers") for name in held if name.endswith("|numbers")]
    seen = {
        name: without_facts(
            Traits(tuple(patient or None for patient in held[f"{name}|patients"].tolist()), held[f"{name}|numbers"], ())
        )
        for name in names
    }
    return seen, Axes(**{key.removeprefix("axes|"): held[key].tolist() for key in held if key.startswith("axes|")})


def see_once(model: str, folder: Path, kept: Path) -> None:
    predictor = hilum.load(model)
    card = predictor.card
    readings = see(predictor, folder)
    if card.drift is not None:
        axes = card.drift.axes
    else:
        third = FILMS["NIH"] // 3
        made = fit_axes(features_of(readings["NIH"][-third:]))
        assert made is not None
        axes, readings["NIH"] = made, readings["NIH"][:-third]
    positive = [card.classes.index(name) for name in card.positive]
    keep(kept, {name: traits_of_readings(each, axes, positive) for name, each in readings.items()}, axes)


def sets(seen: dict[str, Traits], axes: Axes) -> Iterator[tuple[object, ...]]:
    """Many films at once against a baseline."""
    random, nih = np.random.default_rng(SEED), seen["NIH"]
    for of_baseline, new in SETS:
        alarms: dict[str, list[bool]] = {name: [] for name in seen}
        for split in range(SPLITS):
            order = random.permutation(len(nih))
            baseline = baseline_of(nih.take(order[:of_baseline]), axes)
            for name, traits in seen.items() if split < OTHERS else [("NIH", nih)]:
                # Films that are changed are those of patients of the baseline or not, as chance has it.
                rest = order[of_baseline:] if name == "NIH" else random.permutation(len(traits))
                alarms[name].append(compare(traits.take(rest[:new]), baseline).alarms)
        for name, each in alarms.items():
            yield f"{name} against NIH", of_baseline, new, len(each), float(np.mean(each)), "", ""


def streams(seen: dict[str, Traits], axes: Axes) -> Iterator[tuple[object, ...]]:
    """One film after the other, NIH films first; a watch that alarms before the change is no finding and left out."""
    for of_baseline, (name, traits) in product(BASELINES, seen.items()):
        random, nih = np.random.default_rng([SEED, of_baseline]), seen["NIH"]
        delays: list[int] = []
        false = 0
        for _ in range(STREAMS):
            order = random.permutation(len(nih))
            monitor = Monitor(baseline_of(nih.take(order[:of_baseline]), axes))
            usual = order[of_baseline:] if name == "NIH" else order[of_baseline : of_baseline + BEFORE]
            if monitor.add(nih.take(usual)) is not None:
                false += 1
            elif name != "NIH":
                alarm = monitor.add(traits.take(random.permutation(len(traits))))
                delays.append(len(traits) + 1 if alarm is None else alarm.film - BEFORE)
        if name == "NIH":
            yield "NIH goes on", of_baseline, len(nih) - of_baseline, STREAMS, false / STREAMS, "", ""
            continue
        found = sum(delay <= len(traits) for delay in delays) / len(delays)
        median, most = (int(np.ceil(np.quantile(delays, share))) for share in (0.5, 0.9))
        yield f"NIH, then {name}", of_baseline, len(traits), len(delays), round(found, 3), median, most


def long(axes: Axes) -> Iterator[tuple[object, ...]]:
    """Films made up of one kind, more than any collection has, each part of them against a baseline of its own."""
    random, columns = np.random.default_rng(SEED), len(DriftCard.names_along(axes))
    mixing = random.normal(size=(columns, columns))
    for of_baseline in BASELINES:
        alarms = 0
        for _ in range(LONG // PART):
            drawn = random.normal(size=(of_baseline + PART, columns)) @ mixing
            films = without_facts(Traits(("adult",) * len(drawn), np.exp(drawn / 4), ()))
            monitor = Monitor(baseline_of(films.take(range(of_baseline)), axes))
            alarms += monitor.add(films.take(range(of_baseline, len(films)))) is not None
        yield f"made-up films, {PART:,} at a time", of_baseline, LONG, LONG // PART, alarms * PART / LONG, "", ""


def main(model: str, folder: Path, kept: Path, table: Path) -> None:
    if not kept.is_file():
        see_once(model, folder, kept)
    seen, axes = take_up(kept)
    rows: list[tuple[object, ...]] = [HEADER]
    for row in chain(sets(seen, axes), streams(seen, axes), long(axes)):
        print(*row, file=sys.stderr)
        rows.append(row)
    with table.open("w", newline="") as file:
        csv.writer(file).writerows(rows)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]), Path(sys.argv[4]))
