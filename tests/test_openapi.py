"""The service and its OpenAPI document say the same: schemathesis asks what the document allows and what it forbids."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from bundles import tiny_bundle
from conftest import LONGER, PATIENCE
from films import dicom, picture, shaded
from hypothesis import seed, settings
from hypothesis import strategies as st
from PIL import Image
from schemathesis.checks import positive_data_acceptance
from service import Service, served

from hilum.service.app import create_app
from hilum.service.settings import Settings

FILMS = {
    "image/png": picture(Image.fromarray(shaded()), "PNG"),
    "image/jpeg": picture(Image.fromarray(shaded()), "JPEG"),
    "application/dicom": dicom(),
}
GUARDED: Any = create_app(Settings(()))
DOCUMENT = schemathesis.openapi.from_dict(GUARDED.app.openapi())
for media_type, film in FILMS.items():
    schemathesis.openapi.media_type(media_type, st.sampled_from([film, film[: len(film) // 2], b"", b"a letter"]))


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with served("--model", tiny_bundle(tmp_path_factory.mktemp("bundle")), "--processes", "1") as started:
        yield started


@pytest.mark.soak
@DOCUMENT.parametrize()
@seed(1)
@settings(max_examples=5 * LONGER)
def test_answers_are_as_the_document_says(case: schemathesis.Case[Any], service: Service) -> None:
    # What no schema can say, that bytes are a film and a name is one of this bundle's, ends in a problem as it should.
    base = f"http://127.0.0.1:{service.port}"
    case.call_and_validate(base_url=base, timeout=PATIENCE, excluded_checks=[positive_data_acceptance])
