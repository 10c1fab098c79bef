"""Drift of the films that a service judges: for each bundle that knows what its films looked like, a watch over them.

Traits of films come as bytes from the processes that judge, and wait in a line; a thread takes them to the watch every
second, so that no answer waits for it. Kept are counts and bets, nothing of a film. Where a folder is given the state
is put down there every SAVED_EVERY seconds and at the end; what a kill takes away is what came in between.
"""

from __future__ import annotations

import hashlib
import json
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any

import numpy as np

from hilum.bundle.card import Card
from hilum.bundle.drift.baseline import FACTS, DriftCard
from hilum.bundle.drift.monitor import FORMAT, Monitor, digest_of
from hilum.bundle.drift.traits import Traits, joined, traits_of_readings
from hilum.bundle.reading import Reading
from hilum.radiograph.patient import PATIENTS
from hilum.service.films.served import Served

PAUSE, SAVED_EVERY = 1.0, 10.0  # seconds
STATES = ".hilum-drift-*.state"
NOT_LOCAL = " (the films that it knows are of other hospitals: fit it to yours with hilum calibrate --unlabelled)"


def pack_traits(card: Card, reading: object) -> bytes:
    """What a watch has to know of a film, for a service; nothing where the bundle has no baseline, or the network gave
    no number.
    """
    if card.drift is None or not isinstance(reading, Reading) or not np.isfinite(reading.features).all():
        return b""
    positive = [card.classes.index(name) for name in card.positive]
    traits = traits_of_readings([reading], card.drift.axes, positive)
    return json.dumps([traits.patients[0], traits.numbers[0].tolist(), traits.facts[0]]).encode()


def unpack_traits(packed: bytes, baseline: DriftCard) -> Traits | None:
    """The same again; None where it is not what `pack_traits` writes, as of a process that a film led astray."""
    try:
        patient, numbers, facts = json.loads(packed)
        row = np.array([numbers], np.float64)
    except (ValueError, TypeError):
        return None
    if row.shape != (1, len(baseline.names)) or len(facts) != len(FACTS) or patient not in (None, *PATIENTS):
        return None
    return Traits((patient,), row, (tuple(map(str, facts)),))


class Monitors:
    """Watches over the films of bundles, in a thread of their own; `with` starts and ends it.

    Without a folder they begin anew with each start. A state of another baseline stays where it is, and one that is
    moved away while the service runs makes its watch begin anew. `say` gets a line, without anything of a film, when
    a watch alarms and when its state cannot be kept. Raises MonitorError of a state that is damaged.
    """

    def __init__(self, bundles: Sequence[Served], folder: Path | None, say: Callable[[str], object]) -> None:
        known = {served.name: served.card.drift for served in bundles}
        self._baselines = {name: drift for name, drift in known.items() if drift is not None}
        self._paths = {
            name: None if folder is None else folder / state_name(drift) for name, drift in self._baselines.items()
        }
        self._local = {served.name for served in bundles if served.card.local is not None}
        self._monitors = {
            name: Monitor(drift) if (path := self._paths[name]) is None else Monitor.load(path, drift)
            for name, drift in self._baselines.items()
        }
        self._kept = {name: path is not None and path.exists() for name, path in self._paths.items()}
        self._say = say
        self._line: SimpleQueue[tuple[str, bytes]] = SimpleQueue()
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, name="hilum-drift")
        self._cannot_keep = False

    def __enter__(self) -> Monitors:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def start(self) -> None:
        """Start to watch."""
        self._thread.start()

    def close(self) -> None:
        """Take what still waits, put the states down and end."""
        self._ending.set()
        self._thread.join()

    def add(self, model: str, traits: bytes) -> None:
        """Put a film in line, which takes no time."""
        if traits and model in self._monitors:
            self._line.put((model, traits))

    def standing(self, model: str) -> dict[str, Any] | None:
        """How the watch over the films of a bundle stands; None of one that knows no films."""
        monitor = self._monitors.get(model)
        return None if monitor is None else monitor.to_dict()

    def standings(self) -> dict[str, dict[str, Any]]:
        """Of all bundles that are watched."""
        return {name: monitor.to_dict() for name, monitor in self._monitors.items()}

    def _run(self) -> None:
        saved = time.monotonic()
        changed: set[str] = set()
        while not self._ending.wait(PAUSE):
            changed |= self._take()
            if changed and time.monotonic() - saved >= SAVED_EVERY:
                self._save(changed)
                saved = time.monotonic()
                changed.clear()
        self._save(changed | self._take())

    def _take(self) -> set[str]:
        """Take to the watches what is in line; whose films there were."""
        waiting: dict[str, list[Traits]] = {}
        try:
            while True:
                model, packed = self._line.get_nowait()
                if (traits := unpack_traits(packed, self._baselines[model])) is not None:
                    waiting.setdefault(model, []).append(traits)
        except Empty:
            pass
        for model, films in waiting.items():
            path = self._paths[model]
            if path is not None and self._kept[model] and not path.exists():  # whoever saw to its alarm moved it away
                self._monitors[model], self._kept[model] = Monitor(self._baselines[model]), False
            alarm = self._monitors[model].add(joined(films))
            if alarm is not None:
                seen_to = "start again" if path is None else f"move {path} away"
                hint = "" if model in self._local else NOT_LOCAL
                self._say(f"drift of the films of {model}: {alarm.in_words()}; see to it, then {seen_to}{hint}")
        return set(waiting)

    def _save(self, models: set[str]) -> None:
        for model in sorted(models):
            path = self._paths[model]
            if path is None:
                continue
            try:
                self._monitors[model].save(path)
            except OSError as error:
                if not self._cannot_keep:
                    self._say(f"{path}: the watch of drift cannot be kept: {error.strerror}; make room")
                self._cannot_keep = True
            else:
                self._kept[model], self._cannot_keep = True, False


def state_name(baseline: DriftCard) -> str:
    """What the state of a watch is called: another one for another baseline, and for another format."""
    named = hashlib.blake2b(f"{FORMAT} {digest_of(baseline)}".encode(), digest_size=6).hexdigest()
    return STATES.replace("*", named)
