"""What a bundle needs of a data set and a recipe, so that a run without a hope of one is refused before it trains."""

from __future__ import annotations

from importlib.util import find_spec

import numpy as np
import polars as pl

from hilum.bundle.card import BundleError, Card
from hilum.dataset.manifest.manifest import Manifest
from hilum.dataset.manifest.side import side_of_film
from hilum.export.calibrate import check_enough
from hilum.export.material import positive_classes
from hilum.measures.films.thresholds import FEWEST
from hilum.training.recipe import Recipe

INSTEAD = "or train without a bundle: --no-bundle, in Python bundle=False"


def check_requirements(manifest: Manifest, recipe: Recipe, start: Card | None = None, instead: str = INSTEAD) -> None:
    """Raises BundleError for whatever already keeps a run of this recipe on these films from ending in a bundle.

    `start` is the card of the bundle that it goes on from; `instead` what else may be done.
    """
    if find_spec("onnxscript") is None:
        raise BundleError(f"no bundle can be made, since onnxscript is not installed; install it, {instead}")
    try:
        _check_films(manifest, recipe, start)
    except BundleError as error:
        raise BundleError(f"this run cannot end in a bundle: {error}; {instead}") from None


def _check_films(manifest: Manifest, recipe: Recipe, start: Card | None) -> None:
    positive = positive_classes(manifest, recipe)
    named = {label for labels in recipe.classes.values() for label in labels}
    val = manifest.table.filter(
        side_of_film().eq("val") & pl.col("file_digest").is_not_null() & pl.col("label").is_in(named)
    )
    # A label may stand in classes of both kinds; its films take no part in calibration.
    kinds = [{name in positive for name, labels in recipe.classes.items() if label in labels} for label in val["label"]]
    check_enough(np.array([True in kind for kind in kinds if len(kind) == 1], bool))
    boxes = int(val["boxes"].list.len().sum() or 0)
    known = start is not None and start.boxes is not None
    if recipe.detector is not None and boxes < FEWEST and not known:
        raise BundleError(
            f"validation has {boxes:,} true boxes, and a threshold for boxes needs at least {FEWEST}; "
            "split the data set again with more films for validation"
        )
