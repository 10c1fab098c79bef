"""What model hubs read at the top of a model card: task, tags, license, and figures in the form of a model index."""

from __future__ import annotations

from typing import Any

from hilum.bundle.card import Card
from hilum.bundle.card_page import FIGURES
from hilum.system.front_matter import front_matter

TASKS = {"classification": "image-classification", "detection": "object-detection"}
TAGS = ["chest-x-ray", "radiograph", "pneumonia", "medical-imaging", "onnx", "hilum"]
# Figures of validation by the names that hubs have for them.
METRICS = {"auc": "roc_auc", "accuracy": "accuracy", "balanced_accuracy": "balanced_accuracy", "brier": "brier_score"}
METRICS |= {"loss": "log_loss", "rsna_score": "rsna_score", "map_50": "map_50"}
TERMS = "terms-of-the-training-films"  # a name as hubs want it; the terms themselves are in the card's section on data


def hub_metadata(card: Card) -> str:
    """The block, from the card alone. A license is not made up: the terms of the training films hold, whatever they
    are."""
    figures = card.figures.get("validation", {}) | (card.boxes.figures if card.boxes is not None else {})
    metrics: list[dict[str, Any]] = [
        {"type": METRICS[name], "value": round(value, 4), "name": FIGURES.get(name, name.replace("_", " "))}
        for name, value in figures.items()
        if name in METRICS
    ]
    points = {point.name: point for point in card.operating_points}
    points |= {f"{point.name}, {group.name}": point for group in card.groups for point in group.operating_points}
    for name, point in points.items():
        if point.name == card.default_point:
            metrics += [
                {"type": "recall", "value": round(point.sensitivity, 4), "name": f"sensitivity, {name}"},
                {"type": "specificity", "value": round(point.specificity, 4), "name": f"specificity, {name}"},
            ]
    source = card.data.source or "films of the maker"
    result = {
        "task": {"type": TASKS[card.task], "name": "pneumonia on chest radiographs"},
        "dataset": {"name": f"validation films: {source}", "type": source, "split": "validation"},
        "metrics": metrics,
    }
    return front_matter(
        {
            "library_name": "hilum",
            "pipeline_tag": TASKS[card.task],
            "license": "other",
            "license_name": TERMS,
            "tags": TAGS,
            "metrics": sorted({metric["type"] for metric in metrics}),
            "model-index": [{"name": card.name, "results": [result]}],
        }
    )
