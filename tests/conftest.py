"""Where the films that tests read come from: installed packages, and real data beside the checkout where it is."""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import data_store
import pydicom
import pytest
from hypothesis import settings

PYDICOM_FILES = Path(pydicom.__file__).parent / "data" / "test_files"
PYDICOM_DATA_FILES = Path(data_store.__file__).parent / "data"
REAL_DATA = Path(__file__).parents[2] / "shared" / "data"

# Seconds after which a process that does not end counts as hung. No test comes near: none may depend on speed.
PATIENCE = 900
# `make soak` runs the tests marked soak much longer than `make test` has time for.
SOAK = "HILUM_SOAK" in os.environ
LONGER = 20 if SOAK else 1
# Files in the order of how long they take.
LONGEST = [
    "test_processes",
    "test_scale_ray",
    "test_walks",
    "test_export_bundle",
    "test_detector_bundle",
    "test_fit",
    "test_bundle_graph",
]

# No test is timed: on a busy machine any of them may be slow.
settings.register_profile("hilum", deadline=None)
settings.load_profile("hilum")


@pytest.fixture(scope="session", autouse=True)
def _no_cache_of_the_user(tmp_path_factory: pytest.TempPathFactory) -> None:
    os.environ["XDG_CACHE_HOME"] = str(tmp_path_factory.mktemp("cache"))


@pytest.fixture(scope="module", autouse=True)
def _what_is_there_stays() -> None:
    """What earlier modules left is not searched for garbage again and again, nor copied by a process that is forked."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session", autouse=True)
def _phantoms_drawn_once() -> Iterator[None]:
    """Most tests draw the same few hundred small phantoms; those of drawing itself, test_phantom*, draw anew."""
    from hilum.dataset.phantom import film

    anew = film._draw
    once = lru_cache(maxsize=4000)(anew)

    def draw(seed: tuple[int, ...] | int, label: str, shorter_side: int, finding: str | None) -> film.Phantom:
        if shorter_side > 128 or "test_phantom" in os.environ.get("PYTEST_CURRENT_TEST", ""):
            return anew(seed, label, shorter_side, finding)
        found = once(seed, label, shorter_side, finding)
        return replace(found, pixels=found.pixels.copy())

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(film, "_draw", draw)
        yield


@pytest.fixture
def real_data() -> Path:
    if not REAL_DATA.is_dir():
        pytest.skip("the real data sets are not beside this checkout")
    return REAL_DATA


@pytest.fixture(scope="session")
def exports_remembered() -> Iterator[None]:
    """Of a network exported again, in another size or by another command, gate and graph are made once.

    The gate learns of few strangers and lateral films: how good it is, test_gate.py tests.
    """
    from remembered import remembered

    from hilum.export.gate import learning, sight
    from hilum.export.graph.as_onnx import as_onnx

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sight, "STRANGERS", 160)
        patch.setattr(sight, "LATERALS", 60)
        patch.setattr("hilum.export.export.learn_gate", remembered(learning.learn_gate))
        patch.setattr("hilum.export.export.as_onnx", remembered(as_onnx))
        yield


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Each file is tested by one process, so that what a module makes is made once; those that take longest come first,
    so that no process is left with one at the end.
    """
    items.sort(key=lambda item: LONGEST.index(item.path.stem) if item.path.stem in LONGEST else len(LONGEST))


def pytest_unconfigure() -> None:
    """What was kept from the search for garbage goes in its turn, so that no library calls it lost."""
    gc.unfreeze()
