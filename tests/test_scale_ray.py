"""`hilum predict --out --ray`: shards over a cluster of two nodes, of which one is lost, and the driver too."""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import polars as pl
import pytest
from bundles import tiny_bundle
from commands import run
from conftest import LONGER, PATIENCE, SOAK
from test_scale import rows_of, until_there
from test_scale_archives import tarred
from test_scale_stores import boto3, store  # noqa: F401
from test_train_command import SMALL, films  # noqa: F401

import hilum
from hilum.dataset.phantom.phantom import write_phantoms
from hilum.scale import cluster
from hilum.scale.errors import ScaleError

ray = pytest.importorskip("ray", reason="Ray is not installed: pip install '.[scale]'")
HERE = Path(__file__).parent
PHANTOMS, FILMS = 50, 2000 * LONGER


class Nodes(NamedTuple):
    """A cluster of two nodes, and what its clients need to be let in."""

    address: str
    process: subprocess.Popen[str]

    def kill_one(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write("one\n")
        self.process.stdin.flush()


@pytest.fixture(scope="module")
def nodes(store: str) -> Iterator[Nodes]:  # noqa: F811
    """They know of the store, too."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_AUTH_MODE", "token")
        patch.setenv("RAY_AUTH_TOKEN", secrets.token_hex(32))
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        patch.setenv("RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", "0")  # the nodes stay on loopback
        patch.setenv("PYTHONPATH", f"{HERE.parent / 'src'}{os.pathsep}{os.environ.get('PYTHONPATH', '')}")
        with subprocess.Popen(
            [sys.executable, HERE / "ray_nodes.py"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        ) as process:
            assert process.stdout is not None
            address = next((line.strip() for line in process.stdout if line.startswith("127.0.0.1:")), "")
            yield Nodes(address, process)
            process.communicate(timeout=PATIENCE)


def command(*arguments: object) -> subprocess.Popen[bytes]:
    words = [sys.executable, "-m", "hilum", "predict", *map(str, arguments)]
    return subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


@pytest.mark.soak
@pytest.mark.skipif(not SOAK, reason="loads torch on two nodes, which takes a minute: `make soak` runs it")
def test_a_sweep_is_what_it_is_one_after_the_other(nodes: Nodes, films: Path, tmp_path: Path) -> None:  # noqa: F811
    given = [str(films), *SMALL, "--sweep", "training.batch_size=4,8", "--device", "cpu"]
    alone = run("train", *given, "--out", tmp_path / "alone")
    words = [sys.executable, "-m", "hilum", "train", *given, "--out", str(tmp_path / "spread"), "--ray", nodes.address]
    spread = subprocess.run(words, capture_output=True, text=True, check=False)
    assert (alone.returncode, spread.returncode) == (0, 0), spread.stderr
    assert spread.stderr.count("trained: training.batch_size=") == 2
    one, other = (pl.read_csv(tmp_path / name / "sweep.csv").drop("seconds") for name in ("alone", "spread"))
    assert one.equals(other)


@pytest.fixture(scope="module")
def phantoms(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The content of small films, by their names."""
    folder = tmp_path_factory.mktemp("phantoms")
    write_phantoms(folder, PHANTOMS, "folder", size=64)
    found = {path.name: path.read_bytes() for path in folder.rglob("film-*.*")}
    assert len(found) == PHANTOMS
    return found


def spread(phantoms: dict[str, bytes], folder: Path) -> list[tuple[str, str | None, str]]:
    """Each phantom many times: as files, in tar shards and as objects; address, member and name of every one."""
    client = boto3.client("s3")
    client.create_bucket(Bucket="phantoms")
    placed: list[tuple[str, str | None, str]] = []
    for ward in range(FILMS // PHANTOMS):
        if ward % 4 == 0:
            placed += [(f"s3://phantoms/{ward:03}/{name}", None, name) for name in phantoms]
            for name, content in phantoms.items():
                client.put_object(Bucket="phantoms", Key=f"{ward:03}/{name}", Body=content)
        elif ward % 4 == 1:
            shard = folder / f"shard-{ward:03}.tar"
            shard.write_bytes(tarred(phantoms))
            placed += [(str(shard), name, name) for name in phantoms]
        else:
            (folder / f"{ward:03}").mkdir()
            for name, content in phantoms.items():
                (folder / f"{ward:03}" / name).write_bytes(content)
            placed += [(str(folder / f"{ward:03}" / name), None, name) for name in phantoms]
    (folder / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    return placed


@pytest.mark.soak
def test_rows_are_as_of_one_process_though_driver_and_node_are_killed(
    nodes: Nodes, phantoms: dict[str, bytes], tmp_path: Path
) -> None:
    bundle, ward, out = tiny_bundle(tmp_path), tmp_path / "ward", tmp_path / "results"
    ward.mkdir()
    placed = spread(phantoms, ward)
    given = (bundle, ward, "s3://phantoms/", "--out", out, "--ray", nodes.address)
    driver = command(*given)
    until_there(out, 1, driver)
    driver.kill()
    driver.communicate(timeout=PATIENCE)
    driver = command(*given)
    until_there(out, len(list(out.glob("rows/*/*.parquet"))) + 1, driver)
    nodes.kill_one()
    answer, heard = driver.communicate(timeout=PATIENCE)
    assert b"no answer: damaged 1" in answer, heard.decode()
    assert driver.returncode == 1
    answers = dict(zip(phantoms, hilum.load(bundle).predict(list(phantoms.values())), strict=True))
    expected = [(uri, member, answers[name].to_row()["probability"], None) for uri, member, name in placed]
    rows = rows_of(out).select("uri", "member", "probability", "error")
    broken = rows.filter(pl.col("uri") == str(ward / "broken.png"))
    assert len(broken) == 1 and broken["error"][0]
    found = rows.filter(pl.col("uri") != str(ward / "broken.png")).rows()
    assert found == sorted(expected, key=lambda film: (film[0], film[1] or ""))
    summary = json.loads((out / "summary.json").read_text())
    assert summary["films"] == len(placed) + 1
    assert len(summary["slowest"]) == 5


def test_a_cluster_that_asks_for_a_token_lets_in_nobody_without(nodes: Nodes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RAY_AUTH_MODE")
    with pytest.raises(ScaleError, match="asks for a token"):
        cluster._check_closed(nodes.address)


def test_an_open_cluster_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster, "KNOCK", f"print({cluster.LET_IN!r})")
    with pytest.raises(ScaleError, match="--insecure"), cluster.on_cluster("10.0.0.1:6379", insecure=False):
        pass


def test_a_cluster_that_is_not_there_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster, "KNOCK", "print('cannot connect')")
    with pytest.raises(ScaleError, match="no cluster of Ray answers"), cluster.on_cluster("10.0.0.1:1", insecure=False):
        pass
