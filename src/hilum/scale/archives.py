"""Films inside zip and tar files, read one after the other without unpacking, within bounds.

A member's name is text and never a path: it names the film in its row, and nothing is written under it. What an archive
claims is not believed: members, bytes and how much more it gives than it takes are counted as they come.
"""

from __future__ import annotations

import errno
import os
import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from typing import IO, Any, BinaryIO, NamedTuple, cast

from hilum.radiograph.bounds import MAX_FILE_BYTES
from hilum.radiograph.folder import PICTURE_SUFFIXES
from hilum.radiograph.read import content_of, recognize
from hilum.system.text import printable

SUFFIXES = (".zip", ".tar", ".tar.gz", ".tgz")
MAX_MEMBERS = 1_000_000
# Deflate packs zeros 1,000 times smaller, and films 1 to 3 times; blank ones among them may come at the beginning.
MAX_RATIO, RATIO_COUNTS_FROM = 100, 2 * MAX_FILE_BYTES
MAX_DIRECTORY = 256 * MAX_MEMBERS  # bytes of a zip's table of contents, which is read at once
MAX_HEADER = 1 << 20  # bytes of what comes before a member of a tar: its long name, its dates
PIECE = 1 << 18
HEAD = 132  # bytes that show what a file is
END_OF_ZIP, END_OF_ZIP_BYTES, LONGEST_COMMENT = b"PK\x05\x06", 22, 0xFFFF
BEFORE_MEMBERS = frozenset(
    (tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.SOLARIS_XHDTYPE, tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK)
)
LARGE_END_OF_ZIP, LARGE_END_OF_ZIP_BYTES = b"PK\x06\x06", 76
# What zipfile and tarfile raise on damaged bytes: their own errors and whatever the parsing below stumbles over.
DAMAGE = (
    *(tarfile.TarError, zipfile.BadZipFile, zlib.error, struct.error),
    *(EOFError, ValueError, OverflowError, NotImplementedError, RecursionError),
)


class Member(NamedTuple):
    """A film in an archive by its name there: its content, or why there is none, as reason and detail.

    An archive that cannot be read on ends with a member without a name.
    """

    name: str | None
    content: bytes = b""
    failure: tuple[str, str] | None = None


class UnsafeArchive(Exception):
    """An archive that takes more than any archive of films does."""


def is_archive(name: str) -> bool:
    """Whether a file is an archive, as its name says."""
    return name.lower().endswith(SUFFIXES)


def films_in(file: BinaryIO, name: str) -> Iterator[Member]:
    """Every member that is a film or claims to be one, in the archive's order, each under a name of its own."""
    taken: set[str] = set()
    members = _of_zip if name.lower().endswith(".zip") else _of_tar
    try:
        for number, member in enumerate(members(file)):
            if number >= MAX_MEMBERS:
                raise UnsafeArchive(f"it has more than {MAX_MEMBERS:,} members")
            if member is None:
                continue
            name = printable(member.name or "")
            name = f"{name} (member {number})" if name in taken else name
            taken.add(name)
            yield member._replace(name=name)
    except UnsafeArchive as error:
        yield Member(None, failure=("unsafe_archive", f"{error}; what comes before is judged; split it"))
    except DAMAGE:
        yield _damaged()
    except OSError as error:
        if error.errno != errno.EINVAL:  # a damaged offset makes zipfile seek before the start of the file
            raise
        yield _damaged()


def _damaged() -> Member:
    return Member(None, failure=("damaged_archive", "cannot be read on from here; get it again, under another name"))


def _of_zip(file: BinaryIO) -> Iterator[Member | None]:
    """The files, None for each that is no film."""
    size = file.seek(0, os.SEEK_END)
    _check_directory(file, size)
    limit, given = max(MAX_RATIO * size, RATIO_COUNTS_FROM), 0
    with zipfile.ZipFile(file) as archive:
        for info in archive.infolist():
            if info.is_dir() or stat.S_IFMT(info.external_attr >> 16) not in (0, stat.S_IFREG):
                continue
            if info.flag_bits & 0x2041:  # encrypted, strongly encrypted, or with a masked header
                yield Member(info.filename, failure=("encrypted", "a member that is encrypted; pack it without"))
                continue
            if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):  # LZMA may claim gigabytes
                detail = "a member packed by another method than deflate; pack it with that"
                yield Member(info.filename, failure=("unsupported_encoding", detail))
                continue
            try:
                with archive.open(info) as packed:
                    member = _film(info.filename, packed)
            except DAMAGE:  # to this member, and not to the next one
                member = Member(info.filename, failure=("damaged", "a damaged member of the archive; get it again"))
            given += len(member.content) if member is not None else 0
            if given > limit:
                raise UnsafeArchive(f"it unpacks to more than {MAX_RATIO} times its size")
            yield member


