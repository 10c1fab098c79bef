"""A plan: which films are judged by what and how, and in which shards. It is made once, and lies with the results.

A folder of results holds what one bundle says of these films under these settings, and nothing else; whoever comes with
the same command goes on with it. Many may come at once: the first plan that is whole counts.
"""

from __future__ import annotations

import json
import math
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from io import BytesIO
from pathlib import Path
from typing import BinaryIO, NamedTuple, cast

import polars as pl

from hilum import __version__
from hilum.bundle.asked import Asked, settle
from hilum.radiograph.patient import Patient
from hilum.radiograph.read import open_film
from hilum.scale.archives import films_in
from hilum.scale.errors import ScaleError
from hilum.scale.results import CARD, Draft, Results
from hilum.scale.sources import Source, listing
from hilum.scale.uris import local_path
from hilum.service.films.served import Served
from hilum.system.text import json_text
from hilum.system.typed import MisfitError, build

FORMAT = 1
IN_LIST = 1 << 14  # films in a file of the plan
FEWEST, MOST = 8, 1 << 12  # films in a shard, powers of two
TRAITS_KEPT, FILMS_OF_ARCHIVE = 10_000, 1000  # about; the second is a guess
FILMS, ARCHIVES = "films", "archives"


@dataclass(frozen=True, slots=True)
class How:
    """By what films are judged, and how: the settings as the bundle fills them in, so that two ways to say the same are
    the same.
    """

    hilum: str
    bundle: str  # its digest
    model: str  # its file, for people
    operating_point: str | None
    threshold: float | None
    gate: bool
    box_threshold: float | None
    patient: Patient | None
    invert: bool
    overlays: bool

    @classmethod
    def of(cls, served: Served, asked: Asked, *, invert: bool, overlays: bool) -> How:
        """What is asked of a bundle. Raises BundleError where it cannot do that."""
        point, threshold, box_threshold = settle(asked, served.card)
        model = Path(served.path).name
        return cls(
            __version__,
            served.digest,
            model,
            point,
            threshold,
            asked.gate,
            box_threshold,
            asked.patient,
            invert,
            overlays,
        )

    def asked(self) -> Asked:
        """What is asked of each film."""
        return Asked(
            self.operating_point,
            None if self.operating_point is not None else self.threshold,
            self.gate,
            self.overlays,
            self.box_threshold,
            self.patient,
        )


@dataclass(frozen=True, slots=True)
class PlanCard:
    """What plan.json says. `films` are single ones, `in_shard` of them a shard; each of `archives` is one by itself."""

    format: int
    how: How
    sources: list[str]
    films: int
    archives: int
    in_shard: int


class Film(NamedTuple):
    """A film to judge: where it is, and in an archive its name there. Without `content` it is read where it is judged.

    `failure` is the reason and the detail why there is none.
    """

    uri: str
    member: str | None = None
    content: bytes | None = None
    failure: tuple[str, str] | None = None


