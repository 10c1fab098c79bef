"""The pictures of phantoms that the README and the page of `hilum serve` show. `make docs` runs this."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image

import hilum

FILM = "a76d4369-861e-4876-ab82-1dede0770c04.dcm"
OVERLAY = Path(__file__).parent / "images" / "overlays.png"
TO_TRY = Path(hilum.__file__).parent / "service" / "page" / "drawn-film.jpg"
HEIGHT = 640


def main() -> None:
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        run("data", "phantom", folder / "films", "-n", "80", "--layout", "rsna", "--size", "640", "--seed", "11")
        film = folder / "films" / "stage_2_train_images" / FILM
        run("predict", film, "--heatmap", folder / "drawn")
        overlay = Image.open(folder / "drawn" / f"{FILM}.png").convert("RGB")
        levels = np.rint(hilum.read(film).pixels * 255).astype(np.uint8)
    overlay.resize((round(overlay.width * HEIGHT / overlay.height), HEIGHT)).save(OVERLAY, optimize=True)
    Image.fromarray(levels).save(TO_TRY, quality=85)


def run(*arguments: str | Path) -> None:
    subprocess.run([sys.executable, "-m", "hilum", *map(str, arguments)], check=True)


if __name__ == "__main__":
    main()
