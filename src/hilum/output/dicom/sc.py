"""hilum's overlay as a secondary capture: a picture that every PACS can show."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from highdicom.sc import SCImage
from pydicom.dataset import Dataset

from hilum.bundle.prediction import RESEARCH_USE
from hilum.output.dicom.made import MAKER, Made, copy_laterality
from hilum.output.overlay import draw_overlay
from hilum.radiograph import Radiograph

UPRIGHT = ("L", "F")  # rows run to the patient's left, columns to the feet


def capture(made: Made, film: Radiograph) -> Dataset:
    """The film as `draw_overlay` shows it, upright, with heatmap, boxes, decision and words."""
    header = made.source.header
    nameless = replace(made.prediction, path=None)  # a file's name may be a person's
    levels = np.asarray(draw_overlay(nameless, film).convert("RGB"))
    picture = SCImage(
        pixel_array=levels,
        photometric_interpretation="RGB",
        bits_allocated=8,
        coordinate_system="PATIENT",
        study_instance_uid=header.StudyInstanceUID,
        series_instance_uid=made.series_uid,
        series_number=made.series_number,
        sop_instance_uid=made.instance_uid,
        instance_number=1,
        manufacturer=MAKER,
        patient_id=str(header.PatientID),
        patient_name=header.PatientName,
        patient_birth_date=str(header.PatientBirthDate),
        patient_sex=str(header.PatientSex) or None,
        accession_number=str(header.AccessionNumber),
        study_id=str(header.StudyID),
        study_date=str(header.StudyDate) or None,
        study_time=str(header.StudyTime) or None,
        referring_physician_name=header.ReferringPhysicianName,
        patient_orientation=UPRIGHT,
    )
    picture.SpecificCharacterSet = header.SpecificCharacterSet
    picture.BurnedInAnnotation = "YES"
    picture.SeriesDescription = "hilum overlay"
    picture.DerivationDescription = RESEARCH_USE
    reference = Dataset()
    reference.ReferencedSOPClassUID, reference.ReferencedSOPInstanceUID = header.SOPClassUID, header.SOPInstanceUID
    picture.SourceImageSequence = [reference]
    copy_laterality(picture, made.source)
    return picture