class Plan:
    """The plan of some results."""

    def __init__(self, results: Results, card: PlanCard, folder: str) -> None:
        self.results = results
        self.card = card
        self._folder = folder
        self._films_of_list = lru_cache(1)(self._read_list)  # a list has many shards

    def __len__(self) -> int:
        """How many shards there are."""
        return -(-self.card.films // self.card.in_shard) + self.card.archives

    def has_traits_kept(self, film: Film) -> bool:
        """Whether this is one of those, chosen by their names alone, that are enough to tell what kind all are of."""
        every = max((self.card.films + self.card.archives * FILMS_OF_ARCHIVE) // TRAITS_KEPT, 1)
        return zlib.crc32(f"{film.uri}\n{film.member}".encode(errors="replace")) % every == 0

    def films_of(self, shard: int) -> Iterator[Film]:
        """The films of a shard. Those in an archive come with their content, one after the other."""
        alone = len(self) - self.card.archives
        if shard >= alone:
            number = shard - alone
            yield from _in_archive(self._films_of_list(ARCHIVES, number // IN_LIST)[number % IN_LIST])
            return
        first = shard * self.card.in_shard
        uris = self._films_of_list(FILMS, first // IN_LIST)
        yield from map(Film, uris[first % IN_LIST : first % IN_LIST + self.card.in_shard])

    def _read_list(self, kind: str, number: int) -> list[str]:
        content = self.results.read(f"{self._folder}/{kind}-{number:05}.parquet")
        return pl.read_parquet(BytesIO(content))["uri"].to_list()


def open_plan(results: Results, how: How, sources: Sequence[str]) -> Plan:
    """The plan that lies with the results, or a new one. Raises ScaleError where that is a plan for something else."""
    if results.plan() is None:
        if results.holds_others() and results.plan() is None:  # nor has another one made it meanwhile
            raise ScaleError(f"{results}: holds other files; name a new folder, or one that this command has begun")
        _write_plan(results, how, list(sources))
    plan = read_plan(results)
    if difference := _difference(plan.card, how, list(sources)):
        raise ScaleError(f"{results}: {difference}; name another folder")
    return plan


def read_plan(results: Results) -> Plan:
    """The plan that lies with the results. Raises ScaleError."""
    folder = results.plan()
    if folder is None:
        raise ScaleError(f"{results}: holds no results; begin with hilum predict FILMS --out {results}")
    try:
        values = json.loads(results.read(f"{folder}/{CARD}"))
        if values.get("format") != FORMAT:
            raise ScaleError(f"{results}: was begun by another version of hilum; name another folder")
        return Plan(results, build(PlanCard, values), folder)
    except (ValueError, AttributeError, MisfitError) as error:
        if isinstance(error, ScaleError):
            raise
        raise ScaleError(f"{results}: its plan is damaged; name another folder") from None


def _difference(card: PlanCard, how: How, sources: list[str]) -> str | None:
    """In what this folder is about something else, in a few words."""
    kept = card.how
    if kept.bundle != how.bundle:
        return f"holds what the bundle {kept.bundle} ({kept.model}) says, and this one is {how.bundle}"
    if kept.hilum != how.hilum:
        return f"was begun with hilum {kept.hilum}, and this is {how.hilum}"
    before, now = asdict(kept), asdict(how)
    others = [name for name in before if name != "model" and before[name] != now[name]]
    for name in sorted(others, key=lambda name: now[name] is None):  # a threshold puts an operating point out of use
        return f"was begun with {name.replace('_', ' ')} {_word(before[name])}, and now it is {_word(now[name])}"
    return None if card.sources == sources else "holds answers on films from elsewhere"


def _word(value: object) -> str:
    if isinstance(value, float):
        return f"{value:g}"
    return "left out" if value is None else {True: "on", False: "off"}[value] if isinstance(value, bool) else str(value)


def _write_plan(results: Results, how: How, sources: list[str]) -> None:
    draft = results.begin()
    try:
        lists = {FILMS: _List(draft, FILMS), ARCHIVES: _List(draft, ARCHIVES)}
        for source in listing(sources):
            lists[ARCHIVES if source.archive else FILMS].add(source)
        films, archives = lists[FILMS].close(), lists[ARCHIVES].close()
        if not films + archives:
            raise ScaleError("no films found; give JPEG, PNG or DICOM files, folders or archives that hold some")
        card = PlanCard(FORMAT, how, sources, films, archives, _shard_size(films))
        draft.write(CARD, (json_text(asdict(card), indent=1) + "\n").encode())
        draft.finish()
    finally:
        draft.abandon()


def _shard_size(films: int) -> int:
    """About as many films in a shard as there are shards, so that both a hundred and a billion are shared out well."""
    return min(max(1 << int(math.log2(max(math.isqrt(films), 1))), FEWEST), MOST)


class _List:
    """Files of IN_LIST sources each, written as they fill."""

    def __init__(self, draft: Draft, kind: str) -> None:
        self._draft, self._kind = draft, kind
        self._waiting: list[str] = []
        self._files = self._sources = 0

    def add(self, source: Source) -> None:
        self._waiting.append(source.uri)
        if len(self._waiting) == IN_LIST:
            self._write()

    def close(self) -> int:
        """How many there are."""
        if self._waiting:
            self._write()
        return self._sources

    def _write(self) -> None:
        content = BytesIO()
        pl.DataFrame({"uri": sorted(self._waiting)}).write_parquet(content)
        self._draft.write(f"{self._kind}-{self._files:05}.parquet", content.getvalue())
        self._sources += len(self._waiting)
        self._files += 1
        self._waiting.clear()


def _in_archive(uri: str) -> Iterator[Film]:
    """Its films; one row that says why where it cannot be opened at all."""
    from hilum.scale.stores import open_object

    path = local_path(uri)
    try:
        with cast("BinaryIO", open_film(path)) if path is not None else open_object(uri) as file:
            for member in films_in(file, uri):
                yield Film(uri, member.name, member.content, member.failure)
    except (FileNotFoundError, PermissionError) as error:
        yield Film(uri, failure=("cannot_open", error.strerror or "the file cannot be opened"))
