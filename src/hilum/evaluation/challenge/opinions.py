"""What several networks find on the films of a challenge, averaged into one submission."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from hilum.bundle.asked import Asked
from hilum.bundle.card import BundleError
from hilum.bundle.predictor import Predictor, load
from hilum.evaluation.challenge.submission import (
    FilmBoxes,
    SubmissionError,
    film_boxes,
    fuse_films,
    read_predictions,
    write_submission,
)
from hilum.measures.boxes import fusion
from hilum.measures.boxes.overlap import above
from hilum.radiograph import Radiograph, read

OnProgress = Callable[[str, int, int], None]
# Films of the challenge are chest films, and one that the gate turned away would lose its boxes. All boxes are asked
# for, because what one opinion holds for unlikely another may confirm.
EVERY_BOX = Asked(gate=False, heatmaps=False, box_threshold=0.0)


class Opinions(NamedTuple):
    """The boxes of each opinion on the same films, and the score from which on they count unless told otherwise."""

    sets: list[list[FilmBoxes]]
    threshold: float = 0.0


def opinions_of(
    bundles: Sequence[Path], films: Sequence[Path], mirror: bool = False, on_progress: OnProgress | None = None
) -> Opinions:
    """What each bundle finds on the films, and with `mirror` on their mirror images; their thresholds on average."""
    sets, thresholds = [], []
    for bundle in bundles:
        predictor = load(bundle)
        if predictor.card.boxes is None:
            raise BundleError(f"{bundle}: a {predictor.card.task} bundle draws no boxes; name a detection bundle")
        thresholds.append(predictor.card.boxes.threshold)
        doing = f"predicting with {bundle.name}"
        sets.append(list(_counted(_found(predictor, films), doing, len(films), on_progress)))
        if mirror:
            sets.append(_mirrored(predictor, films, sets[-1], on_progress))
    return Opinions(sets, float(np.mean(thresholds)))


def read_opinions(paths: Iterable[Path]) -> Opinions:
    """What `hilum predict --json` wrote, each file an opinion."""
    return Opinions([read_predictions(path) for path in paths])


def submit(opinions: Opinions, out: Path, threshold: float | None = None) -> list[FilmBoxes]:
    """Average the opinions, leave out what is below the threshold, and write the challenge's CSV."""
    fused = fuse_films(opinions.sets)
    if not fused:
        raise SubmissionError("no films found; give JPEG, PNG or DICOM files or folders that hold some")
    least = opinions.threshold if threshold is None else threshold
    films = [film._replace(found=above(film.found, least)) for film in fused]
    write_submission(films, out)
    return films


def _found(predictor: Predictor, films: Iterable[Path | Radiograph]) -> Iterator[FilmBoxes]:
    return (film_boxes(prediction.to_dict()) for prediction in predictor.stream(films, EVERY_BOX))


def _mirrored(
    predictor: Predictor, films: Sequence[Path], plain: list[FilmBoxes], on_progress: OnProgress | None
) -> list[FilmBoxes]:
    """What is found on the mirror images, mirrored back. What could not be read as it is is not read again."""
    readable = [film for film, seen in zip(films, plain, strict=True) if seen.error is None]
    images = (_mirror_image(read(film)) for film in readable)
    found = _counted(_found(predictor, images), "predicting mirror images", len(readable), on_progress)
    return [seen if seen.error is not None else seen._replace(found=fusion.mirror(next(found).found)) for seen in plain]


def _mirror_image(radiograph: Radiograph) -> Radiograph:
    return replace(radiograph, pixels=np.ascontiguousarray(radiograph.pixels[:, ::-1]))


def _counted(found: Iterator[FilmBoxes], doing: str, total: int, on_progress: OnProgress | None) -> Iterator[FilmBoxes]:
    for done, film in enumerate(found, start=1):
        yield film
        if on_progress:
            on_progress(doing, done, total)
