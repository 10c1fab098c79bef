"""Checkpoints are whole or not there, whatever kills the process or fills the disk."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from conftest import SOAK

from hilum.training.checkpoint import CheckpointError, load_latest, read_state, save_checkpoint, write_state

CPU = torch.device("cpu")
# Each child does nothing but save, and says what it saved. The kill comes at a random moment of one of the next saves,
# however long these take on this machine.
KILLED_WHILE_SAVING = """
import os, random, signal, sys, time
from pathlib import Path
import torch
from hilum.training.checkpoint import load_latest, save_checkpoint
torch.set_num_threads(1)
folder, kills, chance, last = Path(sys.argv[1]), int(sys.argv[2]), random.Random(1), -1
for attempt in range(kills):
    heard, told = os.pipe()
    child = os.fork()
    if child == 0:
        for step in range(last + 1, 10**9):
            save_checkpoint(folder, step, {"step": step, "weights": torch.full((50_000,), float(step))})
            os.write(told, step.to_bytes(8, "little"))
    os.close(told)
    start = time.monotonic()
    saved = int.from_bytes(os.read(heard, 8), "little")
    time.sleep(2 * chance.random() * (time.monotonic() - start))
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    while rest := os.read(heard, 8):
        saved = int.from_bytes(rest, "little")
    os.close(heard)
    state = load_latest(folder, torch.device("cpu"))
    assert last < saved <= state["step"] and bool((state["weights"] == state["step"]).all())
    last = state["step"]
"""
KILLS = 5_000 if SOAK else 50


def state(step: int) -> dict[str, object]:
    return {"step": step, "weights": torch.full((1000,), float(step))}


def test_the_latest_is_loaded_and_the_last_two_stay(tmp_path: Path) -> None:
    (tmp_path / ".0123.part").write_bytes(b"of a run that was killed")
    for step in (1, 5, 12):
        save_checkpoint(tmp_path, step, state(step))
    assert [path.name for path in sorted(tmp_path.iterdir())] == ["step-000000005.ckpt", "step-000000012.ckpt"]
    loaded = load_latest(tmp_path, CPU)
    assert loaded is not None
    assert loaded["step"] == 12
    assert torch.equal(loaded["weights"], torch.full((1000,), 12.0))


def test_a_damaged_latest_falls_back_to_the_one_before(tmp_path: Path) -> None:
    save_checkpoint(tmp_path, 1, state(1))
    latest = save_checkpoint(tmp_path, 2, state(2))
    content = bytearray(latest.read_bytes())
    content[len(content) // 2] ^= 1
    latest.write_bytes(content)
    loaded = load_latest(tmp_path, CPU)
    assert loaded is not None
    assert loaded["step"] == 1
    with pytest.raises(CheckpointError, match="damaged"):
        read_state(latest, CPU)


def test_none_is_none(tmp_path: Path) -> None:
    assert load_latest(tmp_path, CPU) is None


def test_a_pickle_with_code_in_it_is_not_run(tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return (print, ("run!",))

    path = tmp_path / "step-000000001.ckpt"
    write_state(path, {"evil": Evil()})
    with pytest.raises(Exception, match=r"[Ww]eights"):
        read_state(path, CPU)


@pytest.mark.soak
def test_killed_at_any_moment_of_saving_what_was_saved_is_whole(tmp_path: Path) -> None:
    command = [sys.executable, "-c", KILLED_WHILE_SAVING, str(tmp_path), str(KILLS)]
    answer = subprocess.run(command, capture_output=True, text=True, check=False)
    assert answer.returncode == 0, answer.stderr


def test_a_full_disk_costs_nothing_that_was_saved(tmp_path: Path) -> None:
    save_checkpoint(tmp_path, 1, state(1))
    code = (
        "import resource, signal, sys, torch\nfrom pathlib import Path\n"
        "from hilum.training.checkpoint import save_checkpoint\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (3000, 3000))\n"
        "save_checkpoint(Path(sys.argv[1]), 2, {'weights': torch.zeros(10_000)})\n"
    )
    answer = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=False)
    assert "CheckpointError" in answer.stderr
    assert "the last checkpoint is whole" in answer.stderr
    loaded = load_latest(tmp_path, CPU)
    assert loaded is not None
    assert loaded["step"] == 1
    assert [path.name for path in tmp_path.iterdir()] == ["step-000000001.ckpt"]
