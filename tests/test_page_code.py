"""The page's code that needs no browser, tested by Node and by TypeScript where they are."""

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
    shutil.copytree(PAGE, tmp_path, dirs_exist_ok=True)
    shutil.copy(TESTS / "pure.test.mjs", tmp_path)
    (tmp_path / "package.json").write_text('{"type": "module"}')
    done = subprocess.run([node, "--test", str(tmp_path)], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def test_its_types_hold() -> None:
    """What JSDoc says of functions is true of their calls; what it leaves out may be anything."""
    here = Path(__file__).parents[1] / ".node" / "node_modules" / ".bin" / "tsc"
    tsc = shutil.which("tsc") or shutil.which(here)
    if tsc is None:
        pytest.skip("TypeScript is not installed (make typescript)")
    options = ["--noEmit", "--allowJs", "--checkJs", "--strict", "false", "--moduleResolution", "bundler"]
    language = ["--module", "es2022", "--target", "es2022", "--lib", "es2023,dom,dom.iterable"]
    sources = [*PAGE.glob("*.js"), *PAGE.glob("label/*.js")]
    done = subprocess.run([tsc, *options, *language, *sources], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
