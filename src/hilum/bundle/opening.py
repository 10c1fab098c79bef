"""Opening a Bundle: the file is checked, its card read and its network set up in a thread of its own.

Setting up the network is most of what a single film waits for, so whoever is in a hurry opens the bundle before
importing anything else; that is why this stands apart from the Predictor.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from os import PathLike
from typing import Generic, TypeVar

import onnxruntime as ort

from hilum.bundle.card import BundleError, Card
from hilum.bundle.format import (
    BOXES,
    FEATURES,
    FILMS,
    GATE,
    GROUPS,
    HEATMAPS,
    LUNG_STRIDE,
    LUNGS,
    PROBABILITIES,
    SCORES,
)
from hilum.bundle.onnx_file import DIGEST, check_digest, check_structure, parse_card, read_bytes, read_metadata
from hilum.bundle.shipped import DIGESTS, find_bundle, lies_in_package
from hilum.bundle.trust.trial import cannot_run, set_up, try_once

CPU = "cpu"
# The devices of this onnxruntime: "cpu", and "cuda", "coreml", ... where such a build is installed.
PROVIDERS: dict[str, str] = {
    name.removesuffix("ExecutionProvider").lower(): name for name in ort.get_available_providers()
}

Result = TypeVar("Result")


class OpenBundle:
    """A bundle whose file and card are known to be good and whose network is being set up on a device."""

    def __init__(self, path: str | PathLike[str] | None = None, device: str = CPU) -> None:
        self.path = find_bundle(path)
        self.device = device.lower()
        provider = _provider(self.device)
        name = str(self.path)
        content = read_bytes(self.path)
        digesting = _Later(lambda: check_digest(content, name))  # takes its time, and needs no Python
        metadata = read_metadata(content, name)
        self.digest = metadata[DIGEST]
        ships = self.digest in DIGESTS.values()
        # A shipped bundle in its place is trusted as the package is: it is set up while its digest is taken.
        if not (ships and lies_in_package(self.path)):
            digesting.result()
        if not ships:
            check_structure(content, name)
        self.card: Card = parse_card(metadata, name)
        self.outputs: list[str] = []
        if not ships:
            try_once(content, self.digest, name)
        # What was checked is what runs: the session gets the bytes, not the path.
        self._setting_up = _Later(lambda: self._set_up(content, provider))
        try:
            digesting.result()
        except BundleError:
            self._setting_up.wait()
            raise

    def session(self) -> ort.InferenceSession:
        """The network once it is set up, or the BundleError that it ended in."""
        return self._setting_up.result()

    def check_output(self, name: str, leave: str) -> None:
        """Raises BundleError where its network does not give what `leave`, in words of what was asked, would need."""
        self.session()
        if name not in self.outputs:
            lacks = {LUNGS: "finds no lungs", HEATMAPS: "has no heatmaps"}[name]
            raise BundleError(f"{self.path}: {lacks}; leave {leave}, or use the model in the box")

    def _set_up(self, content: bytes, provider: str) -> ort.InferenceSession:
        try:
            session = set_up(content, provider)
        except Exception as error:  # onnxruntime's exceptions share no class of their own
            raise cannot_run(str(self.path), str(error) or type(error).__name__) from None
        if provider not in session.get_providers():  # onnxruntime goes on without it
            raise BundleError(
                f"device {self.device}: onnxruntime {ort.__version__} cannot start it on this machine; "
                "see to its drivers and libraries, or use device cpu"
            )
        self.outputs = [output.name for output in session.get_outputs()]
        if mismatch := self._mismatch(session):
            raise mismatch
        return session

    def _mismatch(self, session: ort.InferenceSession) -> BundleError | None:
        """Where the graph is not what the card says."""
        geometry, classes = self.card.geometry, len(self.card.classes)
        inputs = [(part.name, part.type, part.shape[1:]) for part in session.get_inputs()]
        if inputs != [(FILMS, "tensor(uint8)", [1, geometry.height, geometry.width])]:
            return BundleError(
                f"{self.path}: its network does not take films of {geometry}, as its card says; export it again"
            )
        shapes, groups = {part.name: part.shape for part in session.get_outputs()}, len(self.card.groups)
        wanted: dict[str, tuple[int, int | None]] = {
            PROBABILITIES: (3, groups) if groups else (2, classes),
            FEATURES: (2, None),
            HEATMAPS: (4, classes),
            GATE: (2, 1 + len(self.card.gate.states) if self.card.gate else None),
            LUNGS: (3, geometry.height // LUNG_STRIDE),
        }
        if self.card.boxes is not None:
            wanted |= {BOXES: (3, self.card.boxes.most), SCORES: (2, self.card.boxes.most)}
        if groups:
            wanted[GROUPS] = (2, groups)
        for name, (rank, columns) in wanted.items():
            shape = shapes.get(name)
            if shape is None and name in (HEATMAPS, GATE, LUNGS):
                continue
            if shape is None or len(shape) != rank or (columns is not None and shape[1] != columns):
                return self._gives_no(name)
        return None if shapes[PROBABILITIES][-1] == classes else self._gives_no(PROBABILITIES)

    def _gives_no(self, name: str) -> BundleError:
        return BundleError(f"{self.path}: its network gives no {name} as its card says; export it again")


def _provider(device: str) -> str:
    """What onnxruntime calls a device."""
    if device not in PROVIDERS:
        more = "; pip install onnxruntime-gpu in place of onnxruntime" if device == "cuda" else ""
        raise BundleError(f"device {device}: onnxruntime {ort.__version__} has {', '.join(PROVIDERS)} here{more}")
    return PROVIDERS[device]


class _Later(Generic[Result]):
    """What a thread makes of a call, for whoever asks for it: its result, or the error that it ended in."""

    def __init__(self, call: Callable[[], Result]) -> None:
        self._call = call
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def wait(self) -> None:
        self._thread.join()

    def result(self) -> Result:
        self.wait()
        if self._error is not None:
            raise self._error
        return self._made

    def _run(self) -> None:
        try:
            self._made = self._call()
        except BaseException as error:
            self._error = error
