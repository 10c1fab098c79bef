"""A bundle of unknown origin is tried once in a process of its own, with limits on time and memory.

A graph of a few nodes may ask for any amount of either, already while it is set up, when what is constant in it is
computed beforehand; no counting finds that. The digests of bundles that passed are kept in a file of the user's cache,
so that a bundle is tried once. Those that ship and those that were exported here are known.
"""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path

import numpy as np
import onnxruntime as ort

from hilum.bundle.card import BundleError
from hilum.bundle.format import FILMS
from hilum.system.files import cache_folder, write_whole
from hilum.system.text import printable

CPU_PROVIDER = "CPUExecutionProvider"
SECONDS = 60  # of a core; the largest networks that hilum makes take a few
SECONDS_IN_ALL = 300  # where a busy machine gives little of its cores, or a system cannot count what a process used
BYTES, BYTES_A_BYTE = 4 << 30, 8  # of address space: in any case, and for each byte of the file
MOST_PIXELS = 64_000_000
KNOWN_BYTES, KNOWN_KEPT = 1 << 16, 500
READY = "ready"
CHILD = """
import json, sys
sys.path[:], seconds, memory = json.loads(sys.argv[1])
from hilum.bundle.trust.trial import main
main(seconds, memory)
"""


def set_up(content: bytes, provider: str = CPU_PROVIDER) -> ort.InferenceSession:
    """The network of a bundle, ready to run; what a device cannot compute, the CPU does."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1  # the films are what is done in parallel
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    return ort.InferenceSession(content, options, providers=list(dict.fromkeys((provider, CPU_PROVIDER))))


def try_once(content: bytes, digest: str, name: str) -> None:
    """Refuse a bundle that cannot be set up and run on one film within the limits. `digest` is that of the content."""
    if is_known(digest) or not _can_start_python():
        return
    import subprocess  # only who tries a bundle waits for it

    limits = [sys.path, SECONDS, BYTES + BYTES_A_BYTE * len(content)]
    command = [sys.executable, "-P", "-c", CHILD, json.dumps(limits)]
    try:
        answer = subprocess.run(command, input=content, capture_output=True, timeout=SECONDS_IN_ALL, check=False)
    except subprocess.TimeoutExpired:
        raise BundleError(f"{name}: {_not_within(f'{SECONDS_IN_ALL} seconds')}") from None
    except OSError:  # no process can be started here: what was counted must do
        return
    ready, _, reason = answer.stdout.decode(errors="replace").partition("\n")
    if ready.strip() != READY:  # what was started is no Python that finds hilum; it has not seen the bundle
        return
    if answer.returncode == 0:
        remember(digest)
    elif reason:
        raise cannot_run(name, reason)
    else:  # the system ended it
        raise BundleError(f"{name}: {_not_within(f'{SECONDS} seconds of a core and the memory that a bundle needs')}")


def cannot_run(name: str, reason: str) -> BundleError:
    """What to say of a bundle that onnxruntime refuses; its reason may quote the file."""
    first = printable(reason.partition("\n")[0][:200])
    return BundleError(
        f"{name}: onnxruntime {ort.__version__} cannot run it ({first}); update onnxruntime or export the bundle again"
    )


def is_known(digest: str) -> bool:
    """Whether this bundle passed its trial before, with this onnxruntime."""
    try:
        return _line(digest) in _known_file().read_text(encoding="ascii", errors="replace").splitlines()
    except (OSError, RuntimeError):  # there is none yet, or no home to keep it in
        return False


def remember(digest: str) -> None:
    """Add a bundle to those that passed; where nothing can be kept, it is tried again the next time.

    Several processes may do this at once: a line is written in one go, and one that got torn names no bundle.
    """
    try:
        path = _known_file()
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.exists() and path.stat().st_size > KNOWN_BYTES:
            write_whole(path, "\n".join(path.read_text(encoding="ascii").splitlines()[-KNOWN_KEPT:]) + "\n")
        with path.open("ab", buffering=0) as file:
            file.write(f"{_line(digest)}\n".encode())
    except (OSError, RuntimeError, ValueError):
        return


def main(seconds: int, memory: int) -> None:
    """The child: set the network on standard input up and run it on one film. It prints why that fails, if it does."""
    print(READY, flush=True)
    content = sys.stdin.buffer.read()
    _limit_resources(seconds, memory)
    try:
        session = set_up(content)
        shape = session.get_inputs()[0].shape[1:]
        if len(shape) == 3 and all(isinstance(side, int) for side in shape) and math.prod(shape) <= MOST_PIXELS:
            levels = np.arange(math.prod(shape), dtype=np.uint32).astype(np.uint8)
            session.run(None, {FILMS: levels.reshape(1, *shape)})
    except Exception as error:  # whatever onnxruntime raises
        print(str(error) or type(error).__name__)
        sys.exit(2)


def _limit_resources(seconds: int, memory: int) -> None:
    try:
        import resource
    except ImportError:  # Windows has none of these: only the clock is watched there
        return
    for kind, most in (("RLIMIT_AS", memory), ("RLIMIT_CPU", seconds), ("RLIMIT_CORE", 0)):
        number = getattr(resource, kind)
        hard = resource.getrlimit(number)[1]
        resource.setrlimit(number, (most if hard == resource.RLIM_INFINITY else min(most, hard), hard))


def _can_start_python() -> bool:
    """A program that carries its own Python within would start itself."""
    return bool(sys.executable) and not getattr(sys, "frozen", False)


def _known_file() -> Path:
    return cache_folder() / "bundles"


def _line(digest: str) -> str:
    return f"{digest} onnxruntime {ort.__version__}"


def _not_within(limits: str) -> str:
    return f"cannot be set up and run on one film within {limits}; do not use it, or get it again from its source"
