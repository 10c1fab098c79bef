"""Films of an archive by DICOMweb: an archive of a few lines, whose films lie in a folder, too."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import parse_qs, urlsplit

import pytest
from bundles import tiny_bundle
from commands import run
from nodes import encoded, films, in_background
from test_scale import rows_of

from hilum.radiograph.bounds import MAX_FILE_BYTES
from hilum.scale import dicomweb
from hilum.scale.errors import ScaleError, StoreError

STUDIES = ("1.2.3", "1.2.4", "1.2.5")
AT_MOST = 2  # studies of an answer, whatever is asked for


class Archive(BaseHTTPRequestHandler):
    """QIDO-RS and WADO-RS, for whoever shows the secret. `answers` are of single paths, before all else."""

    instances: ClassVar[dict[str, bytes]] = {}
    answers: ClassVar[dict[str, tuple[int, bytes]]] = {}
    secret: ClassVar[str | None] = None
    asked: ClassVar[list[str]] = []

    def do_GET(self) -> None:
        parts, query = urlsplit(self.path), parse_qs(urlsplit(self.path).query)
        self.asked.append(self.path)
        path = parts.path.removeprefix("/dicom-web")
        if self.secret is not None and self.headers["Authorization"] != self.secret:
            self.answer(401, b"")
        elif path in self.answers:
            self.answer(*self.answers[path])
        elif path == "/studies":
            begin = int(query["offset"][0])
            self.found({"0020000D": study} for study in STUDIES[begin : begin + AT_MOST])
        elif path.endswith("/instances"):
            below = [
                instance.split("/")
                for instance in self.instances
                if instance.startswith(f"{path}/".replace("/instances/", "/"))
            ]
            modality = "OT" if "1.2.5" in path else "CR"
            self.found({"0020000E": one[4], "00080018": one[6], "00080060": modality} for one in below)
        elif path in self.instances:
            self.answer(200, b"--between\r\n\r\n" + self.instances[path] + b"\r\n--between--\r\n")
        else:
            self.answer(404, b"")

    def found(self, values: Any) -> None:
        made = [{tag: {"Value": [value]} for tag, value in one.items()} for one in values]
        self.answer(200 if made else 204, json.dumps(made).encode() if made else b"")

    def answer(self, status: int, content: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", 'multipart/related; type="application/dicom"; boundary=between')
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The films of the first two studies."""
    made = tmp_path_factory.mktemp("films")
    for study in STUDIES[:2]:
        for film in films(2, study):
            (made / f"{film.SOPInstanceUID}.dcm").write_bytes(encoded(film))
    return made


