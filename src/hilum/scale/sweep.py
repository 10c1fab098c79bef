"""A sweep's combinations over a cluster of Ray, as many at once as there is room for; each is a run as any other.

Runs lie where every node reaches them. One whose node was lost is taken up from its checkpoint by another node.
"""

from __future__ import annotations

import shlex
from pathlib import Path

import torch

from hilum.scale.cluster import on_cluster
from hilum.training.fit import Interrupted
from hilum.training.observer import Notice, unobserved
from hilum.training.processes import Processes
from hilum.training.run import ended
from hilum.training.series.sweep import FAILURES, Sweep, open_sweep
from hilum.training.session import Plan, Session

SECONDS = 1.0  # between looks whether somebody asked to stop


def train_on_cluster(sweep: Sweep, session: Session, *, address: str, insecure: bool) -> dict[str, str]:
    """Train what has not ended; the combinations that failed, and why. Raises ScaleError, and Interrupted."""
    combinations = sweep.combinations()
    todo = [number for number, each in enumerate(combinations) if not ended(each.recipe, each.run.read_history())]
    failed: dict[str, str] = {}
    with on_cluster(address, insecure=insecure):
        import ray

        threads, device = torch.get_num_threads(), session.device.type
        resources = {"num_cpus": 1, **({"num_gpus": 1} if device == "cuda" else {})}
        train = ray.remote(max_retries=-1, **resources)(train_one)
        at_work = {train.remote(str(sweep.folder.absolute()), number, device, threads): number for number in todo}
        while at_work:
            if session.asked_to_stop():
                again = f"stopped; go on with: hilum train --resume {shlex.quote(str(sweep.folder))}"
                session.observer(Notice(again))
                raise Interrupted(again)
            for answer in ray.wait(list(at_work), timeout=SECONDS)[0]:
                name = combinations[at_work.pop(answer)].name
                if reason := ray.get(answer):
                    failed[name] = reason
                session.observer(Notice(f"{'failed' if reason else 'trained'}: {name}; {len(at_work):,} to go"))
    return failed


def train_one(folder: str, number: int, device: str, threads: int) -> str:
    """One combination, wherever this is; why it failed, if it did."""
    torch.set_num_threads(threads)  # runs go on under as many as they were begun with
    sweep = open_sweep(Path(folder))
    combination = sweep.combinations()[number]
    session = Session(torch.device(device), Processes(), unobserved, lambda: False)
    try:
        session.train(Plan(combination.run.folder, combination.recipe, sweep.manifest, bundle=False))
    except FAILURES as error:
        return (str(error) or type(error).__name__).splitlines()[0]
    return ""
