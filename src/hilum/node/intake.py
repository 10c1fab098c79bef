"""A film at the door, however it came: refused, passed over, or in the queue before its sender hears so."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from enum import Enum
from pathlib import Path
from typing import NamedTuple

from hilum.node.film import Facts, read_facts
from hilum.node.log import note, note_bug
from hilum.node.queue import Arrived, Queue
from hilum.node.settings.node import NodeSettings
from hilum.node.spool import Spool
from hilum.radiograph.errors import ReadError
from hilum.system.database import DatabaseError
from hilum.system.files import file_digest

HASHING = 4  # films at once


class Outcome(Enum):
    """What became of a film."""

    TAKEN = "taken"
    KNOWN = "known"
    PASSED_OVER = "passed over"
    OURS = "ours"
    DAMAGED = "damaged"
    NO_ROOM = "no room"
    OTHER_STUDY = "other study"


class Taken(NamedTuple):
    """What became of a film, and what is known of it where its header could be read."""

    outcome: Outcome
    facts: Facts | None = None


class Intake:
    """Takes films into the queue by the rules, each on the disk before it counts. `counts` says what came of them."""

    def __init__(self, settings: NodeSettings, spool: Spool, queue: Queue) -> None:
        self._settings = settings
        self._spool = spool
        self._queue = queue
        self._hashing = ThreadPoolExecutor(HASHING, "hilum-digest")
        self.counts = dict.fromkeys(Outcome, 0)

    def take(self, arrived: Path, caller: str, *, urgent: bool = False, study: str | None = None) -> Taken:
        """A film that lies in the spool's folder for what arrives, and does not any more when this returns.

        Where `study` is given, it has to be of that one.
        """
        facts: Facts | None = None
        try:
            facts = read_facts(arrived, caller)
            outcome = self._take(arrived, facts, urgent, study)
        except ReadError as error:
            note(f"a film was refused: {error.reason}")
            outcome = Outcome.DAMAGED
        except OSError as error:
            note(f"a film could not be kept: {error.strerror or type(error).__name__}")
            outcome = Outcome.NO_ROOM
        except DatabaseError as error:
            note(f"a film could not be kept: {error}")
            outcome = Outcome.NO_ROOM
        except Exception as error:  # whoever calls, as pynetdicom, would keep it to himself
            note_bug("a film could not be kept", error)
            outcome = Outcome.NO_ROOM
        finally:
            arrived.unlink(missing_ok=True)
        self.counts[outcome] += 1
        return Taken(outcome, facts)

    def _take(self, arrived: Path, facts: Facts, urgent: bool, study: str | None) -> Outcome:
        if not facts.instance:
            note("a film was refused: it has no identifier, if it is a film at all")
            return Outcome.DAMAGED
        if study not in (None, facts.study):
            return Outcome.OTHER_STUDY
        if facts.ours:
            note("a film was refused: it is a result of hilum's own")
            return Outcome.OURS
        rule = self._settings.rule_for(facts)
        if rule is None:
            note("a film was passed over: no rule takes it")
            return Outcome.PASSED_OVER
        if not self._spool.has_room(self._settings.spool_gigabytes):
            note(f"a film was refused: the spool has its {self._settings.spool_gigabytes:g} GB, or the disk is full")
            return Outcome.NO_ROOM
        digest = self._hashing.submit(file_digest, arrived)  # while the disk is waited for
        with arrived.open("rb") as file:
            os.fsync(file.fileno())
        film = Arrived(
            instance=facts.instance,
            digest=digest.result(),
            caller=facts.caller,
            rule=rule.key,
            study=rule.study_of(facts),
            raw=not facts.for_people,
            urgent=urgent or rule.urgent,
        )
        number = self._queue.add(film, lambda number: self._spool.keep(arrived, number))
        if number is None:
            note("a film was sent again: it is known already")
            return Outcome.KNOWN
        note(f"film {number}: has arrived")
        return Outcome.TAKEN
