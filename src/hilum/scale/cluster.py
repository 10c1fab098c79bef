"""Shards spread over a cluster of Ray, by Ray Data: an actor for each core judges one shard after the other.

All that passes through the cluster are numbers of shards and counts of films. Films are read where they are judged,
and parts are written there, so the folder of results is one that every node reaches. What was lost with a node is done
by another one; a part that is there is not done again.
"""

from __future__ import annotations

import logging
import os
import secrets
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from functools import partial
from importlib.util import find_spec
from typing import Any

import numpy as np

from hilum.bundle.card import BundleError
from hilum.bundle.opening import CPU
from hilum.scale.errors import ScaleError, in_one_line
from hilum.scale.judge import NAME, Hardware, Step, judging_with, open_on, shards_judged
from hilum.scale.parts import part_name
from hilum.scale.plan import Plan, read_plan
from hilum.scale.results import results_at
from hilum.service.films.served import Served
from hilum.system.installed import install_extra

LOCAL, LOOPBACK = "local", ("127.", "localhost:", "[::1]:")
SECONDS_TO_ANSWER = 60
MOST_BLOCKS = 4096  # tasks of the cluster: each is told when it is done, and repeated as a whole when it is lost
PROBLEM = "problem"
# Who asks without a token is answered by this where tokens are asked for.
REFUSED, LET_IN = "Unauthenticated", "let in"
KNOCK = f"import ray, sys; ray.init(sys.argv[1], log_to_driver=False); print({LET_IN!r}, flush=True)"


@contextmanager
def on_cluster(address: str, *, insecure: bool) -> Iterator[None]:
    """Connect to a cluster, or start one here for as long as it is needed. Raises ScaleError."""
    if find_spec("ray") is None or find_spec("pyarrow") is None:
        raise ScaleError(f"hilum predict --ray needs more than the base package: {install_extra('scale')}")
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")  # it warns of actors as Ray Data itself makes them
    if address.startswith(LOOPBACK):  # which Ray takes for another name of this machine's address, unless it has none
        os.environ.setdefault("RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", "0")
    if address == LOCAL:  # others on this machine could run code in it
        os.environ.update(RAY_AUTH_MODE="token", RAY_AUTH_TOKEN=secrets.token_hex(32))
    elif not insecure:
        _check_closed(address)
    import ray

    try:
        here = {"include_dashboard": False, "_node_ip_address": "127.0.0.1"} if address == LOCAL else {}
        ray.init(address, log_to_driver=False, logging_level="ERROR", **here)
    except (ConnectionError, ray.exceptions.RayError) as error:
        raise ScaleError(f"{address}: no cluster of Ray that lets us in ({type(error).__name__})") from None
    try:
        yield
    finally:
        ray.shutdown()


def shards_judged_there(plan: Plan, shards: Sequence[int], served: Served, hardware: Hardware) -> Iterator[Step]:
    """As `shards_judged`, wherever there is room; a step for each task that is done."""
    import ray
    import ray.data

    ray.data.DataContext.get_current().enable_progress_bars = False
    logging.getLogger("ray.data").setLevel(logging.ERROR)  # what it does stands in its dashboard and its own logs
    there = ray.cluster_resources()
    cores, gpus = max(int(there.get("CPU", 1)), 1), int(there.get("GPU", 0))
    device = hardware.device if gpus else hardware.device or CPU
    # A GPU has the cores that decode for it; without one every core judges for itself.
    each, actors = (1, cores) if device == CPU else (max(cores // max(gpus, 1), 1), max(gpus, 1))
    actors = min(actors, len(shards))
    judged = ray.data.from_numpy(np.array_split(np.array(shards), min(len(shards), MOST_BLOCKS))).map_batches(
        _Judge,
        fn_constructor_args=(plan.results.address, asdict(plan.card), served.path, (each, device)),
        batch_size=None,
        compute=ray.data.ActorPoolStrategy(min_size=1, max_size=actors, initial_size=actors),
        num_cpus=each,
        num_gpus=0 if device == CPU else 1,
    )
    judged.set_name("hilum_predict")  # in the dashboard, and of a file of its logs
    for row in judged.iter_rows():
        if row[PROBLEM]:
            raise ScaleError(row[PROBLEM])
        yield Step(*(int(row[name]) for name in Step._fields))


class _Judge:
    """What lives on a core of the cluster. What goes wrong there is an answer, which Ray wraps into nothing."""

    def __init__(self, results: str, card: dict[str, Any], bundle: str, hardware: tuple[int, str | None]) -> None:
        from ray.util.metrics import Counter

        self._problem = ""
        self._films = Counter("hilum_films", "Films of hilum predict --out that were judged", ("answer",))
        try:
            self._open(results, card, bundle, Hardware(*hardware))
        except (ScaleError, BundleError, OSError) as error:
            self._problem = in_one_line(error)

    def __call__(self, block: dict[str, Any]) -> dict[str, Any]:
        done = Step()
        try:
            for shard in [] if self._problem else map(int, block["data"]):
                if self._plan.results.is_there(part_name(shard)):  # its task was lost after it was written
                    done += Step(shards=1)
                    continue
                for step in shards_judged(self._plan, [shard], self._judging):
                    done += step
                    self._count(step)
        except (ScaleError, OSError) as error:
            self._problem = in_one_line(error)
        counts = {name: np.array([count]) for name, count in done._asdict().items()}
        return {**counts, PROBLEM: np.array([self._problem])}

    def _count(self, step: Step) -> None:
        """For the dashboard, and whoever else reads Ray's metrics."""
        for answer, films in (("none", step.failed), ("some", step.films - step.failed)):
            if films:
                self._films.inc(films, {"answer": answer})

    def _open(self, results: str, card: dict[str, Any], bundle: str, hardware: Hardware) -> None:
        self._plan = read_plan(results_at(results))
        if asdict(self._plan.card) != card:
            raise ScaleError(f"{results}: is another folder on one of the machines; name one that all of them share")
        predictor, device = open_on(bundle, hardware.device, partial(print, file=sys.stderr))
        served = Served.of(NAME, predictor)
        if served.digest != self._plan.card.how.bundle:
            raise BundleError(f"{bundle}: is another bundle on one of the machines; put the same file there")
        self._held = ExitStack()
        self._judging = self._held.enter_context(judging_with(served, self._plan, hardware._replace(device=device)))


def _check_closed(address: str) -> None:
    """Refuse a cluster that lets in who has no token: whoever reaches it runs code on it, and reads what it reads."""
    stranger = {name: value for name, value in os.environ.items() if not name.startswith("RAY_AUTH")}
    stranger |= {"RAY_AUTH_MODE": "disabled", "RAY_NUM_REDIS_GET_RETRIES": "2"}  # of a second each
    knock = [sys.executable, "-c", KNOCK, address]
    try:
        heard = subprocess.run(
            knock,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=stranger,
            timeout=SECONDS_TO_ANSWER,
            check=False,
        ).stdout
    except subprocess.TimeoutExpired:
        heard = b""
    if LET_IN.encode() in heard:
        raise ScaleError(
            f"{address}: whoever reaches this cluster runs code on it, for it asks for no token; start it with "
            "RAY_AUTH_MODE=token, or say --insecure if nobody else reaches it"
        )
    if REFUSED.encode() not in heard:
        raise ScaleError(f"{address}: no cluster of Ray answers there")
    if os.environ.get("RAY_AUTH_MODE") != "token":
        raise ScaleError(f"{address}: this cluster asks for a token; set RAY_AUTH_MODE=token and RAY_AUTH_TOKEN_PATH")