def _film(name: str, file: IO[bytes]) -> Member | None:
    """As in a folder: a file counts if its content is a film's or its name claims so."""
    head = file.read(HEAD)
    if recognize(head) is None and not name.lower().endswith(tuple(PICTURE_SUFFIXES)):
        return None
    return Member(name, head + content_of(cast("BinaryIO", file)))


def _check_directory(file: BinaryIO, size: int) -> None:
    """The table of contents, which zipfile reads as a whole, has a bounded size."""
    file.seek(max(size - END_OF_ZIP_BYTES - LONGEST_COMMENT - LARGE_END_OF_ZIP_BYTES, 0))
    tail = file.read()
    place, field, kind = tail.rfind(END_OF_ZIP), 12, "<L"
    large = tail.rfind(LARGE_END_OF_ZIP, 0, max(place, 0))
    if large >= 0:
        place, field, kind = large, 40, "<Q"
    if place < 0:
        raise zipfile.BadZipFile
    (directory,) = struct.unpack_from(kind, tail, place + field)
    if directory > MAX_DIRECTORY:
        raise UnsafeArchive(f"its table of contents is larger than {MAX_DIRECTORY:,} bytes")
    file.seek(0)


def _of_tar(file: BinaryIO) -> Iterator[Member | None]:
    packed = file.read(2) == b"\x1f\x8b"
    file.seek(0)
    stream = cast("BinaryIO", _Inflated(file)) if packed else file
    with tarfile.open(fileobj=stream, mode="r|", tarinfo=_BoundedInfo, errors="surrogateescape") as archive:
        for info in archive:
            archive.members.clear()  # type: ignore[attr-defined]  # of what has gone by nothing is kept
            content = archive.extractfile(info) if info.isreg() and not info.issparse() else None
            if content is None:  # a link, a folder, a device, or holes that claim any size
                continue
            yield _film(info.name, content)


class _BoundedInfo(tarfile.TarInfo):
    """What comes before a member is read as a whole, whatever size it claims."""

    def _proc_member(self, archive: tarfile.TarFile) -> tarfile.TarInfo | None:  # which tarfile offers to be overridden
        if self.size > MAX_HEADER and self.type in BEFORE_MEMBERS:
            raise UnsafeArchive(f"a member has a name or properties of more than {MAX_HEADER:,} bytes")
        return super()._proc_member(archive)  # type: ignore[misc,no-any-return]


class _Inflated:
    """What a gzip file holds, never more at once than is asked for; gzip's own reader knows no limits."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._packed = b""
        self._unpacking: Any = None
        self._taken = self._given = 0

    def read(self, size: int) -> bytes:
        """At most so many bytes; none at the end. Raises UnsafeArchive where it gives far more than it took."""
        while self._packed or self._unpacking or self._fill():
            self._unpacking = self._unpacking or zlib.decompressobj(31)
            piece: bytes = self._unpacking.decompress(self._packed, size)
            self._packed = self._unpacking.unconsumed_tail
            if self._unpacking.eof:  # another one may follow
                self._packed, self._unpacking = self._unpacking.unused_data, None
            self._given += len(piece)
            if self._given > max(MAX_RATIO * self._taken, RATIO_COUNTS_FROM):
                raise UnsafeArchive(f"it unpacks to more than {MAX_RATIO} times its size")
            if piece:
                return piece
            if self._unpacking and not self._packed and not self._fill():
                raise EOFError
        return b""

    def _fill(self) -> bool:
        self._packed = self._file.read(PIECE)
        self._taken += len(self._packed)
        return bool(self._packed)
