"""The report of a study names every film, and says what they say together, also when that is no."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest
from highdicom.sr import srread
from pydicom import dcmread
from test_dicom_results import CHECKER, abstained, answered, film, written

import hilum
from hilum.bundle.prediction import Box
from hilum.output.dicom.results import dicom_results, write_result
from hilum.output.dicom.show import in_lines
from hilum.output.dicom.study import FilmReport, UnreadFilm, answer_of_study, report_of_study
from hilum.output.table import to_json_line

CR = "1.2.840.10008.5.1.4.1.1.1"
LOST = UnreadFilm(CR, "1.2.3.2", "1.2.3.99")


def report_of_film(folder: Path, number: int, **says: Any) -> FilmReport:
    """Of the study's film of this number; turned away where it says nothing."""
    file = written(film(SOPInstanceUID=f"1.2.3.1.{number}"), folder / f"{number}.dcm")
    radiograph = hilum.read(file)
    box = Box(0.1, 0.2, 0.3, 0.4, 0.8, "pneumonia")
    prediction = answered(radiograph, box, **says) if says else abstained(radiograph)
    ((_, result),) = dicom_results(prediction, radiograph, file, ["sr"])
    write_result(result, folder / f"{number}.sr.dcm")
    return FilmReport.of(dcmread(folder / f"{number}.sr.dcm"), to_json_line(prediction))


@pytest.fixture
def films(tmp_path: Path) -> list[FilmReport]:
    no = {"decision": "no_pneumonia", "probability": 0.2}
    return [
        report_of_film(tmp_path, 1, **no),
        report_of_film(tmp_path, 2, probability=0.7),
        report_of_film(tmp_path, 3),
    ]


def test_it_names_every_film_and_its_boxes_and_says_what_the_study_says(
    films: list[FilmReport], tmp_path: Path
) -> None:
    write_result(report_of_study(films, [LOST], "highest", "2.25.7"), tmp_path / "study.dcm")
    read = srread(tmp_path / "study.dcm")
    series = read.CurrentRequestedProcedureEvidenceSequence[0].ReferencedSeriesSequence
    named = [str(one.ReferencedSOPInstanceUID) for each in series for one in each.ReferencedSOPSequence]
    assert named == ["1.2.3.1.1", "1.2.3.1.2", "1.2.3.1.3", "1.2.3.99"]
    content: Any = read.content
    groups = content.get_image_measurement_groups()
    assert [len(group.source_images) for group in groups] == [3, 1, 1, 1]
    assert groups[0].get_measurements()[0].value == 0.7
    assert len(content.get_planar_roi_measurement_groups()) == 2
    said = " ".join(in_lines(read))
    assert "study pneumonia. Probability of pneumonia 70.0%, the highest of its films" in said
    assert "4 films: 2 answered, 1 turned away, 1 unreadable" in said
    replaced = read.PredecessorDocumentsSequence[0].ReferencedSeriesSequence[0].ReferencedSOPSequence[0]
    assert replaced.ReferencedSOPInstanceUID == "2.25.7"
    if CHECKER is not None:
        checked = subprocess.run([CHECKER, tmp_path / "study.dcm"], capture_output=True, text=True, check=False)
        assert not [line for line in (checked.stdout + checked.stderr).splitlines() if line.startswith("Error")]


def test_what_films_say_together_follows_the_rule(films: list[FilmReport]) -> None:
    no, yes, turned_away = films
    assert answer_of_study(films, "highest") == (1, True, 0.7)
    by_mean = answer_of_study(films, "mean")
    assert not by_mean.pneumonia and by_mean.probability == pytest.approx(0.45)
    assert answer_of_study([turned_away, no], "highest") == (1, False, 0.2)
    assert answer_of_study([turned_away], "mean") == (0, False, None)
    lower = no._replace(
        pneumonia=True
    )  # by a threshold of its own: a film that says yes is not outvoted by one that says no
    assert answer_of_study([lower, yes._replace(pneumonia=False)], "highest") == (0, True, 0.2)


def test_a_study_without_pneumonia_or_without_any_answer_says_so(films: list[FilmReport]) -> None:
    no, _, turned_away = films
    assert "study no pneumonia" in " ".join(in_lines(report_of_study([turned_away, no], [], "highest")))
    silent = report_of_study([turned_away], [], "highest")
    assert "no answer for the study" in " ".join(in_lines(silent))
    assert "Probability" not in " ".join(in_lines(silent))


def test_the_same_films_give_the_same_report_and_other_films_another(films: list[FilmReport]) -> None:
    once, again = (report_of_study(films[:2], [], "highest") for _ in range(2))
    more = report_of_study(films, [], "highest")
    assert once.SOPInstanceUID == again.SOPInstanceUID != more.SOPInstanceUID
    assert once.SeriesInstanceUID == more.SeriesInstanceUID
    assert once.SOPInstanceUID != report_of_study(films[:2], [], "mean").SOPInstanceUID
