"""`hilum predict --out`: any number of films, each with one row, whatever is killed on the way."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
import polars as pl
import pytest
from bundles import tiny_bundle, tiny_detection_bundle
from commands import run
from conftest import LONGER, PATIENCE
from drifting import bundle_of_noise, write_noise
from films import picture
from PIL import Image

import hilum
from hilum.bundle.opening import PROVIDERS
from hilum.scale import judge as judge_module
from hilum.scale import plan
from hilum.scale.errors import StoreError
from hilum.scale.judge import Judging, shards_judged
from hilum.scale.plan import How, open_plan
from hilum.scale.results import Folder
from hilum.scale.sources import sources_as_text
from hilum.service.films.pool import FilmBug
from hilum.service.films.process import judge
from hilum.service.films.served import Answer, Served, Wanted

KEY = ["uri", "member"]


def draw(folder: Path, films: int) -> Path:
    """As many films, from dark to bright so that decisions differ, a folder below, a broken one and a note."""
    (folder / "night").mkdir(parents=True)
    for number in range(films):
        shades = np.linspace(number, 90 + 165 * number / films, 40 * 50).astype(np.uint8).reshape(40, 50)
        place = folder / "night" if number % 3 else folder
        (place / f"film-{number:04}.png").write_bytes(picture(Image.fromarray(shades), "PNG"))
    (folder / "broken.jpg").write_bytes(b"\xff\xd8\xff\xe0")
    (folder / "notes.txt").write_text("none")
    return folder


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_bundle(tmp_path_factory.mktemp("bundle"))


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return draw(tmp_path_factory.mktemp("films") / "ward", 40)


@pytest.fixture(scope="module")
def expected(bundle: Path, films: Path) -> pl.DataFrame:
    """What the Predictor says of the same films by itself."""
    paths = sorted(path for path in films.rglob("*.*") if path.suffix != ".txt")
    rows = [answer.to_row() for answer in hilum.load(bundle).predict(paths)]
    return pl.DataFrame(rows, infer_schema_length=None).rename({"file": "uri"}).sort("uri")


def rows_of(results: Path) -> pl.DataFrame:
    return pl.read_parquet(sorted(results.glob("rows/*/*.parquet"))).sort(KEY)


def agree(found: pl.DataFrame, expected: pl.DataFrame) -> None:
    assert found.columns[:2] == KEY
    names = expected.columns
    assert found.select(names).cast(pl.String).rows() == expected.cast(pl.String).rows()


def test_a_folder_gets_the_rows_that_the_predictor_gives(
    bundle: Path, films: Path, expected: pl.DataFrame, tmp_path: Path
) -> None:
    answer = run("predict", bundle, films, "--out", tmp_path / "results", "--processes", "2")
    assert answer.returncode == 1  # for the broken one
    rows = rows_of(tmp_path / "results")
    agree(rows, expected)
    summary = json.loads((tmp_path / "results" / "summary.json").read_text())
    assert summary["films"] == len(expected)
    assert summary["decisions"] == dict(rows.drop_nulls("decision")["decision"].value_counts().rows())
    assert summary["errors"] == {str(rows["error"].drop_nulls()[0]).partition(":")[0]: 1}
    assert all(seconds > 0 for seconds, *_ in summary["slowest"])
    assert f"{len(expected)} films" in answer.stdout


@pytest.mark.parametrize("starts", [True, False])
def test_a_gpu_is_chosen_by_itself_where_onnxruntime_starts_one(
    bundle: Path, films: Path, expected: pl.DataFrame, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, starts: bool
) -> None:
    """The processor stands for it; the other provider of that name is none that can be started here."""
    there = "CPUExecutionProvider" if starts else "CUDAExecutionProvider"
    monkeypatch.setitem(PROVIDERS, "cuda", there)
    devices: list[str] = []

    def load(model: Path, *, threads: int, device: str) -> hilum.Predictor:
        devices.append(device)
        return hilum.load(model, threads=threads, device=device)

    monkeypatch.setattr(judge_module, "load", load)
    answer = run("predict", bundle, films, "--out", tmp_path / "results", "--processes", "2")
    assert devices == (["cuda", "cuda"] if starts else ["cuda", "cpu"])
    assert ("cannot start a GPU here; the CPU judges" in answer.stderr) is not starts
    agree(rows_of(tmp_path / "results"), expected)


def test_jobs_of_an_array_share_the_films_and_the_last_one_sums_up(
    bundle: Path, films: Path, expected: pl.DataFrame, tmp_path: Path
) -> None:
    out = tmp_path / "results"
    first = run("predict", bundle, films, "--out", out, "--shard", "2/2", "--processes", "1")
    assert first.returncode == 0
    assert "job 2 of 2 is done" in first.stderr
    assert 0 < len(rows_of(out)) < len(expected)
    assert not (out / "summary.json").exists()
    last = run("predict", bundle, films, "--out", out, "--shard", "1/2", "--processes", "1")
    assert "films" in last.stdout
    agree(rows_of(out), expected)


def test_of_many_plans_made_at_once_the_first_one_counts(
    bundle: Path, films: Path, expected: pl.DataFrame, tmp_path: Path
) -> None:
    out = tmp_path / "results"
    (out / ".plan-0123456789ab.part").mkdir(parents=True)  # of one that was killed
    command = [sys.executable, "-m", "hilum", "predict", bundle, films, "--out", out, "--processes", "1", "--shard"]
    jobs = [subprocess.Popen(list(map(str, [*command, f"{job}/2"])), stderr=subprocess.PIPE) for job in (1, 2)]
    assert {job.communicate(timeout=PATIENCE) and job.returncode for job in jobs} <= {0, 1}
    agree(rows_of(out), expected)


@pytest.mark.soak
def test_killed_at_any_moment_the_same_command_goes_on(bundle: Path, tmp_path: Path) -> None:
    films, out = draw(tmp_path / "ward", 60 * LONGER), tmp_path / "results"
    command = [sys.executable, "-m", "hilum", "predict", bundle, films, "--out", out, "--processes", "1"]
    for kills in range(1, 3):
        process = subprocess.Popen(list(map(str, command)), stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        until_there(out, kills, process)
        process.kill()
        process.communicate(timeout=PATIENCE)
    before = {path: path.stat().st_mtime_ns for path in out.glob("rows/*/*.parquet")}
    run("predict", bundle, films, "--out", out)
    assert all(path.stat().st_mtime_ns == at for path, at in before.items())  # nothing is done twice
    paths = sorted(str(path) for path in films.rglob("*.*") if path.suffix != ".txt")
    assert rows_of(out)["uri"].to_list() == paths


def until_there(out: Path, parts: int, process: subprocess.Popen[bytes]) -> None:
    ends = time.monotonic() + PATIENCE
    while len(list(out.glob("rows/*/*.parquet"))) < parts and process.poll() is None and time.monotonic() < ends:
        time.sleep(0.01)


def test_an_interrupt_keeps_what_is_whole(bundle: Path, tmp_path: Path) -> None:
    films, out = draw(tmp_path / "ward", 200), tmp_path / "results"
    command = [sys.executable, "-m", "hilum", "predict", bundle, films, "--out", out, "--processes", "1"]
    process = subprocess.Popen(list(map(str, command)), stderr=subprocess.PIPE, text=True)
    until_there(out, 1, process)  # type: ignore[arg-type]
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=PATIENCE)
    assert process.returncode == 130, said
    assert "the same command goes on" in said


@pytest.mark.parametrize(
    ("change", "word"),
    [
        (["--threshold", "0.3"], "threshold"),
        (["--no-gate"], "gate"),
        (["--invert"], "invert"),
        (["--overlays"], "overlays"),
    ],
)
def test_other_settings_are_refused(begun: tuple[Path, Path, Path], change: list[str], word: str) -> None:
    bundle, films, out = begun
    answer = run("predict", bundle, films, "--out", out, *change)
    assert answer.returncode == 1
    assert word in answer.stderr
    assert answer.stderr.count("\n") == 1


@pytest.fixture(scope="module")
def begun(bundle: Path, films: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, Path]:
    """Results that were begun, with nothing judged yet."""
    out = tmp_path_factory.mktemp("begun") / "results"
    served = Served.of("any", hilum.load(bundle, threads=1))
    how = How.of(served, hilum.Asked(heatmaps=False), invert=False, overlays=False)
    open_plan(Folder(out), how, sources_as_text([str(films)]))
    return bundle, films, out


def test_another_bundle_and_other_films_are_refused(begun: tuple[Path, Path, Path], tmp_path: Path) -> None:
    bundle, films, out = begun
    other = run("predict", tiny_detection_bundle(tmp_path), films, "--out", out)
    assert other.returncode == 1
    assert "bundle" in other.stderr
    elsewhere = run("predict", bundle, films / "night", "--out", out)
    assert elsewhere.returncode == 1
    assert "elsewhere" in elsewhere.stderr
    assert not list(out.glob("rows/*/*"))


def test_a_folder_with_other_files_is_left_alone(bundle: Path, films: Path, tmp_path: Path) -> None:
    (tmp_path / "thesis.odt").touch()
    answer = run("predict", bundle, films, "--out", tmp_path)
    assert answer.returncode == 1
    assert "holds other files" in answer.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.odt"]


def test_what_is_not_there_is_said_and_leaves_no_folder(bundle: Path, tmp_path: Path) -> None:
    answer = run("predict", bundle, tmp_path / "nowhere", "--out", tmp_path / "results")
    assert answer.returncode == 1
    assert "no such file or folder" in answer.stderr
    assert not (tmp_path / "results").exists()


def test_lists_and_tables_name_films(bundle: Path, films: Path, expected: pl.DataFrame, tmp_path: Path) -> None:
    paths = expected["uri"].to_list()
    (films / "list.lst").write_text("\n".join(os.path.relpath(path, films) for path in paths[:20]) + "\n\n")
    pl.DataFrame({"path": paths[20:] + paths[-1:]}).write_parquet(tmp_path / "rest.parquet")
    run("predict", bundle, films / "list.lst", tmp_path / "rest.parquet", "--out", tmp_path / "results")
    (films / "list.lst").unlink()
    agree(rows_of(tmp_path / "results"), expected)


def test_a_pattern_names_what_it_matches(bundle: Path, films: Path, tmp_path: Path) -> None:
    run("predict", bundle, films / "*.jpg", "--out", tmp_path / "results", "--processes", "1")
    assert rows_of(tmp_path / "results")["uri"].to_list() == [str(films / "broken.jpg")]


@pytest.mark.parametrize("option", ["--csv=rows.csv", "--json", "--heatmap=drawn", "--dicom=results"])
def test_what_does_not_go_with_a_folder_of_results_is_refused(bundle: Path, films: Path, option: str) -> None:
    answer = run("predict", bundle, films, "--out", "results", option)
    assert answer.returncode == 2
    assert f"{option.partition('=')[0]} does not go with --out" in answer.stderr


@pytest.mark.parametrize("given", ["0/4", "5/4", "2", "a/b"])
def test_a_job_that_there_is_not_is_refused(bundle: Path, films: Path, given: str) -> None:
    answer = run("predict", bundle, films, "--out", "results", "--shard", given)
    assert answer.returncode == 2
    assert "from 1/16 to 16/16" in answer.stderr


@pytest.mark.parametrize(
    "address", ["s3://KEY:hush-hush@bucket/films", "s3://bucket/film.png?X-Amz-Signature=hush-hush"]
)
def test_an_address_with_a_secret_is_refused_and_not_repeated(bundle: Path, address: str, tmp_path: Path) -> None:
    table = tmp_path / "films.parquet"
    pl.DataFrame({"uri": [str(tmp_path / "film.png"), address]}).write_parquet(table)
    for named in (address, str(table)):
        answer = run("predict", bundle, named, "--out", tmp_path / "results")
        assert answer.returncode == 1
        assert "an address with a" in answer.stderr
        assert "hush" not in answer.stderr + answer.stdout
    assert not (tmp_path / "results").exists()


@pytest.mark.parametrize("given", ["s3://", "s3:///"])
def test_a_store_without_a_bucket_is_refused(bundle: Path, films: Path, given: str) -> None:
    answer = run("predict", bundle, films, "--out", given)
    assert answer.returncode == 1
    assert answer.stderr == f"{given}: names no bucket; give one and a folder in it, as in s3://BUCKET/FOLDER\n"


def test_overlays_lie_beside_the_rows(bundle: Path, films: Path, tmp_path: Path) -> None:
    run("predict", bundle, films / "night", "--out", tmp_path / "results", "--overlays", "--processes", "1")
    rows = rows_of(tmp_path / "results")
    with Image.open(tmp_path / "results" / rows["overlay"][0]) as drawn:
        assert drawn.format == "PNG"
    assert rows["overlay"].n_unique() == len(rows)


def test_the_summary_says_whether_films_are_of_the_kind_that_the_bundle_knows(tmp_path: Path) -> None:
    bundle = bundle_of_noise(tmp_path)
    for name, darker, words in (("alike", 0.0, "No sign that these 40 films"), ("darker", 0.2, "of another kind")):
        write_noise(tmp_path / name, 40, 7, darker)
        answer = run("predict", bundle, tmp_path / name, "--out", tmp_path / f"of-{name}", "--no-gate")
        assert words in answer.stdout


def test_traits_are_kept_of_enough_films_and_no_more(begun: tuple[Path, Path, Path]) -> None:
    *_, out = begun
    few = plan.read_plan(Folder(out))
    assert all(few.has_traits_kept(plan.Film(f"{number}.png")) for number in range(100))
    many = plan.Plan(few.results, replace(few.card, films=1_000_000), "")
    kept = sum(many.has_traits_kept(plan.Film(f"{number}.png")) for number in range(20_000))
    assert 100 < kept < 400


def judging(bundle: Path, give: Any) -> Judging:
    served = Served.of("any", hilum.load(bundle, threads=1))
    return Judging(served, Wanted("any", hilum.Asked(heatmaps=False)), give, 2)


def judged_with(bundle: Path, films: Path, out: Path, give: Any) -> pl.DataFrame:
    made = judging(bundle, give)
    how = How.of(made.served, hilum.Asked(heatmaps=False), invert=False, overlays=False)
    made_plan = open_plan(Folder(out), how, sources_as_text([str(films)]))
    for _ in shards_judged(made_plan, range(len(made_plan)), made):
        pass
    return rows_of(out)


def test_a_process_that_was_ended_while_it_had_a_film_says_nothing_of_the_film(
    bundle: Path, films: Path, expected: pl.DataFrame, tmp_path: Path
) -> None:
    predictor = hilum.load(bundle, threads=1)
    lost: set[object] = set()

    def give(wanted: Wanted, film: str) -> Answer:
        if film in lost:
            return judge(predictor, film, wanted)
        lost.add(film)
        return Served.of("any", predictor).failed(wanted, "too_costly", "ended by somebody else")

    agree(judged_with(bundle, films, tmp_path / "results", give), expected)


def test_films_of_a_share_that_is_away_are_not_held_against_them(bundle: Path, tmp_path: Path) -> None:
    films = draw(tmp_path / "share", 12)
    predictor = hilum.load(bundle, threads=1)
    leaving = Lock()  # films are judged in threads

    def give(wanted: Wanted, film: str) -> Answer:
        with leaving:
            if films.exists():
                films.rename(tmp_path / "away")
        return judge(predictor, film, wanted)

    with pytest.raises(StoreError, match="is away"):
        judged_with(bundle, films, tmp_path / "results", give)
    assert not list((tmp_path / "results").glob("rows/*/*"))
    (tmp_path / "away").rename(films)
    rows = judged_with(bundle, films, tmp_path / "results", lambda wanted, film: judge(predictor, film, wanted))
    assert len(rows) == 13


def test_a_bug_of_ours_is_a_row_and_shows_where_it_was(
    bundle: Path, films: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def give(wanted: Wanted, film: str) -> Answer:
        raise FilmBug("Traceback: here")

    rows = judged_with(bundle, films, tmp_path / "results", give)
    assert set(rows["error"].str.split(":").list.first()) == {"bug"}
    assert capsys.readouterr().err.count("Traceback: here") == 1


@pytest.mark.parametrize(("films", "in_shard"), [(1, 8), (100, 8), (2_000, 32), (100_000, 256), (10**9, 4096)])
def test_a_shard_has_about_as_many_films_as_there_are_shards(films: int, in_shard: int) -> None:
    assert plan._shard_size(films) == in_shard
    assert plan.IN_LIST % in_shard == 0
