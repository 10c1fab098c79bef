"""Checkpoints that are whole or not there: written beside, synced, renamed, read back.

A file is what torch.save makes, followed by a digest of it. Nothing is ever unpickled but tensors and plain values.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from io import BytesIO
from pathlib import Path
from typing import Any

import torch
from torch import nn

from hilum.system.files import write_whole

MAGIC = b"hilum-checkpoint"
DIGEST_BYTES = 16
KEPT = 2  # if the last one turns out damaged, the one before is there


class CheckpointError(RuntimeError):
    """A checkpoint that cannot be written or read; one line with what to do."""


def save_checkpoint(folder: Path, step: int, state: Mapping[str, Any]) -> Path:
    """Write the state of a step; the last two checkpoints stay."""
    path = folder / f"step-{step:09d}.ckpt"
    for unfinished in folder.glob(".*.part"):  # of a run that was killed while it saved
        unfinished.unlink()
    write_state(path, state)
    for old in sorted(folder.glob("step-*.ckpt"))[:-KEPT]:
        old.unlink()
    return path


def write_state(path: Path, state: Mapping[str, Any]) -> None:
    """Write a state with its digest, whole or not at all, and read it back once."""
    buffer = BytesIO()
    torch.save(dict(state), buffer)
    content = buffer.getvalue()

    def check(written: Path) -> None:
        if _checked(written) is None:
            raise CheckpointError(f"{path}: what was written does not read back the same; is the disk failing?")

    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, content + MAGIC + _digest(content), check=check)
    except OSError as error:
        raise CheckpointError(
            f"{path}: {error.strerror}; the last checkpoint is whole: make room or mend this, then resume"
        ) from error


def load_latest(folder: Path, device: torch.device) -> dict[str, Any] | None:
    """The state of the latest checkpoint that is whole; None if there is none."""
    for path in sorted(folder.glob("step-*.ckpt"), reverse=True):
        content = _checked(path)
        if content is not None:
            return _load(content, device)
    return None


def read_state(path: Path, device: torch.device) -> dict[str, Any]:
    """What `write_state` wrote; CheckpointError if it is not that any more."""
    content = _checked(path)
    if content is None:
        raise CheckpointError(f"{path}: is damaged; use another checkpoint or train again")
    return _load(content, device)


def check_version(state: Mapping[str, Any], network: nn.Module, run: Path, *, needed: Iterable[str] = ()) -> None:
    """In another version of hilum networks may be laid out otherwise, and states hold other things."""
    if state["network"].keys() != network.state_dict().keys() or not state.keys() >= set(needed):
        raise CheckpointError(
            f"{run}: was trained by a version of hilum that keeps networks and states otherwise; use that version, or "
            "train again"
        )


def _load(content: bytes, device: torch.device) -> dict[str, Any]:
    state: dict[str, Any] = torch.load(BytesIO(content), map_location=device, weights_only=True)
    return state


def _checked(path: Path) -> bytes | None:
    """What was saved, if the digest behind it is its own."""
    whole = path.read_bytes()
    end = len(whole) - len(MAGIC) - DIGEST_BYTES
    if end <= 0 or whole[end:-DIGEST_BYTES] != MAGIC or whole[-DIGEST_BYTES:] != _digest(whole[:end]):
        return None
    return whole[:end]


def _digest(content: bytes) -> bytes:
    return hashlib.blake2b(content, digest_size=DIGEST_BYTES).digest()
