"""How many wrong labels `hilum data doubt` finds, on real films: labels flipped on purpose, and those mined from
reports.

    python results/label_errors.py FILMS.parquet NIH.csv OUT > results/label-errors.csv

FILMS.parquet is what results/hilum_data.py writes, NIH.csv the table of nih-adult-256. Opinions are out of fold: a
logistic regression on 64 principal components of the features of an ImageNet network (EfficientNet-Lite0, 224 x 224,
never trained on films), five folds by patient. So the networks here are weaker than those of `hilum train --folds`,
and cheap enough for 20 draws of wrong labels. `default` is the model in the box, on films that it never saw.

- flipped: 2, 5 or 10% of the labels, drawn by chance, become another one. Of Kermany's films the three classes, of
  RSNA's (whole films, and those of the NIH that RSNA's radiologists judged) whether they show a lung opacity.
  `found_first` is the share of them among the first as many as there are; `found_listed` their share that is listed at
  all and `right_listed` the share of the list that they are. `loss` ranks by the probability of the label alone,
  `margin` by what it lacks to its best rival, `doubt` is `hilum data doubt`: cleanlab's list by loss, then all others.
  `estimate` is the share of labels held for wrong; at 0% it counts the model's errors and the set's own wrong labels.
- mined: NIH's labels from reports (pneumonia, consolidation or infiltration) against what RSNA's radiologists say of
  the same films (lung opacity); opinions are out of fold of a regression that learned from all mined labels.
- learned: AUROC on test films with right labels of a regression that learned from labels as they are, without those
  that are listed, with those as suggested, with those read anew (by someone who gives each the label it had), and from
  the labels before any was flipped.

Means over draws, with what 95% of them lie between; differences of `learned` from labels as they are are paired, with
the t interval of their mean. What is not drawn (mined) has an interval by a bootstrap over patients.
"""

from __future__ import annotations

import csv
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import polars as pl
import torch
from cleanlab.rank import get_label_quality_scores
from numpy.typing import NDArray
from scipy import stats
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedGroupKFold
from sklearn.preprocessing import StandardScaler

import hilum
from hilum.bundle.reading import Reading
from hilum.dataset.manifest.check import Rows, with_schema
from hilum.dataset.manifest.manifest import Manifest, load_manifest
from hilum.dataset.store.store import build_store
from hilum.evaluation.doubt.confident import doubt_of, flagged, suggested, wrong_shares
from hilum.evaluation.doubt.sides import Sides
from hilum.evaluation.guard import where_seen
from hilum.measures.bootstrap import auroc_measure, bootstrap, total_measure
from hilum.network.network import create_network
from hilum.radiograph.geometry import Geometry
from hilum.system.files import file_digest

Floats = NDArray[np.float64]
RATES, DRAWS, COMPONENTS, FOLDS = (0.0, 0.02, 0.05, 0.10), 20, 64, 5
OPACITY = ("Pneumonia", "Consolidation", "Infiltration")
ORDERS = ("loss", "margin", "doubt")


class Films(NamedTuple):
    """`labels` are class numbers as the source gives them; `test` films are never learned from nor doubted."""

    name: str
    features: Floats
    labels: NDArray[np.int64]
    patients: NDArray[np.str_]
    test: NDArray[np.bool_]

    @property
    def classes(self) -> int:
        return int(self.labels.max()) + 1


def imagenet_features(manifest: Manifest, kept: Path) -> Floats:
    """Of every film what a network that knows photographs alone makes of it, kept in a file."""
    if not kept.is_file():
        store = build_store(manifest, Geometry("squash", 224, 224))
        view = create_network("efficientnet_lite0", 2, weights="imagenet").film.eval()
        pixels = store.pixels[store.rows(manifest.table["file_digest"].to_list())]
        with torch.inference_mode():
            parts = [
                view.body.pool(view.maps_and_taps(torch.from_numpy(pixels[at : at + 32])[:, None].float() / 255)[0])
                for at in range(0, len(pixels), 32)
            ]
        np.save(kept, torch.cat(parts).numpy())
    return np.asarray(np.load(kept), np.float64)


