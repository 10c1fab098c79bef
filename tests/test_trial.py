"""Bundles of unknown origin: tried once, within limits, and remembered."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from bundle_mutation import HARMFUL
from bundles import tiny_card, tiny_model
from onnx import helper, numpy_helper

import hilum
from hilum.bundle.card import BundleError
from hilum.bundle.onnx_file import DIGEST, read_model, write_metadata
from hilum.bundle.opening import OpenBundle
from hilum.bundle.shipped import DIGESTS, find_bundle
from hilum.bundle.trust import trial
from hilum.bundle.trust.trial import is_known, remember

limits_memory = pytest.mark.skipif(sys.platform != "linux", reason="only Linux holds a process to its memory")


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HILUM_HOME", str(tmp_path / "home"))
    return tmp_path / "home" / "bundles"


@pytest.fixture
def trials(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How each process that was started ended."""
    run, ended = subprocess.run, []

    def noted(*arguments: Any, **settings: Any) -> Any:
        answer = run(*arguments, **settings)
        ended.append(answer.returncode)
        return answer

    monkeypatch.setattr(subprocess, "run", noted)
    return ended


def bundle(folder: Path, change: Callable[[onnx.ModelProto], None] | None = None) -> Path:
    model = tiny_model(tiny_card())
    if change is not None:
        change(model)
    path = folder / "own.onnx"
    path.write_bytes(write_metadata(model.SerializeToString(), tiny_card()))
    return path


def use(model: onnx.ModelProto, name: str) -> None:
    """The probabilities depend on a number, so that it is computed."""
    model.graph.node[10].output[:] = ["before"]
    model.graph.node.append(helper.make_node("ReduceMax", [name], ["most"], keepdims=0))
    model.graph.node.append(helper.make_node("Max", ["before", "most"], ["probabilities"]))


def terabytes(model: onnx.ModelProto) -> None:
    model.graph.initializer.append(numpy_helper.from_array(np.array([3_000_000] * 2, np.int64), "sides"))
    model.graph.node.append(helper.make_node("ConstantOfShape", ["sides"], ["much"]))
    use(model, "much")


def hours(model: onnx.ModelProto) -> None:
    model.graph.initializer.append(numpy_helper.from_array(np.array([3000, 3000], np.int64), "sides"))
    model.graph.node.append(helper.make_node("Expand", ["one", "sides"], ["power 0"]))
    for number in range(999):
        before, after = f"power {number}", f"power {number + 1}"
        model.graph.node.append(helper.make_node("MatMul", [before, before], [after]))
    use(model, "power 999")


def test_a_new_bundle_is_tried_once(tmp_path: Path, trials: list[int]) -> None:
    path = bundle(tmp_path)
    digest = read_model(path)[DIGEST]
    assert not is_known(digest)
    hilum.load(path)
    assert trials == [0]
    assert is_known(digest)
    hilum.load(path)
    shutil.copy(path, tmp_path / "copy.onnx")
    hilum.load(tmp_path / "copy.onnx")
    assert trials == [0]


@pytest.mark.parametrize("name", DIGESTS)
def test_what_ships_is_known_wherever_it_lies(name: str, tmp_path: Path, trials: list[int]) -> None:
    assert read_model(find_bundle(name))[DIGEST] == DIGESTS[name], "write the new digest into shipped.py"
    hilum.load(name)
    hilum.load(shutil.copy(find_bundle(name), tmp_path / "copy.onnx"))
    assert trials == []


@limits_memory
def test_a_graph_that_asks_for_terabytes_is_refused(tmp_path: Path) -> None:
    path = bundle(tmp_path, terabytes)
    with pytest.raises(BundleError, match=r"own\.onnx: ") as caught:
        hilum.load(path)
    assert str(caught.value).isprintable()
    assert not is_known(read_model(path)[DIGEST])


@pytest.mark.skipif(sys.platform == "win32", reason="Windows does not count the time of a process")
def test_a_graph_that_computes_for_hours_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trial, "SECONDS", 2)
    with pytest.raises(BundleError, match=r"own\.onnx: cannot be set up and run on one film within 2 seconds"):
        hilum.load(bundle(tmp_path, hours))


def test_where_a_core_s_time_is_not_counted_the_clock_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trial, "SECONDS_IN_ALL", 0.001)
    with pytest.raises(BundleError, match=r"own\.onnx: cannot be set up and run on one film within 0\.001 seconds"):
        hilum.load(bundle(tmp_path))


@pytest.mark.parametrize("returncode", [-11, -9, 3221225477])
def test_what_crashes_is_refused(returncode: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    crashed = subprocess.CompletedProcess([], returncode, b"ready\n", b"")
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: crashed)
    with pytest.raises(BundleError, match="cannot be set up"):
        hilum.load(bundle(tmp_path))


def test_a_program_that_carries_its_own_python_is_not_asked_to_be_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, trials: list[int]
) -> None:
    monkeypatch.setattr(sys, "executable", shutil.which("true") or shutil.which("where"))
    path = bundle(tmp_path)
    assert hilum.load(path).card.title
    assert trials == [0]
    assert not is_known(read_model(path)[DIGEST])


def test_where_no_process_can_be_started_what_was_counted_must_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def none(*_: object, **__: object) -> None:
        raise PermissionError

    monkeypatch.setattr(subprocess, "run", none)
    assert hilum.load(bundle(tmp_path)).card.title


def test_a_digest_is_believed_only_after_it_was_checked(tmp_path: Path, trials: list[int]) -> None:
    """A file that states the digest of a known one and holds something else is damaged, and never set up."""
    path = bundle(tmp_path)
    remember(read_model(path)[DIGEST])
    content = bytearray(path.read_bytes())
    place = content.index(b"Softmax")
    content[place : place + 7] = b"Sigmoid"
    path.write_bytes(content)
    with pytest.raises(BundleError, match="damaged or changed"):
        OpenBundle(path)
    assert trials == []


def test_without_a_cache_it_is_tried_every_time(tmp_path: Path, trials: list[int], cache: Path) -> None:
    cache.parent.write_text("a file, so that there is no folder")
    path = bundle(tmp_path)
    hilum.load(path)
    hilum.load(path)
    assert trials == [0, 0]


def test_many_may_remember_at_once_and_a_torn_line_is_no_bundle(cache: Path) -> None:
    digests = [f"{number:032x}" for number in range(60)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(remember, digests))
    assert all(map(is_known, digests))
    cache.write_text(cache.read_text()[:-20])
    assert sum(map(is_known, digests)) == 59
    cache.write_bytes(b"\xff\x00" * 99)
    assert not is_known(digests[0])


def test_the_cache_stays_small(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trial, "KNOWN_BYTES", 1000)
    monkeypatch.setattr(trial, "KNOWN_KEPT", 5)
    digests = [f"{number:032x}" for number in range(100)]
    for digest in digests:
        remember(digest)
    assert cache.stat().st_size < 1200
    assert all(map(is_known, digests[-5:]))
    assert not is_known(digests[0])


@pytest.mark.parametrize("text", HARMFUL)
def test_no_error_quotes_a_bundle_as_it_stands(text: str, tmp_path: Path) -> None:
    def rename(model: onnx.ModelProto) -> None:
        model.graph.node[5].input[0] = text or "\x1b"
        model.graph.node[5].name = text

    with pytest.raises(BundleError) as caught:
        hilum.load(bundle(tmp_path, rename))
    assert str(caught.value).isprintable()
