"""Several processes under torchrun: when one is lost the others end the run and say how to take it up."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from conftest import PATIENCE, SOAK
from test_train_command import SMALL, films  # noqa: F401

from hilum.training.run import Run

TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
FORKED = TORCHRUN if SOAK else [sys.executable, str(Path(__file__).with_name("ranks.py"))]


def start(starter: list[str], told: Path, *arguments: str) -> subprocess.Popen[bytes]:
    with told.open("w") as file:
        return subprocess.Popen([*starter, "-m", "hilum", "train", *arguments], stderr=file)


def ranks(started: subprocess.Popen[bytes]) -> list[int]:
    """The processes of ranks 0 and 1, which torchrun starts in this order."""
    return [int(pid) for pid in Path(f"/proc/{started.pid}/task/{started.pid}/children").read_text().split()]


@pytest.mark.soak
@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="looks the processes up in /proc")
def test_a_lost_process_ends_the_run_which_goes_on_from_its_checkpoint(
    films: Path,  # noqa: F811
    tmp_path: Path,
) -> None:
    folder = tmp_path / "run"
    arguments = [str(films), *SMALL, "--set", "phases.0.epochs=100000", "--out", str(folder)]
    told = tmp_path / "told"
    started = start(TORCHRUN, told, *arguments)
    while len(Run(folder).read_history()) < 2:
        assert started.poll() is None, told.read_text()
        time.sleep(0.1)
    os.kill(ranks(started)[1], signal.SIGKILL)
    assert started.wait(PATIENCE) == 1
    account = told.read_text().partition("failed (exitcode")[0]  # what follows is torchrun's own
    again = f"torchrun --nproc-per-node 2 -m hilum train --resume {folder}"
    assert f"rank 1 of 2 was lost; the last checkpoint is whole, go on with: {again}\n" in account
    assert "Traceback" not in account
    done = len(Run(folder).read_history())

    started = start(FORKED, told, "--resume", str(folder))
    while len(Run(folder).read_history()) < done + 2:
        assert started.poll() is None, told.read_text()
        time.sleep(0.1)
    started.send_signal(signal.SIGTERM)  # as an operating system does that shuts down
    assert started.wait(PATIENCE) != 0
    assert f"stopped; go on with: {again}" in told.read_text()

    done = len(Run(folder).read_history())
    started = start([sys.executable], told, "--resume", str(folder))  # the other machine is gone for good
    while len(Run(folder).read_history()) < done + 1:
        assert started.poll() is None, told.read_text()
        time.sleep(0.1)
    started.send_signal(signal.SIGTERM)
    started.wait(PATIENCE)
    assert "begun in 2 processes, goes on in one process" in told.read_text()
    epochs = [row["epoch"] for row in Run(folder).read_history()]
    assert epochs == list(range(1, len(epochs) + 1))
