"""Readings kept in a folder: none that was given is lost, whatever is killed, torn, full or written to at once."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hilum.dataset.readings.folder import ReadingsError, add_reading, file_of, load_readings, read_file
from hilum.dataset.readings.reading import Box, Reading, from_line

READERS = ("anna", "Bénédicte Müller", "Ben", "ben", "a/../../b", "con:1", "李", "-rf")
TEXT = st.text(max_size=20)
SIDE = st.floats(0.01, 5000)
BOXES = st.builds(Box, st.floats(-100, 5000), st.floats(-100, 5000), SIDE, SIDE, st.none() | TEXT)
READINGS = st.builds(
    Reading,
    reader=st.sampled_from(READERS),
    film=st.sampled_from(["a.png", "b/c.dcm", "d é.jpg"]),
    digest=st.just("0" * 32),
    given=st.integers(0, 59).map(lambda second: f"2026-03-04T05:06:{second:02}.000+00:00"),
    seconds=st.floats(0, 1e6),
    label=st.none() | TEXT,
    readable=st.booleans(),
    lateral=st.booleans(),
    doubt=st.booleans(),
    note=TEXT,
    boxes=st.lists(BOXES, max_size=3),
    saw=st.sampled_from(["nothing", "answer"]),
    repeat=st.sampled_from([0, 1]),
    round=st.sampled_from(["first", "adjudication"]),
    withdrawn=st.booleans(),
)
ONE = Reading("anna", "a.png", "0" * 32, "2026-03-04T05:06:07.000+00:00", 3.5, "normal")


@given(READINGS)
def test_a_reading_comes_back_from_its_line(reading: Reading) -> None:
    line = reading.to_line()
    assert line.endswith("\n") and "\n" not in line[:-1]
    assert from_line(line) == reading


@settings(max_examples=25)
@given(st.lists(READINGS, min_size=1, max_size=12))
def test_the_last_reading_of_a_reader_film_showing_and_round_counts(readings: list[Reading]) -> None:
    counts = {(each.reader, each.film, each.repeat, each.round): each for each in readings}
    with tempfile.TemporaryDirectory() as folder:
        for reading in readings:
            add_reading(Path(folder), reading)
        found = load_readings(folder)
        assert all(path.parent == Path(folder) / "readings" for path in Path(folder).rglob("*.jsonl"))
    expected = [each for each in counts.values() if not each.withdrawn]
    assert sorted(map(repr, found)) == sorted(map(repr, expected))
    assert [each.given for each in found] == sorted(each.given for each in found)


@settings(max_examples=40)
@given(st.data())
def test_a_line_torn_anywhere_costs_that_reading_alone(data: st.DataObject) -> None:
    lines = [replace(ONE, film=f"{number}.png").to_line() for number in range(3)]
    cut = data.draw(st.integers(1, len(lines[2]) - 1))
    with tempfile.TemporaryDirectory() as folder:
        path = file_of(Path(folder), "anna")
        path.parent.mkdir()
        path.write_text(lines[0] + lines[1] + lines[2][:cut])
        assert [each.film for each in load_readings(folder)] == ["0.png", "1.png"]
        add_reading(Path(folder), replace(ONE, film="3.png"))
        assert [each.film for each in load_readings(folder)] == ["0.png", "1.png", "3.png"]
        assert path.read_text() == lines[0] + lines[1] + replace(ONE, film="3.png").to_line()


def test_every_reader_has_a_file_of_their_own_whose_name_any_system_takes(tmp_path: Path) -> None:
    names = [file_of(tmp_path, reader).name for reader in READERS]
    assert len({name.lower() for name in names}) == len(READERS)
    assert all(name.isascii() and name.replace("-", "").replace(".jsonl", "").isalnum() for name in names)
    assert file_of(tmp_path, "anna").name == "anna.jsonl"


def test_processes_that_write_at_once_lose_nothing(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from dataclasses import replace\n"
        "from hilum.dataset.readings.folder import add_reading; from hilum.dataset.readings.reading import from_line\n"
        "one = from_line(sys.argv[2])\n"
        "for n in range(25): add_reading(Path(sys.argv[1]), replace(one, film=f'{sys.argv[3]}-{n}'))\n"
    )
    started = [
        subprocess.Popen([sys.executable, "-c", code, str(tmp_path), ONE.to_line(), name]) for name in ("p", "q")
    ]
    assert [each.wait(60) for each in started] == [0, 0]
    assert {each.film for each in load_readings(tmp_path)} == {f"{name}-{n}" for name in "pq" for n in range(25)}


@pytest.mark.skipif(os.name != "posix", reason="only POSIX limits the size of files")
def test_a_full_disk_is_one_clear_error_and_leaves_no_half_of_a_line(tmp_path: Path) -> None:
    import resource

    add_reading(tmp_path, ONE)
    path = file_of(tmp_path, "anna")
    size = path.stat().st_size
    before, handler = resource.getrlimit(resource.RLIMIT_FSIZE), signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (size + 20, before[1]))
        with pytest.raises(OSError, match=r"make room") as caught:
            add_reading(tmp_path, replace(ONE, film="b.png"))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)
    assert caught.value.filename == str(path)
    assert path.stat().st_size == size
    add_reading(tmp_path, replace(ONE, film="b.png"))
    assert [each.film for each in load_readings(tmp_path)] == ["a.png", "b.png"]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"reader": ""}, "reader's name"),
        ({"reader": "a\nb"}, "reader's name"),
        ({"seconds": -1}, "seconds"),
        ({"repeat": 2}, "repeat"),
        ({"given": "yesterday"}, "isoformat"),
        ({"boxes": [[1, 2, 0, 4]]}, "width or height"),
        ({"boxes": [[1, 2]]}, "each is"),
        ({"boxes": [[1, 2, 3, float("nan")]]}, "boxes"),
        ({"color": "red"}, "color"),
    ],
)
def test_what_is_no_reading_is_named_by_file_line_and_reason(
    tmp_path: Path, change: dict[str, object], reason: str
) -> None:
    path = file_of(tmp_path, "anna")
    path.parent.mkdir()
    path.write_text(ONE.to_line() + json.dumps(json.loads(ONE.to_line()) | change) + "\n")
    with pytest.raises(ReadingsError, match=rf"anna.jsonl: line 2 .*{reason}"):
        list(read_file(path))


def test_a_folder_without_readings_says_which_folder_is_meant(tmp_path: Path) -> None:
    with pytest.raises(ReadingsError, match="--out"):
        load_readings(tmp_path)
