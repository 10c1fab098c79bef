"""`python -m hilum` is the `hilum` command."""

from hilum.cli.app import main

main()
