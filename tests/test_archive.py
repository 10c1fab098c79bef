"""Archives that are what they should be, and those that are not: nothing is ever written outside the folder."""

from __future__ import annotations

import errno
import io
import stat
import struct
import tempfile
import zipfile
from pathlib import Path

import pytest
from conftest import LONGER
from hypothesis import given, settings
from hypothesis import strategies as st

from hilum.dataset.fetch import archive as archive_module
from hilum.dataset.fetch.archive import FetchError, extract_zip

MEMBERS = {"films/NORMAL/a.jpeg": b"a" * 1000, "films/PNEUMONIA/b.jpeg": bytes(range(256)) * 40, "table.csv": b""}


def packed(members: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as archive:
        for name, content in members.items():
            archive.writestr(exact(name), content, method)
    return file.getvalue()


def exact(name: str) -> zipfile.ZipInfo:
    """A member of this very name: ZipInfo itself would cut it at a NUL."""
    member = zipfile.ZipInfo("x")
    member.filename = name
    return member


def unpack(data: bytes, sandbox: Path, max_bytes: int = 1 << 30, max_files: int = 1000) -> Path:
    archive = sandbox / "archive.zip"
    archive.write_bytes(data)
    extract_zip(archive, sandbox / "target", max_bytes, max_files, lambda done, total: None)
    return sandbox / "target"


def files_below(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def refusal(data: bytes, sandbox: Path, max_bytes: int = 1 << 30, max_files: int = 1000) -> FetchError:
    """The error this archive causes, once it is sure that nothing but the archive is on the disk."""
    with pytest.raises(FetchError) as caught:
        unpack(data, sandbox, max_bytes, max_files)
    assert [path.name for path in sandbox.rglob("*")] == ["archive.zip"]
    assert "\n" not in str(caught.value)
    return caught.value


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_a_good_archive_becomes_a_folder(tmp_path: Path, method: int) -> None:
    progress: list[tuple[int, int]] = []
    (tmp_path / "archive.zip").write_bytes(packed({"films/": b"", **MEMBERS, "empty/": b""}, method))
    extract_zip(tmp_path / "archive.zip", tmp_path / "target", 1 << 30, 9, lambda *step: progress.append(step))
    assert files_below(tmp_path / "target") == MEMBERS
    assert (tmp_path / "target" / "empty").is_dir()
    total = sum(map(len, MEMBERS.values()))
    assert progress[-1] == (total, total)
    assert not (tmp_path / "target.partial").exists()


def test_what_an_interrupted_run_left_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "target.partial" / "films").mkdir(parents=True)
    (tmp_path / "target.partial" / "films" / "half.jpeg").write_bytes(b"half")
    assert files_below(unpack(packed(MEMBERS), tmp_path)) == MEMBERS


def test_an_interruption_leaves_no_folder(tmp_path: Path) -> None:
    def interrupt(done: int, total: int) -> None:
        raise KeyboardInterrupt

    (tmp_path / "archive.zip").write_bytes(packed(MEMBERS))
    with pytest.raises(KeyboardInterrupt):
        extract_zip(tmp_path / "archive.zip", tmp_path / "target", 1 << 30, 9, interrupt)
    assert [path.name for path in tmp_path.iterdir()] == ["archive.zip"]


def test_an_existing_folder_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "target").mkdir()
    with pytest.raises(FetchError) as caught:
        unpack(packed(MEMBERS), tmp_path)
    assert caught.value.reason == "folder_not_empty"


@pytest.mark.parametrize(
    "name",
    [
        "../x",
        "a/../../x",
        "a/..",
        ".",
        "./x",
        "a//x",
        "/etc/x",
        "//server/share/x",
        "C:/x",
        "C:x",
        "a.jpeg:hidden",
        "..\\x",
        "a\\x",
        "\\x",
        ".. /x",
        "... /x",
        "a./x",
        "a\0.jpeg",
        "a\n.jpeg",
        "",
        "/",
        "x" * 300,
    ],
)
def test_a_name_that_leads_elsewhere_is_refused(tmp_path: Path, name: str) -> None:
    assert refusal(packed({"fine.txt": b"1", name: b"2"}), tmp_path).reason == "unsafe_archive"


@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFIFO, stat.S_IFCHR, stat.S_IFBLK, stat.S_IFSOCK])
def test_a_link_or_special_file_is_refused(tmp_path: Path, kind: int) -> None:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        member = zipfile.ZipInfo("way-out")
        member.external_attr = (kind | 0o777) << 16
        archive.writestr(member, "/etc/passwd")
    assert refusal(file.getvalue(), tmp_path).reason == "unsafe_archive"


def test_the_same_name_twice_is_refused(tmp_path: Path) -> None:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive, pytest.warns(UserWarning, match="Duplicate name"):
        archive.writestr("a.txt", "1")
        archive.writestr("a.txt", "2")
    assert refusal(file.getvalue(), tmp_path).reason == "unsafe_archive"


@pytest.mark.parametrize("names", [("a", "a/b"), ("a/b", "a")])
def test_a_file_that_is_also_a_folder_is_refused(tmp_path: Path, names: tuple[str, str]) -> None:
    assert refusal(packed(dict.fromkeys(names, b"1")), tmp_path).reason == "unsafe_archive"


def test_an_encrypted_member_is_refused(tmp_path: Path) -> None:
    data = bytearray(packed({"a.txt": b"secret"}))
    data[6] |= 1  # the flags of the member itself ...
    data[data.index(b"PK\1\2") + 8] |= 1  # ... and in the directory
    assert refusal(bytes(data), tmp_path).reason == "unsafe_archive"


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_another_method_than_deflate_is_refused(tmp_path: Path, method: int) -> None:
    assert refusal(packed({"a.txt": b"1" * 99}, method), tmp_path).reason == "unsafe_archive"


