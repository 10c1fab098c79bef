"""The `hilum` command as a user gives it, without a process of its own: starting one takes longer than most commands.

What holds only for a process (signals, pipes, terminals, what is imported) is tested with one.
"""

from __future__ import annotations

import subprocess
from contextlib import chdir, nullcontext
from pathlib import Path

from typer.testing import CliRunner

from hilum.cli.app import app


def run(*arguments: str | Path, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    """What the command ends in; a bug of ours is raised as it is, where a user would see its traceback."""
    given = [str(argument) for argument in arguments]
    with chdir(cwd) if cwd else nullcontext():
        answer = CliRunner().invoke(app, given, prog_name="hilum")
    if answer.exception is not None and not isinstance(answer.exception, SystemExit):
        raise answer.exception
    return subprocess.CompletedProcess(["hilum", *given], answer.exit_code, answer.stdout, answer.stderr)
