"""What one association may take of memory and disk: pynetdicom reads whatever a header announces, for ever.

Data sets go to the spool as they arrive; what stays in memory is one PDU and one command.
"""

from __future__ import annotations

import socket
import threading
import time
from contextlib import suppress
from functools import partial
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any, NamedTuple

from pynetdicom import AE, _config, dimse_messages, evt
from pynetdicom.transport import AssociationSocket

from hilum.node.log import note_bug
from hilum.radiograph.dicom.header import HEADER_ERRORS

INVALID = "Evt19"  # the association ends as with any invalid PDU
MOST_COMMAND = 65536  # bytes in memory of a message that is no film
# Callers send a command and then wait until it is acknowledged, which the system would put off by 40 ms for each film.
QUICKACK = getattr(socket, "TCP_QUICKACK", None)
LEAST_PDU = 65536  # requests for an association have many lines, however small the PDUs that follow


class Bounds(NamedTuple):
    """Of one association: a PDU, all that comes before the next film is stored, and how long a PDU may take."""

    pdu: int
    film: int
    seconds: float


class NodeEntity(AE):
    """An application entity whose data sets are written to a folder of its own as they arrive."""

    def __init__(self, title: str, arriving: Path, bounds: Bounds) -> None:
        super().__init__(title)
        self.arriving = arriving
        self.bounds = bounds
        self.maximum_pdu_size = bounds.pdu
        self.network_timeout = self.acse_timeout = self.dimse_timeout = bounds.seconds


class Overdrawn(OSError):
    """A peer that wants more than it may have."""


def stream_to_spool() -> None:
    """From now on pynetdicom writes data sets to files, those of a NodeEntity to its folder."""
    _config.STORE_RECV_CHUNKED_DATASET = True
    _config.LOG_HANDLER_LEVEL = "none"
    AssociationSocket._shutdown_socket = close_socket  # type: ignore[assignment,method-assign]
    dimse_messages.NamedTemporaryFile = _in_folder  # type: ignore[assignment,attr-defined]


def close_socket(connection: Any) -> None:
    """In place of pynetdicom's own, which leaves a socket open where its peer has gone first."""
    with suppress(OSError, AttributeError):
        connection.socket.shutdown(socket.SHUT_RDWR)
    if connection.socket is not None:
        connection.socket.close()


def bound(event: evt.Event) -> None:
    """A connection is open: hold it to the bounds of its entity."""
    association: Any = event.assoc
    entity, connection = association.ae, association.dul.socket
    state = _Taken(association, entity.bounds)
    connection.socket.settimeout(entity.bounds.seconds)
    connection.recv = partial(_receive, connection, entity.bounds)
    association.dimse.receive_primitive = partial(state.receive, association.dimse.receive_primitive)


def close(event: evt.Event) -> None:
    """A connection is closed: a data set that did not come to its end goes, and so does the place it had."""
    association: Any = event.assoc
    if not association.is_established:  # else its thread would wait for a request until its time is over
        association.dul.to_user_queue.put(None)
    message = association.dimse.message
    path = getattr(message, "_data_set_path", None)
    if path is not None:
        message._data_set_file.close()
        path.unlink(missing_ok=True)


class _Taken:
    """What has come of the message that is being received."""

    def __init__(self, association: Any, bounds: Bounds) -> None:
        self._association = association
        self._bounds = bounds
        self._film = 0

    def receive(self, receive: Any, primitive: Any) -> None:
        """In place of pynetdicom's own, whose thread ends with what it cannot decode or write."""
        self._film += sum(len(data) for _, data in primitive.presentation_data_value_list)
        dimse = self._association.dimse
        try:
            receive(primitive)
        except HEADER_ERRORS:  # a command that is none, or a spool that is full
            self._association.dul.event_queue.put(INVALID)
            return
        except Exception as error:
            note_bug("a message could not be received", error)
            self._association.dul.event_queue.put(INVALID)
            return
        message = dimse.message
        if message is None:
            self._film = 0
            return
        held = message.encoded_command_set.tell() + message.data_set.tell()
        if held > MOST_COMMAND or self._film > self._bounds.film:
            self._association.dul.event_queue.put(INVALID)


def _receive(connection: Any, bounds: Bounds, count: int) -> bytearray:
    """In place of pynetdicom's own: a PDU within bounds, whole within its time, or an error that ends it."""
    if count > max(bounds.pdu, LEAST_PDU):
        raise Overdrawn("a PDU larger than was agreed")
    received = bytearray(count)
    view, filled = memoryview(received), 0
    deadline = time.monotonic() + bounds.seconds
    if QUICKACK is not None:  # it holds for the next answer alone
        connection.socket.setsockopt(socket.IPPROTO_TCP, QUICKACK, 1)
    while filled < count:
        taken = connection.socket.recv_into(view[filled:])
        if not taken:
            return received[:filled]
        filled += taken
        if time.monotonic() > deadline:
            raise Overdrawn("a PDU that takes too long")
    return received


def _in_folder(**settings: Any) -> Any:
    """A file for a data set that begins: called in the thread of its association."""
    association = getattr(threading.current_thread(), "assoc", None)
    entity = getattr(association, "ae", None)
    folder = entity.arriving if isinstance(entity, NodeEntity) else None
    return NamedTemporaryFile(dir=folder, **settings)  # its mode is 0600
