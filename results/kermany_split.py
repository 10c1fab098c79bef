"""What sets the official test films of Kermany's set apart from the others, and what moves a bundle's answers.

    python results/kermany_split.py BUNDLE MANIFEST

Prints the tables of docs/test-split.md. Normal films are named IM-0001-... or NORMAL2-IM-0001-..., and the test split
holds the lowest numbers of both: FIRST is where the films of the second series change their looks within the test
split, ODD a stretch of the training films that looks alike. Both were found by looking at the very films that are
counted here.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
import polars as pl
import torch
from film_looks import BANDS, NAMES, SIDE, Floats, Levels, changes, measured, rounded, smoothed, stretched
from numpy.typing import NDArray
from scipy.stats import spearmanr
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import GroupKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import hilum
from hilum import read
from hilum.bundle.predictor import Predictor
from hilum.dataset.manifest.manifest import load_manifest
from hilum.network import create_network

Bools = NDArray[np.bool_]
FIRST, ODD = 250, (705, 772)
PROCESSING = (*BANDS, "grey levels used", "99th percentile", "white", "entropy", "file bytes")
SPECIFIC = 0.975  # what every judge is set to on the normal films of validation


class Films(NamedTuple):
    levels: Levels
    normal: Bools
    split: NDArray[np.str_]
    second: Bools  # of the series NORMAL2
    number: NDArray[np.int64]
    patients: NDArray[np.str_]
    statistics: dict[str, Floats]
    probability: Floats

    @property
    def groups(self) -> dict[str, Bools]:
        test, val = self.split == "test", self.split == "val"
        first = self.normal & test & self.second & (self.number <= FIRST)
        return {
            "normal, val": self.normal & val,
            f"normal, test, NORMAL2 to {FIRST}": first,
            "normal, test, others": self.normal & test & ~first,
            "pneumonia, val": ~self.normal & val,
            "pneumonia, test": ~self.normal & test,
        }

    @property
    def odd(self) -> Bools:
        return self.normal & self.second & (self.number >= ODD[0]) & (self.number <= ODD[1])


def main() -> None:
    model = hilum.load(sys.argv[1])
    films = load(model, Path(sys.argv[2]))
    threshold = model.card.point(patient="child").threshold
    print_numbers(films, threshold)
    print_statistics(films)
    print_domains(films)
    print_judges(films)
    print_like_for_like(films, threshold)
    print_counterfactuals(films, model, threshold)


def load(model: Predictor, path: Path) -> Films:
    manifest = load_manifest(path)
    table = manifest.table.filter(pl.col("split").is_not_null())
    names = [Path(name).name for name in table["path"]]
    levels = np.stack([model.card.geometry.apply(read(manifest.path(name)).pixels) for name in table["path"]])
    per_film = np.array([measured(film) for film in levels])
    statistics = {name: values.copy() for name, values in zip(NAMES, per_film.T, strict=True)}
    statistics["file bytes"] = table["file_bytes"].to_numpy().astype(np.float64)
    return Films(
        levels,
        (table["label"] == "normal").to_numpy(),
        table["split"].to_numpy().astype(str),
        np.array([name.startswith("NORMAL2") for name in names]),
        np.array([int(found[1]) for name in names if (found := re.search(r"(?:IM-|person)(\d+)", name))]),
        table["patient"].to_numpy().astype(str),
        statistics,
        probabilities(model, levels),
    )


def probabilities(model: Predictor, levels: Levels) -> Floats:
    parts = (model.run(levels[start : start + 64]).probabilities for start in range(0, len(levels), 64))
    if model.card.groups:  # all of them are children
        parts = (part[:, 0] for part in parts)
    positive = [number for number, name in enumerate(model.card.classes) if name in model.card.positive]
    return np.concatenate([part[:, positive].sum(1) for part in parts]).astype(np.float64)


def print_numbers(films: Films, threshold: float) -> None:
    rows = []
    for series, second in (("IM", False), ("NORMAL2-IM", True)):
        for split in ("test", "val", "train"):
            these = films.number[films.normal & (films.second == second) & (films.split == split)]
            rows.append((series, split, len(these), these.min(), these.max()))
    table("Numbers of normal films", ("series", "split", "films", "lowest", "highest"), rows)
    odd = f"normal, train, NORMAL2 {ODD[0]} to {ODD[1]}"
    train = films.normal & (films.split == "train")
    groups = {**films.groups, odd: train & films.odd, "normal, train, others": train & ~films.odd}
    counted = [
        (name, these.sum(), called(films.probability[these] >= threshold), f"{np.median(films.probability[these]):.3f}")
        for name, these in groups.items()
    ]
    table("What the bundle says", ("group", "films", "called pneumonia", "median probability"), counted)


def print_statistics(films: Films) -> None:
    test, others = films.normal & (films.split == "test"), films.normal & (films.split != "test")
    groups = [others, *list(films.groups.values())[1:3], ~films.normal & (films.split == "train")]
    rows = []
    for name, values in films.statistics.items():
        area = roc_auc_score(test[test | others], values[test | others])
        by_score = spearmanr(values[test], films.probability[test]).statistic
        rows.append((name, *(f"{np.median(values[these]):.4g}" for these in groups), f"{area:.2f}", f"{by_score:.2f}"))
    rows.sort(key=lambda row: -abs(float(row[-2]) - 0.5))
    header = ("median of", "normal, train and val", *list(films.groups)[1:3], "pneumonia, train")
    table("Statistics", (*header, "AUC, test normals against others", "rank correlation with the probability"), rows)


def print_domains(films: Films) -> None:
    """Can a classifier tell the splits apart? Cross-validated by patient."""
    columns, rows = np.column_stack(list(films.statistics.values())), []
    for name, sick in (("normal", False), ("pneumonia", True)):
        for split, other in (("test", "val"), ("val", "test")):
            chosen = np.flatnonzero((films.normal != sick) & (films.split != other))
            target = films.split[chosen] == split
            area = roc_auc_score(target, cross_validated(columns, chosen, target, films))
            rows.append((f"{name}: {split} against train", f"{area:.3f}"))
    first, train = films.groups[f"normal, test, NORMAL2 to {FIRST}"], films.normal & (films.split == "train")
    plain = train & ~films.odd
    chosen = np.flatnonzero(first | plain)
    score = np.zeros(len(first))
    score[chosen] = cross_validated(columns, chosen, first[chosen], films)
    others = ~(first | plain)
    forest = forest_of(balanced=True).fit(columns[chosen], first[chosen])
    score[others] = forest.predict_proba(columns[others])[:, 1]
    limit = np.quantile(score[plain], 0.95)
    rows.append(
        (f"normal: test, NORMAL2 to {FIRST}, against train", f"{roc_auc_score(first[chosen], score[chosen]):.3f}")
    )
    table("Forest on the statistics", ("what is told apart", "AUC"), rows)
    sides = {
        f"normal, test, NORMAL2 to {FIRST}": first,
        "normal, test, others": films.groups["normal, test, others"],
        f"normal, train and val, NORMAL2 {ODD[0]} to {ODD[1]}": films.odd,
        "pneumonia, train": ~films.normal & (films.split == "train"),
        "normal, val, others": films.groups["normal, val"] & ~films.odd,
    }
    shares = [(name, called(score[these] > limit)) for name, these in sides.items()]
    table(f"Films beyond 95% of normal training films, on the side of NORMAL2 to {FIRST}", ("group", "films"), shares)


def print_judges(films: Films) -> None:
    """Judges that know less, or more, than the bundle, each set to the same specificity on validation."""
    train, test, sick = films.split == "train", films.split == "test", ~films.normal
    looks = np.column_stack([films.statistics[name] for name in PROCESSING])
    small = np.stack([cv2.resize(film, (56, 56), interpolation=cv2.INTER_AREA) for film in films.levels])
    inner = np.zeros((56, 56), np.bool_)
    inner[5:-5, 5:-5] = True
    frame = small[:, ~inner]
    pictures = imagenet_features(films.levels)
    line = make_pipeline(StandardScaler(), LogisticRegression(C=0.01, max_iter=2000))
    judges = {
        "the bundle": films.probability,
        "forest on eight numbers of processing": forest_of().fit(looks[train], sick[train]).predict_proba(looks)[:, 1],
        "forest on the outer 20 pixels": forest_of().fit(frame[train], sick[train]).predict_proba(frame)[:, 1],
        "line on ImageNet features": line.fit(pictures[train], sick[train]).decision_function(pictures),
    }
    helped = judges["line on ImageNet features"].copy()
    places = np.flatnonzero(test)
    for some, rest in GroupKFold(5).split(places, groups=films.patients[places]):
        learned = np.r_[np.flatnonzero(train), places[some]]
        helped[places[rest]] = line.fit(pictures[learned], sick[learned]).decision_function(pictures[places[rest]])
    judges["the same, with 4/5 of the test films to learn from"] = helped
    rows = [(name, *judged(films, score)) for name, score in judges.items()]
    left = films.normal & ~test & (films.number < np.where(films.second, 560, 300))
    kept = train & ~left
    score = line.fit(pictures[kept], sick[kept]).decision_function(pictures)
    limit = np.quantile(score[films.groups["normal, val"] & ~left], SPECIFIC)
    header = ("judge", "AUC, val", "AUC, test", f"specificity, NORMAL2 to {FIRST}", "specificity, other test normals")
    table(f"Judges at {SPECIFIC:.1%} specificity on validation", (*header, "sensitivity, test"), rows)
    there = np.mean(score[left] < limit)
    print(f"\nThe line without the {left.sum()} lowest numbers outside test: specificity {there:.3f} on these")


def judged(films: Films, score: Floats) -> Iterator[str]:
    for split in ("val", "test"):
        yield f"{roc_auc_score(~films.normal[films.split == split], score[films.split == split]):.3f}"
    limit = np.quantile(score[films.groups["normal, val"]], SPECIFIC)
    groups = list(films.groups.values())
    yield from (f"{np.mean(score[these] < limit):.3f}" for these in groups[1:3])
    yield f"{np.mean(score[groups[4]] >= limit):.3f}"


def print_like_for_like(films: Films, threshold: float) -> None:
    """Normal films of validation and test that a forest on processing alone holds for equally suspect."""
    looks = np.column_stack([films.statistics[name] for name in PROCESSING])
    train, val = films.split == "train", films.groups["normal, val"]
    test = films.normal & (films.split == "test")
    score = forest_of().fit(looks[train], ~films.normal[train]).predict_proba(looks)[:, 1]
    edges, rows, expected = [0, 0.05, 0.2, 0.5, 1.01], [], 0.0
    for low, high in pairwise(edges):
        inside = (score >= low) & (score < high)
        shares = [films.probability[group & inside] >= threshold for group in (val, test)]
        rows.append((f"{low:g} to {min(high, 1):g}", *map(called, shares)))
        expected += (test & inside).sum() / test.sum() * shares[0].mean()
    table("Normal films by what processing alone says", ("score of the forest", "val, called", "test, called"), rows)
    print(f"\nValidation's shares at the mix of test: {expected:.1%} called")


def print_counterfactuals(films: Films, model: Predictor, threshold: float) -> None:
    """Normal films made like others in one respect: do fewer, or more, of them get called?"""
    normals = np.flatnonzero(films.normal & (films.split == "train"))
    random = np.random.default_rng(1)
    normals, noise = random.permutation(normals)[:400], random.standard_normal((SIDE, SIDE))
    tested = np.flatnonzero(films.normal & (films.split == "test"))
    made = {
        f"{name} of normal {toward} films": change
        for toward, places in (("train", normals), ("test", tested))
        for name, change in changes(films.levels[places]).items()
    }
    fixed: dict[str, Callable[[Levels], Levels]] = {
        "stretched from black to white": stretched,
        "frame of 16 pixels covered by its neighborhood": lambda film: np.pad(film[16:-16, 16:-16], 16, "symmetric"),
        "sharpened": lambda film: rounded(2.0 * film - smoothed(film, 1.5)),
        "blurred by 0.4 pixels": lambda film: smoothed(film, 0.4),
        "blurred by 0.8 pixels": lambda film: smoothed(film, 0.8),
        "grain of 1 grey level": lambda film: rounded(film + noise),
        "grain of 2.5 grey levels": lambda film: rounded(film + 2.5 * noise),
        "central 94%": lambda film: rounded(cv2.resize(film[7:-7, 7:-7].copy(), (SIDE, SIDE))),
        "made narrower by 10%": lambda film: np.pad(cv2.resize(film, (202, SIDE)), ((0, 0), (11, 11)), "edge"),
    }
    groups = {name: np.flatnonzero(these) for name, these in films.groups.items()}
    groups |= {name: random.permutation(these)[:100] for name, these in groups.items() if name.startswith("pneu")}
    rows = []
    for name, change in {"none": lambda film: film, **made, **fixed}.items():
        p = [
            probabilities(model, np.stack([change(film) for film in films.levels[these]])) for these in groups.values()
        ]
        normal, sick = np.concatenate(p[1:3]), p[4]
        area = roc_auc_score(np.repeat([0, 1], [len(normal), len(sick)]), np.concatenate([normal, sick]))
        rows.append((name, *(f"{np.mean(values >= threshold):.1%}" for values in p), f"{area:.3f}"))
    table("Called pneumonia after a change", ("change", *groups, "AUC, test"), rows)


@torch.inference_mode()
def imagenet_features(levels: Levels) -> NDArray[np.float32]:
    """What a network says of films that has never seen one."""
    network = create_network("efficientnet_lite0", 2, "imagenet", input_size=(SIDE, SIDE), seed=1).eval().film
    parts = (torch.from_numpy(levels[start : start + 4])[:, None].float() / 255 for start in range(0, len(levels), 4))
    return torch.cat([network.body(network.normalization(part)) for part in parts]).numpy()


def forest_of(balanced: bool = False) -> RandomForestClassifier:
    weights = "balanced" if balanced else None
    return RandomForestClassifier(300, min_samples_leaf=3, class_weight=weights, random_state=1)


def cross_validated(columns: Floats, chosen: NDArray[np.int64], target: Bools, films: Films) -> Floats:
    forest, patients = forest_of(balanced=True), films.patients[chosen]
    cut: dict[str, Any] = {"groups": patients, "cv": GroupKFold(5), "method": "predict_proba"}
    return np.asarray(cross_val_predict(forest, columns[chosen], target, **cut)[:, 1])


def called(decisions: Bools) -> str:
    return f"{decisions.sum()} of {len(decisions)} ({decisions.mean():.1%})" if len(decisions) else "none"


def table(title: str, header: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    print(f"\n### {title}\n\n| {' | '.join(header)} |\n|{'---|' * len(header)}")
    for row in rows:
        print(f"| {' | '.join(map(str, row))} |")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
