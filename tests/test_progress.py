"""Work that takes long is heard of where nobody watches a bar, too."""

from __future__ import annotations

import time

import pytest

from hilum.cli.terminal import progress


def test_a_log_hears_of_long_stages_now_and_then(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    moments = iter([0.0, 1.0, 31.0, 32.0, 70.0])
    monkeypatch.setattr(time, "monotonic", lambda: next(moments))
    with progress.report_stages() as show:
        for done in range(1, 5):
            show("learning the gate", done * 1000, 4000)
    assert capsys.readouterr().err == "learning the gate: 2,000 of 4,000\nlearning the gate: 4,000 of 4,000\n"
