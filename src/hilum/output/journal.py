"""The journal of judged films, for whoever takes them as they arrive: none is lost and none judged twice.

A film's answer stands in the journal before it is given out, and is ticked off once it was. Whatever is killed between
the two, the next start gives it out from here. SQLite, each entry on the disk before it counts.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from hilum.system.database import Database

SCHEMA = """
CREATE TABLE IF NOT EXISTS films (
  film BLOB PRIMARY KEY,
  version TEXT NOT NULL,
  answer TEXT NOT NULL,
  given_out INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID
"""


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
        self._base = Database(path, SCHEMA, alone=True)

    def __enter__(self) -> Journal:
        return self

    def __exit__(self, *_: object) -> None:
        self._base.close()

    def version(self, film: bytes) -> str | None:
        """The version of a film that was judged last; None if none was."""
        rows = self._base.do("SELECT version FROM films WHERE film = ?", film)
        return rows[0][0] if rows else None

    def judged(self, entry: Entry) -> None:
        """A film was judged; its answer is about to be given out, in place of an earlier version's."""
        self._base.do("INSERT OR REPLACE INTO films (film, version, answer) VALUES (?, ?, ?)", *entry)

    def given_out(self, film: bytes) -> None:
        """What was said of a film has arrived where it belongs."""
        self._base.do("UPDATE films SET given_out = 1 WHERE film = ?", film)

    def pending(self) -> list[Entry]:
        """What was judged and not given out, because whoever did it was stopped in between."""
        rows = self._base.do("SELECT film, version, answer FROM films WHERE NOT given_out ORDER BY film")
        return [Entry(*row) for row in rows]
