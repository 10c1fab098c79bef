"""`hilum page`: hilum as a folder of files for any web host, which judges films in the browser."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hilum.cli.terminal.errors import one_line
from hilum.cli.terminal.extras import need
from hilum.cli.terminal.lines import say


def page(
    folder: Annotated[
        Path, typer.Argument(help="Where to write it; a page that is there already is renewed.", metavar="DIR")
    ],
    model: Annotated[
        list[str] | None,
        typer.Option(
            help="A bundle to judge with, FILE or NAME=FILE; or default, which ships with hilum. Again for more.",
            metavar="MODEL",
        ),
    ] = None,
) -> None:
    """Write hilum as a web page without a server: films are judged in the browser and never leave the computer.

    Any web host over https will do; to try it, `python -m http.server -d DIR` and http://localhost:8000. Once it was
    opened it works without a network. Research use only, not a medical device.
    """
    need("hilum page", "page", "hilum_browser")
    import hilum_browser

    from hilum.bundle.card import BundleError
    from hilum.service.page.site import SiteError, write_site
    from hilum.service.settings import SettingsError, check_model_names

    with one_line(BundleError, SettingsError, SiteError):
        bundles = [_named(each) for each in model or ["default"]]
        check_model_names([name for name, _ in bundles])
        size = write_site(folder, dict(bundles), hilum_browser.FOLDER)
    say(f"{folder}: {size / 1e6:.0f} MB; python -m http.server -d {folder}")


def _named(model: str) -> tuple[str, Path]:
    """The bundle by the name that stands before it or that of its file."""
    from hilum.bundle.shipped import find_bundle

    name, separator, path = model.partition("=")
    found = find_bundle(path if separator else model)
    return name if separator else found.stem, found
