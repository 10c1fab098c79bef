"""Runs docs/quickstart.ipynb from top to bottom in an empty folder and keeps what it shows, without Jupyter."""

from __future__ import annotations

import ast
import base64
import contextlib
import io
import json
import os
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

NOTEBOOK = Path(__file__).with_name("quickstart.ipynb")


def run_cell(source: str, names: dict[str, Any]) -> list[dict[str, Any]]:
    """What a code cell prints and shows; a command that Jupyter would give to the shell must succeed."""
    if source.startswith("!"):
        return [_printed("".join(_command(line[1:].format_map(names)) for line in source.splitlines()))]
    *before, last = ast.parse(source).body
    shown: Any = None
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        if isinstance(last, ast.Expr):
            exec(compile(ast.Module(before, []), "cell", "exec"), names)
            shown = eval(compile(ast.Expression(last.value), "cell", "eval"), names)
        else:
            exec(compile(source, "cell", "exec"), names)
    outputs = [_printed(printed.getvalue())] if printed.getvalue() else []
    return outputs if shown is None else [*outputs, _shown(shown)]


def _command(line: str) -> str:
    program, *arguments = shlex.split(line)
    assert program == "hilum"
    done = subprocess.run([sys.executable, "-m", "hilum", *arguments], stdout=subprocess.PIPE, text=True, check=True)
    return done.stdout


def _printed(text: str) -> dict[str, Any]:
    return {"output_type": "stream", "name": "stdout", "text": text.splitlines(keepends=True)}


def _shown(value: Any) -> dict[str, Any]:
    data: dict[str, Any] = {"text/plain": [type(value).__name__]}
    if html := getattr(value, "_repr_html_", lambda: None)():
        data["text/html"] = html.splitlines(keepends=True)
    elif png := getattr(value, "_repr_png_", lambda: None)():
        data["image/png"] = base64.b64encode(png).decode()
    else:
        data["text/plain"] = repr(value).splitlines(keepends=True)
    return {"output_type": "display_data", "metadata": {}, "data": data}


def run_all(notebook: dict[str, Any]) -> None:
    """Put what each cell shows beneath it; the current folder is where it works."""
    names: dict[str, Any] = {}
    code = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    for number, cell in enumerate(code, 1):
        cell["outputs"] = run_cell("".join(cell["source"]), names)
        cell["execution_count"] = number


if __name__ == "__main__":
    made = json.loads(NOTEBOOK.read_text(encoding="utf-8"))
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        os.environ["HILUM_HOME"] = f"{folder}/home"
        run_all(made)
    NOTEBOOK.write_text(json.dumps(made, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
