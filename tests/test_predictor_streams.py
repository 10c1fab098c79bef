"""Many films at once, on several threads and devices and in other processes: in order, bounded, and never stalled."""

from __future__ import annotations

import pickle
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import SimpleQueue
from threading import Event
from time import sleep

import numpy as np
import pytest
from bundles import (
    answered,
    tiny_bundle,
)
from films import picture, shaded, write_films
from numpy.typing import NDArray
from PIL import Image

import hilum
from hilum.bundle.batches import Batches
from hilum.bundle.card import BundleError
from hilum.bundle.opening import OpenBundle
from hilum.bundle.predictor import Predictor
from hilum.bundle.shipped import name_anywhere, shipped_bundle


@pytest.mark.parametrize("threads", [1, 4])
def test_a_stream_keeps_the_order_and_reads_only_a_little_ahead(tmp_path: Path, threads: int) -> None:
    paths = write_films(tmp_path / "films", 5)
    asked = 0

    def endless() -> Iterator[Path]:
        nonlocal asked
        while True:
            yield paths[asked % len(paths)]
            asked += 1

    model = hilum.load(tiny_bundle(tmp_path), threads=threads)
    alone = [answered(model.predict(path)).probability for path in paths]
    stream = model.stream(endless())
    for number in range(40):
        answer = answered(next(stream))
        assert (answer.path, answer.probability) == (str(paths[number % 5]), alone[number % 5])
        assert asked <= number + 2 * threads + 1
    del stream


def test_a_stream_holds_few_films_at_a_time(tmp_path: Path) -> None:
    """In a process of its own: the peak over 120 films is that over 20."""
    tiny_bundle(tmp_path)
    path = tmp_path / "film.png"
    path.write_bytes(picture(Image.fromarray(shaded(1000, 1000)), "PNG"))
    code = f"""
        import resource, hilum
        model = hilum.load({str(tmp_path / "tiny.onnx")!r}, threads=2)
        peaks = []
        for count in (20, 120):
            for answer in model.stream([{str(path)!r}] * count):
                pass
            peaks.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
        print(peaks[1] - peaks[0])
    """
    answer = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, check=True)
    assert int(answer.stdout) < 30_000  # kilobytes; a film takes 4 MB


@pytest.mark.parametrize("threads", [1, 3])
def test_what_is_done_is_handed_out_while_the_next_film_is_long_in_coming(tmp_path: Path, threads: int) -> None:
    """A live queue: each film is answered before the next one is there."""
    paths = write_films(tmp_path / "films", 3)
    queue: SimpleQueue[Path | None] = SimpleQueue()
    queue.put(paths[0])
    model = hilum.load(tiny_bundle(tmp_path), threads=threads)
    stream = model.stream(iter(queue.get, None))
    for number in range(3):
        assert next(stream).path == str(paths[number])
        queue.put(paths[number + 1] if number < 2 else None)
    assert next(stream, None) is None


def test_what_ends_a_stream_early_is_raised_in_its_turn(tmp_path: Path) -> None:
    path = write_films(tmp_path / "films", 1)[0]

    def torn() -> Iterator[Path]:
        yield path
        raise RuntimeError("the queue is gone")

    with hilum.load(tiny_bundle(tmp_path), threads=2) as model:
        stream = model.stream(torn())
        assert next(stream).path == str(path)
        with pytest.raises(RuntimeError, match="the queue is gone"):
            next(stream)
        assert len(model.predict([path, path])) == 2  # the pool is still there


def test_a_film_comes_beside_its_prediction_though_its_file_is_gone(tmp_path: Path) -> None:
    """Judged as without being drawn, decoded once more and larger, from what was read the first time."""
    levels = shaded(1600, 1200)
    paths = [tmp_path / name for name in ("a.jpeg", "b.png", "c.png")]
    for path, kind in zip(paths, ("JPEG", "PNG", ""), strict=True):
        path.write_bytes(picture(Image.fromarray(levels), kind) if kind else b"no film")
    model = hilum.load(tiny_bundle(tmp_path), threads=2)
    plain = [prediction.to_dict() for prediction in model.predict(paths)]
    pairs = []
    for prediction, film in model.stream_with_films(paths, at_least=600):
        Path(str(prediction.path)).unlink()
        pairs.append((prediction, film))
    assert [prediction.to_dict() for prediction, _ in pairs] == plain
    shapes = [None if film is None else film.pixels.shape for _, film in pairs]
    assert shapes == [(800, 600), (1600, 1200), None]


