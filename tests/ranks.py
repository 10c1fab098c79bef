"""Two ranks that train together, as torchrun starts them, but as forks of one process: loading torch takes longest.

python ranks.py SCRIPT|-m MODULE [ARGUMENTS]
"""

from __future__ import annotations

import os
import runpy
import signal
import socket
import sys
import traceback
from types import FrameType

RANKS = 2


def become(rank: int, port: int) -> int:
    """Do what was asked for as this rank; the exit code."""
    place = {"WORLD_SIZE": RANKS, "LOCAL_WORLD_SIZE": RANKS, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    os.environ |= {name: str(value) for name, value in (place | {"RANK": rank, "LOCAL_RANK": rank}).items()}
    try:
        if sys.argv[1] == "-m":
            sys.argv[:3] = [sys.argv[2]]
            runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
        else:
            del sys.argv[0]
            runpy.run_path(sys.argv[0], run_name="__main__")
    except SystemExit as end:
        return int(end.code or 0)
    except Exception:  # as the interpreter ends a script; past here a fork would go on as its parent
        traceback.print_exc()
        return 1
    return 0


def main() -> None:
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # as torchrun sets it; torch reads it when it is loaded
    import hilum.export.train  # noqa: F401  before there are two

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    started: list[int] = []
    for rank in range(RANKS):
        process = os.fork()
        if not process:
            code = become(rank, port)
            sys.stderr.flush()
            os._exit(code)  # a fork does not wait for threads that stayed with its parent
        started.append(process)

    def pass_on(number: int, frame: FrameType | None) -> None:
        for process in started:
            os.kill(process, number)

    signal.signal(signal.SIGTERM, pass_on)
    sys.exit(max(abs(os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])) for process in started))


if __name__ == "__main__":
    main()
