"""A data set as one picture: how many films of each label and how large its boxes are, split by split."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from hilum.dataset.manifest.manifest import Manifest
from hilum.dataset.manifest.side import side_of_film
from hilum.system.pictures import drawable

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

FILMS_COLOR, BOXES_COLOR, QUIET = "#1f6feb", "#b4531a", "#5a6473"
USUAL = ("train", "val", "test")  # first and in this order; folds and other names follow by name
NO_SPLIT, NO_LABEL = "no split", "no label"
STYLE: Any = {
    "text.parse_math": False,  # a label may be called $x$
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 11,
    "axes.titleweight": "bold",
}


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """The films of one split. `areas` are of its boxes, as shares of their films; `unknown` are films on which nobody
    drew any."""

    name: str
    counts: dict[str, int]
    patients: int
    areas: NDArray[np.float64]
    with_boxes: int
    without_boxes: int
    unknown: int

    @property
    def films(self) -> int:
        """How many films there are."""
        return sum(self.counts.values())


def summarize(manifest: Manifest) -> list[Part]:
    """The splits in the order in which one thinks of them."""
    columns = [side_of_film().fill_null(NO_SPLIT), pl.col("label").fill_null(NO_LABEL)]
    table = manifest.table.with_columns(columns[0].alias("part"), columns[1].alias("label"))
    names = table["part"].unique().to_list()
    order = [name for name in USUAL if name in names] + sorted(set(names) - {*USUAL, NO_SPLIT})
    order += [NO_SPLIT] if NO_SPLIT in names else []
    return [_part(name, table.filter(pl.col("part") == name)) for name in order]


def _part(name: str, films: pl.DataFrame) -> Part:
    labels = films["label"].value_counts(sort=True)
    drawn = films["boxes"].drop_nulls().list.len()
    boxes = np.array([box for one in films["boxes"].drop_nulls().to_list() for box in one], np.float64).reshape(-1, 4)
    return Part(
        name,
        dict(zip(labels["label"].to_list(), labels["count"].to_list(), strict=True)),
        films["patient"].n_unique(),
        boxes[:, 2] * boxes[:, 3],
        int((drawn > 0).sum()),
        int((drawn == 0).sum()),
        films["boxes"].null_count(),
    )


def box_rows(parts: list[Part]) -> list[tuple[str, ...]]:
    """A row a split, for a table: how many boxes, on how many films, and how much of a film one covers."""
    rows = []
    for part in parts:
        sizes = ["-"] * 5
        if len(part.areas):
            sizes = [f"{size:.1%}" for size in np.quantile(part.areas, [0, 0.25, 0.5, 0.75, 1])]
        films = (part.with_boxes, part.without_boxes, part.unknown)
        rows.append((part.name, f"{len(part.areas):,}", *(f"{count:,}" for count in films), *sizes))
    return rows


BOX_HEADER = (
    *("split", "boxes", "films with boxes", "known to have none", "not known"),
    *("smallest", "a quarter below", "median", "a quarter above", "largest"),
)


def draw_summary(parts: list[Part]) -> Figure:
    """A column a split: above films by label, below boxes by the share of their film, each on one scale."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    labels = sorted({label for part in parts for label in part.counts}, key=lambda label: (label == NO_LABEL, label))
    with_boxes = any(len(part.areas) for part in parts)
    heights = [0.7 + 0.34 * len(labels), 2.6][: 1 + with_boxes]
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(2 + 3.1 * len(parts), 0.9 + sum(heights)), layout="constrained")
        axes = figure.subplots(
            len(heights), len(parts), sharex="row", sharey="row", squeeze=False, height_ratios=heights
        )
        most = max(max(part.counts.values()) for part in parts)
        for part, column in zip(parts, axes.T, strict=True):
            _draw_counts(column[0], part, labels, most)
        if with_boxes:
            widest = max(part.areas.max(initial=0) for part in parts)
            edges = np.linspace(0, 100 * widest, 25)
            for part, column in zip(parts, axes.T, strict=True):
                _draw_areas(column[1], part, edges)
            axes[1, 0].set_ylabel("boxes")
    return figure


def _draw_counts(axes: Axes, part: Part, labels: list[str], most: int) -> None:
    counts = [part.counts.get(label, 0) for label in labels]
    axes.barh([drawable(label) for label in labels], counts, color=FILMS_COLOR, height=0.6)
    for place, count in enumerate(counts):
        axes.text(count + 0.02 * most, place, f"{count:,} ({count / part.films:.0%})", va="center", color=QUIET)
    axes.set_title(f"{drawable(part.name)}\n{part.films:,} films, {part.patients:,} patients", loc="left", fontsize=10)
    axes.set(xlim=(0, 1.45 * most), xlabel="films")
    axes.xaxis.set_major_locator(_few_whole())
    axes.invert_yaxis()


def _draw_areas(axes: Axes, part: Part, edges: NDArray[np.float64]) -> None:
    axes.set_xlabel("% of the film that a box covers")
    axes.yaxis.set_major_locator(_few_whole())
    if not len(part.areas):
        axes.set_title("no boxes known", loc="left", color=QUIET, fontsize=10, fontweight="normal")
        return
    median = 100 * float(np.median(part.areas))
    axes.hist(100 * part.areas, edges.tolist(), color=BOXES_COLOR, rwidth=0.9)
    axes.axvline(median, color="black", linestyle=":", linewidth=1.5)
    title = f"{len(part.areas):,} boxes on {part.with_boxes:,} films\nmedian {median:.1f}% of the film"
    axes.set_title(title, loc="left", fontsize=10, fontweight="normal")


def _few_whole() -> Any:
    from matplotlib.ticker import MaxNLocator

    return MaxNLocator(4, integer=True)
