"""What a user types after `hilum predict`, read by argparse: typer imports pydantic, which takes longer than a film."""

from __future__ import annotations

import glob
from argparse import ArgumentParser, ArgumentTypeError, Namespace
from pathlib import Path
from typing import NoReturn

from hilum.cli.terminal.help import help_page
from hilum.radiograph.patient import PATIENTS
from hilum.system.cores import MOST_PROCESSES
from hilum.system.text import printable

EXPLANATION = """\
Say which films show pneumonia, with probability and reasons to distrust it.

One row a film, as it is done. A file that cannot be read is a row with the reason; the others are still judged, and the
exit code is 1. Ctrl-C keeps what is done. Research use only, not a medical device.
"""


# As hilum.output.dicom.results has them, which takes longer to import than a film to judge.
KINDS = ("sr", "gsps", "sc", "pm", "seg")
USUAL_KINDS = ("sr", "gsps", "sc")


class Parser(ArgumentParser):
    """Its pages and errors look like those of the other commands; what was typed, maybe a file's odd name, is text."""

    def format_help(self) -> str:
        """The help in the layout of all other commands."""
        sections: dict[str, list[tuple[str, str]]] = {"Arguments": [], "Options": []}
        for each in self._actions:
            term = " ".join(
                [*([", ".join(each.option_strings)] if each.option_strings else []), str(each.metavar or "")]
            )
            sections["Options" if each.option_strings else "Arguments"].append((term.strip(), each.help or ""))
        return help_page(self.usage or "", self.description or "", sections)

    def error(self, message: str) -> NoReturn:
        """The usage and what is wrong with the arguments, on standard error; ends the program with exit code 2."""
        self.exit(2, f"Usage: {self.usage}\nTry '{self.prog} -h' for help.\n\nError: {printable(message)}\n")


