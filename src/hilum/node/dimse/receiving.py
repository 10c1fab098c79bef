"""The door for films: C-STORE and C-ECHO from callers that are allowed to."""

from __future__ import annotations

import ssl
import sys
from collections.abc import Iterator
from contextlib import contextmanager
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

from hilum.node.dimse.bounds import Bounds, NodeEntity, bound, close, stream_to_spool
from hilum.node.intake import Intake, Outcome
from hilum.node.log import note, note_bug
from hilum.node.queue import Queue
from hilum.node.settings.node import NodeError, NodeSettings
from hilum.node.settings.target import Tls
from hilum.node.spool import Spool
from hilum.radiograph.dicom.header import HEADER_ERRORS
from hilum.system.database import DatabaseError

VERIFICATION, COMMITMENT = "1.2.840.10008.1.1", "1.2.840.10008.1.20.1"
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
HIGH = 1  # a priority
NOT_UNDERSTOOD, NOT_NOW = 0x0115, 0x0110
SENT_AGAIN_AFTER = 60.0  # seconds, of what a target has lost
STATUS = {
    Outcome.TAKEN: 0x0000,
    Outcome.KNOWN: 0x0000,
    Outcome.PASSED_OVER: 0x0000,
    Outcome.NO_ROOM: 0xA700,
    Outcome.OURS: 0x0124,
    Outcome.DAMAGED: 0xC000,
    Outcome.OTHER_STUDY: 0xA900,
}
WAIT_OUTSIDE = 8  # connections beyond the associations, which hear that there is no room for now; more are closed


class Receiver:
    """Gives films to the intake. `rejected` counts callers who heard that there is no room, or that they may not."""

    def __init__(self, settings: NodeSettings, spool: Spool, queue: Queue, intake: Intake) -> None:
        self._settings = settings
        self._queue = queue
        self._spool = spool
        self._intake = intake
        self._context = None if settings.tls is None else server_context(settings.tls)
        self.rejected = 0

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
        committing = [target.title for target in settings.target if target.commitment]
        entity.require_calling_aet = settings.callers and [*settings.callers, *committing]
        entity.add_supported_context(VERIFICATION)
        # Who was asked to commit to results calls back, and is the provider of that service.
        entity.add_supported_context(COMMITMENT, scu_role=False, scp_role=True)
        for kind in FILMS:
            entity.add_supported_context(kind, ENCODINGS)
        handlers: list[Any] = [
            (evt.EVT_CONN_OPEN, bound),
            (evt.EVT_CONN_CLOSE, close),
            (evt.EVT_C_STORE, self._store),
            (evt.EVT_N_EVENT_REPORT, self._committed),
            (evt.EVT_REJECTED, self._rejected),
        ]
        try:
            server = entity.make_server(
                (settings.host, settings.port),
                ssl_context=self._context,
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
        self.rejected += 1

    def _store(self, event: evt.Event) -> int:
        """What the sender hears of its film."""
        caller = str(event.assoc.requestor.ae_title).strip()
        urgent = getattr(event.request, "Priority", None) == HIGH
        return STATUS[self._intake.take(event.dataset_path, caller, urgent=urgent).outcome]

    def _committed(self, event: evt.Event) -> tuple[int, None]:
        """A target says what it keeps of what it was asked to commit to (PS3.4 J.3.3)."""
        try:
            told = event.event_information
            kept, lost = (
                [str(one.ReferencedSOPInstanceUID) for one in told.get(name) or ()]
                for name in ("ReferencedSOPSequence", "FailedSOPSequence")
            )
            done = self._queue.committed(str(told.TransactionUID), kept, lost, SENT_AGAIN_AFTER)
        except HEADER_ERRORS:
            return NOT_UNDERSTOOD, None
        except DatabaseError as error:
            note(f"a commitment could not be kept: {error}")
            return NOT_NOW, None
        for number in done:
            self._spool.delivered(number)
            note(f"film {number}: all results sent, and committed to")
        return 0x0000, None


class _Server(ThreadedAssociationServer):
    """pynetdicom's, whose door no caller can hold shut: greetings in TLS take place in a thread of their own."""

    request_queue_size = 128  # socketserver's 5 would make a burst of callers wait for seconds

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
