"""Where a plan, its parts and all else that a command leaves lie: in a folder, or in an object store.

What is written is whole or absent in both. In a folder a plan counts once it has been given its name, which only one of
them can have. A store has no such step, so there each is put beside the others, and all take the same one of them.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import time
from contextlib import suppress
from pathlib import Path
from typing import Protocol

from hilum.scale.dicomweb import is_dicomweb
from hilum.scale.errors import ScaleError
from hilum.scale.stores import check_stores, names_below, object_is_there, read_object, write_object
from hilum.scale.uris import check_uri
from hilum.system.files import sync_folder, write_whole
from hilum.system.text import printable

BEGUN = ".plan-"  # of another one that is at it, or was killed
PLAN, CARD = "plan", "plan.json"
# Longer than it takes a store to put a small file: by then whoever looked for a plan in vain has put its own.
SECONDS_TO_SETTLE = 5.0


class Draft(Protocol):
    """A plan that is being made."""

    def write(self, name: str, content: bytes) -> None:
        """One of its files. Raises OSError."""

    def finish(self) -> None:
        """It is whole, and counts unless another one does. Raises OSError."""

    def abandon(self) -> None:
        """What is left of it goes, where that can be done."""


class Results(Protocol):
    """By names relative to its root. `address` is what names it to any process, on any machine that reaches it."""

    address: str

    def read(self, name: str) -> bytes:
        """Raises OSError."""

    def write(self, name: str, content: bytes | str, *, durable: bool = True) -> None:
        """Raises OSError; see `write_whole`."""

    def is_there(self, name: str) -> bool:
        """Raises OSError."""

    def parts(self) -> list[str]:
        """The files of rows that are there, in no order. Raises OSError."""

    def plan(self) -> str | None:
        """Where the plan that counts lies. Raises OSError."""

    def holds_others(self) -> bool:
        """Whether there is what no plan has left. Raises OSError."""

    def begin(self) -> Draft:
        """Raises OSError."""


def results_at(named: str) -> Results:
    """What a user names. Raises ScaleError."""
    if "://" not in named:
        return Folder(Path(named))
    check_uri(named, "the place for results")
    if is_dicomweb(named):
        raise ScaleError("films come from DICOMweb, and rows do not go there; name a folder or an object store")
    if not named.partition("://")[2].strip("/"):
        raise ScaleError(f"{printable(named)}: names no bucket; give one and a folder in it, as in s3://BUCKET/FOLDER")
    check_stores()
    return Store(named.rstrip("/"))


class Folder:
    """A folder, on a file system that all who judge share."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.address = str(folder.absolute())

    def __str__(self) -> str:
        return str(self._folder)

    def read(self, name: str) -> bytes:
        """The bytes of a file. Raises OSError."""
        return (self._folder / name).read_bytes()

    def write(self, name: str, content: bytes | str, *, durable: bool = True) -> None:
        """Put a file there, whole or not at all. Raises OSError."""
        path = self._folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, content, durable=durable)

    def is_there(self, name: str) -> bool:
        """Whether there is such a file."""
        return (self._folder / name).exists()

    def parts(self) -> list[str]:
        """The files of rows, in no order."""
        return [path.relative_to(self._folder).as_posix() for path in self._folder.glob("rows/*/part-*.parquet")]

    def plan(self) -> str | None:
        """Where the plan that counts lies, if there is one."""
        return PLAN if self.is_there(f"{PLAN}/{CARD}") else None

    def holds_others(self) -> bool:
        """Whether there is what no plan has left."""
        return self._folder.exists() and any(not path.name.startswith(BEGUN) for path in self._folder.iterdir())

    def begin(self) -> Draft:
        """A plan of its own, which counts once it is finished, if it is the first one."""
        return _FolderDraft(self._folder)


class _FolderDraft:
    """Written under another name and given its own when it is whole. Who comes second keeps the first one's."""

    def __init__(self, folder: Path) -> None:
        self._is_new = not folder.exists()
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._part = folder / f"{BEGUN}{os.urandom(6).hex()}.part"
        self._part.mkdir()

    def write(self, name: str, content: bytes) -> None:
        write_whole(self._part / name, content)

    def finish(self) -> None:
        sync_folder(self._part)
        try:
            self._part.rename(self._folder / PLAN)
        except OSError:
            if not (self._folder / PLAN / CARD).exists():
                raise
        sync_folder(self._folder)

    def abandon(self) -> None:
        shutil.rmtree(self._part, ignore_errors=True)
        if self._is_new:
            with suppress(OSError):  # it is not empty, as a rule
                self._folder.rmdir()


class Store:
    """A folder of an object store, by its address."""

    def __init__(self, uri: str) -> None:
        self.address = uri

    def __str__(self) -> str:
        return printable(self.address)

    def read(self, name: str) -> bytes:
        """The bytes of a file. Raises OSError."""
        return read_object(f"{self.address}/{name}")

    def write(self, name: str, content: bytes | str, *, durable: bool = True) -> None:
        """Put a file there, whole or not at all. Raises OSError."""
        write_object(f"{self.address}/{name}", content.encode() if isinstance(content, str) else content)

    def is_there(self, name: str) -> bool:
        """Whether there is such a file."""
        return object_is_there(f"{self.address}/{name}")

    def parts(self) -> list[str]:
        """The files of rows, in no order."""
        return [f"rows/{name}" for name in names_below(f"{self.address}/rows") if name.endswith(".parquet")]

    def plan(self) -> str | None:
        """Where the plan that counts lies, if there is one."""
        finished = self._finished()
        if any(abs(time.time() - written) < SECONDS_TO_SETTLE for written in finished.values()):
            time.sleep(SECONDS_TO_SETTLE)
            finished = self._finished()
        # Those of the same content have names that begin alike, so that it does not matter which of them counts.
        return f"{BEGUN}{min(finished).rpartition('-')[2]}" if finished else None

    def holds_others(self) -> bool:
        """Whether there is what no plan has left."""
        return any(not name.startswith((BEGUN, f"{PLAN}/")) for name in names_below(self.address))

    def begin(self) -> Draft:
        """A plan of its own, which counts once it is finished, if it is the first one."""
        return _StoreDraft(self)

    def finish(self, draft: str, digest: str) -> None:
        """A draft is whole; others may be so at the same moment, and all see the same ones after a while."""
        if not self._finished():
            self.write(f"{PLAN}/{digest}-{draft}", b"")

    def _finished(self) -> dict[str, float]:
        return names_below(f"{self.address}/{PLAN}")


class _StoreDraft:
    def __init__(self, store: Store) -> None:
        self._store = store
        self._name = os.urandom(6).hex()
        self._digest = hashlib.blake2b(digest_size=16)

    def write(self, name: str, content: bytes) -> None:
        self._digest.update(content)
        self._store.write(f"{BEGUN}{self._name}/{name}", content)

    def finish(self) -> None:
        self._store.finish(self._name, self._digest.hexdigest())

    def abandon(self) -> None:
        """A few small files stay: whoever could delete there could delete results, too."""
