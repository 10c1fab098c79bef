"""What `benchmarks/serve.py` compares with: FastAPI with the same network in eager torch in the handler.

python benchmarks/serve_plain.py PORT WEIGHTS
"""

from __future__ import annotations

import sys
from io import BytesIO
from typing import Any

import numpy as np
from fastapi import FastAPI, UploadFile
from PIL import Image

SIDE = 256


def decoded(content: bytes) -> Image.Image:
    """The film at full size, 8 bits, as most code has it."""
    if content[128:132] != b"DICM":
        return Image.open(BytesIO(content))
    import pydicom

    stored = pydicom.dcmread(BytesIO(content)).pixel_array.astype(np.float32)
    return Image.fromarray(np.asarray(stored / stored.max() * 255, np.uint8))


def main(port: int, weights: str) -> None:
    """A handler in FastAPI's thread pool, which is the better of its two ways."""
    import torch
    import uvicorn
    from eager import network

    model = network()
    model.load_state_dict(torch.load(weights, weights_only=True))
    app = FastAPI()

    @app.post("/predict")
    def predict(film: UploadFile) -> dict[str, Any]:
        picture = decoded(film.file.read()).convert("RGB").resize((SIDE, SIDE), Image.Resampling.BILINEAR)
        pixels = torch.from_numpy(np.asarray(picture, np.float32) / 255).permute(2, 0, 1)
        with torch.inference_mode():
            (found,) = model([pixels])
            return {"probabilities": model.backbone.film[0].tolist(), "boxes": found["boxes"].tolist()}

    uvicorn.run(app, port=port, log_level="error")


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2])
