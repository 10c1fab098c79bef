"""One process or several of torchrun: who leads, how a batch is shared, what all agree on, how a loss is noticed.

What the processes tell each other goes over gloo on a GPU too: its connections break as soon as a process is gone,
where NCCL waits for an answer.
"""

from __future__ import annotations

import os
import signal
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import torch
from torch import Tensor, nn
from torch import distributed as dist
from torch.distributed.rendezvous import rendezvous
from torch.nn.parallel import DistributedDataParallel

from hilum.network.heads.boxes import Boxes
from hilum.network.heads.queries import QueryHead
from hilum.network.network import LARGEST_STRIDE, Network, Seen
from hilum.training.silence import Silence

# Others wait so long for one that is alive: for the leading one's validation, or its import of a folder.
PATIENCE = timedelta(minutes=30)
ROLL_CALL_SECONDS = 3.0


class PeerLostError(RuntimeError):
    """A process of this run no longer answers."""


class ReportedElsewhereError(RuntimeError):
    """This process ends for a reason that another one says."""


class _Trained(nn.Module):
    """The part of a network that training calls, as a module, so that DDP and compile can wrap it."""

    def __init__(self, network: Network) -> None:
        super().__init__()
        self.network = network

    def forward(self, films: Tensor, seen: Seen | None = None, drawn: Boxes | None = None) -> Any:
        return self.network.training_outputs(films, seen, drawn)


def compile_step(trained: nn.Module, network: Network) -> None:
    """Have torch compile what training calls of a network; its weights keep their names."""
    # The networks of a sweep would count as one that changes too often, of which torch compiles eight versions.
    torch.compiler.reset()
    # It looks at gradients of tensors that have none, and torch warns whoever does.
    warnings.filterwarnings("ignore", "The .grad attribute of a Tensor that is not a leaf", UserWarning)
    # This one matches queries with boxes outside of torch, and would be compiled anew for batch after batch.
    if isinstance(network.boxes, QueryHead):
        uncompiled = torch.compiler.disable(network.boxes.forward)  # type: ignore[no-untyped-call]
        network.boxes.forward = uncompiled  # type: ignore[method-assign]
    trained.compile()


@dataclass(frozen=True, slots=True)
class Processes:
    """This process among those that train together."""

    rank: int = 0
    count: int = 1
    store: Any = None  # torch's: what all can read and write, even when one of them is gone

    @property
    def leads(self) -> bool:
        """Whether this is the one process that writes and speaks."""
        return self.rank == 0

    @property
    def command(self) -> str:
        """How hilum was started, for a person to type again."""
        if self.count == 1:
            return "hilum"
        machines = int(os.environ.get("GROUP_WORLD_SIZE", "1"))
        nodes = f"--nnodes {machines} " if machines > 1 else ""
        return f"torchrun {nodes}--nproc-per-node {os.environ.get('LOCAL_WORLD_SIZE', self.count)} -m hilum"

    @property
    def starts_again(self) -> bool:
        """Whether torchrun starts those that are left again where one is lost."""
        return int(os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")) < self.restarts

    @property
    def restarts(self) -> int:
        """How often torchrun starts processes again at most."""
        return int(os.environ.get("TORCHELASTIC_MAX_RESTARTS", "0"))

    def watched(self, advice: str) -> AbstractContextManager[None]:
        """Within it, a process whose machine falls silent ends the others, which say so and what to do."""
        return nullcontext() if self.count == 1 else Silence(self.rank, self.count, advice)

    def wrap(self, network: Network) -> nn.Module:
        """The network so that its gradients are those of all processes."""
        trained = _Trained(network)
        if self.count == 1:
            return trained
        on_gpu = next(network.parameters()).is_cuda
        if on_gpu:  # torch has none for the CPU, where each process keeps statistics of its own share
            trained = nn.SyncBatchNorm.convert_sync_batchnorm(trained)  # type: ignore[no-untyped-call]
        # Layers beyond the coarsest map that heads read take no part in any step.
        coarsest = max(network.film.body.strides, default=LARGEST_STRIDE)
        return DistributedDataParallel(trained, find_unused_parameters=coarsest < LARGEST_STRIDE)

    def mean(self, loss: Tensor, films: int) -> tuple[float, int]:
        """The mean loss over the films of all processes, and how many those are."""
        if self.count == 1:
            return float(loss), films
        summed = float(loss) * films if films else 0.0
        both = self._sum(torch.tensor([summed, float(films)], dtype=torch.float64))
        return float(both[0] / both[1]), int(both[1])

    def total(self, *counts: int) -> list[int]:
        """These counts, each summed over all processes."""
        if self.count == 1:
            return list(counts)
        return [int(count) for count in self._sum(torch.tensor(counts, dtype=torch.int64))]

    def agree(self, wish: bool) -> bool:
        """Whether any process wishes it: all stop at the same step."""
        return wish if self.count == 1 else bool(self._sum(torch.tensor([float(wish)])) > 0)

    def once(self, measure: Callable[[], Any]) -> Any:
        """What the leading process finds out, alone, for all; if it fails, it alone says why."""
        if self.count == 1:
            return measure()
        outcome: list[Any] = [False, None]
        with self.losses_noticed():
            try:
                if self.leads:
                    outcome = [True, measure()]
            finally:
                dist.broadcast_object_list(outcome, device=torch.device("cpu"))
        if not outcome[0]:
            raise ReportedElsewhereError
        return outcome[1]

    @contextmanager
    def losses_noticed(self) -> Iterator[None]:
        """Turn the broken connection that a lost process leaves behind into an error that says which was lost."""
        try:
            yield
        except RuntimeError as error:
            if self.count == 1 or not (isinstance(error, dist.DistError) or "gloo" in str(error)):
                raise
            # torchrun ends the others when one is lost; there is something to be said first.
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            silent = self._silent()
            if self.rank != min(set(range(self.count)) - set(silent)):
                raise ReportedElsewhereError from None
            who = f"rank {', '.join(map(str, silent))} of {self.count}" if silent else "the connection between ranks"
            raise PeerLostError(f"{who} was lost") from None

    def _silent(self) -> list[int]:
        """The processes that do not answer; each that notices a loss answers all others."""
        end = time.monotonic() + ROLL_CALL_SECONDS
        try:
            self.store.set(f"noticed/{self.rank}", "")
            while True:
                silent = [rank for rank in range(self.count) if not self.store.check([f"noticed/{rank}"])]
                if len(silent) <= 1 or time.monotonic() > end:
                    return silent
                time.sleep(0.1)
        except dist.DistError:  # without torchrun the leading process keeps the store
            return [0]

    def leave(self) -> None:
        """End the connection between the processes."""
        if self.count > 1:
            dist.destroy_process_group()

    def _sum(self, values: Tensor) -> Tensor:
        dist.all_reduce(values)
        return values


def join_processes(device: torch.device) -> Processes:
    """As torchrun started them; one process otherwise."""
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        return Processes()
    if device.type == "cuda":
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    store, rank, count = next(rendezvous("env://"))
    backend = "cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo"
    dist.init_process_group(backend, store=store, rank=rank, world_size=count, timeout=PATIENCE)
    return Processes(rank, count, store)
