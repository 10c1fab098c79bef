"""Films made up of numbers alone: traits of one kind, as many as a test likes; and films of noise, which files hold."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from bundles import tiny_bundle
from films import picture
from PIL import Image

import hilum
from hilum.bundle.drift.baseline import ANSWERS, Axes, DriftCard, Floats, fit_axes
from hilum.bundle.drift.fitting import fit_baseline, local_baseline
from hilum.bundle.drift.grays import GRAYS
from hilum.bundle.drift.traits import Traits
from hilum.bundle.reading import Reading
from hilum.radiograph.patient import Patient


def made_axes(seed: int = 0) -> Axes:
    """Two axes in four features."""
    axes = fit_axes(np.random.default_rng(seed).normal(size=(20, 4)).astype(np.float32))
    assert axes is not None
    return axes


NUMBERS = 3 + len(ANSWERS) + len(GRAYS)


def some_films(
    random: np.random.Generator,
    films: int,
    shift: float = 0.0,
    patient: Patient | None = None,
    sides: Sequence[int] = (512, 1024, 2048),
) -> Traits:
    """Numbers that hang together, the more so the nearer they stand; `shift` moves them all."""
    steps = random.normal(size=(films, NUMBERS))
    numbers: Floats = np.exp(0.5 * np.cumsum(steps, 1)) + shift
    chosen = random.choice(len(sides), films, p=np.arange(1, len(sides) + 1) / sum(range(1, len(sides) + 1)))
    facts = tuple((f"about {sides[place]} px", "1.00 times as wide as high", "8", "L") for place in chosen)
    return Traits((patient,) * films, numbers, facts)


def joined(*parts: Traits) -> Traits:
    return Traits(
        tuple(patient for part in parts for patient in part.patients),
        np.concatenate([part.numbers for part in parts]),
        tuple(facts for part in parts for facts in part.facts),
    )


def made_baseline(random: np.random.Generator, films: int, *, sources: int = 1) -> DriftCard:
    """Of one kind, or of several, each moved by its number."""
    parts = [some_films(random, films, 3.0 * number) for number in range(sources)]
    names = [f"source {number}" for number in range(sources) for _ in range(films)]
    made = fit_baseline(joined(*parts), names, made_axes())
    assert made is not None
    return made


def write_noise(folder: Path, films: int, seed: int, darker: float = 0.0, side: int = 64) -> list[Path]:
    """Noise around a grey level of each film's own."""
    random = np.random.default_rng(seed)
    folder.mkdir(parents=True)
    for number in range(films):
        level = float(np.clip(random.normal(0.4, 0.05) - darker, 0, 1))
        noise = np.clip(random.normal(level, random.uniform(0.05, 0.15), (side, side)), 0, 1)
        (folder / f"film-{number:03}.png").write_bytes(picture(Image.fromarray((noise * 255).astype(np.uint8)), "PNG"))
    return sorted(folder.iterdir())


def bundle_of_noise(folder: Path) -> Path:
    """A bundle whose baseline are such films."""
    films = write_noise(folder / "known", 120, 1)
    plain = hilum.load(tiny_bundle(folder))
    readings = [reading for reading in plain.readings(films) if isinstance(reading, Reading)]
    return tiny_bundle(folder, drift=local_baseline(plain.card, readings))
