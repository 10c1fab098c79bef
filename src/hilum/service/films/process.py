"""A process that judges films: one at a time, within limits of memory and time, and without a way to the disk.

A decoder that was led astray cannot be interrupted in a thread, nor can what it takes be given back; a process can be
ended. It gets films and gives answers as bytes: nothing that comes out of it is unpickled.
"""

from __future__ import annotations

import signal
import sys
import traceback
from collections.abc import Mapping
from io import BytesIO
from multiprocessing.connection import Connection
from typing import NamedTuple

from PIL import Image

from hilum.bundle.prediction import Abstained, Answered, Failed, Prediction
from hilum.bundle.predictor import Predictor
from hilum.output.heatmap import draw_heatmap
from hilum.output.lungs import draw_lungs, found_lungs
from hilum.output.overlay import TALLEST, draw_overlay
from hilum.output.table import to_json_line
from hilum.radiograph import Radiograph
from hilum.service.films.grey import show
from hilum.service.films.monitors import pack_traits
from hilum.service.films.served import BUG, FAILED, NO_RESULT, Answer, Served, Wanted

READY, TAKEN = b"ready", b"taken"
OUT_OF_MEMORY = 3  # exit code


class Limits(NamedTuple):
    """What judging one film may take. `megabytes` come on top of what the bundles themselves need."""

    seconds: int = 30  # of a core
    megabytes: int = 2048

    @property
    def seconds_in_all(self) -> int:
        """On the clock, on a machine that is busy with other things."""
        return 4 * self.seconds


def main(connection: Connection, bundles: tuple[Served, ...], limits: Limits) -> None:
    """Judge what comes through the connection until it is closed, which its service's end does, too."""
    # Whoever stops the service stops it: films at hand are finished, and then the connection is closed.
    for interrupt in (signal.SIGINT, signal.SIGTERM):
        signal.signal(interrupt, signal.SIG_IGN)
    predictors = {served.name: served.open() for served in bundles}
    _limit_memory_and_files(limits)
    connection.send_bytes(READY)
    try:
        while True:
            wanted = Wanted.from_json(connection.recv_bytes())
            connection.send_bytes(TAKEN)
            film = wanted.path if wanted.path is not None else connection.recv_bytes()
            _limit_time(limits)
            answer = _judge_or_explain(predictors, film, wanted)
            del film
            # At once: each message wakes the service.
            connection.send_bytes(b"\0".join(map(_text, (*answer[:4], answer.traits))))
            for part in (*answer.pictures, *answer.results):
                connection.send_bytes(part)
    except (EOFError, BrokenPipeError, ConnectionResetError):
        return
    except MemoryError:
        sys.exit(OUT_OF_MEMORY)


def receive_answer(connection: Connection, wanted: Wanted) -> Answer:
    """What `main` sends of a film that it has taken."""
    line, outcome, reason, detail, traits = connection.recv_bytes().split(b"\0", 4)
    pictures = tuple(connection.recv_bytes() for _ in wanted.pictures)
    results = tuple(connection.recv_bytes() for _ in wanted.results)
    return Answer(line, outcome.decode(), reason.decode() or None, detail.decode() or None, pictures, results, traits)


def judge(predictor: Predictor, film: str | bytes, wanted: Wanted) -> Answer:
    """One film, judged and drawn as wanted."""
    shown: Radiograph | None = None
    if wanted.pictures or wanted.results:
        ((reading, shown),) = predictor.readings_with_films([film], at_least=TALLEST, invert=wanted.invert)
    else:
        (reading,) = predictor.readings([film], invert=wanted.invert)
    prediction = predictor.decide(reading, wanted.asked)
    line = to_json_line(prediction).encode()
    pictures = tuple(_drawn(kind, prediction, shown) for kind in wanted.pictures)
    nothing = tuple(b"" for _ in wanted.results)
    if isinstance(prediction, Failed):
        return Answer(line, FAILED, prediction.reason, prediction.detail, pictures, nothing)
    answer = Answer(line, prediction.decision, None, None, pictures, nothing, pack_traits(predictor.card, reading))
    if not wanted.results or shown is None:
        return answer
    return _with_results(answer, film, wanted, (prediction, shown))


def _judge_or_explain(predictors: Mapping[str, Predictor], film: str | bytes, wanted: Wanted) -> Answer:
    try:
        if wanted.longest is not None:  # which needs no bundle
            return show(film, wanted.longest)
        return judge(predictors[wanted.model], film, wanted)
    except MemoryError:
        raise
    except Exception as error:
        # A bug must show its traceback, but the message of an exception may quote what it stumbled over.
        lines = traceback.format_tb(error.__traceback__)
        fault = f"{''.join(lines)}{type(error).__name__}"
        return Answer(b"", BUG, None, fault, tuple(b"" for _ in wanted.pictures), tuple(b"" for _ in wanted.results))


def _with_results(
    answer: Answer, film: str | bytes, wanted: Wanted, judged: tuple[Answered | Abstained, Radiograph]
) -> Answer:
    # highdicom is imported where results are asked for, and nowhere else.
    from hilum.output.dicom.results import as_file, dicom_results
    from hilum.output.dicom.source import NoResultError

    source = film if isinstance(film, str) else BytesIO(film)
    try:
        made = dict(dicom_results(*judged, source, wanted.results))
    except NoResultError as error:
        return answer._replace(outcome=FAILED, reason=NO_RESULT, detail=f"the film {error}")
    return answer._replace(results=tuple(as_file(made[kind]) if kind in made else b"" for kind in wanted.results))


def _drawn(kind: str, prediction: Prediction, film: Radiograph | None) -> bytes:
    if film is None:
        return b""
    if kind == "overlay":
        return _png(draw_overlay(prediction, film))
    if not isinstance(prediction, Answered):
        return b""
    if kind == "lungs":
        return _png(draw_lungs(prediction)) if found_lungs(prediction) else b""
    return b"" if prediction.heatmap is None else _png(draw_heatmap(prediction))


def _png(picture: Image.Image) -> bytes:
    encoded = BytesIO()
    picture.save(encoded, "PNG", compress_level=1)
    return encoded.getvalue()


def _text(part: object) -> bytes:
    return part if isinstance(part, bytes) else str(part or "").encode()


def _limit_memory_and_files(limits: Limits) -> None:
    try:
        import resource
    except ImportError:  # Windows has none of these: only the clock is watched there
        return
    _lower(resource.RLIMIT_CORE, 0)  # the memory of a process holds films
    _lower(resource.RLIMIT_FSIZE, 0)
    if sys.platform == "linux":  # where it is known what is in use already
        with open("/proc/self/statm") as statm:  # noqa: PTH123
            in_use = int(statm.read().split()[0]) * resource.getpagesize()
        _lower(resource.RLIMIT_AS, in_use + limits.megabytes * 2**20)


def _lower(kind: int, most: int) -> None:
    import resource

    hard = resource.getrlimit(kind)[1]
    most = most if hard == resource.RLIM_INFINITY else min(most, hard)
    resource.setrlimit(kind, (most, most))


def _limit_time(limits: Limits) -> None:
    """From now on for one film; the system ends the process then."""
    try:
        import resource
    except ImportError:
        return
    used = resource.getrusage(resource.RUSAGE_SELF)
    hard = resource.getrlimit(resource.RLIMIT_CPU)[1]
    resource.setrlimit(resource.RLIMIT_CPU, (int(used.ru_utime + used.ru_stime) + 1 + limits.seconds, hard))
