"""The Card: what a Bundle says of itself, kept as JSON inside the file.

Whoever predicts, judges or serves learns everything from it: classes, geometry, calibration, operating points, gate,
where the network comes from and what it is not for. Reading is strict, so that a card is never half understood.
"""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from bisect import bisect_left
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from functools import lru_cache
from typing import Any, Literal

from hilum.bundle.drift.baseline import DriftCard
from hilum.bundle.format import LATERAL, NO_TWO_LUNGS, STATES
from hilum.radiograph.geometry import Geometry
from hilum.radiograph.patient import PATIENTS, Patient
from hilum.system.typed import MisfitError, MissingKeyError, RefusedError, UnknownKeyError, build

FORMAT = 2  # of the cards that are written; earlier ones are read
PREFIX_BYTES = 8


class BundleError(ValueError):
    """A bundle that cannot be read or used so: one line naming the file, the reason and what to do."""


@dataclass(frozen=True, slots=True)
class OperatingPoint:
    """A threshold with a name. The decision is pneumonia where the probability is at least the threshold."""

    name: str
    threshold: float
    rule: str
    sensitivity: float  # both on validation
    specificity: float


@dataclass(frozen=True, slots=True)
class Calibration:
    """How scores became probabilities. It is done inside the graph; this records what was done and what it changed.

    `x` and `y`: for platt x = [a, b] of sigmoid(a * s + b), s being the logit of the positive probability; for isotonic
    the knots x -> y of the positive probability. Last of all the log odds of the positive classes become
    slope * log odds + offset, which films of the place where a bundle is used may have set.
    """

    method: Literal["none", "temperature", "platt", "isotonic"]
    temperature: float
    x: list[float]
    y: list[float]
    figures: dict[str, float]
    slope: float = 1.0
    offset: float = 0.0


@dataclass(frozen=True, slots=True)
class JoiningCard:
    """How the scores of two views of a film were joined into log odds; a view left out has weights of 0.

    `weights` are of the classes and the highest places of the map, of the whole film and of the lungs. `log_losses` are
    of validation films left out of the fit, by the views that were joined, so that one sees what the second is worth.
    """

    weights: dict[str, float]
    offset: float
    log_losses: dict[str, float]


@dataclass(frozen=True, slots=True)
class GroupCard:
    """What a bundle is for films of one group of patients, fitted and measured on validation films of that group.

    `films` counts them, with pneumonia and without, and says how many of them the network itself takes for this group.
    Where they were too few, `fitted_on_all` says that films of every group stand in. `tells_kinds`: whether validation
    says which of several kinds of pneumonia is right; where it does not, only their sum is answered.
    """

    name: Patient
    calibration: Calibration
    operating_points: list[OperatingPoint]
    tells_kinds: bool
    films: dict[str, int]
    fitted_on_all: bool = False
    joining: JoiningCard | None = None


@dataclass(frozen=True, slots=True)
class TwoLungsCard:
    """When a film shows no two lungs: less than `limit` of the left or of the right half of the picture is lung.

    `turned_away` are shares of validation films below it, with pneumonia and without, `films` how many there were.
    """

    limit: float
    films: dict[str, int]
    turned_away: dict[str, float]


@dataclass(frozen=True, slots=True)
class GateCard:
    """When a film is turned away. `distance_false_rejection`: the share of validation films that the limit rejects.

    `limit` is in units of the limit that was learned with the network. `two_lungs` is that of a gate that asks for
    them, None of an ensemble's, whose parents have limits of their own.
    """

    distance_false_rejection: float
    turned_limit: float  # P(any state but upright) above it rejects
    films: int
    note: str
    states: list[str] = field(default_factory=lambda: [*STATES])  # of the graph's columns, in their order
    limit: float = 1.0
    two_lungs: TwoLungsCard | None = None

    def __post_init__(self) -> None:
        if self.states not in ([*STATES], [*STATES, LATERAL], [*STATES, LATERAL, NO_TWO_LUNGS]):
            raise BundleError("its gate knows states that this hilum does not; update hilum")


@dataclass(frozen=True, slots=True)
class BoxCard:
    """How a detector's boxes come about, all of it chosen on validation films.

    A score says how likely its box overlaps a true one by more than half: the sigmoid of `calibration`'s three numbers
    a, b, c in a * box + b * film + c, where box and film are logits of the network, that of the film being for the
    positive classes. Of boxes that overlap by more than `nms_overlap` the best stays, where that is 1 all do; its sides
    are multiplied by `shrinkage`, and it is shown from `threshold` on. These were chosen for films of which the share
    `prevalence` have boxes; None is that of validation.
    """

    threshold: float
    nms_overlap: float
    shrinkage: float
    most: int  # boxes a film
    calibration: list[float]
    figures: dict[str, float]  # of validation, at these settings
    prevalence: float | None = None


