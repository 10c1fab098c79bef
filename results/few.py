"""Learning from few: which RSNA films to label first, and how many. A simulated study with labels that are hidden.

    python results/few.py FILMS.parquet OUT PICTURE.png > results/few.csv

FILMS.parquet is what results/hilum_data.py writes. The model in the box learned the labels of most RSNA films, so its
features know the answers. The network that is gone on from learns here, by recipe `default`, from Kermany's children
and SIIM's hospitals alone, in 128 x 128: of the films studied, whole RSNA films and the NIH films that RSNA's
radiologists judged, it never saw a label. Some patients have films in no set of the study's but these two.

20 times the patients are parted, 7 in 10 to the films that may be labeled and the rest to test. Films are labeled

- at random;
- by the network's own uncertainty, once, as `hilum label --order uncertainty` does;
- by uncertainty again and again: after every 50 labels the head is fitted anew and asked which it is least sure of;
- by spread: the film farthest from all that are labeled, in the network's features.

From the labels a head is fitted, a logistic regression on the network's log odds and 32 principal components of its
features, which begins with what the network says and is penalized for leaving it, as a network that goes on is by its
small steps; fitting it takes milliseconds, where training on takes minutes. The penalty was chosen for labels at
random. The same is done with the features of a network that knows photographs alone (ImageNet), whose first 50 labels
are drawn at random for want of an opinion. Means over the 20 partings, with what 95% of them lie between; differences
from random are paired, with the t interval of their mean. For a check, some of the same labels are learned by `hilum
train --from` in a few runs (`trained`).
"""

from __future__ import annotations

import csv
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import matplotlib
import numpy as np
import polars as pl
import torch
from going_on import SMALL, chosen, judged, split_to, trained
from label_errors import imagenet_features
from numpy.typing import NDArray
from scipy import stats
from scipy.optimize import minimize
from scipy.special import expit
from sklearn.decomposition import PCA
from sklearn.metrics import roc_auc_score
from sklearn.preprocessing import StandardScaler

from hilum.dataset.manifest.manifest import Manifest, load_manifest
from hilum.dataset.store.store import build_store
from hilum.export.material import best_network
from hilum.training.run import Run

Floats = NDArray[np.float64]
OTHERS, STUDIED = ("kermany", "siim-covid"), ("rsna", "nih")
LEARNED = 4000  # films of other hospitals
COUNTS, ROUND, SEEDS, COMPONENTS, PENALTY = (50, 100, 200, 400, 800), 50, 20, 32, 30.0
RANDOM, UNSURE, AGAIN, SPREAD = "at random", "uncertain, once", "uncertain, again and again", "spread"
CHECKED, CHECK_SEEDS = (100,), (0, 1)
HOSPITALS, IMAGENET = "other hospitals", "photographs (ImageNet)"


class Films(NamedTuple):
    """Those of the study, in the order of its table; `known` is what the network makes of each before any label, its
    log odds first, which are 0 of a network that has none."""

    table: pl.DataFrame
    truth: NDArray[np.bool_]
    patients: NDArray[np.str_]
    known: Floats  # films x (log odds, components)

    @property
    def odds(self) -> Floats:
        """The network's own."""
        return self.known[:, 0]


def looked_at(run: Path, manifest: Manifest) -> Films:
    """The films with the network's features, kept beside the run."""
    kept = run / "features.npy"
    if not kept.is_file():
        recipe = Run(run).recipe()
        store = build_store(manifest, recipe.input.to_geometry())
        network, _ = best_network(Run(run), recipe)
        view, parts = network.film, []
        pixels = store.pixels[store.rows(manifest.table["file_digest"].to_list())]
        with torch.inference_mode():
            for start in range(0, len(pixels), 32):
                maps, _ = view.maps_and_taps(torch.from_numpy(pixels[start : start + 32])[:, None].float() / 255)
                pooled = view.body.pool(maps)
                logits = view.head(pooled).double()
                odds = logits[:, 1:].logsumexp(1) - logits[:, 0]
                parts.append(torch.cat([odds[:, None], pooled.double()], 1).numpy())
        np.save(kept, np.concatenate(parts))
    seen = np.load(kept)
    return films_of(manifest.table, seen[:, 1:], seen[:, 0])


def films_of(table: pl.DataFrame, features: Floats, odds: Floats) -> Films:
    """Components need no label, so all films may be looked at for them."""
    components = PCA(COMPONENTS, random_state=0).fit_transform(StandardScaler().fit_transform(features))
    known = np.column_stack([odds, components / components.std(0)])
    return Films(table, table["pneumonia"].to_numpy(), table["patient"].to_numpy().astype(str), known)


