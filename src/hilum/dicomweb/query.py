"""What an archive has, by QIDO-RS (PS3.18 10.6): studies, then the films of each."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple
from urllib.parse import urlencode

from hilum.dicomweb.peer import Peer

JSON = "application/dicom+json"
STUDY, SERIES, INSTANCE, MODALITY, COUNT = "0020000D", "0020000E", "00080018", "00080060", "00201208"
AT_ONCE = 100  # studies of an answer
UID = re.compile(r"[0-9.]{1,64}")


class Study(NamedTuple):
    """By its identifier; `size`, its instances, as the archive writes it, empty where it does not."""

    uid: str
    size: str


class Instance(NamedTuple):
    """By its identifiers, and of which modality it is."""

    study: str
    series: str
    uid: str
    modality: str

    @property
    def path(self) -> str:
        """Where it is below the archive's root."""
        return f"/studies/{self.study}/series/{self.series}/instances/{self.uid}"


def studies(peer: Peer, matching: Mapping[str, str], most: int | None = None) -> Iterator[Study]:
    """Those that match, an answer at a time, each once though others come or go meanwhile. Raises Unreachable."""
    seen: set[int] = set()  # of their names, which take less memory so
    offset = 0
    while most is None or offset < most:
        found = _asked(peer, "/studies", {**matching, "includefield": COUNT, "limit": AT_ONCE, "offset": offset})
        new = [Study(uid, _first(one, COUNT)) for one in found if UID.fullmatch(uid := _first(one, STUDY))]
        new = [study for study in new if hash(study.uid) not in seen]
        seen.update(hash(study.uid) for study in new)
        yield from new
        if not new:  # nor will there be any, of an archive that begins at the same place again
            return
        offset += len(found)  # which may be fewer than were asked for, of an archive with a limit of its own


def instances(peer: Peer, study: str, series: str | None = None) -> Iterator[Instance]:
    """All instances of a study, or of a series of it. Raises Unreachable."""
    within = f"/studies/{study}" + (f"/series/{series}" if series else "")
    for one in _asked(peer, f"{within}/instances", {}):
        found = Instance(study, _first(one, SERIES) or series or "", _first(one, INSTANCE), _first(one, MODALITY))
        if UID.fullmatch(found.series) and UID.fullmatch(found.uid):
            yield found


def _asked(peer: Peer, path: str, query: dict[str, Any]) -> list[Any]:
    found = peer.json(f"{path}?{urlencode(query)}" if query else path, JSON)
    return found if isinstance(found, list) else []


def _first(found: Any, tag: str) -> str:
    values = found.get(tag, {}).get("Value") or [""]
    return str(values[0])
