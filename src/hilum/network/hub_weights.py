"""Weights from the Hugging Face hub by name and commit: tensors alone, and the license that their page states.

A commit, because a branch may hold something else tomorrow; SafeTensors, because nothing else of a hub is opened here:
no code, no pickle, no configuration.
"""

from __future__ import annotations

import re
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from hilum.network.weights import WeightsError, first_line, quietly

PREFIX = "hub:"
NAMED = re.compile(r"hub:(?P<repository>[\w.-]+/[\w.-]+)(?:/(?P<file>[\w./-]+\.safetensors))?@(?P<commit>[0-9a-f]{40})")
FILE, PAGE = "model.safetensors", "README.md"


class Fetched(NamedTuple):
    """A file of weights, where it is from in words, and the license on its page; empty where the page names none."""

    path: Path
    origin: str
    terms: str


def fetch(named: str) -> Fetched:
    """From the hub, or from its cache, which huggingface_hub keeps and fills on first use."""
    found = NAMED.fullmatch(named)
    if found is None:
        raise WeightsError(
            f"{named}: name weights of a hub as hub:OWNER/NAME@COMMIT or hub:OWNER/NAME/FILE.safetensors@COMMIT, with "
            "all 40 digits of the commit"
        )
    repository, commit = found["repository"], found["commit"]
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import HfHubHTTPError

    try:
        with quietly():
            path = Path(hf_hub_download(repository, found["file"] or FILE, revision=commit))
            terms = ""
            with suppress(HfHubHTTPError, OSError, ValueError):  # a page is not needed
                terms = license_of(Path(hf_hub_download(repository, PAGE, revision=commit)))
    except (HfHubHTTPError, OSError, ValueError) as error:
        raise WeightsError(f"{named}: cannot be had ({first_line(error)}); give a .safetensors file instead") from error
    return Fetched(path, f"{repository} at {commit[:12]}", terms)


def license_of(page: Path) -> str:
    """What the block at the top of a page names as license, and where it is to be read."""
    from huggingface_hub import ModelCard

    data = ModelCard.load(page, ignore_metadata_errors=True).data.to_dict()
    named = data.get("license_name") if data.get("license") in (None, "other") else data["license"]
    return ", ".join(str(part) for part in (named, data.get("license_link")) if part)
