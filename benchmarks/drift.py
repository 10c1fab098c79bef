"""The time of `hilum drift` on films that were judged already, as the whole process: compared, and watched one by one.

Films and baseline are numbers made up, of as many kinds as a bundle of several hospitals has; the bundle is any.

    python benchmarks/drift.py [BUNDLE] [COUNT]
"""

from __future__ import annotations

import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np

import hilum
from hilum.bundle.drift.baseline import DriftCard, fit_axes
from hilum.bundle.drift.fitting import fit_baseline
from hilum.bundle.drift.traits import Traits
from hilum.bundle.onnx_file import write_metadata
from hilum.evaluation.drift.judged import JudgedFilms, save_judged
from hilum.radiograph.patient import Patient

COUNT, KNOWN, SOURCES, FEATURES = 10_000, 2_000, 4, 1280


def made_up(random: np.random.Generator, films: int, columns: int) -> Traits:
    facts = (("about 2050 px", "1.00 times as wide as high", "12", "MONOCHROME2"),) * films
    adult: Patient = "adult"
    return Traits((adult,) * films, random.normal(size=(films, columns)).round(4), facts)


def main(bundle: str, count: int) -> None:
    random = np.random.default_rng(1)
    axes = fit_axes(random.normal(size=(600, FEATURES)).astype(np.float32))
    assert axes is not None
    columns = len(DriftCard.names_along(axes))
    sources = [f"hospital {number % SOURCES}" for number in range(KNOWN)]
    baseline = fit_baseline(made_up(random, KNOWN, columns), sources, axes)
    assert baseline is not None
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        model = hilum.load(bundle)
        local = folder / "local.onnx"
        local.write_bytes(write_metadata(model.path.read_bytes(), replace(model.card, drift=baseline)))
        digest = hilum.load(local).digest
        judged = JudgedFilms(tuple(f"{number}.dcm" for number in range(count)), made_up(random, count, columns))
        save_judged(judged, folder / "films.csv", digest, baseline)
        for name, more in (("compared", []), ("compared and watched", ["--state", str(folder / "state.json")])):
            command = [sys.executable, "-m", "hilum", "drift", str(local), str(folder / "films.csv"), "--json", *more]
            start = time.perf_counter()
            subprocess.run(command, check=False, stdout=subprocess.DEVNULL)
            wall = time.perf_counter() - start
            used = resource.getrusage(resource.RUSAGE_CHILDREN)
            print(f"{count:,} films {name}: {wall:.1f} s; so far {used.ru_utime + used.ru_stime:.1f} s of a processor")


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "default", int(sys.argv[2]) if len(sys.argv) > 2 else COUNT)
