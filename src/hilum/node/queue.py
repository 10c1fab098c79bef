"""The node's journal: which films came, what is to be sent of them, and what came of it.

A film is in the queue before its sender hears that it has arrived; its results stand on the disk before the queue says
that it was judged. Whatever is killed in between is done again and comes out the same, under the same identifiers.
Other processes may read the queue and change it while the node runs.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection
from pathlib import Path
from typing import NamedTuple

from hilum.system.database import Database

FILE = "queue.sqlite"
VERSION, SINCE = 3, 2  # of SCHEMA; before 3 rules were told by their place in the settings
WAITING, HELD, JUDGED, DONE, SHADOW, DEAD = "waiting", "held", "judged", "done", "shadow", "dead"
STATES = (WAITING, HELD, JUDGED, DONE, SHADOW, DEAD)
SENT, STORED = "sent", "stored"  # of deliveries; what is stored waits for its target to commit to it
SCHEMA = """
CREATE TABLE IF NOT EXISTS films (
  number INTEGER PRIMARY KEY AUTOINCREMENT,
  instance TEXT NOT NULL,
  digest TEXT NOT NULL,
  caller TEXT NOT NULL,
  rule TEXT NOT NULL,
  study TEXT NOT NULL,
  raw INTEGER NOT NULL,
  urgent INTEGER NOT NULL,
  state TEXT NOT NULL,
  reason TEXT,
  arrived REAL NOT NULL,
  changed REAL NOT NULL,
  UNIQUE (instance, digest)
);
CREATE INDEX IF NOT EXISTS films_by_state ON films (state, urgent DESC, number);
CREATE INDEX IF NOT EXISTS films_by_change ON films (changed);
CREATE INDEX IF NOT EXISTS films_by_study ON films (study, rule);
CREATE TABLE IF NOT EXISTS reports (
  study TEXT NOT NULL,
  rule TEXT NOT NULL,
  instance TEXT NOT NULL,
  changed REAL NOT NULL,
  PRIMARY KEY (study, rule)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS places (
  source TEXT PRIMARY KEY,
  place INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS passed (
  source TEXT NOT NULL,
  thing TEXT NOT NULL,
  seen REAL NOT NULL,
  PRIMARY KEY (source, thing)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS deliveries (
  film INTEGER NOT NULL REFERENCES films,
  kind TEXT NOT NULL,
  target TEXT NOT NULL,
  state TEXT NOT NULL,
  tries INTEGER NOT NULL DEFAULT 0,
  due REAL NOT NULL,
  since REAL NOT NULL,
  reason TEXT,
  instance TEXT,
  asked TEXT,
  PRIMARY KEY (film, kind, target)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS deliveries_by_target ON deliveries (target, state, due);
"""


class Arrived(NamedTuple):
    """A film by what it is known again, who sent it, and which rule takes it.

    `study` is what its results wait for, empty where they wait for nothing; `raw` films are for processing.
    """

    instance: str
    digest: str
    caller: str
    rule: str
    study: str = ""
    raw: bool = False
    urgent: bool = False


class Queued(NamedTuple):
    """A film that waits to be judged, by which rule, and since when."""

    number: int
    caller: str
    rule: str
    arrived: float


class StudyFilm(NamedTuple):
    """A film of a study whose report names all of them; `held` where it is in no report yet."""

    number: int
    caller: str
    raw: bool
    held: bool


class Delivery(NamedTuple):
    """A result that is to go somewhere, and how often that was tried in vain."""

    film: int
    kind: str
    target: str
    tries: int
    since: float


class DeadLetter(NamedTuple):
    """A film that is not judged, or of which not all was sent, and why."""

    number: int
    reason: str


class Queue:
    """The queue of a spool; `with` closes it."""

    def __init__(self, spool: Path) -> None:
        self._base = Database(spool / FILE, SCHEMA, alone=False, version=VERSION, since=SINCE)
        self._changed, self._changes = threading.Condition(), 0

    def __enter__(self) -> Queue:
        return self

    def __exit__(self, *_: object) -> None:
        self._base.close()

    def wait(self, seen: int, seconds: float) -> int:
        """Until this process has changed something since `seen`, at most for so long: others' changes are seen then.

        What has been seen now, for the next time.
        """
        with self._changed:
            if self._changes == seen:
                self._changed.wait(seconds)
            return self._changes

    def wake(self) -> None:
        """End all waits: there may be something to do."""
        with self._changed:
            self._changes += 1
            self._changed.notify_all()

    def add(self, arrived: Arrived, keep: Callable[[int], object]) -> int | None:
        """A film has arrived whole: its number from now on; None if the very same film is known already.

        `keep` puts its file in place by its number, before the film counts as arrived.
        """
        now = time.time()
        with self._base.together():
            known = self._base.do(
                "SELECT number, state FROM films WHERE instance = ? AND digest = ?", arrived.instance, arrived.digest
            )
            if known and known[0][1] != DEAD:
                return None
            if known:  # sent again, maybe since whoever sends it wants it tried again
                self._forget(known[0][0])
            ((number,),) = self._base.do(
                "INSERT INTO films (number, instance, digest, caller, rule, study, raw, urgent, state, arrived,"
                " changed) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) RETURNING number",
                *(known[0][0] if known else None, *arrived, WAITING, now, now),
            )
            keep(number)
        self.wake()
        return int(number)

    def waiting(self, most: int, besides: set[int], quiet: Collection[str] = ()) -> list[Queued]:
        """The films that come next: urgent ones, then by their arrival; of `quiet` rules urgent ones only."""
        marks = ", ".join("?" for _ in quiet)
        rows = self._base.do(
            f"SELECT number, caller, rule, arrived FROM films WHERE state = ? AND (urgent OR rule NOT IN ({marks}))"
            " ORDER BY urgent DESC, number LIMIT ?",
            *(WAITING, *quiet, most + len(besides)),
        )
        return [Queued(*row) for row in rows if row[0] not in besides][:most]

    def name_rules(self, names: list[str]) -> None:
        """Films that an earlier version has left under the places of rules in the settings get their names."""
        with self._base.together():
            for place, name in enumerate(names):
                for table in ("films", "reports"):
                    self._base.do(f"UPDATE OR REPLACE {table} SET rule = ? WHERE rule = ?", name, place)

    def of_other_rules(self, names: list[str]) -> list[Queued]:
        """Films whose results are not on their way yet, which a rule has taken that is none of these."""
        marks = ", ".join("?" for _ in names)
        rows = self._base.do(
            f"SELECT number, caller, rule, arrived FROM films WHERE state IN (?, ?) AND rule NOT IN ({marks})",
            *(WAITING, HELD, *names),
        )
        return [Queued(*row) for row in rows]

    def choose(self, number: int, rule: str, study: str, urgent: bool) -> None:
        """Another rule takes a film, which is judged by it, again if it was."""
        self._base.do(
            "UPDATE films SET rule = ?, study = ?, urgent = max(urgent, ?), state = ?, changed = ? WHERE number = ?",
            *(rule, study, urgent, WAITING, time.time(), number),
        )

    def knows(self, instance: str) -> bool:
        """Whether a film of this identifier has come, whoever sent it."""
        return bool(self._base.do("SELECT 1 FROM films WHERE instance = ? LIMIT 1", instance))

    def place(self, source: str) -> int | None:
        """How far a source has been looked through."""
        rows = self._base.do("SELECT place FROM places WHERE source = ?", source)
        return int(rows[0][0]) if rows else None

    def move(self, source: str, place: int) -> None:
        """It has been looked through up to there."""
        self._base.do("INSERT OR REPLACE INTO places VALUES (?, ?)", source, place)

    def passed(self, source: str, thing: str) -> bool:
        """Whether something of a source need not be looked at again."""
        return bool(self._base.do("SELECT 1 FROM passed WHERE source = ? AND thing = ?", source, thing))

    def pass_by(self, source: str, thing: str) -> None:
        """See passed; it is forgotten with films of its time."""
        self._base.do("INSERT OR REPLACE INTO passed VALUES (?, ?, ?)", source, thing, time.time())

    def oldest(self) -> float:
        """For how many seconds the film that came first has been waiting to be judged."""
        ((arrived,),) = self._base.do("SELECT min(arrived) FROM films WHERE state = ?", WAITING)
        return max(0.0, time.time() - arrived) if arrived is not None else 0.0

    def judged(self, number: int, kinds: list[str], targets: list[str]) -> None:
        """Its results lie in the spool: they go to these targets, nowhere if there are none."""
        with self._base.together():
            self._set(number, JUDGED if targets and kinds else SHADOW)
            self._to_send(number, kinds, targets)
        self.wake()

    def held(self, number: int) -> None:
        """Its results lie in the spool, and wait for its study to be complete."""
        self._set(number, HELD)

    def complete(self, rule: str, silent_since: float) -> list[str]:
        """Studies with films that wait for a report, none of which arrived since then or is still to be judged."""
        rows = self._base.do(
            "SELECT DISTINCT study FROM films AS held WHERE state = ? AND rule = ? AND NOT EXISTS (SELECT 1 FROM films"
            " WHERE study = held.study AND rule = held.rule AND (state = ? OR arrived > ?))",
            *(HELD, rule, WAITING, silent_since),
        )
        return [str(study) for (study,) in rows]

    def of_study(self, study: str, rule: str) -> list[StudyFilm]:
        """All films of it that are known, in the order of their arrival."""
        rows = self._base.do(
            "SELECT number, caller, raw, state = ? FROM films WHERE study = ? AND rule = ? ORDER BY number",
            *(HELD, study, rule),
        )
        return [StudyFilm(number, caller, bool(raw), bool(held)) for number, caller, raw, held in rows]

    def reported(self, study: str, rule: str) -> str | None:
        """The identifier of the last report on it."""
        rows = self._base.do("SELECT instance FROM reports WHERE study = ? AND rule = ?", study, rule)
        return str(rows[0][0]) if rows else None

    def report(self, of: tuple[str, str], instance: str, to_send: dict[int, tuple[list[str], list[str]]]) -> list[int]:
        """A study's report lies in the spool, and kinds of each film go to targets; which films are done with that."""
        done = []
        with self._base.together():
            for number, (kinds, targets) in to_send.items():
                self._to_send(number, kinds, targets)
                self._set(number, JUDGED if kinds and targets else DONE if targets else SHADOW)
                if targets and not kinds:
                    done.append(number)
            self._base.do("INSERT OR REPLACE INTO reports VALUES (?, ?, ?, ?)", *of, instance, time.time())
        self.wake()
        return done

    def skip(self, number: int) -> None:
        """Nothing is sent of it."""
        self._set(number, DONE)

    def dead(self, number: int, reason: str) -> None:
        """Nothing more is tried with this film until somebody asks for it."""
        self._set(number, DEAD, reason)

    def due(self, target: str, most: int) -> list[Delivery]:
        """What is to be sent to a target now, or again, since it has not committed to it in time."""
        rows = self._base.do(
            "SELECT film, kind, target, tries, since FROM deliveries JOIN films ON number = film"
            " WHERE target = ? AND deliveries.state IN (?, ?) AND due <= ? ORDER BY urgent DESC, due, film LIMIT ?",
            *(target, WAITING, STORED, time.time(), most),
        )
        return [Delivery(*row) for row in rows]

    def sent(self, delivery: Delivery) -> bool:
        """A target has stored it; whether that was the last one of its film."""
        with self._base.together():
            self._delivered(delivery, SENT, None)
            return self._is_done(delivery.film)

    def stored(self, delivery: Delivery, instance: str, asked: str, seconds: float) -> None:
        """A target has it and is asked to commit to it, by an identifier; without an answer it is sent again then."""
        self._base.do(
            "UPDATE deliveries SET state = ?, tries = tries + 1, due = ?, reason = ?, instance = ?, asked = ?"
            " WHERE film = ? AND kind = ? AND target = ?",
            *(STORED, time.time() + seconds, "is asked to commit to them", instance, asked),
            *(delivery.film, delivery.kind, delivery.target),
        )

    def committed(self, asked: str, instances: list[str], failed: list[str], wait: float) -> list[int]:
        """What a target commits to of what it was asked, and what it has lost and gets again; which films are done."""
        done = []
        with self._base.together():
            rows = self._base.do(
                "SELECT film, kind, target, tries, since, instance FROM deliveries WHERE asked = ? AND state = ?",
                *(asked, STORED),
            )
            for *delivery, instance in rows:
                if instance in instances:
                    self._delivered(Delivery(*delivery), SENT, None)
                    if self._is_done(delivery[0]):
                        done.append(int(delivery[0]))
                elif instance in failed:
                    self._delivered(Delivery(*delivery), WAITING, "has lost what it stored")
                    self._base.do(
                        "UPDATE deliveries SET due = ? WHERE film = ? AND kind = ? AND target = ?",
                        *(time.time() + wait, *delivery[:3]),
                    )
        return done

    def postpone(self, delivery: Delivery, seconds: float, reason: str) -> None:
        """A target could not be had; it is tried again later."""
        self._base.do(
            "UPDATE deliveries SET tries = tries + 1, due = ?, reason = ? WHERE film = ? AND kind = ? AND target = ?",
            *(time.time() + seconds, reason, delivery.film, delivery.kind, delivery.target),
        )

    def refused(self, delivery: Delivery, reason: str) -> None:
        """A target will not have it, or cannot be reached for too long: its film is a dead letter."""
        with self._base.together():
            self._delivered(delivery, DEAD, reason)
            self._set(delivery.film, DEAD, reason)

    def retry(self, number: int | None) -> int:
        """Try a dead letter again, or all of them; how many. What was judged is sent only, the rest judged again."""
        now = time.time()
        with self._base.together():
            letters = [letter.number for letter in self.dead_letters() if number in (None, letter.number)]
            for letter in letters:
                made = self._base.do("SELECT 1 FROM deliveries WHERE film = ?", letter)
                self._set(letter, JUDGED if made else WAITING)
                self._base.do(
                    "UPDATE deliveries SET state = ?, tries = 0, due = ?, since = ? WHERE film = ? AND state = ?",
                    *(WAITING, now, now, letter, DEAD),
                )
        return len(letters)

    def drop(self, number: int) -> bool:
        """Give up a dead letter; whether it was one."""
        with self._base.together():
            dead = any(letter.number == number for letter in self.dead_letters())
            if dead:
                self._forget(number)
        return dead

    def dead_letters(self) -> list[DeadLetter]:
        """What somebody has to look at."""
        rows = self._base.do("SELECT number, reason FROM films WHERE state = ? ORDER BY number", DEAD)
        return [DeadLetter(*row) for row in rows]

    def counts(self) -> dict[str, int]:
        """How many films there are by state."""
        found = dict(self._base.do("SELECT state, count(*) FROM films GROUP BY state"))
        return {state: found.get(state, 0) for state in STATES}

    def to_send(self) -> dict[str, tuple[int, str | None]]:
        """How many results wait for each target, and what was last in the way."""
        rows = self._base.do(
            "SELECT target, count(*), max(reason) FROM deliveries WHERE state IN (?, ?) GROUP BY target",
            *(WAITING, STORED),
        )
        return {target: (count, reason) for target, count, reason in rows}

    def numbers(self) -> set[int]:
        """Films whose files are still needed."""
        rows = self._base.do("SELECT number FROM films WHERE state != ?", DONE)
        return {int(number) for (number,) in rows}

    def reported_numbers(self) -> set[int]:
        """Films that are done with, whose reports stay for that of their study."""
        rows = self._base.do("SELECT number FROM films WHERE state = ? AND study != ''", DONE)
        return {int(number) for (number,) in rows}

    def forget_before(self, moment: float) -> list[int]:
        """Films with which nothing has been done since then are known no more; which."""
        with self._base.together():
            old = self._base.do(
                "SELECT number FROM films WHERE state IN (?, ?, ?) AND changed < ?", DONE, SHADOW, DEAD, moment
            )
            for (number,) in old:
                self._forget(number)
            self._base.do("DELETE FROM reports WHERE changed < ?", moment)
            self._base.do("DELETE FROM passed WHERE seen < ?", moment)
        return [number for (number,) in old]

    def _to_send(self, number: int, kinds: list[str], targets: list[str]) -> None:
        now = time.time()
        for kind in kinds:
            for target in targets:
                self._base.do(
                    "INSERT OR IGNORE INTO deliveries (film, kind, target, state, due, since)"
                    " VALUES (?, ?, ?, ?, ?, ?)",
                    *(number, kind, target, WAITING, now, now),
                )

    def _is_done(self, film: int) -> bool:
        """Whether that was the last delivery of a film, which it knows from then on."""
        left = self._base.do("SELECT 1 FROM deliveries WHERE film = ? AND state != ?", film, SENT)
        if not left:
            self._set(film, DONE)
        return not left

    def _delivered(self, delivery: Delivery, state: str, reason: str | None) -> None:
        self._base.do(
            "UPDATE deliveries SET state = ?, reason = ? WHERE film = ? AND kind = ? AND target = ?",
            *(state, reason, delivery.film, delivery.kind, delivery.target),
        )

    def _set(self, number: int, state: str, reason: str | None = None) -> None:
        self._base.do(
            "UPDATE films SET state = ?, reason = ?, changed = ? WHERE number = ?", state, reason, time.time(), number
        )

    def _forget(self, number: int) -> None:
        self._base.do("DELETE FROM deliveries WHERE film = ?", number)
        self._base.do("DELETE FROM films WHERE number = ?", number)
