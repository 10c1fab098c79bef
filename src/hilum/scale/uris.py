"""What names a film: a path on a file system, or the address of an object in a store, never with a password in it."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import unquote_to_bytes, urlsplit

from hilum.scale.dicomweb import check_dicomweb, is_dicomweb
from hilum.scale.errors import ScaleError

CONTAINERS = frozenset({"abfs", "abfss"})  # of Azure, whose addresses have an @ before the account


def uri_of(path: Path) -> str:
    """A file's absolute path where that is plain text, else its file:// address, in which any name is."""
    text = str(path.absolute())
    return text if text.isprintable() and "://" not in text else path.absolute().as_uri()


def local_path(uri: str) -> str | None:
    """Where a film lies on a file system; None where it is an object in a store."""
    if uri.startswith("file://"):
        # os.fsdecode would do on POSIX; the path of a file:// address is bytes of a name there.
        return unquote_to_bytes(urlsplit(uri).path).decode("utf-8", "surrogateescape")
    return None if "://" in uri else uri


def check_uri(uri: str, where: str, *, insecure: bool = False) -> None:
    """Refuse an address that holds a secret, without repeating it: rows and logs would, too."""
    if is_dicomweb(uri):
        check_dicomweb(uri, where, insecure=insecure)
        return
    scheme, found, rest = uri.partition("://")
    if not found or scheme == "file":
        return
    authority = rest.partition("/")[0]
    if "@" in authority and (scheme not in CONTAINERS or ":" in authority):
        raise ScaleError(
            f"{where}: an address with a user or a password in it; leave them out, and give them to the store's own "
            "client, as AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY or an instance's role"
        )
    if "?" in rest:
        raise ScaleError(f"{where}: an address with a query, which may hold a signature; give the plain address")
