"""The films cut to their lungs, one picture a film, and a table of what covers either lung."""

from __future__ import annotations

import csv
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image

from hilum.bundle.prediction import Answered
from hilum.output.lungs import By, box_of_lungs, covered, cut_to_lungs
from hilum.system.pictures import write_picture
from hilum.system.rows import RowFile, csv_cell
from hilum.system.text import printable

if TYPE_CHECKING:
    from hilum.bundle.prediction import Prediction
    from hilum.cli.terminal.files import Found
    from hilum.radiograph import Radiograph

TABLE = "lungs.csv"
COLUMNS = ("film", "two_lungs", "x", "y", "width", "height", "by", "left_of_picture", "right_of_picture")


def lungs_writer(
    found: list[Found], folder: Path, by: By, stack: ExitStack
) -> Callable[[Prediction, Radiograph | None], None]:
    """Cuts each film on which two lungs were found to them, under its own name, and adds a row to `lungs.csv`."""
    places = iter(found)
    taken: set[Path] = set()
    folder.mkdir(parents=True, exist_ok=True)
    file = stack.enter_context((folder / TABLE).open("wb", buffering=0))
    rows = csv.writer(RowFile(file.fileno(), str(folder / TABLE)))
    rows.writerow(COLUMNS)

    def write(prediction: Prediction, radiograph: Radiograph | None) -> None:
        film = next(places)
        name = csv_cell(printable(str(film.path)))
        answer = prediction if isinstance(prediction, Answered) else None
        box, shares = (None, None) if answer is None else (box_of_lungs(answer), covered(answer, by))
        if answer is None or box is None or shares is None or radiograph is None:
            rows.writerow([name, "no", *[""] * (len(COLUMNS) - 2)])
            return
        cut = cut_to_lungs(radiograph.pixels, box)
        left, right = (side * answer.width for side in box[::2])
        top, bottom = (side * answer.height for side in box[1::2])
        sides = (left, top, right - left, bottom - top)
        rows.writerow([name, "yes", *(f"{side:.0f}" for side in sides), by, *(f"{share:.3f}" for share in shares)])
        target = folder / printable(str(film.relative.with_name(film.relative.name + ".png")))
        while target in taken:  # films of the same name from different folders
            target = target.with_name("again-" + target.name)
        taken.add(target)
        target.parent.mkdir(parents=True, exist_ok=True)
        write_picture(Image.fromarray(cut), target)

    return write
