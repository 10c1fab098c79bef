"""Whatever a bundle holds, opening it ends soon, in a network or in one line. `make fuzz` does more of it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from bundle_mutation import mutants

from hilum.bundle.card import BundleError
from hilum.bundle.onnx_file import check_model
from hilum.bundle.opening import OpenBundle

COUNTED = int(os.environ.get("HILUM_FUZZ_BUNDLES", "80"))
OPENED = int(os.environ.get("HILUM_FUZZ_BUNDLES_OPENED", "4"))  # of these; each starts a process
SEED = int(os.environ.get("HILUM_FUZZ_SEED", "2"))
LAST_INPUT = os.environ.get("HILUM_FUZZ_LAST_INPUT")


def test_any_bundle_ends_in_a_network_or_in_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HILUM_HOME", str(tmp_path / "home"))
    opened = refused = 0
    for mutant in mutants(SEED, COUNTED):
        if LAST_INPUT:
            Path(LAST_INPUT).write_bytes(mutant.content)
        path = tmp_path / "mutant.onnx"
        path.write_bytes(mutant.content)
        try:
            check_model(mutant.content, "mutant.onnx")
            if opened < OPENED:
                opened += 1
                OpenBundle(path).session()
        except BundleError as error:
            refused += 1
            assert str(error).isprintable(), mutant
    assert opened == OPENED
    assert refused > OPENED // 4
