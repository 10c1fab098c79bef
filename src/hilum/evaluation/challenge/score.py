"""A submission scored against what a manifest knows to be true."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

from hilum.dataset.manifest.manifest import load_manifest
from hilum.evaluation.challenge.submission import read_submission
from hilum.evaluation.challenge.truth import join_manifest
from hilum.measures.boxes.figures import box_figures
from hilum.measures.figure import Figure


class Score(NamedTuple):
    """The challenge's metric and others with their intervals, of how many films and boxes, and what was left out."""

    counts: dict[str, int]
    figures: dict[str, Figure]
    notices: list[str]

    def to_dict(self) -> dict[str, Any]:
        """Counts and figures as plain data."""
        return {**self.counts, **{name: figure.describe() for name, figure in self.figures.items()}}


def score_submission(submission: Path, manifest: Path, split: str | None = None) -> Score:
    """Score every film of the manifest, or of one split, whose boxes are known.

    Raises SubmissionError where the submission lacks one of them or does not fit, and ManifestError.
    """
    judged = join_manifest(read_submission(submission), submission, load_manifest(manifest), split)
    counts = {
        "films": len(judged.truths),
        "true_boxes": sum(map(len, judged.truths)),
        "predicted_boxes": sum(len(found.scores) for found in judged.found),
    }
    return Score(counts, box_figures(judged.truths, judged.found, judged.patients), judged.notices)
