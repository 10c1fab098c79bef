"""Makes docs/api: what `import hilum` gives, from its docstrings. `make docs` runs this."""

from __future__ import annotations

import ast
import dataclasses
import inspect
import textwrap
from collections.abc import Iterator
from enum import Enum
from pathlib import Path
from typing import Any

import hilum
from hilum.bundle.predictor import Predictor
from hilum.bundle.reading import Reading
from hilum.evaluation.comparison.compare import ComparisonReport
from hilum.evaluation.doubt.doubt import Doubts, Wrong
from hilum.evaluation.doubt.suspects import Suspect
from hilum.evaluation.drift.report import DriftReport
from hilum.evaluation.evaluate import Report
from hilum.evaluation.robustness.report import RobustnessReport
from hilum.export.ensemble.folds import TrainedFolds
from hilum.export.local.calibrate import LocalBundle
from hilum.export.train import Trained, TrainedSweep

FOLDER = Path(__file__).with_name("api")
# Page by page, what it explains: all of `hilum`, and what these functions return.
PAGES: dict[str, tuple[str, list[Any]]] = {
    "films": ("Films", [hilum.read, hilum.Radiograph, hilum.ReadError, hilum.Reason]),
    "predictions": (
        "Predictions",
        [
            *(hilum.load, Predictor, hilum.Asked, Reading),
            *(hilum.Answered, hilum.Abstained, hilum.Failed, hilum.draw_overlay),
        ],
    ),
    "training": ("Training", [hilum.train, Trained, TrainedSweep, TrainedFolds, hilum.ensemble]),
    "judging": ("Judging", [hilum.evaluate, Report, hilum.compare, ComparisonReport]),
    "calibrating": ("Calibrating", [hilum.calibrate, LocalBundle]),
    "doubt": ("Labels in doubt", [hilum.doubt, Doubts, Wrong, Suspect]),
    "drift": ("Drift", [hilum.drift, DriftReport]),
    "robustness": ("Robustness", [hilum.robustness, RobustnessReport]),
}
HEAD = """# {title}

Made by `make docs` from the docstrings; tests run every example. `hilum.Prediction` is `Answered | Abstained | Failed`,
and `hilum.__version__` is the version.
"""


def page(name: str) -> str:
    title, explained = PAGES[name]
    return "\n".join([HEAD.format(title=title), *(line for each in explained for line in explain(each))])


def explain(thing: Any) -> Iterator[str]:
    public = thing.__name__ in hilum.__all__
    yield f"## {'hilum.' if public else ''}{thing.__name__}\n"
    if inspect.isfunction(thing):
        yield signature(thing, f"hilum.{thing.__name__}")
    yield prose(thing)
    if inspect.isclass(thing):
        yield from members(thing)


def members(kind: type) -> Iterator[str]:
    if issubclass(kind, Enum):
        yield "\n".join(f"- `{kind.__name__}.{each.name}`: `{each.value!r}`" for each in kind) + "\n"
        return
    if dataclasses.is_dataclass(kind):
        yield "\n".join(f"- `{each.name}: {each.type}`" for each in dataclasses.fields(kind)) + "\n"
    for name, member in inspect.getmembers(kind, lambda each: inspect.isfunction(each) or isinstance(each, property)):
        if name.startswith("_") or not member.__doc__:
            continue
        yield f"### {kind.__name__}.{name}\n"
        if inspect.isfunction(member):
            yield signature(member, name)
        yield prose(member)


def signature(function: Any, name: str) -> str:
    """As it is written, an argument a line where it is long; not how Python shows it, with addresses of defaults."""
    node = ast.parse(textwrap.dedent(inspect.getsource(function))).body[0]
    assert isinstance(node, ast.FunctionDef)
    returns = f" -> {ast.unparse(node.returns)}" if node.returns else ""
    arguments = [each for each in written(node.args) if each != "self"]
    line = f"{name}({', '.join(arguments)}){returns}"
    if len(line) > 100:
        line = "\n".join([f"{name}(", *(f"    {each}," for each in arguments), f"){returns}"])
    return f"```python\n{line}\n```\n"


def written(arguments: ast.arguments) -> list[str]:
    """Each argument with its type and default."""
    defaults: list[ast.expr | None] = [*[None] * (len(arguments.args) - len(arguments.defaults)), *arguments.defaults]
    both = [*zip(arguments.args, defaults, strict=True), *zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)]
    lines = [ast.unparse(each) + (f" = {ast.unparse(default)}" if default else "") for each, default in both]
    if arguments.kwonlyargs:
        lines.insert(len(arguments.args), "*")
    return lines


def prose(thing: Any) -> str:
    """The docstring as Markdown: paragraphs as they are, examples in fences."""
    parts = inspect.cleandoc(thing.__doc__).split("\n\n")
    return "\n\n".join(f"```python\n{part}\n```" if part.startswith(">>>") else part for part in parts) + "\n"


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for name in PAGES:
        FOLDER.joinpath(f"{name}.md").write_text(page(name), encoding="utf-8")
