"""Films in an object store: moto's server speaks S3, on loopback."""

from __future__ import annotations

import json
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import polars as pl
import pytest
from bundles import tiny_bundle
from commands import run
from test_scale import draw, rows_of
from test_scale_archives import FILMS, tarred

from hilum.scale import results, stores

pytest.importorskip("pyarrow", reason="pyarrow is not installed: pip install '.[scale]'")
boto3 = pytest.importorskip("boto3", reason="moto's server is not installed")
server = pytest.importorskip("moto.server", reason="moto's server is not installed")


@pytest.fixture(scope="module")
def store() -> Iterator[str]:
    """Its address; whoever comes finds it and the credentials where clients of S3 look for them."""
    running = server.ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    running.start()
    address = "http://127.0.0.1:{1}".format(*running.get_host_and_port())
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {
            "AWS_ACCESS_KEY_ID": "key",
            "AWS_SECRET_ACCESS_KEY": "hush-hush",
            "AWS_ENDPOINT_URL": address,
            "AWS_DEFAULT_REGION": "us-east-1",
        }.items():
            patch.setenv(name, value)
        yield address
    stores._store.cache_clear()
    running.stop()


@pytest.fixture(scope="module")
def ward(store: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder whose films lie in the bucket, too, together with a tar file, a note and a hidden file."""
    folder = draw(tmp_path_factory.mktemp("films") / "ward", 12)
    client = boto3.client("s3", endpoint_url=store)
    client.create_bucket(Bucket="archive")
    for path in folder.rglob("*.*"):
        client.upload_file(str(path), "archive", f"2026/ward a/{path.relative_to(folder)}")
    client.put_object(Bucket="archive", Key="shards/films.tar", Body=tarred(FILMS))
    client.put_object(Bucket="archive", Key="2026/ward a/.hidden.png", Body=b"")
    return folder


def test_rows_are_those_of_the_same_films_in_a_folder(ward: Path, tmp_path: Path) -> None:
    bundle = tiny_bundle(tmp_path)
    run("predict", bundle, ward, "--out", tmp_path / "here", "--processes", "1")
    run("predict", bundle, "s3://archive/2026/", "--out", tmp_path / "there", "--processes", "1")
    here, there = rows_of(tmp_path / "here"), rows_of(tmp_path / "there")
    assert there["uri"].to_list() == [
        f"s3://archive/2026/ward a/{Path(path).relative_to(ward)}" for path in here["uri"]
    ]
    assert there.drop("uri").equals(here.drop("uri"))
    assert "hush" not in "".join(path.read_text("latin-1") for path in tmp_path.rglob("there/**/*.*"))


@pytest.mark.usefixtures("ward")
def test_archives_are_read_where_they_are_and_what_is_gone_is_a_row(tmp_path: Path) -> None:
    table = tmp_path / "films.parquet"
    pl.DataFrame({"uri": ["s3://archive/shards/films.tar", "s3://archive/gone.png"]}).write_parquet(table)
    run("predict", tiny_bundle(tmp_path), table, "--out", tmp_path / "results", "--processes", "1")
    gone, *packed = rows_of(tmp_path / "results").iter_rows(named=True)
    assert gone["uri"] == "s3://archive/gone.png"
    assert gone["error"].startswith("cannot_open")
    assert [row["member"] for row in packed] == sorted(FILMS)
    assert not any(row["error"] for row in packed)


@pytest.mark.usefixtures("ward")
def test_results_lie_in_a_store_as_in_a_folder(ward: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(results, "SECONDS_TO_SETTLE", 0.1)
    bundle, there = tiny_bundle(tmp_path), "s3://archive/answers/of march"
    run("predict", bundle, ward, "--out", tmp_path / "here", "--processes", "1", "--overlays")
    given = ("predict", bundle, ward, "--out", there, "--processes", "1", "--overlays")
    first = run(*given, "--shard", "2/2")
    assert first.returncode == 0, first.stderr
    done = results.Store(there).parts()
    assert len(done) == 1 and not results.Store(there).is_there("summary.json")
    answer = run(*given)
    assert "13 films" in answer.stdout and f"{there}/rows" in answer.stdout
    drawn = pl.concat(
        pl.read_parquet(BytesIO(results.Store(there).read(name))) for name in results.Store(there).parts()
    ).sort("uri")
    assert drawn.equals(rows_of(tmp_path / "here").sort("uri"))
    summary = json.loads(results.Store(there).read("summary.json"))
    assert summary["decisions"] == json.loads((tmp_path / "here" / "summary.json").read_text())["decisions"]
    picture = results.Store(there).read(drawn["overlay"].drop_nulls()[0])
    assert picture == (tmp_path / "here" / drawn["overlay"].drop_nulls()[0]).read_bytes()
    other = run("predict", bundle, ward, "--out", there)
    assert other.returncode == 1 and "overlays" in other.stderr
    films = run("predict", bundle, ward, "--out", "s3://archive/2026")
    assert films.returncode == 1 and "holds other files" in films.stderr


@pytest.mark.usefixtures("store")
def test_of_plans_that_come_into_a_store_at_once_all_take_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(results, "SECONDS_TO_SETTLE", 1.0)
    boto3.client("s3").create_bucket(Bucket="plans")
    stores_ = [results.Store("s3://plans/march") for _ in range(3)]
    drafts = [each.begin() for each in stores_]
    for number, draft in enumerate(drafts):
        draft.write(results.CARD, f"of {number}".encode())
    monkeypatch.setattr(results.Store, "_finished", lambda _: {})  # each looks before another one is there
    for draft in drafts:
        draft.finish()
        draft.abandon()
    monkeypatch.undo()
    monkeypatch.setattr(results, "SECONDS_TO_SETTLE", 0.1)
    (chosen,) = {each.plan() for each in stores_}
    assert stores_[0].read(f"{chosen}/{results.CARD}").startswith(b"of ")


def test_a_store_that_takes_nothing_is_said(store: str, ward: Path, tmp_path: Path) -> None:
    answer = run("predict", tiny_bundle(tmp_path), ward, "--out", "s3://nobodys/results")
    assert answer.returncode == 1
    assert "s3://nobodys: cannot be written just now" in answer.stderr


def test_a_folder_that_is_not_there_is_said(store: str, tmp_path: Path) -> None:
    answer = run("predict", tiny_bundle(tmp_path), "s3://archive/nowhere/", "--out", tmp_path / "results")
    assert answer.returncode == 1
    assert "no such object or folder" in answer.stderr


def test_a_store_that_is_away_is_not_held_against_the_films(
    store: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    table = tmp_path / "films.parquet"
    pl.DataFrame({"uri": ["s3://elsewhere/film.png"]}).write_parquet(table)
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    answer = run("predict", tiny_bundle(tmp_path), table, "--out", tmp_path / "results", "--processes", "1")
    assert answer.returncode == 1
    assert "s3://elsewhere: cannot be read just now" in answer.stderr
    assert not list((tmp_path / "results").glob("rows/*/*"))