def test_a_closed_predictor_answers_no_more_films_at_once(tmp_path: Path) -> None:
    paths = write_films(tmp_path / "films", 2)
    with hilum.load(tiny_bundle(tmp_path), threads=2) as model:
        assert len(model.predict(paths)) == 2
    with pytest.raises(RuntimeError, match="after shutdown"):
        model.predict(paths)


def test_a_predictor_is_pickled_by_path_and_digest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As a cluster sends it: opened anew there, from another folder, and never another file in its place."""
    monkeypatch.chdir(tmp_path)
    path = write_films(tmp_path / "films", 1)[0]
    tiny_bundle(tmp_path)
    model = hilum.load("tiny.onnx", threads=3)
    packed = pickle.dumps(model)
    assert len(packed) < 1000
    monkeypatch.chdir(tmp_path / "films")
    again = pickle.loads(packed)
    assert (again.threads, again.digest) == (3, model.digest)
    assert again.predict(path).to_dict() == model.predict(path).to_dict()
    tiny_bundle(tmp_path, name="another")
    with pytest.raises(BundleError, match=r"tiny\.onnx: digest [0-9a-f]{32}, but the bundle that was sent here has"):
        pickle.loads(packed)


def test_the_bundle_that_ships_is_pickled_by_name() -> None:
    """hilum may be installed elsewhere on the other machine."""
    assert name_anywhere(shipped_bundle("default")) == "default"


def test_films_are_put_together_for_devices_that_like_it(tmp_path: Path) -> None:
    paths = write_films(tmp_path / "films", 9)
    bundle = OpenBundle(tiny_bundle(tmp_path))
    alone = [answered(answer) for answer in Predictor(bundle, threads=1).predict(paths)]
    together = [answered(answer) for answer in Predictor(bundle, threads=4, batch=4).predict(paths)]
    for one, other in zip(alone, together, strict=True):
        assert one.probability == pytest.approx(other.probability, abs=1e-6)
    levels = np.random.default_rng(1).integers(0, 256, (7, 64, 64), np.uint8)
    np.testing.assert_allclose(
        Predictor(bundle, batch=3).run(levels).probabilities, Predictor(bundle).run(levels).probabilities, atol=1e-6
    )


def test_what_waits_goes_together_and_everyone_gets_their_own() -> None:
    """The first film is held in its run until five others wait."""
    sizes, begun, go = [], Event(), Event()

    def run(films: NDArray[np.uint8]) -> dict[str, NDArray[np.float32]]:
        sizes.append(len(films))
        begun.set()
        go.wait()
        if 13 in films:
            raise RuntimeError("the device is lost")
        return {"twice": films.astype(np.float32) * 2}

    batches = Batches(run, most=4)
    with ThreadPoolExecutor(7) as pool:
        first = pool.submit(batches, np.array([0], np.uint8))
        begun.wait()
        others = [pool.submit(batches, np.array([number], np.uint8)) for number in range(1, 6)]
        while len(batches._waiting) < 5:
            sleep(0.001)
        go.set()
        assert [answer.result()["twice"].tolist() for answer in (first, *others)] == [[2.0 * n] for n in range(6)]
        assert sizes == [1, 4, 1]
        with pytest.raises(RuntimeError, match="the device is lost"):
            batches(np.array([13], np.uint8))
        assert batches(np.array([7], np.uint8))["twice"].tolist() == [14.0]


def test_a_device_that_is_not_there_is_named(tmp_path: Path) -> None:
    bundle = tiny_bundle(tmp_path)
    assert hilum.load(bundle, device="CPU").path == bundle
    with pytest.raises(BundleError, match=r"device tpu: onnxruntime .* has .*cpu here"):
        hilum.load(bundle, device="tpu")
