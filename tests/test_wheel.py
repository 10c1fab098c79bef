"""The wheel alone, in an environment with what it asks for and nothing else, does what the README opens with."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tomllib
import venv
import zipfile
from importlib.metadata import distribution
from pathlib import Path

import pytest
from conftest import PYDICOM_DATA_FILES
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import hilum

ROOT = Path(__file__).parents[1]
ENVIRONMENT = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV")}


def build(folder: Path) -> Path:
    """The wheel as `make wheel` builds it, by way of the source distribution."""
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(folder), str(ROOT)]
    made = subprocess.run(command, capture_output=True, text=True, env=ENVIRONMENT)
    assert made.returncode == 0, made.stdout + made.stderr
    (wheel,) = folder.glob("*.whl")
    return wheel


def link_what_it_asks_for(requirements: list[str], site: Path, linked: set[str]) -> None:
    """The packages that are required, and those that these require: installed ones, so that none is downloaded."""
    for text in requirements:
        wanted = Requirement(text)
        if wanted.name in linked or (wanted.marker and not wanted.marker.evaluate({"extra": ""})):
            continue
        linked.add(wanted.name)
        package = distribution(wanted.name)
        assert package.version in wanted.specifier
        for top in {file.parts[0] for file in package.files or ()} - {"..", "__pycache__"}:
            if not (site / top).exists():
                (site / top).symlink_to(Path(str(package.locate_file(top))))
        link_what_it_asks_for(package.requires or [], site, linked)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("dist"))


@pytest.fixture(scope="module")
def environment(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where `hilum` and `python` lie in an environment into which nothing but the wheel was installed."""
    folder = tmp_path_factory.mktemp("environment") / "env"
    venv.create(folder, with_pip=False, symlinks=True)
    scripts = folder / "bin"
    install = [sys.executable, "-m", "pip", "--python", str(scripts / "python"), "install", "--no-index", "--no-deps"]
    subprocess.run([*install, "--quiet", str(wheel)], check=True, env=ENVIRONMENT)
    (site,) = folder.glob("lib/python*/site-packages")
    (facts,) = site.glob("hilum-*.dist-info/METADATA")
    lines = facts.read_text(encoding="utf-8").splitlines()
    link_what_it_asks_for(
        [line.partition(": ")[2] for line in lines if line.startswith("Requires-Dist: ")], site, set()
    )
    return scripts


def run(program: Path, *arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([program, *arguments], cwd=cwd, env=ENVIRONMENT, capture_output=True, text=True)


def test_the_wheel_says_what_it_is(environment: Path, wheel: Path, tmp_path: Path) -> None:
    assert run(environment / "hilum", "--version", cwd=tmp_path).stdout == f"hilum {hilum.__version__}\n"
    assert wheel.name == f"hilum-{hilum.__version__}-py3-none-any.whl"
    changes = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert f"\n## {hilum.__version__}" in changes
    where = run(environment / "python", "-c", "import hilum; print(hilum.__file__)", cwd=tmp_path).stdout
    assert Path(where.strip()).is_relative_to(environment.parent)


def test_the_wheel_alone_walks_the_demo(environment: Path, tmp_path: Path) -> None:
    shutil.copy(PYDICOM_DATA_FILES / "RG1_UNCR.dcm", tmp_path / "film.dcm")
    answer = run(environment / "hilum", "predict", "film.dcm", "--heatmap", "drawn", cwd=tmp_path)
    assert answer.returncode == 0, answer.stderr
    assert "pneumonia" in answer.stdout.lower()
    assert (tmp_path / "drawn" / "film.dcm.png").stat().st_size > 10_000
    assert run(environment / "hilum", "inspect", "film.dcm", cwd=tmp_path).returncode == 0
    assert run(environment / "hilum", "show", "default", cwd=tmp_path).returncode == 0


def test_what_the_wheel_lacks_is_added_to_this_very_wheel(environment: Path, wheel: Path, tmp_path: Path) -> None:
    answer = run(environment / "hilum", "data", "phantom", "films", cwd=tmp_path)
    assert answer.returncode == 1
    assert answer.stderr == (
        f"hilum data needs more than the base package: pip install 'hilum[data] @ {wheel.as_uri()}'\n"
    )


def test_the_wheel_holds_the_package_and_all_of_it(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        packed = {name for name in archive.namelist() if ".dist-info/" not in name}
    source = ROOT / "src"
    assert packed == {
        path.relative_to(source).as_posix()
        for path in source.joinpath("hilum").rglob("*")
        if path.is_file() and path.suffix != ".pyc"
    }


def test_every_extra_asks_for_versions_that_were_tested() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    tested = {
        canonicalize_name(name): version for name, version in (line.split("==") for line in lines if "==" in line)
    }
    for extra in ("codecs", "data", "evaluate", "train", "dev"):
        for wanted in map(Requirement, extras[extra]):
            assert wanted.name == "hilum" or tested[canonicalize_name(wanted.name)] in wanted.specifier, (
                f"{extra}: {wanted}"
            )