def fitted(films: Films, labeled: list[int]) -> Floats:
    """The log odds of every film by a head that learned from these, a logistic regression that begins with what the
    network says and is penalized for leaving it."""
    known, truth = films.known[labeled], films.truth[labeled].astype(np.float64)

    def loss(weights: Floats) -> tuple[float, Floats]:
        odds = known[:, 0] + weights[0] + known @ weights[1:]
        slope = expit(odds) - truth
        return (
            float(np.logaddexp(0, odds).sum() - truth @ odds + PENALTY / 2 * weights[1:] @ weights[1:]),
            np.concatenate([[slope.sum()], known.T @ slope + PENALTY * weights[1:]]),
        )

    weights = minimize(loss, np.zeros(films.known.shape[1] + 1), jac=True, method="L-BFGS-B").x
    return np.asarray(films.odds + weights[0] + films.known @ weights[1:])


def random_order(films: Films, pool: NDArray[np.int64], seed: int) -> list[int]:
    return [int(row) for row in np.random.default_rng([1, seed]).permutation(pool)[: COUNTS[-1]]]


def unsure_order(films: Films, pool: NDArray[np.int64], seed: int) -> list[int]:
    return [int(row) for row in pool[np.argsort(np.abs(films.odds[pool]), kind="stable")][: COUNTS[-1]]]


def again_order(films: Films, pool: NDArray[np.int64], seed: int) -> list[int]:
    """The first round by the network's own uncertainty, if it has an opinion; all others by that of the head so far."""
    labeled = (unsure_order if films.odds.any() else random_order)(films, pool, seed)[:ROUND]
    while len(labeled) < COUNTS[-1]:
        left = np.setdiff1d(pool, labeled)
        odds = np.abs(fitted(films, labeled)[left])
        labeled += [int(row) for row in left[np.argsort(odds, kind="stable")][:ROUND]]
    return labeled


def spread_order(films: Films, pool: NDArray[np.int64], seed: int) -> list[int]:
    """Farthest first, from a film drawn by chance."""
    places = films.known[pool]
    nearest = np.full(len(pool), np.inf)
    at = int(np.random.default_rng([2, seed]).integers(len(pool)))
    order = []
    for _ in range(COUNTS[-1]):
        order.append(int(pool[at]))
        nearest = np.minimum(nearest, ((places - places[at]) ** 2).sum(1))
        at = int(nearest.argmax())
    return order


ORDERS: dict[str, Callable[[Films, NDArray[np.int64], int], list[int]]] = {
    RANDOM: random_order,
    UNSURE: unsure_order,
    AGAIN: again_order,
    SPREAD: spread_order,
}


