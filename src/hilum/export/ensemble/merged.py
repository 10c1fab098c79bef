"""The card of an ensemble, as far as it follows from the cards of its parents."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

import onnx
import onnxruntime as ort

from hilum import __version__
from hilum.bundle.card import FORMAT, BoxCard, Calibration, Card, DataCard, GateCard, OperatingPoint, join_digests
from hilum.export.ensemble.fusion import most_boxes
from hilum.export.ensemble.gate import limit_of, states_of
from hilum.export.ensemble.parents import Parent, largest
from hilum.measures.boxes.fusion import OVERLAP

UNTOUCHED = Calibration("none", 1.0, [], [], {})
ALL = OperatingPoint("balanced", 0.5, "as long as none was chosen", 0.0, 0.0)
NO_HEATMAP = "none"
TRAIN = "train"


def merge_cards(parents: Sequence[Parent]) -> Card:
    """What is not fitted: calibration, operating points and figures are still to come."""
    cards = [parent.card for parent in parents]
    first = cards[0]
    networks = list(dict.fromkeys(name for card in cards for name in card.networks))
    titles = list(dict.fromkeys(card.title for card in cards))
    digests = "".join(parent.digest for parent in parents)
    return Card(
        format=FORMAT,
        task=first.task,
        name=f"ensemble-{'-'.join(networks)}-{hashlib.blake2b(digests.encode(), digest_size=4).hexdigest()}",
        title=f"Ensemble of {len(parents)}: {', '.join(titles)}",
        classes=first.classes,
        positive=first.positive,
        geometry=largest(parents),
        heatmap=_heatmap(cards),
        calibration=None if first.groups else UNTOUCHED,
        operating_points=[] if first.groups else [ALL],
        default_point=ALL.name,
        gate=_gate([card.gate for card in cards if card.gate is not None]),
        recipe={"title": f"mean of {len(parents)} networks", "classes": _labels(cards)},
        data=merge_data([card.data for card in cards]),
        figures={},
        versions={"hilum": __version__, "onnx": onnx.__version__, "onnxruntime": ort.__version__},
        made=f"{datetime.now(UTC):%Y-%m-%d}",
        intended_use=" ".join(dict.fromkeys(card.intended_use for card in cards)),
        limits=list(dict.fromkeys(limit for card in cards for limit in card.limits)),
        notes=[],
        boxes=_boxes([card.boxes for card in cards if card.boxes is not None]),
        groups=first.groups,
        parents=[parent.card.as_parent(parent.digest) for parent in parents],
    )


def merge_data(data: Sequence[DataCard]) -> DataCard:
    """What all parents learned from. Of one data set the films of several parents are counted as those of the one that
    had most; films of several data sets are added up, whether or not some are in both."""
    by_set = {each.digest: [other for other in data if other.digest == each.digest] for each in data}
    # Films are looked for in the splits in their order: what taught one parent is a training film, whoever chose by it.
    splits = sorted({split for each in data for split in each.films}, key=lambda split: (split != TRAIN, split))
    counts: dict[str, Counter[str]] = {split: Counter() for split in splits}
    patients: Counter[str] = Counter()
    for same in by_set.values():
        for split in splits:
            most: Counter[str] = Counter()
            for each in same:
                most |= Counter(each.counts.get(split, {}))
            counts[split] += most
            patients[split] += max(each.patients.get(split, 0) for each in same)
    ways = {each.split_by for each in data}
    return DataCard(
        digest="+".join(by_set),
        counts={split: dict(each) for split, each in counts.items()},
        patients=dict(patients),
        source=_distinct((name for each in data for name in each.source.split(", ")), ", "),
        license=_distinct(each.license for each in data),
        terms=_distinct(each.terms for each in data),
        split_by="image" if "image" in ways else "unknown" if "unknown" in ways else "patient",
        films={split: join_digests(each.films.get(split, "") for each in data) for split in splits},
    )


def _distinct(texts: Iterable[str], between: str = " ") -> str:
    return between.join(dict.fromkeys(text for text in texts if text))


def _labels(cards: Sequence[Card]) -> dict[str, list[str]]:
    """The labels that any parent's recipe puts in each class; a class means what its name says where none states it."""
    labels: dict[str, list[str]] = {name: [] for name in cards[0].classes}
    for card in cards:
        stated = card.recipe.get("classes") or {name: [name] for name in card.classes}
        for name in card.classes:
            labels[name] += [label for label in stated.get(name, ()) if label not in labels[name]]
    return labels


def _heatmap(cards: Sequence[Card]) -> str:
    kinds = dict.fromkeys(card.heatmap for card in cards if not card.heatmap.startswith(NO_HEATMAP))
    if not kinds:
        return cards[0].heatmap
    having = sum(not card.heatmap.startswith(NO_HEATMAP) for card in cards)
    return f"mean of {having} parents' maps: {'; '.join(kinds)}"


def _gate(gates: Sequence[GateCard]) -> GateCard | None:
    if not gates:
        return None
    return GateCard(
        distance_false_rejection=max(gate.distance_false_rejection for gate in gates),
        turned_limit=limit_of(gates),
        films=max(gate.films for gate in gates),
        note=f"Made of the gates of {len(gates)} parents: a film is turned away when more than half of them turn it "
        "away, for a reason that one of these gives.",
        states=states_of(gates),
    )


def _boxes(boxes: Sequence[BoxCard]) -> BoxCard | None:
    """Boxes of the parents that overlap by more than `nms_overlap` are averaged; their sizes are the parents' own."""
    if not boxes:
        return None
    return BoxCard(
        threshold=sum(each.threshold for each in boxes) / len(boxes),
        nms_overlap=OVERLAP,
        shrinkage=1.0,
        most=most_boxes([each.most for each in boxes]),
        calibration=[1.0, 0.0, 0.0],
        figures={},
    )