def components(features: Floats) -> Floats:
    """The principal ones, which need no label, to one scale."""
    found = PCA(COMPONENTS, random_state=0).fit_transform(StandardScaler().fit_transform(features))
    return np.asarray(found / found[:, 0].std())


def learned(features: Floats, labels: NDArray[np.int64]) -> LogisticRegression:
    return LogisticRegression(C=0.1, max_iter=300).fit(features, labels)


def out_of_fold(films: Films, labels: NDArray[np.int64], seed: int) -> Floats:
    """The probability of each class by a regression that saw no film of the patient."""
    shares = np.empty((len(labels), films.classes))
    folds = StratifiedGroupKFold(FOLDS, shuffle=True, random_state=seed)
    for rest, left_out in folds.split(films.features, labels, films.patients):
        shares[left_out] = learned(films.features[rest], labels[rest]).predict_proba(films.features[left_out])
    return shares


def flipped(labels: NDArray[np.int64], classes: int, rate: float, seed: int) -> NDArray[np.int64]:
    """A share of the labels as another one, drawn by chance."""
    random = np.random.default_rng([seed, round(1000 * rate)])
    chosen = random.permutation(len(labels))[: round(rate * len(labels))]
    made = labels.copy()
    made[chosen] = (made[chosen] + random.integers(1, classes, len(chosen))) % classes
    return made


def sides(labels: NDArray[np.int64], shares: Floats) -> Sides:
    return Sides(tuple(map(str, range(shares.shape[1]))), labels, shares)


def orders(doubted: Sides) -> dict[str, NDArray[np.int64]]:
    """Rows, the most suspicious first, by each way of ranking."""
    loss = doubt_of(doubted)
    margin = get_label_quality_scores(doubted.given, doubted.shares, method="normalized_margin")
    listed = np.isin(np.arange(len(loss)), flagged(doubted))
    return {"loss": np.argsort(-loss), "margin": np.argsort(margin), "doubt": np.lexsort((-loss, ~listed))}


def of_flips(name: str, model: str, drawn: list[tuple[float, NDArray[np.bool_], Sides]]) -> Iterator[list[object]]:
    """Rows of a set whose labels were flipped, over draws."""
    for rate in RATES:
        found: dict[tuple[str, str], list[float]] = {}
        for own_rate, wrong, doubted in drawn:
            if own_rate != rate:
                continue
            listed = flagged(doubted)
            estimate = wrong_shares(doubted, np.ones(len(wrong)))[doubted.given].mean()
            found.setdefault(("doubt", "estimate"), []).append(float(estimate))
            found.setdefault(("doubt", "listed"), []).append(len(listed) / len(wrong))
            if rate:
                found.setdefault(("doubt", "found_listed"), []).append(wrong[listed].sum() / wrong.sum())
                found.setdefault(("doubt", "right_listed"), []).append(float(wrong[listed].mean()))
                for order, rows in orders(doubted).items():
                    found.setdefault((order, "found_first"), []).append(float(wrong[rows[: wrong.sum()]].mean()))
        for (order, figure), values in found.items():
            yield ["flipped", name, model, rate, order, figure, len(values), *of_draws(values)]


def of_draws(values: list[float]) -> list[str]:
    return [f"{number:.4f}" for number in (np.mean(values), *np.quantile(values, [0.025, 0.975]))]


