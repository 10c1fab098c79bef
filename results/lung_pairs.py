"""The whole films of the RSNA challenge that have a copy with all but the lungs black, and these copies: one manifest.

    python results/lung_pairs.py FILMS.parquet PAIRS.parquet

FILMS.parquet is what results/hilum_data.py writes; splits stay as they are there. Then
`hilum train PAIRS.parquet --recipe lungs` and `hilum evaluate RUN/model.onnx PAIRS.parquet`.
"""

from __future__ import annotations

import sys
from pathlib import Path

import polars as pl

from hilum.dataset.manifest.manifest import Manifest, load_manifest, save_manifest


def main() -> None:
    manifest = load_manifest(Path(sys.argv[1]))
    copies = manifest.table.filter(pl.col("source") == "rsna-lungs")
    whole = manifest.table.filter((pl.col("source") == "rsna") & pl.col("study").is_in(copies["study"].to_list()))
    copies = copies.filter(pl.col("study").is_in(whole["study"].to_list()))
    save_manifest(Manifest(pl.concat([whole, copies]), manifest.folder), Path(sys.argv[2]))


if __name__ == "__main__":
    main()
