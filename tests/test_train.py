"""`hilum.train`: what the command does, from Python: silent, in any thread, with results to go on with."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from exported import phantom_manifest

import hilum
from hilum.bundle.card import BundleError
from hilum.dataset.manifest.manifest import Manifest, load_manifest, save_manifest
from hilum.export.requirements import check_requirements
from hilum.export.train import Trained, TrainedSweep
from hilum.training.fit import Interrupted
from hilum.training.observer import Epoch, Event, Learning, Notice, Step, Working, lines
from hilum.training.recipe import recipe_from
from hilum.training.run import RunError

pytestmark = pytest.mark.usefixtures("exports_remembered")
SMALL: dict[str, object] = {
    "network.name": "small_cnn1",
    "network.weights": "none",
    "network.dropout": 0,
    "input.height": 16,
    "input.width": 16,
    "training.batch_size": 8,
    "training.ema": 0,
    "phases.0.epochs": 2,
}


@pytest.fixture(scope="module")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return phantom_manifest(tmp_path_factory.mktemp("train") / "films")


def test_it_ends_in_a_bundle_and_says_nothing_unless_asked(
    manifest: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    events: list[Event] = []
    made: list[Trained] = []

    def work() -> None:  # a thread may not set signals
        made.append(hilum.train(manifest, settings=SMALL, out=tmp_path / "run", device="cpu", observer=events.append))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    (trained,) = made
    assert capfd.readouterr() == ("", "")
    assert trained.bundle == tmp_path / "run" / "model.onnx"
    assert hilum.load(trained.bundle).card.classes == ["normal", "pneumonia"]
    assert {type(event) for event in events} == {Notice, Working, Learning, Step, Epoch}
    assert [event.row for event in events if isinstance(event, Epoch)] == trained.history

    told = json.loads(json.dumps(trained.to_dict()))
    assert told["bundle"] == str(trained.bundle)
    assert pl.DataFrame(trained.rows())["epoch"].to_list() == [1, 2]
    assert trained.kept in trained.rows()
    assert trained._repr_png_().startswith(b"\x89PNG")
    assert "model.onnx" in trained._repr_html_()

    for event in events:
        lines(event)
    printed = capfd.readouterr().out
    assert "epoch 2: training loss" in printed and "epoch 1/2" not in printed


def test_it_stops_when_asked_and_goes_on(manifest: Path, tmp_path: Path) -> None:
    asked: list[bool] = []

    def stop() -> bool:
        asked.append(True)
        return len(asked) == 2

    options: dict[str, Any] = {"device": "cpu", "bundle": False}
    with pytest.raises(Interrupted, match=f"stopped; go on with: hilum train --resume {tmp_path / 'run'}"):
        hilum.train(manifest, settings=SMALL, out=tmp_path / "run", stop=stop, **options)
    trained = hilum.train(resume=tmp_path / "run", device="cpu")
    assert [row["epoch"] for row in trained.history] == [1, 2]
    assert trained.bundle is None and trained.reason == ""  # as it was begun


def test_a_sweep_gives_a_row_a_combination(manifest: Path, tmp_path: Path) -> None:
    small = SMALL | {"phases.0.epochs": 1}
    swept = hilum.train(
        manifest, settings=small, sweep={"training.batch_size": [8, 16]}, out=tmp_path / "sweep", device="cpu"
    )
    assert isinstance(swept, TrainedSweep)
    assert [row["training.batch_size"] for row in swept.rows()] == ["8", "16"]
    assert swept.best is not None
    assert json.loads(json.dumps(swept.to_dict()))["best"] == str(swept.best.combination.run.folder)
    assert "training.batch_size" in swept._repr_html_()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({}, "name a manifest or a folder"),
        ({"resume": "run", "out": "elsewhere"}, "with its own recipe, in its own directory"),
        ({"resume": "nowhere"}, "holds no run"),
        ({"device": "gpu"}, "there is no such device"),
    ],
)
def test_what_cannot_be_is_an_exception_of_one_line(options: dict[str, str], words: str) -> None:
    with pytest.raises(RunError, match=words) as raised:
        hilum.train(**options)  # type: ignore[call-overload]
    assert len(str(raised.value).splitlines()) == 1


def recipe(**sections: object) -> Any:
    return recipe_from(sections)


DETECTOR = {"detector": {}, "training": {"batch_size": 8}}


def test_whatever_keeps_a_run_from_a_bundle_is_known_before(manifest: Path) -> None:
    whole = load_manifest(manifest)
    check_requirements(whole, recipe())

    def but(**columns: pl.Expr) -> Manifest:
        return Manifest(whole.table.with_columns(**columns), whole.folder)

    sick, val = pl.col("pneumonia"), pl.col("split") == "val"
    few = but(split=pl.when(val & ~sick & (pl.int_range(pl.len()) % 2 == 0)).then(pl.lit("train")).otherwise("split"))
    with pytest.raises(BundleError, match=r"this run cannot end in a bundle: validation has \d+ positive and \d+ neg"):
        check_requirements(few, recipe())
    with pytest.raises(BundleError, match="every class means pneumonia"):
        check_requirements(but(pneumonia=pl.lit(True)), recipe())
    with pytest.raises(BundleError, match="validation has 0 true boxes"):
        check_requirements(whole, recipe(**DETECTOR))
    # A label of classes of both kinds says nothing of pneumonia.
    unsure = {"normal": ["normal", "bacterial", "viral"], "pneumonia": ["bacterial", "viral"], "other": ["covid"]}
    with pytest.raises(BundleError, match=r"--no-bundle, in Python bundle=False"):
        check_requirements(whole, recipe(classes=unsure))


def test_the_same_films_are_refused_by_training_itself(manifest: Path, tmp_path: Path) -> None:
    whole = load_manifest(manifest)
    few = Manifest(whole.table.filter((pl.col("split") == "train") | pl.col("pneumonia")), whole.folder)
    save_manifest(few, tmp_path / "few.parquet")
    with pytest.raises(BundleError, match="0 negative films"):
        hilum.train(tmp_path / "few.parquet", settings=SMALL, out=tmp_path / "run", device="cpu")
    assert not (tmp_path / "run").exists()
