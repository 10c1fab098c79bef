"""Files that are whole or not there, and rows that are."""

from __future__ import annotations

import csv
import errno
import hashlib
import os
import stat
import subprocess
import sys
from io import StringIO
from pathlib import Path

import numpy as np
import pytest
from bundles import tiny_bundle
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from hilum.system.files import content_digest, file_digest, write_whole
from hilum.system.pictures import write_picture
from hilum.system.rows import RowFile, csv_text, from_csv_cell

limited = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no limit on the size of files to test with")


def in_a_small_disk(code: str, folder: Path, most: int = 3000) -> str:
    """What code prints in a process whose files cannot grow beyond so many bytes, which is a full disk to it."""
    limit = (
        "import resource, signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN); "
        f"resource.setrlimit(resource.RLIMIT_FSIZE, ({most}, {most}))"
    )
    answer = subprocess.run(
        [sys.executable, "-c", f"{limit}\nfrom pathlib import Path\n{code}"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=True,
    )
    return answer.stdout.strip()


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_file_takes_the_place_of_another_and_nothing_is_left_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    write_whole(path, "one")
    write_whole(path, "two \N{LATIN SMALL LETTER E WITH ACUTE}")
    write_whole(tmp_path / "b", b"\x00\xff", durable=False)
    assert path.read_bytes() == "two \N{LATIN SMALL LETTER E WITH ACUTE}".encode()
    assert (tmp_path / "b").read_bytes() == b"\x00\xff"
    assert names(tmp_path) == ["a.json", "b"]


def test_the_longest_name_that_a_file_can_have(tmp_path: Path) -> None:
    path = tmp_path / ("n" * 251 + ".png")
    write_whole(path, b"whole")
    assert path.read_bytes() == b"whole"


@limited
def test_where_the_disk_is_full_the_former_file_stays_and_the_error_names_it(tmp_path: Path) -> None:
    (tmp_path / "report.html").write_text("the former one")
    said = in_a_small_disk(
        "from hilum.system.files import write_whole\n"
        "try: write_whole(Path('report.html'), b'x' * 4000)\n"
        "except OSError as error: print(f'{error.filename}: {error.strerror}')",
        tmp_path,
    )
    assert said == "report.html: not written: file too large; make room or name another place"
    assert names(tmp_path) == ["report.html"]
    assert (tmp_path / "report.html").read_text() == "the former one"


@limited
def test_a_picture_is_whole_or_not_there(tmp_path: Path) -> None:
    said = in_a_small_disk(
        "import numpy as np; from PIL import Image\n"
        "from hilum.system.pictures import write_picture\n"
        "noise = Image.fromarray(np.random.default_rng(1).integers(0, 255, (90, 90), np.uint8))\n"
        "try: write_picture(noise, Path('overlay.png'))\n"
        "except OSError as error: print(error.filename)",
        tmp_path,
    )
    assert said == "overlay.png"
    assert names(tmp_path) == []
    write_picture(Image.fromarray(np.zeros((9, 9), np.uint8)), tmp_path / "small.png")
    with Image.open(tmp_path / "small.png") as small:
        assert small.size == (9, 9)


@limited
def test_rows_before_a_full_disk_stay_whole(tmp_path: Path) -> None:
    said = in_a_small_disk(
        "import os; from hilum.system.rows import RowFile\n"
        "rows = RowFile(os.open('out.csv', os.O_CREAT | os.O_WRONLY | os.O_TRUNC), 'out.csv')\n"
        "try:\n"
        "    for number in range(9): rows.write(f'{number}' + 'x' * 700 + chr(10))\n"
        "except OSError as error: print(error.filename)",
        tmp_path,
    )
    assert said == "out.csv"
    lines = (tmp_path / "out.csv").read_text().splitlines()
    assert [line[0] for line in lines] == ["0", "1", "2", "3"]
    assert {len(line) for line in lines} == {701}


@limited
def test_rows_printed_into_a_file_are_whole_too(tmp_path: Path) -> None:
    limit = "import resource, signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN); "
    limit += "resource.setrlimit(resource.RLIMIT_FSIZE, (3000, 3000))\n"
    rows = "from hilum.system.rows import row_printer\nwrite = row_printer()\nwhile True: write('x' * 700 + chr(10))"
    with (tmp_path / "out.json").open("w") as output:
        output.write("already there\n")
        output.flush()
        answer = subprocess.run(
            [sys.executable, "-c", limit + rows], stdout=output, stderr=subprocess.PIPE, text=True, check=False
        )
    assert "standard output" in answer.stderr
    assert [len(line) for line in (tmp_path / "out.json").read_text().splitlines()] == [13, 700, 700, 700, 700]


@limited
def test_hilum_predict_names_the_overlay_that_did_not_fit_and_keeps_its_rows(tmp_path: Path) -> None:
    noise = np.random.default_rng(1).integers(0, 255, (90, 90), np.uint8)
    Image.fromarray(noise).save(tmp_path / "a.png")
    bundle = tiny_bundle(tmp_path)
    in_a_small_disk(
        "import sys; from hilum.__main__ import main\n"
        f"sys.argv[1:] = ['predict', {str(bundle)!r}, 'a.png', '--no-gate', '--csv', 'a.csv', '--heatmap', 'drawn']\n"
        "sys.stderr = open('said', 'w')\n"
        "try: main()\n"
        "except SystemExit as done: assert done.code == 1",
        tmp_path,
    )
    said = (tmp_path / "said").read_text().splitlines()[-1]
    assert said == "drawn/a.png.png: not written: file too large; make room or name another place"
    assert [row["file"] for row in csv.DictReader((tmp_path / "a.csv").read_text().splitlines())] == ["a.png"]
    assert names(tmp_path / "drawn") == []


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_a_device_is_written_to_and_stays_a_device() -> None:
    with pytest.raises(OSError, match="no space left") as caught:
        write_whole(Path("/dev/full"), b"x")
    assert caught.value.errno == errno.ENOSPC
    assert caught.value.filename == "/dev/full"
    write_whole(Path("/dev/null"), b"x")
    assert stat.S_ISCHR(Path("/dev/null").stat().st_mode)
    assert stat.S_ISCHR(Path("/dev/full").stat().st_mode)


def test_rows_that_a_pipe_does_not_take_name_it() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with pytest.raises(BrokenPipeError):
        RowFile(writer, "standard output").write("row\n")
    os.close(writer)


@pytest.mark.skipif(os.name != "posix", reason="modes and links of POSIX")
def test_a_link_is_followed_and_the_file_keeps_its_mode(tmp_path: Path) -> None:
    real, link = tmp_path / "real.csv", tmp_path / "link.csv"
    real.write_text("former")
    real.chmod(0o600)
    link.symlink_to(real)
    write_whole(link, "new")
    assert link.is_symlink()
    assert real.read_text() == "new"
    assert stat.S_IMODE(real.stat().st_mode) == 0o600


def test_what_fails_the_check_never_takes_its_name(tmp_path: Path) -> None:
    def refuse(written: Path) -> None:
        assert written.read_text() == "new"
        raise ValueError("no")

    (tmp_path / "a").write_text("former")
    with pytest.raises(ValueError, match="no"):
        write_whole(tmp_path / "a", "new", check=refuse)
    assert (tmp_path / "a").read_text() == "former"
    assert names(tmp_path) == ["a"]


def test_errors_name_the_file_that_was_asked_for(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError) as caught:
        write_whole(tmp_path / "nowhere" / "a.csv", "x")
    assert caught.value.filename == str(tmp_path / "nowhere" / "a.csv")


@given(st.binary(max_size=200))
def test_a_digest_is_that_of_blake2b(content: bytes) -> None:
    assert content_digest(content) == hashlib.blake2b(content, digest_size=16).hexdigest()


def test_a_file_has_the_digest_of_its_content(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"x" * 300_000)
    assert file_digest(tmp_path / "a") == content_digest(b"x" * 300_000)


@given(st.lists(st.text(alphabet=st.sampled_from("'=+-@\t\r1.,e\"\na"), max_size=8), min_size=1, max_size=4))
def test_no_text_becomes_a_formula_and_all_come_back(texts: list[str]) -> None:
    (cells,) = csv.reader(StringIO(csv_text([texts]), newline=""))
    for cell in cells:
        if cell.startswith(("=", "+", "-", "@", "\t", "\r")):
            float(cell)  # a number, which a spreadsheet may compute with
    assert [from_csv_cell(cell) for cell in cells] == texts


def test_numbers_below_zero_stay_numbers() -> None:
    assert csv_text([[-0.5, "-12", "-1e-05", "+3", "-1+1", "=1"]]) == "-0.5,-12,-1e-05,+3,'-1+1,'=1\r\n"
