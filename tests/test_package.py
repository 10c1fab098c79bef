"""The package as installed: what it imports, what it says of itself."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from bundles import tiny_bundle
from films import picture, smooth_picture
from PIL import Image

import hilum

HEAVY = ("torch", "pandas", "matplotlib", "polars", "cv2", "sklearn", "fastapi", "pydicom")


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, *arguments], capture_output=True, text=True, check=False)


def test_judging_a_film_leaves_nothing_in_the_users_home(tmp_path: Path) -> None:
    """Nor does the runtime of the network, whose makers would hear of its use."""
    film, home = tmp_path / "film.png", tmp_path / "home"
    film.write_bytes(picture(Image.fromarray(smooth_picture(100, 120)), "PNG"))
    home.mkdir()
    homes = dict.fromkeys(("HOME", "USERPROFILE", "LOCALAPPDATA", "XDG_CACHE_HOME", "XDG_DATA_HOME"), str(home))
    command = [sys.executable, "-m", "hilum", "predict", str(film)]
    answer = subprocess.run(command, env={**os.environ, **homes}, capture_output=True, text=True)
    assert answer.returncode == 0, answer.stderr
    assert list(home.rglob("*")) == []


def test_importing_hilum_and_its_command_loads_nothing_heavy() -> None:
    code = "import sys, hilum, hilum.cli.app; print([name for name in sys.argv[1:] if name in sys.modules])"
    answer = run("-c", code, *HEAVY)
    assert answer.stdout.strip() == "[]", answer.stderr


def test_reading_dicom_loads_neither_torch_pandas_nor_matplotlib() -> None:
    code = "import sys, hilum.radiograph.dicom.film; print([name for name in sys.argv[1:] if name in sys.modules])"
    assert run("-c", code, *HEAVY[:-1]).stdout.strip() == "[]"


def test_predicting_loads_only_what_a_small_install_has(tmp_path: Path) -> None:
    """Not even typer: the command for a single film must start at once. Installing hilum alone brings all it needs."""
    film = tmp_path / "film.png"
    film.write_bytes(picture(Image.fromarray(smooth_picture(100, 120)), "PNG"))
    code = """if True:
        import sys
        from hilum.__main__ import main
        try:
            main()
        except SystemExit as done:
            print(done.code, [name for name in ("typer", "rich", "onnx", *HEAVY) if name in sys.modules])
    """.replace("HEAVY", repr(HEAVY))
    arguments = (tiny_bundle(tmp_path), film, "--csv", tmp_path / "a.csv", "--heatmap", tmp_path / "drawn")
    answer = run("-c", code, "predict", *map(str, arguments))
    assert answer.stdout.splitlines()[-1] == "0 []", answer.stderr


def test_everything_public_is_there_when_asked_for() -> None:
    for name in hilum.__all__:
        assert getattr(hilum, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'raed'"):
        hilum.raed  # noqa: B018


def test_version_and_help() -> None:
    assert run("-m", "hilum", "--version").stdout.strip() == f"hilum {hilum.__version__}"
    answer = run("-m", "hilum", "--help")
    assert answer.returncode == 0
    assert "inspect" in answer.stdout
    assert "not a medical device" in " ".join(answer.stdout.split())


def test_a_misspelt_command_is_a_usage_error_without_traceback() -> None:
    answer = run("-m", "hilum", "inspekt")
    assert answer.returncode == 2
    assert "No such command" in answer.stderr
    assert "Traceback" not in answer.stderr
