"""How hilum was installed, for advice on installing more of it."""

from __future__ import annotations

import json
from functools import cache


@cache
def install_extra(extra: str) -> str:
    """The command that adds an extra to this very hilum: from its folder, its file or repository, or the index."""
    from importlib.metadata import PackageNotFoundError, distribution  # needed only where something is missing

    try:
        origin = json.loads(distribution("hilum").read_text("direct_url.json") or "{}")  # PEP 610
    except PackageNotFoundError:
        origin = {"dir_info": {}}  # only a checkout runs without being installed
    if "dir_info" in origin:
        return f"pip install '.[{extra}]' in hilum's folder"
    if "archive_info" in origin:
        return f"pip install 'hilum[{extra}] @ {origin['url']}'"
    if "vcs_info" in origin:
        vcs = origin["vcs_info"]
        return f"pip install 'hilum[{extra}] @ {vcs['vcs']}+{origin['url']}@{vcs['commit_id']}'"
    return f"pip install 'hilum[{extra}]'"
