"""How many films to label before a bundle is fitted to them or judged by them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from hilum.measures.figure import EvaluationError
from hilum.measures.films.thresholds import FEWEST
from hilum.measures.precision import films_for_width, films_to_draw, width_of

HEADER = ("for", "with pneumonia", "without", "films in all", "in 9 of 10 draws")
COUNTS = (100, 200, 400, 800, 1600)


class Plan(NamedTuple):
    """What is expected of the films, and how wide an interval may be; a figure left out is not planned for."""

    prevalence: float
    sensitivity: float | None
    specificity: float | None
    width: float

    @classmethod
    def of(
        cls, prevalence: float | None, sensitivity: float | None, specificity: float | None, width: float | None
    ) -> Plan:
        """Refuses what no number of films answers."""
        if prevalence is None or width is None or (sensitivity is None and specificity is None):
            raise EvaluationError(
                "a plan needs --prevalence, --width, and --sensitivity or --specificity, "
                "as --prevalence 0.2 --sensitivity 0.9 --width 0.1"
            )
        for name, share in (
            ("prevalence", prevalence), ("sensitivity", sensitivity), ("specificity", specificity), ("width", width),
        ):  # fmt: skip
            if share is not None and not 0 < share < 1:
                raise EvaluationError(f"--{name} {share:g}: give a share between 0 and 1")
        if width < 0.001:
            raise EvaluationError(f"--width {width:g}: no films make an interval that narrow; give 0.001 or more")
        return cls(prevalence, sensitivity, specificity, width)


def in_words(plan: Plan) -> Iterator[tuple[str, ...]]:
    """Rows under HEADER: what is needed, then what some counts of films would give."""
    yield _row("a threshold of 0.95 at all", FEWEST, FEWEST, plan.prevalence)
    with_pneumonia = 0 if plan.sensitivity is None else films_for_width(plan.sensitivity, plan.width)
    without = 0 if plan.specificity is None else films_for_width(plan.specificity, plan.width)
    if plan.sensitivity is not None:
        yield _row(f"sensitivity {plan.sensitivity:g} to {plan.width:g}", with_pneumonia, 0, plan.prevalence)
    if plan.specificity is not None:
        yield _row(f"specificity {plan.specificity:g} to {plan.width:g}", 0, without, plan.prevalence)
    if plan.sensitivity is not None and plan.specificity is not None:
        yield _row("both", with_pneumonia, without, plan.prevalence)
    for films in COUNTS:
        kinds = films * plan.prevalence, films * (1 - plan.prevalence)
        widths = [
            f"{name} to {width_of(share, count):.2f}"
            for name, share, count in (
                ("sensitivity", plan.sensitivity, kinds[0]), ("specificity", plan.specificity, kinds[1]),
            )
            if share is not None
        ]  # fmt: skip
        yield ", ".join(widths), f"{kinds[0]:,.0f}", f"{kinds[1]:,.0f}", f"{films:,}", ""


def _row(aim: str, with_pneumonia: int, without: int, prevalence: float) -> tuple[str, ...]:
    """How many films hold so many of each kind: on average, and in nine of ten draws."""
    shares = ((with_pneumonia, prevalence), (without, 1 - prevalence))
    average = max(round(count / share + 0.499) for count, share in shares)
    sure = max(films_to_draw(count, share) for count, share in shares if count)
    return aim, *(f"{count:,}" if count else "" for count in (with_pneumonia, without)), f"{average:,}", f"{sure:,}"
