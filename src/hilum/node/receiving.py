"""The door for films: C-STORE and C-ECHO from callers that are allowed to."""

from __future__ import annotations

import os
import ssl
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from socketserver import BaseServer
from threading import Thread
from typing import Any

from pydicom.uid import (
    ComputedRadiographyImageStorage,
    DigitalXRayImageStorageForPresentation,
    DigitalXRayImageStorageForProcessing,
    SecondaryCaptureImageStorage,
)
from pynetdicom import evt
from pynetdicom.transport import ThreadedAssociationServer

from hilum.node.bounds import Bounds, NodeEntity, bound, stream_to_spool, unlink_unfinished
from hilum.node.film import read_facts
from hilum.node.log import note, note_bug
from hilum.node.queue import Arrived, Queue
from hilum.node.settings import NodeError, NodeSettings, Tls
from hilum.node.spool import Spool
from hilum.radiograph.errors import ReadError
from hilum.system.database import DatabaseError
from hilum.system.files import file_digest

VERIFICATION = "1.2.840.10008.1.1"
FILMS = (
    ComputedRadiographyImageStorage,
    DigitalXRayImageStorageForPresentation,
    DigitalXRayImageStorageForProcessing,
    SecondaryCaptureImageStorage,
)
# What `hilum.read` reads: little and big endian as they are, JPEG of all kinds, JPEG-LS, JPEG 2000, run lengths.
ENCODINGS = [f"1.2.840.10008.1.2{end}" for end in (".1", "", ".2", ".4.50", ".4.51", ".4.57", ".4.70", ".4.80")] + [
    f"1.2.840.10008.1.2{end}" for end in (".4.81", ".4.90", ".4.91", ".5")
]
STORED, NO_ROOM, NOT_OURS, DAMAGED = 0x0000, 0xA700, 0x0124, 0xC000
WAIT_OUTSIDE = 8  # connections beyond the associations, which hear that there is no room for now; more are closed


class Receiver:
    """Takes films into the queue, each on the disk before its sender hears that it has arrived."""

    def __init__(self, settings: NodeSettings, spool: Spool, queue: Queue) -> None:
        self._settings = settings
        self._spool = spool
        self._queue = queue
        self.received = self.refused = self.passed_over = 0

    @contextmanager
    def open(self) -> Iterator[int]:
        """Listens within the block; the port, which the system has chosen where the settings say 0."""
        settings = self._settings
        stream_to_spool()
        most = settings.max_megabytes * 2**20
        bounds = Bounds(settings.pdu_kilobytes * 1024, most, settings.idle_seconds)
        entity = NodeEntity(settings.title, self._spool.arriving, bounds)
        entity.maximum_associations = settings.associations
        entity.require_called_aet = True
        entity.require_calling_aet = settings.callers
        entity.add_supported_context(VERIFICATION)
        for kind in FILMS:
            entity.add_supported_context(kind, ENCODINGS)
        handlers: list[Any] = [
            (evt.EVT_CONN_OPEN, bound),
            (evt.EVT_CONN_CLOSE, unlink_unfinished),
            (evt.EVT_C_STORE, self._store),
            (evt.EVT_REJECTED, self._rejected),
        ]
        try:
            server = entity.make_server(
                (settings.host, settings.port),
                ssl_context=None if settings.tls is None else server_context(settings.tls),
                evt_handlers=handlers,
                server_class=_Server,
            )
        except OSError as error:
            raise NodeError(f"{settings.host}:{settings.port}: {error.strerror or error}") from None
        thread = Thread(target=server.serve_forever, args=(0.1,), daemon=True, name="hilum-node-door")
        thread.start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()
            thread.join()
            for association in server.active_associations:
                association.abort()

    def _rejected(self, _: evt.Event) -> None:
        self.refused += 1

    def _store(self, event: evt.Event) -> int:
        """What the sender hears of its film. Whatever is raised here, pynetdicom would keep to itself."""
        arrived = event.dataset_path
        try:
            return self._take(arrived, str(event.assoc.requestor.ae_title).strip())
        except OSError as error:
            note(f"a film could not be kept: {error.strerror or type(error).__name__}")
            return NO_ROOM
        except DatabaseError as error:
            note(f"a film could not be kept: {error}")
            return NO_ROOM
        except Exception as error:
            note_bug("a film could not be kept", error)
            return NO_ROOM
        finally:
            arrived.unlink(missing_ok=True)

    def _take(self, arrived: Path, caller: str) -> int:
        try:
            facts = read_facts(arrived, caller)
        except ReadError as error:
            self.refused += 1
            note(f"a film was refused: {error.reason}")
            return DAMAGED
        if facts.ours:
            self.refused += 1
            note("a film was refused: it is a result of hilum's own")
            return NOT_OURS
        rule = self._settings.rule_for(facts)
        if rule is None:
            self.passed_over += 1
            note("a film was passed over: no rule takes it")
            return STORED
        with arrived.open("rb") as file:
            os.fsync(file.fileno())
        film = Arrived(facts.instance, file_digest(arrived), caller, self._settings.rule.index(rule))
        number = self._queue.add(film, lambda number: self._spool.keep(arrived, number))
        if number is None:
            note("a film was sent again: it is known already")
        else:
            self.received += 1
            note(f"film {number}: has arrived")
        return STORED


class _Server(ThreadedAssociationServer):
    """pynetdicom's, whose door no caller can hold shut: greetings in TLS take place in a thread of their own."""

    def get_request(self) -> Any:
        assert self.socket is not None
        connection, address = self.socket.accept()
        connection.settimeout(self.ae.network_timeout)
        if self.ssl_context is not None:
            connection = self.ssl_context.wrap_socket(connection, server_side=True, do_handshake_on_connect=False)
        return connection, address

    def verify_request(self, request: Any, client_address: Any) -> bool:
        return len(self.active_associations) < self.ae.maximum_associations + WAIT_OUTSIDE

    def shutdown(self) -> None:
        BaseServer.shutdown(self)
        self.server_close()

    def handle_error(self, request: Any, client_address: Any) -> None:
        error = sys.exc_info()[1]
        if isinstance(error, Exception) and not isinstance(error, OSError):
            note_bug("a connection could not be served", error)


def server_context(tls: Tls) -> ssl.SSLContext:
    """Who the node is, and whom it lets in. Raises NodeError."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(tls.cert, tls.key)
        if tls.callers is not None:
            context.load_verify_locations(tls.callers)
            context.verify_mode = ssl.CERT_REQUIRED
    except OSError as error:  # an SSLError is one
        raise NodeError(f"tls: {tls.cert}, {tls.key} or {tls.callers}: {error.strerror or error}") from None
    return context
