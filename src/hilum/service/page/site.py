"""hilum as a folder of files that any web host serves: the page, the bundles it judges with, and what runs them there.

Only the page itself and service-worker.js are known to browsers by their names. The worker has the digest of every
file: a browser takes over all of them at once, when each is what this folder was written with, and keeps them.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from hilum import __version__
from hilum.bundle.onnx_file import check_model, described, read_bytes
from hilum.service.page.files import FILES, library_files, type_of
from hilum.service.page.policy import ISOLATED, POLICY
from hilum.system.files import write_whole
from hilum.system.text import printable

WORKER, START = "service-worker.js", "start.js"
ROOM = "label/"  # of a reading room, which is never without a server
FILE_NAME = re.compile(r"\w[\w .+()-]*")
LISTED = re.compile(r"^const FILES = (\{.*\});$", re.MULTILINE)


class SiteError(ValueError):
    """A folder that no page may be written to, or a bundle that can be no file of it."""


def write_site(folder: Path, bundles: Mapping[str, Path], library: Path) -> int:
    """Write the page with these bundles, each by its name, and the package `library`; how many bytes it has.

    What an earlier call left in the folder is replaced. Raises SiteError, BundleError or OSError.
    """
    for name in bundles:
        if not FILE_NAME.fullmatch(name):
            raise SiteError(f"model {printable(name)}: becomes a file of the page; give it a plain name: NAME=FILE")
    earlier = _earlier(folder)
    files = dict(_files(bundles, library))
    for name, content in files.items():
        _write(folder / name, content)
    # last, so that a browser that looks in between finds no list for what is half there
    _write(folder / WORKER, _worker(files))
    for name in earlier - files.keys():
        (folder / name).unlink(missing_ok=True)
    return sum(map(len, files.values()))


def _files(bundles: Mapping[str, Path], library: Path) -> Iterator[tuple[str, bytes]]:
    for name, content in FILES.items():
        if name not in ("index.html", WORKER) and not name.startswith(ROOM):
            yield f"page/{name}", content
    for name, path in library_files(library).items():
        yield f"page/{name}", path.read_bytes()
    for name, path in bundles.items():
        content = read_bytes(path)
        yield f"models/{name}.onnx", content
        yield f"models/{name}.json", _json(described(check_model(content, str(path)), len(content)))
    yield "page/site.json", _json({"hilum": __version__, "server": False, "browser": True, "models": list(bundles)})
    yield "index.html", _front(FILES["index.html"].decode()).encode()


def _front(page: str) -> str:
    """The page's own HTML, with the policy in it that a server gives in a header. It promises from the start what holds
    without a server."""
    charset = '<meta charset="utf-8">'
    policy = f'{charset}\n<meta http-equiv="Content-Security-Policy" content="{POLICY}">'
    page = page.replace(charset, policy, 1).replace('<body class="empty">', '<body class="empty starting">', 1)
    page = page.replace('data-words="welcome.kept"', 'data-words="welcome.kept_here"', 1)
    return page.replace('src="page/main.js"', f'src="page/{START}"', 1)


def _worker(files: Mapping[str, bytes]) -> bytes:
    listed = {name: [hashlib.sha256(content).hexdigest(), len(content)] for name, content in files.items()}
    values = {
        "FILES": listed,
        "TYPES": {name: type_of(name) for name in files},
        "HEADERS": {"Content-Security-Policy": POLICY, **ISOLATED},
    }
    stated = "".join(f"const {name} = {json.dumps(value)};\n" for name, value in values.items())
    return FILES[WORKER].replace(b"// FILES, TYPES, HEADERS\n", stated.encode(), 1)


def _earlier(folder: Path) -> set[str]:
    """The files that an earlier call wrote here. Raises SiteError where the folder holds anything else."""
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        return set()
    worker = folder / WORKER
    listed = LISTED.search(worker.read_text("utf-8")) if worker.is_file() else None
    if listed is None:
        raise SiteError(f"{folder}: not empty, and no page that hilum wrote; give another folder")
    return {name for name in json.loads(listed[1]) if ".." not in Path(name).parts and not Path(name).is_absolute()}


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, content)


def _json(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode()
