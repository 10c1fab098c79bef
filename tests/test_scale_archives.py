"""Films inside zip and tar files: each judged as if it lay in a folder, and whatever else is in there does nothing."""

from __future__ import annotations

import gzip
import random
import tarfile
import zipfile
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import pytest
from bundles import tiny_bundle
from commands import run
from films import picture, shaded
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from test_scale import rows_of

from hilum.scale import archives
from hilum.scale.archives import Member, films_in

FILMS = {f"{number}.png": picture(Image.fromarray(shaded(brightest=50 + 40 * number)), "PNG") for number in range(5)}
ODD = {"../../etc/passwd.png": FILMS["0.png"], "/root/x.png": FILMS["1.png"], "a\nb\x1b[31m.png": FILMS["2.png"]}


def zipped(members: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    content = BytesIO()
    with zipfile.ZipFile(content, "w", method) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return content.getvalue()


def tarred(members: dict[str, bytes], mode: str = "w") -> bytes:
    content = BytesIO()
    with tarfile.open(fileobj=content, mode=mode) as archive:  # type: ignore[call-overload]
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, BytesIO(data))
    return content.getvalue()


def found(content: bytes, name: str = "films.tar") -> list[Member]:
    return list(films_in(BytesIO(content), name))


CLAIMS = {f"film-{number}.dcm": b"\xff\xd8\xff" * 40 for number in range(3)}  # to be JPEG
PACKED: dict[str, Callable[[dict[str, bytes]], bytes]] = {
    "films.zip": zipped,
    "films.tar": tarred,
    "films.tgz": lambda members: tarred(members, "w:gz"),
}


@pytest.mark.parametrize("name", PACKED)
def test_films_come_with_their_names_as_text_and_the_rest_is_passed_over(name: str) -> None:
    members = (
        FILMS | ODD | {"notes.txt": b"none", "broken.jpg": b"\xff\xd8", "empty.dcm": b"", "untitled": FILMS["3.png"]}
    )
    got = found(PACKED[name](members), name)
    assert [member.content for member in got] == [data for key, data in members.items() if key != "notes.txt"]
    assert [member.name for member in got][:7] == [*FILMS, *list(ODD)[:2]]
    assert all(member.name is not None and member.name.isprintable() for member in got)


@pytest.mark.parametrize("name", PACKED)
def test_rows_are_those_of_the_same_films_in_a_folder(name: str, tmp_path: Path) -> None:
    bundle = tiny_bundle(tmp_path)
    (tmp_path / "folder").mkdir()
    for film, data in FILMS.items():
        (tmp_path / "folder" / film).write_bytes(data)
    shards = tmp_path / "shards"
    shards.mkdir()
    (shards / name).write_bytes(PACKED[name](FILMS | ODD))
    for source in ("folder", "shards"):
        run("predict", bundle, tmp_path / source, "--out", tmp_path / f"of-{source}", "--processes", "1")
    alone, packed = rows_of(tmp_path / "of-folder"), rows_of(tmp_path / "of-shards")
    assert set(packed["uri"]) == {str(shards / name)}
    assert packed.filter(packed["member"].is_in(list(FILMS))).drop("uri", "member").equals(alone.drop("uri", "member"))
    assert len(packed) == len(FILMS) + len(ODD)
    assert {path.suffix for path in tmp_path.glob("of-shards/**/*") if path.is_file()} == {".json", ".parquet"}


def test_two_members_of_one_name_are_two_films() -> None:
    content = BytesIO()
    with zipfile.ZipFile(content, "w") as archive, pytest.warns(UserWarning, match="Duplicate"):
        archive.writestr("film.png", FILMS["0.png"])
        archive.writestr("film.png", FILMS["1.png"])
    first, second = found(content.getvalue(), "x.zip")
    assert first.name == "film.png"
    assert second.name == "film.png (member 1)"


