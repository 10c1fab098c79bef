"""The page's code that needs no browser, tested by Node where there is one."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

import hilum

PAGE = Path(hilum.__file__).parent / "service" / "page"
TESTS = Path(__file__).parent / "page"


def test_what_is_pure_does_what_it_says(tmp_path: Path) -> None:
    node = shutil.which("node")
    if node is None:
        pytest.skip("Node is not installed; the browser's tests run the same code")
    for source in (*PAGE.glob("*.js"), *TESTS.glob("*.mjs")):
        shutil.copy(source, tmp_path)
    (tmp_path / "package.json").write_text('{"type": "module"}')
    done = subprocess.run([node, "--test", str(tmp_path)], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
