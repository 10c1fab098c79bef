"""`hilum data`: from folders of films to a manifest that training can trust. This page only gathers the commands."""

from __future__ import annotations

import typer

from hilum.cli.data.audit import audit
from hilum.cli.data.card import card
from hilum.cli.data.doubt import doubt
from hilum.cli.data.drop import drop
from hilum.cli.data.export import export
from hilum.cli.data.fetch import fetch
from hilum.cli.data.importing import KINDS, import_
from hilum.cli.data.merge import merge
from hilum.cli.data.phantom import phantom
from hilum.cli.data.show import show
from hilum.cli.data.split import split
from hilum.cli.data.store import store
from hilum.cli.terminal.command import Command, CommandGroup
from hilum.cli.terminal.extras import need

data = typer.Typer(
    help="Make, check and split data sets.", cls=CommandGroup, no_args_is_help=True, rich_markup_mode=None
)
data.command(cls=Command)(phantom)
data.command(cls=Command)(fetch)
data.command("import", cls=Command, epilog=KINDS)(import_)
data.command(cls=Command)(show)
data.command(cls=Command)(audit)
data.command(cls=Command)(doubt)
data.command(cls=Command)(drop)
data.command(cls=Command)(split)
data.command(cls=Command)(merge)
data.command(cls=Command)(store)
data.command(cls=Command)(export)
data.command(cls=Command)(card)


@data.callback()
def _data() -> None:
    """Make, check and split data sets."""
    need("hilum data", "data", "polars")
