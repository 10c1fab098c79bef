"""`hilum.robustness`: how far a bundle's answers hold. `hilum robustness` calls it and prints what comes."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

from hilum.bundle.prediction import RESEARCH_USE
from hilum.bundle.predictor import Predictor, load
from hilum.evaluation.data_set import open_data_set
from hilum.evaluation.evaluate import check_folder
from hilum.evaluation.robustness.plot import draw
from hilum.evaluation.robustness.robustness import FILMS, Drawn, Robustness, measure_robustness
from hilum.evaluation.robustness.saved import as_plain, save_robustness
from hilum.evaluation.robustness.section import HEADER, answer, worst_rows
from hilum.measures.bootstrap import SEED
from hilum.system.notebook import html_table

OnProgress = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True, eq=False)
class RobustnessReport:
    """What changed films make of a bundle's answers: `made` has the films as they are and every change.

    In a notebook it shows the worst of each change and the plot; `to_dict` gives all of it, `rows` one row a change and
    strength, and `save` writes the page and its files.

    >>> report = hilum.robustness("model.onnx", "films/manifest.parquet", split="all", count=12)
    >>> report.made.as_is.films, report.rows()[0]["change"]
    (12, 'as it is')
    >>> saved = report.save("robustness")
    """

    made: Robustness

    @property
    def name(self) -> str:
        """MODEL-SPLIT, as the folder of this report is called unless told otherwise."""
        return f"{Path(self.made.file).stem}-{self.made.split}"

    def sentences(self) -> list[str]:
        """Which changes hardly matter and which do."""
        return [answer(self.made)]

    def to_dict(self) -> dict[str, Any]:
        """All of it as plain data: what robustness.json holds."""
        return as_plain(self.made)

    def rows(self) -> list[dict[str, Any]]:
        """The films as they are, and a row for each change and strength, for a data frame."""
        return [asdict(row) for row in (self.made.as_is, *self.made.rows)]

    def summary(self) -> Iterator[list[str]]:
        """Each change at the strength that costs the most AUROC, in words, under HEADER."""
        return worst_rows(self.made)

    def save(self, folder: str | os.PathLike[str]) -> Path:
        """Write robustness.html, .png, .csv and .json; returns the page's path."""
        return save_robustness(self.made, Path(folder))

    def _repr_html_(self) -> str:
        title = f"robustness · {self.made.file} · {self.made.manifest}, split {self.made.split}"
        return html_table(title, HEADER, self.summary(), [*self.sentences(), RESEARCH_USE])

    def _repr_png_(self) -> bytes:
        return draw(self.made)


def robustness(
    model: str | os.PathLike[str] | Predictor,
    films: str | os.PathLike[str],
    out: str | os.PathLike[str] | None = None,
    *,
    split: str | None = None,
    count: int = FILMS,
    seed: int = SEED,
    on_progress: OnProgress = lambda doing, done, total: None,
) -> RobustnessReport:
    """Change films as exposure, scanners, archives and askew patients do, and see whether a bundle's answers hold.

    `films` is a manifest or a folder of films named by class, of which `count` are drawn by chance from `split`: test
    if left out, and every film of a folder in which nothing is set apart. `seed` is of the films drawn and of the
    bootstrap. With `out` the report is written to that folder; `hilum.evaluate` makes a section of it. `on_progress` is
    told what is done, how far, of how many.

    >>> report = hilum.robustness("model.onnx", "films/manifest.parquet", split="all", count=12)
    >>> print(*report.sentences())
    On 12 films as they are: AUROC ...

    Raises BundleError, ManifestError, SourceError, OSError where bundle or films cannot be opened, and EvaluationError
    where these films must not be judged or do not show both classes.
    """
    if out is not None:
        check_folder(Path(out))
    predictor = model if isinstance(model, Predictor) else load(model)
    data = open_data_set(Path(films), partial(on_progress, "reading films"))
    drawn = Drawn(split or data.usual_split, count, seed)
    report = RobustnessReport(measure_robustness(predictor, data, drawn, partial(on_progress, "judging changed films")))
    if out is not None:
        report.save(out)
    return report
