"""Sources: each layout is recognized and read as its publisher meant it, and what is odd about it is said."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import polars as pl
import pytest
from films import dicom, picture
from PIL import Image

from hilum.dataset.importing import import_folder
from hilum.dataset.sources import SOURCES, Entry, Listing, SourceError, recognize, table
from hilum.dataset.sources.values import means_pneumonia

FILM = picture(Image.new("L", (20, 10), 7), "PNG")


def films(folder: Path, *names: str) -> Path:
    """Small PNG films, whatever their suffix claims."""
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(FILM)
    return folder


def csv_file(path: Path, *rows: Sequence[object]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(rows)
    return path


def read(folder: Path, kind: str) -> Listing:
    """Read a folder that must also be recognized as what it is."""
    assert recognize(folder) == kind
    return SOURCES[kind].read(folder)


def by_path(listing: Listing) -> dict[str, Entry]:
    assert [row.path for row in listing.entries] == sorted(row.path for row in listing.entries)
    return {row.path: row for row in listing.entries}


KERMANY = (
    "train/NORMAL/IM-0115-0001.jpeg",
    "train/NORMAL/IM-0429-0001-0002.jpeg",
    "train/NORMAL/NORMAL2-IM-0501-0001.jpeg",
    "train/PNEUMONIA/person12_bacteria_47.jpeg",
    "train/PNEUMONIA/person12_virus_48.jpeg",
    "train/PNEUMONIA/person447_virus_921_1.jpeg",
    "val/PNEUMONIA/person12_bacteria_49.jpeg",
    "test/PNEUMONIA/person12_bacteria_1.jpeg",
    "test/NORMAL/.DS_Store",
    "test/NORMAL/._IM-0001-0001.jpeg",
    "__MACOSX/train/NORMAL/IM-0115-0001.jpeg",
)


@pytest.mark.parametrize("outer", ["", "chest_xray/"])
def test_kermany(tmp_path: Path, outer: str) -> None:
    listing = read(films(tmp_path, *(outer + name for name in KERMANY)), "kermany")
    rows = by_path(listing)
    assert len(rows) == 8
    patients = {Path(path).stem: row.patient for path, row in rows.items()}
    assert patients["IM-0115-0001"] == "train/IM-0115"
    assert patients["IM-0429-0001-0002"] == "train/IM-0429"
    assert patients["NORMAL2-IM-0501-0001"] == "train/NORMAL2-IM-0501"
    assert patients["person12_bacteria_47"] == patients["person12_virus_48"] == "train/person12"
    assert patients["person12_bacteria_49"] == "train/person12"  # Kaggle's val was taken out of train
    assert patients["person12_bacteria_1"] == "test/person12"
    virus = rows[f"{outer}train/PNEUMONIA/person447_virus_921_1.jpeg"]
    assert (virus.label, virus.pneumonia, virus.findings) == ("viral", True, ["pneumonia", "viral"])
    normal = rows[f"{outer}train/NORMAL/IM-0115-0001.jpeg"]
    assert (normal.label, normal.pneumonia, normal.boxes, normal.official_split) == ("normal", False, None, "train")
    assert rows[f"{outer}val/PNEUMONIA/person12_bacteria_49.jpeg"].official_split == "val"
    assert any("taken as two patients" in notice for notice in listing.notices)


def test_kaggle_s_second_copy_inside_the_first_is_left_alone(tmp_path: Path) -> None:
    films(tmp_path, *(f"chest_xray/{name}" for name in KERMANY), *(f"chest_xray/chest_xray/{name}" for name in KERMANY))
    assert len(read(tmp_path, "kermany").entries) == 8
    assert len(read(tmp_path / "chest_xray", "kermany").entries) == 8


def test_kermany_with_strange_names_in_it(tmp_path: Path) -> None:
    films(tmp_path, "train/PNEUMONIA/person1_bacteria_2.jpeg", "train/PNEUMONIA/ours.jpeg", "train/NORMAL/a.png")
    listing = read(tmp_path, "kermany")
    row = by_path(listing)["train/PNEUMONIA/ours.jpeg"]
    assert (row.label, row.patient, row.pneumonia) == ("pneumonia", None, True)
    assert listing.notices == ["2 film names tell no patient: each counts as a patient of its own"]


CORONAHACK = (
    ("", "X_ray_image_name", "Label", "Dataset_type", "Label_2_Virus_category", "Label_1_Virus_category"),
    (0, "IM-0128-0001.jpeg", "Normal", "TRAIN", "", ""),
    (1, "person12_bacteria_47.jpeg", "Pnemonia", "TRAIN", "", "bacteria"),
    (2, "person12_virus_48.jpeg", "Pnemonia", "TEST", "", "Virus"),
    (3, "1-s2.0-S1684118220300608-main.pdf-001.jpg", "Pnemonia", "TRAIN", "COVID-19", "Virus"),
    (4, "streptococcus.jpg", "Pnemonia", "TRAIN", "Streptococcus", "bacteria"),
    (5, "smoke.png", "Pnemonia", "TEST", "ARDS", "Stress-Smoking"),
    (6, "absent.png", "Pnemonia", "TEST", "", "Virus"),
)


@pytest.mark.parametrize("inner", ["Coronahack-Chest-XRay-Dataset/" * 2, "Coronahack-Chest-XRay-Dataset/", ""])
def test_coronahack(tmp_path: Path, inner: str) -> None:
    csv_file(tmp_path / "Chest_xray_Corona_Metadata.csv", *CORONAHACK)
    films(tmp_path, *(f"{inner}{str(row[3]).lower()}/{row[1]}" for row in CORONAHACK[1:-1]))
    listing = read(tmp_path, "coronahack")
    rows = {Path(path).stem: row for path, row in by_path(listing).items()}
    assert Counter(row.label for row in rows.values()) == {"normal": 1, "bacterial": 2, "viral": 2, "pneumonia": 1}
    covid = rows["1-s2.0-S1684118220300608-main.pdf-001"]
    assert covid.findings == ["pneumonia", "viral", "covid_19"]
    assert covid.patient == "train/1-s2.0-S1684118220300608-main.pdf-001"
    assert rows["smoke"].findings == ["pneumonia", "stress_smoking", "ards"]
    assert rows["streptococcus"].findings == ["pneumonia", "bacterial", "streptococcus"]
    assert rows["person12_bacteria_47"].patient == "train/person12"
    assert rows["person12_virus_48"].patient == "test/person12"
    assert rows["IM-0128-0001"].pneumonia is False
    assert listing.notices[0].startswith("1 of 7 listed films are not in Coronahack-Chest-XRay-Dataset")


def test_coronahack_without_films_or_with_a_word_unheard_of(tmp_path: Path) -> None:
    path = csv_file(tmp_path / "Chest_xray_Corona_Metadata.csv", *CORONAHACK)
    with pytest.raises(SourceError, match="neither train nor test"):
        SOURCES["coronahack"].read(tmp_path)
    films(tmp_path, "train/IM-0128-0001.jpeg")
    path.write_text(path.read_text().replace("Normal", "Pneumonia"))
    with pytest.raises(SourceError, match=r"line 2, column Label: none of 'Normal', 'Pnemonia'"):
        SOURCES["coronahack"].read(tmp_path)


def rsna(folder: Path, *, images: Sequence[str]) -> Path:
    csv_file(
        folder / "stage_2_detailed_class_info.csv",
        ("patientId", "class"),
        ("a", "Normal"),
        ("b", "Lung Opacity"),
        ("b", "Lung Opacity"),
        ("c", "No Lung Opacity / Not Normal"),
    )
    csv_file(
        folder / "stage_2_train_labels.csv",
        ("patientId", "x", "y", "width", "height", "Target"),
        ("a", "", "", "", "", 0),
        ("b", 4.0, 3.0, 8.0, 6.0, 1),
        ("b", 0.0, 0.0, 1.0, 1.0, 1),
        ("c", "", "", "", "", 0),
    )
    for name in images:
        path = folder / "stage_2_train_images" / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(dicom(ViewPosition="AP", PatientSex="F", PatientAge="051Y") if name.endswith("dcm") else FILM)
    return folder


def test_rsna(tmp_path: Path) -> None:
    assert recognize(rsna(tmp_path, images=["a.dcm", "b.dcm", "b.png", "c.dcm"])) == "rsna"
    manifest, notices, kind = import_folder(tmp_path)
    assert kind == "rsna"
    rows = {row["patient"]: row for row in manifest.table.to_dicts()}
    assert rows["b"]["path"] == "stage_2_train_images/b.dcm"  # the DICOM film, not the conversion beside it
    assert rows["b"]["boxes"] == [[0.25, 0.25, 0.5, 0.5], [0, 0, 1 / 16, 1 / 12]]
    assert rows["a"]["boxes"] == rows["c"]["boxes"] == []
    assert [rows[name]["label"] for name in "abc"] == ["normal", "lung_opacity", "not_normal"]
    assert [rows[name]["pneumonia"] for name in "abc"] == [False, True, False]
    assert rows["a"]["view"] == "AP"
    assert rows["a"]["sex"] is rows["a"]["age"] is None  # the header's are the patient's own affair
    assert notices == [
        "a patientId names one film, not one person: films of the same person cannot be told, and may be split"
    ]


def test_rsna_boxes_of_a_conversion_are_in_the_original_s_pixels(tmp_path: Path) -> None:
    manifest, notices, _ = import_folder(rsna(tmp_path, images=["b.png"]))
    assert manifest.table["boxes"].to_list() == [[[4 / 1024, 3 / 1024, 8 / 1024, 6 / 1024], [0, 0, 1 / 1024, 1 / 1024]]]
    assert notices[0] == "2 of 3 listed films are not in stage_2_train_images and were left out"


def test_rsna_tables_that_do_not_belong_together(tmp_path: Path) -> None:
    rsna(tmp_path, images=["a.dcm"])
    with (tmp_path / "stage_2_train_labels.csv").open("a") as file:
        file.write("d,1,1,0,5,1\n")
    with pytest.raises(SourceError, match="line 6: the patientId is not in stage_2_detailed_class_info"):
        SOURCES["rsna"].read(tmp_path)
    (tmp_path / "stage_2_detailed_class_info.csv").write_text("patientId,klass\n")
    with pytest.raises(SourceError, match="there is no column 'class'"):
        SOURCES["rsna"].read(tmp_path)


def test_rsna_boxes_without_extent_are_refused(tmp_path: Path) -> None:
    rsna(tmp_path, images=["a.dcm"])
    path = tmp_path / "stage_2_train_labels.csv"
    path.write_text(path.read_text().replace("8.0", "0.0"))
    with pytest.raises(SourceError, match="line 3: a box is not four numbers with a width and height above zero"):
        SOURCES["rsna"].read(tmp_path)


SIIM = ("image", "study", "patient", "fold", "original_width", "original_height", "study_class", "boxes_xywh_relative")


def test_siim_covid(tmp_path: Path) -> None:
    csv_file(
        tmp_path / "images.csv",
        SIIM,
        ("images/c.png", "s3", "p2", 2, 1, 1, "Typical Appearance", "[[0.1, 0.2, 0.3, 0.4]]"),
        ("images/a.png", "s1", "p1", 0, 1, 1, "Negative for Pneumonia", "[]"),
        ("images/b.png", "s2", "p1", 0, 1, 1, "Indeterminate Appearance", "[]"),
    )
    listing = read(films(tmp_path, "images/a.png", "images/b.png", "images/c.png"), "siim-covid")
    a, b, c = listing.entries
    assert (a.label, a.pneumonia, a.boxes) == ("negative", False, [])
    assert (b.label, b.pneumonia, b.boxes) == ("indeterminate", True, None)
    assert (c.label, c.boxes, c.study, c.patient) == ("typical", [[0.1, 0.2, 0.3, 0.4]], "s3", "p2")
    assert (c.official_split, c.split, c.findings) == ("fold2", "fold2", ["typical_appearance"])
    assert listing.notices == ["1 films of positive studies carry no box: their boxes are unknown, not absent"]


NIH = ("image", "patient", "nih_labels", "view", "sex", "age", "rsna_class", "rsna_boxes_xywh_relative")


def test_nih(tmp_path: Path) -> None:
    csv_file(
        tmp_path / "images.csv",
        NIH,
        ("a.png", 1, "No Finding", "PA", "F", 58, "", ""),
        ("b.png", 1, "Edema|Pneumonia", "AP", "M", 5, "", ""),
        ("c.png", 2, "Pleural_Thickening", "PA", "M", 5, "", ""),
        ("d.png", 3, "No Finding", "PA", "M", 5, "Lung Opacity", "[[0.1, 0.2, 0.3, 0.4]]"),
        ("e.png", 4, "Pneumonia", "PA", "M", 5, "Normal", "[]"),
    )
    listing = read(films(tmp_path, *(f"{name}.png" for name in "abcde")), "nih")
    told = [(row.label, row.pneumonia, row.boxes) for row in listing.entries]
    assert told == [
        ("normal", False, None),
        ("pneumonia", True, None),
        ("not_normal", False, None),
        ("lung_opacity", True, [[0.1, 0.2, 0.3, 0.4]]),
        ("normal", False, []),
    ]
    a, b, _, d, _ = listing.entries
    assert (a.patient, a.view, a.sex, a.age) == ("1", "PA", "F", 58.0)
    assert b.findings == ["edema", "pneumonia"]
    assert d.findings == ["no_finding", "rsna:lung_opacity"]
    assert "3 films have only NIH's text-mined labels" in listing.notices[0]


@pytest.mark.parametrize("name", ["/etc/hosts", "../a.png", ""])
def test_a_table_may_not_lead_out_of_its_folder(tmp_path: Path, name: str) -> None:
    csv_file(tmp_path / "set" / "images.csv", NIH, (name, 1, "No Finding", "PA", "F", 58, "", ""))
    films(tmp_path, "a.png")
    with pytest.raises(SourceError, match="line 2, column image: no path below"):
        read(tmp_path / "set", "nih")


def test_a_film_listed_twice_is_refused(tmp_path: Path) -> None:
    row = ("a.png", 1, "No Finding", "PA", "F", 58, "", "")
    csv_file(films(tmp_path, "a.png") / "images.csv", NIH, row, row)
    with pytest.raises(SourceError, match=r"a\.png is listed twice"):
        read(tmp_path, "nih")


@pytest.mark.parametrize(("column", "cell"), [(5, "old"), (5, "200"), (7, "[[1, 2]]"), (7, "[[0, 0, 0, 1]]"), (7, "x")])
def test_cells_that_mean_nothing_are_named(tmp_path: Path, column: int, cell: str) -> None:
    row = ["a.png", 1, "No Finding", "PA", "F", 58, "Normal", ""]
    row[column] = cell
    csv_file(films(tmp_path, "a.png") / "images.csv", NIH, row)
    with pytest.raises(SourceError, match=f"line 2, column {NIH[column]}: "):
        read(tmp_path, "nih")


def test_class_folders(tmp_path: Path) -> None:
    films(
        tmp_path, "Normal/a.png", "Normal/deeper/b.png", "COVID/images/c.png", "COVID/masks/c.png", "tb/d.png", "e.png"
    )
    listing = read(tmp_path, "folder")
    assert [(row.path, row.label, row.pneumonia, row.official_split) for row in listing.entries] == [
        ("COVID/images/c.png", "covid", True, None),
        ("Normal/a.png", "normal", False, None),
        ("Normal/deeper/b.png", "normal", False, None),
        ("tb/d.png", "tb", None, None),
    ]
    assert listing.notices == [
        "what the classes mean was told by their names: pneumonia: covid; no pneumonia: normal; unknown: tb",
        "nothing tells which films are of one patient: each film counts as a patient of its own",
        "1 pictures in folders named masks were passed over",
        "1 films outside of class folders were passed over",
    ]


def test_class_folders_below_splits(tmp_path: Path) -> None:
    films(
        tmp_path, "Train/normal/a.png", "valid/normal/a.png", "validation/x/a.png", "test/opacity/a.png", "notes/a.png"
    )
    listing = read(tmp_path, "folder")
    assert [row.official_split for row in listing.entries] == ["train", "test", "val", "val"]
    assert "1 films outside of class folders were passed over" in listing.notices


def test_films_of_unknown_patients_are_patients_by_their_paths(tmp_path: Path) -> None:
    manifest, _, _ = import_folder(films(tmp_path, "normal/1.png", "covid/1.png"))
    assert manifest.table["patient"].to_list() == ["covid/1", "normal/1"]


def test_boxes_beside_class_folders(tmp_path: Path) -> None:
    films(tmp_path, "normal/a.png", "covid/b.png", "covid/c.png", "covid/d.png")
    csv_file(
        tmp_path / "boxes.csv",
        ("image", "x", "y", "width", "height"),
        ("covid/b.png", 2, 1, 10, 5),
        ("b.png", 0, 0, 20, 10),
        ("c.png", "", "", "", ""),
    )
    manifest, notices, _ = import_folder(tmp_path)
    assert manifest.table["boxes"].to_list() == [[[0.1, 0.1, 0.5, 0.5], [0, 0, 1, 1]], [], None, []]
    assert "boxes.csv lists 2 films; films without pneumonia have no box, and of 1 it is unknown" in notices


@pytest.mark.parametrize(
    ("name", "message"), [("e.png", "no film has this name"), ("a.png", "several films have this name")]
)
def test_boxes_for_no_film_or_several(tmp_path: Path, name: str, message: str) -> None:
    films(tmp_path, "normal/a.png", "covid/a.png")
    csv_file(tmp_path / "boxes.csv", ("image", "x", "y", "width", "height"), (name, 1, 1, 1, 1))
    with pytest.raises(SourceError, match=message):
        read(tmp_path, "folder")


def test_boxes_of_another_size_of_the_film_are_told_of(tmp_path: Path) -> None:
    films(tmp_path, "normal/a.png", "covid/b.png")
    csv_file(tmp_path / "boxes.csv", ("image", "x", "y", "width", "height"), ("b.png", 15, 5, 10, 5))
    _, notices, _ = import_folder(tmp_path)
    assert notices[-1] == "1 boxes reach beyond their film: do they belong to another size of it?"


@pytest.mark.parametrize(
    ("name", "meaning"),
    [
        ("PNEUMONIA", True),
        ("Viral Pneumonia", True),
        ("Lung_Opacity", True),
        ("covid-19", True),
        ("Normal", False),
        ("No Finding", False),
        ("no_pneumonia", False),
        ("Negative for Pneumonia", False),
        ("abnormal", None),
        ("not_normal", None),
        ("Non-COVID", None),  # often other pneumonias
        ("tuberculosis", None),
    ],
)
def test_what_names_of_classes_say_of_pneumonia(name: str, meaning: bool | None) -> None:
    assert means_pneumonia(name) is meaning


TABLE = (
    ("Image Index", "Finding Labels", "Patient ID", "Patient Age", "Patient Gender", "View", "Set", "Name"),
    ("b.png", "Lung Opacity", "7", "058Y", "female", "ap", "Training", "Doe^Jane"),
    ("a", "Normal", "", "6", "M", "", "valid", "Roe^Richard"),
    ("absent.png", "Normal", "8", "", "", "", "test", ""),
)
COLUMNS = {
    "path": "Image Index",
    "label": "Finding Labels",
    "patient": "Patient ID",
    "age": "Patient Age",
    "sex": "Patient Gender",
    "view": "View",
    "official_split": "Set",
}


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_a_table_with_columns_named_by_the_user(tmp_path: Path, suffix: str) -> None:
    films(tmp_path, "images/part1/a.png", "images/part2/b.png")
    path = csv_file(tmp_path / "list.csv", *TABLE)
    if suffix == "parquet":
        pl.read_csv(path).write_parquet(path.with_suffix(".parquet"))
    path = path.with_suffix(f".{suffix}")
    assert recognize(path) == "table"
    listing = table.read(path, COLUMNS, {"Lung Opacity": "pneumonia"})
    a, b = listing.entries
    assert (a.path, a.label, a.patient, a.age, a.sex, a.official_split) == (
        "images/part1/a.png",
        "normal",
        None,
        6.0,
        "M",
        "val",
    )
    assert (b.path, b.label, b.pneumonia, b.patient) == ("images/part2/b.png", "pneumonia", True, "7")
    assert (b.age, b.sex, b.view, b.official_split) == (58.0, "F", "AP", "train")
    assert listing.notices == [
        "1 of 3 listed films are not in the table's folder or below it and were left out",
        "1 films have no patient: each counts as a patient of its own",
        "columns not taken over: Name",
    ]


def test_a_table_in_the_manifest_s_own_words_needs_no_mapping(tmp_path: Path) -> None:
    films(tmp_path, "a.png")
    header = ("path", "patient", "label", "findings", "pneumonia", "boxes", "split", "study")
    row = ("a.png", "1", "odd", "Edema|Mass", "yes", "[[0.1, 0.2, 0.3, 0.4]]", "fold1", "s")
    [film] = table.read(csv_file(tmp_path / "list.csv", header, row), {}, {}).entries
    assert (film.findings, film.pneumonia, film.split) == (["edema", "mass"], True, "fold1")
    assert film.boxes == [[0.1, 0.2, 0.3, 0.4]]


@pytest.mark.parametrize(
    ("columns", "labels", "message"),
    [
        ({}, {}, "say which column names the films: --map path=COLUMN, one of Image Index, Finding"),
        ({"path": "Image"}, {}, "there is no column 'Image'; one of Image Index"),
        ({"path": "Image Index", "class": "Set"}, {}, "--map class=...: no such column in a manifest"),
        (COLUMNS, {"Opacity": "pneumonia"}, "no film has the label 'Opacity'"),
        ({"path": "Image Index"}, {"Opacity": "pneumonia"}, "--label needs a column of labels"),
        (COLUMNS | {"split": "Name"}, {}, "line 2: split has an odd name"),
        (COLUMNS | {"pneumonia": "Set"}, {}, "line 2: pneumonia is neither true nor false"),
        (COLUMNS | {"path": "View"}, {}, "line 3: the cell that names the film is empty"),
        (COLUMNS | {"path": "Set"}, {}, "none of the 3 listed films lies in the table's folder"),
    ],
)
def test_what_is_wrong_with_a_mapping_is_said(
    tmp_path: Path, columns: dict[str, str], labels: dict[str, str], message: str
) -> None:
    films(tmp_path, "a.png", "b.png")
    with pytest.raises(SourceError) as caught:
        table.read(csv_file(tmp_path / "list.csv", *TABLE), columns, labels)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
    assert "Doe" not in str(caught.value)


def test_a_name_that_several_films_have_is_refused(tmp_path: Path) -> None:
    films(tmp_path, "x/a.png", "y/a.png")
    with pytest.raises(SourceError, match="line 2: 2 films have this name"):
        table.read(csv_file(tmp_path / "list.csv", ("path",), ("a.png",)), {}, {})


def test_a_table_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "list.parquet").write_bytes(b"PAR1")
    with pytest.raises(SourceError, match="no Parquet file, or a damaged one"):
        table.read(tmp_path / "list.parquet", {}, {})
    (tmp_path / "list.csv").write_text("path;label\n")
    with pytest.raises(SourceError, match="separated by semicolons"):
        table.read(tmp_path / "list.csv", {}, {})


def test_what_is_not_recognized_says_how_to_lay_it_out(tmp_path: Path) -> None:
    films(tmp_path, "images/a.png")
    with pytest.raises(SourceError) as caught:
        recognize(tmp_path)
    assert "put each class into a folder of its own" in str(caught.value)
    assert "\n" not in str(caught.value)
    with pytest.raises(SourceError, match="neither a folder nor a"):
        recognize(tmp_path / "images" / "a.png")


@pytest.mark.parametrize("kind", ["kermany", "folder"])
def test_an_empty_folder_of_a_named_kind(tmp_path: Path, kind: str) -> None:
    with pytest.raises(SourceError, match="no films"):
        SOURCES[kind].read(tmp_path)


@pytest.mark.parametrize("name", ["back\\slash.png", "latin-\udce9.png"])
def test_names_that_no_manifest_can_hold_are_refused(tmp_path: Path, name: str) -> None:
    try:
        films(tmp_path, f"normal/{name}", "covid/a.png")
    except OSError:
        pytest.skip("this file system does not take such names")
    with pytest.raises(SourceError, match="rename the film"):
        read(tmp_path, "folder")


def test_kermany_as_published(real_data: Path) -> None:
    listing = read(real_data / "kermany-224", "kermany")
    assert len(listing.entries) == 5856
    assert Counter((row.official_split, row.label) for row in listing.entries) == {
        ("train", "normal"): 1349,
        ("train", "bacterial"): 2538,
        ("train", "viral"): 1345,
        ("test", "normal"): 234,
        ("test", "bacterial"): 242,
        ("test", "viral"): 148,
    }
    assert len(read(real_data / "kermany-original", "kermany").entries) == 60


def test_nih_as_published(real_data: Path) -> None:
    rows = read(real_data / "nih-adult-256", "nih").entries
    assert (len(rows), len({row.patient for row in rows})) == (3978, 2914)
    judged = [row for row in rows if row.boxes is not None]
    assert Counter(row.label for row in judged) == {"normal": 406, "not_normal": 315, "lung_opacity": 172}
    assert sum(len(row.boxes or ()) for row in judged) == 282


def test_siim_covid_as_published(real_data: Path) -> None:
    rows = read(real_data / "siim-covid-256", "siim-covid").entries
    assert (len(rows), len({row.patient for row in rows})) == (6334, 3261)
    assert Counter(row.label for row in rows) == {
        "negative": 1736,
        "typical": 3007,
        "indeterminate": 1108,
        "atypical": 483,
    }
    assert sum(len(row.boxes or ()) for row in rows) == 7853
    assert sum(bool(row.boxes) for row in rows) == 4294
    assert sum(row.boxes is None for row in rows) == 304


def test_rsna_as_published(real_data: Path) -> None:
    manifest, _, kind = import_folder(real_data / "rsna-mini")
    assert (kind, manifest.table.height) == ("rsna", 6)
    assert manifest.table["error"].null_count() == 6
    boxes = [box for boxes in manifest.table["boxes"] for box in boxes]
    assert len(boxes) == 5
    assert [247 / 1024, 249 / 1024, 199 / 1024, 428 / 1024] in [list(box) for box in boxes]
    with pytest.raises(SourceError, match="none of the 26,684 listed films lies in stage_2_train_images"):
        read(real_data / "rsna-labels", "rsna")
