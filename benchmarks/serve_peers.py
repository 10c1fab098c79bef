"""What `benchmarks/serve.py` compares with: the same network served as people write it.

python benchmarks/serve_peers.py plain PORT WEIGHTS       FastAPI with eager torch in the handler
python benchmarks/serve_peers.py litserve PORT BUNDLE     LitServe with an onnxruntime session in each of its workers
"""

from __future__ import annotations

import os
import sys
from importlib import import_module
from io import BytesIO
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

SIDE = 256


def decoded(content: bytes) -> Image.Image:
    """The film at full size, 8 bits, as most code has it."""
    if content[128:132] != b"DICM":
        return Image.open(BytesIO(content))
    import pydicom

    stored = pydicom.dcmread(BytesIO(content)).pixel_array.astype(np.float32)
    return Image.fromarray(np.asarray(stored / stored.max() * 255, np.uint8))


def plain(port: int, weights: str) -> None:
    """A handler in FastAPI's thread pool, which is the better of its two ways."""
    import torch
    import uvicorn
    from eager import network
    from fastapi import FastAPI, UploadFile

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

    predict.__annotations__["film"] = UploadFile
    uvicorn.run(app, port=port, log_level="error")


def litserve(port: int, bundle: str) -> None:
    """One worker a core, each with a session of one thread."""
    served: Any = import_module("litserve")
    import onnxruntime

    class Api(served.LitAPI):  # type: ignore[misc]
        def setup(self, device: str) -> None:
            options = onnxruntime.SessionOptions()
            options.intra_op_num_threads = 1
            self.session = onnxruntime.InferenceSession(bundle, options, providers=["CPUExecutionProvider"])
            self.names = [output.name for output in self.session.get_outputs()]
            self.size = tuple(self.session.get_inputs()[0].shape[:1:-1])

        def decode_request(self, request: Any) -> NDArray[np.uint8]:
            picture = decoded(request["film"].file.read()).convert("L")
            return np.asarray(picture.resize(self.size, Image.Resampling.BILINEAR))[None, None]

        def predict(self, films: NDArray[np.uint8]) -> dict[str, Any]:
            outputs = dict(zip(self.names, self.session.run(None, {"films": films}), strict=True))
            return {name: outputs[name][0].tolist() for name in ("probabilities", "boxes") if name in outputs}

        def encode_response(self, output: dict[str, Any]) -> dict[str, Any]:
            return output

    cores = len(os.sched_getaffinity(0))
    server = served.LitServer(Api(), accelerator="cpu", workers_per_device=cores, timeout=300)
    server.run(port=port, host="127.0.0.1", generate_client_file=False, log_level="error")


if __name__ == "__main__":
    {"plain": plain, "litserve": litserve}[sys.argv[1]](int(sys.argv[2]), sys.argv[3])
