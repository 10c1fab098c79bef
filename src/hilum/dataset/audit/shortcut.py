"""Whether the classes can be told apart without looking at the lungs: a network would learn that instead."""

from __future__ import annotations

import math
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray

from hilum.dataset.audit.films import AuditedFilms
from hilum.dataset.audit.finding import Finding, counted, named
from hilum.dataset.audit.jpeg_quality import jpeg_quality

FEWEST_FILMS, FEWEST_PATIENTS = 40, 10
TELLING = 0.65
FOLDS = 5
CONTENT = "bytes a pixel"
DARK = 12  # grey levels that count as border
Floats = NDArray[np.float64]


def find_shortcuts(films: AuditedFilms) -> list[Finding]:
    """How well color mode, file and view alone tell the classes apart."""
    table = films.table
    known = np.flatnonzero(table["pneumonia"].is_not_null().to_numpy() & (films.picture >= 0))
    sick = np.array([bool(value) for value in table["pneumonia"].gather(known).to_list()])
    patients = np.array(table["patient"].gather(known).to_list())
    fewest = min((len(np.unique(patients[sick == side])) for side in (False, True)), default=0)
    if len(known) < FEWEST_FILMS or fewest < FEWEST_PATIENTS:
        return [
            Finding(
                "shortcut_not_measured",
                "note",
                len(known),
                f"Whether the files alone give the classes away was not measured: that takes {FEWEST_FILMS} films and "
                f"{FEWEST_PATIENTS} patients of each class.",
            )
        ]
    findings = _telling_modes(films, known, sick)
    columns = _features(films, known)
    columns = {name: values for name, values in columns.items() if len(np.unique(values[~np.isnan(values)])) > 1}
    if columns:
        findings.append(_files_alone(films, columns, sick, patients))
    views = [view or "unknown" for view in table["view"].gather(known).to_list()]
    if len(set(views)) > 1:
        findings.append(_view_alone(views, sick))
    return findings


def _features(films: AuditedFilms, known: NDArray[np.int64]) -> dict[str, Floats]:
    """What can be known of each film's file and frame; NaN where it cannot."""
    table = films.table[known]
    width, height = table["width"].cast(float).to_numpy(), table["height"].cast(float).to_numpy()
    area = np.maximum(width * height, 1)
    with ThreadPoolExecutor(4) as executor:
        jpegs = [
            films.manifest.path(path) if kind == "jpeg" else None
            for path, kind in zip(table["path"].to_list(), table["format"].to_list(), strict=True)
        ]
        qualities = list(executor.map(lambda path: jpeg_quality(path) if path else None, jpegs))
    return {
        "color mode": _rates(table["mode"].to_list()),
        "encoding": _rates(table["encoding"].to_list()),
        "bits": table["bits"].cast(float).to_numpy(),
        "width": width,
        "height": height,
        "aspect ratio": width / np.maximum(height, 1),
        CONTENT: table["file_bytes"].cast(float).to_numpy() / area,
        "JPEG quality": np.array([math.nan if quality is None else quality for quality in qualities]),
        "black border": border_shares(films.small)[films.picture[known]],
    }


def _rates(words: list[str | None]) -> Floats:
    """Words as numbers: how frequent each is among the films."""
    frequency = Counter(words)
    order = {word: rank for rank, word in enumerate(sorted(frequency, key=lambda word: (-frequency[word], word or "")))}
    return np.array([float(order[word]) for word in words])


def border_shares(small: NDArray[np.uint8]) -> Floats:
    """The share of each picture that is black margin: `small` are grey levels, films x rows x columns."""
    shares = np.empty(len(small))
    for place, film in enumerate(small):
        rows, columns = np.flatnonzero(film.max(1) > DARK), np.flatnonzero(film.max(0) > DARK)
        inside = (rows[-1] - rows[0] + 1) * (columns[-1] - columns[0] + 1) if len(rows) and len(columns) else 0
        shares[place] = 1 - inside / film.size
    return shares