@pytest.fixture
def archive(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    Archive.answers.clear()
    Archive.asked.clear()
    Archive.instances.clear()
    dicomweb._peer.cache_clear()
    monkeypatch.setattr(Archive, "secret", None)
    monkeypatch.setattr(dicomweb, "WAITS", (0.0,))
    for path in folder.iterdir():
        study = path.stem.rpartition(".")[0]
        Archive.instances[f"/studies/{study}/series/{study}.9/instances/{path.stem}"] = path.read_bytes()
    Archive.instances["/studies/1.2.5/series/1.2.5.9/instances/1.2.5.1"] = b"no film of these modalities"
    with ThreadingHTTPServer(("127.0.0.1", 0), Archive) as server:
        thread = in_background(server.serve_forever, 0.01)
        yield f"dicomweb+http://127.0.0.1:{server.server_address[1]}/dicom-web"
        server.shutdown()
        thread.join()


def test_rows_are_those_of_the_same_films_in_a_folder(
    archive: str, folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(Archive, "secret", f"Basic {base64.b64encode(b'ward:hush-hush').decode()}")
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login ward password hush-hush\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    bundle = tiny_bundle(tmp_path)
    run("predict", bundle, folder, "--out", tmp_path / "here", "--processes", "1")
    answer = run("predict", bundle, archive, "--out", tmp_path / "there", "--processes", "1")
    assert answer.returncode == 0, answer.stderr
    here, there = rows_of(tmp_path / "here"), rows_of(tmp_path / "there")
    assert there["uri"].str.split("/").list.last().to_list() == [Path(path).stem for path in here["uri"]]
    assert there["uri"][0] == f"{archive}/studies/1.2.3/series/1.2.3.9/instances/1.2.3.1"
    assert there.drop("uri").equals(here.drop("uri"))
    written = "".join(path.read_text("latin-1") for path in tmp_path.rglob("there/**/*.*"))
    assert "hush" not in written + answer.stdout + answer.stderr


def test_a_study_a_series_and_days_narrow_it(archive: str) -> None:
    every = list(dicomweb.films_of(archive))
    assert len(every) == 4
    assert list(dicomweb.films_of(f"{archive}/studies/1.2.4")) == every[2:]
    assert list(dicomweb.films_of(f"{archive}/studies/1.2.4/series/1.2.4.9/")) == every[2:]
    assert list(dicomweb.films_of(every[3])) == every[3:]
    Archive.asked.clear()
    assert len(list(dicomweb.films_of(f"{archive}?StudyDate=20260101-20260131&Modality=OT"))) == 1
    assert "StudyDate=20260101-20260131" in Archive.asked[0] and "ModalitiesInStudy=OT" in Archive.asked[0]


@pytest.mark.parametrize(
    ("answer", "error", "words"),
    [
        ((404, b""), FileNotFoundError, "has it no more"),
        ((406, b""), FileNotFoundError, "status 406"),
        ((500, b""), FileNotFoundError, "to other requests it does not"),
        ((401, b""), StoreError, "status 401; see to it"),
        ((200, b"--between\r\n\r\nhalf a fi"), StoreError, "broke the connection off"),
        ((200, b"<html>"), StoreError, "multipart"),
    ],
)
def test_what_is_wrong_with_the_archive_is_not_held_against_the_film(
    archive: str, answer: tuple[int, bytes], error: type[OSError], words: str
) -> None:
    path = "/studies/1.2.3/series/1.2.3.9/instances/1.2.3.1"
    Archive.answers[path] = answer
    with pytest.raises(error) as found:
        dicomweb.read_instance(archive + path)
    assert words in (found.value.strerror or "")


def test_an_archive_that_is_away_or_gives_films_without_an_end(archive: str, monkeypatch: pytest.MonkeyPatch) -> None:
    path = "/studies/1.2.3/series/1.2.3.9/instances/1.2.3.1"
    monkeypatch.setattr(dicomweb, "MAX_FILE_BYTES", 1000)
    Archive.instances[path] = bytes(2**20)
    assert 1000 < len(dicomweb.read_instance(archive + path)) < 2**20 <= MAX_FILE_BYTES
    Archive.answers["/studies"] = (503, b"")
    with pytest.raises(ScaleError, match=r"127.0.0.1:[0-9]+: answers with status 503"):
        list(dicomweb.films_of(archive))


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("dicomweb+https://ward:hush-hush@archive/dicom-web", "a user or a password"),
        ("dicomweb+https://archive/dicom-web?PatientName=hush", "StudyDate"),
        ("dicomweb+http://archive/dicom-web", "--insecure"),
        ("dicomweb+ftp://archive", "no address of DICOMweb"),
    ],
)
def test_addresses_that_are_refused_are_not_repeated(address: str, words: str, tmp_path: Path) -> None:
    answer = run("predict", tiny_bundle(tmp_path), address, "--out", tmp_path / "results")
    assert answer.returncode == 1
    assert words in answer.stderr and answer.stderr.count("\n") == 1
    assert "hush" not in answer.stderr


def test_a_secret_goes_to_the_archive_that_it_is_for_alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("NETRC", str(tmp_path / "none"))
    monkeypatch.setenv(dicomweb.SECRET, "archive:8443 hush-hush")
    assert dicomweb._secret("archive:8443", "archive") == "hush-hush"
    assert dicomweb._secret("archive.elsewhere", "archive.elsewhere") is None
