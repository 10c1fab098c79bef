"""The heatmap as a parametric map and the mask of the lungs as a segmentation, pixel for pixel on the stored film."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
from highdicom import (
    AlgorithmIdentificationSequence,
    PixelMeasuresSequence,
    PlaneOrientationSequence,
    PlanePositionSequence,
    VOILUTTransformation,
)
from highdicom.pm import ParametricMap, RealWorldValueMapping
from highdicom.seg import Segmentation, SegmentDescription
from highdicom.sr import CodedConcept
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes
from pydicom.uid import JPEGLSLossless, RLELossless

from hilum import __version__
from hilum.bundle.prediction import RESEARCH_USE, Answered
from hilum.output.dicom.made import MAKER, RATIO, Made
from hilum.output.dicom.place import stored

ORIGIN, FLAT = (0.0, 0.0, 0.0), (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)
STEPS = 65535  # grey levels of a map of 16 bits


def parametric_map(made: Made, answer: Answered) -> Dataset:
    """Evidence in the network's units; what 16 bits hold is told by slope and intercept."""
    evidence = _on_stored(made, answer.heatmap_on_film(answer.height, answer.width))
    low, high = min(float(evidence.min()), 0.0), max(float(evidence.max()), 1e-6)
    slope = (high - low) / STEPS
    levels = np.rint((evidence - low) / slope).astype(np.uint16)
    meaning = RealWorldValueMapping(
        lut_label="evidence",
        lut_explanation=answer.about[:64],
        unit=RATIO,
        value_range=(0, STEPS),
        slope=slope,
        intercept=low,
    )
    film = copy.deepcopy(made.source.header)
    # A map has to lie in a frame of reference, which a film has none of; this one is the film's own, in its pixels.
    film.FrameOfReferenceUID = made.uid_of("frame")
    spacing = [float(step) for step in film.get("ImagerPixelSpacing") or film.get("PixelSpacing") or (1.0, 1.0)]
    film.PixelSpacing, film.SliceThickness = spacing, 1.0
    film.ImagePositionPatient, film.ImageOrientationPatient = list(ORIGIN), list(FLAT)
    result = ParametricMap(
        source_images=[film],
        pixel_array=levels,
        pixel_measures=PixelMeasuresSequence(pixel_spacing=spacing, slice_thickness=1.0),
        plane_orientation=PlaneOrientationSequence("PATIENT", FLAT),
        plane_positions=[PlanePositionSequence("PATIENT", ORIGIN)],
        contains_recognizable_visual_features=False,
        real_world_value_mappings=[meaning],
        voi_lut_transformations=[VOILUTTransformation(window_center=STEPS / 2, window_width=STEPS)],
        transfer_syntax_uid=RLELossless,
        content_label="HILUM",
        **_common(made),
    )
    result.SharedFunctionalGroupsSequence[0].FrameAnatomySequence = [_chest()]
    result.ContentCreatorName = ""
    result.SeriesDescription = "hilum evidence for pneumonia"
    return result


def segmentation(made: Made, answer: Answered) -> Dataset:
    """The lungs that the bundle looked at once more, as shares of 255."""
    lungs = _on_stored(made, answer.lungs_on_film(answer.height, answer.width))
    described = SegmentDescription(
        segment_number=1,
        segment_label="Lungs",
        segmented_property_category=codes.SCT.AnatomicalStructure,
        segmented_property_type=codes.SCT.Lung,
        algorithm_type="AUTOMATIC",
        algorithm_identification=AlgorithmIdentificationSequence(
            name=made.model, family=codes.DCM.ArtificialIntelligence, version=__version__
        ),
        tracking_uid=made.uid_of("lungs"),
        tracking_id="lungs",
    )
    result = Segmentation(
        source_images=[made.source.header],
        pixel_array=lungs[None].astype(np.float32),
        segmentation_type="FRACTIONAL",
        segment_descriptions=[described],
        transfer_syntax_uid=JPEGLSLossless,
        content_label="HILUM",
        omit_empty_frames=False,
        **_common(made),
    )
    result.ContentCreatorName = ""
    result.SeriesDescription = "hilum lungs"
    result.PatientOrientation = made.source.header.get("PatientOrientation") or ""
    return result


def _chest() -> Dataset:
    """What a frame shows, which a map has to say; highdicom does not."""
    anatomy = Dataset()
    anatomy.AnatomicRegionSequence = [CodedConcept.from_code(codes.SCT.Chest)]
    anatomy.FrameLaterality = "U"  # it is no part of a pair
    return anatomy


def _on_stored(made: Made, upright: NDArray[np.float32]) -> NDArray[np.float32]:
    placed = np.asarray(stored(upright, made.prediction.turn), np.float32)
    assert placed.shape == made.source.size, "a film has the size that its header says"
    return placed


def _common(made: Made) -> dict[str, Any]:
    return {
        "series_instance_uid": made.series_uid,
        "series_number": made.series_number,
        "sop_instance_uid": made.instance_uid,
        "instance_number": 1,
        "manufacturer": MAKER,
        "manufacturer_model_name": made.model,
        "software_versions": __version__,
        "device_serial_number": made.prediction.bundle,
        "content_description": RESEARCH_USE[:64],
    }
