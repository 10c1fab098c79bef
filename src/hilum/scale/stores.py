"""Object stores: S3 and what speaks like it, Google's, Azure's and HDFS through Arrow, anything else through fsspec.

Credentials come from the environment or the machine's role, as each store's own client takes them.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import cache
from importlib.util import find_spec
from typing import Any, BinaryIO, cast
from urllib.parse import urlsplit

from hilum.radiograph.read import content_of
from hilum.scale.errors import ScaleError, StoreError
from hilum.system.installed import install_extra
from hilum.system.text import printable


def check_stores() -> None:
    """Refuse addresses of stores where nothing here can open them."""
    if find_spec("pyarrow") is None:
        raise ScaleError(f"object stores need more than the base package: {install_extra('scale')}")


def objects_below(uri: str) -> Iterator[str] | None:
    """The addresses of all objects below a folder of a store; None where the address is that of an object."""
    import pyarrow.fs

    files, path = _opened(uri)
    try:
        (info,) = files.get_file_info([path.rstrip("/")])
    except OSError as error:
        raise _unreachable(uri, error) from None
    if info.type == pyarrow.fs.FileType.File and not uri.endswith("/"):
        return None
    if info.type == pyarrow.fs.FileType.NotFound:
        raise ScaleError(f"{printable(uri)}: there is no such object or folder")
    return _below(uri.partition("://")[0], path.rstrip("/"), files)


def read_object(uri: str) -> bytes:
    """The content of an object. Raises FileNotFoundError, PermissionError, or StoreError."""
    with open_object(uri) as file:
        try:
            return content_of(file)
        except OSError as error:
            raise _unreachable(uri, error) from None


def write_object(uri: str, content: bytes) -> None:
    """Put an object into a store, whole or not at all. Raises StoreError."""
    files, path = _opened(uri)
    try:
        with files.open_output_stream(path) as file:
            file.write(content)
    except OSError as error:
        raise _unreachable(uri, error, "written") from None


def object_is_there(uri: str) -> bool:
    """Whether an address is that of an object. Raises StoreError."""
    import pyarrow.fs

    files, path = _opened(uri)
    try:
        return bool(files.get_file_info([path])[0].type == pyarrow.fs.FileType.File)
    except OSError as error:
        raise _unreachable(uri, error) from None


def names_below(uri: str) -> dict[str, float]:
    """All objects below a folder, which need not be there, and when each was written. Raises StoreError."""
    import pyarrow.fs

    files, path = _opened(uri)
    try:
        found = files.get_file_info(pyarrow.fs.FileSelector(path, recursive=True, allow_not_found=True))
    except OSError as error:
        raise _unreachable(uri, error) from None
    return {
        entry.path.removeprefix(path).lstrip("/"): (entry.mtime_ns or 0) / 1e9
        for entry in found
        if entry.type == pyarrow.fs.FileType.File
    }


def open_object(uri: str) -> BinaryIO:
    """An object as a file that can be read from any place of it."""
    files, path = _opened(uri)
    try:
        return cast("BinaryIO", files.open_input_file(path))
    except (FileNotFoundError, PermissionError):
        raise
    except OSError as error:
        raise _unreachable(uri, error) from None


def _below(scheme: str, folder: str, files: Any) -> Iterator[str]:
    """One folder after the other, so that no more than one of them is in memory."""
    import pyarrow.fs

    try:
        entries = files.get_file_info(pyarrow.fs.FileSelector(folder))
    except OSError as error:
        raise _unreachable(f"{scheme}://{folder}", error) from None
    for entry in entries:
        if entry.base_name.startswith("."):
            continue
        if entry.type == pyarrow.fs.FileType.Directory:
            yield from _below(scheme, entry.path, files)
        elif entry.type == pyarrow.fs.FileType.File:
            yield f"{scheme}://{entry.path}"


def _opened(uri: str) -> tuple[Any, str]:
    """The store and the place in it: what stands after the scheme, character for character."""
    scheme, _, rest = uri.partition("://")
    bucket = rest.partition("/")[0]
    return _store(scheme, bucket), rest


@cache
def _store(scheme: str, bucket: str) -> Any:
    import pyarrow
    import pyarrow.fs

    if scheme == "s3":
        return _s3(bucket)
    try:
        return pyarrow.fs.FileSystem.from_uri(f"{scheme}://{bucket}")[0]
    except pyarrow.ArrowInvalid:
        pass
    try:
        import fsspec

        return pyarrow.fs.PyFileSystem(pyarrow.fs.FSSpecHandler(fsspec.filesystem(scheme)))
    except (ValueError, ImportError):
        raise ScaleError(
            f"{printable(scheme)}://: no store that is known here; install fsspec's package for it"
        ) from None


def _s3(bucket: str) -> Any:
    """By the variables that every client of S3 knows."""
    import pyarrow.fs

    endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
    region = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")
    if endpoint:
        parts = urlsplit(endpoint)
        return pyarrow.fs.S3FileSystem(
            endpoint_override=parts.netloc, scheme=parts.scheme, region=region or "us-east-1"
        )
    try:
        return pyarrow.fs.S3FileSystem(region=region or pyarrow.fs.resolve_s3_region(bucket))
    except OSError as error:
        raise _unreachable(f"s3://{bucket}", error) from None


def _unreachable(uri: str, error: OSError, what: str = "read") -> StoreError:
    """Without the store's own words, which may hold what it was asked with."""
    scheme, _, rest = uri.partition("://")
    place = f"{scheme}://{rest.partition('/')[0]}"
    kind = type(error).__name__
    return StoreError(error.errno, f"cannot be {what} just now ({kind}); see to it, then give the same command", place)
