"""Paediatric films of Kermany, Zhang and Goldbaum (2018), as Kaggle's chest-xray-pneumonia lays them out."""

from __future__ import annotations

import re
from pathlib import Path

from hilum.dataset.sources.source import Entry, Listing, SourceError, films_below, listing, relative, subfolder

LAYOUT = "train, val, test with NORMAL and PNEUMONIA in them, films named like person1_bacteria_2.jpeg"
PNEUMONIA = re.compile(r"(person\d+)_(bacteria|virus)_\d+")
NORMAL = re.compile(r"((?:NORMAL2-)?IM-\d+)-\d+")
KINDS = {"bacteria": "bacterial", "virus": "viral"}


def recognize(folder: Path) -> bool:
    """Whether films in a folder PNEUMONIA are named as in the set of Kermany et al."""
    root = _root(folder)
    return any(
        PNEUMONIA.match(film.name)
        for split in ("train", "test", "val")
        for films in (root / split / "PNEUMONIA",)
        if films.is_dir()
        for film in films.iterdir()
    )


def read(folder: Path) -> Listing:
    """The films of train, val and test, with the patient that their names tell."""
    root = _root(folder)
    entries = []
    unknown = 0
    for split in ("train", "val", "test"):
        for name in ("NORMAL", "PNEUMONIA"):
            place = subfolder(root / split, name) if (root / split).is_dir() else None
            for film in films_below(place) if place else ():
                entry = entry_of(film.stem, relative(film, folder), split, pneumonia=name == "PNEUMONIA")
                unknown += entry.patient is None
                entries.append(entry)
    if not entries:
        raise SourceError(f"{folder}: no films of the kind kermany; looked for {LAYOUT}")
    notices = [f"{unknown:,} film names tell no patient: each counts as a patient of its own"] if unknown else []
    if any(entry.official_split == "test" for entry in entries):
        notices.append("person numbers repeat in train and test without proof of the same child: taken as two patients")
    return listing(folder, entries, notices)


def entry_of(stem: str, path: str, split: str, *, pneumonia: bool) -> Entry:
    """A film of the set, told by its name; also as other collections took it over."""
    if not pneumonia:
        match = NORMAL.match(stem)
        label, findings = "normal", ["normal"]
    elif match := PNEUMONIA.match(stem):
        label = KINDS[match[2]]
        findings = ["pneumonia", label]
    else:
        label, findings = "pneumonia", ["pneumonia"]
    # One person's bacterial and viral films are one patient's. The numbers start anew in test, and nothing proves
    # that train's person12 and test's person12 are the same child, so the split is part of the name; Kaggle took its
    # 16 val films out of train.
    numbering = "test" if split == "test" else "train"
    return Entry(
        path=path,
        patient=f"{numbering}/{match[1]}" if match else None,
        label=label,
        findings=findings,
        pneumonia=pneumonia,
        official_split=split,
    )


def _root(folder: Path) -> Path:
    """Kaggle's archive unpacks into chest_xray, and holds a second copy of everything one level deeper."""
    return folder if (folder / "train").is_dir() or not (folder / "chest_xray").is_dir() else folder / "chest_xray"
