"""What `benchmarks/node.py` compares with: pynetdicom with the same network in eager torch in the handler.

python benchmarks/node_plain.py PORT TARGET-PORT WEIGHTS
"""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
from PIL import Image
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, generate_uid
from pynetdicom import AE, evt

SIDE = 256
CR, REPORT = "1.2.840.10008.5.1.4.1.1.1", "1.2.840.10008.5.1.4.1.1.88.11"


def report_on(film: Dataset, text: str) -> Dataset:
    """A basic text report, which says of which film it is where any archive looks for it."""
    made, study, series, one = Dataset(), Dataset(), Dataset(), Dataset()
    made.file_meta = FileMetaDataset()
    made.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    made.SOPClassUID, made.SOPInstanceUID = REPORT, generate_uid()
    made.StudyInstanceUID, made.SeriesInstanceUID = film.StudyInstanceUID, generate_uid()
    one.ReferencedSOPClassUID, one.ReferencedSOPInstanceUID = film.SOPClassUID, film.SOPInstanceUID
    series.SeriesInstanceUID, series.ReferencedSOPSequence = film.SeriesInstanceUID, [one]
    study.StudyInstanceUID, study.ReferencedSeriesSequence = film.StudyInstanceUID, [series]
    made.CurrentRequestedProcedureEvidenceSequence = [study]
    made.Modality, made.TextValue = "SR", text
    return made


def main(port: int, target: int, weights: str) -> None:
    """Judged and sent before the sender hears, as most such handlers do."""
    import torch
    from eager import network

    model = network()
    model.load_state_dict(torch.load(weights, weights_only=True))
    client = AE("PLAIN")
    client.add_requested_context(REPORT, ExplicitVRLittleEndian)

    def store(event: Any) -> int:
        film = event.dataset
        film.file_meta = event.file_meta
        stored = film.pixel_array.astype(np.float32)
        grey = Image.fromarray(np.asarray(stored / stored.max() * 255, np.uint8)).convert("RGB")
        picture = np.asarray(grey.resize((SIDE, SIDE), Image.Resampling.BILINEAR), np.float32) / 255
        with torch.inference_mode():
            (found,) = model([torch.from_numpy(picture).permute(2, 0, 1)])
        association = client.associate("127.0.0.1", target, ae_title="ARCHIVE")
        if not association.is_established:
            return 0xA700
        status = association.send_c_store(report_on(film, str(found["boxes"].tolist())[:1024]))
        association.release()
        return int(status.Status)

    server = AE("HILUM")
    server.add_supported_context(CR, ExplicitVRLittleEndian)
    server.maximum_pdu_size = 128 * 1024
    server.start_server(("127.0.0.1", port), evt_handlers=[(evt.EVT_C_STORE, store)])


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3])
