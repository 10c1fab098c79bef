"""To a target by C-STORE."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from pydicom.dataset import Dataset
from pydicom.filereader import dcmread
from pydicom.uid import (
    UID,
    Comprehensive3DSRStorage,
    ExplicitVRLittleEndian,
    GrayscaleSoftcopyPresentationStateStorage,
    JPEGLSLossless,
    ParametricMapStorage,
    RLELossless,
    SecondaryCaptureImageStorage,
    SegmentationStorage,
)
from pynetdicom import evt
from pynetdicom.ae import ApplicationEntity
from pynetdicom.association import Association

from hilum.dicomweb.peer import Unreachable
from hilum.node.settings.target import Target
from hilum.node.targets.tls import client_context
from hilum.node.targets.way import Refused, Store

RESULTS = (
    Comprehensive3DSRStorage,
    GrayscaleSoftcopyPresentationStateStorage,
    SecondaryCaptureImageStorage,
    ParametricMapStorage,
    SegmentationStorage,
)
# Each way a result may be written is proposed by itself: what a target does not read is unpacked for it.
PACKED = {ParametricMapStorage: RLELossless, SegmentationStorage: JPEGLSLossless}
COMMITMENT, COMMITMENT_INSTANCE = UID("1.2.840.10008.1.20.1"), UID("1.2.840.10008.1.20.1.1")
SECONDS = 60.0
DUPLICATE = 0x0111  # it is there already
NO_ROOM = range(0xA700, 0xA800)


class CStore:
    """Associations with a target, one for each lot of results."""

    def __init__(self, target: Target, title: str) -> None:
        self._target = target
        self._context = None if target.tls is None else client_context(target.tls)
        self._entity = ApplicationEntity(title)
        self._entity.acse_timeout = self._entity.dimse_timeout = self._entity.network_timeout = SECONDS
        self._entity.connection_timeout = SECONDS / 4
        for kind in RESULTS:
            self._entity.add_requested_context(kind, ExplicitVRLittleEndian)
            if kind in PACKED:
                self._entity.add_requested_context(kind, PACKED[kind])
        if target.commitment:
            self._entity.add_requested_context(COMMITMENT)

    @contextmanager
    def connect(self, asked: str) -> Iterator[Store]:
        """See Way."""
        target = self._target
        tls = None if self._context is None else (self._context, target.host)
        opened: Any = [(evt.EVT_CONN_OPEN, at_once)]
        association = self._entity.associate(
            target.host, target.port, ae_title=target.title, tls_args=tls, evt_handlers=opened
        )
        if not association.is_established:
            raise Unreachable("does not take calls from here" if association.is_rejected else "cannot be reached")
        stored: list[Dataset] = []
        try:
            yield partial(_store, association, stored)
            if target.commitment and stored:
                _ask_to_commit(association, asked, stored)
        finally:
            if association.is_established:
                association.release()


def at_once(event: evt.Event) -> None:
    """What is sent goes at once. The system would hold each data set back until its command is acknowledged, which the
    other side's system puts off: together some 40 ms for each result.
    """
    connection: Any = event.assoc.dul.socket
    connection.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def _ask_to_commit(association: Association, asked: str, stored: list[Dataset]) -> None:
    """PS3.4 J; the answer comes to the node's own port."""
    request = Dataset()
    request.TransactionUID = asked
    request.ReferencedSOPSequence = stored
    try:
        status, _ = association.send_n_action(request, 1, COMMITMENT, COMMITMENT_INSTANCE)
    except (RuntimeError, ValueError):  # pynetdicom's, of an association that has ended or has no such context
        raise Unreachable("does not take requests to commit to what it stores") from None
    if status.get("Status") != 0:
        raise Unreachable("will not commit to what it stores")


def _store(association: Association, stored: list[Dataset], path: Path) -> str:
    """A packed result is unpacked for whoever does not read it so."""
    result = dcmread(path)
    kind, written = UID(result.SOPClassUID), UID(result.file_meta.TransferSyntaxUID)
    accepted: list[Any] = [cx for cx in association.accepted_contexts if cx.abstract_syntax == kind]
    if not accepted:
        raise Refused(f"does not take objects of this kind ({kind.name})")
    if all(context.transfer_syntax[0] != written for context in accepted):
        if not written.is_compressed:
            raise Refused("reads no explicit little endian")
        result.decompress(generate_instance_uid=False)
    try:
        status = association.send_c_store(result).get("Status")
    except RuntimeError:  # pynetdicom's, of an association that has ended
        raise Unreachable("broke the connection off") from None
    if status is None:
        raise Unreachable("did not answer")
    if status in NO_ROOM:
        raise Unreachable("has no room")
    # Warnings (0xB...) say that it was stored with something changed.
    if status not in (0, DUPLICATE) and not 0xB000 <= status < 0xC000:
        raise Refused(f"refuses it (status {status:04X})")
    reference = Dataset()
    reference.ReferencedSOPClassUID, reference.ReferencedSOPInstanceUID = kind, result.SOPInstanceUID
    stored.append(reference)
    return str(result.SOPInstanceUID)
