"""What a manifest must hold, and every way in which one can fail to, row by row."""

from __future__ import annotations

import json
import math
import posixpath
import re
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

import polars as pl

if TYPE_CHECKING:
    from polars._typing import PolarsDataType

TEXT_LIST = pl.List(pl.String())
BOX_LIST = pl.List(pl.List(pl.Float64()))
SCHEMA: dict[str, pl.DataType] = {
    "path": pl.String(),  # relative to the manifest's folder, with forward slashes
    "patient": pl.String(),
    "study": pl.String(),
    "label": pl.String(),  # the class; null where unknown
    "findings": TEXT_LIST,  # all that the source states, lower-case
    "pneumonia": pl.Boolean(),  # whether the label means pneumonia
    "boxes": BOX_LIST,  # [x, y, w, h] in fractions of the upright picture; null: not known, []: known to have none
    "view": pl.String(),
    "sex": pl.String(),  # F or M
    "age": pl.Float64(),  # years
    "source": pl.String(),
    "official_split": pl.String(),  # as published
    "split": pl.String(),  # what hilum trains by: train, val, test or fold0, fold1, ...
    "format": pl.String(),
    "mode": pl.String(),
    "encoding": pl.String(),
    "bits": pl.Int64(),
    "width": pl.Int64(),
    "height": pl.Int64(),
    "file_bytes": pl.Int64(),
    "file_digest": pl.String(),
    "pixel_digest": pl.String(),
    "error": pl.String(),  # why the file cannot be read
}
LISTS = ("findings", "boxes")
ABSOLUTE = re.compile(r"/|[A-Za-z]:")
SPLIT_NAME = r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$"
BOOLEANS = {"true": True, "false": False, "1": True, "0": False}
LISTED_PROBLEMS = 10
Problem = tuple[int, str, str]  # row from 0, column, what is wrong and what to do


class ManifestError(ValueError):
    """A manifest that cannot be used as it stands: one line a problem. It never quotes what may tell of a patient."""

    def __init__(self, *lines: str) -> None:
        super().__init__(*lines)
        self.lines = lines

    def __str__(self) -> str:
        return "\n".join(self.lines)


class Rows(NamedTuple):
    """A table on its way to a manifest, and where it came from for the sake of errors; a CSV file has `lines`."""

    name: str
    table: pl.DataFrame
    lines: list[int] | None = None


def from_text(rows: Rows) -> Rows:
    """The cells of a CSV file turned into what SCHEMA says they are."""
    problems: list[Problem] = []
    columns = []
    for name, dtype in SCHEMA.items():
        if name in rows.table.columns and dtype != pl.String():
            parse, wanted = _parser(name, dtype)
            values = []
            for index, text in enumerate(rows.table[name].to_list()):
                try:
                    values.append(None if text is None else parse(text.strip()))
                except (ValueError, KeyError, OverflowError, RecursionError):
                    values.append(None)
                    problems.append((index, name, wanted))
            if name in LISTS:  # polars decodes checked JSON 20 times faster than it takes nested lists over
                columns.append(pl.Series(name, values, pl.String).str.json_decode(dtype))
            else:
                columns.append(pl.Series(name, values, dtype))
    _raise(rows, problems)
    return rows._replace(table=rows.table.with_columns(columns))


def _parser(name: str, dtype: pl.DataType) -> tuple[Callable[[str], Any], str]:
    if name == "boxes":
        return _json_boxes, "not JSON such as [[0.1, 0.2, 0.3, 0.4]]; write [] for none, leave it empty where unknown"
    if name == "findings":
        return _json_texts, 'not JSON such as ["pneumonia", "bacterial"]; correct it or leave it empty'
    if dtype == pl.Boolean():
        return lambda text: BOOLEANS[text.lower()], "neither true nor false; leave it empty where unknown"
    if dtype == pl.Int64():
        return _int64, "not a whole number; correct it or leave it empty"
    return float, "not a number; correct it or leave it empty"


def _int64(text: str) -> int:
    number = int(text)
    if number.bit_length() > 63:
        raise ValueError
    return number


def _json_boxes(text: str) -> str:
    boxes = json.loads(text)
    if not isinstance(boxes, list) or not all(isinstance(box, list) for box in boxes):
        raise ValueError
    if not all(type(number) in (int, float) for box in boxes for number in box):
        raise ValueError
    return json.dumps([[float(number) for number in box] for box in boxes], allow_nan=False)


def _json_texts(text: str) -> str:
    texts = json.loads(text)
    if not isinstance(texts, list) or not all(isinstance(entry, str) for entry in texts):
        raise ValueError
    encoded = json.dumps(texts, ensure_ascii=False)
    encoded.encode()  # JSON can escape half a surrogate pair, which no text can hold
    return encoded


