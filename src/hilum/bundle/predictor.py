"""The Predictor: the one way in which a Bundle is used, by the command line, the service and every evaluation.

It works in two steps. To look at a film decodes it, runs the network and asks the gate; to decide on what was seen
takes microseconds and can be done again with other wishes. Needs NumPy, Pillow and onnxruntime, and pydicom once a
DICOM film comes. Films go through in parallel, one a thread, from the file to the reading: decoding and the network
release Python's lock, no thread waits for a batch to fill, and memory holds a few films, however many come.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from io import TextIOBase
from typing import Any, TypeAlias, TypeVar, cast, overload

import numpy as np
from numpy.typing import NDArray

from hilum.bundle.asked import Asked, settle
from hilum.bundle.batches import Batches, Named
from hilum.bundle.card import BundleError, Card
from hilum.bundle.decide import decide
from hilum.bundle.drift.grays import grays_of
from hilum.bundle.format import BOXES, FEATURES, FILMS, GATE, GROUPS, HEATMAPS, LUNGS, PROBABILITIES, SCORES
from hilum.bundle.gate import verdict
from hilum.bundle.in_order import in_order
from hilum.bundle.opening import CPU, OpenBundle
from hilum.bundle.prediction import Prediction
from hilum.bundle.reading import GraphOutputs, Reading, Unreadable
from hilum.bundle.shipped import name_anywhere
from hilum.radiograph import FilmSource, Radiograph, ReadError, content_of, kind_of, open_film, read
from hilum.radiograph.patient import patient_of
from hilum.system.cores import available_cores

Film: TypeAlias = "FilmSource | Radiograph"
AS_IT_IS = Asked()
BATCH = 32  # films at once, on devices that like many
T = TypeVar("T")


def load(path: str | os.PathLike[str] | None = None, *, threads: int | None = None, device: str = CPU) -> Predictor:
    """The Predictor of a bundle, or of the one that ships with hilum. Raises BundleError or OSError.

    `threads` is how many films are worked on at once; as many as there are cores where it is left out. `device` is
    where the network runs: "cpu", or what the installed onnxruntime has besides, as "cuda" or "coreml".

    >>> model = hilum.load()
    >>> model.card.classes
    ['normal', 'other_finding', 'bacterial', 'viral']
    """
    bundle = OpenBundle(path, device)
    bundle.session()
    return Predictor(bundle, threads)


class Predictor:
    """A bundle ready for films. It may be used from several threads at once, and pickled: it is opened anew from its
    path then, where no other file may lie.

    `batch` is how many films the network is given at once at most: one on a CPU, where that is fastest.

    >>> with hilum.load("model.onnx") as model:
    ...     answer = model.predict("film.png")
    ...     several = model.predict(["film.png", "no-film.png"])
    >>> answer.decision, [type(each).__name__ for each in several]
    ('no_pneumonia', ['Answered', 'Failed'])
    """

    def __init__(self, bundle: OpenBundle, threads: int | None = None, batch: int | None = None) -> None:
        self.path = bundle.path
        self.card: Card = bundle.card
        self.digest = bundle.digest
        self.threads = threads or available_cores()
        self._bundle = bundle
        self._asked_threads = threads
        self._batch = batch or (1 if bundle.device == CPU else BATCH)
        self._run_one = self._run if self._batch == 1 else Batches(self._run, self._batch)
        self._starting = threading.Lock()
        self._pool: ThreadPoolExecutor | None = None
        self._process = 0

    def run(self, levels: NDArray[np.uint8]) -> GraphOutputs:
        """The graph on films at the bundle's geometry: (N, height, width) or (N, 1, height, width) grey levels."""
        films = levels[:, None] if levels.ndim == 3 else levels
        shape = (1, self.card.geometry.height, self.card.geometry.width)
        if films.shape[1:] != shape or films.dtype != np.uint8:
            raise ValueError(
                f"films of shape {levels.shape} and type {levels.dtype}; {self.path} takes uint8, N x {shape}"
            )
        if not len(films):
            raise ValueError("no films to run")
        batches = [films[first : first + self._batch] for first in range(0, len(films), self._batch)]
        alone = len(batches) == 1 or self.threads == 1 or self._batch > 1
        parts = list(map(self._run, batches) if alone else self._workers().map(self._run, batches))
        return _outputs({name: np.concatenate([part[name] for part in parts]) for name in parts[0]})

    def check_output(self, name: str, leave: str) -> None:
        """Raises BundleError where the network does not give this; see OpenBundle."""
        self._bundle.check_output(name, leave)

    def look(self, film: Film, *, invert: bool = False) -> Reading:
        """Decode a film, run the network on it and ask the gate; nothing is decided. Raises ReadError or OSError.

        `invert` exchanges black and white first, for a film that came inverted.
        """
        return self._reading(read_film(film, self.card.geometry.at_least, invert), name_of(film))

    def decide(self, reading: Reading | Unreadable, asked: Asked = AS_IT_IS) -> Prediction:
        """What this bundle says of a film that it has looked at. Pure and cheap: ask as often as you like."""
        return decide(self.card, self.digest, reading, asked)

    @overload
    def predict(  # type: ignore[overload-overlap]  # a str is a sequence of str, too, and here means a path
        self, film: Film, asked: Asked = AS_IT_IS, *, invert: bool = False
    ) -> Prediction: ...

    @overload
    def predict(self, film: Iterable[Film], asked: Asked = AS_IT_IS, *, invert: bool = False) -> list[Prediction]: ...

    def predict(
        self, film: Film | Iterable[Film], asked: Asked = AS_IT_IS, *, invert: bool = False
    ) -> Prediction | list[Prediction]:
        """Judge a film, given as anything that `hilum.read` takes or as a Radiograph, or several of them.

        One film that cannot be read raises ReadError or OSError; among several it is Failed, and the others are judged.
        What cannot be a film by its type raises TypeError.
        """
        self._check(asked)
        if isinstance(film, Iterable) and not (isinstance(film, (Radiograph, Mapping, TextIOBase)) or kind_of(film)):
            return list(self.stream(cast("Iterable[Film]", film), asked, invert=invert))
        return self.decide(self.look(cast("Film", film), invert=invert), asked)

    def stream(self, films: Iterable[Film], asked: Asked = AS_IT_IS, *, invert: bool = False) -> Iterator[Prediction]:
        """Judge any number of films, in their order, each as soon as it is done; one that cannot be read is Failed.

        Films are taken from a thread of its own, and only a few ahead of what was handed out.
        """
        self._check(asked)
        return (self.decide(reading, asked) for reading in self.readings(films, invert=invert))

    def stream_with_films(
        self, films: Iterable[Film], asked: Asked = AS_IT_IS, *, at_least: int, invert: bool = False
    ) -> Iterator[tuple[Prediction, Radiograph | None]]:
        """As `stream`, each prediction with its film to be drawn, decoded to sides of `at_least` pixels where it has
        them; None where it could not be read. The file is read once for both.
        """
        self._check(asked)
        looked_at = self.readings_with_films(films, at_least=at_least, invert=invert)
        return ((self.decide(reading, asked), shown) for reading, shown in looked_at)

    def readings(self, films: Iterable[Film], *, invert: bool = False) -> Iterator[Reading | Unreadable]:
        """Look at any number of films, as `stream` does, and decide nothing."""
        return self._in_order(partial(self._look_or_say, invert=invert), films)

    def readings_with_films(
        self, films: Iterable[Film], *, at_least: int, invert: bool = False
    ) -> Iterator[tuple[Reading | Unreadable, Radiograph | None]]:
        """The same, each with its film to be drawn, as `stream_with_films` gives it."""
        return self._in_order(partial(self._look_and_keep, at_least=at_least, invert=invert), films)

    def close(self) -> None:
        """End the threads; films that are being worked on are finished. `with hilum.load() as model:` does it, too."""
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)

    def __enter__(self) -> Predictor:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _check(self, asked: Asked) -> None:
        """Refuse what this bundle cannot do before any film is read."""
        try:
            settle(asked, self.card)
        except BundleError as error:
            raise BundleError(f"{self.path}: {error}") from None

    def _reading(self, radiograph: Radiograph, path: str | None) -> Reading:
        levels = self.card.geometry.apply(radiograph.pixels)[None]
        outputs = _outputs(self._run_one(levels[None]))
        return Reading(
            path=path,
            height=radiograph.height,
            width=radiograph.width,
            turn=radiograph.turn,
            warnings=radiograph.warnings,
            gate=verdict(radiograph, _first(outputs.gate), self.card.gate),
            probabilities=outputs.probabilities[0],
            heatmaps=_first(outputs.heatmaps),
            boxes=_first(outputs.boxes),
            scores=_first(outputs.scores),
            lungs=None if outputs.lungs is None else np.rint(outputs.lungs[0] * 255).astype(np.uint8),
            bundle=self.digest,
            features=outputs.features[0],
            gate_row=_first(outputs.gate),
            bits=radiograph.bits,
            mode=radiograph.mode,
            grays=tuple(grays_of(levels)[0].tolist()),
            groups=_first(outputs.groups),
            patient_by_age=patient_of(radiograph.age),
        )

    def _look_or_say(self, film: Film, invert: bool) -> Reading | Unreadable:
        try:
            return self.look(film, invert=invert)
        except (ReadError, OSError) as error:
            return _unreadable(film, error)

    def _look_and_keep(self, film: Film, at_least: int, invert: bool) -> tuple[Reading | Unreadable, Radiograph | None]:
        try:
            content = in_memory(film)
            # At the size at which everyone decodes, so that a film is judged alike whether or not it is drawn.
            radiograph = read_film(content, self.card.geometry.at_least, invert)
            reading = self._reading(radiograph, name_of(film))
            if min(radiograph.pixels.shape) < min(at_least, radiograph.height, radiograph.width):
                radiograph = read_film(content, at_least, invert)
        except (ReadError, OSError) as error:
            return _unreadable(film, error), None
        return reading, radiograph

    def _in_order(self, look: Callable[[Film], T], films: Iterable[Film]) -> Iterator[T]:
        if self.threads == 1:
            return map(look, films)
        return in_order(look, films, self._workers(), 2 * self.threads)

    def _workers(self) -> ThreadPoolExecutor:
        """The threads, which live as long as the Predictor; a process that was forked off starts its own."""
        with self._starting:
            if self._pool is None or self._process != os.getpid():
                self._pool, self._process = ThreadPoolExecutor(self.threads, "hilum"), os.getpid()
            return self._pool

    def _run(self, films: NDArray[np.uint8]) -> Named:
        session = self._bundle.session()
        return dict(zip(self._bundle.outputs, session.run(None, {FILMS: films}), strict=True))

    def __reduce__(self) -> tuple[Callable[..., Predictor], tuple[str, str, int | None, str]]:
        return _reopen, (name_anywhere(self.path), self.digest, self._asked_threads, self._bundle.device)


