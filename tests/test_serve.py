"""`hilum serve` as a client meets it: films over a socket, answers as `hilum predict --json` prints them."""

from __future__ import annotations

import email
import email.policy
import json
import re
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from bundles import tiny_bundle
from commands import run
from films import dicom, picture, shaded
from PIL import Image
from service import Service, served

import hilum
from hilum.bundle.prediction import RESEARCH_USE
from hilum.output.table import to_json_line
from hilum.service.problems import REASONS

DARK = picture(Image.fromarray(shaded(brightest=100)), "PNG")
BRIGHT = picture(Image.fromarray(shaded(brightest=255)), "JPEG")
BROKEN = b"\xff\xd8\xff\xe0"


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_bundle(tmp_path_factory.mktemp("bundle"))


@pytest.fixture(scope="module")
def service(bundle: Path) -> Iterator[Service]:
    with served("--model", bundle, "--model", "default", "--processes", "1") as started:
        yield started


def line(bundle: Path, film: bytes, asked: hilum.Asked | None = None) -> bytes:
    return to_json_line(hilum.load(bundle).predict([film], asked or hilum.Asked())[0]).encode() + b"\n"


@pytest.mark.parametrize(
    ("film", "kind"),
    [
        (DARK, "image/png"),
        (BRIGHT, "image/jpeg"),
        (dicom(shaded().astype(np.uint16) * 16, BitsStored=12), "application/dicom"),
    ],
    ids=["PNG", "JPEG", "DICOM"],
)
def test_a_film_gets_the_very_line_that_predict_prints(service: Service, bundle: Path, film: bytes, kind: str) -> None:
    reply = service.post(film, kind)
    assert (reply.status, reply.headers["content-type"]) == (200, "application/json")
    assert reply.content == line(bundle, film)


def test_several_films_get_a_line_each_in_their_order(service: Service, bundle: Path) -> None:
    films = [BRIGHT, BROKEN, DARK]
    reply = service.post_form(films)
    assert (reply.status, reply.headers["content-type"]) == (200, "application/x-ndjson")
    assert reply.content == b"".join(line(bundle, film) for film in films)


def test_what_is_asked_goes_to_the_query(service: Service, bundle: Path) -> None:
    asked = hilum.Asked(threshold=0.01, gate=False)
    assert service.post(DARK, query="threshold=0.01&gate=false").content == line(bundle, DARK, asked)
    assert service.post(DARK, query="invert=true").json["warnings"][0]["code"] == "inverted"
    assert service.post(DARK, query="model=default").json["bundle"] == hilum.load().digest


def test_pictures_come_beside_the_answer(service: Service, bundle: Path) -> None:
    for query, accept in (("overlay=true&heatmap=true", "*/*"), ("", "multipart/mixed")):
        reply = service.post(DARK, query=query, Accept=accept)
        message = email.message_from_bytes(
            b"Content-Type: " + reply.headers["content-type"].encode() + b"\r\n\r\n" + reply.content,
            policy=email.policy.HTTP,
        )
        answer, overlay, heatmap = [part.get_content() for part in message.iter_parts()]
        assert answer.encode() == line(bundle, DARK) if isinstance(answer, str) else answer == line(bundle, DARK)
        drawn = hilum.draw_overlay(hilum.load(bundle).predict(DARK), hilum.read(DARK))
        assert np.array_equal(np.asarray(Image.open(BytesIO(overlay))), np.asarray(drawn))
        assert Image.open(BytesIO(heatmap)).mode == "RGBA"


def test_the_lungs_come_as_a_mask_of_the_films_proportions(service: Service) -> None:
    content = Path(hilum.__file__).parent.joinpath("service", "page", "drawn-film.jpg").read_bytes()
    reply = service.post(content, "image/jpeg", "model=default&lungs=true")
    message = email.message_from_bytes(
        b"Content-Type: " + reply.headers["content-type"].encode() + b"\r\n\r\n" + reply.content,
        policy=email.policy.HTTP,
    )
    _, part = message.iter_parts()
    mask = Image.open(BytesIO(part.get_content()))
    answer = hilum.load().predict(content)
    assert isinstance(answer, hilum.Answered)
    assert part.get_filename() is None and part.get_param("name", header="content-disposition") == "lungs-0"
    assert np.allclose(np.asarray(mask) / 255, answer.lungs_on_film(mask.height, mask.width), atol=0.01)
    assert mask.width / mask.height == pytest.approx(answer.width / answer.height, rel=0.01)


