"""`hilum show`: the card of a bundle for people and for programs."""

from __future__ import annotations

import json
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest
from bundles import tiny_bundle
from typer.testing import CliRunner, Result

from hilum.bundle.card import Calibration, DataCard, pack_digests
from hilum.bundle.onnx_file import DIGEST, read_model
from hilum.cli.app import app


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    counts = {"train": {"normal": 1234, "viral": 66}, "val": {"normal": 40}}
    return tiny_bundle(
        tmp_path,
        calibration=Calibration("platt", 1.0, [1.25, -0.5], [], {"log_loss_before": 0.5, "log_loss_after": 0.25}),
        data=DataCard(
            *("ab" * 16, counts, {"train": 1000, "val": 40}, "kermany", "CC BY 4.0", "name the authors", "patient"),
            {"train": pack_digests(["cd" * 16])},
        ),
        figures={"validation": {"films": 40.0, "auc": 0.91234}, "training": {"epoch": 3.0, "epochs": 6.0}},
        notes=["int8: on 40 validation films auc 0.9130 -> 0.9123."],
    )


def show(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, ["show", *map(str, arguments)], env={"COLUMNS": "110"})


def test_a_person_reads_what_matters(bundle: Path) -> None:
    answer = show(bundle)
    assert answer.exit_code == 0, answer.output
    for words in (
        "normal, pneumonia (positive)",
        "1,300 films of 1,000 patients (1,234 normal, 66 viral)",
        "CC BY 4.0",
        "name the authors",
        "patient; no patient is in both",
        "balanced (default)",
        "0.5000",
        "0.2000",
        "0.5000 before, 0.2500 after",
        "Platt's sigmoid",
        "class activation map",
        "0.9123",
        "1.0% of validation",
        "epoch 3 of 6",
        "int8: on 40 validation films",
        "knows nothing",
        read_model(bundle)[DIGEST],
    ):
        assert words in answer.stdout, words
    assert "\x1b" not in answer.stdout, "no colors in a pipe"
    assert max(map(len, answer.stdout.splitlines())) <= 110


def test_a_program_reads_the_card(bundle: Path) -> None:
    answer = show(bundle, "--json")
    values = json.loads(answer.stdout)
    assert values["operating_points"][0]["threshold"] == 0.5
    assert values["data"]["counts"]["train"] == {"normal": 1234, "viral": 66}
    assert values["file_bytes"] == bundle.stat().st_size
    assert values["digest"] == read_model(bundle)[DIGEST]
    assert "films" not in values["data"]


def test_markdown_tables_have_even_rows(bundle: Path) -> None:
    lines = show(bundle, "--md").stdout.splitlines()
    assert lines[lines.index("---", 1) + 1] == "# A network made by hand"
    tables = [line for line in lines if line.startswith("|")]
    assert len(tables) > 20
    for before, line in pairwise(lines):
        if before.startswith("|") and line.startswith("|"):
            assert before.count("|") == line.count("|")


def test_no_gate_and_no_heatmap_are_said(tmp_path: Path) -> None:
    answer = show(tiny_bundle(tmp_path, heatmaps=False, gate=False))
    assert "none: for a test" in answer.stdout
    assert "every picture is answered" in answer.stdout


def test_what_is_no_bundle_ends_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("nothing")
    for path, words in ((tmp_path / "notes.txt", "not an ONNX file"), (tmp_path / "none.onnx", "No such file")):
        answer = show(path)
        assert answer.exit_code == 1
        assert answer.stderr.count("\n") == 1 and words in answer.stderr and str(path) in answer.stderr


def test_showing_a_card_loads_neither_torch_nor_onnxruntime(bundle: Path) -> None:
    code = (
        "import sys; from hilum.cli.show import show; "
        f"show(__import__('pathlib').Path({str(bundle)!r}), True, False); "
        "print(sorted({'torch', 'onnx', 'onnxruntime', 'polars'} & set(sys.modules)), file=sys.stderr)"
    )
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert answer.stderr.strip() == "[]"