def _reopen(path: str, digest: str, threads: int | None, device: str) -> Predictor:
    """The same bundle where a pickled Predictor has come to."""
    predictor = load(path, threads=threads, device=device)
    if predictor.digest != digest:
        raise BundleError(
            f"{predictor.path}: digest {predictor.digest}, but the bundle that was sent here has {digest}; "
            "put the same file there"
        )
    return predictor


def _outputs(named: Named) -> GraphOutputs:
    rest = map(named.get, (GATE, BOXES, SCORES, LUNGS, GROUPS))
    return GraphOutputs(named[PROBABILITIES], named.get(HEATMAPS), named[FEATURES], *rest)


def _first(values: NDArray[np.float32] | None) -> NDArray[np.float32] | None:
    return None if values is None else values[0]


def _unreadable(film: Film, error: ReadError | OSError) -> Unreadable:
    if isinstance(error, ReadError):
        return Unreadable(name_of(film), str(error.reason), error.detail)
    return Unreadable(name_of(film), "cannot_open", error.strerror or "the file cannot be opened")


def read_film(film: Film, at_least: int, invert: bool) -> Radiograph:
    """The film as a Radiograph, decoded to sides of `at_least` pixels where it comes as a file; inverted if asked to
    be.
    """
    radiograph = film if isinstance(film, Radiograph) else read(film, at_least=at_least)
    return radiograph.inverted() if invert else radiograph


def in_memory(film: Any) -> Film:
    """The film without the file behind it, which may be gone when it is read again, or be another one."""
    match kind_of(film):
        case "path":
            with open_film(film) as file:
                return content_of(file)
        case "file":
            return content_of(film)
    return film  # type: ignore[no-any-return]


def name_of(film: Film) -> str | None:
    """The path of a film that is one, by which its prediction is known; what is in memory has no name."""
    return os.fspath(film) if isinstance(film, (str, os.PathLike)) else None