def _files_alone(
    films: AuditedFilms, columns: dict[str, Floats], sick: NDArray[np.bool_], patients: NDArray[np.str_]
) -> Finding:
    # The bytes that a film takes at one quality follow its content too (haze takes fewer), so what tells only with them
    # may lie in the lungs after all.
    without = {name: values for name, values in columns.items() if name != CONTENT}
    auc, auc_without = _cross_validated(columns, sick, patients), _cross_validated(without, sick, patients)
    error = _standard_error(auc, int(sick.sum()), int((~sick).sum()))
    alone = {name: _auc_alone(values, sick) for name, values in columns.items()}
    alone = dict(sorted(alone.items(), key=lambda item: -item[1]))
    figures = {
        "auc": round(auc, 3),
        "standard_error": round(error, 3),
        "auc_without_bytes": round(auc_without, 3),
        "auc_of_each": alone,
    }
    best = ", ".join(f"{name} alone {value:.2f}" for name, value in list(alone.items())[:3])
    measured = f"AUC {auc:.2f} ± {error:.2f} over {counted(len(sick), 'film')}"
    if auc < TELLING or auc - 2 * error <= 0.5:
        sentence = f"The files alone hardly tell pneumonia from none: {measured}."
        if auc < 0.5:
            sentence = (
                f"The files alone do not tell pneumonia from none: {measured}. Below one half, what was learned from "
                "some patients was the other way round in the others; that is the way of chance, and no rule a network "
                "could use."
            )
        return Finding("metadata_shortcut", "note", len(sick), sentence, figures=figures)
    if auc_without < TELLING:
        return Finding(
            "metadata_shortcut",
            "suggestion",
            len(sick),
            f"The size of the files tells pneumonia from none: {measured}, {auc_without:.2f} without it.",
            "Find out whether the classes were encoded otherwise; sharpness and haze change the size as well.",
            figures=figures,
        )
    return Finding(
        "metadata_shortcut",
        "warning",
        len(sick),
        f"The files tell pneumonia from none without a look at the lungs: {measured} ({best}).",
        "A network can learn this instead. Make the films alike (size, encoding, border), and judge on films from "
        "elsewhere.",
        figures=figures,
    )


def _cross_validated(columns: dict[str, Floats], sick: NDArray[np.bool_], patients: NDArray[np.str_]) -> float:
    """The AUC of a small forest on films of patients that it was not shown."""
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.metrics import roc_auc_score
    from sklearn.model_selection import StratifiedGroupKFold, cross_val_predict

    if not columns:
        return 0.5
    trees = RandomForestClassifier(50, min_samples_leaf=max(3, len(sick) // 100), random_state=0)
    folds = StratifiedGroupKFold(FOLDS)
    matrix = np.column_stack(list(columns.values()))
    scores = cross_val_predict(trees, matrix, sick, groups=patients, cv=folds, method="predict_proba")[:, 1]
    return float(roc_auc_score(sick, scores))


def _telling_modes(films: AuditedFilms, known: NDArray[np.int64], sick: NDArray[np.bool_]) -> list[Finding]:
    """Color modes that only films of one class have."""
    modes = np.array([mode or "" for mode in films.table["mode"].gather(known).to_list()])
    found, chances, rows = [], {}, []
    for mode in np.unique(modes[modes != ""]).tolist():
        having = sick[modes == mode]
        if 2 <= len(having) < len(sick) and having.all() == having.any():
            same = int((sick == having[0]).sum())
            chances[mode] = math.comb(same, len(having)) / math.comb(len(sick), len(having))
            side = "pneumonia" if having[0] else "no pneumonia"
            found.append(
                f"{counted(len(having), 'film')} of color mode {mode}, all {side} (chance {chances[mode]:.2g})"
            )
            rows += known[modes == mode].tolist()
    if not found:
        return []
    return [
        Finding(
            "mode_of_one_class",
            "warning" if min(chances.values()) < 0.05 else "suggestion",
            len(rows),
            f"Of {counted(len(sick), 'film')} there are {' and '.join(found)}.",
            "Make all films grey before training, as hilum does; mistrust a network that was trained otherwise.",
            named(films.paths, [[row] for row in rows]),
            {"chance": chances},
        )
    ]


def _view_alone(views: list[str], sick: NDArray[np.bool_]) -> Finding:
    shares = {
        view: float(np.mean([s for v, s in zip(views, sick, strict=True) if v == view])) for view in sorted(set(views))
    }
    auc = _auc_alone(np.array([shares[view] for view in views]), sick)
    by_view = ", ".join(f"{view} {share:.0%}" for view, share in shares.items())
    if auc < TELLING:
        sentence = f"The view alone hardly tells pneumonia from none: AUC {auc:.2f} (share of pneumonia: {by_view})."
    else:
        sentence = (
            f"The view alone tells pneumonia from none with an AUC of {auc:.2f} (share of pneumonia: {by_view}): "
            "sicker patients are filmed lying down."
        )
    return Finding(
        "view_tells",
        "note",
        len(views),
        sentence,
        "Report figures for each view as well.",
        figures={"auc": auc, "share_of_pneumonia": shares},
    )


def _auc_alone(values: Floats, sick: NDArray[np.bool_]) -> float:
    """The AUC of one number, whichever way round it tells more; the films that lack it are left out."""
    from sklearn.metrics import roc_auc_score

    there = ~np.isnan(values)
    if len(np.unique(sick[there])) < 2:
        return 0.5
    auc = float(roc_auc_score(sick[there], values[there]))
    return round(max(auc, 1 - auc), 3)


def _standard_error(auc: float, positives: int, negatives: int) -> float:
    """Of an AUC (Hanley and McNeil 1982)."""
    q1, q2 = auc / (2 - auc), 2 * auc**2 / (1 + auc)
    variance = auc * (1 - auc) + (positives - 1) * (q1 - auc**2) + (negatives - 1) * (q2 - auc**2)
    return math.sqrt(max(variance, 0) / (positives * negatives))
