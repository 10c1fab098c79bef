"""The Predictor: the one way in which a Bundle is used, by the command line, the service and every evaluation.

Needs NumPy, Pillow and onnxruntime, and pydicom once a DICOM film comes. Films go through in parallel, one a thread,
from the file to the prediction: decoding and the network release Python's lock, no thread waits for a batch to fill,
and memory holds no more films than there are threads.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import NamedTuple, overload

import numpy as np
from numpy.typing import NDArray

from hilum.bundle.card import BundleError, Card
from hilum.bundle.gate import verdict
from hilum.bundle.opening import BOXES, FEATURES, FILMS, GATE, HEATMAPS, PROBABILITIES, SCORES, OpenBundle
from hilum.bundle.prediction import NOT_ASKED, Box, Decision, Prediction
from hilum.radiograph import Radiograph, ReadError, read
from hilum.radiograph.geometry import Geometry
from hilum.system.cores import available_cores

Film = str | os.PathLike[str] | Radiograph


class Outputs(NamedTuple):
    """What the graph gives for N films and C classes; None is what the bundle has none of.

    `boxes` are left, top, width and height as fractions of the picture, `scores` fall and are 0 where no box is.
    """

    probabilities: NDArray[np.float32]  # N x C
    heatmaps: NDArray[np.float32] | None  # N x C x rows x columns
    features: NDArray[np.float32]  # N x F
    gate: NDArray[np.float32] | None  # N x 7
    boxes: NDArray[np.float32] | None = None  # N x K x 4
    scores: NDArray[np.float32] | None = None  # N x K


class _Asked(NamedTuple):
    """What the user wants of every film."""

    operating_point: str | None
    threshold: float
    gate: bool
    heatmaps: bool
    box_threshold: float | None


def load(path: str | os.PathLike[str] | None = None, *, threads: int | None = None) -> Predictor:
    """The Predictor of a bundle, or of one that ships with hilum: "default" or "boxes". Raises BundleError or OSError.

    `threads` is how many films are worked on at once; as many as there are cores where it is left out.
    """
    bundle = OpenBundle(path)
    bundle.session()
    return Predictor(bundle, threads)


class Predictor:
    """A bundle ready for films. It may be used from several threads at once."""

    def __init__(self, bundle: OpenBundle, threads: int | None = None) -> None:
        self.path = bundle.path
        self.card: Card = bundle.card
        self.threads = threads or available_cores()
        self._bundle = bundle

    def run(self, levels: NDArray[np.uint8]) -> Outputs:
        """The graph on films at the bundle's geometry: (N, height, width) or (N, 1, height, width) grey levels."""
        films = levels[:, None] if levels.ndim == 3 else levels
        shape = (1, self.card.geometry.height, self.card.geometry.width)
        if films.shape[1:] != shape or films.dtype != np.uint8:
            raise ValueError(
                f"films of shape {levels.shape} and type {levels.dtype}; {self.path} takes uint8, N x {shape}"
            )
        if len(films) < 2 or self.threads == 1:
            parts = [self._run_one(films[number : number + 1]) for number in range(len(films))]
        else:
            with ThreadPoolExecutor(self.threads) as pool:
                parts = list(pool.map(self._run_one, np.split(films, len(films))))
        if not parts:
            raise ValueError("no films to run")
        whole = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
        return Outputs(
            whole[PROBABILITIES],
            whole.get(HEATMAPS),
            whole[FEATURES],
            whole.get(GATE),
            whole.get(BOXES),
            whole.get(SCORES),
        )

    @overload
    def predict(  # type: ignore[overload-overlap]  # a str is a sequence of str, too, and here means a path
        self,
        film: Film,
        *,
        operating_point: str | None = None,
        threshold: float | None = None,
        gate: bool = True,
        heatmaps: bool = True,
        box_threshold: float | None = None,
    ) -> Prediction: ...

    @overload
    def predict(
        self,
        film: Sequence[Film],
        *,
        operating_point: str | None = None,
        threshold: float | None = None,
        gate: bool = True,
        heatmaps: bool = True,
        box_threshold: float | None = None,
    ) -> list[Prediction]: ...

    def predict(
        self,
        film: Film | Sequence[Film],
        *,
        operating_point: str | None = None,
        threshold: float | None = None,
        gate: bool = True,
        heatmaps: bool = True,
        box_threshold: float | None = None,
    ) -> Prediction | list[Prediction]:
        """Judge a film, given as a path or a Radiograph, or a list of them.

        One film that cannot be read raises ReadError or OSError; in a list it is a prediction with `error`, and the
        others are judged. The threshold is that of the bundle's default operating point, of another one named here, or
        a number of one's own, and so is the score from which on a detector's boxes are given. Without `gate` whatever
        the picture shows gets a probability.
        """
        asked = self._ask(operating_point, threshold, gate, heatmaps, box_threshold)
        if isinstance(film, (str, os.PathLike, Radiograph)):
            return self._judge(film, asked)
        return list(self._stream(film, asked))

    def stream(
        self,
        films: Iterable[Film],
        *,
        operating_point: str | None = None,
        threshold: float | None = None,
        gate: bool = True,
        heatmaps: bool = True,
        box_threshold: float | None = None,
    ) -> Iterator[Prediction]:
        """Judge any number of films, in their order, as they are asked for; one that cannot be read has `error` set."""
        return self._stream(films, self._ask(operating_point, threshold, gate, heatmaps, box_threshold))

    def _run_one(self, film: NDArray[np.uint8]) -> dict[str, NDArray[np.float32]]:
        session = self._bundle.session()
        return dict(zip(self._bundle.outputs, session.run(None, {FILMS: film}), strict=True))

    def _ask(
        self,
        operating_point: str | None,
        threshold: float | None,
        gate: bool,
        heatmaps: bool,
        box_threshold: float | None,
    ) -> _Asked:
        boxes = self.card.boxes
        if box_threshold is None:
            box_threshold = boxes.threshold if boxes is not None else None
        elif boxes is None:
            raise BundleError(f"{self.path}: a bundle that draws no boxes; leave the threshold of boxes out")
        elif not 0 <= box_threshold <= 1:
            raise BundleError(f"threshold {box_threshold:g} of boxes: scores run from 0 to 1")
        if threshold is None:
            try:
                point = self.card.point(operating_point)
            except BundleError as error:
                raise BundleError(f"{self.path}: {error}") from None
            return _Asked(point.name, point.threshold, gate, heatmaps, box_threshold)
        if operating_point is not None:
            raise BundleError("an operating point and a threshold at once; give one of them")
        if not 0 <= threshold <= 1:
            raise BundleError(f"threshold {threshold:g}: probabilities run from 0 to 1")
        return _Asked(None, threshold, gate, heatmaps, box_threshold)

    def _stream(self, films: Iterable[Film], asked: _Asked) -> Iterator[Prediction]:
        """In order, a few films ahead of what is asked for: enough that a large film does not stop the others."""

        def judge(film: Film) -> Prediction:
            return self._judge_or_say(film, asked)

        return _in_order(judge, films, self.threads)

    def _judge_or_say(self, film: Film, asked: _Asked) -> Prediction:
        try:
            return self._judge(film, asked)
        except ReadError as error:
            message = f"{error.reason}: {error.detail}"
        except OSError as error:
            message = f"cannot_open: {error.strerror or 'the file cannot be opened'}"
        return Prediction(_name(film), None, asked.threshold, asked.operating_point, error=message)

    def _judge(self, film: Film, asked: _Asked) -> Prediction:
        geometry = self.card.geometry
        radiograph = film if isinstance(film, Radiograph) else read(film, at_least=geometry.at_least)
        outputs = self._run_one(geometry.apply(radiograph.pixels)[None, None])
        checked = verdict(radiograph, _row(outputs.get(GATE)), self.card.gate) if asked.gate else NOT_ASKED
        row = outputs[PROBABILITIES][0].astype(np.float64)
        positive = np.array([name in self.card.positive for name in self.card.classes])
        probability = float(np.clip(row[positive].sum(), 0, 1))
        broken = not np.isfinite(row).all()
        judged = not broken and checked.passed is not False
        decision: Decision = "pneumonia" if probability >= asked.threshold else "no_pneumonia"
        if not judged:
            decision = "abstain"
        maps = outputs.get(HEATMAPS) if asked.heatmaps and judged else None
        return Prediction(
            path=_name(film),
            decision=None if broken else decision,
            threshold=asked.threshold,
            operating_point=asked.operating_point,
            probability=probability if judged else None,
            probabilities=dict(zip(self.card.classes, map(float, row), strict=True)) if judged else None,
            gate=checked,
            heatmap=None if maps is None else _evidence(maps[0], row, positive),
            geometry=geometry,
            boxes=self._boxes(outputs, asked.box_threshold, radiograph) if judged else (),
            box_threshold=asked.box_threshold,
            height=radiograph.height,
            width=radiograph.width,
            warnings=radiograph.warnings,
            error="not_a_number: the network gave no number for this film; export the bundle again" if broken else None,
        )

    def _boxes(
        self, outputs: dict[str, NDArray[np.float32]], threshold: float | None, radiograph: Radiograph
    ) -> tuple[Box, ...]:
        if threshold is None:
            return ()
        label = self.card.positive[0] if len(self.card.positive) == 1 else "pneumonia"
        scores = outputs[SCORES][0].astype(np.float64)
        kept = (scores > 0) & (scores >= threshold)
        placed = _on_film(outputs[BOXES][0][kept], self.card.geometry, radiograph)
        return tuple(
            Box(x, y, width, height, score, label)
            for (x, y, width, height), score in zip(placed.tolist(), scores[kept].tolist(), strict=True)
            if min(width, height) > 0
        )


