"""Studies that are complete get one report, which names all of their films."""

from __future__ import annotations

import time
from threading import Event

from pydicom.filereader import dcmread
from pydicom.uid import UID

from hilum.node.film import read_facts
from hilum.node.log import note, note_bug
from hilum.node.queue import Queue, StudyFilm
from hilum.node.settings.node import NodeSettings
from hilum.node.settings.rule import Rule
from hilum.node.spool import Spool
from hilum.output.dicom.results import as_file
from hilum.output.dicom.study import FilmReport, UnreadFilm, report_of_study
from hilum.radiograph.errors import ReadError
from hilum.system.database import DatabaseError

STUDY = "study"  # the kind of the report, beside those of a film
PAUSE, LONGER = 0.25, 5.0


class Studies:
    """Reports on each study once it has been silent for as long as its rule says, and again if more films come."""

    def __init__(self, settings: NodeSettings, spool: Spool, queue: Queue) -> None:
        self._settings = settings
        self._spool = spool
        self._queue = queue
        self._waiting = [(rule, rule.study_seconds) for rule in settings.rule if rule.study_seconds is not None]

    def run(self, stopped: Event) -> None:
        """Until it is to stop."""
        while self._waiting and not stopped.wait(PAUSE):
            try:
                for rule, seconds in self._waiting:
                    for study in self._queue.complete(rule.key, time.time() - seconds):
                        self._report(study, rule)
            except (DatabaseError, OSError) as error:  # a full disk: it is reported once there is room
                note(f"studies wait: {error}")
                stopped.wait(LONGER)
            except Exception as error:
                note_bug("a study could not be reported", error)
                stopped.wait(LONGER)

    def _report(self, study: str, rule: Rule) -> None:
        films = self._queue.of_study(study, rule.key)
        for_people = any(not film.raw and self._is_judged(film) for film in films)
        skipped = [film for film in films if film.raw and for_people]
        for film in skipped:
            if film.held:
                self._queue.skip(film.number)
                self._spool.remove(film.number)
                note(f"film {film.number}: no result: it is for processing, and its study has films for presentation")
        used = [film for film in films if film not in skipped]
        judged = [film for film in used if self._is_judged(film)]
        new = [film for film in judged if film.held]
        if not new:
            return
        reports = [self._read(film) for film in judged]
        unread = [lost for film in used if film not in judged and (lost := self._unread(film)) is not None]
        report = report_of_study(reports, unread, rule.study_answer, self._queue.reported(study, rule.key))
        newest = new[-1].number
        self._spool.write(newest, STUDY, as_file(report))
        targets = {film.number: self._settings.targets_of(rule, film.caller) or [] for film in new}
        to_send = {film: (self._kinds(film, rule), names) for film, names in targets.items()}
        everyone = list(dict.fromkeys(name for names in targets.values() for name in names))
        kinds = [*to_send[newest][0], STUDY]
        to_send[newest] = (kinds, everyone)
        for done in self._queue.report((study, rule.key), str(report.SOPInstanceUID), to_send):
            self._spool.delivered(done)
        note(f"film {newest}: its study of {len(judged) + len(unread)} films has its report")

    def _kinds(self, film: int, rule: Rule) -> list[str]:
        """What goes out of a film by itself: all but the report."""
        return [kind for kind in rule.results if kind != "sr" and self._spool.result(film, kind).exists()]

    def _is_judged(self, film: StudyFilm) -> bool:
        return self._spool.line(film.number).exists()

    def _read(self, film: StudyFilm) -> FilmReport:
        line = self._spool.line(film.number).read_bytes()
        return FilmReport.of(dcmread(self._spool.result(film.number, "sr")), line)

    def _unread(self, film: StudyFilm) -> UnreadFilm | None:
        """A film without an answer by its identifiers; None where it has none that could be named, or is gone."""
        try:
            facts = read_facts(self._spool.film(film.number), film.caller)
        except (ReadError, OSError):
            return None
        lost = UnreadFilm(facts.kind, facts.series, facts.instance)
        return lost if all(UID(part).is_valid for part in lost) else None
