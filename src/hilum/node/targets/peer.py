"""Servers that the node asks over HTTP, as its settings name them."""

from __future__ import annotations

from pathlib import Path

from hilum.dicomweb.peer import Peer, authorization_by
from hilum.node.settings.node import NodeError
from hilum.node.settings.target import TargetTls
from hilum.node.targets.tls import client_context


def peer_at(url: str, tls: TargetTls | None, credentials: str | None) -> Peer:
    """By its root. `credentials` is a file with `name:password`, or with a token. Raises NodeError."""
    context = client_context(tls) if tls is not None and url.startswith("https:") else None
    return Peer(url, None if credentials is None else _authorization(Path(credentials)), context)


def _authorization(file: Path) -> str:
    try:
        return authorization_by(file.read_text(encoding="utf-8").strip())
    except (OSError, UnicodeDecodeError) as error:
        raise NodeError(f"{file}: {getattr(error, 'strerror', None) or 'is no text file'}") from None
