"""What it brings if a bundle's gate asks for two lungs (`hilum export --two-lungs`), and what it costs.

The limit is set as an export sets it, on the bundle's own validation films. Of these, of pictures that are to be turned
away (those of gate.py that reach the network), and of films cut or covered so that one lung is missing: how many the
bundle's gate turns away, on how many no two lungs are found, and on how many of those that it lets pass.

    python results/two_lungs.py BUNDLE DATA [--csv FILE] [--films N] [--limit SHARE]

DATA holds kermany-224, nih-adult-256, rsna-256, siim-covid-256, lateral, ...; some minutes of one core, most of them
for the limit, which may be given instead.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import onnx
import onnxruntime
from gate import groups, readable
from numpy.typing import NDArray

import hilum
from hilum.bundle.format import FILMS, GATE
from hilum.bundle.gate import not_upright, plain_checks
from hilum.bundle.predictor import Predictor
from hilum.export.gate.learning import TURNED_LIMIT
from hilum.export.gate.two_lungs import MOST, learn_two_lungs, shares_of_lung
from hilum.export.start import open_start
from hilum.network.network import Network
from hilum.training.prepare import network_of

Films = NDArray[np.uint8]
Bools = NDArray[np.bool_]
SEED = 1
SICK = {"Lung Opacity", "Typical Appearance", "Indeterminate Appearance", "Atypical Appearance"}
# Where films lie, and the column of images.csv that says what they show.
TABLES = {"nih-adult-256": "rsna_class", "rsna-256": "rsna_class", "siim-covid-256": "study_class"}


class Line(NamedTuple):
    """One group of pictures and what became of them."""

    group: str
    should: str  # "turn away" or "pass"
    pictures: int
    gate: int  # turned away by it
    no_two_lungs: int
    new: int  # of the latter, those that the gate lets pass
    least_share: float  # of lung in the emptier half, a hundredth of the films have less
    median_share: float


class Judges(NamedTuple):
    """What judges pictures (n, height, width): which of them the gate turns away, and how much is lung."""

    gate: Callable[[Films], Bools]
    shares: Callable[[Films], NDArray[np.float64]]


def main() -> None:
    parser = argparse.ArgumentParser(description="What it brings and costs if a gate asks for two lungs.")
    parser.add_argument("bundle")
    parser.add_argument("data", type=Path)
    parser.add_argument("--csv", type=Path)
    parser.add_argument("--limit", type=float, help="of an export, instead of setting one")
    parser.add_argument("--films", type=int, default=150, help="at most, of each group")
    given = parser.parse_args()
    model = hilum.load(given.bundle)
    known = {name: paths_of(model, given.data, sick) for name, sick in (("pneumonia", True), ("others", False))}
    start = open_start(given.bundle)
    network = network_of(start.recipe, "none")
    network.load_state_dict(start.weights)
    network.eval()
    limit = given.limit or limit_of(model, network, known)
    print(f"limit {limit:.4f}", flush=True)
    judges = judges_of(model, network)
    lines = []
    for group, should, films in pictures(model, given.data, known, given.films):
        line = line_of(group, should, films, judges, limit)
        lines.append(line)
        print(*line, sep="; ", flush=True)
    if given.csv:
        with given.csv.open("w", newline="", encoding="utf-8") as file:
            table = csv.writer(file, lineterminator="\n")
            table.writerow(Line._fields)
            table.writerows(lines)


def limit_of(model: Predictor, network: Network, known: dict[str, dict[str, list[Path]]]) -> float:
    """As an export sets it."""
    random, own = np.random.default_rng(SEED), model.card.gate
    assert own is not None
    films = {name: films_of(model, drawn(paths, MOST, random)) for name, paths in known.items()}
    _, card = learn_two_lungs(network, own, films, SEED, on_progress=lambda done, total: None)
    assert card.two_lungs is not None
    print(card.two_lungs)
    return card.two_lungs.limit


def paths_of(model: Predictor, data: Path, sick: bool) -> dict[str, list[Path]]:
    """Validation films of the bundle by their source, with pneumonia or without."""
    found: dict[str, list[Path]] = {}
    for path, shows in labeled(data):
        digest = hashlib.blake2b(path.read_bytes(), digest_size=16).hexdigest()
        if shows == sick and model.card.data.holds(digest) == "val":
            found.setdefault(path.relative_to(data).parts[0], []).append(path)
    return found


def labeled(data: Path) -> Iterator[tuple[Path, bool]]:
    for path in sorted((data / "kermany-224" / "train").glob("*/*.jpeg")):
        yield path, path.parent.name == "PNEUMONIA"
    for folder, column in TABLES.items():
        with (data / folder / "images.csv").open(encoding="utf-8", newline="") as file:
            for row in csv.DictReader(file):
                if row[column] and row.get("part", "film") == "film":
                    yield data / folder / row["image"], row[column] in SICK


def drawn(paths: dict[str, list[Path]], most: int, random: np.random.Generator) -> list[Path]:
    """At most so many, of all sources in their shares."""
    every = [path for own in paths.values() for path in own]
    return [every[place] for place in random.permutation(len(every))[:most]]


def films_of(model: Predictor, paths: list[Path]) -> Films:
    return np.stack([model.card.geometry.apply(film.pixels) for film in readable(paths)])


def judges_of(model: Predictor, network: Network) -> Judges:
    graph = onnx.load(model.path)
    for output in [output for output in graph.graph.output if output.name != GATE]:
        graph.graph.output.remove(output)  # so that nothing is computed for it
    session = onnxruntime.InferenceSession(graph.SerializeToString(), providers=["CPUExecutionProvider"])

    def gate(films: Films) -> Bools:
        return turned_away(np.concatenate([session.run([GATE], {FILMS: part[:, None]})[0] for part in parts(films)]))

    def shares(films: Films) -> NDArray[np.float64]:
        return np.concatenate([shares_of_lung(network, part) for part in parts(films)])

    return Judges(gate, shares)


def turned_away(rows: NDArray[np.float32]) -> Bools:
    return np.array([row[0] > 1 or not_upright(row) > TURNED_LIMIT for row in rows])


def parts(films: Films) -> Iterator[Films]:
    yield from (films[start : start + 16] for start in range(0, len(films), 16))


def line_of(group: str, should: str, films: Films, judges: Judges, limit: float) -> Line:
    away, share = judges.gate(films), judges.shares(films)
    none = share < limit
    least, median = np.quantile(share, [0.01, 0.5]).round(4).tolist()
    return Line(group, should, len(films), int(away.sum()), int(none.sum()), int((none & ~away).sum()), least, median)


def pictures(
    model: Predictor, data: Path, known: dict[str, dict[str, list[Path]]], most: int
) -> Iterator[tuple[str, str, Films]]:
    random, whole = np.random.default_rng(SEED), []
    for kind in ("pneumonia", "others"):
        for source, paths in known[kind].items():
            films = films_of(model, drawn({source: paths}, most, random))
            whole.append(films[: most // 5])
            yield f"validation, {source}, {kind}", "pass", films
    for change, changed in changes().items():
        yield f"films with {change}", "turn away", np.stack([changed(film) for films in whole for film in films])
    geometry = model.card.geometry
    for should, group, shown in groups(model, data, most // 5):
        if should == "turn away":
            reached = [geometry.apply(picture.pixels) for picture in shown if plain_checks(picture) is None]
            if reached:
                yield group, should, np.stack(reached)
    for name, pattern in (("lateral films", "l-*.jpg"), ("coronal slices", "coronal-*.jpg")):
        yield name, "turn away", films_of(model, sorted((data / "lateral").glob(pattern)))


def changes() -> dict[str, Callable[[Films], Films]]:
    """What may be missing of a film, or how it may be turned."""

    def kept(top: float, bottom: float, left: float, right: float) -> Callable[[Films], Films]:
        def cut(film: Films) -> Films:
            height, width = film.shape
            part = film[round(top * height) : round(bottom * height), round(left * width) : round(right * width)]
            return np.asarray(cv2.resize(part, (width, height), interpolation=cv2.INTER_LINEAR), np.uint8)

        return cut

    def covered(level: int) -> Callable[[Films], Films]:
        def cover(film: Films) -> Films:
            changed = film.copy()
            changed[:, : film.shape[1] // 2] = level
            return changed

        return cover

    def turned(degrees: float) -> Callable[[Films], Films]:
        def turn(film: Films) -> Films:
            height, width = film.shape
            matrix = cv2.getRotationMatrix2D((width / 2, height / 2), degrees, 1.0)
            return np.asarray(cv2.warpAffine(film, matrix, (width, height)), np.uint8)

        return turn

    return {
        "the left half alone": kept(0, 1, 0, 0.5),
        "the right half alone": kept(0, 1, 0.5, 1),
        "the left two thirds alone": kept(0, 1, 0, 0.67),
        "the upper half alone": kept(0, 0.5, 0, 1),
        "the lower half alone": kept(0.5, 1, 0, 1),
        "the left half black": covered(0),
        "the left half white": covered(255),
        "30 degrees of turning": turned(30),
    }


if __name__ == "__main__":
    main()
