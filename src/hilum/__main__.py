"""The `hilum` command, also as `python -m hilum`."""

from __future__ import annotations

import io
import os
import sys


def main() -> None:
    """Judging a film must not wait for what only other commands need: typer alone takes longer to import than NumPy."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # letters that the terminal has not are written out
    try:
        try:
            _run(sys.argv[1:])
        finally:
            sys.stdout.flush()
    except BrokenPipeError:  # `hilum ... | head` closes the pipe early, which is no fault
        sys.stderr.close()
        sys.exit(141)
    except OSError as error:
        from hilum.system.files import FULL, not_written

        # Whatever writes a file names it in its errors; what is left is what was printed.
        if error.filename is not None or error.errno not in FULL:
            raise
        print(f"standard output: {not_written(error, '').strerror}", file=sys.stderr)
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # else what is left to print fails once more
        sys.exit(1)


def _run(arguments: list[str]) -> None:
    if arguments[:1] == ["predict"]:
        from hilum.cli.predict.command import main as predict

        sys.exit(predict(arguments[1:]))
    from hilum.cli.app import app

    app()


if __name__ == "__main__":
    main()
