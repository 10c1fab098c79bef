"""`hilum data doubt`: labels that may be wrong, found before anyone trains on them or believes a figure."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hilum.cli.terminal.errors import one_line
from hilum.cli.terminal.extras import need
from hilum.cli.terminal.lines import say
from hilum.cli.terminal.progress import report_stages
from hilum.cli.terminal.table import print_table

COLUMNS = ("score", "label", "suggested", "path", "reason")
SHOWN = 10


def doubt(
    manifest: Annotated[Path, typer.Argument(help="The manifest whose labels are doubted.", metavar="MANIFEST")],
    run: Annotated[
        Path | None,
        typer.Option(
            help="Folds of these films (`hilum train --folds`): each film is judged by the network that never saw it.",
            metavar="RUN",
        ),
    ] = None,
    bundle: Annotated[
        Path | None,
        typer.Option(
            help="A bundle, or default, to judge by; films that it was trained or calibrated on are left out.",
            metavar="MODEL",
        ),
    ] = None,
    csv: Annotated[
        Path | None,
        typer.Option("--csv", help="Write all suspects, the worst first, for `hilum label`.", metavar="FILE"),
    ] = None,
    html: Annotated[Path | None, typer.Option(help="Write a page with pictures of them.", metavar="FILE")] = None,
    seed: Annotated[int, typer.Option(help="Of the bootstrap over patients.", min=0, metavar="N")] = 1,
) -> None:
    """Find labels that may be wrong, and estimate how many are.

    By the opinion of networks that never saw the films (confident learning), by copies of a film under different
    labels, and by boxes that contradict the label. Prints how many are wrong by estimate and the worst ten; nothing is
    changed: a reader says which label is right.
    """
    need("hilum data doubt", "doubt", "cleanlab", "matplotlib")
    from hilum.bundle.card import BundleError
    from hilum.dataset.manifest.manifest import ManifestError
    from hilum.dataset.store.store import StoreError
    from hilum.evaluation.doubt.doubt import HEADER
    from hilum.evaluation.doubt.doubt import doubt as doubt_labels
    from hilum.measures.figure import EvaluationError

    with one_line(BundleError, ManifestError, StoreError, EvaluationError):
        for target in (csv, html):
            if target is not None and not target.parent.is_dir():
                raise EvaluationError(f"{target.parent}: there is no such folder")
        with report_stages() as on_progress:
            doubts = doubt_labels(manifest, bundle=bundle, run=run, seed=seed, on_progress=on_progress)
        if csv is not None:
            doubts.save_csv(csv)
        if html is not None:
            doubts.save_page(html)
    if doubts.wrong:
        print_table(HEADER, doubts.summary())
    worst = [suspect.row() for suspect in doubts.suspects[:SHOWN]]
    if worst:
        print_table(COLUMNS, [[f"{row['score']:.2f}", *(row[name] for name in COLUMNS[1:])] for row in worst])
    for note in doubts.notes:
        say(f"note: {note}")
    films = f"{len(doubts.suspects):,} films" if len(doubts.suspects) != 1 else "1 film"
    say(f"{films} in doubt, by {doubts.origin}")
    for what, written in (("suspects", csv), ("page", html)):
        if written is not None:
            say(f"{what} written to {written}")
