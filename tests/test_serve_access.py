"""Who may ask a service: by which name, from which page, with which token, and over what."""

from __future__ import annotations

import shutil
import ssl
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from bundles import tiny_bundle
from commands import run
from films import picture, shaded
from PIL import Image
from service import Calling, Here, served_here

import hilum
from hilum.service.films.served import Served
from hilum.service.settings import LOOPBACK, Settings, SettingsError

FILM = picture(Image.fromarray(shaded()), "PNG")
TOKEN = "a-long-secret"
SHOWN = {"Authorization": f"Bearer {TOKEN}"}


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    bundle = tiny_bundle(tmp_path_factory.mktemp("bundle"))
    return Settings((Served.of("tiny", hilum.load(bundle, threads=1)),))


@pytest.fixture(scope="module")
def service(settings: Settings) -> Iterator[Here]:
    with served_here(replace(settings, token=TOKEN, names=LOOPBACK | {"films.example"})) as started:
        yield started


@pytest.mark.parametrize("path", ["/v1/model", "/metrics"])
@pytest.mark.parametrize(
    "shown", [{}, {"Authorization": TOKEN}, {"Authorization": "Bearer"}, {"Authorization": f"Bearer {TOKEN}x"}]
)
def test_without_the_token_nothing_is_said(service: Here, path: str, shown: Mapping[str, str]) -> None:
    reply = service.ask("GET", path, headers=shown)
    assert (reply.status, reply.headers["www-authenticate"]) == (401, "Bearer")
    assert service.ask("GET", path, headers=SHOWN).status == 200


def test_without_the_token_no_film_is_read(service: Here) -> None:
    assert service.post(FILM).status == 401
    assert service.post(FILM, **SHOWN).status == 200


@pytest.mark.parametrize("path", ["/healthz", "/openapi.json"])
def test_what_tells_nothing_needs_no_token(service: Here, path: str) -> None:
    assert service.ask("GET", path).status == 200


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1:9", "[::1]:8000", "FILMS.example", "films.example:443"])
def test_it_is_called_by_its_names(service: Here, host: str) -> None:
    assert service.ask("GET", "/healthz", headers={"Host": host}).status == 200


@pytest.mark.parametrize(
    "host", ["", "evil.example", "localhost.evil.example", "films.example.", "[::1", "a b", "127.0.0.1@evil"]
)
def test_a_name_that_leads_here_but_is_not_its_own_is_refused(service: Here, host: str) -> None:
    reply = service.ask("GET", "/healthz", headers={"Host": host})
    assert (reply.status, reply.json["reason"]) == (400, "unknown_host")


@pytest.mark.parametrize(
    "foreign",
    [
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:1"},
        {"Origin": "http://["},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"},
    ],
)
def test_a_page_of_another_site_gets_nothing(service: Here, foreign: Mapping[str, str]) -> None:
    reply = service.post(FILM, **SHOWN, **foreign)
    assert (reply.status, reply.json["reason"]) == (403, "foreign_origin")
    assert "access-control-allow-origin" not in reply.headers


def test_its_own_page_may_ask_and_be_opened_by_a_link(service: Here) -> None:
    own = {"Origin": f"http://127.0.0.1:{service.port}", "Sec-Fetch-Site": "same-origin"}
    assert service.post(FILM, **SHOWN, **own).status == 200
    link = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}
    assert service.ask("GET", "/docs", headers=link).status == 200


def test_browsers_are_held_to_what_it_needs(service: Here) -> None:
    for reply in (service.ask("GET", "/docs"), service.post(FILM), service.ask("GET", "/none")):
        policy = reply.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert reply.headers["x-content-type-options"] == "nosniff"
        assert reply.headers["x-frame-options"] == "DENY"
        assert reply.headers["cache-control"] == "no-store"
        assert "server" not in reply.headers


def test_beyond_this_machine_it_wants_a_token_and_encryption(settings: Settings) -> None:
    with pytest.raises(SettingsError, match="--token-file"):
        replace(settings, host="0.0.0.0", behind_proxy=True)
    with pytest.raises(SettingsError, match="--cert"):
        replace(settings, host="0.0.0.0", token=TOKEN)
    assert replace(settings, host="0.0.0.0", token=TOKEN, behind_proxy=True)


def test_what_it_must_not_be_started_with_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "empty").write_text("\n")
    bundle = tiny_bundle(tmp_path)
    wrong: dict[str, tuple[Any, ...]] = {
        "is open to others": ("--host", "0.0.0.0"),
        "holds no token": ("--token-file", tmp_path / "empty"),
        "none.onnx": ("--model", tmp_path / "none.onnx"),
        "No such file": ("--token-file", tmp_path / "none"),
        "given twice": ("--model", bundle, "--model", bundle),
        "certificate": ("--cert", tmp_path / "empty"),
    }
    for words, options in wrong.items():
        answer = run("serve", *(("--model", bundle) if "--model" not in options else ()), "--port", "0", *options)
        assert answer.returncode == 1
        (line,) = answer.stderr.splitlines()
        assert words in line


def test_it_encrypts(settings: Settings, tmp_path: Path) -> None:
    if shutil.which("openssl") is None:
        pytest.skip("openssl, which makes the certificate, is not installed")
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    make = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"]
    name = ["-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1"]
    subprocess.run([*make, "-keyout", key, "-out", cert, *name], check=True, capture_output=True)
    with served_here(replace(settings, cert=cert, key=key)) as service:
        calling = Calling(service.port, ssl.create_default_context(cafile=cert))
        reply = calling.post(FILM)
        assert reply.status == 200
        assert reply.headers["strict-transport-security"]
        with pytest.raises(OSError):
            service.ask("GET", "/healthz")
