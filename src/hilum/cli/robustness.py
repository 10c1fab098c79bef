"""`hilum robustness`: how far a bundle's answers hold when films come out otherwise."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hilum.cli.terminal.errors import one_line
from hilum.cli.terminal.extras import need
from hilum.cli.terminal.lines import answer, say
from hilum.cli.terminal.progress import report_stages


def robustness(
    model: Annotated[Path, typer.Argument(help="The bundle, or default, which ships.", metavar="MODEL")],
    films: Annotated[
        Path,
        typer.Argument(
            help="Films of known truth: a manifest, or a folder of films named by class.", metavar="MANIFEST|DIR"
        ),
    ],
    split: Annotated[
        str | None,
        typer.Option(
            help="The split to draw films from. If left out test, or every film of a folder in which none is set "
            "apart.",
            metavar="NAME",
        ),
    ] = None,
    count: Annotated[int, typer.Option("--films", help="How many films, drawn by chance.", min=2, metavar="N")] = 200,
    out: Annotated[
        Path | None,
        typer.Option("-o", "--out", help="Where the files go; evaluations/MODEL-SPLIT if left out.", metavar="DIR"),
    ] = None,
    seed: Annotated[int, typer.Option(help="Of the films drawn and of the bootstrap.", min=0, metavar="N")] = 1,
) -> None:
    """Change films as exposure, scanners, archives and askew patients do, and see whether the answers hold.

    Writes robustness.html for people, .png for papers, .csv and .json with every change at every strength.
    `hilum evaluate --robustness DIR` makes a section of them. 200 films take a quarter of an hour on two cores.
    """
    need("hilum robustness", "evaluate", "polars", "matplotlib", "cv2")
    from hilum.bundle.card import BundleError
    from hilum.dataset.manifest.manifest import ManifestError
    from hilum.dataset.sources import SourceError
    from hilum.evaluation.evaluate import check_folder
    from hilum.evaluation.robustness.report import robustness as change_films
    from hilum.measures.figure import EvaluationError

    with one_line(BundleError, ManifestError, SourceError, EvaluationError):
        if out is not None:
            check_folder(out)
        with report_stages() as on_progress:
            made = change_films(model, films, split=split, count=count, seed=seed, on_progress=on_progress)
        page = made.save(out or Path("evaluations") / made.name)
    answer(*made.sentences())
    say(f"report: {page}")
