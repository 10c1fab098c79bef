"""Whether the page without a server says of films what Python says: a table in CSV, and its summary.

Chromium judges 200 films: real ones as they came (JPEG of all sizes, DICOM in odd encodings), and phantoms and real
ones in every encoding that the page reads. A decision counts where neither the probability is within 0.005 of the
threshold nor the gate's distance within 0.02 of its limit.

    python results/page_parity.py DATA [--graphics] [--csv FILE]

With --graphics every sixth film is judged through WebGPU instead, on the graphics card of software that Chromium has.
DATA holds kermany-224, kermany-original, nih-adult-256, ...; needs ./hilum-browser, Playwright and Chromium.
"""

from __future__ import annotations

import argparse
import base64
import csv
import shutil
import sys
import tempfile
import threading
import zlib
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from pathlib import Path
from typing import Any

import data_store
import hilum_browser
import numpy as np
from imagecodecs import jpeg2k_encode, jpegls_encode, ljpeg_encode
from numpy.typing import NDArray
from PIL import Image
from playwright.sync_api import Page, sync_playwright
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import (
    JPEG2000,
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
    generate_uid,
)

import hilum
from hilum.bundle.shipped import find_bundle
from hilum.dataset.phantom.film import draw_phantom
from hilum.service.page.site import write_site

# Of each set so many films, evenly over its names.
REAL = {
    "kermany-original": 34,
    "kermany-224/test": 20,
    "nih-adult-256/images": 24,
    "siim-covid-256/images": 20,
    "rsna-256/images": 20,
    "lateral": 6,
    "dicom": 8,
    "rsna-mini/stage_2_train_images": 6,
}
RE_ENCODED = 4  # real films of full size, and as many phantoms
NATIVE: dict[str, UID] = {
    "explicit": ExplicitVRLittleEndian,
    "implicit": ImplicitVRLittleEndian,
    "big endian": ExplicitVRBigEndian,
    "deflated": DeflatedExplicitVRLittleEndian,
}
ASK = """async ([content, version]) => {
  const { SiteFiles, WasmEngine } = await import(new URL("page/engine-wasm.js", document.baseURI).href);
  globalThis.engine ??= new WasmEngine(new SiteFiles(["default"]), version);
  if (!globalThis.engine.asked) { await engine.model(null); engine.asked = true; }
  const bytes = Uint8Array.from(atob(content), (letter) => letter.charCodeAt(0));
  const began = performance.now();
  try {
    const { answer } = await engine.predict(new Blob([bytes]), { heatmap: true });
    return { ...answer, ms: performance.now() - began };
  } catch (error) {
    return { decision: null, error: error.reason ?? String(error), ms: performance.now() - began };
  }
}"""
ASK_GRAPHICS = """async ([content, version]) => {
  const { openBundle } = await import(new URL("page/bundle/bundle.js", document.baseURI).href);
  const { decide } = await import(new URL("page/bundle/decide.js", document.baseURI).href);
  const { read } = await import(new URL("page/radiograph/read.js", document.baseURI).href);
  globalThis.opened ??= (async () => {
    const content = new Uint8Array(await (await fetch("models/default.onnx")).arrayBuffer());
    const bundle = await openBundle(content, await (await fetch("models/default.json")).json(), 1);
    bundle.graphics = await bundle.runtime.InferenceSession.create(content, { executionProviders: ["webgpu"] });
    return bundle;
  })();
  const bundle = await globalThis.opened;
  const began = performance.now();
  try {
    const film = await read(Uint8Array.from(atob(content), (letter) => letter.charCodeAt(0)), bundle.atLeast);
    const answer = decide(bundle.card, await bundle.look(film), { heatmap: true }, version);
    if (!bundle.graphics) throw new Error("the graphics card is gone");
    return { ...answer, ms: performance.now() - began };
  } catch (error) {
    return { decision: null, error: error.reason ?? String(error), ms: performance.now() - began };
  }
}"""
SOFTWARE = ["--enable-unsafe-webgpu", "--use-webgpu-adapter=swiftshader"]
COLUMNS = ["film", "encoding", "python", "browser", "same", "near_a_limit", "probability", "difference", "distance",
           "distance_difference", "boxes", "boxes_difference_256"]  # fmt: skip