def parted(films: Films, seed: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Rows that may be labeled, and rows to test on, by patient."""
    names = np.unique(films.patients)
    tested = np.random.default_rng([0, seed]).permutation(names)[: int(0.3 * len(names))]
    test = np.isin(films.patients, tested)
    return np.flatnonzero(~test), np.flatnonzero(test)


Studied = tuple[Floats, dict[tuple[str, int], Floats], dict[tuple[str, int], Floats]]


def studied(films: Films) -> Studied:
    """By seed: the AUROC of the network as it is; that of each order and number of labels; the share of pneumonia."""
    alone: list[float] = []
    reached: dict[tuple[str, int], list[float]] = {}
    positive: dict[tuple[str, int], list[float]] = {}
    for seed in range(SEEDS):
        pool, test = parted(films, seed)
        alone.append(roc_auc_score(films.truth[test], films.odds[test]))
        for name, order in ORDERS.items():
            if name == UNSURE and not films.odds.any():
                continue
            rows = order(films, pool, seed)
            for count in COUNTS:
                odds = fitted(films, rows[:count])[test]
                reached.setdefault((name, count), []).append(roc_auc_score(films.truth[test], odds))
                positive.setdefault((name, count), []).append(float(films.truth[rows[:count]].mean()))
        print(f"parting {seed + 1} of {SEEDS}", file=sys.stderr, flush=True)
    both = ({key: np.array(values) for key, values in each.items()} for each in (reached, positive))
    return np.array(alone), *both


def rows_of(network: str, found: Studied) -> Iterator[list[object]]:
    alone, reached, positive = found
    yield ["head", network, "no labels", 0, SEEDS, *spread_of(alone), "", "", "", ""]
    for (name, count), values in reached.items():
        less = ["", "", ""] if name == RANDOM else paired(values - reached[RANDOM, count])
        yield ["head", network, name, count, SEEDS, *spread_of(values), *less, f"{positive[name, count].mean():.3f}"]


def spread_of(values: Floats) -> list[str]:
    return [f"{number:.4f}" for number in (values.mean(), *np.quantile(values, [0.025, 0.975]))]


def paired(differences: Floats) -> list[str]:
    half = stats.t.ppf(0.975, len(differences) - 1) * differences.std(ddof=1) / np.sqrt(len(differences))
    mean = differences.mean()
    return [f"{number:.4f}" for number in (mean, mean - half, mean + half)]


def check(films: Films, folder: Path, base: Path, out: Path) -> Iterator[list[object]]:
    """The same labels learned by `hilum train --from`, recipe `fine-tune`; a quarter of them chooses the epoch."""
    for count in CHECKED:
        aurocs: dict[str, list[float]] = {}
        for seed in CHECK_SEEDS:
            pool, test = parted(films, seed)
            for name in (RANDOM, AGAIN):
                rows = ORDERS[name](films, pool, seed)[:count]
                split: list[str | None] = [None] * len(films.truth)
                for patient, row in enumerate(rows):
                    split[row] = "val" if patient % 4 == 3 else "train"
                own = Manifest(films.table, folder)
                stem = f"{count}-{seed}-{'random' if name == RANDOM else 'again'}"
                few = split_to(own, out / f"{stem}.parquet", pl.lit(pl.Series("split", split, pl.String)))
                run = trained(few, out / stem, start=base, settings={"training.seed": seed})
                chances = judged(run, "test", Manifest(films.table[test], folder))
                aurocs.setdefault(name, []).append(roc_auc_score(films.truth[test], chances))
                print(stem, aurocs[name][-1], file=sys.stderr, flush=True)
        for name, values in aurocs.items():
            mean, least, most = np.mean(values), min(values), max(values)
            yield [
                "trained",
                HOSPITALS,
                name,
                count,
                len(values),
                *(f"{it:.4f}" for it in (mean, least, most)),
                "",
                "",
                "",
                "",
            ]


def draw(found: dict[str, Studied], path: Path) -> None:
    """A panel a network."""
    matplotlib.use("agg")
    from matplotlib import pyplot

    canvas, panels = pyplot.subplots(1, 2, figsize=(11, 4.4), layout="constrained")
    colors = ("#5a6473", "#b4531a", "#0b57b1", "#2c7a4b")
    for axes, (network, (alone, reached, _)) in zip(panels, found.items(), strict=True):
        for place, (name, color) in enumerate(zip(ORDERS, colors, strict=True)):
            if (name, COUNTS[0]) not in reached:
                continue
            means = np.array([reached[name, count].mean() for count in COUNTS])
            ends = np.array([np.quantile(reached[name, count], [0.025, 0.975]) for count in COUNTS])
            at = np.array(COUNTS) * 1.03 ** (place - 1.5)
            axes.errorbar(at, means, abs(ends.T - means), fmt="o-", color=color, capsize=3, label=name)
        if alone.mean() > 0.5:
            axes.axhline(alone.mean(), color="#1b1f24", linestyle=":", label="no labels: the network as it is")
        axes.set(xscale="log", title=f"A network of {network}", xlabel="labeled films")
        axes.set_xticks(COUNTS, [str(count) for count in COUNTS])
        axes.minorticks_off()
        axes.grid(True, color="#d9dde4")
    canvas.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=5, frameon=False)
    panels[0].set_ylabel("AUROC on films of other patients")
    canvas.savefig(path, dpi=110, metadata={"Software": None})


def main() -> None:
    manifest, out, picture = load_manifest(Path(sys.argv[1])), Path(sys.argv[2]), Path(sys.argv[3])
    out.mkdir(parents=True, exist_ok=True)
    learned = split_to(manifest, out / "others.parquet", pl.lit(chosen(manifest.table, OTHERS, LEARNED, 0)))
    base = trained(learned, out / "others", recipe="default", settings=SMALL | {"phases.0.epochs": 2})
    own = Manifest(manifest.table.filter(pl.col("source").is_in(STUDIED)), manifest.folder)
    films = looked_at(base, own)
    photographs = imagenet_features(own, out / "imagenet.npy")
    networks = {HOSPITALS: films, IMAGENET: films_of(own.table, photographs, np.zeros(len(photographs)))}
    found = {network: studied(each) for network, each in networks.items()}
    draw(found, picture)
    writer = csv.writer(sys.stdout, lineterminator="\n")
    head = ["learned", "features_of", "films_chosen", "labels", "runs", "auroc", "low", "high"]
    writer.writerow([*head, "more_than_random", "more_low", "more_high", "share_with_pneumonia"])
    for network, each in found.items():
        writer.writerows(rows_of(network, each))
    sys.stdout.flush()
    writer.writerows(check(films, manifest.folder, base, out))


if __name__ == "__main__":
    main()
