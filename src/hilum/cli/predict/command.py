"""`hilum predict`: films in, decisions out, as they come.

Whoever asks about a single film waits for whatever is imported, so nothing is before it is needed: no typer at all,
rich when there is a bar to draw, and what reads films while the network is being set up.
"""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import TYPE_CHECKING

from hilum.cli.predict.arguments import parse
from hilum.cli.terminal.lines import say

if TYPE_CHECKING:
    from hilum.bundle.asked import Asked
    from hilum.bundle.card import Card
    from hilum.bundle.opening import OpenBundle
    from hilum.bundle.prediction import Prediction
    from hilum.bundle.predictor import Predictor
    from hilum.cli.terminal.files import Found
    from hilum.radiograph import Radiograph

    Judged = tuple[Prediction, Radiograph | None]  # the film where it is to be drawn and could be read

Write = Callable[["Prediction", "Radiograph | None"], None]
INTERRUPTED = 130
WHOLE = 1_000_000  # pixels: no film has such sides, so none is made smaller


def missing_for_dicom() -> str:
    """One line where DICOM results cannot be written here."""
    from importlib.util import find_spec

    from hilum.system.installed import install_extra

    if find_spec("highdicom") is not None:
        return ""
    return f"hilum predict --dicom needs more than the base package: {install_extra('dicom')}"


def main(arguments: list[str]) -> int:
    """Run the command; its exit code."""
    given = parse(arguments)
    if given.out is not None:
        from hilum.cli.predict.archive import main as judge_archive

        return judge_archive(given)
    if given.dicom is not None and (missing := missing_for_dicom()):
        say(missing)
        return 1
    from hilum.bundle.card import BundleError
    from hilum.bundle.opening import CPU, OpenBundle

    try:
        return predict(OpenBundle(given.model, given.device or CPU), given)
    except KeyboardInterrupt:
        say("stopped before the first film")
        return INTERRUPTED
    except BundleError as error:
        say(str(error))
    except OSError as error:
        if isinstance(error, BrokenPipeError) or not error.filename:
            raise
        say(f"{error.filename}: {error.strerror}")
    return 1


def predict(bundle: OpenBundle, given: Namespace) -> int:
    """Judge the films that were named, and write what was asked for; the exit code."""
    from hilum.bundle.asked import Asked
    from hilum.bundle.prediction import Failed
    from hilum.bundle.predictor import Predictor
    from hilum.cli.predict.interrupt import first_interrupt
    from hilum.cli.predict.progress import bar
    from hilum.cli.terminal.files import find_films

    asked = Asked(
        operating_point=given.operating_point,
        threshold=given.threshold,
        gate=not given.no_gate,
        heatmaps=given.heatmap is not None or given.lungs is not None or _wants(given, "sc", "pm", "seg"),
        box_threshold=given.box_threshold,
        patient=given.patient,
    )
    check_outputs(bundle, given)
    found, others = find_films(given.paths)
    with ExitStack() as stack:
        predictor = stack.enter_context(Predictor(bundle))
        films = _judge(predictor, found, asked, given)
        _say_how(bundle.card, asked, inverted=given.invert)
        writers = _writers(found, bundle.card, given, stack)
        step = stack.enter_context(bar(len(found)))
        stopped = stack.enter_context(first_interrupt())
        done = failed = 0
        try:
            for prediction, film in films:
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
        say(f"stopped after {done:,} of {len(found):,} films; what is done is kept")
        return INTERRUPTED
    if others:
        say(f"passed over, neither JPEG, PNG nor DICOM: {others}")
    if not found:
        say("no films found; give JPEG, PNG or DICOM files or folders that hold some")
    if failed:
        say(f"{failed:,} of {len(found):,} files could not be read")
    return int(failed > 0 or not found)


def check_outputs(bundle: OpenBundle, given: Namespace) -> None:
    """Raises BundleError where the bundle does not give what is asked for."""
    if given.lungs is not None:
        from hilum.bundle.format import LUNGS

        bundle.check_output(LUNGS, "--lungs out")
    if _wants(given, "pm", "seg"):
        from hilum.output.dicom.results import NEEDS

        for kind, output in NEEDS.items():
            if kind in given.kinds:
                bundle.check_output(output, f"{kind} out of --as")


def _wants(given: Namespace, *kinds: str) -> bool:
    return given.dicom is not None and any(kind in given.kinds for kind in kinds)


def _judge(predictor: Predictor, found: list[Found], asked: Asked, given: Namespace) -> Iterator[Judged]:
    paths = [film.path for film in found]
    if given.heatmap is None and given.dicom is None and given.lungs is None:
        return ((prediction, None) for prediction in predictor.stream(paths, asked, invert=given.invert))
    from hilum.output.overlay import TALLEST

    at_least = TALLEST if given.lungs is None else WHOLE  # what is cut out of a film is as fine as the film
    return predictor.stream_with_films(paths, asked, at_least=at_least, invert=given.invert)


def _say_how(card: Card, asked: Asked, *, inverted: bool) -> None:
    from hilum.bundle.prediction import RESEARCH_USE

    if asked.threshold is None:
        name = card.checked(asked.operating_point)
        if card.groups:
            each = ", ".join(f"{group.name} {card.point(name, group.name).threshold:.3g}" for group in card.groups)
            how = f"at the operating point {name} (probability of at least: {each})"
        else:
            how = f"at the operating point {name} (probability of at least {card.point(name).threshold:.3g})"
    else:
        how = f"at a probability of at least {asked.threshold:.3g}"
    say(f"{card.title or card.name}: pneumonia {how}. {RESEARCH_USE}")
    if card.boxes is not None:
        least = card.boxes.threshold if asked.box_threshold is None else asked.box_threshold
        say(f"Boxes from a score of {least:.3g} on: the share of such boxes that overlapped a true one on validation.")
    if not asked.gate:
        say("The gate is off: pictures that are no chest films get probabilities, too.")
    if inverted:
        say("Black and white of every film are exchanged before it is judged.")


def _writers(found: list[Found], card: Card, given: Namespace, stack: ExitStack) -> list[Write]:
    """One for the terminal, and one for each file or folder that was asked for."""
    if given.json:
        from hilum.cli.predict.rows import json_writer

        writers = [json_writer()]
    else:
        from hilum.cli.predict.table import table_writer

        writers = [table_writer(found)]
    if given.csv is not None:
        from hilum.cli.predict.rows import csv_writer

        writers.append(csv_writer(given.csv, card, stack))
    if given.heatmap is not None:
        from hilum.cli.predict.overlays import overlay_writer

        writers.append(overlay_writer(found, given.heatmap))
    if given.lungs is not None:
        from hilum.cli.predict.lungs import lungs_writer

        writers.append(lungs_writer(found, given.lungs, "heatmap" if card.boxes is None else "boxes", stack))
    if given.dicom is not None:
        from hilum.cli.predict.dicom import dicom_writer

        writers.append(dicom_writer(found, given.dicom, given.kinds))
    return writers
