"""Real pictures for the gate to turn away, by the manifest that names them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import polars as pl
from numpy.typing import NDArray

from hilum.bundle.card import BundleError
from hilum.dataset.manifest.manifest import Manifest
from hilum.dataset.store.store import build_store
from hilum.radiograph.geometry import Geometry
from hilum.radiograph.radiograph import LATERAL_VIEWS

FRONTAL_VIEWS = ("AP", "PA")
Films = NDArray[np.uint8]


def laterals_and_others(
    manifest: Manifest, geometry: Geometry, on_progress: Callable[[int, int], None]
) -> tuple[Films, Films]:
    """The films whose view is lateral, and all other pictures, at this geometry."""
    view = pl.col("view").str.to_uppercase()
    frontal = manifest.table.filter(view.is_in(FRONTAL_VIEWS))
    if len(frontal):
        raise BundleError(
            f"{frontal['path'][0]}: is a frontal film by its view ({frontal['view'][0]}), and the gate would learn to "
            f"turn such films away; leave out the {len(frontal):,} that are"
        )
    store = build_store(manifest, geometry, on_progress=on_progress)
    lateral = view.is_in(list(LATERAL_VIEWS)).fill_null(value=False)
    of_laterals, of_others = (manifest.table.filter(kept)["file_digest"].to_list() for kept in (lateral, ~lateral))
    return store.pixels[store.rows(of_laterals)], store.pixels[store.rows(of_others)]
