"""Writes bundled-dicom.md: which grey DICOM files of the test packages hilum reads, with and without the extra."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from unittest.mock import patch

import data_store
import pydicom

from hilum import ReadError, read
from hilum.system.installed import install_extra

FOLDERS = {
    "pydicom": Path(pydicom.__file__).parent / "data" / "test_files",
    "pydicom-data": Path(data_store.__file__).parent / "data",
}
HEAD = """# Grey DICOM files of the test packages

Every single-frame greyscale file bundled with pydicom and pydicom-data, tried with hilum's base install and with the
extra `hilum[codecs]`. This page is made by `make docs`; a test keeps it true.

| file | package | encoding | base install | with `hilum[codecs]` |
|---|---|---|---|---|
"""


def is_single_grey_frame(path: Path) -> bool:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        header = pydicom.dcmread(path, force=True, stop_before_pixels=True)
        grey = str(header.get("PhotometricInterpretation", "")).startswith("MONOCHROME")
        frames = str(header.get("NumberOfFrames") or "1")
        return grey and (frames == "1" or not frames.isdecimal())


def outcome(path: Path) -> tuple[str, str]:
    try:
        film = read(path)
    except ReadError as error:
        return "", f"no, `{error.reason}`: {error.detail.removesuffix(': ' + install_extra('codecs'))}"
    return film.encoding, "yes"


def rows() -> Iterator[str]:
    for package, folder in FOLDERS.items():
        for path in sorted(folder.glob("*.dcm"), key=lambda path: path.name.lower()):
            if not is_single_grey_frame(path):
                continue
            encoding, full = outcome(path)
            with patch.dict(sys.modules, {"imagecodecs": None}):
                _, base = outcome(path)
            yield f"| {path.name} | {package} | {encoding} | {base} | {full} |\n"


def page() -> str:
    return HEAD + "".join(rows())


if __name__ == "__main__":
    Path(__file__).with_name("bundled-dicom.md").write_text(page(), encoding="utf-8")
