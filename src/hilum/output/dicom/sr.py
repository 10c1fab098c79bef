"""The answer as a structured report (TID 1500): what a PACS can query, and viewers draw with its boxes."""

from __future__ import annotations

import numpy as np
from highdicom import sr
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes
from pydicom.sr.coding import Code

from hilum import __version__
from hilum.bundle.prediction import RESEARCH_USE, Answered, Box
from hilum.output.dicom.made import (
    ABSENT,
    CERTAINTY,
    CHEST_FILM,
    COMMENT,
    MAKER,
    OPACITY,
    PNEUMONIA,
    PRESENT,
    PROBABILITY,
    RATIO,
    Made,
    answer_in_words,
)
from hilum.output.dicom.place import outline

TEXT = 1024  # characters of a comment
PIXELS = Code("{pixels}", "UCUM", "Pixels")
MODALITIES = {
    "CR": ("CR", "Computed Radiography"),
    "DX": ("DX", "Digital Radiography"),
    "RG": ("RG", "Radiographic imaging"),
}


def report(made: Made) -> Dataset:
    """One group for the film's answer, and one for each box: a closed line that cornerstone and OHIF draw."""
    header, prediction = made.source.header, made.prediction
    groups: list[sr.PlanarROIMeasurementsAndQualitativeEvaluations | sr.MeasurementsAndQualitativeEvaluations]
    groups = [_of_film(made)]
    if isinstance(prediction, Answered):
        groups += [_of_box(made, number, box) for number, box in enumerate(prediction.boxes, start=1)]
    device = sr.DeviceObserverIdentifyingAttributes(
        uid=made.device_uid,
        name=MAKER,
        manufacturer_name=MAKER,
        model_name=made.model,
        serial_number=prediction.bundle,
    )
    content = sr.MeasurementReport(
        observation_context=sr.ObservationContext(observer_device_context=sr.ObserverContext(codes.DCM.Device, device)),
        procedure_reported=CHEST_FILM,
        imaging_measurements=groups,
        title=codes.DCM.ImagingMeasurementReport,
    )
    root = content[0]
    root.ContentSequence.append(_library(header))
    document = sr.Comprehensive3DSR(
        evidence=[header],
        content=_of_library_alone(header),
        series_instance_uid=made.series_uid,
        series_number=made.series_number,
        sop_instance_uid=made.instance_uid,
        instance_number=1,
        manufacturer=MAKER,
        is_complete=True,
        is_final=False,
        is_verified=False,
    )
    for element in root:
        document[element.tag] = element
    document.SeriesDescription = f"hilum report, {RESEARCH_USE.split(',')[0].lower()}"
    return document


def _of_library_alone(header: Dataset) -> sr.ContainerContentItem:
    """A tree that refers to the same images: highdicom copies and searches the one it gets, which takes half as long as
    judging a film.
    """
    root = sr.ContainerContentItem(codes.DCM.ImagingMeasurementReport, template_id="1500")
    root.ContentSequence = sr.ContentSequence([_library(header)])
    return root


def _library(header: Dataset) -> sr.ContainerContentItem:
    """The image library, by hand: highdicom's wants spacing and orientation of a film, which many lack."""
    contains = sr.RelationshipTypeValues.CONTAINS
    film = sr.ImageContentItem(codes.SCT.Source, header.SOPClassUID, header.SOPInstanceUID, relationship_type=contains)
    acquired = sr.RelationshipTypeValues.HAS_ACQ_CONTEXT
    kind, meaning = MODALITIES.get(str(header.get("Modality")), ("OT", "Other"))
    film.ContentSequence = sr.ContentSequence(
        [
            sr.CodeContentItem(codes.DCM.Modality, Code(kind, "DCM", meaning), acquired),
            sr.NumContentItem(codes.DCM.PixelDataRows, header.Rows, PIXELS, relationship_type=acquired),
            sr.NumContentItem(codes.DCM.PixelDataColumns, header.Columns, PIXELS, relationship_type=acquired),
        ]
    )
    group = sr.ContainerContentItem(codes.DCM.ImageLibraryGroup, relationship_type=contains)
    group.ContentSequence = sr.ContentSequence([film])
    library = sr.ContainerContentItem(codes.DCM.ImageLibrary, relationship_type=contains)
    library.ContentSequence = sr.ContentSequence([group])
    return library


