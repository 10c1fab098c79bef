"""`hilum data fetch` as a user meets it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer
from conftest import PATIENCE
from kaggle_server import KaggleServer, loopback
from test_archive import MEMBERS, packed
from typer.testing import CliRunner

from hilum.cli.data.fetch import fetch
from hilum.system.installed import install_extra

# Incompressible, so that it breaks where a test says, and more than the buffers of a socket take at once.
FILMS = {**MEMBERS, "films/large.jpeg": os.urandom(3 << 20)}


@pytest.fixture
def kaggle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[KaggleServer]:
    with loopback(packed(FILMS), tmp_path, monkeypatch) as server:
        yield server


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "data"


# Run as a program of its own: a limit on the size of files, as a small disk would have, holds for a whole process.
LIMITED = """
import resource, signal, sys, typer
from hilum.cli.data.fetch import fetch
if sys.argv[1] != "-":
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]), int(sys.argv[1])))
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
sys.argv[1:] = sys.argv[2:]
typer.run(fetch)
"""


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", LIMITED, *arguments], capture_output=True, text=True, timeout=PATIENCE)


@pytest.mark.skipif(sys.platform == "win32", reason="no limit on the size of files there")
def test_a_disk_that_fills_up_and_is_cleared(kaggle: KaggleServer, folder: Path) -> None:
    result = run("1000000", "kermany", str(folder))
    assert result.returncode == 1
    assert result.stderr.splitlines()[-1].startswith("disk_full: no room")
    assert result.stdout == ""
    result = run("-", "kermany", str(folder))
    assert result.returncode == 0, result.stderr
    assert [transfer.range for transfer in kaggle.transfers()] == [None, "bytes=1000000-"]
    terms, *lines = [line for line in result.stderr.splitlines() if not line.startswith("kermany: ")]
    assert terms.startswith("terms: CC BY 4.0")
    assert all(re.fullmatch(r"(downloading|checking|unpacking) \d+% \(.* of .*\)", line) for line in lines)
    assert 5 < len(lines) < 25
    assert f"hilum data import kermany {folder}" in result.stdout


def test_the_command_says_what_is_wrong_in_one_line(kaggle: KaggleServer, folder: Path) -> None:
    app = typer.Typer()
    app.command()(fetch)
    result = CliRunner().invoke(app, ["rsna", str(folder)])
    assert result.exit_code == 1
    assert result.stdout == ""
    assert "non-commercial" in result.stderr
    assert result.stderr.splitlines()[-1].startswith("credentials_missing: ")


def test_the_command_can_be_stopped(kaggle: KaggleServer, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(*arguments: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("hilum.cli.data.fetch.fetch_into", stop)
    app = typer.Typer()
    app.command()(fetch)
    result = CliRunner().invoke(app, ["kermany", str(folder)])
    assert result.exit_code == 130
    assert result.stderr.splitlines()[-1] == "stopped; the same command continues from here"


def test_without_kagglehub_the_command_names_the_extra(
    kaggle: KaggleServer, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "requests", None)
    app = typer.Typer()
    app.command()(fetch)
    result = CliRunner().invoke(app, ["kermany", str(folder)])
    assert result.exit_code == 1
    assert install_extra("data") in result.stderr
