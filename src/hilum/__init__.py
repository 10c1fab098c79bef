"""Pneumonia detection on chest radiographs: train, judge, run and serve. Research use only, not a medical device."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hilum.bundle.predictor import load
    from hilum.evaluation.comparison.compare import compare
    from hilum.evaluation.evaluate import evaluate
    from hilum.radiograph import Radiograph, ReadError, Reason, read

    __version__: str

__all__ = ["Radiograph", "ReadError", "Reason", "__version__", "compare", "evaluate", "load", "read"]

# Where a name lies that is not of `radiograph`.
PLACES = {
    "compare": "hilum.evaluation.comparison.compare",
    "evaluate": "hilum.evaluation.evaluate",
    "load": "hilum.bundle.predictor",
}


def __getattr__(name: str) -> Any:
    """Everything is imported when it is asked for, so that a command waits only for what it uses."""
    if name == "__version__":
        from importlib.metadata import version

        return version("hilum")
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(PLACES.get(name, "hilum.radiograph")), name)
