"""A file of SQLite's, each change on the disk before it counts, and its errors in words."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

PATIENCE = 30  # seconds for others to finish a change


class DatabaseError(ValueError):
    """A file that cannot be kept, in one line that names it."""


class Database:
    """A database that threads may share; `alone` where no other process may have it open. `with` closes it.

    One that was made by another `version` of its schema is refused, unless that can be gone on with, back to `since`.
    """

    def __init__(self, path: Path, schema: str, *, alone: bool, version: int = 0, since: int | None = None) -> None:
        self._path = path
        self._lock = threading.RLock()
        try:
            patience = 0 if alone else PATIENCE
            self._base = sqlite3.connect(path, timeout=patience, isolation_level=None, check_same_thread=False)
            if alone:
                # Before WAL: so it needs no memory shared between processes, which network shares do not give.
                self._base.execute("PRAGMA locking_mode = EXCLUSIVE")
            self._base.execute("PRAGMA journal_mode = WAL")
            self._base.execute("PRAGMA synchronous = FULL")
            ((made_by,),) = self._base.execute("PRAGMA user_version").fetchall()
            ((tables,),) = self._base.execute("SELECT count(*) FROM sqlite_master").fetchall()
            if tables and not (version if since is None else since) <= made_by <= version:
                self._base.close()
                raise DatabaseError(f"{path}: is of another version of hilum; finish with that one, or move it away")
            if made_by != version:
                self._base.execute(f"PRAGMA user_version = {version}")
            self._base.executescript(schema)
        except sqlite3.Error as error:
            raise self._cannot(error) from None

    def close(self) -> None:
        """Nothing more is asked of it."""
        self._base.close()

    def do(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        """The rows that a statement gives."""
        with self._lock:
            try:
                return self._base.execute(statement, values).fetchall()
            except sqlite3.Error as error:
                raise self._cannot(error) from None

    @contextmanager
    def together(self) -> Iterator[None]:
        """What is done within it counts as a whole or not at all."""
        with self._lock:
            self.do("BEGIN IMMEDIATE")
            try:
                yield
            except BaseException:
                self.do("ROLLBACK")
                raise
            self.do("COMMIT")

    def _cannot(self, error: sqlite3.Error) -> DatabaseError:
        reasons = {
            sqlite3.SQLITE_BUSY: "another hilum keeps it; stop that one, or name another folder",
            sqlite3.SQLITE_NOTADB: "no journal of hilum's, or a damaged one; move it away and start again",
            sqlite3.SQLITE_FULL: "no space left on the disk; make room",
            sqlite3.SQLITE_CANTOPEN: "cannot be opened; see to the folder and its permissions",
        }
        code = getattr(error, "sqlite_errorcode", None)
        return DatabaseError(f"{self._path}: {reasons.get(code, str(error)) if code is not None else error}")
