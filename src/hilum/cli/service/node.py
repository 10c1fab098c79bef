"""`hilum node`: a DICOM node that judges films and sends results, and what is in its queue."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hilum.cli.terminal.command import Command, CommandGroup
from hilum.cli.terminal.errors import one_line
from hilum.cli.terminal.extras import need
from hilum.cli.terminal.lines import answer, say

if TYPE_CHECKING:
    from hilum.node.queue import Queue
    from hilum.node.spool import Spool

Settings = Annotated[Path, typer.Argument(help="The node's settings; docs/node.md lists them.", metavar="NODE.toml")]
Insecure = Annotated[
    bool, typer.Option("--insecure", help="Allow connections to other machines that are not encrypted.")
]


class Node(CommandGroup):
    """Runs the node where no other command is named."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """As typer's, with `run` before a file."""
        if args and not args[0].startswith("-") and args[0] not in self.commands:
            args = ["run", *args]
        return super().parse_args(ctx, args)


node = typer.Typer(
    help="Run a DICOM node: films come in by C-STORE, results go back.",
    cls=Node,
    no_args_is_help=True,
    rich_markup_mode=None,
)


@node.callback()
def _node() -> None:
    """Run a DICOM node: films come in by C-STORE, are judged, and results go to the archives that its settings name.

    `hilum node NODE.toml` runs it until Ctrl-C; it may be killed at any moment and loses no film. The other commands
    look into its queue, whether it runs or not. Research use only, not a medical device.
    """


@node.command(cls=Command)
def run(settings: Settings, insecure: Insecure = False) -> None:
    """Run the node until Ctrl-C; `hilum node NODE.toml` does the same."""
    need("hilum node", "dicom", "pynetdicom", "highdicom")
    import warnings

    from hilum.bundle.card import BundleError
    from hilum.bundle.drift.monitor import MonitorError
    from hilum.node.node import run as run_node
    from hilum.node.settings.node import NodeError, load_settings
    from hilum.system.database import DatabaseError

    stopped = Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopped.set())
    # pydicom's and pynetdicom's warnings can quote what stands in a film.
    warnings.simplefilter("ignore")
    with one_line(NodeError, BundleError, MonitorError, DatabaseError):
        loaded = load_settings(settings, insecure=insecure)
        if loaded.http is not None:
            need("[http] of hilum node", "serve", "fastapi", "uvicorn", "prometheus_client", "python_multipart")
        if any(archive.dicomweb for archive in loaded.catch_up):
            need("[[catch_up]] by dicomweb", "serve", "python_multipart")
        run_node(loaded, stopped)


@node.command(cls=Command)
def status(settings: Settings) -> None:
    """Say how many films there are in which state, what waits for which target, and list dead letters."""
    from hilum.node.drift import standings

    with _queue(settings) as (spool, queue):
        counts = queue.counts()
        answer("films: " + ", ".join(f"{count:,} {state}" for state, count in counts.items()))
        for target, (count, reason) in queue.to_send().items():
            answer(f"target {target}: {count:,} results wait{f'; {reason}' if reason else ''}")
        for line in standings(spool.folder):
            answer(line)
        for letter in queue.dead_letters():
            answer(f"film {letter.number}: dead letter: {letter.reason}")


@node.command(cls=Command)
def retry(
    settings: Settings,
    films: Annotated[
        list[int] | None, typer.Argument(help="Their numbers; all if none is named.", metavar="FILM")
    ] = None,
) -> None:
    """Try dead letters again: what was judged is sent, the rest is judged first."""
    with _queue(settings) as (_, queue):
        tried = sum(queue.retry(film) for film in films) if films else queue.retry(None)
        answer(f"{tried:,} films are tried again")
    if films and tried < len(set(films)):
        say("the others are no dead letters; hilum node status lists them")
        raise typer.Exit(1)


@node.command(cls=Command)
def drop(
    settings: Settings,
    films: Annotated[list[int], typer.Argument(help="Their numbers, as status lists them.", metavar="FILM")],
) -> None:
    """Give dead letters up: the films and what was made of them are deleted."""
    with _queue(settings) as (spool, queue):
        for film in films:
            if not queue.drop(film):
                say(f"film {film}: is no dead letter; hilum node status lists them")
                raise typer.Exit(1)
            spool.remove(film)
            answer(f"film {film}: dropped")


@node.command(cls=Command)
def mercure(
    films: Annotated[
        Path, typer.Argument(help="Where mercure puts the films and task.json.", metavar="IN", envvar="MERCURE_IN_DIR")
    ],
    out: Annotated[Path, typer.Argument(help="Where it takes results from.", metavar="OUT", envvar="MERCURE_OUT_DIR")],
) -> None:
    """Judge a folder of films as a module of mercure: DICOM results and result.json go into another folder."""
    need("hilum node mercure", "dicom", "pynetdicom", "highdicom")
    import warnings

    from hilum.bundle.card import BundleError
    from hilum.node.mercure import run_module
    from hilum.node.settings.node import NodeError

    warnings.simplefilter("ignore")  # see run
    with one_line(NodeError, BundleError, OSError):
        said = run_module(films, out)
    unread = sum(film["error"] is not None for film in said["films"])
    answer(f"{len(said['films'])} films judged" + (f", of which {unread} could not be read" if unread else ""))
    if unread == len(said["films"]):
        raise typer.Exit(1)


@contextmanager
def _queue(path: Path) -> Iterator[tuple[Spool, Queue]]:
    from hilum.node.queue import FILE, Queue
    from hilum.node.settings.node import NodeError, load_settings
    from hilum.node.spool import Spool
    from hilum.system.database import DatabaseError

    with one_line(NodeError, DatabaseError):
        spool = Spool(Path(load_settings(path, insecure=True).spool))
        if not (spool.folder / FILE).exists():
            raise NodeError(f"{spool.folder}: no spool of a node yet; hilum node {path} makes it")
        with Queue(spool.folder) as queue:
            yield spool, queue
