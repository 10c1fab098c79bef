"""The first picture of the README: what both models in the box say of a phantom. `make docs` runs this."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image

FILM = "937e9eb7-77ef-4896-b5a5-e0f4e749e17f.dcm"
OUT = Path(__file__).parent / "images" / "overlays.png"
HEIGHT = 640


def main() -> None:
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        hilum("data", "phantom", folder / "films", "-n", "24", "--layout", "rsna", "--size", "640", "--seed", "11")
        film = folder / "films" / "stage_2_train_images" / FILM
        hilum("predict", film, "--heatmap", folder / "heatmap")
        hilum("predict", "--boxes", film, "--heatmap", folder / "boxes")
        pictures = [Image.open(folder / drawn / f"{FILM}.png").convert("RGB") for drawn in ("heatmap", "boxes")]
    small = [picture.resize((round(picture.width * HEIGHT / picture.height), HEIGHT)) for picture in pictures]
    both = Image.new("RGB", (sum(picture.width for picture in small), HEIGHT), small[0].getpixel((0, 0)))
    both.paste(small[0], (0, 0))
    both.paste(small[1], (small[0].width, 0))
    both.save(OUT, optimize=True)


def hilum(*arguments: str | Path) -> None:
    subprocess.run([sys.executable, "-m", "hilum", *map(str, arguments)], check=True)


if __name__ == "__main__":
    main()