def flip_study(films: Films) -> Iterator[list[object]]:
    """Flipped labels found out of fold, and what training is worth once they are dealt with."""
    own = films._replace(
        features=films.features[~films.test], labels=films.labels[~films.test], patients=films.patients[~films.test]
    )
    drawn, worth = [], {}
    for rate in RATES:
        for seed in range(DRAWS):
            labels = flipped(own.labels, films.classes, rate, seed)
            doubted = sides(labels, out_of_fold(own, labels, seed))
            drawn.append((rate, labels != own.labels, doubted))
            listed = flagged(doubted)
            kept = np.setdiff1d(np.arange(len(labels)), listed)
            put_right = labels.copy()
            put_right[listed] = suggested(doubted)[listed]
            read = labels.copy()
            read[listed] = own.labels[listed]
            ways = {
                "as they are": (own.features, labels),
                "without those listed": (own.features[kept], labels[kept]),
                "those listed as suggested": (own.features, put_right),
                "those listed read anew": (own.features, read),
                "none flipped": (own.features, own.labels),
            }
            for way, (features, given) in ways.items():
                worth.setdefault((rate, way), []).append(tested(films, learned(features, given)))
        print(films.name, rate, file=sys.stderr, flush=True)
    yield from of_flips(films.name, "regression", drawn)
    for (rate, way), values in worth.items():
        yield ["learned", films.name, "regression", rate, way, "auroc", len(values), *of_draws(values)]
        if "listed" in way:
            more = np.array(values) - np.array(worth[rate, "as they are"])
            half = stats.t.ppf(0.975, len(more) - 1) * more.std(ddof=1) / np.sqrt(len(more))
            ends = [f"{number:.4f}" for number in (more.mean(), more.mean() - half, more.mean() + half)]
            yield ["learned", films.name, "regression", rate, f"{way}, less as they are", "auroc", len(values), *ends]


def tested(films: Films, model: LogisticRegression) -> float:
    """AUROC for pneumonia, which every class but the first is."""
    return float(roc_auc_score(films.labels[films.test] > 0, 1 - model.predict_proba(films.features[films.test])[:, 0]))


def judged_by_default(manifest: Manifest, kept: Path) -> Floats:
    """The model's probability of pneumonia, kept in a file."""
    if not kept.is_file():
        with hilum.load() as model:
            positive = [model.card.classes.index(name) for name in model.card.positive]
            adult = 1  # of the model's two groups; all of these films are adults'
            readings = list(model.readings(manifest.path(path) for path in manifest.table["path"]))
        rows = [reading.probabilities[adult, positive].sum() for reading in readings if isinstance(reading, Reading)]
        np.save(kept, np.array(rows, np.float64))
    return np.asarray(np.load(kept))


def default_study(manifest: Manifest, out: Path) -> Iterator[list[object]]:
    """Flipped labels of RSNA's films that the model in the box never saw, as it finds them."""
    seen = where_seen(hilum.load().card, manifest.table)
    unseen = Manifest(manifest.table.filter(pl.Series([split is None for split in seen])), manifest.folder)
    chance = judged_by_default(unseen, out / "default-rsna.npy")
    labels = unseen.table["pneumonia"].to_numpy().astype(np.int64)
    shares = np.column_stack([1 - chance, chance])
    drawn = []
    for rate in RATES:
        for seed in range(DRAWS):
            made = flipped(labels, 2, rate, seed)
            drawn.append((rate, made != labels, sides(made, shares)))
    yield from of_flips("RSNA", "default", drawn)


def mined_study(manifest: Manifest, table: Path, out: Path) -> Iterator[list[object]]:
    """Labels mined from reports, doubted by a regression that learned from them and by the model in the box."""
    mined = pl.read_csv(table, infer_schema_length=None)
    names = [Path(path).name for path in mined["image"]]
    labels = np.array([any(word in text for word in OPACITY) for text in mined["nih_labels"]], np.int64)
    paths = [str(table.parent / path) for path in mined["image"]]
    digests = [file_digest(Path(path)) for path in paths]
    rows = Rows("NIH", pl.DataFrame({"path": paths, "patient": mined["patient"], "file_digest": digests}))
    films = Manifest(with_schema(rows)[0], Path("/"))
    features = components(imagenet_features(films, out / "nih.npy"))
    patients = mined["patient"].cast(pl.String).to_numpy().astype(str)
    whole = Films("NIH", features, labels, patients, np.zeros(len(labels), np.bool_))
    shares = out_of_fold(whole, labels, 0)
    judged = mined["rsna_class"].is_not_null().to_numpy()
    truth = (mined["rsna_class"] == "Lung Opacity").fill_null(value=False).to_numpy()
    yield from of_mined("regression", sides(labels, shares), judged, truth, patients)
    tests = set(pl.read_csv(Path(__file__).with_name("adult-test.csv"))["image"])
    unseen = judged & np.array([name in tests for name in names])
    own = Manifest(films.table.filter(pl.Series(unseen)), films.folder)
    chance = judged_by_default(own, out / "default-nih.npy")
    doubted = sides(labels[unseen], np.column_stack([1 - chance, chance]))
    yield from of_mined("default", doubted, np.ones(len(chance), np.bool_), truth[unseen], patients[unseen])


