"""One process or several of torchrun: who leads, how a batch is shared, what all agree on."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch import distributed as dist
from torch.nn.parallel import DistributedDataParallel

from hilum.network.classifier import Classifier, TrainingLogits


class _Trained(nn.Module):
    """The part of a classifier that training calls, as a module, so that DDP and compile can wrap it."""

    def __init__(self, classifier: Classifier) -> None:
        super().__init__()
        self.classifier = classifier

    def forward(self, films: Tensor) -> TrainingLogits:
        return self.classifier.training_logits(films)


@dataclass(frozen=True, slots=True)
class Processes:
    """This process among those that train together."""

    rank: int = 0
    count: int = 1

    @property
    def leads(self) -> bool:
        return self.rank == 0

    def wrap(self, classifier: Classifier) -> nn.Module:
        trained = _Trained(classifier)
        if self.count == 1:
            return trained
        on_gpu = next(classifier.parameters()).is_cuda
        if on_gpu:  # torch has none for the CPU, where each process keeps statistics of its own share
            trained = nn.SyncBatchNorm.convert_sync_batchnorm(trained)  # type: ignore[no-untyped-call]
        return DistributedDataParallel(trained)

    def share(self, films: int) -> float:
        """What this process's mean loss must be scaled by, so that DDP's average is the mean over all films."""
        if self.count == 1:
            return 1.0
        counts = torch.tensor([float(films)])
        total = self._sum(counts)
        return films * self.count / float(total)

    def mean(self, loss: Tensor, films: int) -> float:
        """The mean over all films of all processes."""
        if self.count == 1:
            return float(loss)
        both = self._sum(torch.tensor([float(loss) * films, float(films)], dtype=torch.float64))
        return float(both[0] / both[1])

    def agree(self, wish: bool) -> bool:
        """Whether any process wishes it: all stop at the same step."""
        return wish if self.count == 1 else bool(self._sum(torch.tensor([float(wish)])) > 0)

    def told(self, measure: Callable[[], Any]) -> Any:
        """What the leading process measures, told to all."""
        if self.count == 1:
            return measure()
        said = [measure() if self.leads else None]
        dist.broadcast_object_list(said)
        return said[0]

    def _sum(self, values: Tensor) -> Tensor:
        moved = values.cuda() if dist.get_backend() == "nccl" else values
        dist.all_reduce(moved)
        return moved


def join_processes() -> Processes:
    """As torchrun started them; one process otherwise."""
    count = int(os.environ.get("WORLD_SIZE", "1"))
    if count == 1:
        return Processes()
    on_gpu = torch.cuda.is_available()
    if on_gpu:
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    dist.init_process_group("nccl" if on_gpu else "gloo")
    return Processes(dist.get_rank(), count)
