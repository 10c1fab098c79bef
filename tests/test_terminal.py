"""What commands print: text of files and their names is shown and does nothing, and a full disk is one line."""

from __future__ import annotations

import ast
import io
import json
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest
import typer
from bundles import tiny_bundle
from rich.progress import Progress
from rich.table import Table
from rich.text import Text

import hilum as hilum_package
from hilum.cli.terminal.console import Console
from hilum.cli.terminal.errors import one_line
from hilum.cli.terminal.lines import answer, say
from hilum.cli.terminal.table import print_table
from hilum.dataset.manifest.manifest import ManifestError, load_manifest, save_manifest

HOSTILE = "esc\x1b[31mred\x1b]0;title\x07\x9b2J\u202e.dcm"
SHOWN = r"esc\x1b[31mred\x1b]0;title\x07\x9b2J\u202e.dcm"


def hilum(*arguments: str, output: int | None = subprocess.PIPE) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "hilum", *arguments]
    return subprocess.run(command, stdout=output, stderr=subprocess.PIPE, text=True, check=False)


def test_lines_show_what_they_hold(capsys: pytest.CaptureFixture[str]) -> None:
    say(HOSTILE, "a name\nof two lines")
    answer(HOSTILE)
    printed = capsys.readouterr()
    assert printed.err == f"{SHOWN}\na name\\nof two lines\n"
    assert printed.out == f"{SHOWN}\n"


@pytest.mark.parametrize("terminal", [True, False])
def test_a_console_shows_what_it_is_given_in_whatever_form(terminal: bool) -> None:
    written = io.StringIO()
    console = Console(file=written, force_terminal=terminal, width=200, markup=False, highlight=False)
    table = Table("films")
    table.add_row(Text(HOSTILE, "red"))
    console.print(HOSTILE)
    console.print(Text(HOSTILE))
    console.print(table)
    with Progress(console=console) as progress:
        progress.add_task(HOSTILE.replace("[", ""))
    text = written.getvalue()
    assert text.count(SHOWN) == 1
    assert text.count(r"esc\x1b") >= 4
    for harm in ("\x1b]0", "\x07", "\x9b", "\u202e", "\x1b[31mred"):
        assert harm not in text


@pytest.mark.parametrize("terminal", [True, False])
def test_a_table_shows_its_cells(terminal: bool, capsys: pytest.CaptureFixture[str]) -> None:
    written = io.StringIO()
    print_table(["file"], [[HOSTILE]], Console(file=written, force_terminal=terminal, width=100))
    assert SHOWN in written.getvalue() + capsys.readouterr().out


def test_an_error_with_several_problems_has_a_line_for_each(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "one\nname.csv"
    path.write_text("path,sex\na.png,1\nb.png,2\n")
    with pytest.raises(typer.Exit), one_line(ManifestError):
        load_manifest(path)
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 2
    assert all(r"one\nname.csv: row" in line for line in lines)


@pytest.mark.parametrize("arguments", [(HOSTILE,), ("data", "show", "-\x1b"), ("data", "show", HOSTILE)])
def test_what_was_typed_is_shown_in_errors(arguments: tuple[str, ...]) -> None:
    answered = hilum(*arguments)
    assert answered.returncode != 0
    assert r"\x1b" in answered.stderr
    assert "\x1b" not in answered.stderr


def test_a_bundle_cannot_write_to_the_terminal(tmp_path: Path) -> None:
    bundle = tiny_bundle(tmp_path, title=HOSTILE, notes=[HOSTILE], name=HOSTILE)
    for options in ((), ("--md",), ("--json",)):
        shown = hilum("show", str(bundle), *options)
        assert shown.returncode == 0, shown.stderr
        assert not {"\x1b", "\x07", "\x9b", "\u202e"} & set(shown.stdout)
    assert json.loads(shown.stdout)["title"] == HOSTILE


def test_names_like_formulas_come_back_from_a_manifest_s_csv(tmp_path: Path) -> None:
    path = tmp_path / "m.csv"
    names = ["=cmd.png", "-1.png", "@a.png", "plain.png"]
    (tmp_path / "made.csv").write_text("path,patient,label\n" + "".join(f"{name},-12,+a\n" for name in names))
    save_manifest(load_manifest(tmp_path / "made.csv"), path)
    rows = pl.read_csv(path, infer_schema=False)
    assert rows["path"].to_list() == ["'=cmd.png", "'-1.png", "'@a.png", "plain.png"]
    assert rows["label"].to_list() == ["'+a"] * 4
    assert rows["patient"].to_list() == ["-12"] * 4
    assert load_manifest(path).table["path"].to_list() == names
    assert load_manifest(path).table["label"].to_list() == ["+a"] * 4


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
@pytest.mark.parametrize("arguments", [("show",), ("show", "--json"), ("--help",)])
def test_output_that_does_not_fit_is_one_line(arguments: tuple[str, ...]) -> None:
    with Path("/dev/full").open("w") as full:
        answered = hilum(*arguments, output=full.fileno())
    assert answered.returncode == 1
    assert answered.stderr == "standard output: not written: no space left on device; make room or name another place\n"


def test_commands_print_through_what_shows_text_as_text() -> None:
    """Lines by say and answer, rich by our Console; a bare print only of what is escaped already."""
    escaped = {"dumps", "json_text", "printable"}
    exempt = {"app.py": "the version", "table.py": "cells of predict, which it escapes itself"}
    bare = []
    for path in (Path(hilum_package.__file__).parent / "cli").rglob("*.py"):
        if path.parent.name == "terminal" or path.name in exempt:
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.module == "rich.console":
                bare.append(f"{path.name}:{node.lineno}: rich.console")
            elif isinstance(node, ast.Call):
                called = ast.unparse(node.func)
                made_by = {ast.unparse(part.func).split(".")[-1] for part in node.args if isinstance(part, ast.Call)}
                if called == "typer.echo" or (called == "print" and node.args and not made_by & escaped):
                    bare.append(f"{path.name}:{node.lineno}: {called}")
    assert not bare
