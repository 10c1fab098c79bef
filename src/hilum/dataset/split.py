"""Which films to train on, which to choose by, which to judge on: by patient, duplicates together, labels balanced.

Everything follows from the films' digests, the patients and the seed, so the same data set is split the same way on
every machine and in any row order.
"""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import polars as pl

from hilum.dataset.manifest.manifest import Manifest
from hilum.measures.films.thresholds import FEWEST

DEFAULT_RATIOS = {"train": 0.7, "val": 0.15, "test": 0.15}
RATIOS_BESIDE_OFFICIAL_TEST = {"train": 0.85, "val": 0.15}
# Where validation would have too few films for a threshold, it gets some of those for training, up to this share.
LARGEST_VALIDATION, VALIDATION_STEP = 0.3, 0.05


class SplitError(ValueError):
    """A split that cannot be made; one line with what to do."""


@dataclass(frozen=True, slots=True)
class Cluster:
    """Films that must not be torn apart: of one patient, or with the same pixels, or linked through such films."""

    rows: tuple[int, ...]
    labels: Counter[str]
    order: bytes


def split_by_patient(
    manifest: Manifest,
    ratios: Mapping[str, float] | None = None,
    *,
    seed: int = 1,
    together: Sequence[Sequence[str]] = (),
) -> tuple[Manifest, list[str]]:
    """Fill `split` by the ratios; an official test split stays as it is and what is linked to it is left out.

    `together` are groups of paths that belong together for other reasons, as near duplicates do. Without ratios the
    usual ones are taken; in a small data set validation gets a larger share, so that a bundle can come of it. Returns
    what was decided or found on the way as well, in plain sentences.
    """
    table = manifest.table
    in_test = _official_test(table)
    wanted = dict(ratios or (RATIOS_BESIDE_OFFICIAL_TEST if any(in_test) else DEFAULT_RATIOS))
    _check_ratios(wanted)
    notices: list[str] = []
    groups = _groups(table, seed, together)
    splits: list[str | None] = [None] * table.height
    free: list[Cluster] = []
    linked = 0
    for group in groups:
        tested = [row for row in group.rows if in_test[row]]
        for row in tested:
            splits[row] = "test"
        # A film linked to the test split would leak from any other, and the test split stays as it was published.
        if tested:
            linked += len(group.rows) - len(tested)
        else:
            free.append(group)
    if any(in_test):
        notices.append(f"the official test split of {sum(in_test):,} films is left alone")
        if "test" in wanted:
            raise SplitError("the data set has an official test split; give ratios for train and val only")
    if linked:
        notices.append(
            f"{linked:,} films share a patient or their pixels with the official test split; "
            "they are in no split, so that nothing leaks"
        )
    assigned = _assign(free, wanted)
    if ratios is None:
        assigned, found = _enough_for_validation(table, free, assigned, wanted)
        notices += found
    for group, name in zip(free, assigned, strict=True):
        for row in group.rows:
            splits[row] = name
    notices.append(f"{len(groups):,} groups of films by patient and pixels, none of them torn apart")
    return _with_splits(manifest, splits), notices


def split_into_folds(
    manifest: Manifest, folds: int, *, seed: int = 1, together: Sequence[Sequence[str]] = ()
) -> tuple[Manifest, list[str]]:
    """Fill `split` with fold0, fold1, ... of equal size; an official test split stays `test`."""
    if not 2 <= folds <= 100:
        raise SplitError(f"{folds} folds: from 2 to 100")
    return split_by_patient(manifest, {f"fold{fold}": 1 / folds for fold in range(folds)}, seed=seed, together=together)


def split_as_published(manifest: Manifest) -> tuple[Manifest, list[str]]:
    """Take over the splits that came with the data set."""
    official = manifest.table["official_split"]
    if official.null_count() == official.len():
        raise SplitError("the data set came without splits; leave out --method official")
    return _with_splits(manifest, official.to_list()), ["the splits are those that came with the data set"]


def split_from_folds(manifest: Manifest, splits: Mapping[str, str]) -> tuple[Manifest, list[str]]:
    """Folds become splits, as {"fold0": "test", "fold1": "val"}; films of the other folds become train."""
    folds = manifest.table["split"].to_list()
    there = sorted({fold for fold in folds if fold and fold.startswith("fold")})
    if absent := [fold for fold in splits if fold not in there]:
        raise SplitError(f"the manifest has no {absent[0]}; its folds are {', '.join(there) or 'none'}")
    taken = [splits.get(fold, "train") if fold in there else fold for fold in folds]
    roles = ", ".join(f"{name} is {fold}" for fold, name in splits.items())
    return _with_splits(manifest, taken), [f"{roles}; train is {len(there) - len(splits)} other folds"]


def split_by_image(manifest: Manifest, *, seed: int = 2021) -> tuple[Manifest, list[str]]:
    """The random 70/30 split by image of published notebooks, over everything outside the official test split.

    Here to show what it does to the figures: films of one patient end up on both sides.
    """
    table = manifest.table
    in_test = _official_test(table)
    keys = [_key(seed, [digest or path]) for path, digest in table.select("path", "file_digest").iter_rows()]
    free = sorted((row for row in range(table.height) if not in_test[row]), key=lambda row: keys[row])
    trained = set(free[: round(0.7 * len(free))])
    splits = ["test" if in_test[row] else "train" if row in trained else "val" for row in range(table.height)]
    sides: dict[str, set[str]] = defaultdict(set)
    for patient, split in zip(table["patient"].to_list(), splits, strict=True):
        sides[patient].add(split)
    leaking = sum({"train", "val"} <= side for side in sides.values())
    notice = f"a split by image leaks: {leaking:,} patients have films in both train and val; figures on val flatter"
    return _with_splits(manifest, splits), [notice]