def test_links_devices_and_holes_are_no_films() -> None:
    content = BytesIO()
    with tarfile.open(fileobj=content, mode="w") as archive:
        for name, kind in (("a.png", tarfile.SYMTYPE), ("b.png", tarfile.LNKTYPE), ("c.png", tarfile.CHRTYPE)):
            info = tarfile.TarInfo(name)
            info.type, info.linkname = kind, "/etc/passwd"
            archive.addfile(info)
    assert found(content.getvalue()) == []


@pytest.mark.parametrize("name", PACKED)
def test_what_comes_before_the_damage_is_judged(name: str) -> None:
    content = PACKED[name](FILMS)
    got = found(content[: len(content) * 2 // 3], name)
    assert got[-1].name is None
    assert got[-1].failure is not None
    assert got[-1].failure[0] == "damaged_archive"
    if name != "films.zip":  # whose table of contents stands at its end
        assert [member.name for member in got[:-1]] == list(FILMS)[: len(got) - 1] != []


def test_a_damaged_member_of_a_zip_costs_no_other() -> None:
    content = bytearray(zipped(FILMS, zipfile.ZIP_STORED))
    content[content.index(FILMS["1.png"]) + 40] ^= 255
    got = found(bytes(content), "x.zip")
    assert [member.failure and member.failure[0] for member in got] == [None, "damaged", None, None, None]


def test_a_gzip_that_gives_far_more_than_it_takes_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archives, "RATIO_COUNTS_FROM", 1 << 20)
    bomb = tarred({"a.png": FILMS["0.png"], "zeros.txt": bytes(64 << 20)}, "w:gz")
    first, last = found(bomb, "bomb.tgz")
    assert first.name == "a.png"
    assert last.failure is not None
    assert last.failure[0] == "unsafe_archive"


def test_a_zip_that_gives_far_more_than_it_takes_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archives, "RATIO_COUNTS_FROM", 1 << 20)
    *_, last = found(zipped({f"{number}.png": bytes(1 << 20) for number in range(64)}), "bomb.zip")
    assert last.failure is not None
    assert last.failure[0] == "unsafe_archive"


def test_more_members_than_any_archive_has_are_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archives, "MAX_MEMBERS", 3)
    for name, pack in PACKED.items():
        got = found(pack(FILMS), name)
        assert [member.name for member in got] == [*list(FILMS)[:3], None]


def test_a_long_header_is_not_read() -> None:
    info = tarfile.TarInfo("long")
    info.type, info.size = tarfile.GNUTYPE_LONGNAME, 1 << 30
    (only,) = found(info.tobuf(tarfile.GNU_FORMAT) + bytes(4096))
    assert only.failure is not None
    assert only.failure[0] == "unsafe_archive"


def test_an_encrypted_member_says_so() -> None:
    content = bytearray(zipped({"film.png": FILMS["0.png"]}))
    content[content.rindex(b"PK\x01\x02") + 8] |= 1
    (only,) = found(bytes(content), "x.zip")
    assert only.failure is not None
    assert only.failure[0] == "encrypted"


@pytest.mark.parametrize("seed", range(3))
def test_gzip_is_unpacked_as_gzip_does_it(seed: int) -> None:
    noise = random.Random(seed).randbytes(200_000) + bytes(100_000)
    packed = gzip.compress(noise[:150_000]) + gzip.compress(noise[150_000:])
    stream = archives._Inflated(BytesIO(packed))
    pieces = iter(lambda: stream.read(10_240), b"")
    assert b"".join(pieces) == noise


@given(st.data())
def test_damage_ends_in_members_and_nothing_else(data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(sorted(PACKED)))
    content = bytearray(PACKED[name](CLAIMS))
    for place in data.draw(st.lists(st.integers(0, len(content) - 1), min_size=1, max_size=8)):
        content[place] = data.draw(st.integers(0, 255))
    for member in found(bytes(content), name):
        assert (member.failure is None) or member.failure[1].isprintable()
