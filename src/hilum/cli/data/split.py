"""`hilum data split`: which films to train on, to choose by, to judge on."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, NamedTuple, get_args

import typer

from hilum.cli.data.show import print_counts
from hilum.cli.terminal.errors import one_line
from hilum.cli.terminal.lines import say

if TYPE_CHECKING:
    from hilum.dataset.manifest.manifest import Manifest

Method = Literal["patient", "official", "random-by-image"]


def split(
    manifest: Annotated[Path, typer.Argument(help="The manifest to split.", metavar="MANIFEST")],
    out: Annotated[
        Path | None, typer.Option("-o", "--out", help="Where to write; MANIFEST itself if left out.", metavar="FILE")
    ] = None,
    ratios: Annotated[
        str | None,
        typer.Option(
            help="Shares, as in train=0.8,val=0.2. Left out: 0.85 and 0.15 beside an official test split, else 0.70, "
            "0.15 and 0.15 for test; more for val where thresholds need it.",
            metavar="NAME=SHARE,...",
        ),
    ] = None,
    folds: Annotated[
        int | None, typer.Option(help="So many folds of equal size instead of ratios.", min=2, metavar="N")
    ] = None,
    take: Annotated[
        str | None,
        typer.Option(
            help="Folds that the manifest has become these splits, the others train, as in val=fold1,test=fold0.",
            metavar="NAME=FOLD,...",
        ),
    ] = None,
    method: Annotated[
        Method,
        typer.Option(
            help="patient: films of a patient and films of the same pixels stay together. official: as the data set "
            "came. random-by-image: the 70/30 split of published notebooks, which leaks.",
            metavar="|".join(get_args(Method)),
        ),
    ] = "patient",
    audit: Annotated[
        Path | None,
        typer.Option(
            help="An audit of this manifest; its near duplicates and films shared by patients stay together too.",
            metavar="FILE",
        ),
    ] = None,
    seed: Annotated[
        int | None, typer.Option(help="Another seed deals the films out differently.", min=0, metavar="N")
    ] = None,
) -> None:
    """Split a data set by patient, labels balanced; an official test split is left alone.

    The same data set and seed give the same split on every machine and in any row order.
    """
    from hilum.dataset.audit.report import LINKED, ReportError, load_groups
    from hilum.dataset.manifest.manifest import ManifestError, load_manifest, save_manifest
    from hilum.dataset.split import SplitError, split_from_folds

    if folds is not None and ratios is not None:
        raise typer.BadParameter("give --ratios or --folds, not both")
    if method != "patient" and (folds, ratios, audit) != (None, None, None):
        raise typer.BadParameter(f"--method {method} takes neither --ratios, --folds nor --audit")
    if take is not None and (method, ratios, folds, audit, seed) != ("patient", None, None, None, None):
        raise typer.BadParameter("--take uses the folds as they are and goes with no other way to split")
    shares = _parse_ratios(ratios)
    with one_line(ManifestError, SplitError, ReportError):
        loaded = load_manifest(manifest)
        found = load_groups(loaded, audit) if audit else {}
        together = [group for kind in LINKED for group in found.get(kind, [])]
        if take is not None:
            made, notices = split_from_folds(loaded, _parse_folds(take))
        else:
            made, notices = _split(loaded, SplitBy(method, shares, folds, seed), together)
        save_manifest(made, out or manifest)
    print_counts(made)
    for notice in notices:
        say(notice)
    say(f"written to {out or manifest}")


class SplitBy(NamedTuple):
    """How the films are dealt out; None is the method's own choice."""

    method: Method
    ratios: dict[str, float] | None
    folds: int | None
    seed: int | None


def _split(manifest: Manifest, by: SplitBy, together: list[list[str]]) -> tuple[Manifest, list[str]]:
    from hilum.dataset.split import split_as_published, split_by_image, split_by_patient, split_into_folds

    if by.method == "official":
        return split_as_published(manifest)
    if by.method == "random-by-image":
        return split_by_image(manifest, **({} if by.seed is None else {"seed": by.seed}))
    seed = 1 if by.seed is None else by.seed
    if by.folds is not None:
        return split_into_folds(manifest, by.folds, seed=seed, together=together)
    return split_by_patient(manifest, by.ratios, seed=seed, together=together)


def _parse_folds(text: str) -> dict[str, str]:
    pairs = [part.strip().partition("=") for part in text.split(",")]
    if not all(name and fold for name, _, fold in pairs):
        raise typer.BadParameter(f"--take {text}: write it as val=fold1,test=fold0")
    return {fold: name for name, _, fold in pairs}


def _parse_ratios(text: str | None) -> dict[str, float] | None:
    if text is None:
        return None
    ratios: dict[str, float] = {}
    for part in text.split(","):
        name, equals, share = part.strip().partition("=")
        try:
            ratios[name] = float(share)
        except ValueError:
            equals = ""
        if not (name.isidentifier() and equals):
            raise typer.BadParameter(f"--ratios {part.strip()}: write them as train=0.8,val=0.2")
    return ratios
