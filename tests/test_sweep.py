"""`--sweep` trains every combination, goes on where it was stopped, and says which is best."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
from commands import run
from hypothesis import given
from hypothesis import strategies as st
from test_fit import recipe
from test_train_command import SMALL, films  # noqa: F401

from hilum.training.recipe import RecipeError, changed
from hilum.training.run import Run, RunError
from hilum.training.series.sweep import Combination, Result, Sweep, best_of, create_sweep, open_sweep, parse_settings


def read(folder: Path) -> list[dict[str, str]]:
    with (folder / "sweep.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_a_sweep_trains_what_it_can_and_goes_on_where_it_was(films: Path, tmp_path: Path) -> None:  # noqa: F811
    out = tmp_path / "sweep"
    sweep = ("--sweep", "optimizer.learning_rate=0.001,1e30", "--sweep", "training.batch_size=8,16")
    arguments: tuple[str | Path, ...] = (
        films,
        *SMALL,
        "--set",
        "phases.0.epochs=2",
        "--set",
        "training.clip=0",
        "--out",
        out,
    )
    first = run("train", *arguments, *sweep)
    assert first.returncode == 1, first.stderr
    assert "Traceback" not in first.stderr
    rows = read(out)
    settings = [(row["optimizer.learning_rate"], row["training.batch_size"]) for row in rows]
    assert settings == [("0.001", "8"), ("0.001", "16"), ("1e30", "8"), ("1e30", "16")]
    assert [bool(row["reason"]) for row in rows] == [False, False, True, True]
    assert "the loss became" in rows[2]["reason"] and "epoch 1" in rows[2]["reason"]
    for row in rows[:2]:
        best = [epoch for epoch in Run(out / row["run"]).read_history() if epoch["best"]][-1]
        assert [float(row["auc"]), int(row["epochs"])] == pytest.approx([best["auc"], 2], abs=1e-4)
    assert rows[0]["run"] == "optimizer.learning_rate=0.001,training.batch_size=8"
    printed = [line.split("\t") for line in first.stdout.splitlines()]
    assert [line[:-1] for line in printed] == [list(rows[0])[:-2], *(list(row.values())[:-2] for row in rows)]
    assert [line[-1][:15] for line in printed[1:]] == ["", "", "the loss became", "the loss became"]
    assert (out / "sweep.png").read_bytes().startswith(b"\x89PNG")
    better = max(rows[:2], key=lambda row: float(row["auc"]))
    assert f"its run: {out / better['run']}" in first.stderr

    # One combination is as it would be had the sweep been stopped before it, the other is finished.
    for path in sorted((out / rows[1]["run"]).rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    finished = (out / rows[0]["run"] / "history.csv").stat()
    again = run("train", "--resume", out, "--device", "cpu")
    assert again.returncode == 1, again.stderr
    assert "combination 1 of 4" not in again.stderr and "combination 2 of 4" in again.stderr
    assert (out / rows[0]["run"] / "history.csv").stat() == finished
    figures = ("loss", "accuracy", "auc", "kept_epoch", "epochs")
    assert [[row[name] for name in figures] for row in read(out)] == [[row[name] for name in figures] for row in rows]

    kept = open_sweep(out)
    assert create_sweep(out, kept.recipe, kept.settings, kept.manifest) == kept
    with pytest.raises(RunError, match=r"holds a sweep with another sweep .*32.*name another --out, or go on"):
        create_sweep(out, kept.recipe, {"training.batch_size": ["8", "32"]}, kept.manifest)
    with pytest.raises(RunError, match="holds a sweep with another recipe"):
        create_sweep(out, changed(kept.recipe, ["loss.mixup=0.2"]), kept.settings, kept.manifest)


def test_a_wrong_value_is_named_before_anything_is_trained(films: Path, tmp_path: Path) -> None:  # noqa: F811
    answer = run("train", films, *SMALL, "--sweep", "network.name=small_cnn1,resnet19", "--out", tmp_path / "sweep")
    assert answer.returncode == 1
    assert "no network is called resnet19" in answer.stderr and "epoch" not in answer.stderr
    assert not (tmp_path / "sweep").exists()


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("network.name=vgg11,resnet18", ["vgg11", "resnet18"]),
        ("augmentation.area=[0.4, 1.0],[0.8,1.0]", ["[0.4, 1.0]", "[0.8,1.0]"]),
        ("loss.class_weights=none,[1,2.5]", ["none", "[1,2.5]"]),
        ("training.ema=0.9", ["0.9"]),
    ],
)
def test_values_are_separated_by_commas_outside_brackets(text: str, values: list[str]) -> None:
    assert parse_settings([text]) == {text.partition("=")[0]: values}


@pytest.mark.parametrize("text", ["", "=", "a", "a=", "a=1,", "a=1,1"])
def test_a_sweep_over_nothing_or_twice_is_an_error(text: str) -> None:
    with pytest.raises(RecipeError, match="--sweep"):
        parse_settings([text])


@given(
    st.dictionaries(
        st.sampled_from(["optimizer.weight_decay", "training.clip", "loss.mixup"]),
        st.lists(st.integers(0, 9), min_size=1, max_size=3, unique=True),
    )
)
def test_every_combination_is_there_once_with_a_directory_of_its_own(settings: dict[str, list[int]]) -> None:
    varied = parse_settings([f"{key}={','.join(map(str, values))}" for key, values in settings.items()])
    made = Sweep(Path("sweep"), recipe(), Path("manifest"), varied).combinations()
    expected = 1
    for values in settings.values():
        expected *= len(values)
    assert len(made) == len({combination.run.folder for combination in made}) == expected
    for combination in made:
        table = combination.recipe.as_dict()
        for key, value in combination.settings.items():
            section, name = key.split(".")
            assert table[section][name] == float(value)


def test_a_value_with_a_slash_is_one_directory() -> None:
    made = Sweep(
        Path("sweep"), recipe(), Path("manifest"), {"network.name": ["timm/resnet18", "resnet18"]}
    ).combinations()
    assert [combination.run.folder.parent for combination in made] == [Path("sweep")] * 2


def test_the_best_is_by_the_metric_and_never_one_that_failed() -> None:
    def result(loss: float, auc: float, reason: str = "") -> Result:
        row = {"epoch": 1.0, "loss": loss, "auc": auc, "best": 1.0, "seconds": 1.0}
        return Result(Combination({}, recipe(), Run(Path("run"))), [row], reason)

    results = [result(0.5, 0.8), result(0.3, 0.7), result(0.4, 0.9), result(0.1, 0.99, "the loss became nan")]
    assert best_of(results, recipe(selection={"metric": "loss"})) is results[1]
    assert best_of(results, recipe(selection={"metric": "auc"})) is results[2]
    assert best_of(results[3:], recipe()) is None
