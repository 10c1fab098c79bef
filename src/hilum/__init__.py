"""Pneumonia detection on chest radiographs: train, judge, run and serve. Research use only, not a medical device."""

import os
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hilum.bundle.asked import Asked
    from hilum.bundle.prediction import Abstained, Answered, Failed, Prediction
    from hilum.bundle.predictor import load
    from hilum.evaluation.comparison.compare import compare
    from hilum.evaluation.doubt.doubt import doubt
    from hilum.evaluation.drift.report import drift
    from hilum.evaluation.evaluate import evaluate
    from hilum.evaluation.robustness.report import robustness
    from hilum.export.ensemble.ensemble import ensemble
    from hilum.export.local.calibrate import calibrate
    from hilum.export.train import train
    from hilum.output.overlay import draw_overlay
    from hilum.radiograph import Radiograph, ReadError, Reason, read

# Stated here and not asked of the installed package, which takes longer than to read and judge a film's pixels.
__version__ = "0.2.0"
# onnxruntime would report to its makers what it runs, and keep a number for this machine in the user's home.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
# Everything is imported when it is asked for, so that a command waits only for what it uses.
HOMES = {
    "Abstained": "hilum.bundle.prediction",
    "Answered": "hilum.bundle.prediction",
    "Asked": "hilum.bundle.asked",
    "Failed": "hilum.bundle.prediction",
    "Prediction": "hilum.bundle.prediction",
    "Radiograph": "hilum.radiograph",
    "ReadError": "hilum.radiograph",
    "Reason": "hilum.radiograph",
    "calibrate": "hilum.export.local.calibrate",
    "compare": "hilum.evaluation.comparison.compare",
    "doubt": "hilum.evaluation.doubt.doubt",
    "draw_overlay": "hilum.output.overlay",
    "drift": "hilum.evaluation.drift.report",
    "ensemble": "hilum.export.ensemble.ensemble",
    "evaluate": "hilum.evaluation.evaluate",
    "load": "hilum.bundle.predictor",
    "read": "hilum.radiograph",
    "robustness": "hilum.evaluation.robustness.report",
    "train": "hilum.export.train",
}
__all__ = [
    "Abstained",
    "Answered",
    "Asked",
    "Failed",
    "Prediction",
    "Radiograph",
    "ReadError",
    "Reason",
    "__version__",
    "calibrate",
    "compare",
    "doubt",
    "draw_overlay",
    "drift",
    "ensemble",
    "evaluate",
    "load",
    "read",
    "robustness",
    "train",
]


def __getattr__(name: str) -> Any:
    if name not in HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(HOMES[name]), name)
