"""The published data sets, fetched from Kaggle into a folder: resumed, checked, and whole or not in sight."""

from __future__ import annotations

import hashlib
import json
import shutil
import time
from base64 import b64encode
from collections.abc import Callable
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Any

from hilum.dataset.fetch.archive import FetchError, FetchReason, explain, extract_zip, require_space
from hilum.dataset.fetch.kaggle import TIMEOUT, Offer, Origin, ask, trouble

OnProgress = Callable[[str, int, int], None]

# The largest of them (RSNA) holds 30,000 files and some 4 GB.
MAX_FILES = 200_000
MAX_BYTES = 32 << 30
PIECE = 1 << 16  # what is lost of a piece when the connection breaks is asked for again
PAUSES = (1, 5, 15, 30)  # seconds before trying again, while no byte arrives
FETCHED = ".fetched.json"


class Kind(StrEnum):
    """The data sets that hilum can fetch."""

    KERMANY = "kermany"
    CORONAHACK = "coronahack"
    RSNA = "rsna"


ORIGINS = {
    Kind.KERMANY: Origin(
        "paultimothymooney/chest-xray-pneumonia",
        "https://www.kaggle.com/datasets/paultimothymooney/chest-xray-pneumonia",
        "CC BY 4.0: use it for anything, and name the authors (Kermany et al., Cell 2018, doi:10.17632/rscbjbr9sj).",
    ),
    Kind.CORONAHACK: Origin(
        "praveengovi/coronahack-chest-xraydataset",
        "https://www.kaggle.com/datasets/praveengovi/coronahack-chest-xraydataset",
        "Films from several sources, each with its own terms: read them on the data set's page before you use it.",
    ),
    Kind.RSNA: Origin(
        "rsna-pneumonia-detection-challenge",
        "https://www.kaggle.com/c/rsna-pneumonia-detection-challenge",
        "The rules of the RSNA challenge: non-commercial research and education only, and not to be passed on.",
        competition=True,
    ),
}


def fetch(kind: Kind, folder: Path, on_progress: OnProgress) -> Path:
    """Leave the data set `kind` in `folder`, which is new, empty, or holds what an interrupted fetch left.

    Everything unfinished is in a hidden folder inside `folder`, since that may be a mounted disk of its own: the
    archive arrives, is checked and unpacked there, and only then moved into sight. The hidden file written last
    marks the data set as complete; with it, nothing is fetched again. `on_progress` gets the step, and of how many
    bytes how many are done.
    """
    work = folder / f".fetch-{kind}"
    archive, content = work / "archive.zip", work / "content"
    try:
        if _is_fetched(kind, folder):
            return folder
        if not content.exists():
            _refuse_other_files(folder, work)
            if not archive.exists():
                _download(ORIGINS[kind], archive, on_progress)
            try:
                extract_zip(archive, content, MAX_BYTES, MAX_FILES, partial(on_progress, "unpacking"))
            except FetchError as error:
                if error.reason in (FetchReason.DAMAGED_ARCHIVE, FetchReason.UNSAFE_ARCHIVE):
                    archive.unlink()  # or the next run would stumble over it again
                raise
        archive.unlink(missing_ok=True)
        _publish(kind, content, folder)
        shutil.rmtree(work)
    except OSError as error:
        raise explain(error, folder) from error
    return folder


def _is_fetched(kind: Kind, folder: Path) -> bool:
    record = _read_json(folder / FETCHED)
    return record.get("kind") == kind and all((folder / name).exists() for name in record["entries"])


def _refuse_other_files(folder: Path, work: Path) -> None:
    others = [entry.name for entry in folder.iterdir()] if folder.is_dir() else []
    others = [name for name in others if name not in (work.name, FETCHED)]
    if others:
        detail = f"{folder} holds other files ({min(others)}); give a new or an empty folder"
        raise FetchError(FetchReason.FOLDER_NOT_EMPTY, detail)


