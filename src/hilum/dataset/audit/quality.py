"""Films of extremely bad quality, or that are no chest films at all: suggestions, to be looked at."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from hilum.dataset.audit.films import AuditedFilms
from hilum.dataset.audit.finding import Finding, counted, named
from hilum.dataset.audit.fingerprint import PRINT_SIDE

Floats = NDArray[np.float32]

# In grey levels of 256 and in shares of the picture; of 16,000 real films each names a handful.
BLANK_SPREAD = 10.0
WHITE, WHITE_SHARE = 250, 0.2
BLACK, BLACK_SHARE = 5, 0.5
# An unusual film is this many times the usual scatter less like its likest films than others are.
UNUSUAL, LIKEST, COMPARED = 6.0, 5, 4000
MOST_SHOWN = 24
# How much better than as it is a film agrees with the typical one when turned, and how well at least.
TURNED_GAIN, TURNED_AGREEMENT = 0.38, 0.35
FEWEST_FILMS = 40
TURNS: dict[str, Callable[[Floats], Floats]] = {
    "turned by 90 degrees": lambda films: np.rot90(films, 1, (1, 2)),
    "upside down": lambda films: films[:, ::-1],
    "turned by 270 degrees": lambda films: np.rot90(films, 3, (1, 2)),
    "inverted": lambda films: -films,
}


def find_bad_exposure(films: AuditedFilms) -> list[Finding]:
    """Films that show too little: nearly blank, washed out, mostly black."""
    # Film by film: temporary arrays of a whole set would take many times its memory.
    spread = np.array([film.std() for film in films.small])
    white = np.array([np.count_nonzero(film >= WHITE) / film.size for film in films.small])
    black = np.array([np.count_nonzero(film <= BLACK) / film.size for film in films.small])
    kinds = (
        ("nearly_blank", spread < BLANK_SPREAD, "nearly blank"),
        ("washed_out", white > WHITE_SHARE, f"white over {WHITE_SHARE:.0%} of the picture or more"),
        (
            "mostly_black",
            black > BLACK_SHARE,
            f"black over {BLACK_SHARE:.0%} of the picture or more",
        ),
    )
    return [
        _suggestion(
            films,
            kind,
            np.flatnonzero(bad),
            f"{{}} {what}.",
            "Look whether the lungs can be judged; if not, drop them.",
        )
        for kind, bad, what in kinds
        if bad.any()
    ]


def find_unusual(films: AuditedFilms) -> list[Finding]:
    """Films unlike even the films they are likest to: other body parts, strange projections, an inverted scale."""
    if len(films.structure) < FEWEST_FILMS:
        return []
    distance = _scatter_from_likest(films.structure)
    most = min(MOST_SHOWN, max(1, len(distance) // 100))
    worst = np.argsort(-distance, kind="stable")[:most]
    worst = worst[distance[worst] > UNUSUAL]
    if not len(worst):
        return []
    figures = {films.paths[films.first_film(place)]: round(float(distance[place]), 1) for place in worst.tolist()}
    advice = "Look whether they are frontal chest films; if not, drop them."
    finding = _suggestion(films, "far_from_others", worst, "{} unlike all others.", advice)
    return [replace(finding, figures={"times_usual_scatter": figures})]


def find_turned(films: AuditedFilms) -> list[Finding]:
    """Films that resemble the others more when turned, upside down or inverted."""
    if len(films.structure) < FEWEST_FILMS:
        return []
    pictures = _standardized(films.structure).reshape(-1, PRINT_SIDE, PRINT_SIDE)
    typical = _standardized(np.median(films.structure, axis=0, keepdims=True)).reshape(PRINT_SIDE, PRINT_SIDE)
    upright = (pictures * typical).mean((1, 2))
    turned = {name: (turn(pictures) * typical).mean((1, 2)) for name, turn in TURNS.items()}
    names = np.array(list(turned))
    agreements = np.stack(list(turned.values()))
    best = agreements.max(0)
    found = np.flatnonzero((best >= TURNED_AGREEMENT) & (best - upright >= TURNED_GAIN))
    if not len(found):
        return []
    how = {films.paths[films.first_film(place)]: str(names[agreements[:, place].argmax()]) for place in found.tolist()}
    finding = _suggestion(films, "turned", found, "{} turned or inverted.", "Look at them; turn or drop them.")
    return [replace(finding, figures={"how": how})]


def _scatter_from_likest(structure: Floats) -> NDArray[np.float64]:
    """How far each film's likeness to its likest films falls below what is usual, in units of the usual scatter."""
    unit = _standardized(structure) / np.float32(np.sqrt(structure.shape[1]))
    others = np.unique(np.linspace(0, len(unit) - 1, COMPARED).round().astype(np.int64))
    place_of = np.full(len(unit), -1)
    place_of[others] = np.arange(len(others))
    likeness = np.empty(len(unit))
    for start in range(0, len(unit), 1024):
        products = unit[start : start + 1024] @ unit[others].T
        own = place_of[start : start + len(products)]
        products[np.flatnonzero(own >= 0), own[own >= 0]] = -1
        likeness[start : start + len(products)] = np.partition(products, -LIKEST, axis=1)[:, -LIKEST:].mean(1)
    usual = np.median(likeness)
    scatter = 1.4826 * np.median(np.abs(likeness - usual))
    return np.asarray((usual - likeness) / max(float(scatter), 1e-3))


def _standardized(rows: Floats) -> Floats:
    centered = rows - rows.mean(1, keepdims=True)
    return np.asarray(centered / np.maximum(centered.std(1, keepdims=True), 1e-6), np.float32)


def _suggestion(films: AuditedFilms, kind: str, pictures: NDArray[np.int64], sentence: str, advice: str) -> Finding:
    rows = np.flatnonzero(np.isin(films.picture, pictures)).tolist()
    are = counted(len(rows), "film is", "films are")
    return Finding(
        kind,
        "suggestion",
        len(rows),
        sentence.format(are),
        advice,
        named(films.paths, [[row] for row in rows]),
    )
