"""Commands and groups of them that typer runs, with help pages and usage errors as plain text.

typer's own pages draw boxes around everything, which break names of files in errors, and change with its versions.
"""

from __future__ import annotations

from typing import Any

from typer.core import TyperCommand, TyperGroup

from hilum.cli.terminal.help import Rows, help_page


class Command(TyperCommand):
    """One command; its epilog, if it has one, is a section: a title, and lines of `term: text`."""

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        """The usage line: options by one word, arguments by theirs."""
        return ["[OPTIONS]", *(term for term, _ in _arguments(self, ctx))]

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """The command's page, with the sections that its epilog holds."""
        title, *lines = (self.epilog or "").split("\n")
        terms = [(term, text) for term, _, text in (line.partition(": ") for line in lines)]
        formatter.write(_page(self, ctx, {"Arguments": _arguments(self, ctx), title: terms}))


class CommandGroup(TyperGroup):
    """Commands under one name."""

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        """The usage line of all that has commands under it."""
        return ["[OPTIONS]", "COMMAND", "..."]

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """The page that lists the commands, each by its first sentence."""
        commands: dict[str, Any] = {name: self.get_command(ctx, name) for name in self.list_commands(ctx)}
        rows = [(name, " ".join(command.help.split("\n\n")[0].split())) for name, command in commands.items()]
        formatter.write(_page(self, ctx, {"Commands": rows}))


def _page(command: Any, context: Any, sections: dict[str, Rows]) -> str:
    usage = " ".join([context.command_path, *command.collect_usage_pieces(context)])
    shown = {title: rows for title, rows in sections.items() if rows}
    return help_page(usage, command.help, shown | {"Options": _options(command, context)})


def _arguments(command: Any, context: Any) -> Rows:
    rows = []
    for parameter in command.get_params(context):
        if parameter.param_type_name == "argument":
            term = f"{parameter.metavar}{'' if parameter.nargs == 1 else '...'}"
            meaning = _meaning(parameter, context).removesuffix(" [required]")
            rows.append((term if parameter.required else f"[{term}]", meaning))
    return rows


def _options(command: Any, context: Any) -> Rows:
    rows = []
    for parameter in command.get_params(context):
        if parameter.param_type_name == "option":
            names = ", ".join(sorted(parameter.opts, key=len))
            rows.append((f"{names} {parameter.metavar or ''}".rstrip(), _meaning(parameter, context)))
    return rows


def _meaning(parameter: Any, context: Any) -> str:
    """Its help with what typer adds: the default, the range, whether it must be there."""
    _, text = parameter.get_help_record(context)
    return " ".join(text.split())