def parse(arguments: list[str]) -> Namespace:
    """The options, with `paths` as they lie on disk. What is misspelt ends the program with exit code 2."""
    parser = Parser(
        "hilum predict", usage="hilum predict [OPTIONS] [MODEL] PATH...", description=EXPLANATION, add_help=False
    )
    add = parser.add_argument
    add(
        "paths",
        nargs="+",
        metavar="PATH...",
        help="Films (JPEG, PNG, DICOM), folders of them or patterns such as 'films/*.dcm'; a first one that ends in "
        ".onnx is the bundle.",
    )
    add("--model", metavar="MODEL", help="The bundle to use, made with `hilum export`; else the one that ships.")
    add("--operating-point", metavar="NAME", help="Decide at this operating point of the bundle.")
    add("--threshold", metavar="P", type=_probability, help="Decide at this probability instead.")
    add("--box-threshold", metavar="P", type=_probability, help="Give boxes from this score on instead.")
    add(
        "--patient",
        metavar="WHO",
        choices=PATIENTS,
        help="The films are of a child (under 18) or an adult; else the age in a DICOM header tells, or the network.",
    )
    add("--no-gate", action="store_true", help="Give a probability even for what is no upright frontal chest film.")
    add("--invert", action="store_true", help="The films are inverted: exchange black and white before judging them.")
    add("--json", action="store_true", help="Print one JSON object a line instead of a table.")
    add("--csv", metavar="FILE", type=Path, help="Write the rows to this file, too.")
    add(
        "--heatmap",
        metavar="DIR",
        type=Path,
        help="Draw each film with what speaks for pneumonia over it into DIR: heatmap, boxes and lungs.",
    )
    add(
        "--lungs",
        metavar="DIR",
        type=Path,
        help="Cut each film to its lungs into DIR, and write into DIR/lungs.csv what share of either lung boxes cover "
        "(or heatmap, of a bundle without boxes).",
    )
    add(
        "--dicom",
        metavar="DIR",
        type=Path,
        help="Write DICOM results of each DICOM film into DIR, in the film's own study.",
    )
    add(
        "--as",
        dest="kinds",
        metavar="sr,gsps,...",
        type=_kinds,
        help="Which DICOM results: sr (report), gsps (boxes and answer over the film), sc (overlay as a picture), pm "
        "(heatmap as numbers), seg (lungs). Default: sr,gsps,sc.",
    )
    add(
        "--out",
        metavar="DIR",
        help="Judge any number of films into DIR, a folder or s3:// address: Parquet, a row a film; also from zip, tar "
        "files, lists (.txt, .parquet), s3:// and dicomweb+https:// addresses. The same command goes on after a stop.",
    )
    add("--processes", metavar="N", type=_processes, help="With --out: processes that judge; as many as cores.")
    add("--shard", metavar="I/N", type=_shard, help="With --out: this one of N jobs, counted from 1, as of an array.")
    add(
        "--ray",
        metavar="ADDRESS",
        help="With --out: over the cluster of Ray at HOST:PORT, or local: one that is started here.",
    )
    add(
        "--insecure",
        action="store_true",
        help="With --out: nobody else reaches this cluster of Ray, or this archive by http.",
    )
    add("--overlays", action="store_true", help="With --out: draw each film with what speaks for it into DIR, too.")
    add("--device", metavar="NAME", help="Where the network runs: cpu, cuda, ...; a GPU where onnxruntime has one.")
    add("-h", "--help", action="help", help="Show this message and exit.")
    given = parser.parse_intermixed_args(arguments)  # options may stand between bundle and films
    if given.model is None and given.paths[0].endswith(".onnx"):
        given.model, *given.paths = given.paths
        if not given.paths:
            parser.error("name the films after the bundle")
    if given.kinds is not None and given.dicom is None:
        parser.error("--as goes with --dicom; add that")
    given.kinds = given.kinds or USUAL_KINDS
    if given.out is None:
        if alone := next(
            (name for name in ("processes", "shard", "ray", "insecure", "overlays") if getattr(given, name)), None
        ):
            parser.error(f"--{alone} goes with --out; add that")
        given.paths = _matches(given.paths)
        return given
    if other := next((name for name in ("heatmap", "lungs", "dicom", "csv", "json") if getattr(given, name)), None):
        instead = "--overlays draws" if other == "heatmap" else "its rows are Parquet"
        parser.error(f"--{other} does not go with --out: {instead}; leave it out")
    named = [[name] if "://" in name else list(map(str, _matches([name]))) for name in given.paths]
    given.paths = [name for names in named for name in names]
    return given


def _probability(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 1:
        raise ArgumentTypeError(f"{text}: a probability lies between 0 and 1")
    return value


def _processes(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= MOST_PROCESSES:
        raise ArgumentTypeError(f"{text}: a number from 1 to {MOST_PROCESSES}")
    return int(text)


def _shard(text: str) -> tuple[int, int]:
    number, _, jobs = text.partition("/")
    if not (number.isdecimal() and jobs.isdecimal() and 1 <= int(number) <= int(jobs)):
        raise ArgumentTypeError(f"{text}: as 3/16, from 1/16 to 16/16")
    return int(number), int(jobs)


def _kinds(text: str) -> tuple[str, ...]:
    kinds = tuple(dict.fromkeys(part.strip().lower() for part in text.split(",")))
    if unknown := [kind for kind in kinds if kind not in KINDS]:
        raise ArgumentTypeError(f"{unknown[0]}: there is no such DICOM result; there are {', '.join(KINDS)}")
    return kinds


def _matches(paths: list[str]) -> list[Path]:
    """The paths, with patterns that no shell has spelled out replaced by what they match."""
    matches: list[Path] = []
    for path in paths:
        is_pattern = glob.has_magic(path) and not Path(path).exists()
        spelled = sorted(glob.glob(path, recursive=True)) if is_pattern else []  # noqa: PTH207, it takes any pattern
        matches.extend(map(Path, spelled or [path]))
    return matches
