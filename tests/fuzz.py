"""`make fuzz`: the fuzz tests of reading, with a new seed every round, for a given time.

A round runs in a process of its own, so that a crash of a codec is seen, and one that asks for too much memory is
refused it; the input that caused it is kept.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

INPUTS_A_ROUND = 2000
OF_A_KIND_A_ROUND = 1000
KINDS = 6
MOST_MEGABYTES = 1024
MOST_ADDRESS_SPACE = 6 << 30  # what libraries map without using it counts, too
LONGEST_SECONDS = 5


def main(seconds: float, seed: int) -> int:
    test = Path(__file__).with_name("test_fuzz_reading.py")
    end = time.monotonic() + seconds
    inputs = 0
    while time.monotonic() < end:
        last_input = Path(tempfile.gettempdir()) / f"hilum-fuzz-{seed}.bin"
        settings = {
            "HILUM_FUZZ_EXAMPLES": str(INPUTS_A_ROUND),
            "HILUM_FUZZ_OF_A_KIND": str(OF_A_KIND_A_ROUND),
            "HILUM_FUZZ_LONGEST_SECONDS": str(LONGEST_SECONDS),
            "HILUM_FUZZ_SEED": str(seed),
            "HILUM_FUZZ_LAST_INPUT": str(last_input),
        }
        command = [sys.executable, "-X", "faulthandler", "-m", "pytest", "-q", "-n0", "--show-capture=no", str(test)]
        answer = subprocess.run(
            command, env=os.environ | settings, capture_output=True, text=True, check=False, preexec_fn=_bound_memory
        )
        megabytes = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024
        if answer.returncode != 0 or megabytes > MOST_MEGABYTES:
            print(answer.stdout, answer.stderr, sep="\n")
            print(f"failed with seed {seed} at {megabytes} MB; the last input is in {last_input}")
            return 1
        last_input.unlink()
        inputs += INPUTS_A_ROUND + 2 * KINDS * OF_A_KIND_A_ROUND
        print(f"{inputs:,} damaged files read, up to seed {seed}, peak memory {megabytes} MB", flush=True)
        seed += 1
    return 0


def _bound_memory() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (MOST_ADDRESS_SPACE, MOST_ADDRESS_SPACE))


if __name__ == "__main__":
    sys.exit(main(seconds=float(sys.argv[1]), seed=int(sys.argv[2])))
