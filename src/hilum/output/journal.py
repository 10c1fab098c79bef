"""The journal of judged films, for whoever takes them as they arrive: none is lost and none judged twice.

A film's answer stands in the journal before it is given out, and is ticked off once it was. Whatever is killed between
the two, the next start gives it out from here. SQLite, each entry on the disk before it counts.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import NamedTuple

SCHEMA = """
CREATE TABLE IF NOT EXISTS films (
  film BLOB PRIMARY KEY,
  version TEXT NOT NULL,
  answer TEXT NOT NULL,
  given_out INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID
"""


class JournalError(ValueError):
    """A journal that cannot be kept, in one line that names its file."""


class Entry(NamedTuple):
    """A film that was judged: what names it, which version of it that was, and what was said."""

    film: bytes
    version: str
    answer: str


class Journal:
    """A journal in a file that nobody else may have open; `with` closes it.

    What names a film are bytes of whoever keeps the journal: its path, or the identifier of an image.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            self._base = sqlite3.connect(path, timeout=0, isolation_level=None)
            # Before WAL: so it needs no memory shared between processes, which network shares do not give.
            self._base.execute("PRAGMA locking_mode = EXCLUSIVE")
            self._base.execute("PRAGMA journal_mode = WAL")
            self._base.execute("PRAGMA synchronous = FULL")
            self._base.execute(SCHEMA)
        except sqlite3.Error as error:
            raise self._cannot(error) from None

    def __enter__(self) -> Journal:
        return self

    def __exit__(self, *_: object) -> None:
        self._base.close()

    def version(self, film: bytes) -> str | None:
        """The version of a film that was judged last; None if none was."""
        row = self._do("SELECT version FROM films WHERE film = ?", film).fetchone()
        return None if row is None else row[0]

    def judged(self, entry: Entry) -> None:
        """A film was judged; its answer is about to be given out, in place of an earlier version's."""
        self._do("INSERT OR REPLACE INTO films (film, version, answer) VALUES (?, ?, ?)", *entry)

    def given_out(self, film: bytes) -> None:
        """What was said of a film has arrived where it belongs."""
        self._do("UPDATE films SET given_out = 1 WHERE film = ?", film)

    def pending(self) -> list[Entry]:
        """What was judged and not given out, because whoever did it was stopped in between."""
        rows = self._do("SELECT film, version, answer FROM films WHERE NOT given_out ORDER BY film")
        return [Entry(*row) for row in rows]

    def _do(self, statement: str, *values: object) -> sqlite3.Cursor:
        try:
            return self._base.execute(statement, values)
        except sqlite3.Error as error:
            raise self._cannot(error) from None

    def _cannot(self, error: sqlite3.Error) -> JournalError:
        reasons = {
            sqlite3.SQLITE_BUSY: "another hilum keeps it; stop that one, or name another folder",
            sqlite3.SQLITE_NOTADB: "no journal of hilum's, or a damaged one; move it away and start again",
            sqlite3.SQLITE_FULL: "no space left on the disk; make room",
            sqlite3.SQLITE_CANTOPEN: "cannot be opened; see to the folder and its permissions",
        }
        code = getattr(error, "sqlite_errorcode", None)
        return JournalError(f"{self._path}: {reasons.get(code, str(error)) if code is not None else error}")
