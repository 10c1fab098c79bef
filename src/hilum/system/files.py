"""Files that are whole or not there, and the digest that names a file's content.

Every error here is an OSError that names the file the user knows, never one of the temporary ones beside it.
"""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from collections.abc import Callable
from pathlib import Path

DIGEST_BYTES = 16
# A quota and a limit on the size of files are a full disk to whoever writes.
FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


def content_digest(content: bytes) -> str:
    """The name of a file's content, in hex; `file_digest` gives the same."""
    return hashlib.blake2b(content, digest_size=DIGEST_BYTES).hexdigest()


def file_digest(path: Path) -> str:
    """The name of the content of the file at this path, which may be larger than memory. Raises OSError."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=DIGEST_BYTES)).hexdigest()


def cache_folder() -> Path:
    """Where hilum keeps what it can make again: HILUM_HOME, or the user's cache."""
    if home := os.environ.get("HILUM_HOME"):
        return Path(home)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "hilum"


def write_whole(
    path: Path, content: bytes | str, *, durable: bool = True, check: Callable[[Path], object] | None = None
) -> None:
    """Put a file in its place with all of its content, or leave what was there.

    `check` looks at what was written before it takes its name, and raises where that is wrong. Where many files are
    written that can be made again, `durable=False` does not wait for the disk; they are whole, too, unless the power
    fails. A link is followed; a device or a pipe is simply written to. Raises OSError.
    """
    written = content.encode() if isinstance(content, str) else content
    target = Path(os.path.realpath(path))
    try:
        former = _mode(target)
        if former is not None and not stat.S_ISREG(former):
            with target.open("wb", buffering=0) as device:
                write_all(device.fileno(), written)
            return
        # Not named after the target, whose name may be as long as names can be.
        part = target.with_name(f".{os.urandom(6).hex()}.part")
        try:
            with part.open("xb", buffering=0) as file:
                write_all(file.fileno(), written)
                if durable:
                    os.fsync(file.fileno())
            if former is not None:
                part.chmod(stat.S_IMODE(former))
            if check is not None:
                check(part)
            part.replace(target)
        finally:
            part.unlink(missing_ok=True)
        if durable:
            sync_folder(target.parent)
    except OSError as error:
        raise not_written(error, path) from error


def sync_folder(folder: Path) -> None:
    """Wait until the names in a folder are on the disk, where the system can be asked for it."""
    if os.name == "posix":
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def not_written(error: OSError, path: str | os.PathLike[str]) -> OSError:
    """The same error, said of the file that could not be written, and what to do if the disk is full."""
    reason = error.strerror or type(error).__name__
    if error.errno in FULL:
        reason = f"not written: {reason[:1].lower()}{reason[1:]}; make room or name another place"
    return OSError(error.errno, reason, os.fspath(path))


def write_all(descriptor: int, content: bytes) -> None:
    """Write past what the system takes at once."""
    left = memoryview(content)
    while left:
        left = left[os.write(descriptor, left) :]


def _mode(path: Path) -> int | None:
    try:
        return path.stat().st_mode
    except FileNotFoundError:
        return None
