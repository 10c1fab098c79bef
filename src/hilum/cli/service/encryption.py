"""Options of every command that may listen on an address which others reach."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Cert = Annotated[
    Path | None, typer.Option(help="Encrypt with this certificate, and those that vouch for it.", metavar="FILE")
]
Key = Annotated[Path | None, typer.Option(help="The certificate's key, if not in its file.", metavar="FILE")]
