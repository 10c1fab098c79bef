"""What a run tells those who watch it: an observer is called with each of these events as they happen."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from hilum.system.text import printable


@dataclass(frozen=True, slots=True)
class Notice:
    """Something decided or found on the way, in a line for a person."""

    text: str

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True, slots=True)
class Working:
    """How far the work before or after learning is, such as decoding films."""

    doing: str
    done: int
    total: int

    def __str__(self) -> str:
        return f"{self.doing}: {self.done:,} of {self.total:,}"


@dataclass(frozen=True, slots=True)
class Learning:
    """The network begins to learn; from here to the last epoch the run can be stopped and taken up."""

    folder: Path
    epochs: int

    def __str__(self) -> str:
        return f"run: {self.folder}"


@dataclass(frozen=True, slots=True)
class Step:
    """A batch was learned from; the loss is the mean of the epoch so far."""

    epoch: int
    epochs: int
    batch: int
    batches: int
    loss: float
    images_per_second: float

    def __str__(self) -> str:
        return f"epoch {self.epoch}/{self.epochs}, loss {self.loss:.4f}, {self.images_per_second:.0f} images/s"


@dataclass(frozen=True, slots=True)
class Epoch:
    """An epoch is over: its row of the history."""

    row: Mapping[str, float]

    def __str__(self) -> str:
        speed = f"{self.row['images_per_second']:.0f} images/s"
        best = ", best so far" if self.row["best"] else ""
        return f"epoch {self.row['epoch']:.0f}: {figures_in_words(self.row)}, {speed}{best}"


Event = Notice | Working | Learning | Step | Epoch
Observer = Callable[[Event], None]


def unobserved(event: Event) -> None:
    """Nobody watches."""


def lines(event: Event) -> None:
    """Prints what `hilum train` prints: notices and epochs, but no progress within them."""
    if not isinstance(event, Working | Step):
        print(printable(str(event)))


def figures_in_words(row: Mapping[str, float]) -> str:
    """The figures of an epoch for a person."""
    return (
        f"training loss {row['train_loss']:.4f}, validation loss {row['loss']:.4f}, "
        f"accuracy {row['accuracy']:.4f}, AUC {row['auc']:.4f}"
        + (f", boxes: AP50 {row['ap50']:.4f}, RSNA score {row['rsna_score']:.4f}" if "ap50" in row else "")
        + (f", lungs: Dice {row['dice']:.4f}" if "dice" in row else "")
    )