def main() -> None:
    """Judge, compare, write."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("data", type=Path)
    arguments.add_argument("--graphics", action="store_true")
    arguments.add_argument("--csv", type=Path)
    given = arguments.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        site = Path(folder) / "site"
        write_site(site, {"default": find_bundle(None)}, hilum_browser.FOLDER)
        films = list(films_of(given.data, Path(folder)))[:: 6 if given.graphics else 1]
        predictor = hilum.load()
        with opened(site, SOFTWARE if given.graphics else []) as page:
            ask = ASK_GRAPHICS if given.graphics else ASK
            rows = [row(name, path, predictor, page, ask) for name, path in films]
    if given.csv:
        with given.csv.open("w", newline="") as file:
            writer = csv.DictWriter(file, COLUMNS)
            writer.writeheader()
            writer.writerows(rows)
    summary(rows)


def films_of(data: Path, folder: Path) -> Iterator[tuple[str, Path]]:
    """The films by name."""
    for name, count in REAL.items():
        paths = sorted(
            path for path in (data / name).rglob("*") if path.suffix.lower() in (".jpeg", ".jpg", ".png", ".dcm")
        )
        for path in paths[:: max(len(paths) // count, 1)][:count]:
            yield path.relative_to(data).as_posix(), path
    packaged = Path(data_store.__file__).parent / "data"
    for name in ("RG1_UNCR", "RG1_J2KR", "RG1_J2KI", "RG3_UNCR", "RG3_J2KI"):
        yield f"pydicom-data/{name}.dcm", packaged / f"{name}.dcm"
    originals = sorted((data / "kermany-original").rglob("*.jpeg"))
    sources = {path.stem: hilum.read(path).pixels for path in originals[3 :: len(originals) // RE_ENCODED][:RE_ENCODED]}
    for number in range(RE_ENCODED):
        label = ("normal", "bacterial")[number % 2]
        sources[f"phantom {number}"] = draw_phantom((9, number), label).pixels.astype(np.float32) / np.float32(255)
    for name, shades in sources.items():
        for encoding, content in encoded(shades).items():
            path = folder / f"{name} {encoding}"
            path.write_bytes(content)
            yield f"{name} as {encoding}", path


def encoded(shades: NDArray[np.float32]) -> dict[str, bytes]:
    """A film in every encoding that the page reads."""
    grey, deep = np.rint(shades * 255).astype(np.uint8), np.rint(shades * 4095).astype(np.uint16)
    pictures = {
        "PNG of 8 bits": saved(grey, "PNG"),
        "PNG of 16 bits": saved(deep * 16, "PNG"),
        "progressive JPEG": saved(grey, "JPEG", quality=92, progressive=True),
    }
    native = {f"DICOM, {name}": dicom(deep, syntax) for name, syntax in NATIVE.items()}
    compressed = {
        "DICOM, JPEG": dicom(grey, JPEGBaseline8Bit, saved(grey, "JPEG", quality=92)),
        "DICOM, JPEG lossless": dicom(deep, JPEGLosslessSV1, ljpeg_encode(deep, bitspersample=12)),
        "DICOM, run-length": dicom(deep, RLELossless),
        "DICOM, JPEG 2000": dicom(deep, JPEG2000Lossless, j2k(deep, reversible=True)),
        "DICOM, lossy JPEG 2000": dicom(deep, JPEG2000, j2k(deep, level=55)),
        "DICOM, JPEG-LS": dicom(deep, JPEGLSLossless, jpegls_encode(deep)),
    }
    return pictures | native | compressed


def j2k(levels: NDArray[np.uint16], **how: Any) -> bytes:
    """A JPEG 2000 codestream of 12 bits."""
    return bytes(jpeg2k_encode(levels, codecformat="j2k", bitspersample=12, **how))


def saved(levels: NDArray[Any], kind: str, **how: Any) -> bytes:
    """A picture file."""
    content = BytesIO()
    Image.fromarray(levels).save(content, kind, **how)
    return content.getvalue()


def dicom(levels: NDArray[Any], syntax: UID, frame: bytes | None = None) -> bytes:
    """A DICOM file of 8 or 12 bits, inverted and with a window where it has 12."""
    film: Any = Dataset()
    film.SOPClassUID, film.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.1", generate_uid(entropy_srcs=["parity"])
    film.Modality, film.Rows, film.Columns = "CR", *levels.shape
    film.SamplesPerPixel, film.PixelRepresentation, film.PhotometricInterpretation = 1, 0, "MONOCHROME2"
    film.BitsAllocated, film.BitsStored = 8 * levels.itemsize, 8 if levels.itemsize == 1 else 12
    film.HighBit = film.BitsStored - 1
    if levels.itemsize == 2 and frame is None:
        film.PhotometricInterpretation, levels = "MONOCHROME1", 4095 - levels
        film.WindowCenter, film.WindowWidth = 2048, 4096
    film.file_meta = FileMetaDataset()
    film.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    film.PixelData = levels.astype(levels.dtype.newbyteorder(">" if syntax == ExplicitVRBigEndian else "<")).tobytes()
    film["PixelData"].VR = "OW"
    if frame is not None:
        film.PixelData = encapsulate([frame])
        film["PixelData"].VR, film["PixelData"].is_undefined_length = "OB", True
        film.file_meta.TransferSyntaxUID = syntax
    elif syntax.is_encapsulated:
        film.compress(syntax, generate_instance_uid=False)
    else:
        film.file_meta.TransferSyntaxUID = syntax
    content = BytesIO()
    little, implicit = syntax != ExplicitVRBigEndian, syntax == ImplicitVRLittleEndian
    film.save_as(content, implicit_vr=implicit, little_endian=little, enforce_file_format=True)
    return content.getvalue()


class opened:
    """The site in Chromium, started as its users start it."""

    def __init__(self, site: Path, flags: list[str]) -> None:
        self._site, self._flags = site, flags

    def __enter__(self) -> Page:
        handler = type("Handler", (SimpleHTTPRequestHandler,), {"log_message": lambda *_: None})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), partial(handler, directory=str(self._site)))
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        self._playwright = sync_playwright().start()
        path = shutil.which("chromium") or shutil.which("google-chrome")
        self._browser = self._playwright.chromium.launch(executable_path=path, args=["--no-sandbox", *self._flags])
        page = self._browser.new_page()
        page.set_default_timeout(300_000)
        page.goto(f"http://localhost:{self._server.server_port}/")
        page.locator("#model option").first.wait_for(state="attached", timeout=300_000)
        return page

    def __exit__(self, *_: object) -> None:
        self._browser.close()
        self._playwright.stop()
        self._server.shutdown()


def row(name: str, path: Path, predictor: Any, page: Page, ask: str) -> dict[str, Any]:
    """A film judged by both."""
    (prediction,) = predictor.predict([path])
    expected = prediction.to_dict()
    found = page.evaluate(ask, [base64.b64encode(path.read_bytes()).decode(), hilum.__version__])
    try:
        encoding = hilum.read(path).encoding
    except hilum.ReadError:
        encoding = "unreadable"
    both = expected["probability"] is not None and found.get("probability") is not None
    limit, other = expected["gate"]["distance"], found.get("gate", {}).get("distance")
    near = bool(both and abs(expected["probability"] - expected["threshold"]) < 0.005)
    near |= limit is not None and abs(limit - 1) < 0.02
    outcome = [answer["decision"] or str(answer["error"]).partition(":")[0] for answer in (expected, found)]
    boxes = [answer.get("boxes") or [] for answer in (expected, found)]
    print(f"{name}: {outcome[0]}, {outcome[1]}, {found['ms']:.0f} ms", file=sys.stderr, flush=True)
    return {
        "film": name if "/" in name or "phantom" in name else f"kermany-original film {zlib.crc32(name.encode()):08x}",
        "encoding": encoding,
        "python": outcome[0],
        "browser": outcome[1],
        "same": outcome[0] == outcome[1],
        "near_a_limit": near,
        "probability": expected["probability"],
        "difference": round(abs(expected["probability"] - found["probability"]), 6) if both else None,
        "distance": limit,
        "distance_difference": None if limit is None or other is None else round(abs(limit - other), 6),
        "boxes": len(boxes[0]),
        "boxes_difference_256": boxes_off(*boxes, expected) if both and len(boxes[0]) == len(boxes[1]) else None,
    }


def boxes_off(boxes: list[Any], others: list[Any], film: dict[str, Any]) -> float:
    """By how much boxes differ at most, in pixels of a film of 256 by 256."""
    sizes = {"x": film["width"], "y": film["height"], "width": film["width"], "height": film["height"]}
    return round(
        max(
            (
                256 * abs(box[key] - other[key]) / size
                for box, other in zip(boxes, others, strict=True)
                for key, size in sizes.items()
            ),
            default=0.0,
        ),
        3,
    )


def summary(rows: list[dict[str, Any]]) -> None:
    """What is claimed, in numbers."""
    differences = [each["difference"] for each in rows if each["difference"] is not None]
    boxes = [each["boxes_difference_256"] for each in rows if each["boxes_difference_256"] is not None]
    clear = [each for each in rows if not each["near_a_limit"]]
    print(f"{len(rows)} films, {len({each['encoding'] for each in rows})} encodings")
    print(f"decisions equal: {sum(each['same'] for each in clear)} of {len(clear)} that are near no limit, "
          f"{sum(each['same'] for each in rows)} of all")  # fmt: skip
    print(f"probability: {np.median(differences):.6f} apart in the median, {max(differences):.6f} at most")
    print(f"boxes: {max(boxes):.3f} pixels in 256 apart at most, of {len(boxes)} films")
    for each in rows:
        if not each["same"]:
            print(
                f"  differs: {each['film']}: {each['python']}, {each['browser']}, near a limit: {each['near_a_limit']}"
            )


if __name__ == "__main__":
    main()
