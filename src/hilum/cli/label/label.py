"""`hilum label`: this page only gathers its commands. What is no command's name is what is to be read."""

from __future__ import annotations

from typing import Any

import typer

from hilum.cli.label.adopt import adopt
from hilum.cli.label.exchange import export, import_
from hilum.cli.label.read import read
from hilum.cli.terminal.command import Command, CommandGroup
from hilum.cli.terminal.extras import need

HELP = """Read films, and make a manifest of what readers said.

`hilum label DATA --out DIR` is short for `hilum label read DATA --out DIR`.
"""


class ReadUnlessNamed(CommandGroup):
    """Takes `hilum label FILMS` for `hilum label read FILMS`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """As typer's, with the command put in that is meant."""
        if args and args[0] not in (*self.commands, *ctx.help_option_names):
            args = ["read", *args]
        return list(super().parse_args(ctx, args))


label = typer.Typer(help=HELP, cls=ReadUnlessNamed, no_args_is_help=True, rich_markup_mode=None)
label.command(cls=Command)(read)
label.command(cls=Command)(adopt)
label.command("import", cls=Command)(import_)
label.command(cls=Command)(export)


@label.callback()
def _label() -> None:
    need("hilum label", "label", "polars", "fastapi", "uvicorn", "python_multipart", "prometheus_client")
