"""`hilum dicom`: what there is to do with DICOM results."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hilum.cli.terminal.command import Command, CommandGroup
from hilum.cli.terminal.lines import answer, say

dicom = typer.Typer(
    help="Show DICOM results, as `hilum predict --dicom` writes them.",
    cls=CommandGroup,
    no_args_is_help=True,
    rich_markup_mode=None,
)


@dicom.callback()
def _dicom() -> None:
    """Show DICOM results, as `hilum predict --dicom` writes them."""


@dicom.command(cls=Command)
def show(
    file: Annotated[
        Path, typer.Argument(help="A report, presentation state, capture, map or segmentation.", metavar="FILE")
    ],
) -> None:
    """Print what a DICOM result says, for people; nothing of the patient is printed."""
    from pydicom import dcmread
    from pydicom.errors import InvalidDicomError

    from hilum.output.dicom.show import in_lines
    from hilum.radiograph.dicom.header import HEADER_ERRORS
    from hilum.radiograph.quiet import quiet

    try:
        with quiet():
            lines = list(in_lines(dcmread(file, stop_before_pixels=True)))
    except InvalidDicomError:
        say(f"{file}: is no DICOM file")
        raise typer.Exit(1) from None
    except OSError as error:
        say(f"{file}: {error.strerror or 'cannot be read'}")
        raise typer.Exit(1) from None
    except HEADER_ERRORS as error:
        say(f"{file}: is damaged ({type(error).__name__})")
        raise typer.Exit(1) from None
    answer(*lines)
