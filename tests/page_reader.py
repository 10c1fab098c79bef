"""The page's reader of films, run by Node: JavaScript beside the Python that it has to agree with."""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from site_page import LIBRARY

from hilum.radiograph.geometry import Geometry
from hilum.service.page.files import FOLDER

SCRIPT = Path(__file__).parent / "page" / "read-films.mjs"


class PageReader:
    """The reader in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        node = shutil.which("node")
        if node is None:
            pytest.skip("Node is not installed; the browser's tests run the same code")
        self._node = node
        self._folder = folder / "reader"
        shutil.copytree(FOLDER, self._folder)
        shutil.copytree(LIBRARY / "files", self._folder / "lib")
        shutil.copy(SCRIPT, self._folder)
        (self._folder / "package.json").write_text('{"type": "module"}')

    def read(self, paths: Sequence[Path], geometry: Geometry, seconds: float | None = None) -> list[dict[str, Any]]:
        """What it says of each film; `levels` is the film at this geometry."""
        command = [self._node, str(self._folder / SCRIPT.name), json.dumps(asdict(geometry))]
        given = "".join(f"{path}\n" for path in paths)
        done = subprocess.run(command, input=given, capture_output=True, text=True, timeout=seconds)
        assert done.returncode == 0, done.stderr
        films = [json.loads(line) for line in done.stdout.splitlines()]
        assert len(films) == len(paths)
        for film in films:
            if "levels" in film:
                levels = np.frombuffer(base64.b64decode(film["levels"]), np.uint8)
                film["levels"] = levels.reshape(geometry.height, geometry.width)
        return films


def mutant(content: bytes, rng: np.random.Generator) -> bytes:
    """A film after one to four accidents: bytes changed, cut out or repeated, a number overwritten, the end lost.

    What a file is known by stays: most mutants would be no film at all else.
    """
    start = 132 if content[128:132] == b"DICM" else 8
    damaged = bytearray(content)
    for _ in range(rng.integers(1, 5)):
        size = len(damaged) - start
        if size < 2:
            break
        # headers decide more than pixels: half of all accidents happen there
        place = start + int(rng.integers(0, min(size, 2000) if rng.random() < 0.5 else size))
        match rng.integers(0, 6):
            case 0 | 1:
                damaged[place] ^= 1 << int(rng.integers(0, 8))
            case 2:
                number = (b"\0\0\0\0", b"\xff\xff\xff\xff", b"\0\x80", b"\xfe\xff\xdd\xe0")[rng.integers(0, 4)]
                damaged[place : place + len(number)] = number
            case 3:
                del damaged[place : place + int(rng.integers(1, 64))]
            case 4:
                damaged[place:place] = damaged[place : place + int(rng.integers(1, 64))]
            case _:
                if rng.random() < 0.2:
                    del damaged[place:]
    return bytes(damaged)