@dataclass(frozen=True, slots=True)
class DataCard:
    """What the network was trained on. `films` holds, for each split, the digests that `pack_digests` made short."""

    digest: str
    counts: dict[str, dict[str, int]]
    patients: dict[str, int]
    source: str
    license: str
    terms: str
    split_by: Literal["patient", "image", "unknown"]
    films: dict[str, str]

    def holds(self, digest: str) -> str | None:
        """The split that has a film of this file or pixel digest (hex), so that nobody judges on what was learned."""
        wanted = bytes.fromhex(digest)[:PREFIX_BYTES]
        for split, packed in self.films.items():
            prefixes = _unpack_digests(packed)
            place = bisect_left(prefixes, wanted)
            if place < len(prefixes) and prefixes[place] == wanted:
                return split
        return None


@dataclass(frozen=True, slots=True)
class LocalFit:
    """What films of one's own changed for all films, or for those of one group of patients.

    `films` counts them, their patients, and those with pneumonia. `before` and `after` are figures of the same films,
    each with the ends of its 95% interval: after is what a fit to films of other patients said of them.
    """

    patient: Patient | None
    films: dict[str, int]
    way: str
    before: dict[str, list[float]]
    after: dict[str, list[float]]


@dataclass(frozen=True, slots=True)
class LocalCard:
    """How a bundle was made to fit the place where it is used; the bundle it was is its one parent. Aggregates alone.

    `manifest` is the digest of the films' manifest, `turned_away` how many of them the gate turns away. `fits` is empty
    where the films had no labels, `gate` where its limit stayed as it was.
    """

    manifest: str
    source: str
    made: str
    films: int
    patients: int
    turned_away: int
    fits: list[LocalFit]
    gate: dict[str, float]


@dataclass(frozen=True, slots=True)
class ParentCard:
    """A bundle that this one was made of: how to know it again, and what its own card said of how good it was.

    `networks` are the names of its networks, several of an ensemble. Its points and calibration are of `groups` where
    it has such, as in a Card.
    """

    digest: str
    name: str
    title: str
    made: str
    networks: list[str]
    recipe: dict[str, Any]
    geometry: Geometry
    calibration: Calibration | None
    operating_points: list[OperatingPoint]
    groups: list[GroupCard]
    figures: dict[str, dict[str, float]]


