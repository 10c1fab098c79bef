"""Fetch the files of this package anew from npm, as `packages.json` pins them: python vendor.py (needs npm).

What is written is what is committed; a test compares the files with their hashes.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import subprocess
import tarfile
import tempfile
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent / "src" / "hilum_browser"
PACKAGES = HERE / "packages.json"


def main() -> None:
    """Every file that is wanted of every package, and its hash."""
    packages = json.loads(PACKAGES.read_text("utf-8"))
    for package in packages:
        for source, wanted in package["files"].items():
            content = _content(_archive(package), source)
            if not source.endswith(".wasm"):  # else a browser's tools for developers ask for files that are not there
                content = re.sub(rb"\n//# sourceMappingURL=\S+\s*$", b"\n", content)
            if "export" in wanted:  # Emscripten's scripts set a name; a module has to export it
                content += f"\nexport default {wanted['export']};\n".encode()
            wanted["sha256"] = hashlib.sha256(content).hexdigest()
            (HERE / "files" / wanted["name"]).write_bytes(content)
    PACKAGES.write_text(json.dumps(packages, indent=1) + "\n", "utf-8")


def _archive(package: dict[str, Any]) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        what = f"{package['name']}@{package['version']}"
        subprocess.run(["npm", "pack", "--silent", what], cwd=folder, check=True, stdout=subprocess.DEVNULL)
        (archive,) = Path(folder).iterdir()
        content = archive.read_bytes()
    digest = "sha512-" + base64.b64encode(hashlib.sha512(content).digest()).decode()
    if digest != package["integrity"]:
        raise SystemExit(f"{what}: not the package that was pinned ({digest})")
    return content


def _content(archive: bytes, member: str) -> bytes:
    with tempfile.TemporaryFile() as file:
        file.write(archive)
        file.seek(0)
        with tarfile.open(fileobj=file) as opened:
            found = opened.extractfile(f"package/{member}")
            assert found is not None
            return found.read()


if __name__ == "__main__":
    main()