def _with_splits(manifest: Manifest, splits: Sequence[str | None]) -> Manifest:
    return Manifest(manifest.table.with_columns(pl.Series("split", splits, pl.String)), manifest.folder)


def _official_test(table: pl.DataFrame) -> list[bool]:
    return [split == "test" for split in table["official_split"].to_list()]


def _check_ratios(ratios: Mapping[str, float]) -> None:
    if any(not 0 < ratio <= 1 for ratio in ratios.values()) or abs(sum(ratios.values()) - 1) > 1e-6:
        shares = ", ".join(f"{name}={ratio:g}" for name, ratio in ratios.items())
        raise SplitError(f"ratios {shares}: each above 0, together 1")


def _groups(table: pl.DataFrame, seed: int, together: Sequence[Sequence[str]]) -> list[Cluster]:
    """Connected films, in an order that depends on their content and the seed only."""
    parents = list(range(table.height))

    def root(row: int) -> int:
        while parents[row] != row:
            parents[row] = parents[parents[row]]  # shorter for who comes next
            row = parents[row]
        return row

    for column in ("patient", "pixel_digest", "file_digest"):
        first: dict[str, int] = {}
        for row, value in enumerate(table[column].to_list()):
            if value is not None:
                parents[root(row)] = root(first.setdefault(value, row))
    position = {path: row for row, path in enumerate(table["path"].to_list())}
    for paths in together:
        for path in paths:
            parents[root(position[path])] = root(position[paths[0]])
    members: dict[int, list[int]] = defaultdict(list)
    for row in range(table.height):
        members[root(row)].append(row)
    digests = [digest or path for path, digest in table.select("path", "file_digest").iter_rows()]
    labels = [label or "unknown" for label in table["label"].to_list()]
    groups = [
        Cluster(tuple(rows), Counter(labels[row] for row in rows), _key(seed, sorted(digests[row] for row in rows)))
        for rows in members.values()
    ]
    # Large ones first: what is dealt out last must be small enough to even things out.
    return sorted(groups, key=lambda group: (-len(group.rows), group.order))


def _key(seed: int, digests: Sequence[str]) -> bytes:
    return hashlib.blake2b(f"{seed}\n{digests}".encode(), digest_size=16).digest()


def _enough_for_validation(
    table: pl.DataFrame, groups: Sequence[Cluster], assigned: list[str], ratios: Mapping[str, float]
) -> tuple[list[str], list[str]]:
    """The splits by the smallest share that gives validation enough films of each kind; as they were if none does."""
    pneumonia = table["pneumonia"].to_list()

    def rarer(splits: Sequence[str]) -> int:
        """How many films of validation are of the kind, pneumonia or not, that it has fewer of."""
        rows = [row for group, split in zip(groups, splits, strict=True) if split == "val" for row in group.rows]
        return min(sum(pneumonia[row] is kind for row in rows) for kind in (True, False))

    before = rarer(assigned)
    if before >= FEWEST or not {True, False} <= set(pneumonia):
        return assigned, []
    share = ratios["val"]
    while (share := round(share + VALIDATION_STEP, 2)) <= LARGEST_VALIDATION:
        splits = _assign(groups, {**ratios, "val": share, "train": round(ratios["train"] + ratios["val"] - share, 2)})
        if rarer(splits) >= FEWEST:
            return splits, [
                f"validation gets a share of {share:.2f} instead of {ratios['val']:.2f}: without {FEWEST} films of "
                "each kind no threshold can be set"
            ]
    return assigned, [
        f"validation has {before:,} films of the rarer kind: too few for a threshold, which needs {FEWEST} with "
        f"pneumonia and {FEWEST} without"
    ]


def _assign(groups: Sequence[Cluster], ratios: Mapping[str, float]) -> list[str]:
    """A split for each group, largest groups first, each to where its labels are missing most.

    Missing is counted against the films that a split should have of a label once all are dealt out. The films of rare
    labels weigh more, since a few of them too many or too few is what makes splits differ.
    """
    totals: Counter[str] = Counter()
    for group in groups:
        totals.update(group.labels)
    missing = {name: {label: ratio * count for label, count in totals.items()} for name, ratio in ratios.items()}
    room = {name: ratio * sum(totals.values()) for name, ratio in ratios.items()}
    chosen: list[str] = []
    for group in groups:

        def need(name: str, group: Cluster = group) -> tuple[float, float, float]:
            lacks = missing[name]
            by_label = sum(min(lacks[label], count) / totals[label] for label, count in group.labels.items())
            share = sum(lacks[label] / totals[label] for label in group.labels) / ratios[name]
            return by_label, share, room[name]

        name = max(ratios, key=need)
        chosen.append(name)
        room[name] -= len(group.rows)
        for label, count in group.labels.items():
            missing[name][label] -= count
    return chosen