def _publish(kind: Kind, content: Path, folder: Path) -> None:
    """Move the finished data set into sight; interrupted here, the next run moves what is left."""
    listing = content.with_name("entries.json")
    if not listing.exists():
        listing.write_text(json.dumps(sorted(entry.name for entry in content.iterdir())))
    for entry in sorted(content.iterdir()):
        if (folder / entry.name).exists():  # a rename would silently replace a file
            detail = f"{folder / entry.name} is in the way; move it elsewhere, then run it again"
            raise FetchError(FetchReason.FOLDER_NOT_EMPTY, detail)
        entry.rename(folder / entry.name)
    identity = _read_json(content.with_name("archive.json"))
    record = {"kind": kind, "page": ORIGINS[kind].page, **identity, "entries": json.loads(listing.read_text())}
    (folder / FETCHED).write_text(json.dumps(record, indent=2) + "\n")


def _download(origin: Origin, archive: Path, on_progress: OnProgress) -> None:
    """Bring the whole archive here, however often the connection breaks. Only a checked archive gets its name."""
    import requests

    part, identity = archive.with_suffix(".part"), archive.with_suffix(".json")
    failures = 0
    while True:
        arrived = _size(part)
        try:
            offer = ask(origin)
            archive.parent.mkdir(parents=True, exist_ok=True)  # not sooner: who is refused finds nothing changed
            if _read_json(identity) != offer.identity:  # bytes of another version are of no use
                part.unlink(missing_ok=True)
                identity.write_text(json.dumps(offer.identity))
            require_space(archive.parent, offer.size - _size(part))
            _continue(offer, part, on_progress)
            break
        except (requests.RequestException, json.JSONDecodeError) as error:
            failures = 0 if _size(part) > arrived else failures
            if not part.exists() or failures == len(PAUSES):
                raise FetchError(FetchReason.CONNECTION, trouble(error, _size(part))) from error
            on_progress("reconnecting", _size(part), _read_json(identity)["size"])
            time.sleep(PAUSES[failures])
            failures += 1
    # Kaggle announces MD5 where its storage has one; where not, unpacking still checks the CRC-32 of every member.
    on_progress("checking", 0, offer.size)
    expected = offer.identity["md5"]
    if _size(part) != offer.size or (expected and _md5(part) != expected):
        part.unlink()
        detail = "what arrived differs from what Kaggle announced and was deleted; run the same command again"
        raise FetchError(FetchReason.DAMAGED_ARCHIVE, detail)
    on_progress("checking", offer.size, offer.size)
    part.rename(archive)


def _continue(offer: Offer, part: Path, on_progress: OnProgress) -> None:
    """Get the bytes that are not here yet."""
    import requests

    done = _size(part)
    on_progress("downloading", done, offer.size)
    if done >= offer.size:
        return
    # Bytes as they are stored: an archive compressed once more in transit would not fit the size and the range.
    headers = {"Accept-Encoding": "identity", **({"Range": f"bytes={done}-"} if done else {})}
    with requests.get(offer.url, headers=headers, stream=True, timeout=TIMEOUT) as response:
        response.raise_for_status()
        if not response.headers.get("Content-Range", "").startswith(f"bytes {done}-"):
            done = 0  # the server ignores Range and sends everything
        with part.open("ab" if done else "wb") as file:
            for chunk in response.iter_content(PIECE):
                file.write(chunk)
                done += len(chunk)
                on_progress("downloading", done, offer.size)
                if done > offer.size:
                    return  # the caller sees that the size is wrong
    if done < offer.size:
        raise requests.ConnectionError("the server hung up early")


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _md5(path: Path) -> str:
    with path.open("rb") as file:
        # Told not to be for security, it also works on machines that forbid MD5 (FIPS).
        digest = hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False))
    return b64encode(digest.digest()).decode()


def _read_json(path: Path) -> dict[str, Any]:
    """A note of our own; {} if it was never written or the power failed while it was."""
    try:
        note: dict[str, Any] = json.loads(path.read_text())
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return {}
    return note