@pytest.mark.parametrize(
    ("content", "status", "reason"),
    [
        (b"", 422, "empty"),
        (b"a letter", 415, "not_an_image"),
        (BROKEN, 422, "damaged"),
        (dicom(NumberOfFrames=2), 422, "multi_frame"),
    ],
)
def test_a_film_that_cannot_be_read_is_a_problem_with_the_readers_reason(
    service: Service, content: bytes, status: int, reason: str
) -> None:
    for reply in (service.post(content), service.post_form([content])):
        assert reply.status == status
        assert reply.headers["content-type"] == "application/problem+json"
        assert reply.json["status"] == status
        assert reply.json["reason"] == reason
        assert reply.json["detail"]
        assert reply.json["request_id"] == reply.headers["x-request-id"]


@pytest.mark.parametrize(
    ("query", "kind", "status", "reason"),
    [
        ("", "text/plain", 415, "unsupported_media_type"),
        ("", "multipart/form-data", 400, "malformed_form"),
        ("treshold=0.3", "image/png", 422, "bad_parameter"),
        ("threshold=2", "image/png", 422, "bad_parameter"),
        ("operating_point=none", "image/png", 422, "not_possible"),
        ("model=none", "image/png", 404, "no_such_model"),
    ],
)
def test_what_cannot_be_asked_is_a_problem(service: Service, query: str, kind: str, status: int, reason: str) -> None:
    reply = service.post(DARK, kind, query)
    assert (reply.status, reply.json["reason"]) == (status, reason)


def test_a_model_says_what_it_is(service: Service, bundle: Path) -> None:
    card = service.ask("GET", "/v1/model").json
    shown = run("show", bundle, "--json")
    assert {"model": "tiny", "models": ["tiny", "default"], **json.loads(shown.stdout), "watch": None} == card
    assert service.ask("GET", "/v1/model?model=default").json["digest"] == hilum.load().digest


def test_it_can_be_watched(service: Service) -> None:
    assert service.ask("GET", "/healthz").status == 200
    assert service.ask("GET", "/readyz").status == 200
    service.post(DARK)
    counted = service.ask("GET", "/metrics").content.decode()
    assert 'hilum_films_total{model="tiny",outcome="no_pneumonia"}' in counted
    assert 'hilum_requests_total{method="POST",route="/v1/predictions",status="200"}' in counted


def test_it_says_what_can_be_asked(service: Service) -> None:
    paths = service.ask("GET", "/openapi.json").json["paths"]
    assert set(paths) == {"/v1/predictions", "/v1/pixels", "/v1/model", "/v1/bundle", "/healthz", "/readyz", "/metrics"}
    assert RESEARCH_USE in service.ask("GET", "/openapi.json").json["info"]["description"]


def test_a_page_says_it_to_people_without_a_script(service: Service) -> None:
    page = service.ask("GET", "/docs").content.decode()
    assert "<script" not in page
    assert all(f'id="{reason}"' in page for reason in REASONS)
    assert "<code>POST /v1/predictions</code>" in page
    assert re.findall(r'(?:src|href)="(.+?)"', page) == ["documents.css", "openapi.json"]
    assert service.ask("GET", "/documents.css").headers["content-type"].startswith("text/css")


def test_the_docs_have_every_reason_and_the_reader_no_other() -> None:
    docs = (Path(__file__).parents[1] / "docs" / "serve.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (\d{3})(?:, (\d{3}))? \| (.+?) \|$", docs, re.MULTILINE)
    told = {reason: statuses for *statuses, text in rows for reason in re.findall(r"`([a-z_]+)`", text)}
    assert all(str(kind.status) in told[reason] for reason, kind in REASONS.items())
    assert set(told) == set(REASONS)
    assert set(map(str, hilum.Reason)) <= set(REASONS)


def test_what_is_not_there_is_a_problem_too(service: Service) -> None:
    assert service.ask("GET", "/v2").json["reason"] == "not_found"
    assert service.ask("GET", "/v1/predictions").json["reason"] == "method_not_allowed"


def test_a_signal_ends_it_with_nothing_left(bundle: Path) -> None:
    with served("--model", bundle, "--processes", "1") as service:
        assert service.post(DARK).status == 200
        assert service.stop() == 0
        assert "Traceback" not in service.log
