"""The first picture of the README: what the model in the box says of a phantom. `make docs` runs this."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image

FILM = "a76d4369-861e-4876-ab82-1dede0770c04.dcm"
OUT = Path(__file__).parent / "images" / "overlays.png"
HEIGHT = 640


def main() -> None:
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        hilum("data", "phantom", folder / "films", "-n", "80", "--layout", "rsna", "--size", "640", "--seed", "11")
        film = folder / "films" / "stage_2_train_images" / FILM
        hilum("predict", film, "--heatmap", folder / "drawn")
        picture = Image.open(folder / "drawn" / f"{FILM}.png").convert("RGB")
    picture.resize((round(picture.width * HEIGHT / picture.height), HEIGHT)).save(OUT, optimize=True)


def hilum(*arguments: str | Path) -> None:
    subprocess.run([sys.executable, "-m", "hilum", *map(str, arguments)], check=True)


if __name__ == "__main__":
    main()