@dataclass(frozen=True, slots=True)
class Card:
    """All that a Bundle says of itself.

    A bundle made of other bundles names them in `parents`; one with several is an ensemble, whose networks and recipes
    are those of its parents. A bundle with `groups` answers for each group of patients apart: each has its own
    calibration and operating points, and those of the card itself are None and empty.
    """

    format: int
    task: Literal["classification", "detection"]
    name: str
    title: str
    classes: list[str]
    positive: list[str]  # the classes that mean pneumonia
    geometry: Geometry
    heatmap: str  # "class activation map", "Grad-CAM", or "none: " and why
    calibration: Calibration | None
    operating_points: list[OperatingPoint]
    default_point: str
    gate: GateCard | None
    recipe: dict[str, Any]
    data: DataCard
    figures: dict[str, dict[str, float]]
    versions: dict[str, str]
    made: str
    intended_use: str
    limits: list[str]
    notes: list[str]
    boxes: BoxCard | None = None  # of a detector
    groups: list[GroupCard] = field(default_factory=list)
    parents: list[ParentCard] = field(default_factory=list)
    drift: DriftCard | None = None  # what its validation films looked like
    local: LocalCard | None = None  # of a bundle that films of its users were calibrated on

    def __post_init__(self) -> None:
        if (self.task == "detection") != (self.boxes is not None):
            raise BundleError("the card says of boxes what does not fit its task")
        if self.boxes is not None and len(self.boxes.calibration) != 3:
            raise BundleError("the card does not say how boxes were calibrated")
        if len(self.classes) < 1 or len(set(self.classes)) != len(self.classes):
            raise BundleError("the card's classes are not distinct names")
        if not self.positive or not set(self.positive) <= set(self.classes):
            raise BundleError("the card does not say which of its classes mean pneumonia")
        if self.groups and [group.name for group in self.groups] != list(PATIENTS):
            raise BundleError("the card's groups of patients are not child and adult")
        if (self.calibration is None) != bool(self.groups) or (self.groups and self.operating_points):
            raise BundleError("the card says of calibration what does not fit its groups of patients")
        for points in ([group.operating_points for group in self.groups]) or [self.operating_points]:
            names = [point.name for point in points]
            if self.default_point not in names:
                raise BundleError(f"the card's default operating point {self.default_point!r} is not among its points")
            if names != self.point_names:
                raise BundleError("the card's groups of patients have operating points of different names")

    @property
    def networks(self) -> list[str]:
        """What its networks are called: one, or those of an ensemble; none where the card does not say."""
        own = self.recipe.get("network", {}).get("name")
        return [str(own)] if own else [name for parent in self.parents for name in parent.networks]

    @property
    def point_names(self) -> list[str]:
        """What its operating points are called, for every group of patients alike."""
        return [point.name for point in (self.groups[0].operating_points if self.groups else self.operating_points)]

    def group(self, patient: Patient) -> GroupCard:
        """What it is for films of children, or of adults."""
        return next(group for group in self.groups if group.name == patient)

    def checked(self, name: str | None) -> str:
        """The name of an operating point, the default one's if left out. Raises BundleError if there is none."""
        wanted = name or self.default_point
        if wanted not in self.point_names:
            raise BundleError(f"no operating point is called {wanted}; this bundle has {', '.join(self.point_names)}")
        return wanted

    def point(self, name: str | None = None, patient: Patient | None = None) -> OperatingPoint:
        """The operating point of this name, or the default one; where there are groups, that of the patient's."""
        wanted = self.checked(name)
        if self.groups and patient is None:
            raise BundleError("this bundle has operating points of children and of adults; say whose is meant")
        points = self.operating_points if patient is None or not self.groups else self.group(patient).operating_points
        return next(point for point in points if point.name == wanted)

    def as_parent(self, digest: str) -> ParentCard:
        """What stays of it on the card of a bundle made of the one with this digest."""
        return ParentCard(
            digest=digest,
            name=self.name,
            title=self.title,
            made=self.made,
            networks=self.networks,
            recipe=self.recipe,
            geometry=self.geometry,
            calibration=self.calibration,
            operating_points=self.operating_points,
            groups=self.groups,
            figures=self.figures,
        )

    def to_json(self) -> str:
        """The card as it stands in the file; `card_from_json` reads it."""
        return json.dumps(asdict(self), ensure_ascii=False, allow_nan=False)


def card_from_json(text: str) -> Card:
    """The card that `to_json` wrote. Anything else raises a BundleError that does not name the file yet."""
    try:
        values = json.loads(text, parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        raise BundleError("its card is damaged; get the file again from its source") from None
    stated = values.get("format") if isinstance(values, dict) else None
    if type(stated) is not int or stated < 1:
        raise BundleError("its card states no format; get the file again from its source")
    if stated > FORMAT:
        raise BundleError(f"its card has format {stated}, this hilum knows up to {FORMAT}; update hilum")
    try:
        return build(Card, values, "card")
    except MisfitError as misfit:
        raise _in_words(misfit) from None


def pack_digests(digests: Iterable[str]) -> str:
    """Hex digests as base64 of their sorted first 8 bytes: enough to recognize a film, short enough for a card."""
    prefixes = sorted({bytes.fromhex(digest)[:PREFIX_BYTES] for digest in digests})
    return b64encode(b"".join(prefixes)).decode("ascii")


def join_digests(packed: Iterable[str]) -> str:
    """What `pack_digests` made of several lots of films, as of all of them together."""
    prefixes = sorted({prefix for lot in packed for prefix in _unpack_digests(lot)})
    return b64encode(b"".join(prefixes)).decode("ascii")


@lru_cache(maxsize=16)
def _unpack_digests(packed: str) -> tuple[bytes, ...]:
    joined = b64decode(packed)
    return tuple(joined[start : start + PREFIX_BYTES] for start in range(0, len(joined), PREFIX_BYTES))


def _refuse_constant(name: str) -> None:
    raise ValueError(name)


def _in_words(misfit: MisfitError) -> BundleError:
    """What is wrong with a card, and what to do."""
    match misfit:
        case UnknownKeyError():
            return BundleError(f"its card has {misfit.where}, which this hilum does not know; update hilum")
        case MissingKeyError():
            return BundleError(f"its card lacks {misfit.where}; make the bundle again with `hilum export`")
        case RefusedError(reason=BundleError() as reason):
            return reason
        case RefusedError():  # a geometry out of its bounds
            return BundleError(f"its card is damaged at {misfit.where}: {misfit.reason}")
    return BundleError(f"its card is damaged at {misfit.where}; get the file again from its source")
