"""What `benchmarks/serve.py` compares with: LitServe with a session of onnxruntime in each of its workers, one a core.

python benchmarks/serve_litserve.py PORT BUNDLE
"""

import os
import sys
from importlib import import_module
from typing import Any

import numpy as np
import onnxruntime
from fastapi import Request
from numpy.typing import NDArray
from PIL import Image
from serve_plain import decoded

litserve: Any = import_module("litserve")


class Api(litserve.LitAPI):  # type: ignore[misc]
    """A film as a file of a form; LitServe wants these very names and this type."""

    def setup(self, device: str) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(sys.argv[2], options, providers=["CPUExecutionProvider"])
        self.names = [output.name for output in self.session.get_outputs()]
        self.size = tuple(self.session.get_inputs()[0].shape[:1:-1])

    def decode_request(self, request: Request) -> NDArray[np.uint8]:
        picture = decoded(request["film"].file.read()).convert("L")
        return np.asarray(picture.resize(self.size, Image.Resampling.BILINEAR))[None, None]

    def predict(self, films: NDArray[np.uint8]) -> dict[str, Any]:
        outputs = dict(zip(self.names, self.session.run(None, {"films": films}), strict=True))
        return {name: outputs[name][0].tolist() for name in ("probabilities", "boxes") if name in outputs}

    def encode_response(self, output: dict[str, Any]) -> dict[str, Any]:
        return output


if __name__ == "__main__":
    cores = len(os.sched_getaffinity(0))
    server = litserve.LitServer(Api(), accelerator="cpu", workers_per_device=cores, timeout=300)
    server.run(port=int(sys.argv[1]), host="127.0.0.1", generate_client_file=False, log_level="error")
