"""A rule: which films are judged, by what, when, and what becomes of the answer."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import time
from typing import TYPE_CHECKING, Annotated

from hilum.output.dicom.results import Kind
from hilum.output.dicom.study import StudyRule
from hilum.system.files import content_digest
from hilum.system.typed import Bounds

if TYPE_CHECKING:
    from hilum.node.film import Facts

NAME = re.compile(r"[A-Za-z][\w-]{0,63}", re.ASCII)
HOURS = re.compile(r"(?:[01]\d|2[0-3]):[0-5]\d-(?:[01]\d|2[0-3]):[0-5]\d")


@dataclass(frozen=True, slots=True)
class Rule:
    """A list that is empty lets everything through. With `study_seconds` one report speaks for all films of a study."""

    name: str = ""
    to: list[str] = field(default_factory=list)
    results: list[Kind] = field(default_factory=lambda: ["sr"])
    callers: list[str] = field(default_factory=list)
    modality: list[str] = field(default_factory=lambda: ["CR", "DX", "RG"])
    body_part: list[str] = field(default_factory=list)
    view: list[str] = field(default_factory=list)
    for_processing: bool = False
    model: str = "default"
    operating_point: str | None = None
    threshold: Annotated[float, Bounds(lowest=0, highest=1)] | None = None
    study_seconds: Annotated[float, Bounds(above=0, highest=86400)] | None = None
    study_answer: StudyRule = "highest"
    urgent: bool = False
    quiet_hours: list[str] = field(default_factory=list)
    shadow: bool = False

    def __post_init__(self) -> None:
        if self.name and NAME.fullmatch(self.name) is None:
            raise ValueError(
                f"name = {self.name!r}: begins with a letter, and holds letters, digits and -_ beside them"
            )
        if not self.to and not self.shadow:
            raise ValueError("to: is missing; name a target, or say shadow = true to send nothing")
        if not self.results:
            raise ValueError("results: is empty; name what is to be made, as in ['sr']")
        if self.operating_point is not None and self.threshold is not None:
            raise ValueError("an operating point and a threshold at once; give one of them")
        if self.study_seconds is not None and "sr" not in self.results:
            raise ValueError("study_seconds: waits for the study's report, which results does not name; add 'sr'")
        for hours in self.quiet_hours:
            _span(hours)

    @property
    def key(self) -> str:
        """By which its films know it again: its name, else what it says, whatever its place among the rules."""
        return self.name or f"rule-{content_digest(repr(self).encode())}"

    def study_of(self, facts: Facts) -> str:
        """The study whose report a film's results wait for; empty where they wait for none."""
        return facts.study if self.study_seconds is not None else ""

    def takes(self, facts: Facts) -> bool:
        """Whether films like this are judged by this rule."""
        return (
            (facts.for_people or self.for_processing)
            and _among(facts.caller, self.callers)
            and _among(facts.modality, self.modality)
            and _among(facts.body_part, self.body_part)
            and _among(facts.view, self.view)
        )

    def quiet_at(self, now: time) -> bool:
        """Whether films that are not urgent wait at this time of the day."""
        spans = map(_span, self.quiet_hours)
        return any(
            begin <= now < end if begin <= end else now >= begin or now < end  # over midnight
            for begin, end in spans
        )


def _span(hours: str) -> tuple[time, time]:
    if HOURS.fullmatch(hours) is None:
        raise ValueError(f"quiet_hours: {hours!r} is no span of a day; write it as in '22:00-06:30'")
    begin, end = hours.split("-")
    return time.fromisoformat(begin), time.fromisoformat(end)


def _among(value: str, allowed: list[str]) -> bool:
    return not allowed or value.upper() in {one.upper() for one in allowed}
