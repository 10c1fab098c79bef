"""A room from what is asked for: everything that can be wrong is said before anybody reads."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from hilum.bundle.predictor import Predictor
from hilum.label.exchange.exchange import starting_boxes
from hilum.label.films import FilmSet, RoomError, check_readers, checked_classes, open_films
from hilum.label.judged import distance, uncertainty
from hilum.label.room import ROOM, Answers, Plan, Room, remember, room_of
from hilum.label.sequence import Kind, Sequencer, disputed, suspected

OnProgress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True, eq=False)
class Wish:
    """What a room is to be like. Without `classes` they are the room's own of earlier, or those of the films.

    `suspects` goes with the order doubt, `column` with stratified, a `bundle` with uncertainty and drift. With an
    `adjudicator` the films are those that the readers of the first round read differently. `start` has the boxes that
    films begin with.
    """

    data: Path
    out: Path
    readers: tuple[str, ...] = ("reader",)
    classes: tuple[str, ...] | None = None
    bundle: Predictor | None = None
    answers: Answers = "never"
    order: Kind = "random"
    suspects: Path | None = None
    column: str = "label"
    repeat: float = 0.0
    seed: int = 1
    adjudicator: str | None = None
    start: Path | None = None


def open_room(wish: Wish, on_progress: OnProgress) -> Room:
    """The room. Raises RoomError, and what opening films and judging them raises."""
    _check(wish)
    films = open_films(wish.data)
    classes = _classes(wish, films)
    told = remember(wish.out, films, classes, wish.answers)
    plan = Plan(
        films=films,
        out=wish.out,
        readers=wish.readers if wish.adjudicator is None else (wish.adjudicator,),
        classes=classes,
        order=_sequencer(wish, films, on_progress),
        answers=wish.answers,
        start=starting_boxes(wish.start, films) if wish.start is not None else {},
        round="first" if wish.adjudicator is None else "adjudication",
    )
    return Room(plan, told=told)


def _check(wish: Wish) -> None:
    if wish.adjudicator is None:
        check_readers(wish.readers, "--readers")
    else:
        check_readers((wish.adjudicator,), "--adjudicate")
    if wish.order in ("uncertainty", "drift") and wish.bundle is None:
        raise RoomError(f"--order {wish.order} needs a bundle to ask: --bundle FILE, or --bundle default")
    if wish.answers == "first" and wish.bundle is None:
        raise RoomError("--assist needs a bundle whose answer is shown: --bundle FILE, or --bundle default")
    if (wish.order == "doubt") != (wish.suspects is not None):
        raise RoomError("--order doubt and --suspects FILE, which hilum data doubt --csv writes, go together")


def _classes(wish: Wish, films: FilmSet) -> tuple[str, ...]:
    if wish.classes is not None:
        return checked_classes(wish.classes, "--classes")
    if (wish.out / ROOM).exists():
        return tuple(room_of(wish.out)["classes"])
    return checked_classes(films.classes(), str(films.source))


def _sequencer(wish: Wish, films: FilmSet, on_progress: OnProgress) -> Sequencer:
    ranks: dict[int, float] | None = None
    strata = None
    only = False
    if wish.adjudicator is not None or wish.order == "disagreement":
        ranks, only = disputed(films, wish.out), True
        if not ranks:
            raise RoomError(f"{wish.out}: no film was read differently by two readers so far")
    elif wish.suspects is not None:
        ranks, only = suspected(films, wish.suspects), True
    elif wish.order == "stratified":
        strata = films.column(wish.column)
    elif wish.bundle is not None and wish.order == "uncertainty":
        ranks = uncertainty(wish.bundle, films, wish.out, on_progress)
    elif wish.bundle is not None and wish.order == "drift":
        ranks = distance(wish.bundle, films, wish.out, on_progress)
    repeat = wish.repeat if wish.adjudicator is None else 0.0
    return Sequencer(films, wish.seed, repeat, strata, ranks, only)
