"""The `hilum` command itself: it gathers the commands and does nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Annotated, Any

import typer

from hilum.cli.terminal.command import Command, CommandGroup
from hilum.system.text import printable

# One line a command: where its function, or the group of its commands, lies.
COMMANDS = {
    "inspect": "hilum.cli.inspect:inspect",
    "data": "hilum.cli.data.data:data",
    "label": "hilum.cli.label.label:label",
    "train": "hilum.cli.train.train:train",
    "export": "hilum.cli.export:export",
    "ensemble": "hilum.cli.ensemble:ensemble",
    "show": "hilum.cli.show:show",
    "predict": "hilum.cli.app:predict",
    "dicom": "hilum.cli.dicom:dicom",
    "serve": "hilum.cli.service.serve:serve",
    "page": "hilum.cli.service.page:page",
    "watch": "hilum.cli.service.watch:watch",
    "node": "hilum.cli.service.node:node",
    "evaluate": "hilum.cli.evaluate:evaluate",
    "compare": "hilum.cli.compare:compare",
    "calibrate": "hilum.cli.calibrate:calibrate",
    "robustness": "hilum.cli.robustness:robustness",
    "drift": "hilum.cli.drift:drift",
    "runs": "hilum.cli.runs:runs",
    "sweep": "hilum.cli.sweep:sweep",
    "submit": "hilum.cli.challenge.submit:submit",
    "score": "hilum.cli.challenge.score:score",
}


class Commands(CommandGroup):
    """Imports a command when it is asked for: who predicts one film does not wait for the others."""

    def list_commands(self, ctx: Any) -> list[str]:
        """The commands in the order of the work, as the help lists them."""
        return list(COMMANDS)

    def make_context(self, *arguments: Any, **settings: Any) -> Any:
        """As typer's; what was typed stands harmless in its errors."""
        with _usage_errors_as_text():
            return super().make_context(*arguments, **settings)

    def invoke(self, ctx: Any) -> Any:
        """As typer's; what was typed stands harmless in its errors."""
        with _usage_errors_as_text():
            return super().invoke(ctx)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """The command of this name, imported now."""
        if cmd_name not in COMMANDS:  # the error suggests a command that is spelled like it
            self.commands.update({name: _load(name) for name in COMMANDS})
        elif cmd_name not in self.commands:
            self.commands[cmd_name] = _load(cmd_name)
        return self.commands.get(cmd_name)


@contextmanager
def _usage_errors_as_text() -> Iterator[None]:
    """What was typed, or what a shell made of a pattern, stands in errors, and may be the odd name of a file."""
    try:
        yield
    except Exception as error:  # a usage error's class is typer's own or click's, by its version
        if hasattr(error, "format_message") and hasattr(error, "message"):
            error.message = printable(error.message, keep="\n")
        raise


app = typer.Typer(
    name="hilum",
    help="Pneumonia detection on chest radiographs. Research use only, not a medical device.",
    cls=Commands,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


# `hilum predict` parses its arguments itself and is started without typer; here it is listed.
predict = typer.Typer(rich_markup_mode=None)


@predict.command(
    "predict", context_settings={"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []}
)
def _predict(context: typer.Context) -> None:
    """Say which films show pneumonia, with probability and reasons to distrust it."""
    from hilum.cli.predict.command import main

    raise typer.Exit(main(context.args))


def _load(name: str) -> Any:
    module, member = COMMANDS[name].split(":")
    command = getattr(import_module(module), member)
    if not isinstance(command, typer.Typer):
        function, command = command, typer.Typer(rich_markup_mode=None, pretty_exceptions_enable=False)
        command.command(name, cls=Command)(function)
    command.info.name, command._add_completion = name, False
    return typer.main.get_command(command)


def _print_version(wanted: bool) -> None:
    if wanted:
        from hilum import __version__

        print(f"hilum {__version__}")
        raise typer.Exit


@app.callback()
def _hilum(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version and exit.", callback=_print_version, is_eager=True)
    ] = False,
) -> None:
    pass
