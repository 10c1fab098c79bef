"""Any folder whose subfolders are classes, with or without train, val and test above them."""

from __future__ import annotations

from pathlib import Path

from hilum.dataset.sources.source import Entry, Listing, SourceError, films_below, listing, read_records, relative
from hilum.dataset.sources.values import SPLITS, means_pneumonia, pixel_box

LAYOUT = "two or more class folders with films, by themselves or in train, val and test"
BOXES = "boxes.csv"
BOX_COLUMNS = ("image", "x", "y", "width", "height")
MASKS = frozenset({"mask", "masks"})  # drawn outlines, which are pictures too but no films


def recognize(folder: Path) -> bool:
    """Whether there are two or more folders with films, taken for classes."""
    classes = {entry.name.lower() for _, entry in _class_folders(folder) if films_below(entry)}
    return len(classes) > 1


def read(folder: Path) -> Listing:
    """Every film below a class folder, labeled by the folder's name; masks are left out."""
    entries = []
    masks = 0
    for split, place in _class_folders(folder):
        label = place.name.strip().lower()
        for film in films_below(place):
            if MASKS.intersection(part.lower() for part in film.relative_to(place).parts[:-1]):
                masks += 1
                continue
            path = relative(film, folder)
            entries.append(
                Entry(path=path, label=label, findings=[label], pneumonia=means_pneumonia(label), official_split=split)
            )
    notices = [
        _meanings(entries),
        "nothing tells which films are of one patient: each film counts as a patient of its own",
    ]
    if masks:
        notices.append(f"{masks:,} pictures in folders named masks were passed over")
    if outside := len(films_below(folder)) - len(entries) - masks:
        notices.append(f"{outside:,} films outside of class folders were passed over")
    if entries and (folder / BOXES).is_file():
        notices.append(_take_boxes(entries, folder / BOXES))
    return listing(folder, entries, notices)


def _class_folders(folder: Path) -> list[tuple[str | None, Path]]:
    folders = sorted(entry for entry in folder.iterdir() if entry.is_dir() and not entry.name.startswith((".", "__")))
    splits = [entry for entry in folders if entry.name.lower() in SPLITS]
    if not splits:
        return [(None, entry) for entry in folders]
    return [(SPLITS[split.name.lower()], entry) for split in splits for _, entry in _class_folders(split)]


def _meanings(entries: list[Entry]) -> str:
    """What the classes were taken for: a name is soon misread."""
    words = {True: "pneumonia", False: "no pneumonia", None: "unknown"}
    labels_of: dict[str, set[str]] = {word: set() for word in words.values()}
    for entry in entries:
        labels_of[words[entry.pneumonia]].add(str(entry.label))
    meanings = "; ".join(f"{word}: {', '.join(sorted(labels))}" for word, labels in labels_of.items() if labels)
    return f"what the classes mean was told by their names: {meanings}"


def _take_boxes(entries: list[Entry], table: Path) -> str:
    """Boxes in pixels of the upright picture; a film listed with empty cells is known to have none."""
    by_name: dict[str, list[Entry]] = {}
    for entry in entries:
        for name in {entry.path, Path(entry.path).name}:
            by_name.setdefault(name, []).append(entry)
    for record in read_records(table, BOX_COLUMNS):
        matches = by_name.get(record.cells["image"], [])
        if len(matches) != 1:
            found = "several films have" if matches else "no film has"
            raise SourceError(f"{record.where}: {found} this name; write the path from {table.parent.name or '.'} on")
        entry, box = matches[0], pixel_box(record)
        entry.boxes = [*(entry.boxes or []), *([box] if box else [])]
        entry.boxes_of = "film"
    listed = sum(entry.boxes is not None for entry in entries)
    for entry in entries:
        if entry.boxes is None and entry.pneumonia is False:
            entry.boxes = []
    unknown = sum(entry.boxes is None for entry in entries)
    rest = f", and of {unknown:,} it is unknown" if unknown else ""
    return f"{BOXES} lists {listed:,} films; films without pneumonia have no box{rest}"