def _of_film(made: Made) -> sr.MeasurementsAndQualitativeEvaluations:
    header, prediction = made.source.header, made.prediction
    measured, evaluated = [], []
    if isinstance(prediction, Answered):
        measured.append(sr.Measurement(name=PROBABILITY, value=round(prediction.probability, 6), unit=RATIO))
        evaluated.append(sr.QualitativeEvaluation(PNEUMONIA, PRESENT if prediction.decision == "pneumonia" else ABSENT))
    group = sr.MeasurementsAndQualitativeEvaluations(
        tracking_identifier=sr.TrackingIdentifier(uid=made.uid_of("film"), identifier="film"),
        finding_type=PNEUMONIA,
        algorithm_id=_algorithm(made),
        measurements=measured,
        qualitative_evaluations=evaluated,
        source_images=[sr.SourceImageForMeasurementGroup(header.SOPClassUID, header.SOPInstanceUID)],
    )
    _comment(group, ". ".join([*answer_in_words(prediction), RESEARCH_USE]))
    group[0].ContentSequence.append(_outline(made))
    return group


def _outline(made: Made) -> sr.ScoordContentItem:
    """Of the whole film, which its answer is about: OHIF opens no report with a group that has no place."""
    rows, columns = made.source.size
    header, corners = made.source.header, [(0, 0), (columns, 0), (columns, rows), (0, rows), (0, 0)]
    item = sr.ScoordContentItem(
        codes.DCM.Outline,
        sr.GraphicTypeValues.POLYLINE,
        np.array(corners, float),
        relationship_type=sr.RelationshipTypeValues.CONTAINS,
    )
    item.ContentSequence = sr.ContentSequence(
        [
            sr.ImageContentItem(
                codes.SCT.Source,
                header.SOPClassUID,
                header.SOPInstanceUID,
                relationship_type=sr.RelationshipTypeValues.SELECTED_FROM,
            )
        ]
    )
    return item


def _of_box(made: Made, number: int, box: Box) -> sr.PlanarROIMeasurementsAndQualitativeEvaluations:
    header = made.source.header
    region = sr.ImageRegion(
        sr.GraphicTypeValues.POLYLINE,
        np.asarray(outline(box, made.prediction.turn, made.source.size)),
        sr.SourceImageForRegion(header.SOPClassUID, header.SOPInstanceUID),
    )
    return sr.PlanarROIMeasurementsAndQualitativeEvaluations(
        tracking_identifier=sr.TrackingIdentifier(uid=made.uid_of(f"box {number}"), identifier=f"opacity {number}"),
        referenced_region=region,
        finding_type=OPACITY,
        algorithm_id=_algorithm(made),
        measurements=[sr.Measurement(name=CERTAINTY, value=round(100 * box.score, 4), unit=codes.UCUM.Percent)],
    )


def _algorithm(made: Made) -> sr.AlgorithmIdentification:
    """TID 4019; its parameters say which bundle decided at which point."""
    prediction = made.prediction
    parameters = [f"bundle {prediction.bundle}", f"operating point {prediction.operating_point or 'set by hand'}"]
    if prediction.threshold is not None:
        parameters.append(f"threshold {prediction.threshold:.6g}")
    if prediction.box_threshold is not None:
        parameters.append(f"box threshold {prediction.box_threshold:.6g}")
    return sr.AlgorithmIdentification(name=made.model, version=__version__, parameters=parameters)


def _comment(group: sr.MeasurementsAndQualitativeEvaluations, text: str) -> None:
    item = sr.TextContentItem(COMMENT, text[:TEXT], sr.RelationshipTypeValues.CONTAINS)
    group[0].ContentSequence.append(item)