def with_schema(rows: Rows) -> tuple[pl.DataFrame, tuple[str, ...]]:
    """The columns of SCHEMA in order and of the right type, then the others; absent ones are filled and told of."""
    name, table, _ = rows
    if "path" not in table.columns:
        raise ManifestError(f"{name}: there is no column 'path', the one that a manifest must have; add it")
    notices = []
    if "patient" not in table.columns:
        table = table.with_columns(patient="path")
        notices.append("no column 'patient': every image counts as a patient of its own, so splits may share patients")
    for column, dtype in SCHEMA.items():
        if column not in table.columns:
            table = table.with_columns(pl.lit(None, dtype).alias(column))
        elif not _fits(table[column].dtype, dtype):
            raise ManifestError(
                f"{name}: column {column} holds {table[column].dtype}, where {dtype} is needed; convert it"
            )
    # An empty or blank cell says as little as a null, and a stray blank must not make a second class.
    blanks = [c for c, dtype in SCHEMA.items() if dtype == pl.String() and c not in ("path", "error")]
    extra = [column for column in table.columns if column not in SCHEMA]
    try:
        table = table.select(*(pl.col(column).cast(dtype) for column, dtype in SCHEMA.items()), *extra)
    except pl.exceptions.InvalidOperationError:  # unsigned ones of 64 bits
        raise ManifestError(f"{name}: a column holds whole numbers over 63 bits; convert it") from None
    return table.with_columns(
        pl.col(blanks).str.strip_chars().replace("", None),
        pl.col("findings").fill_null([]),
        pl.col("age").fill_nan(None),
    ), tuple(notices)


def _fits(given: PolarsDataType, wanted: PolarsDataType) -> bool:
    if given == wanted or given == pl.Null():
        return True
    if isinstance(wanted, pl.List):
        return isinstance(given, (pl.List, pl.Array)) and _fits(given.inner, wanted.inner)
    if wanted == pl.String():
        return given.is_integer() or isinstance(given, (pl.Categorical, pl.Enum))
    if wanted == pl.Float64():
        return given.is_numeric()
    return wanted == pl.Int64() and given.is_integer()


def check(rows: Rows) -> None:
    """Refuse what no later stage could make sense of."""
    _raise(rows, sorted(_problems(rows.table), key=lambda problem: problem[0]))


def _problems(table: pl.DataFrame) -> Iterator[Problem]:
    first: dict[str, int] = {}
    for row, path in enumerate(table["path"]):
        if not path:
            yield row, "path", "empty; name the film relative to the manifest's folder"
            continue
        if "\\" in path:
            yield row, "path", "has backslashes; write folder/film.png"
        elif ABSOLUTE.match(path):
            yield row, "path", "absolute; write it relative to the manifest's folder, so that the data set can be moved"
        elif "\0" in path:
            yield row, "path", "holds a NUL character; rename the film"
        before = first.setdefault(posixpath.normpath(path), row)
        if before != row:
            yield row, "path", f"the same film as row {before + 1}; keep one"
    for row in _where(table, pl.col("patient").is_null()):
        yield (
            row,
            "patient",
            "empty; give every film a patient, made up where unknown, so that splits can keep them apart",
        )
    for row in _where(table, ~pl.col("sex").is_in(["F", "M"])):
        yield row, "sex", "neither F nor M; leave it empty where unknown"
    for row in _where(table, ~pl.col("age").is_between(0, 130)):
        yield row, "age", "not within 0 to 130 years; leave it empty where unknown"
    for column in ("official_split", "split"):
        for row in _where(table, ~pl.col(column).str.contains(SPLIT_NAME)):
            yield row, column, "an odd name; use letters, digits, '_', '-' and '.', such as train, val, test or fold0"
    for column in ("bits", "width", "height", "file_bytes"):
        for row in _where(table, pl.col(column) < 0):
            yield row, column, "below zero; leave it empty where unknown"
    for row, boxes in enumerate(table["boxes"].to_list()):
        for box in boxes or ():
            wrong = box_fault(box)
            if wrong:
                yield row, "boxes", wrong


def box_fault(box: list[float | None] | None) -> str | None:
    """What is wrong with a box given in fractions of its picture."""
    if box is None or len(box) != 4 or any(number is None or not math.isfinite(number) for number in box):
        return "a box is not four finite numbers; write [x, y, w, h]"
    x, y, width, height = (number or 0.0 for number in box)
    if width <= 0 or height <= 0:
        return "a box has no width or no height; correct or remove it"
    # Annotators drag boxes a little over the edge; further out it is another unit.
    if min(x, y) < -1 or max(x + width, y + height) > 2:
        return "a box lies outside the picture; write fractions of its width and height, not pixels"
    return None


def _where(table: pl.DataFrame, wrong: pl.Expr) -> list[int]:
    return table.select(wrong.fill_null(False).arg_true()).to_series().to_list()


def _raise(rows: Rows, problems: list[Problem]) -> None:
    if not problems:
        return
    lines = []
    for row, column, what in problems[:LISTED_PROBLEMS]:
        place = f"row {row + 1}" + (f" (line {rows.lines[row]})" if rows.lines else "")
        lines.append(f"{rows.name}: {place}, column {column}: {what}")
    if len(problems) > LISTED_PROBLEMS:
        lines.append(f"{rows.name}: and {len(problems) - LISTED_PROBLEMS:,} more problems")
    raise ManifestError(*lines)
