"""How many films and patients there were, and where each of them went: the flow that STARD asks for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import polars as pl

from hilum.dataset.manifest.side import side_of_film
from hilum.evaluation.guard import choose
from hilum.evaluation.judge import Judgement, with_truth
from hilum.measures.figure import Bools

UNSPLIT = "in no split"


class Count(NamedTuple):
    """Films, and the patients they are of. A patient may be in several places with different films."""

    films: int
    patients: int


class Outcome(NamedTuple):
    """Films that were called so, or turned away, by their truth."""

    sick: Count
    healthy: Count


@dataclass(frozen=True, slots=True)
class Flow:
    """From the films of the manifest to what was said of each. `unreadable` and `turned_away` are by reason."""

    found: Count
    elsewhere: dict[str, Count]  # films of other splits, by split
    chosen: Count
    without_label: Count
    labeled: Count
    unreadable: dict[str, int]
    readable: Count
    turned_away: dict[str, int]
    abstained: Outcome
    called: Outcome
    cleared: Outcome

    @property
    def passed(self) -> int:
        """Films that got an answer from the gate on."""
        return sum(count.films for outcome in (self.called, self.cleared) for count in outcome)

    def describe(self) -> dict[str, Any]:
        """Plain data for JSON."""
        plain: dict[str, Any] = _plain({name: getattr(self, name) for name in self.__slots__})
        return plain


def flow(judged: Judgement) -> Flow:
    """Counted from the manifest and the predictions; nothing is asked of the films again."""
    table, films = judged.manifest.table, judged.predictions
    rows = choose(judged.manifest, judged.split)
    known = with_truth(judged.card, rows)
    sides = table.select(side=side_of_film())["side"].fill_null(UNSPLIT)
    others = {} if judged.split == "all" else {name: table.filter(sides == name) for name in sorted(set(sides))}
    unknown = rows.filter(~pl.col("path").is_in(known["path"].implode()))
    away = films.turned_away

    def outcome(which: Bools) -> Outcome:
        return Outcome(*(_counted(films.patients[which & truth]) for truth in (films.truth, ~films.truth)))

    return Flow(
        found=_rows(table),
        elsewhere={name: _rows(part) for name, part in others.items() if name != judged.split},
        chosen=_rows(rows),
        without_label=_rows(unknown),
        labeled=_rows(known),
        unreadable=_by_reason(failure.error.partition(":")[0] for failure in films.failures),
        readable=_counted(films.patients),
        turned_away=_by_reason(np.array(films.gate)[away].tolist()),
        abstained=outcome(away),
        called=outcome(~away & films.called),
        cleared=outcome(~away & ~films.called),
    )


def _rows(table: pl.DataFrame) -> Count:
    return Count(table.height, table["patient"].n_unique())


def _counted(patients: Any) -> Count:
    return Count(len(patients), len(np.unique(patients)))


def _by_reason(reasons: Iterable[str]) -> dict[str, int]:
    """The most frequent first."""
    return dict(Counter(reason.replace("_", " ") for reason in reasons).most_common())


def _plain(value: Any) -> Any:
    if isinstance(value, Count | Outcome):
        return {name: _plain(part) for name, part in value._asdict().items()}
    return {key: _plain(part) for key, part in value.items()} if isinstance(value, Mapping) else value
