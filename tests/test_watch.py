"""`hilum watch`: films that arrive in a folder get one result each, whatever is killed when."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np
import pytest
from bundles import tiny_bundle, tiny_group_bundle
from commands import run
from films import dicom, picture, shaded, write_films
from PIL import Image
from service import until

import hilum
from hilum.output.journal import Entry, Journal
from hilum.output.table import to_json_line
from hilum.service import watch
from hilum.service.films.pool import FilmPool
from hilum.service.films.process import Limits
from hilum.service.films.served import Served, Wanted
from hilum.service.watch import JOURNAL, Counts, Watch
from hilum.system.database import DatabaseError

WANTED = Wanted("tiny", hilum.Asked())


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_bundle(tmp_path_factory.mktemp("bundle"))


@pytest.fixture(scope="module")
def pool(bundle: Path) -> Iterator[FilmPool]:
    with FilmPool((Served.of("tiny", hilum.load(bundle, threads=1)),), 1, Limits()) as started:
        yield started


@pytest.fixture(autouse=True)
def _restless(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch, "PAUSE", 0.02)
    monkeypatch.setattr(watch, "STALLED", 3)


@contextmanager
def watching(pool: FilmPool, folder: Path, out: Path, wanted: Wanted = WANTED) -> Iterator[list[Counts]]:
    """What is judged while the block runs."""
    counts: list[Counts] = []
    stopped = threading.Event()
    watcher = Watch(folder, out, pool, wanted, settle=0.2)
    thread = threading.Thread(target=watcher.run, args=(stopped.is_set, counts.append))
    thread.start()
    try:
        yield counts
    finally:
        stopped.set()
        thread.join()


def results(out: Path) -> dict[str, str]:
    return {str(path.relative_to(out)): path.read_text() for path in out.rglob("*.json")}


def expected(bundle: Path, folder: Path, *names: str) -> dict[str, str]:
    lines = hilum.load(bundle).predict([folder / name for name in names])
    return {f"{name}.json": f"{to_json_line(line)}\n" for name, line in zip(names, lines, strict=True)}


def test_every_film_gets_the_line_that_predict_prints(pool: FilmPool, bundle: Path, tmp_path: Path) -> None:
    folder, out = tmp_path / "in", tmp_path / "out"
    write_films(folder, 3)
    with watching(pool, folder, out) as counts:
        until(lambda: len(results(out)) == 3)
        (folder / "night").mkdir()
        (folder / "night" / "film").write_bytes(dicom(shaded().astype(np.uint16)))  # known by its content alone
        (folder / "notes.txt").write_text("none")
        (folder / ".hidden.png").write_bytes(b"")
        (folder / "coming.png.part").write_bytes(b"")
        until(lambda: len(results(out)) == 4)
    assert results(out) == expected(bundle, folder, "0.png", "1.png", "2.png", "night/film")
    assert sum(count.films for count in counts) == 4


def test_a_film_is_judged_when_it_is_whole(pool: FilmPool, bundle: Path, tmp_path: Path) -> None:
    folder, out = tmp_path / "in", tmp_path / "out"
    folder.mkdir()
    content = picture(Image.fromarray(shaded()), "PNG")
    with watching(pool, folder, out) as counts, (folder / "slow.png").open("wb", buffering=0) as arriving:
        for start in range(0, len(content), len(content) // 8 + 1):
            arriving.write(content[start : start + len(content) // 8 + 1])
            threading.Event().wait(0.05)
        until(lambda: results(out))
    assert results(out) == expected(bundle, folder, "slow.png")
    assert sum(count.failed for count in counts) == 0


def test_what_cannot_be_read_is_a_result_too_and_another_film_of_its_name_a_new_one(
    pool: FilmPool, bundle: Path, tmp_path: Path
) -> None:
    folder, out = tmp_path / "in", tmp_path / "out"
    folder.mkdir()
    (folder / "film.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    with watching(pool, folder, out):
        until(lambda: results(out))
        assert json.loads(results(out)["film.png.json"])["error"]
        write_films(folder, 1)[0].rename(folder / "film.png")
        until(lambda: json.loads(results(out)["film.png.json"])["decision"])
    assert results(out) == expected(bundle, folder, "film.png")


def test_overlays_are_there_before_the_line_is(pool: FilmPool, tmp_path: Path) -> None:
    folder, out = tmp_path / "in", tmp_path / "out"
    write_films(folder, 1)
    with watching(pool, folder, out, WANTED._replace(pictures=("overlay",))):
        until(lambda: results(out))
        with Image.open(out / "0.png.overlay.png") as drawn:
            assert drawn.mode == "RGB"


class Killed(BaseException):
    """As if the process ended here."""


@pytest.mark.parametrize(
    ("where", "name"),
    [(Journal, "judged"), (Journal, "given_out"), (watch, "write_whole")],
    ids=["before the journal", "before it is ticked off", "before the result"],
)
def test_what_was_stopped_in_between_is_done_once(
    pool: FilmPool, bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: object, name: str
) -> None:
    folder, out = tmp_path / "in", tmp_path / "out"
    write_films(folder, 1)

    def stop(*_: object) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(where, name, stop)
        with suppress(Killed):
            Watch(folder, out, pool, WANTED, 0.1).run(lambda: False, lambda _: None)
    judged: list[Entry] = []
    note: Callable[[Journal, Entry], None] = Journal.judged

    def note_and_count(journal: Journal, entry: Entry) -> None:
        judged.append(entry)
        note(journal, entry)

    monkeypatch.setattr(Journal, "judged", note_and_count)
    with watching(pool, folder, out):
        until(lambda: results(out))
    assert len(judged) == (name == "judged")  # what stands in the journal is given out, not judged again
    assert results(out) == expected(bundle, folder, "0.png")
    written = (out / "0.png.json").stat().st_mtime_ns
    with watching(pool, folder, out):
        threading.Event().wait(0.5)
    assert (out / "0.png.json").stat().st_mtime_ns == written


def test_killed_again_and_again_it_loses_and_doubles_nothing(bundle: Path, tmp_path: Path) -> None:
    folder, out = tmp_path / "in", tmp_path / "out"
    films = write_films(folder, 12)
    options = ["--out", out, "--model", bundle, "--settle", "0.1", "--processes", "1"]
    command = [sys.executable, "-m", "hilum", "watch", folder, *options]
    for wanted in (1, 5, len(films)):
        process = subprocess.Popen(list(map(str, command)), stderr=subprocess.PIPE, text=True)
        try:
            until(lambda count=wanted: len(results(out)) >= count)
            if wanted == len(films):
                process.send_signal(signal.SIGTERM)
                assert process.wait() == 0
        finally:
            process.kill()
            _, printed = process.communicate()
    assert results(out) == expected(bundle, folder, *(film.name for film in films))
    assert "films judged: " in printed
    assert "0.png" not in printed
    with sqlite3.connect(out / JOURNAL) as journal:
        assert journal.execute("SELECT count(*), sum(given_out) FROM films").fetchone() == (12, 12)
    journal.close()


def test_the_films_may_all_be_of_children(tmp_path: Path) -> None:
    folder, out = tmp_path / "in", tmp_path / "out"
    write_films(folder, 1)
    options = ["--model", tiny_group_bundle(tmp_path), "--patient", "child", "--settle", "0.1", "--processes", "1"]
    command = [sys.executable, "-m", "hilum", "watch", folder, "--out", out, *options]
    process = subprocess.Popen(list(map(str, command)), stderr=subprocess.DEVNULL)
    try:
        until(lambda: results(out))
    finally:
        process.kill()
        process.wait()
    group = json.loads(results(out)["0.png.json"])["patient_group"]
    assert group == {"name": "child", "by": "asked", "probability": None}


def test_a_journal_is_kept_by_one(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    with Journal(path) as journal:
        journal.judged(Entry(os.fsencode("a\udcff.png"), "1", "line"))
        with pytest.raises(DatabaseError, match="another hilum keeps it"):
            Journal(path)
        assert journal.version(b"a\xff.png") == "1"
        assert journal.version(b"b.png") is None
    with Journal(path) as journal:
        assert journal.pending() == [Entry(b"a\xff.png", "1", "line")]
        journal.given_out(b"a\xff.png")
        assert journal.pending() == []
    path.write_bytes(b"a letter, which is longer than a header of SQLite " * 4)
    with pytest.raises(DatabaseError, match="no journal of hilum's"):
        Journal(path)


def test_what_cannot_be_watched_is_one_line(bundle: Path, tmp_path: Path) -> None:
    for words, options in {
        "no folder": (tmp_path / "none", "--out", tmp_path / "out"),
        "name another one": (tmp_path, "--out", tmp_path / "out"),
        "no operating point": (tmp_path, "--out", tmp_path.parent / "out", "--operating-point", "none"),
        "leave patient out": (tmp_path, "--out", tmp_path.parent / "out", "--patient", "child"),
    }.items():
        answer = run("watch", *options, "--model", bundle)
        assert answer.returncode == 1
        (line,) = answer.stderr.splitlines()
        assert words in line
