"""What all results of a film share: how they are identified, who made them, and the words they use."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from pydicom.dataset import Dataset
from pydicom.sr.coding import Code
from pydicom.uid import UID

from hilum.bundle.prediction import Abstained, Answered
from hilum.output.dicom.source import Source
from hilum.output.table import percent
from hilum.system.text import printable

MAKER = "hilum"
PNEUMONIA = Code("233604007", "SCT", "Pneumonia")
OPACITY = Code("112001", "DCM", "Opacity")
PROBABILITY = Code("122157", "DCM", "Probability")
CERTAINTY = Code("111012", "DCM", "Certainty of Finding")
COMMENT = Code("121106", "DCM", "Comment")
PRESENT, ABSENT = Code("52101004", "SCT", "Present"), Code("2667000", "SCT", "Absent")
CHEST_FILM = Code("399208008", "SCT", "Plain chest X-ray")
RATIO = Code("1", "UCUM", "no units")
# Result series are told apart by number; PACS that sort by it show them behind the films.
SERIES_NUMBERS = {"sr": 9801, "gsps": 9802, "sc": 9803, "pm": 9804, "seg": 9805}


@dataclass(frozen=True, slots=True)
class Made:
    """One result to be made of a film that was answered or turned away."""

    source: Source
    prediction: Answered | Abstained
    kind: str

    @property
    def series_uid(self) -> UID:
        """One series for each film's series, bundle and kind."""
        return self._uid("series", self.source.header.SeriesInstanceUID)

    @property
    def instance_uid(self) -> UID:
        """The same for the same film, bundle and settings, so that what is sent twice is stored once."""
        return self.uid_of("instance")

    def uid_of(self, part: str) -> UID:
        """Of a part of this result, such as a box."""
        asked = (self.prediction.operating_point, self.prediction.threshold, self.prediction.box_threshold)
        return self._uid(part, self.source.header.SOPInstanceUID, *map(repr, asked))

    @property
    def device_uid(self) -> UID:
        """Of the bundle as an observer."""
        return self._uid("device")

    @property
    def series_number(self) -> int:
        """See SERIES_NUMBERS."""
        return SERIES_NUMBERS[self.kind]

    @property
    def model(self) -> str:
        """The bundle's name, as DICOM's text fields take it."""
        return printable(self.prediction.model)[:64]

    def _uid(self, *parts: str) -> UID:
        return uid_of(self.prediction.bundle, self.kind, *parts)


def uid_of(*parts: str) -> UID:
    """The same for the same parts."""
    # 2.25 is the root of UUIDs, of which this is one by its digest.
    return UID(f"2.25.{int.from_bytes(hashlib.blake2b(chr(0).join(parts).encode(), digest_size=16).digest())}")


def answer_in_words(prediction: Answered | Abstained) -> list[str]:
    """For people, in short lines."""
    if isinstance(prediction, Abstained):
        return ["hilum: no answer", f"{prediction.gate.detail or prediction.gate.reason or 'turned away'}"]
    decision = {"pneumonia": "pneumonia", "no_pneumonia": "no pneumonia"}[prediction.decision]
    if prediction.finding == "other_finding":
        decision += ", yet not normal"
    point = prediction.operating_point or "threshold set by hand"
    lines = [
        f"hilum: {decision}",
        f"Probability of pneumonia {percent(prediction.probability)}; "
        f"called pneumonia from {percent(prediction.threshold)} on ({point})",
    ]
    if prediction.patient_group is not None:
        lines.append(f"Judged as a film of {'a child' if prediction.patient_group.name == 'child' else 'an adult'}")
    return lines


def copy_laterality(made: Dataset, source: Source) -> None:
    """highdicom leaves out what the general series module wants of a film of a paired body part; unknown is allowed."""
    if "Laterality" not in made:
        made.Laterality = str(source.header.get("Laterality") or "")
