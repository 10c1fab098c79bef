"""`hilum runs`: the runs in a folder, best first."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from commands import run

from hilum.training.recipe import Architecture, Phase, Recipe
from hilum.training.run import create_run


def make(folder: Path, network: str, aucs: list[float]) -> Path:
    recipe = Recipe(title=f"with {network}", network=Architecture(network), phases=[Phase(4), Phase(2)])
    made = create_run(folder, recipe, {"films": {"train": 1000, "val": 10}, "device": "cpu"})
    best = max(aucs, default=0)
    figures = {"phase": 1, "learning_rate": 0.1, "train_loss": 1, "loss": 0.5, "accuracy": 0.75}
    made.write_history(
        [
            {**figures, "balanced_accuracy": 0.7, "images_per_second": 9, "seconds": 90.0}
            | {"epoch": epoch, "auc": auc, "best": float(auc == best)}
            for epoch, auc in enumerate(aucs, start=1)
        ]
    )
    return folder


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    make(tmp_path / "first", "resnet18", [0.7, 0.9, 0.8])
    make(tmp_path / "sweep" / "second", "resnet50_v1", [0.95, 0.5])
    (tmp_path / "sweep" / "second" / "model.onnx").write_bytes(bytes(2_500_000))
    make(tmp_path / "begun", "resnet34", [])
    (tmp_path / "notes").mkdir()
    return tmp_path


def test_runs_are_listed_best_first_with_the_figures_of_the_kept_epoch(runs: Path) -> None:
    answer = run("runs", runs)
    assert answer.returncode == 0, answer.stderr
    lines = [line.split("\t") for line in answer.stdout.splitlines()]
    assert [line[0] for line in lines[1:]] == ["sweep/second", "first", "begun"]
    told = dict(zip(lines[0], lines[2], strict=True))
    assert told["AUC"] == "0.9000"
    assert told["epochs"] == "3 of 6"
    assert told["kept"] == "2"
    assert told["time"] == "4 min"
    assert dict(zip(lines[0], lines[1], strict=True))["bundle"] == "2.5 MB"


def test_programs_get_plain_data(runs: Path) -> None:
    told = json.loads(run("runs", runs, "--json").stdout)
    assert [each["network"] for each in told] == ["resnet50_v1", "resnet18", "resnet34"]
    assert told[0]["bundle_bytes"] == 2_500_000
    assert told[2]["auc"] is None


def test_a_damaged_run_is_named_and_the_others_are_listed(runs: Path) -> None:
    (runs / "begun" / "run.json").write_text("{", encoding="utf-8")
    answer = run("runs", runs)
    assert answer.returncode == 1
    assert "sweep/second" in answer.stdout
    assert "begun: is no whole run" in answer.stderr
    assert "Traceback" not in answer.stderr


def test_a_run_itself_is_listed_and_a_folder_without_runs_is_an_error(runs: Path) -> None:
    assert "first\tresnet18" in run("runs", runs / "first").stdout
    for folder, expected in ((runs / "notes", "holds no run"), (runs / "nowhere", "there is no such folder")):
        answer = run("runs", folder)
        assert answer.returncode == 1
        assert expected in answer.stderr


def test_listing_runs_loads_no_torch(runs: Path) -> None:
    code = (
        "import sys; from hilum.evaluation.comparison.leaderboard import leaderboard; from pathlib import Path; "
        "leaderboard(Path(sys.argv[1])); print([m for m in ('torch', 'polars', 'matplotlib') if m in sys.modules])"
    )
    answer = subprocess.run([sys.executable, "-c", code, str(runs)], capture_output=True, text=True, check=False)
    assert answer.stdout.strip() == "[]", answer.stderr
