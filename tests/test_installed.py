"""Advice on installing more of hilum fits how it was installed, by what pip wrote down (PEP 610)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from hilum.system.installed import install_extra


@pytest.fixture(autouse=True)
def asked_anew() -> Iterator[None]:
    install_extra.cache_clear()
    yield
    install_extra.cache_clear()


@pytest.mark.parametrize(
    ("origin", "advice"),
    [
        (None, "pip install 'hilum[data]'"),
        ({"url": "file:///src/hilum", "dir_info": {"editable": True}}, "pip install '.[data]' in hilum's folder"),
        ({"url": "file:///src/hilum", "dir_info": {}}, "pip install '.[data]' in hilum's folder"),
        (
            {"url": "file:///dist/hilum-9-py3-none-any.whl", "archive_info": {}},
            "pip install 'hilum[data] @ file:///dist/hilum-9-py3-none-any.whl'",
        ),
        (
            {"url": "https://example.org/hilum.git", "vcs_info": {"vcs": "git", "commit_id": "0a1b"}},
            "pip install 'hilum[data] @ git+https://example.org/hilum.git@0a1b'",
        ),
    ],
    ids=["index", "editable", "folder", "wheel", "repository"],
)
def test_an_extra_is_installed_from_where_hilum_came(
    origin: object, advice: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    facts = tmp_path / "hilum-9.dist-info"
    facts.mkdir()
    (facts / "METADATA").write_text("Metadata-Version: 2.4\nName: hilum\nVersion: 9\n")
    if origin is not None:
        (facts / "direct_url.json").write_text(json.dumps(origin))
    monkeypatch.syspath_prepend(tmp_path)
    assert install_extra("data") == advice


def test_a_checkout_that_was_never_installed_is_installed_from_its_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.path", [])
    assert install_extra("train") == "pip install '.[train]' in hilum's folder"
