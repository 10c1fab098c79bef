"""Help pages: every command and option says what it is for, all look alike, and all stand in the docs."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from commands import run

from hilum.cli.app import app

ROOT = Path(__file__).parents[1]
DOCS = "\n".join(page.read_text(encoding="utf-8") for page in (ROOT / "README.md", *sorted(ROOT.glob("docs/*.md"))))
# What a value is, in one word that is the same everywhere; or the choices themselves.
METAVARS = {
    *(
        "DATA",
        "WHO",
        "FILE",
        "DIR",
        "PATH",
        "MODEL",
        "MANIFEST",
        "MANIFEST|DIR",
        "RUN",
        "AUDIT",
        "SUBMISSION",
        "[KIND] PATH",
    ),
    *("NAME", "COLUMN", "KIND", "RECIPE", "DEVICE", "N", "P", "SHARE", "SIZE", "I/N", "ADDRESS"),
}


def commands(group: Any, names: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    context = typer.Context(group, info_name="hilum")
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        yield (*names, name)
        if hasattr(command, "list_commands"):
            yield from commands(command, (*names, name))


COMMANDS = [(), *commands(typer.main.get_command(app))]


OPTION = re.compile(r"(?:-\w, )?(?P<name>--[a-z0-9-]+)(?: (?P<value>.+))?")


def page(names: tuple[str, ...], columns: int, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("COLUMNS", str(columns))
    answer = run(*names, "--help")
    assert answer.returncode == 0
    return answer.stdout


def section(text: str, title: str) -> dict[str, str]:
    """The terms of a section of a page, with what is said of each."""
    body = text.partition(f"\n{title}:\n")[2].partition("\n\n")[0]
    entries = [re.split(r"\n|  ", entry, maxsplit=1) for entry in re.split(r"^  (?=\S)", body, flags=re.MULTILINE)[1:]]
    return {term: " ".join(meaning.split()) for term, meaning in entries}


def options(text: str) -> dict[str, str | None]:
    """The long names of a page's options, with what their values are called."""
    found = [OPTION.fullmatch(term) for term in section(text, "Options")]
    assert all(found)
    return {option["name"]: option["value"] for option in found if option}


@pytest.mark.parametrize("group", [(), ("data",)], ids=["hilum", "hilum data"])
def test_every_command_is_listed_by_its_name_with_what_it_does(
    group: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    listed = section(page(group, 80, monkeypatch), "Commands")
    assert list(listed) == [names[-1] for names in COMMANDS if names and names[:-1] == group]
    assert all(meaning.endswith(".") for meaning in listed.values())
    assert group or "predict" in listed


@pytest.mark.parametrize("names", COMMANDS, ids=" ".join)
def test_help_pages_are_of_one_kind(names: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    text = page(names, 80, monkeypatch)
    assert text.startswith(" ".join(["Usage: hilum", *names, "[OPTIONS]"]))
    assert max(map(len, text.splitlines())) <= 80
    assert max(map(len, page(names, 60, monkeypatch).splitlines())) <= 60
    assert list(section(text, "Options").items())[-1] == ("-h, --help", "Show this message and exit.")
    for term, meaning in (section(text, "Arguments") | section(text, "Options")).items():
        assert re.search(r"\.( \[.+\])?$", meaning), f"{term} has no sentence that says what it is for"
    for name, value in options(text).items():
        known = value is None or value in METAVARS or "=" in value or value.islower()
        assert known, f"what {name} takes is called {value} by no other command"
        if value == "N" and names != ("predict",):
            meaning = section(text, "Options")[next(term for term in section(text, "Options") if f"{name} N" in term)]
            assert "x>=" in meaning or "<=x" in meaning, f"{name} takes any number"


@pytest.mark.parametrize("names", COMMANDS, ids=" ".join)
def test_every_command_and_option_stands_in_the_docs(names: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    assert " ".join(["hilum", *names]) in DOCS
    for name in options(page(names, 80, monkeypatch)):
        known_to_all = name in ("--help", "--version", "--install-completion", "--show-completion")
        assert known_to_all or re.search(rf"{name}(?![a-z-])", DOCS), f"{name} stands in no page of the docs"


@pytest.mark.parametrize("command", [("predict",), ("inspect",), ("data", "split")], ids=" ".join)
def test_what_is_misspelt_ends_in_plain_lines(command: tuple[str, ...]) -> None:
    answer = run(*command, "--no-such-option")
    assert answer.returncode == 2
    first, advice, empty, error = answer.stderr.splitlines()
    assert first.startswith(f"Usage: hilum {' '.join(command)} [OPTIONS] ")
    assert (advice, empty) == (f"Try 'hilum {' '.join(command)} -h' for help.", "")
    assert error.startswith("Error: ")