def test_too_many_files(tmp_path: Path) -> None:
    assert refusal(packed({str(n): b"" for n in range(11)}), tmp_path, max_files=10).reason == "unsafe_archive"


def test_too_many_bytes(tmp_path: Path) -> None:
    data = packed({"a": b"x" * 60, "b": b"y" * 60}, zipfile.ZIP_STORED)
    assert refusal(data, tmp_path, max_bytes=100).reason == "unsafe_archive"
    assert files_below(unpack(data, tmp_path, max_bytes=120))


def test_a_bomb_is_stopped_by_its_ratio(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive_module, "RATIO_COUNTS_FROM", 1 << 20)
    data = packed({"zeros": bytes(16 << 20)})
    assert len(data) < 20_000
    assert refusal(data, tmp_path).reason == "unsafe_archive"


@pytest.mark.parametrize("claim", [0, 10, 10_000_000, 0xFFFFFFFE])
def test_a_false_size_in_the_headers_is_found_out(tmp_path: Path, claim: int) -> None:
    data = bytearray(packed({"a.bin": b"x" * 100_000}))
    directory = data.index(b"PK\1\2")
    data[22:26] = data[directory + 24 : directory + 28] = struct.pack("<I", claim)
    assert refusal(bytes(data), tmp_path).reason == "damaged_archive"


def test_more_than_the_disk_holds_is_known_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda path: type("Usage", (), {"free": 1000}))
    error = refusal(packed(MEMBERS), tmp_path)
    assert error.reason == "disk_full"
    assert "GB" in error.detail


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EFBIG])
def test_a_disk_that_fills_up_on_the_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    genuine = Path.open

    class Full(io.BytesIO):
        def write(self, data: object) -> int:
            raise OSError(number, "no room")

    def open_full(path: Path, mode: str = "r") -> object:
        return Full() if mode == "xb" else genuine(path, mode)

    (tmp_path / "archive.zip").write_bytes(packed(MEMBERS))
    monkeypatch.setattr(Path, "open", open_full)
    with pytest.raises(FetchError) as caught:
        extract_zip(tmp_path / "archive.zip", tmp_path / "target", 1 << 30, 9, lambda *step: None)
    assert caught.value.reason == "disk_full"
    assert [path.name for path in tmp_path.iterdir()] == ["archive.zip"]


@pytest.mark.parametrize("keep", [0, 1, 30, 200, -1, -30])
def test_a_truncated_archive(tmp_path: Path, keep: int) -> None:
    assert refusal(packed(MEMBERS)[:keep], tmp_path).reason == "damaged_archive"


def test_a_flipped_byte_in_a_film(tmp_path: Path) -> None:
    data = bytearray(packed(MEMBERS, zipfile.ZIP_STORED))
    data[data.index(b"aaaa") + 500] ^= 1
    assert refusal(bytes(data), tmp_path).reason == "damaged_archive"


def test_no_zip_at_all(tmp_path: Path) -> None:
    assert refusal(b"<html>Please sign in</html>", tmp_path).reason == "damaged_archive"


PARTS = st.sampled_from(["..", ".", "", "a", "b", "A", "C:", "\\", "..\\", " ", "a.", "\0", "é", "e\u0301", "con", "~"])
PATHS = st.lists(PARTS, min_size=1, max_size=5).map("/".join)
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20)


@pytest.mark.soak
@settings(max_examples=150 * LONGER, deadline=None)
@given(st.lists(PATHS | PATHS.map(lambda path: "{sandbox}/" + path) | TEXTS, min_size=1, max_size=4, unique=True))
def test_no_name_leads_outside(names: list[str]) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        sandbox = Path(scratch) / "deep" / "enough"
        sandbox.mkdir(parents=True)
        members = {name.replace("{sandbox}", str(sandbox)): name.encode() for name in names}
        try:
            target = unpack(packed(members), sandbox)
        except FetchError as error:
            assert error.reason == "unsafe_archive"
            assert files_below(Path(scratch)).keys() == {"deep/enough/archive.zip"}
        else:
            expected = {name: content for name, content in members.items() if not name.endswith("/")}
            assert files_below(target) == expected
            assert all(
                name.startswith(("deep/enough/target/", "deep/enough/archive")) for name in files_below(Path(scratch))
            )


@pytest.mark.soak
@settings(max_examples=300 * LONGER, deadline=None)
@given(st.data())
def test_damaged_bytes_are_an_error_or_do_no_harm(data: st.DataObject) -> None:
    content = bytearray(packed(MEMBERS, data.draw(st.sampled_from([zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED]))))
    directory = content.index(b"PK\1\2")
    for _ in range(data.draw(st.integers(1, 4))):
        # the directory and the end decide most, so they are hit as often as all the rest
        position = data.draw(
            st.integers(0, len(content) - 1) | st.integers(min(directory, len(content) - 1), len(content) - 1)
        )
        match data.draw(st.integers(0, 2)):
            case 0:
                content[position] = data.draw(st.integers(0, 255))
            case 1:
                content[position : position + 4] = data.draw(
                    st.sampled_from([b"\xff" * 4, b"\0" * 4, b"\xfe\xff\xff\x7f"])
                )
            case 2:
                del content[position : position + data.draw(st.integers(1, 40))]
        if not content:
            break
    with tempfile.TemporaryDirectory() as scratch:
        try:
            target = unpack(bytes(content), Path(scratch))
        except FetchError as error:
            assert error.reason in ("damaged_archive", "unsafe_archive", "disk_full")
            assert files_below(Path(scratch)).keys() == {"archive.zip"}
        else:
            assert sum(map(len, files_below(target).values())) <= sum(map(len, MEMBERS.values()))
