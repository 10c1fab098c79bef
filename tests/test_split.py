"""Splits keep patients and duplicates together, balance labels, and depend on nothing but the data and the seed."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hilum.dataset.manifest.manifest import SCHEMA, Manifest
from hilum.dataset.manifest.side import side_of_film
from hilum.dataset.split import (
    SplitError,
    split_as_published,
    split_by_image,
    split_by_patient,
    split_from_folds,
    split_into_folds,
)

Film = tuple[int, int, str]  # patient, picture, label
films = st.lists(
    st.tuples(st.integers(0, 30), st.integers(0, 200), st.sampled_from(["normal", "bacterial", "viral"])),
    min_size=3,
    max_size=120,
)


def manifest_of(films: list[Film], official: list[str | None] | None = None) -> Manifest:
    rows = [
        {
            "path": f"{number}.png",
            "patient": f"p{patient}",
            "label": label,
            "file_digest": f"f{number:04}",
            "pixel_digest": f"x{picture}",
            "official_split": official[number] if official else None,
        }
        for number, (patient, picture, label) in enumerate(films)
    ]
    return Manifest(pl.DataFrame(rows, schema=SCHEMA, orient="row"), Path())


def splits_of(manifest: Manifest) -> dict[str, str | None]:
    return dict(manifest.table.select("path", "split").iter_rows())


def torn(manifest: Manifest, column: str) -> list[str]:
    """Patients or pictures that are in more than one split."""
    sides: dict[str, set[str]] = defaultdict(set)
    for value, split in manifest.table.select(column, "split").iter_rows():
        if split is not None:
            sides[value].add(split)
    return [value for value, side in sides.items() if len(side) > 1]


@settings(deadline=None)
@given(films, st.integers(0, 1000))
def test_no_patient_and_no_picture_is_torn_apart(films: list[Film], seed: int) -> None:
    made, _ = split_by_patient(manifest_of(films), seed=seed)
    assert torn(made, "patient") == []
    assert torn(made, "pixel_digest") == []
    assert made.table["split"].null_count() == 0


@settings(deadline=None)
@given(films, st.randoms())
def test_the_order_of_rows_and_their_paths_do_not_matter(films: list[Film], random: object) -> None:
    manifest = manifest_of(films)
    shuffled = Manifest(manifest.table.sample(fraction=1, shuffle=True, seed=len(films)), manifest.folder)
    assert splits_of(split_by_patient(manifest)[0]) == splits_of(split_by_patient(shuffled)[0])
    moved = manifest.table.with_columns("elsewhere/" + pl.col("path"))
    there = split_by_patient(Manifest(moved, manifest.folder))[0]
    assert there.table["split"].to_list() == split_by_patient(manifest)[0].table["split"].to_list()


def many_patients(count: int = 600) -> list[Film]:
    labels = ["normal"] * 6 + ["bacterial"] * 3 + ["viral"]
    return [(number // 2, number, labels[number // 2 % 10]) for number in range(count)]


def test_labels_are_balanced_to_the_film() -> None:
    made, _ = split_by_patient(manifest_of(many_patients()), {"train": 0.7, "val": 0.15, "test": 0.15})
    counts = {
        (split, label): n for split, label, n in made.table.group_by("split", "label").len().select(
            "split", "label", "len"
        ).iter_rows()
    }  # fmt: skip
    for label, total in (("normal", 360), ("bacterial", 180), ("viral", 60)):
        for split, share in (("train", 0.7), ("val", 0.15), ("test", 0.15)):
            assert abs(counts[split, label] - share * total) <= 2


def test_films_that_belong_together_for_other_reasons_stay_together() -> None:
    manifest = manifest_of([(number, number, "normal") for number in range(40)])
    pairs = [(f"{number}.png", f"{number + 20}.png") for number in range(20)]
    made, _ = split_by_patient(manifest, together=pairs)
    splits = splits_of(made)
    assert all(splits[first] == splits[second] for first, second in pairs)


def test_another_seed_gives_another_split_and_the_same_seed_the_same() -> None:
    manifest = manifest_of(many_patients())
    assert splits_of(split_by_patient(manifest, seed=1)[0]) == splits_of(split_by_patient(manifest, seed=1)[0])
    assert splits_of(split_by_patient(manifest, seed=1)[0]) != splits_of(split_by_patient(manifest, seed=2)[0])


def kinds(sick: int, well: int) -> Manifest:
    films: list[Film] = [(n, n, "bacterial" if n < sick else "normal") for n in range(sick + well)]
    manifest = manifest_of(films)
    told = pl.Series("pneumonia", [n < sick for n in range(sick + well)])
    return Manifest(manifest.table.with_columns(told), manifest.folder)


@pytest.mark.parametrize(
    ("sick", "well", "shares"),
    [
        (300, 150, {"train": 0.7, "val": 0.15, "test": 0.15}),  # enough as it is
        (300, 100, {"train": 0.65, "val": 0.2, "test": 0.15}),
        (300, 68, {"train": 0.55, "val": 0.3, "test": 0.15}),
        (300, 40, {"train": 0.7, "val": 0.15, "test": 0.15}),  # too small for any share
    ],
)
def test_a_small_set_gives_validation_as_many_films_as_a_threshold_needs(
    sick: int, well: int, shares: dict[str, float]
) -> None:
    manifest = kinds(sick, well)
    made, notices = split_by_patient(manifest)
    assert splits_of(made) == splits_of(split_by_patient(manifest, shares)[0])
    of_val = made.table.filter(pl.col("split") == "val")["pneumonia"]
    assert (of_val.not_().sum() >= 20) is (well > 60)
    told = " ".join(notices)
    assert ("validation gets a share" in told) is (shares["val"] > 0.15)
    assert ("too few for a threshold" in told) is (well < 60)


KNOWN = "ttttvvvvttvvvvttvvttvvttvvvvttttttttvvvv"


def test_a_known_split_stays_what_it_was() -> None:
    """Guards the promise that a seed means the same split on every machine and in every later version."""
    made = split_by_patient(manifest_of(many_patients(40)), {"train": 0.5, "val": 0.5}, seed=7)[0]
    assert "".join((split or "-")[0] for split in made.table["split"].to_list()) == KNOWN


def test_an_official_test_split_is_left_alone_and_nothing_leaks_from_it() -> None:
    films: list[Film] = [(0, 0, "normal"), (0, 1, "normal"), (1, 2, "normal"), (2, 1, "normal"), (3, 9, "normal")]
    official: list[str | None] = ["test", "train", "train", "train", "train"]
    made, notices = split_by_patient(manifest_of(films, official), {"train": 0.5, "val": 0.5})
    splits = list(splits_of(made).values())
    assert splits[0] == "test"
    assert splits[1] is None  # the patient of a test film
    assert splits[3] is None  # the same pixels as a film of that patient
    assert {splits[2], splits[4]} == {"train", "val"}
    assert any("2 films share" in notice for notice in notices)
    # Nor do they come back by the split that they came with, where splits are asked for.
    sides = made.table.select(side_of_film())[:, 0].to_list()
    assert sides == made.table["split"].to_list()
    assert manifest_of(films, official).table.select(side_of_film())[:, 0].to_list() == official


def test_folds_are_of_equal_size() -> None:
    made, _ = split_into_folds(manifest_of(many_patients()), 5)
    sizes = dict(made.table.group_by("split").len().iter_rows())
    assert set(sizes) == {f"fold{number}" for number in range(5)}
    assert max(sizes.values()) - min(sizes.values()) <= 2


def test_the_published_split_by_image_says_that_it_leaks() -> None:
    made, notices = split_by_image(manifest_of(many_patients()))
    sizes = dict(made.table.group_by("split").len().iter_rows())
    assert sizes == {"train": 420, "val": 180}
    assert "leaks" in notices[0]
    assert len(torn(made, "patient")) > 50


def test_official_splits_are_taken_over_or_their_absence_said() -> None:
    made, _ = split_as_published(manifest_of([(0, 0, "normal"), (1, 1, "viral")], ["train", "test"]))
    assert list(splits_of(made).values()) == ["train", "test"]
    with pytest.raises(SplitError, match="came without splits"):
        split_as_published(manifest_of([(0, 0, "normal")]))


@pytest.mark.parametrize(("train", "val"), [(0.5, 0.4), (1.5, -0.5), (0.0, 1.0)])
def test_impossible_ratios_are_refused(train: float, val: float) -> None:
    with pytest.raises(SplitError, match="together 1"):
        split_by_patient(manifest_of(many_patients(20)), {"train": train, "val": val})


def test_kermanys_test_split_stays_official_and_no_pixels_cross(real_data: Path) -> None:
    from hilum.dataset.importing import import_folder

    manifest, _, _ = import_folder(real_data / "kermany-224")
    assert manifest.table.height == 5856
    repeated = manifest.table.filter(pl.col("pixel_digest").is_duplicated())
    assert (repeated.height, repeated["pixel_digest"].n_unique()) == (62, 30)
    made, _ = split_by_patient(manifest)
    tests = made.table.filter(pl.col("split") == "test")
    assert tests.height == 624
    assert set(tests["official_split"]) == {"test"}
    assert torn(made, "pixel_digest") == []
    assert torn(made, "patient") == []


def test_folds_become_validation_and_test_and_the_others_train() -> None:
    manifest, _ = split_into_folds(manifest_of([(number, number, "normal") for number in range(20)]), 4)
    before = splits_of(manifest)
    taken, said = split_from_folds(manifest, {"fold1": "val", "fold3": "test"})
    names = {"fold0": "train", "fold1": "val", "fold2": "train", "fold3": "test"}
    assert splits_of(taken) == {path: names[str(fold)] for path, fold in before.items()}
    assert said == ["val is fold1, test is fold3; train is 2 other folds"]
    with pytest.raises(SplitError, match="no fold7; its folds are fold0, fold1, fold2, fold3"):
        split_from_folds(manifest, {"fold7": "val"})
