"""Films of the queue are judged in processes with limits, and what comes of each is put where it is sent from."""

from __future__ import annotations

import sys
import time
from concurrent.futures import Future
from datetime import datetime
from threading import Event

from hilum.bundle.asked import Asked, settle
from hilum.bundle.card import BundleError
from hilum.bundle.predictor import load
from hilum.node.choosing import choose_again
from hilum.node.log import note
from hilum.node.queue import Queue, Queued
from hilum.node.settings.node import NodeSettings
from hilum.node.settings.rule import Rule
from hilum.node.spool import Spool
from hilum.node.web.times import Times
from hilum.output.dicom.results import NEEDS, SHOWS
from hilum.service.films.pool import FilmBug, FilmPool, Unavailable
from hilum.service.films.served import FAILED, Answer, Served, Wanted
from hilum.system.database import DatabaseError

PAUSE, FULL_PAUSE = 0.5, 10.0  # seconds; the latter where there is no room for results


class Judge:
    """Takes films as the queue gives them, a few at a time."""

    def __init__(self, settings: NodeSettings, pool: FilmPool, spool: Spool, queue: Queue) -> None:
        self._settings = settings
        self._pool = pool
        self._spool = spool
        self._queue = queue
        self._rules = {rule.key: rule for rule in settings.rule}
        self._judging: dict[Queued, Future[Answer]] = {}
        self.outcomes: dict[str, int] = {}
        self.took = Times()

    def run(self, stopped: Event) -> None:
        """Until it is to stop; films at hand are finished."""
        seen = 0
        while not stopped.is_set() or self._judging:
            try:
                if not stopped.is_set():
                    self._take()
                for film in [film for film, answer in self._judging.items() if answer.done()]:
                    self._finish(film, self._judging.pop(film))
            except (DatabaseError, OSError) as error:  # a full disk: it is judged again once there is room
                note(f"films wait: {error}")
                stopped.wait(FULL_PAUSE)
            seen = self._queue.wait(seen, PAUSE)

    def _take(self) -> None:
        room = 2 * self._pool.processes - len(self._judging)
        if room > 0:
            now = datetime.now().time()
            quiet = [name for name, rule in self._rules.items() if rule.quiet_at(now)]
            for film in self._queue.waiting(room, {held.number for held in self._judging}, quiet):
                if film.rule not in self._rules:  # a dead letter, tried again under other settings
                    choose_again(film, self._settings, self._spool, self._queue)
                else:
                    self._judging[film] = answer = self._pool.submit(self._wanted(film), bytearray())
                    answer.add_done_callback(lambda _: self._queue.wake())

    def _wanted(self, film: Queued) -> Wanted:
        rule = self._rules[film.rule]
        path = str(self._spool.film(film.number))
        return Wanted(rule.model, asked_by(rule), path=path, results=tuple(rule.results))

    def _finish(self, film: Queued, future: Future[Answer]) -> None:
        try:
            answer = future.result()
        except Unavailable:
            return
        except FilmBug as bug:
            note(f"film {film.number}: a bug of hilum")
            print(bug, file=sys.stderr, flush=True)
            self._dead(film, "ended in a bug of hilum; the log has where it was")
            return
        self.outcomes[answer.outcome] = self.outcomes.get(answer.outcome, 0) + 1
        self.took.add(time.time() - film.arrived)
        if answer.outcome == FAILED:
            self._dead(film, str(answer.detail))
            return
        rule = self._rules[film.rule]
        targets = self._settings.targets_of(rule, film.caller)
        if targets is None:
            self._dead(film, "its sender is none of the targets; name one with its AE title")
            return
        made = {kind: content for kind, content in zip(rule.results, answer.results, strict=True) if content}
        for kind, content in made.items():
            self._spool.write(film.number, kind, content)
        if rule.study_seconds is not None:
            self._spool.write_line(film.number, answer.line)
            self._queue.held(film.number)
            note(f"film {film.number}: judged, waits for the others of its study")
            return
        if targets and not made:  # as of a bundle without lungs, where they alone are asked for
            self._queue.skip(film.number)
            self._spool.remove(film.number)
            note(f"film {film.number}: judged, and there is no result of the kinds that are asked for")
            return
        if not targets:
            self._spool.write_line(film.number, answer.line)
        self._queue.judged(film.number, list(made), targets)
        note(f"film {film.number}: judged, {len(made)} results for {', '.join(targets) or 'nobody'}")

    def _dead(self, film: Queued, reason: str) -> None:
        self._queue.dead(film.number, reason)
        note(f"film {film.number}: dead letter: {reason}")


def asked_by(rule: Rule) -> Asked:
    """What a rule asks of its films."""
    return Asked(
        operating_point=rule.operating_point,
        threshold=rule.threshold,
        heatmaps=not SHOWS.isdisjoint(rule.results),
    )


def bundles_of(settings: NodeSettings) -> tuple[Served, ...]:
    """The bundles of all rules, opened once, so that each is known to run. Raises BundleError."""
    served = {}
    for rule in settings.rule:
        predictor = load(rule.model, threads=1)
        try:
            settle(asked_by(rule), predictor.card)
        except BundleError as error:
            raise BundleError(f"{rule.model}: {error}") from None
        for kind, output in NEEDS.items():
            if kind in rule.results:
                predictor.check_output(output, f"{kind} out of the rule's results")
        served[rule.model] = Served.of(rule.model, predictor)
    return tuple(served.values())
