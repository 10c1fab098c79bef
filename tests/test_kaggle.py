"""What Kaggle says to a user without credentials, with wrong ones, and without the rules accepted."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from kaggle_server import TOKEN, KaggleServer, loopback
from test_archive import MEMBERS, packed

from hilum.dataset.fetch.archive import FetchError
from hilum.dataset.fetch.fetch import Kind, fetch


@pytest.fixture
def kaggle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[KaggleServer]:
    with loopback(packed(MEMBERS), tmp_path, monkeypatch) as server:
        yield server


@pytest.fixture
def signed_in(kaggle: KaggleServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KAGGLE_USERNAME", "radiologist")
    monkeypatch.setenv("KAGGLE_KEY", TOKEN)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "data"


def quiet(step: str, done: int, total: int) -> None:
    pass


def refusal(kind: Kind, folder: Path) -> FetchError:
    with pytest.raises(FetchError) as caught:
        fetch(kind, folder, quiet)
    assert "\n" not in str(caught.value)
    assert TOKEN not in str(caught.value)
    assert "Signature" not in str(caught.value)
    return caught.value


@pytest.mark.usefixtures("signed_in")
def test_the_token_goes_to_kaggle_and_not_to_the_storage(kaggle: KaggleServer, folder: Path) -> None:
    fetch(Kind.RSNA, folder, quiet)
    api, *storage = kaggle.seen
    assert api.url == "http://localhost/api/v1/competitions.CompetitionApiService/DownloadDataFiles"
    assert api.authorization is not None
    assert len(storage) == 2
    assert all(request.authorization is None for request in storage)


def test_a_public_data_set_needs_no_account(kaggle: KaggleServer, folder: Path) -> None:
    fetch(Kind.KERMANY, folder, quiet)
    assert all(request.authorization is None for request in kaggle.seen)


def test_missing_credentials(kaggle: KaggleServer, folder: Path) -> None:
    error = refusal(Kind.RSNA, folder)
    assert error.reason == "credentials_missing"
    assert "https://www.kaggle.com/settings" in error.detail
    assert kaggle.seen == []


@pytest.mark.parametrize(
    ("kind", "status", "reason"),
    [
        (Kind.RSNA, 401, "credentials_wrong"),
        (Kind.RSNA, 403, "rules_not_accepted"),
        (Kind.RSNA, 404, "not_found"),
        (Kind.KERMANY, 401, "credentials_wrong"),
        (Kind.KERMANY, 403, "access_denied"),
        (Kind.KERMANY, 404, "not_found"),
        (Kind.KERMANY, 503, "connection"),
    ],
)
@pytest.mark.usefixtures("signed_in")
def test_what_kaggle_refuses(kaggle: KaggleServer, folder: Path, kind: Kind, status: int, reason: str) -> None:
    kaggle.status = status
    error = refusal(kind, folder)
    assert error.reason == reason
    assert not folder.exists()
    if reason == "rules_not_accepted":
        assert "https://www.kaggle.com/c/rsna-pneumonia-detection-challenge/rules" in error.detail
    assert len(kaggle.seen) == 1


def test_a_data_set_that_wants_an_account_after_all(kaggle: KaggleServer, folder: Path) -> None:
    kaggle.status = 403
    assert refusal(Kind.KERMANY, folder).reason == "credentials_missing"


@pytest.mark.usefixtures("signed_in")
def test_a_refusal_of_the_storage_is_no_verdict_on_the_user(kaggle: KaggleServer, folder: Path) -> None:
    kaggle.storage_status = 403
    assert refusal(Kind.RSNA, folder).reason == "connection"


@pytest.mark.parametrize("token", [TOKEN + "\n", TOKEN + "\N{HORIZONTAL ELLIPSIS}"])
def test_a_token_pasted_badly_is_not_shown(
    kaggle: KaggleServer, folder: Path, monkeypatch: pytest.MonkeyPatch, token: str
) -> None:
    monkeypatch.setenv("KAGGLE_API_TOKEN", token)
    assert refusal(Kind.RSNA, folder).reason == "credentials_wrong"


def test_an_unreadable_credentials_file(kaggle: KaggleServer, folder: Path, tmp_path: Path) -> None:
    (tmp_path / ".kaggle").mkdir(parents=True)
    (tmp_path / ".kaggle" / "kaggle.json").write_text('{"username": "radiologist", "key": "' + TOKEN)
    assert refusal(Kind.RSNA, folder).reason == "credentials_wrong"


def test_a_login_page_of_the_network(kaggle: KaggleServer, folder: Path) -> None:
    kaggle.api_html = True
    error = refusal(Kind.KERMANY, folder)
    assert error.reason == "connection"
    assert "login page" in error.detail


def test_no_server(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with loopback(b"", tmp_path, monkeypatch):
        pass
    assert refusal(Kind.KERMANY, folder).reason == "connection"