def of_mined(
    model: str, doubted: Sides, judged: NDArray[np.bool_], truth: NDArray[np.bool_], patients: NDArray[np.str_]
) -> Iterator[list[object]]:
    """How far the doubts of all films agree with the radiologists about those that these judged."""
    wrong = ((doubted.given > 0) != truth)[judged]
    listed = np.isin(np.arange(len(judged)), flagged(doubted))[judged]
    score = doubt_of(doubted)[judged]
    estimate = wrong_shares(doubted, np.ones(len(judged)))[doubted.given][judged].mean()
    first = np.isin(np.arange(len(wrong)), np.argsort(-score)[: wrong.sum()])
    measures = [total_measure(each) for each in (wrong, listed, wrong & listed, wrong & first, first)]
    drawn = bootstrap(patients[judged], [*measures, auroc_measure(score, wrong)])
    films = judged.sum()
    figures = {
        "disagree": (wrong.mean(), drawn[:, 0] / films),
        "found_listed": ((wrong & listed).sum() / wrong.sum(), drawn[:, 2] / drawn[:, 0]),
        "right_listed": (wrong[listed].mean(), drawn[:, 2] / drawn[:, 1]),
        "found_first": (wrong[first].mean(), drawn[:, 3] / drawn[:, 4]),
        "auroc_of_doubt": (roc_auc_score(wrong, score), drawn[:, 5]),
    }
    name = f"NIH, {films} films"
    yield ["mined", name, model, "", "doubt", "estimate", 1, f"{estimate:.4f}", "", ""]
    for figure, (value, resampled) in figures.items():
        ends = np.quantile(resampled, [0.025, 0.975])
        yield ["mined", name, model, "", "doubt", figure, 1, *(f"{number:.4f}" for number in (value, *ends))]


def main() -> None:
    manifest, table, out = load_manifest(Path(sys.argv[1])), Path(sys.argv[2]), Path(sys.argv[3])
    out.mkdir(parents=True, exist_ok=True)
    writer = csv.writer(sys.stdout, lineterminator="\n")
    head = ["study", "films_of", "model", "flipped", "by", "figure", "draws", "value", "low", "high"]
    writer.writerow(head)
    sources = {"Kermany": ["kermany"], "RSNA": ["rsna", "nih"]}
    for name, own in sources.items():
        films = Manifest(manifest.table.filter(pl.col("source").is_in(own)), manifest.folder)
        label = pl.col("label").replace_strict({"normal": 0, "bacterial": 1, "viral": 2}, return_dtype=pl.Int64)
        numbers = label if name == "Kermany" else pl.col("pneumonia").cast(pl.Int64)
        writer.writerows(
            flip_study(
                Films(
                    name,
                    components(imagenet_features(films, out / f"{name}.npy")),
                    films.table.select(numbers).to_series().to_numpy(),
                    films.table["patient"].to_numpy().astype(str),
                    (films.table["split"] == "test").fill_null(value=False).to_numpy(),
                )
            )
        )
        sys.stdout.flush()
    writer.writerows(default_study(films, out))
    writer.writerows(mined_study(manifest, table, out))


if __name__ == "__main__":
    main()
