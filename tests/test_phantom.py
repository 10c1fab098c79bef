from __future__ import annotations

import csv
import re
from collections import Counter, defaultdict
from itertools import islice
from pathlib import Path

import numpy as np
import pydicom
import pytest
from PIL import Image
from PIL.JpegImagePlugin import JpegImageFile
from pydicom.pixels.processing import apply_voi_lut
from sklearn.metrics import roc_auc_score

from hilum.dataset.phantom.film import LABELS
from hilum.dataset.phantom.phantom import Layout, planned_films, write_phantoms

NORMAL_NAME = re.compile(r"(NORMAL2-)?IM-(\d{4})-0001(-\d{4})?\.jpeg")
PNEUMONIA_NAME = re.compile(r"person(\d+)_(bacteria|virus)_(\d+)\.jpeg")


@pytest.fixture(scope="module")
def kermany(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return written(tmp_path_factory, "kermany", count=60, size=96)


@pytest.fixture(scope="module")
def rsna(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return written(tmp_path_factory, "rsna", count=30, size=96)


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return written(tmp_path_factory, "folder", count=30, size=96)


def written(factory: pytest.TempPathFactory, layout: Layout, count: int, size: int) -> Path:
    folder = factory.mktemp(layout) / "set"
    write_phantoms(folder, count, layout, seed=1, size=size)
    return folder


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_kermany_has_its_folders_names_and_grey_jpegs(kermany: Path) -> None:
    paths = [path for path in kermany.rglob("*") if path.is_file()]
    assert len(paths) == 60
    assert {path.parent.relative_to(kermany).as_posix() for path in paths} == {
        "train/NORMAL",
        "train/PNEUMONIA",
        "test/NORMAL",
        "test/PNEUMONIA",
    }
    running = []
    for path in paths:
        if path.parent.name == "NORMAL":
            assert NORMAL_NAME.fullmatch(path.name), path.name
        else:
            named = PNEUMONIA_NAME.fullmatch(path.name)
            assert named, path.name
            running.append(named[3])
        with Image.open(path) as image:
            assert image.format == "JPEG" and image.mode == "L"
    assert len(set(running)) == len(running)


def test_kermany_keeps_a_persons_films_in_one_split(kermany: Path) -> None:
    splits, films = defaultdict(set), Counter[str]()
    for path in kermany.rglob("*.jpeg"):
        named = PNEUMONIA_NAME.fullmatch(path.name)
        person = f"person{named[1]}" if named else path.name[: path.name.index("-0001")]
        splits[person].add(path.parent.parent.name)
        films[person] += 1
    assert all(len(found) == 1 for found in splits.values())
    assert 1 < max(films.values()) <= 4


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_kermany_has_the_originals_mix(seed: int) -> None:
    planned = list(islice(planned_films(seed), 400))
    train = Counter(film.label for film in planned if film.split == "train")
    assert 0.10 <= 1 - train.total() / 400 <= 0.15
    shares = {label: train[label] / train.total() for label in LABELS}
    assert shares == pytest.approx({"normal": 0.26, "bacterial": 0.48, "viral": 0.26}, abs=0.02)


def test_a_small_set_is_the_beginning_of_a_large_one(tmp_path: Path, kermany: Path) -> None:
    write_phantoms(tmp_path / "few", 5, "kermany", seed=1, size=96)
    few = [path for path in (tmp_path / "few").rglob("*.jpeg")]
    assert len(few) == 5
    for path in few:
        assert path.read_bytes() == (kermany / path.relative_to(tmp_path / "few")).read_bytes()


def test_rsna_tables_agree_with_the_films(rsna: Path) -> None:
    labels = rows_of(rsna / "stage_2_train_labels.csv")
    classes = rows_of(rsna / "stage_2_detailed_class_info.csv")
    assert list(labels[0]) == ["patientId", "x", "y", "width", "height", "Target"]
    assert list(classes[0]) == ["patientId", "class"]
    assert [row["patientId"] for row in labels] == [row["patientId"] for row in classes]
    films = {path.stem for path in (rsna / "stage_2_train_images").iterdir()}
    assert len(films) == 30 and films == {row["patientId"] for row in labels}
    assert {row["class"] for row in classes} == {"Normal", "No Lung Opacity / Not Normal", "Lung Opacity"}
    for row, named in zip(labels, classes, strict=True):
        box = [row[column] for column in ("x", "y", "width", "height")]
        assert row["Target"] == ("1" if named["class"] == "Lung Opacity" else "0")
        assert all(box) if row["Target"] == "1" else not any(box)


def test_rsna_films_are_valid_dicom_in_both_photometrics(rsna: Path) -> None:
    shown = defaultdict(list)
    for path in sorted((rsna / "stage_2_train_images").iterdir()):
        header = pydicom.dcmread(path)
        assert header.PatientID == path.stem and header.Modality == "CR" and header.ViewPosition in ("PA", "AP")
        assert str(header.PatientName).startswith("Phantom^") and re.fullmatch(r"\d{3}Y", header.PatientAge)
        assert header.PatientSex in ("F", "M") and len(header.PixelSpacing) == 2
        values = apply_voi_lut(header.pixel_array, header).astype(float)
        if header.PhotometricInterpretation == "MONOCHROME1":
            assert header.BitsStored == 12 and header.pixel_array.max() < 4096
            values = 255 - values / 4095 * 255
        height, width = values.shape
        lung, spine = values[int(0.4 * height), int(0.3 * width)], values[int(0.4 * height), width // 2]
        shown[header.PhotometricInterpretation].append(float(spine - lung))
    assert set(shown) == {"MONOCHROME1", "MONOCHROME2"}
    assert all(np.mean(differences) > 20 for differences in shown.values())  # the spine is brighter than the lung


def test_rsna_boxes_lie_inside_the_films(rsna: Path) -> None:
    for row in rows_of(rsna / "stage_2_train_labels.csv"):
        if row["Target"] == "1":
            header = pydicom.dcmread(rsna / "stage_2_train_images" / f"{row['patientId']}.dcm", stop_before_pixels=True)
            assert float(row["x"]) + float(row["width"]) <= header.Columns
            assert float(row["y"]) + float(row["height"]) <= header.Rows


def test_a_folder_has_classes_formats_and_boxes(plain: Path) -> None:
    paths = [path for path in plain.rglob("film-*")]
    assert len(paths) == 30
    assert Counter(path.parent.name for path in paths).keys() == {"normal", "pneumonia"}
    kinds = set()
    for path in paths:
        with Image.open(path) as image:
            kinds.add((image.format, image.mode))
    assert kinds == {("JPEG", "L"), ("PNG", "L"), ("PNG", "I;16")}
    boxes = rows_of(plain / "boxes.csv")
    assert list(boxes[0]) == ["image", "x", "y", "width", "height"]
    with_boxes = {row["image"] for row in boxes}
    assert with_boxes == {path.relative_to(plain).as_posix() for path in paths if path.parent.name == "pneumonia"}


@pytest.mark.parametrize("layout", ["kermany", "rsna", "folder"])
def test_the_same_seed_writes_the_same_bytes(tmp_path: Path, layout: Layout) -> None:
    contents = []
    for name in ("first", "second"):
        write_phantoms(tmp_path / name, 4, layout, seed=5, size=64)
        files = sorted(path for path in (tmp_path / name).rglob("*") if path.is_file())
        contents.append({path.relative_to(tmp_path / name): path.read_bytes() for path in files})
    assert contents[0] == contents[1]


def test_progress_counts_the_films(tmp_path: Path) -> None:
    seen: list[int] = []
    write_phantoms(tmp_path / "set", 3, "folder", size=64, on_progress=seen.append)
    assert seen == [1, 2, 3]


def test_a_folder_with_files_is_refused(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine", encoding="utf-8")
    with pytest.raises(ValueError, match=f"{re.escape(str(tmp_path))}.*choose an empty folder"):
        write_phantoms(tmp_path, 3)
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


@pytest.mark.parametrize("count", [0, -2])
def test_no_films_are_refused(tmp_path: Path, count: int) -> None:
    with pytest.raises(ValueError, match="at least one"):
        write_phantoms(tmp_path / "set", count)
    assert not (tmp_path / "set").exists()


def quantization(path: Path) -> int:
    with Image.open(path) as image:
        assert isinstance(image, JpegImageFile)
        return sum(image.quantization[0])


def test_jpeg_quality_does_not_tell_the_label(kermany: Path) -> None:
    paths = sorted(kermany.rglob("*.jpeg"))
    coarseness = [quantization(path) for path in paths]
    assert len(set(coarseness)) > 5
    assert 0.3 < roc_auc_score([path.parent.name == "PNEUMONIA" for path in paths], coarseness) < 0.7
