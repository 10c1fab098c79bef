"""The `hilum` command, also as `python -m hilum`."""

from __future__ import annotations

import sys


def main() -> None:
    """Judging a film must not wait for what only other commands need: typer alone takes longer to import than NumPy."""
    try:
        if sys.argv[1:2] == ["predict"]:
            from hilum.cli.predict import main as predict

            sys.exit(predict(sys.argv[2:]))
        from hilum.cli.app import app

        app()
    except BrokenPipeError:  # `hilum ... | head` closes the pipe early, which is no fault
        sys.stderr.close()
        sys.exit(141)


if __name__ == "__main__":
    main()