def _on_film(boxes: NDArray[np.float32], geometry: Geometry, radiograph: Radiograph) -> NDArray[np.float64]:
    """Boxes of the picture as boxes of the film, cut at its edges."""
    placed = geometry.boxes_to_film(boxes.astype(np.float64), radiograph.height, radiograph.width)
    corners = np.clip(np.concatenate([placed[:, :2], placed[:, :2] + placed[:, 2:]], axis=1), 0, 1)
    return np.concatenate([corners[:, :2], corners[:, 2:] - corners[:, :2]], axis=1)


def _evidence(
    maps: NDArray[np.float32], probabilities: NDArray[np.float64], positive: NDArray[np.bool_]
) -> NDArray[np.float32]:
    """Where the film speaks for pneumonia rather than against it.

    The decision hangs on the log odds of the positive classes against the others, whose slope in the logit of a class
    is its share among its side's probabilities; the maps are taken in these shares. With two classes that is one map
    less the other, which is all that a softmax sees.
    """
    weights = np.zeros_like(probabilities)
    for side, sign in ((positive, 1), (~positive, -1)):
        shares = np.clip(probabilities[side], 1e-12, None)
        weights[side] = sign * shares / shares.sum() if shares.size else 0
    return np.ascontiguousarray(np.tensordot(weights.astype(np.float32), maps, 1))


def _in_order(judge: Callable[[Film], Prediction], films: Iterable[Film], threads: int) -> Iterator[Prediction]:
    if threads == 1:
        yield from map(judge, films)
        return
    pool = ThreadPoolExecutor(threads)
    waiting: deque[Future[Prediction]] = deque()
    try:
        for film in films:
            waiting.append(pool.submit(judge, film))
            if len(waiting) > 2 * threads:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:  # also when nobody asks for more, or on Ctrl-C
        pool.shutdown(cancel_futures=True)


def _row(gate: NDArray[np.float32] | None) -> NDArray[np.float32] | None:
    return None if gate is None else gate[0]


def _name(film: Film) -> str | None:
    return None if isinstance(film, Radiograph) else os.fspath(film)
