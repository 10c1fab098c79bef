"""`hilum drift`: what a user and a cron job see of films that are, and are not, of the kind that a bundle knows."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path

import polars as pl
import pytest
from bundles import tiny_bundle
from drifting import bundle_of_noise, write_noise
from typer.testing import CliRunner

import hilum
from hilum.bundle.card import BundleError
from hilum.bundle.drift.fitting import local_baseline
from hilum.bundle.reading import Reading
from hilum.cli.app import app
from hilum.measures.figure import EvaluationError

NEW, ALARM = 40, 3


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return bundle_of_noise(tmp_path_factory.mktemp("drift"))


def run(*arguments: object) -> tuple[int, str, str]:
    result = CliRunner().invoke(app, ["drift", *map(str, arguments)])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.exit_code, result.stdout, result.stderr


def test_films_of_the_same_kind_are_no_drift(bundle: Path, tmp_path: Path) -> None:
    write_noise(tmp_path / "films", NEW, 2)
    code, out, errors = run(bundle, tmp_path / "films")
    assert (code, errors) == (0, "")
    assert "No sign that these 40 films are of another kind than the 80 films that the model knows" in out
    assert "film-" in out  # the farthest are named


def test_other_films_are_drift_and_the_exit_code_tells(bundle: Path, tmp_path: Path) -> None:
    write_noise(tmp_path / "films", NEW, 3, darker=0.15)
    code, out, _ = run(bundle, tmp_path / "films", "--json")
    plain = json.loads(out)
    assert code == ALARM
    assert plain["drift"] is True
    assert (plain["films"], plain["failed"], plain["not_compared"]) == (NEW, 0, 0)
    (group,) = plain["groups"]
    first = group["traits"][0]
    assert (first["p"] < 0.05, first["apart"] > 0.5) == (True, True)
    by_trait = {trait["trait"]: trait for trait in group["traits"]}
    assert by_trait["log odds of pneumonia"]["median"] < by_trait["log odds of pneumonia"]["usual"]
    assert by_trait["size"]["p"] == 1.0
    of = {trait: by_trait[trait]["of"] for trait in ("axis 1", "gray level", "size")}
    assert of == {"axis 1": "seen", "gray level": "gray levels", "size": "stored"}
    assert len(plain["farthest"]) == 12
    assert plain["farthest"][0]["distance"] >= plain["farthest"][1]["distance"]


def test_films_stored_otherwise_are_told_from_films_that_look_otherwise(bundle: Path, tmp_path: Path) -> None:
    write_noise(tmp_path / "films", NEW, 4, side=128)
    code, out, _ = run(bundle, tmp_path / "films", "--json")
    of = {trait["trait"]: trait["p"] <= 0.05 for trait in json.loads(out)["groups"][0]["traits"]}
    assert (code, of["size"]) == (ALARM, True)


def test_the_page_shows_the_farthest_films_and_the_table_serves_again(bundle: Path, tmp_path: Path) -> None:
    films = write_noise(tmp_path / "films", NEW, 5, darker=0.1)
    code, first, errors = run(bundle, tmp_path / "films", "-o", tmp_path / "out")
    assert (code, "drift.html" in errors) == (ALARM, True)
    page = (tmp_path / "out" / "drift.html").read_text()
    assert page.count('<figure class="film">') == 12
    assert "Research use only" in page and "Nothing here tells whose films these are" in page
    rows = list(csv.DictReader((tmp_path / "out" / "films.csv").read_text().splitlines()))
    assert [row["film"] for row in rows] == [str(film) for film in films]
    assert json.loads((tmp_path / "out" / "drift.json").read_text())["drift"] is True
    for film in films:
        film.unlink()  # judged already
    assert run(bundle, tmp_path / "out" / "films.csv")[:2] == (ALARM, first)


def test_a_manifest_gives_each_patient_one_film(bundle: Path, tmp_path: Path) -> None:
    films = write_noise(tmp_path / "films", NEW, 6)
    table = pl.DataFrame(
        {
            "path": [str(film.relative_to(tmp_path)) for film in films],
            "patient": [f"p{number // 2}" for number in range(NEW)],
            "split": ["test"] * NEW,
        }
    )
    table.write_csv(tmp_path / "manifest.csv")
    code, out, _ = run(bundle, tmp_path / "manifest.csv", "--split", "test", "--json")
    assert (code, json.loads(out)["films"]) == (0, NEW // 2)
    code, _, errors = run(bundle, tmp_path / "manifest.csv", "--split", "val")
    assert (code, "no film is in split val" in errors) == (1, True)


def test_a_watch_goes_on_from_run_to_run(bundle: Path, tmp_path: Path) -> None:
    state = tmp_path / "state.json"
    for day in range(3):
        write_noise(tmp_path / f"day-{day}", 10, 10 + day)  # too few to compare, enough to watch
        code, out, _ = run(bundle, tmp_path / f"day-{day}", "--state", state)
        assert code == 0
        assert f"{10 * (day + 1)} films since the watch began, no alarm" in out
    write_noise(tmp_path / "dark", 15, 20, darker=0.2)
    code, out, _ = run(bundle, tmp_path / "dark", "--state", state, "--json")
    watch = json.loads(out)["watch"]
    assert (code, watch["films"], 30 < watch["alarm"]["film"] <= 45) == (ALARM, 45, True)
    code, out, _ = run(bundle, tmp_path / "day-0", "--state", state)
    assert (code, "(given before)" in out) == (ALARM, True)


def test_a_film_that_cannot_be_read_is_one_line_and_the_others_are_compared(bundle: Path, tmp_path: Path) -> None:
    write_noise(tmp_path / "films", NEW, 7)
    (tmp_path / "films" / "broken.png").write_bytes(b"no picture")
    code, out, errors = run(bundle, tmp_path / "films")
    assert (code, "40 films" in out) == (1, True)
    assert re.fullmatch(r".*broken\.png: \w+: .*\n", errors)


@pytest.mark.parametrize(
    ("films", "message"),
    [(0, "no film could be read"), (5, "5 films are too few to compare; give at least 20")],
)
def test_too_few_films_are_one_line(bundle: Path, tmp_path: Path, films: int, message: str) -> None:
    write_noise(tmp_path / "films", films, 8)
    code, out, errors = run(bundle, tmp_path / "films")
    assert (code, out, errors.count("\n")) == (1, "", 1)
    assert message in errors


def test_a_bundle_that_knows_no_films_says_what_to_do(tmp_path: Path) -> None:
    write_noise(tmp_path / "films", 2, 9)
    code, _, errors = run(tiny_bundle(tmp_path), tmp_path / "films")
    assert (code, errors.count("\n")) == (1, 1)
    assert "hilum calibrate --unlabelled" in errors


def test_the_card_lists_the_kinds_that_a_bundle_knows(bundle: Path) -> None:
    shown = CliRunner().invoke(app, ["show", str(bundle)]).stdout
    assert "own films (80)" in shown
    kinds = json.loads(CliRunner().invoke(app, ["show", str(bundle), "--json"]).stdout)["drift"]["kinds"]
    assert [(kind["source"], kind["films"], kind["facts"]["bits"]) for kind in kinds] == [("own films", 80, {"8": 80})]


def test_a_table_of_another_bundle_is_refused(bundle: Path, tmp_path: Path) -> None:
    write_noise(tmp_path / "films", NEW, 5)
    run(bundle, tmp_path / "films", "-o", tmp_path / "out")
    other = tiny_bundle(tmp_path, drift=hilum.load(bundle).card.drift, title="another")
    code, _, errors = run(other, tmp_path / "out" / "films.csv")
    assert (code, "judged by another bundle" in errors) == (1, True)


def test_a_split_is_of_manifests(bundle: Path, tmp_path: Path) -> None:
    write_noise(tmp_path / "films", 1, 1)
    code, _, errors = run(bundle, tmp_path / "films", "--split", "test")
    assert (code, "only a manifest has splits" in errors) == (1, True)


def test_a_baseline_of_own_films_needs_enough_of_them(bundle: Path, tmp_path: Path) -> None:
    films = write_noise(tmp_path / "films", 49, 11)
    predictor = hilum.load(bundle)
    readings = [reading for reading in predictor.readings(films) if isinstance(reading, Reading)]
    with pytest.raises(BundleError, match="49 films to fit a baseline of drift to, too few"):
        local_baseline(predictor.card, readings)


def test_python_gives_what_the_command_says(bundle: Path, tmp_path: Path) -> None:
    films = write_noise(tmp_path / "films", NEW, 30, darker=0.15)
    code, out, _ = run(bundle, tmp_path / "films", "--json")
    report = hilum.drift(bundle, films, state=tmp_path / "state.json")
    assert report.alarms and code == ALARM
    assert {key: value for key, value in report.to_dict().items() if key != "watch"} == json.loads(out)
    assert report.monitor is not None and report.monitor.films == NEW
    assert report.rows()[0] == {
        "patient_group": None,
        "kind": "own films",
        **report.to_dict()["groups"][0]["traits"][0],
    }
    assert "are of another kind" in report._repr_html_()
    assert (report._repr_png_() or b"").startswith(b"\x89PNG")
    few = hilum.drift(bundle, films[:5], tmp_path / "out", state=tmp_path / "state.json")
    assert few.found is None and few.alarms  # the watch's stays
    assert few._repr_png_() is None and not (tmp_path / "out").exists()
    with pytest.raises(EvaluationError, match="too few"):
        few.save(tmp_path / "out")
