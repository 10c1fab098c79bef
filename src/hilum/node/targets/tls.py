"""Whom the node trusts where it calls, and who it is there."""

from __future__ import annotations

import ssl

from hilum.node.settings.node import NodeError
from hilum.node.settings.target import TargetTls


def client_context(tls: TargetTls) -> ssl.SSLContext:
    """Raises NodeError."""
    try:
        context = ssl.create_default_context(cafile=tls.authority)
        if tls.cert is not None:
            context.load_cert_chain(tls.cert, tls.key)
    except OSError as error:  # an SSLError is one
        raise NodeError(f"tls: {tls.authority} or {tls.cert}: {error.strerror or error}") from None
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context
