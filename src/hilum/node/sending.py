"""The way out: results go to their target by C-STORE, again and again until it has them."""

from __future__ import annotations

import ssl
import time
from pathlib import Path
from threading import Event
from typing import Any

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
from pynetdicom.ae import ApplicationEntity
from pynetdicom.association import Association

from hilum.node.log import note, note_bug
from hilum.node.queue import Delivery, Queue
from hilum.node.settings.node import NodeError, NodeSettings
from hilum.node.settings.target import Target, TargetTls
from hilum.node.spool import Spool
from hilum.system.database import DatabaseError

RESULTS = (
    Comprehensive3DSRStorage,
    GrayscaleSoftcopyPresentationStateStorage,
    SecondaryCaptureImageStorage,
    ParametricMapStorage,
    SegmentationStorage,
)
# Each way a result may be written is proposed by itself: what a target does not read is unpacked for it.
PACKED = {ParametricMapStorage: RLELossless, SegmentationStorage: JPEGLSLossless}
AT_ONCE = 64  # results in one association
PAUSE = 0.2
FIRST_WAIT, LONGEST_WAIT, SECONDS = 2.0, 300.0, 60.0
DUPLICATE = 0x0111  # it is there already
NO_ROOM = range(0xA700, 0xA800)


class Unreachable(Exception):
    """A target that cannot be had just now; one line why."""


class Refused(Exception):
    """A target that will not have this result; one line why."""


class Sender:
    """Sends what is due to one target, as long as it runs."""

    def __init__(self, target: Target, settings: NodeSettings, spool: Spool, queue: Queue) -> None:
        self.name = target.name
        self.failing: str | None = None  # why, since the last try
        self._target = target
        self._patience = settings.give_up_hours * 3600
        self._spool = spool
        self._queue = queue
        self._context = None if target.tls is None else target_context(target.tls)
        self._entity = ApplicationEntity(settings.title)
        self._entity.acse_timeout = self._entity.dimse_timeout = self._entity.network_timeout = SECONDS
        self._entity.connection_timeout = SECONDS / 4
        for kind in RESULTS:
            self._entity.add_requested_context(kind, ExplicitVRLittleEndian)
            if kind in PACKED:
                self._entity.add_requested_context(kind, PACKED[kind])
        self.sent = 0

    def run(self, stopped: Event) -> None:
        """Until it is to stop; what is being sent then is sent."""
        while not stopped.is_set():
            try:
                due = self._queue.due(self._target.name, AT_ONCE)
                if due:
                    self._send_all(due, stopped)
                    continue
            except DatabaseError as error:
                note(f"target {self._target.name}: {error}")
            except Exception as error:
                note_bug(f"target {self._target.name}", error)
                stopped.wait(FIRST_WAIT)
            stopped.wait(PAUSE)

    def _send_all(self, due: list[Delivery], stopped: Event) -> None:
        try:
            association = self._associate()
        except Unreachable as error:
            self._put_off(due, str(error))
            return
        try:
            for place, delivery in enumerate(due):
                if stopped.is_set():
                    return
                try:
                    self._send(association, delivery)
                except Unreachable as error:
                    self._put_off(due[place:], str(error))
                    return
                except Refused as error:
                    self._give_up(delivery, str(error))
        finally:
            if association.is_established:
                association.release()

    def _associate(self) -> Association:
        target = self._target
        tls = None if self._context is None else (self._context, target.host)
        association = self._entity.associate(target.host, target.port, ae_title=target.title, tls_args=tls)
        if association.is_established:
            return association
        raise Unreachable("does not take calls from here" if association.is_rejected else "cannot be reached")

    def _send(self, association: Association, delivery: Delivery) -> None:
        result = self._spool.result(delivery.film, delivery.kind)
        try:
            status = _store(association, result)
        except FileNotFoundError:
            raise Refused(f"the {delivery.kind} is no longer in the spool") from None
        except RuntimeError:  # pynetdicom's, of an association that has ended
            raise Unreachable("broke the connection off") from None
        if status is None:
            raise Unreachable("did not answer")
        if status in NO_ROOM:
            raise Unreachable("has no room")
        # Warnings (0xB...) say that it was stored with something changed.
        if status not in (0, DUPLICATE) and not 0xB000 <= status < 0xC000:
            raise Refused(f"{self._target.name} refuses the {delivery.kind} (status {status:04X})")
        self.sent += 1
        self.failing = None
        if self._queue.sent(delivery):
            self._spool.delivered(delivery.film)
            note(f"film {delivery.film}: all results sent")

    def _put_off(self, due: list[Delivery], reason: str) -> None:
        wait = min(LONGEST_WAIT, FIRST_WAIT * 2 ** min(due[0].tries, 10))
        self.failing = reason
        note(f"target {self._target.name}: {reason}; {len(due)} results wait for {wait:g} s")
        for delivery in due:
            if time.time() - delivery.since > self._patience:
                self._give_up(delivery, f"{self._target.name} {reason}, and did so for {self._patience / 3600:g} hours")
            else:
                self._queue.postpone(delivery, wait, reason)

    def _give_up(self, delivery: Delivery, reason: str) -> None:
        self._queue.refused(delivery, reason)
        note(f"film {delivery.film}: dead letter: {reason}")


def _store(association: Association, path: Path) -> int | None:
    """The target's status; None where it gave none. A packed result is unpacked for whoever does not read it so."""
    result = dcmread(path)
    kind, written = UID(result.SOPClassUID), UID(result.file_meta.TransferSyntaxUID)
    accepted: list[Any] = [cx for cx in association.accepted_contexts if cx.abstract_syntax == kind]
    if not accepted:
        raise Refused(f"the target does not take objects of this kind ({kind.name})")
    if all(context.transfer_syntax[0] != written for context in accepted):
        if not written.is_compressed:
            raise Refused("the target reads no explicit little endian")
        result.decompress(generate_instance_uid=False)
    status = association.send_c_store(result)
    return int(status.Status) if "Status" in status else None


def target_context(tls: TargetTls) -> ssl.SSLContext:
    """Whom the node trusts, and who it is. Raises NodeError."""
    try:
        context = ssl.create_default_context(cafile=tls.authority)
        if tls.cert is not None:
            context.load_cert_chain(tls.cert, tls.key)
    except OSError as error:
        raise NodeError(f"tls of a target: {tls.authority} or {tls.cert}: {error.strerror or error}") from None
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context
