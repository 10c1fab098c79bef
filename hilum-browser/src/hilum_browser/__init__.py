"""What hilum needs in a browser: onnxruntime-web and the decoders of films, from npm, pinned in packages.json."""

from __future__ import annotations

from pathlib import Path

__version__ = "1.1.0"
FOLDER = Path(__file__).parent
FILES = FOLDER / "files"
