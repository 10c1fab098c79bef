"""`hilum predict`: films in, decisions out, as they come.

Whoever asks about a single film waits for whatever is imported, so nothing is before it is needed: no typer at all,
rich when there is a bar to draw, and what reads films while the network is being set up.
"""

from __future__ import annotations

import glob
import os
import shutil
import signal
import sys
from argparse import ArgumentParser, ArgumentTypeError, Namespace, RawDescriptionHelpFormatter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from hilum.bundle.card import Card
    from hilum.bundle.opening import OpenBundle
    from hilum.bundle.prediction import Prediction
    from hilum.cli.terminal.files import Found
    from hilum.radiograph import Radiograph

Write = Callable[["Prediction", "Radiograph | None"], None]
STYLES = {"pneumonia": "33", "abstain": "35", "error": "31"}  # of a terminal: yellow, magenta, red
INTERRUPTED = 130
COLUMNS = ("file", "decision", "probability", "classes", "gate", "notes")
DECISION = 1
EXPLANATION = """\
Say which films show pneumonia, with probability and reasons to distrust it.

One row a film, as it is done. A file that cannot be read is a row with the reason; the others are still judged, and the
exit code is 1. Ctrl-C keeps what is done. Research use only, not a medical device.
"""


def main(arguments: list[str]) -> int:
    """Run the command; its exit code."""
    asked = _parse(arguments)
    from hilum.bundle.card import BundleError
    from hilum.bundle.opening import OpenBundle

    try:
        return predict(OpenBundle(asked.model), asked)
    except KeyboardInterrupt:
        _say("stopped before the first film")
        return INTERRUPTED
    except BundleError as error:
        _say(str(error))
    except OSError as error:
        if isinstance(error, BrokenPipeError):
            raise
        _say(f"{error.filename}: {error.strerror}" if error.filename else str(error))
    return 1


def _parse(arguments: list[str]) -> Namespace:
    parser = ArgumentParser("hilum predict", description=EXPLANATION, formatter_class=RawDescriptionHelpFormatter)
    add = parser.add_argument
    add(
        "paths",
        nargs="+",
        metavar="PATH",
        help="films (JPEG, PNG, DICOM), folders of them or patterns such as 'films/*.dcm'; a first one that ends in "
        ".onnx is the bundle",
    )
    add("--model", metavar="BUNDLE", help="the bundle to use, made with `hilum export`; else the one that ships")
    add("--boxes", action="store_true", help="use the detector that ships: boxes around opacities")
    add("--operating-point", metavar="NAME", help="decide at this operating point of the bundle")
    add("--threshold", metavar="P", type=_probability, help="decide at this probability instead")
    add("--box-threshold", metavar="P", type=_probability, help="give a detector's boxes from this score on instead")
    add("--no-gate", action="store_true", help="give a probability even for what is no upright frontal chest film")
    add("--json", action="store_true", help="print one JSON object a line instead of a table")
    add("--csv", metavar="FILE", type=Path, help="write the rows to this file, too")
    add(
        "--heatmap",
        metavar="DIR",
        type=Path,
        help="draw each film with what speaks for pneumonia over it into DIR: a heatmap, or a detector's boxes",
    )
    asked = parser.parse_intermixed_args(arguments)  # options may stand between bundle and films
    if asked.model is None and asked.paths[0].endswith(".onnx"):
        asked.model, *asked.paths = asked.paths
        if not asked.paths:
            parser.error("name the films after the bundle")
    if asked.boxes:
        from hilum.bundle.shipped import BOXES, shipped_bundle

        if asked.model is not None:
            parser.error("--boxes is for the detector that ships; a bundle was named, too")
        asked.model = shipped_bundle(BOXES)
    return asked


