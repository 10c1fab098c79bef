"""What a bundle makes of films, as far as it says which to read first; kept with the readings."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from hilum.bundle.prediction import Answered
from hilum.bundle.predictor import Predictor
from hilum.dataset.manifest.csv_table import read_csv
from hilum.evaluation.drift.drift import far_films, measure_drift
from hilum.evaluation.drift.judged import baseline_of, judge_films, load_judged, save_judged
from hilum.label.films import FilmSet, RoomError
from hilum.system.rows import RowFile, csv_text

KEPT, KEPT_DRIFT = "judged-{digest}.csv", "drift-{digest}.csv"
DIGITS = 12
OnProgress = Callable[[int, int], None]


def uncertainty(predictor: Predictor, films: FilmSet, out: Path, on_progress: OnProgress) -> dict[int, float]:
    """How near to 0.5 the probability of each film is that the bundle answers for. Killed, it goes on where it was."""
    path = out / KEPT.format(digest=predictor.digest[:DIGITS])
    found = _kept(path)
    left = [film for film in films.paths if film not in found]
    with path.open("ab", buffering=0) as file:
        rows = RowFile(file.fileno(), str(path))
        if not path.stat().st_size:
            rows.write(csv_text([("film", "probability")]))
        predictions = predictor.stream(films.folder / film for film in left)
        for film, prediction in zip(left, predictions, strict=True):
            found[film] = prediction.probability if isinstance(prediction, Answered) else None
            rows.write(csv_text([(film, found[film])]))
            on_progress(len(found), len(films.paths))
    probabilities = [found.get(film) for film in films.paths]
    return {film: -abs(value - 0.5) for film, value in enumerate(probabilities) if value is not None}


def distance(predictor: Predictor, films: FilmSet, out: Path, on_progress: OnProgress) -> dict[int, float]:
    """How far each film is from those that the bundle was fitted to, as `hilum drift` measures it."""
    path = out / KEPT_DRIFT.format(digest=predictor.digest[:DIGITS])
    baseline = baseline_of(predictor.card, predictor.path)
    places = {str(films.path(film)): film for film in range(len(films.paths))}
    judged = load_judged(path, predictor.digest, baseline) if path.exists() else None
    if judged is None or set(judged.paths) - set(places) or len(judged.paths) + len(judged.failures) < len(places):
        judged = judge_films(predictor, [Path(film) for film in places], on_progress)
        save_judged(judged, path, predictor.digest, baseline)
    drift = measure_drift(predictor.card, predictor.digest, predictor.path.name, films.source.name, judged)
    far = far_films(judged, baseline, drift.comparison, len(judged.paths))
    return {places[judged.paths[film.row]]: film.distance for film in far}


def _kept(path: Path) -> dict[str, float | None]:
    if not path.exists():
        return {}
    rows = read_csv(path, RoomError).rows
    return {film: float(probability) if probability else None for film, probability in rows}
