"""The films with what speaks for pneumonia over them, one picture a film."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from hilum.output.overlay import write_overlay
from hilum.system.text import printable

if TYPE_CHECKING:
    from hilum.bundle.prediction import Prediction
    from hilum.cli.terminal.files import Found
    from hilum.radiograph import Radiograph


def overlay_writer(found: list[Found], folder: Path) -> Callable[[Prediction, Radiograph | None], None]:
    """Draws each film that could be read into the folder, under its own name below the folders that were named."""
    places = iter(found)
    taken: set[Path] = set()

    def write(prediction: Prediction, radiograph: Radiograph | None) -> None:
        film = next(places)
        if radiograph is None:
            return
        target = folder / printable(str(film.relative.with_name(film.relative.name + ".png")))
        while target in taken:  # films of the same name from different folders
            target = target.with_name("again-" + target.name)
        taken.add(target)
        write_overlay(prediction, radiograph, target)

    return write
