"""Damaged films through the page's reader, thousands of them: python tests/fuzz_page.py [FILMS] [SEED].

Each has to become a film or a reason within seconds. Those that do not are kept under fuzz-page/.
"""

from __future__ import annotations

import sys
import tempfile
from collections import Counter
from pathlib import Path

import numpy as np
from mutation import seed_films
from page_reader import PageReader, mutant

import hilum
from hilum.radiograph.geometry import Geometry

AT_ONCE = 100
SECONDS = 300  # for all of these; a reader that hangs never ends
SLOW = 5000  # milliseconds


def main(films: int, seed: int) -> int:
    """How many films ended in anything but a film or a reason, or took too long."""
    rng = np.random.default_rng(seed)
    seeds = seed_films()
    outcomes: Counter[str] = Counter()
    kept = Path("fuzz-page")
    with tempfile.TemporaryDirectory() as folder:
        reader = PageReader(Path(folder))
        for first in range(0, films, AT_ONCE):
            paths = []
            for number in range(first, min(first + AT_ONCE, films)):
                path = Path(folder) / str(number)
                path.write_bytes(mutant(seeds[number % len(seeds)], rng))
                paths.append(path)
            try:
                found = reader.read(paths, Geometry("squash", 256, 256), SECONDS)
            except Exception as error:  # a crash or a hang: all of these are kept, one of them did it
                kept.mkdir(exist_ok=True)
                for path in paths:
                    path.rename(kept / path.name)
                print(f"films {first} to {number}: {str(error)[:300]}")
                outcomes["crash"] += 1
                continue
            for path, film in zip(paths, found, strict=True):
                known = "levels" in film or film["reason"] in set(hilum.Reason)
                slow = film["ms"] > SLOW
                outcomes["film" if "levels" in film else film["reason"]] += 1
                outcomes["slow"] += slow
                if slow or not known:
                    kept.mkdir(exist_ok=True)
                    path.rename(kept / path.name)
                else:
                    path.unlink()
            print(f"{first + len(paths)}: {dict(outcomes)}", flush=True)
    return outcomes["crash"] + outcomes["slow"]


if __name__ == "__main__":
    given = [int(number) for number in sys.argv[1:]]
    sys.exit(bool(main(*(given + [5000, 1][len(given) :]))))
