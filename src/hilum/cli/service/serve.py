"""`hilum serve`: films judged over HTTP."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hilum.cli.service.encryption import Cert, Key
from hilum.cli.terminal.errors import one_line
from hilum.cli.terminal.extras import need
from hilum.cli.terminal.lines import say
from hilum.system.cores import MOST_PROCESSES

if TYPE_CHECKING:
    from hilum.service.films.served import Served

TOKEN = "HILUM_TOKEN"


def serve(
    model: Annotated[
        list[str] | None,
        typer.Option(
            help="A bundle to serve, FILE or NAME=FILE; or default, which ships with hilum. Again for more: "
            "clients ask for them by name, and get the first one else.",
            metavar="MODEL",
        ),
    ] = None,
    host: Annotated[
        str, typer.Option(help="The address to listen on; 0.0.0.0 for all of the machine's.", metavar="NAME")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="The port to listen on.", min=0, max=65535, metavar="N")] = 8000,
    name: Annotated[
        list[str] | None,
        typer.Option(help="A host name under which clients call, beside this machine's own.", metavar="NAME"),
    ] = None,
    token_file: Annotated[
        Path | None,
        typer.Option(
            help="Whoever asks must show what stands in this file, or in the variable HILUM_TOKEN.", metavar="FILE"
        ),
    ] = None,
    cert: Cert = None,
    key: Key = None,
    behind_proxy: Annotated[
        bool, typer.Option("--behind-proxy", help="What stands between clients and this service encrypts.")
    ] = False,
    workers: Annotated[
        int,
        typer.Option(
            help="Server processes on the port; one is enough for many clients.", min=1, max=MOST_PROCESSES, metavar="N"
        ),
    ] = 1,
    processes: Annotated[
        int | None,
        typer.Option(
            help="Processes that judge films, for each worker; as many as cores.",
            min=1,
            max=MOST_PROCESSES,
            metavar="N",
        ),
    ] = None,
    queue: Annotated[
        int, typer.Option(help="Requests that may wait; more are told to try again.", min=1, metavar="N")
    ] = 64,
    max_megabytes: Annotated[int, typer.Option(help="The largest body of a request, in MB.", min=1, metavar="N")] = 100,
    film_seconds: Annotated[
        int, typer.Option(help="Seconds of a core that judging a film may take.", min=1, max=86400, metavar="N")
    ] = 30,
    film_megabytes: Annotated[
        int, typer.Option(help="Memory that judging a film may take, in MB.", min=256, max=1_000_000, metavar="N")
    ] = 2048,
    drift: Annotated[
        Path | None,
        typer.Option(
            help="Keep the watch of drift here from start to start; else it begins anew with each.", metavar="DIR"
        ),
    ] = None,
) -> None:
    """Serve predictions over HTTP: post a film, get what `hilum predict --json` says of it.

    It listens on this machine alone unless told otherwise, and keeps nothing: no film reaches a disk, no name a log.
    Ctrl-C finishes the films at hand and stops. Research use only, not a medical device.
    """
    need("hilum serve", "serve", "fastapi", "uvicorn", "python_multipart", "prometheus_client")
    from hilum.bundle.card import BundleError
    from hilum.bundle.drift.monitor import MonitorError
    from hilum.service.films.process import Limits
    from hilum.service.server import serve as serve_until_stopped
    from hilum.service.settings import LOOPBACK, Settings, SettingsError
    from hilum.system.cores import available_cores
    from hilum.system.database import DatabaseError

    with one_line(BundleError, SettingsError, DatabaseError, MonitorError):
        settings = Settings(
            bundles=tuple(_open(each) for each in model or ["default"]),
            host=host,
            port=port,
            names=LOOPBACK | {host, *(name or ())},
            token=_token(token_file),
            cert=cert,
            key=key,
            behind_proxy=behind_proxy,
            workers=workers,
            processes=processes or max(available_cores() // workers, 1),
            queue=queue,
            max_megabytes=max_megabytes,
            limits=Limits(film_seconds, film_megabytes),
            drift=drift,
        )
        serve_until_stopped(settings, lambda address: say(f"hilum serves on {address}"))


def _open(model: str) -> Served:
    """The bundle, tried, by the name that stands before it or that of its file."""
    from hilum.bundle.predictor import Predictor, load
    from hilum.service.films.served import Served

    name, separator, path = model.partition("=")
    predictor: Predictor = load(path if separator else model, threads=1)
    return Served.of(name if separator else predictor.path.stem, predictor)


def _token(file: Path | None) -> str | None:
    from hilum.service.settings import SettingsError

    token = file.read_text(encoding="utf-8").strip() if file is not None else os.environ.get(TOKEN, "").strip()
    if file is not None and not token:
        raise SettingsError(f"{file}: holds no token")
    return token or None
