"""Opening a Bundle: the file is checked, its card read and its network set up in a thread of its own.

Setting up the network is most of what a single film waits for, so whoever is in a hurry opens the bundle before
importing anything else; that is why this stands apart from the Predictor.
"""

from __future__ import annotations

import threading
from os import PathLike

import onnxruntime as ort

from hilum.bundle.card import BundleError, Card
from hilum.bundle.format import BOXES, FEATURES, FILMS, GATE, GATE_COLUMNS, HEATMAPS, PROBABILITIES, SCORES
from hilum.bundle.onnx_file import DIGEST, check_digest, check_structure, parse_card, read_bytes
from hilum.bundle.shipped import find_bundle

CPU = "cpu"
# The devices of this onnxruntime: "cpu", and "cuda", "coreml", ... where such a build is installed.
PROVIDERS: dict[str, str] = {
    name.removesuffix("ExecutionProvider").lower(): name for name in ort.get_available_providers()
}


class OpenBundle:
    """A bundle whose file and card are known to be good and whose network is being set up on a device."""

    def __init__(self, path: str | PathLike[str] | None = None, device: str = CPU) -> None:
        self.path = find_bundle(path)
        self.device = device.lower()
        provider = _provider(self.device)
        name = str(self.path)
        content = read_bytes(self.path)
        try:
            metadata = check_structure(content, name)
        except BundleError:
            check_digest(content, name)  # that it was damaged explains more than what it looks like now
            raise
        self.card: Card = parse_card(metadata, name)
        self.digest = metadata[DIGEST]
        self.outputs: list[str] = []
        self._outcome: ort.InferenceSession | BundleError | None = None
        # What was checked is what runs: the session gets the bytes, not the path.
        self._setting_up = threading.Thread(target=self._set_up, args=(content, provider))
        self._setting_up.start()
        try:
            check_digest(content, name)  # takes its time, too, and needs no Python
        except BundleError:
            self._setting_up.join()
            raise

    def session(self) -> ort.InferenceSession:
        """The network once it is set up, or the BundleError that it ended in."""
        self._setting_up.join()
        if isinstance(self._outcome, BundleError):
            raise self._outcome
        assert self._outcome is not None
        return self._outcome

    def _set_up(self, content: bytes, provider: str) -> None:
        options = ort.SessionOptions()
        options.intra_op_num_threads = 1  # the films are what is done in parallel
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        try:
            # What a device cannot compute, the CPU does.
            session = ort.InferenceSession(content, options, providers=list(dict.fromkeys((provider, PROVIDERS[CPU]))))
        except Exception as error:  # onnxruntime's exceptions share no class of their own
            reason = str(error).splitlines()[0][:200] if str(error) else type(error).__name__
            self._outcome = BundleError(
                f"{self.path}: onnxruntime {ort.__version__} cannot run it ({reason}); "
                "update onnxruntime or export the bundle again"
            )
            return
        if provider not in session.get_providers():  # onnxruntime goes on without it
            self._outcome = BundleError(
                f"device {self.device}: onnxruntime {ort.__version__} cannot start it on this machine; "
                "see to its drivers and libraries, or use device cpu"
            )
            return
        self.outputs = [output.name for output in session.get_outputs()]
        self._outcome = self._mismatch(session) or session

    def _mismatch(self, session: ort.InferenceSession) -> BundleError | None:
        """Where the graph is not what the card says."""
        geometry, classes = self.card.geometry, len(self.card.classes)
        inputs = [(part.name, part.type, part.shape[1:]) for part in session.get_inputs()]
        if inputs != [(FILMS, "tensor(uint8)", [1, geometry.height, geometry.width])]:
            return BundleError(
                f"{self.path}: its network does not take films of {geometry}, as its card says; export it again"
            )
        shapes = {part.name: part.shape for part in session.get_outputs()}
        wanted: dict[str, tuple[int, int | None]] = {
            PROBABILITIES: (2, classes),
            FEATURES: (2, None),
            HEATMAPS: (4, classes),
            GATE: (2, GATE_COLUMNS),
        }
        if self.card.boxes is not None:
            wanted |= {BOXES: (3, self.card.boxes.most), SCORES: (2, self.card.boxes.most)}
        for name, (rank, columns) in wanted.items():
            shape = shapes.get(name)
            if shape is None and name in (HEATMAPS, GATE):
                continue
            if shape is None or len(shape) != rank or (columns is not None and shape[1] != columns):
                return BundleError(f"{self.path}: its network gives no {name} as its card says; export it again")
        return None


def _provider(device: str) -> str:
    """What onnxruntime calls a device."""
    if device not in PROVIDERS:
        more = "; pip install onnxruntime-gpu in place of onnxruntime" if device == "cuda" else ""
        raise BundleError(f"device {device}: onnxruntime {ort.__version__} has {', '.join(PROVIDERS)} here{more}")
    return PROVIDERS[device]
