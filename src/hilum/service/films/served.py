"""What is served, what is asked of a film, and what comes back: all that passes between a service and its processes."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import hilum
from hilum.bundle.asked import Asked
from hilum.bundle.card import BundleError, Card
from hilum.bundle.decide import decide
from hilum.bundle.onnx_file import described, read_model
from hilum.bundle.predictor import Predictor
from hilum.bundle.reading import Unreadable
from hilum.bundle.shipped import name_anywhere
from hilum.output.table import to_json_line

if TYPE_CHECKING:
    from hilum.output.dicom.results import Kind

PICTURES = ("overlay", "heatmap", "lungs")
PIXELS = "pixels"
FAILED, BUG, NO_RESULT = "failed", "bug", "no_result"


@dataclass(frozen=True, slots=True)
class Served:
    """A bundle by the name that clients give, as it was when the service started. `described` is its card as data."""

    name: str
    path: str
    digest: str
    card: Card
    described: dict[str, Any]

    @classmethod
    def of(cls, name: str, predictor: Predictor) -> Served:
        """A bundle that was opened, so that it is known to run."""
        path = predictor.path
        page = described(read_model(path), path.stat().st_size)
        return cls(name, name_anywhere(path), predictor.digest, predictor.card, page)

    def open(self) -> Predictor:
        """The bundle ready for films, in the process that judges them."""
        predictor = hilum.load(self.path, threads=1)
        if predictor.digest != self.digest:
            raise BundleError(f"{self.path}: another file than when the service started; start it again")
        return predictor

    def failed(self, wanted: Wanted, reason: str, detail: str) -> Answer:
        """The answer for a film that its process did not survive."""
        prediction = decide(self.card, self.digest, Unreadable(wanted.path, reason, detail), wanted.asked)
        return Answer(to_json_line(prediction).encode(), FAILED, reason, detail, (), lost=True)


class Wanted(NamedTuple):
    """What is wanted of a film: by which bundle, decided how, with which pictures.

    `path` is where the film lies; None if its bytes are given. With `longest` no answer is wanted, but its grey values,
    reduced until no side has more pixels than this. `results` are the kinds of DICOM objects that are wanted of it.
    """

    model: str
    asked: Asked
    invert: bool = False
    pictures: tuple[str, ...] = ()
    path: str | None = None
    longest: int | None = None
    results: tuple[Kind, ...] = ()

    def to_json(self) -> bytes:
        """As bytes for a process."""
        return json.dumps({**self._asdict(), "asked": asdict(self.asked)}).encode()

    @classmethod
    def from_json(cls, content: bytes) -> Wanted:
        """What `to_json` made bytes of."""
        values: dict[str, Any] = json.loads(content)
        pictures, results = tuple(values["pictures"]), tuple(values["results"])
        return cls(**{**values, "asked": Asked(**values["asked"]), "pictures": pictures, "results": results})


class Answer(NamedTuple):
    """What is said of a film: the line of JSON that `hilum predict --json` prints, and its pictures as PNG.

    `outcome` is the decision, or FAILED with a reason for programs and a detail for people. A picture that was wanted
    and cannot be, as the heatmap of a film that was turned away, is empty. Where grey values are wanted, they are
    the only picture, and `line` says what is known of the film. `results` are DICOM files, empty where none
    of a kind can be. `traits` are for a watch of drift (monitors.py). `lost` says that the process did not survive the
    film, or was ended while it had it; `seconds` is how long it had it.
    """

    line: bytes
    outcome: str
    reason: str | None
    detail: str | None
    pictures: tuple[bytes, ...]
    results: tuple[bytes, ...] = ()
    traits: bytes = b""
    lost: bool = False
    seconds: float = 0.0
