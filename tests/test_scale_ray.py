"""`hilum predict --out --ray`: shards over a cluster of two nodes, of which one is lost, and the driver too."""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from bundles import tiny_bundle
from conftest import LONGER, PATIENCE
from test_scale import draw, rows_of, until_there

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


def test_rows_are_as_of_one_process_though_driver_and_node_are_killed(nodes: Nodes, tmp_path: Path) -> None:
    bundle, films, out = tiny_bundle(tmp_path), draw(tmp_path / "ward", 100 * LONGER), tmp_path / "results"
    given = (bundle, films, "--out", out, "--ray", nodes.address)
    driver = command(*given)
    until_there(out, 1, driver)
    driver.kill()
    driver.communicate(timeout=PATIENCE)
    driver = command(*given)
    until_there(out, len(list(out.glob("rows/*/*.parquet"))) + 1, driver)
    nodes.kill_one()
    _, heard = driver.communicate(timeout=PATIENCE)
    assert driver.returncode == 1, heard.decode()  # for the broken film
    paths = sorted(path for path in films.rglob("*.*") if path.suffix != ".txt")
    expected = [answer.to_row() for answer in hilum.load(bundle).predict(paths)]
    rows = rows_of(out)
    assert rows["uri"].to_list() == [row["file"] for row in expected]
    assert rows["probability"].to_list() == [row["probability"] for row in expected]
    assert rows["error"].to_list() == [row["error"] for row in expected]


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
