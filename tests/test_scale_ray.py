"""`hilum predict --out --ray`: shards over a cluster of two nodes, of which one is lost, and the driver too."""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import polars as pl
import pytest
from bundles import tiny_bundle
from commands import run
from conftest import LONGER, PATIENCE, SOAK
from test_scale import draw, rows_of, until_there
from test_scale_archives import FILMS, tarred
from test_train_command import SMALL, films  # noqa: F401

import hilum
from hilum.scale import cluster
from hilum.scale.errors import ScaleError

ray = pytest.importorskip("ray", reason="Ray is not installed: pip install '.[scale]'")
HERE = Path(__file__).parent


class Nodes(NamedTuple):
    """A cluster of two nodes, and what its clients need to be let in."""

    address: str
    process: subprocess.Popen[str]

    def kill_one(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write("one\n")
        self.process.stdin.flush()


@pytest.fixture(scope="module")
def nodes() -> Iterator[Nodes]:
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


@pytest.mark.soak
def test_rows_are_as_of_one_process_though_driver_and_node_are_killed(nodes: Nodes, tmp_path: Path) -> None:
    bundle, ward, out = tiny_bundle(tmp_path), draw(tmp_path / "ward", 80 * LONGER), tmp_path / "results"
    for number in range(4 * LONGER):
        (ward / f"shard-{number:03}.tar").write_bytes(tarred(FILMS))
    given = (bundle, ward, "--out", out, "--ray", nodes.address)
    driver = command(*given)
    until_there(out, 1, driver)
    driver.kill()
    driver.communicate(timeout=PATIENCE)
    driver = command(*given)
    until_there(out, len(list(out.glob("rows/*/*.parquet"))) + 1, driver)
    nodes.kill_one()
    _, heard = driver.communicate(timeout=PATIENCE)
    assert driver.returncode == 1, heard.decode()  # for the broken film
    model = hilum.load(bundle)
    paths = sorted(path for path in ward.rglob("*.*") if path.suffix not in (".txt", ".tar"))
    packed = [answer.to_row() for answer in model.predict(list(FILMS.values()))]
    expected: list[tuple[Any, str | None, dict[str, Any]]]
    expected = [(row["file"], None, row) for row in (answer.to_row() for answer in model.predict(paths))]
    for shard in ward.glob("*.tar"):
        expected += [(str(shard), name, row) for name, row in zip(FILMS, packed, strict=True)]
    assert [tuple(row) for row in rows_of(out).select("uri", "member", "probability", "error").rows()] == [
        (uri, member, row["probability"], row["error"])
        for uri, member, row in sorted(expected, key=lambda film: (film[0], film[1] or ""))
    ]


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
