"""`hilum show`: what a bundle says of itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from hilum.cli.terminal.console import Console
from hilum.cli.terminal.errors import one_line
from hilum.system.text import json_text, printable

if TYPE_CHECKING:
    from hilum.bundle.card_page import CardSection

PIPED_WIDTH = 110


def show(
    model: Annotated[
        str,
        typer.Argument(
            help="A bundle, as `hilum export` writes it; or default, which ships with hilum.", metavar="MODEL"
        ),
    ] = "default",
    as_json: Annotated[bool, typer.Option("--json", help="Print the card as one JSON object.")] = False,
    as_md: Annotated[
        bool,
        typer.Option("--md", help="Print a model card as Markdown, with the block of metadata that model hubs read."),
    ] = False,
) -> None:
    """Show the card of a bundle: what it is for, what it was trained on, how good it was, and on what terms."""
    from hilum.bundle.card import BundleError
    from hilum.bundle.card_page import as_markdown, sections
    from hilum.bundle.hub import hub_metadata
    from hilum.bundle.onnx_file import DIGEST, described, parse_card, read_model
    from hilum.bundle.shipped import find_bundle

    with one_line(BundleError):
        path = find_bundle(model)
        metadata = read_model(path)
        card = parse_card(metadata, str(path))
        size = path.stat().st_size
    parts = sections(card, size, metadata[DIGEST])
    if as_json:
        print(json_text(described(metadata, size), indent=1))
    elif as_md:
        print(printable(hub_metadata(card) + as_markdown(card, parts), keep="\n"), end="")
    else:
        console = Console(highlight=False)
        if not console.is_terminal:
            console = Console(highlight=False, width=PIPED_WIDTH)
        console.print(Text(card.title, "bold"))
        for part in parts:
            print_section(part, console)


def print_section(part: CardSection, console: Console) -> None:
    """A part of a card on a terminal."""
    console.print()
    console.print(Text(part.title, "bold cyan"))
    for line in part.lines:
        console.print(Padding(Text(line), (0, 0, 0, 2), expand=False))
    if part.header:
        table = Table(*part.header, box=None, pad_edge=False, header_style="dim")
    else:
        table = Table.grid(padding=(0, 2, 0, 0))
        table.add_column(style="dim", no_wrap=True, min_width=13)
    for row in part.rows:
        table.add_row(*map(Text, row))
    if part.rows:
        console.print(Padding(table, (0, 0, 0, 2), expand=False))
