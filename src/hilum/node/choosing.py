"""Films of rules that are gone from the settings, or say something else now: they are chosen for anew."""

from __future__ import annotations

from hilum.node.film import read_facts
from hilum.node.log import note
from hilum.node.queue import Queue, Queued
from hilum.node.settings.node import NodeSettings
from hilum.node.spool import Spool
from hilum.radiograph.errors import ReadError


def choose_all_again(settings: NodeSettings, spool: Spool, queue: Queue) -> None:
    """Every film of the queue whose rule is there no more. Raises DatabaseError."""
    names = [rule.key for rule in settings.rule]
    queue.name_rules(names)
    for film in queue.of_other_rules(names):
        choose_again(film, settings, spool, queue)


def choose_again(film: Queued, settings: NodeSettings, spool: Spool, queue: Queue) -> None:
    """The first rule that takes it now; a dead letter where none does. Raises DatabaseError."""
    try:
        facts = read_facts(spool.film(film.number), film.caller)
        rule = settings.rule_for(facts)
    except (ReadError, OSError):
        rule = None
    if rule is None:
        reason = "the rule that took it is gone from the settings, and no other takes it"
        queue.dead(film.number, reason)
        note(f"film {film.number}: dead letter: {reason}")
        return
    queue.choose(film.number, rule.key, rule.study_of(facts), rule.urgent)
    note(f"film {film.number}: the rule that took it is gone from the settings; another one takes it")
