"""`make fuzz`: the fuzz test of bundles, with a new seed every round, for a given time.

A round runs in a process of its own, so that a crash or a network that never ends is seen; the bundle is kept.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

COUNTED_A_ROUND, OPENED_A_ROUND = 200, 60
LONGEST_ROUND_SECONDS = 3600


def main(seconds: float, seed: int) -> int:
    test = Path(__file__).with_name("test_fuzz_bundles.py")
    last_input = Path(tempfile.gettempdir()) / f"hilum-fuzz-{seed}.onnx"
    end = time.monotonic() + seconds
    opened = 0
    while time.monotonic() < end:
        settings = {
            "HILUM_FUZZ_BUNDLES": str(COUNTED_A_ROUND),
            "HILUM_FUZZ_BUNDLES_OPENED": str(OPENED_A_ROUND),
            "HILUM_FUZZ_SEED": str(seed),
            "HILUM_FUZZ_LAST_INPUT": str(last_input),
        }
        command = [sys.executable, "-X", "faulthandler", "-m", "pytest", "-q", "-n0", "--show-capture=no", str(test)]
        try:
            answer = subprocess.run(
                command,
                env=os.environ | settings,
                capture_output=True,
                text=True,
                check=False,
                timeout=LONGEST_ROUND_SECONDS,
            )
        except subprocess.TimeoutExpired:
            print(f"hangs with seed {seed}; the last input is in {last_input}")
            return 1
        if answer.returncode != 0:
            print(answer.stdout, answer.stderr, sep="\n")
            print(f"failed with seed {seed}; the last input is in {last_input}")
            return 1
        opened += OPENED_A_ROUND
        print(f"{opened:,} changed bundles opened, up to seed {seed}", flush=True)
        seed += 1
    last_input.unlink(missing_ok=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(seconds=float(sys.argv[1]), seed=int(sys.argv[2])))
