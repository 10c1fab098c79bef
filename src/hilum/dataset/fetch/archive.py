"""A zip archive from the network becomes a folder: whole or not at all, and never a byte outside it."""

from __future__ import annotations

import errno
import shutil
import stat
import struct
import zipfile
import zlib
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path

from hilum.system.files import FULL

CHUNK = 1 << 20
# Deflate packs zeros 1,000 times smaller; films pack 1 to 3 times and the tables beside them some 20 times.
MAX_RATIO = 100
# Below this size a ratio proves nothing: a table of a few thousand like lines packs that well.
RATIO_COUNTS_FROM = 16 << 20


class FetchReason(StrEnum):
    """Why a data set could not be fetched; programs may switch on it, its values never change meaning."""

    CREDENTIALS_MISSING = "credentials_missing"
    CREDENTIALS_WRONG = "credentials_wrong"
    ACCESS_DENIED = "access_denied"
    RULES_NOT_ACCEPTED = "rules_not_accepted"
    NOT_FOUND = "not_found"
    CONNECTION = "connection"
    DAMAGED_ARCHIVE = "damaged_archive"
    UNSAFE_ARCHIVE = "unsafe_archive"
    DISK_FULL = "disk_full"
    CANNOT_WRITE = "cannot_write"
    FOLDER_NOT_EMPTY = "folder_not_empty"


class FetchError(RuntimeError):
    """A data set that could not be fetched. `detail` is one line: what is wrong and what to do about it."""

    def __init__(self, reason: FetchReason, detail: str) -> None:
        super().__init__(reason, detail)
        self.reason = reason
        self.detail = detail

    def __str__(self) -> str:
        return f"{self.reason}: {self.detail}"


def extract_zip(
    archive: Path, folder: Path, max_bytes: int, max_files: int, on_progress: Callable[[int, int], None]
) -> None:
    """Unpack `archive` as the new folder `folder`, which appears only once every member is in it and checked.

    Until then the members are in `folder` + ".partial", which is gone afterwards whatever happens. zipfile checks each
    member's CRC-32, cleans names silently and knows no limits: here a name that needs cleaning, a link, or more bytes
    than allowed is an error. `on_progress` gets the bytes written so far and the bytes that the archive claims to hold.
    """
    if folder.exists():
        raise FetchError(FetchReason.FOLDER_NOT_EMPTY, f"{folder} exists already; give a new folder")
    partial = folder.with_name(folder.name + ".partial")
    try:
        if partial.exists():
            shutil.rmtree(partial)
        partial.mkdir(parents=True)
        with zipfile.ZipFile(archive) as opened:
            members = _checked(opened.infolist(), max_files)
            claimed = sum(member.file_size for member in members)
            require_space(partial, claimed)
            # Sizes in an archive are claims of whoever made it; a bomb unpacks to more than its own size explains.
            limit = min(max_bytes, max(MAX_RATIO * archive.stat().st_size, RATIO_COUNTS_FROM))
            written = 0
            for member in members:
                written = _extract_member(opened, member, partial, written, limit)
                on_progress(written, max(written, claimed))
        partial.rename(folder)
    except (zipfile.BadZipFile, zlib.error, struct.error, EOFError, ValueError, NotImplementedError) as error:
        # What zipfile raises on damaged bytes: its own error and whatever the parsing underneath stumbles over.
        raise damaged() from error
    except OSError as error:
        if error.errno == errno.EINVAL:  # a damaged offset makes zipfile seek before the start of the file
            raise damaged() from error
        raise explain(error, folder) from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def require_space(folder: Path, needed: int) -> None:
    """Find out before hours of work, not after, that the disk is too small."""
    free = shutil.disk_usage(folder).free
    if free < needed:
        detail = f"{needed / 1e9:.1f} GB more are needed and {free / 1e9:.1f} GB are free"
        raise FetchError(FetchReason.DISK_FULL, f"{detail}; make room or choose another disk, then run it again")


def explain(error: OSError, folder: Path) -> FetchError:
    """A failure of the file system, said so that a user can act on it."""
    if error.errno in FULL:
        detail = f"no room for this data set at {folder} ({error.strerror}); make room, then run it again"
        return FetchError(FetchReason.DISK_FULL, detail)
    return FetchError(FetchReason.CANNOT_WRITE, f"{error.filename or folder}: {error.strerror or type(error).__name__}")


def damaged() -> FetchError:
    """The error for an archive that is not what was sent."""
    return FetchError(FetchReason.DAMAGED_ARCHIVE, "the archive is damaged or cut short; fetch it again")


def _checked(members: list[zipfile.ZipInfo], max_files: int) -> list[zipfile.ZipInfo]:
    """The members, once nothing about any of them is strange: one bad member spoils the archive."""
    if len(members) > max_files:
        raise _unsafe(f"it holds {len(members):,} files, more than the {max_files:,} allowed")
    names: set[str] = set()
    for member in members:
        name = member.orig_filename  # zipfile cuts `filename` at a NUL and turns a backslash round on Windows
        if not _is_plain(name):
            raise _unsafe("a member's name leads out of the folder or is no plain relative path")
        if name in names:
            raise _unsafe("two members have the same name")
        names.add(name)
        if stat.S_IFMT(member.external_attr >> 16) not in (0, stat.S_IFREG, stat.S_IFDIR):
            raise _unsafe("a member is a link or a special file")
        if member.flag_bits & 0x2041:  # encrypted, strongly encrypted, or with a masked header
            raise _unsafe("a member is encrypted")
        if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise _unsafe("a member is packed by another method than deflate")  # LZMA may claim gigabytes of memory
    return members


def _is_plain(name: str) -> bool:
    """Relative, and the same file on every system.

    A colon is a drive or a hidden stream on Windows, where trailing dots and spaces also vanish, so ".. " is "..".
    """
    parts = name.removesuffix("/").split("/")
    return all(
        part == part.rstrip(". ") != ""
        and len(part.encode()) <= 255
        and not any(character in "\\:" or ord(character) < 32 for character in part)
        for part in parts
    )


def _extract_member(opened: zipfile.ZipFile, member: zipfile.ZipInfo, folder: Path, written: int, limit: int) -> int:
    """Write one member; the bytes that the whole archive has given so far, counted here and not believed."""
    target = folder / member.orig_filename
    try:
        if member.is_dir():
            target.mkdir(parents=True, exist_ok=True)
            return written
        target.parent.mkdir(parents=True, exist_ok=True)
        # "x": on a disk that ignores case, or takes two spellings of an accent for one, nothing is written over either.
        with opened.open(member) as source, target.open("xb") as file:
            while chunk := source.read(CHUNK):
                written += len(chunk)
                if written > limit:
                    raise _unsafe(f"it unpacks to more than {limit:,} bytes, more than a data set of its size can")
                file.write(chunk)
            size = file.tell()
    except (FileExistsError, NotADirectoryError) as error:
        raise _unsafe("two members lead to the same file") from error
    if size != member.file_size:
        raise damaged()
    return written


def _unsafe(what: str) -> FetchError:
    return FetchError(FetchReason.UNSAFE_ARCHIVE, f"the archive is not what hilum expects and was not unpacked: {what}")