def _probability(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 1:
        raise ArgumentTypeError(f"{text}: a probability lies between 0 and 1")
    return value


def predict(bundle: OpenBundle, asked: Namespace) -> int:
    from hilum.bundle.asked import Asked
    from hilum.bundle.prediction import Failed
    from hilum.bundle.predictor import Predictor
    from hilum.cli.terminal.files import find_films

    predictor = Predictor(bundle)
    found, others = find_films(_matches(asked.paths))
    films = (film.path for film in found)
    wanted = Asked(
        operating_point=asked.operating_point,
        threshold=asked.threshold,
        gate=not asked.no_gate,
        heatmaps=asked.heatmap is not None,
        box_threshold=asked.box_threshold,
    )
    predictions: Iterator[tuple[Prediction, Radiograph | None]]
    if asked.heatmap is None:
        predictions = ((prediction, None) for prediction in predictor.stream(films, wanted))
    else:
        from hilum.output.overlay import TALLEST

        predictions = predictor.stream_with_films(films, wanted, at_least=TALLEST)
    _say_how(bundle.card, asked)
    with ExitStack() as stack:
        writers = [_json_writer() if asked.json else _table_writer(found)]
        if asked.csv is not None:
            writers.append(_csv_writer(stack.enter_context(_new_file(asked.csv)), bundle.card))
        if asked.heatmap is not None:
            writers.append(_overlay_writer(found, asked.heatmap))
        step = stack.enter_context(_bar(len(found)))
        stopped = stack.enter_context(_first_interrupt())
        done = failed = 0
        try:
            for prediction, film in predictions:
                for write in writers:
                    write(prediction, film)
                done += 1
                failed += isinstance(prediction, Failed)
                step()
                if stopped():
                    break
        except KeyboardInterrupt:  # the second one
            pass
    if stopped():
        _say(f"stopped after {done:,} of {len(found):,} films; what is done is kept")
        return INTERRUPTED
    if others:
        _say(f"passed over, neither JPEG, PNG nor DICOM: {others}")
    if not found:
        _say("no films found; give JPEG, PNG or DICOM files or folders that hold some")
    if failed:
        _say(f"{failed:,} of {len(found):,} files could not be read")
    return int(failed > 0 or not found)


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _matches(paths: list[str]) -> list[Path]:
    """The paths, with patterns that no shell has spelled out replaced by what they match."""
    matches: list[Path] = []
    for path in paths:
        is_pattern = glob.has_magic(path) and not Path(path).exists()
        spelled = sorted(glob.glob(path, recursive=True)) if is_pattern else []  # noqa: PTH207, it takes any pattern
        matches.extend(map(Path, spelled or [path]))
    return matches


def _say_how(card: Card, asked: Namespace) -> None:
    from hilum.bundle.prediction import RESEARCH_USE

    if asked.threshold is None:
        point = card.point(asked.operating_point)
        how = f"at the operating point {point.name} (probability of at least {point.threshold:.3g})"
    else:
        how = f"at a probability of at least {asked.threshold:.3g}"
    _say(f"{card.title or card.name}: pneumonia {how}. {RESEARCH_USE}")
    if card.boxes is not None:
        least = card.boxes.threshold if asked.box_threshold is None else asked.box_threshold
        _say(f"Boxes from a score of {least:.3g} on: the share of such boxes that overlapped a true one on validation.")
    if asked.no_gate:
        _say("The gate is off: pictures that are no chest films get probabilities, too.")


def _json_writer() -> Write:
    from hilum.output.table import to_json_line

    return lambda prediction, _: print(to_json_line(prediction), flush=True)


def _csv_writer(file: TextIO, card: Card) -> Write:
    import csv

    from hilum.output.table import csv_header, to_csv_row

    rows = csv.writer(file)
    rows.writerow(csv_header(card))

    def write(prediction: Prediction, _: Radiograph | None) -> None:
        rows.writerow(to_csv_row(prediction, card))
        file.flush()

    return write


def _new_file(path: Path) -> TextIO:
    path.parent.mkdir(parents=True, exist_ok=True)
    return path.open("w", encoding="utf-8", newline="")


def _table_writer(found: list[Found]) -> Write:
    """Tab-separated rows where the output is piped; aligned and colored ones, with long cells folded, on a terminal."""
    from hilum.output.table import to_words

    if not sys.stdout.isatty():
        print("\t".join(COLUMNS))

        def write_plain(prediction: Prediction, _: Radiograph | None) -> None:
            print("\t".join(cell.replace("\t", " ").replace("\n", " ") for cell in to_words(prediction)), flush=True)

        return write_plain
    longest = max((len(str(film.path)) for film in found), default=0)
    widths = _widths(shutil.get_terminal_size().columns, longest)
    print(_styled("  ".join(COLUMNS[place].ljust(width) for place, width in widths.items()).rstrip(), "1"))

    def write(prediction: Prediction, _: Radiograph | None) -> None:
        row = to_words(prediction)
        folded = {place: _fold(row[place], width) for place, width in widths.items()}
        for number in range(max(map(len, folded.values()))):
            cells = {place: "".join(lines[number : number + 1]).ljust(widths[place]) for place, lines in folded.items()}
            cells[DECISION] = _styled(cells[DECISION], STYLES.get(row[DECISION]))
            print("  ".join(cells.values()).rstrip(), flush=True)

    return write


def _widths(terminal: int, longest: int) -> dict[int, int]:
    """The places in COLUMNS that a terminal has room for, and their widths; the notes get what is left."""
    file, decision, probability, classes, gate, notes = range(len(COLUMNS))
    widths = {file: 0, decision: 12, probability: 11}
    if terminal >= 140:
        widths[classes] = 30
    if terminal >= 100:
        widths[gate] = 16
    left = terminal - sum(widths.values()) - 2 * len(widths)
    widths[file] = min(max(longest, 4), max(left // 2, 12))
    return {**widths, notes: max(left - widths[file], 12)}


def _styled(text: str, code: str | None) -> str:
    return text if code is None or os.environ.get("NO_COLOR") else f"\x1b[{code}m{text}\x1b[0m"


def _fold(text: str, width: int) -> list[str]:
    """Lines of at most this width, broken at spaces where there are any."""
    lines = [""]
    for word in text.split(" "):
        if lines[-1] and len(lines[-1]) + 1 + len(word) <= width:
            lines[-1] += " " + word
            continue
        pieces = [word[start : start + width] for start in range(0, len(word), width)]
        lines[-1:] = [*([lines[-1]] if lines[-1] else []), *(pieces or [""])]
    return lines


def _overlay_writer(found: list[Found], folder: Path) -> Write:
    """Draws each film that could be read into the folder, under its own name below the folders that were named."""
    from hilum.output.overlay import write_overlay

    places = iter(found)
    taken: set[Path] = set()

    def write(prediction: Prediction, radiograph: Radiograph | None) -> None:
        film = next(places)
        if radiograph is None:
            return
        target = folder / film.relative.with_name(film.relative.name + ".png")
        while target in taken:  # films of the same name from different folders
            target = target.with_name("again-" + target.name)
        taken.add(target)
        write_overlay(prediction, radiograph, target)

    return write


@contextmanager
def _first_interrupt() -> Iterator[Callable[[], bool]]:
    """Whether Ctrl-C was pressed. The first one is noted and waits for the film at hand; the second one interrupts.

    As an exception it could come up anywhere, also where Python reports it and goes on.
    """
    pressed = False

    def note(*_: object) -> None:
        nonlocal pressed
        pressed = True
        signal.signal(signal.SIGINT, before)

    before = signal.signal(signal.SIGINT, note)
    try:
        yield lambda: pressed
    finally:
        signal.signal(signal.SIGINT, before)


@contextmanager
def _bar(films: int) -> Iterator[Callable[[], None]]:
    """A bar with rate and remaining time, where there are many films and a person watches."""
    if films < 2 or not sys.stderr.isatty():
        yield lambda: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TimeRemainingColumn
    from rich.text import Text

    class Rate(ProgressColumn):
        def render(self, task: Task) -> Text:
            return Text(f"{task.speed:,.1f} films/s" if task.speed else "")

    # Rows printed to the same terminal go above the bar; rows that are piped must not be caught.
    with Progress(
        BarColumn(),
        MofNCompleteColumn(),
        Rate(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
        redirect_stdout=sys.stdout.isatty(),
    ) as progress:
        task = progress.add_task("predicting", total=films)
        yield lambda: progress.advance(task)
