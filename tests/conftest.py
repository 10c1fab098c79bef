"""Where the films that tests read come from: installed packages, and real data beside the checkout where it is."""

from __future__ import annotations

import os
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

# No test is timed: on a busy machine any of them may be slow.
settings.register_profile("hilum", deadline=None)
settings.load_profile("hilum")


@pytest.fixture(scope="session", autouse=True)
def _no_cache_of_the_user(tmp_path_factory: pytest.TempPathFactory) -> None:
    os.environ["XDG_CACHE_HOME"] = str(tmp_path_factory.mktemp("cache"))


@pytest.fixture
def real_data() -> Path:
    if not REAL_DATA.is_dir():
        pytest.skip("the real data sets are not beside this checkout")
    return REAL_DATA


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What is made once for a module (a trained run, a bundle, a report) is made by one worker, not by each of them."""
    for item in items:
        fixtures = item._fixtureinfo.name2fixturedefs.values() if isinstance(item, pytest.Function) else ()
        if any(made.scope == "module" for each in fixtures for made in each):
            item.add_marker(pytest.mark.xdist_group(item.nodeid.partition("::")[0]))
