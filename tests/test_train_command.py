"""`hilum train` as a user meets it: from a plain folder to a run, stopped and taken up."""

from __future__ import annotations

import json
import os
import re
import signal
from pathlib import Path

import pytest
from commands import run

from hilum.training.run import Run

SMALL = [
    *("--set", "network.name=small_cnn1", "--set", "network.weights=none", "--set", "input.height=16"),
    *("--set", "input.width=16", "--set", "training.batch_size=8", "--device", "cpu"),
    "--no-bundle",
]


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("train")
    os.environ["HILUM_HOME"] = str(folder / "home")
    answer = run("data", "phantom", folder / "films", "-n", "60", "--size", "64")
    assert answer.returncode == 0, answer.stderr
    return folder / "films"


def test_the_next_command_can_be_pasted(tmp_path: Path) -> None:
    folder = tmp_path / "my films"
    assert f"next: hilum data import '{folder}'" in run("data", "phantom", folder, "-n", "1", "--size", "64").stderr


def test_a_plain_folder_becomes_a_run(films: Path, tmp_path: Path) -> None:
    answer = run("train", films, *SMALL, "--set", "phases.0.epochs=2", "--out", tmp_path / "run")
    assert answer.returncode == 0, answer.stderr
    for words in ("read as kermany", "the official test split", "train: ", "val: ", "phase 1: 2 epochs", "kept: epoch"):
        assert words in answer.stderr
    written = {path.name for path in (tmp_path / "run").iterdir()}
    assert {"recipe.toml", "run.json", "history.csv", "curves.png", "checkpoints"} <= written
    assert len((tmp_path / "run" / "history.csv").read_text().splitlines()) == 3
    facts = json.loads((tmp_path / "run" / "run.json").read_text())
    assert facts["classes"] == ["normal", "pneumonia"]


def test_a_run_that_is_stopped_says_how_to_go_on_and_does(
    films: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = signal.getsignal(signal.SIGTERM)
    write_history = Run.write_history

    def write_and_stop(run: Run, rows: list[dict[str, float]]) -> None:
        """SIGTERM comes from within, so that something is left to train when it comes, on any machine."""
        write_history(run, rows)
        os.kill(os.getpid(), signal.SIGTERM)

    folder = tmp_path / "run"
    arguments: tuple[str | Path, ...] = ("train", films, *SMALL, "--set", "phases.0.epochs=2", "--out", folder)
    with monkeypatch.context() as patch:
        patch.setattr(Run, "write_history", write_and_stop)
        stopped = run(*arguments)
    assert stopped.returncode == 130, stopped.stderr
    assert f"go on with: hilum train --resume {folder}" in stopped.stderr
    assert "epoch 2:" not in stopped.stderr
    assert signal.getsignal(signal.SIGTERM) is before
    answer = run("train", "--resume", folder, "--device", "cpu")
    assert answer.returncode == 0, answer.stderr
    assert "epoch 2:" in answer.stderr
    assert "kept: epoch" in answer.stderr


def test_changed_conditions_refuse_to_go_on(films: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    run("train", films, *SMALL, "--set", "phases.0.epochs=1", "--out", folder)
    facts = json.loads((folder / "run.json").read_text())
    for name, value in (("threads", 77), ("data", "another"), ("torch", "0.1")):
        (folder / "run.json").write_text(json.dumps(facts | {name: value}))
        answer = run("train", "--resume", folder, "--device", "cpu")
        assert answer.returncode == 1
        assert f"{name} was {value}" in answer.stderr
    (folder / "run.json").write_text(json.dumps(facts))
    (folder / "recipe.toml").write_text((folder / "recipe.toml").read_text().replace("seed = 1", "seed = 2"))
    answer = run("train", "--resume", folder, "--device", "cpu")
    assert "recipe was" in answer.stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--recipe", "defalt"), "did you mean default"),
        (("--set", "optimiser.name=sgd"), "did you mean optimizer"),
        (("--set", "network.name=resnet19"), "resnet"),
        (("--resume", "nowhere"), "holds no run"),
        (("--device", "gpu"), "there is no such device"),
    ],
)
def test_what_cannot_be_is_one_line(films: Path, arguments: tuple[str, ...], words: str) -> None:
    answer = run("train", films, *arguments)
    assert answer.returncode == 1
    assert words in answer.stderr
    assert "Traceback" not in answer.stderr


def test_a_film_alone_in_its_batch_is_known_before(films: Path, tmp_path: Path) -> None:
    wanted = ["--set", "network.name=inception_v3", "--set", "network.weights=none", "--device", "cpu", "--no-bundle"]
    size = ["--set", "input.height=299", "--set", "input.width=299", "--set", "training.batch_size=1"]
    answer = run("train", films, *wanted, *size, "--out", tmp_path / "run")
    assert answer.returncode == 1
    assert re.search(
        r"\ninception_v3 cannot learn from a film alone, .* --set training.batch_size=\d+\n", answer.stderr
    )
    assert not (tmp_path / "run").exists()


def test_weights_that_cannot_be_had_are_known_before_films_are_decoded(
    films: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HILUM_HOME", str(tmp_path / "home"))
    answer = run("train", films, *SMALL, "--set", "network.weights=imagenet", "--out", tmp_path / "run")
    assert answer.returncode == 1
    assert "small_cnn1 has no published ImageNet weights" in answer.stderr
    assert not list(tmp_path.rglob("pixels*"))


def test_a_place_that_does_not_exist_is_named(tmp_path: Path) -> None:
    answer = run("train", tmp_path / "nowhere")
    assert answer.returncode == 1
    assert answer.stderr == f"{tmp_path / 'nowhere'}: there is no such manifest or folder\n"


def test_what_cannot_end_in_a_bundle_is_refused_before_it_starts(films: Path, tmp_path: Path) -> None:
    wanted = [argument for argument in SMALL if argument != "--no-bundle"]
    answer = run("train", films, *wanted, "--out", tmp_path / "run")
    assert answer.returncode == 1
    assert re.search(r"this run cannot end in a bundle: validation has \d+ positive and \d+ negative", answer.stderr)
    assert "--no-bundle" in answer.stderr and "epoch" not in answer.stderr
    assert not (tmp_path / "run").exists()
