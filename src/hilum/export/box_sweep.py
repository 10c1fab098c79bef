"""Which suppression, size and score threshold serve the boxes of one run, or of several together."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from hilum.bundle.card import BundleError
from hilum.export.box_settings import calibrate_boxes, sweep_calibrated, truths_of
from hilum.export.film_fits import Validation, fit_films, for_boxes
from hilum.export.look import look_at, with_logits
from hilum.export.material import best_network, open_material
from hilum.measures.boxes.sweep import Swept, choose, draw_sweeps, write_sweep
from hilum.system.pictures import write_figure
from hilum.training.run import Run, open_run

TABLE, PICTURE = "box-sweep.csv", "box-sweep.png"


class BoxSweep(NamedTuple):
    """Every setting that was tried on validation films, for each run; `chosen` is the best on the mean of them all."""

    tried: dict[str, list[Swept]]
    chosen: Swept

    def best(self) -> Iterator[tuple[str, Swept]]:
        """What is best on the mean, where there are several runs, and what is best for each."""
        if len(self.tried) > 1:
            yield "all, the mean", self.chosen
        for name, rows in self.tried.items():
            yield name, max(rows, key=lambda row: row.score)

    def save(self, folder: Path) -> None:
        """Write all settings with their scores as a table and as a picture."""
        folder.mkdir(parents=True, exist_ok=True)
        write_sweep(self.tried, folder / TABLE)
        write_figure(draw_sweeps(self.tried, self.chosen), folder / PICTURE)


def sweep_runs(
    folders: Iterable[Path],
    prevalence: float | None = None,
    on_progress: Callable[[str, int, int], None] = lambda doing, done, total: None,
) -> BoxSweep:
    """Score every setting on each run's own validation films, as if the share `prevalence` of films had boxes.

    The best on the mean of all runs is for their average; each run's own is chosen when it is exported.
    """
    check_prevalence(prevalence)
    tried: dict[str, list[Swept]] = {}
    kinds: set[bool] = set()
    for folder in folders:

        def show(doing: str, done: int, total: int, name: str = folder.name) -> None:
            on_progress(f"{name}: {doing}", done, total)

        run = open_run(folder)
        material = open_material(run, show)
        network, _ = best_network(run, material.recipe)
        if network.boxes is None:
            raise BundleError(f"{folder}: draws no boxes; name runs of a recipe with [detector]")
        columns = [list(material.recipe.classes).index(name) for name in material.positive]
        raw = look_at(network, material.store.pixels, material.val.rows, show)
        validation = Validation.of(raw, material.val, columns)
        fits = fit_films(validation, material.recipe.training.seed, by_group=network.group is not None)
        raw = with_logits(raw, for_boxes(validation, fits))  # as the bundle of this run has them
        truths = truths_of(material.val, network.input_size)
        calibrated = calibrate_boxes(raw, truths, columns, suppresses=network.boxes.suppresses)
        kinds.add(network.boxes.suppresses)
        if len(kinds) > 1:
            raise BundleError(f"{folder}: its boxes come of queries, others of anchors; sweep each kind by itself")
        name = folder.name if folder.name not in tried else str(folder)
        tried[name] = sweep_calibrated(calibrated, prevalence)
    return BoxSweep(tried, choose(tried))


def into_run(bundle: Path, run: Run) -> bool:
    """Whether a bundle is written into the folder of its run, where all that came of it belongs."""
    return bundle.resolve().parent == run.folder.resolve()


def check_prevalence(prevalence: float | None) -> None:
    """What no film has, or every film, weighs nothing; known before the films are looked at."""
    if prevalence is not None and not 0 < prevalence < 1:
        raise BundleError(f"a prevalence of {prevalence:g}: it is a share of films, above 0 and below 1")
