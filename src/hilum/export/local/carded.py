"""The card of a bundle that fits films of one's own: its parent's, with what these films changed. Aggregates alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime

from hilum.bundle.card import Calibration, Card, DataCard, GateCard, LocalCard, LocalFit, pack_digests
from hilum.bundle.drift.baseline import DISTANCE, PNEUMONIA, DriftCard
from hilum.export.local.fitting import Change, Fit
from hilum.export.local.outcome import Outcome, Part
from hilum.measures.figure import Figure

LOCAL = "local"  # the split of the card that holds digests of these films


def local_card(outcome: Outcome) -> Card:
    """Slope and offset of each fit go on top of those that the parent had."""
    card, today = outcome.parent, f"{datetime.now(UTC):%Y-%m-%d}"
    fits = {part.patient: part.fit for part in outcome.parts}
    groups = [
        replace(
            group,
            calibration=_on_top(group.calibration, fits[group.name]),
            operating_points=fits[group.name].points,
            fitted_on_all=False,
        )
        if group.name in fits
        else group
        for group in card.groups
    ]
    calibration, points = card.calibration, card.operating_points
    if None in fits and calibration is not None:
        calibration, points = _on_top(calibration, fits[None]), fits[None].points
    return replace(
        card,
        name=f"{card.name.removesuffix('-local')}-local",
        title=card.title if card.local else f"{card.title or card.name}, calibrated to local films",
        calibration=calibration,
        operating_points=points,
        groups=groups,
        default_point=outcome.wish.point or card.default_point,
        gate=_gate(card.gate, outcome),
        data=_data(outcome),
        drift=outcome.drift or _kept(card.drift, outcome),
        made=today,
        parents=[card.as_parent(outcome.digest)],
        local=LocalCard(
            manifest=outcome.seen.manifest,
            source=outcome.seen.source,
            made=today,
            films=outcome.seen.films,
            patients=len(set(outcome.seen.patients)),
            turned_away=outcome.turned_away,
            fits=[_fit(part) for part in outcome.parts],
            gate={}
            if outcome.gate is None
            else {
                "films": float(outcome.gate.films),
                "turned_away_before": outcome.gate.turned_away_before,
                "turned_away_after": outcome.gate.turned_away_after,
            },
        ),
    )


def _on_top(made: Calibration, fit: Fit) -> Calibration:
    slope, offset, _ = fit.line
    return replace(made, slope=slope * made.slope, offset=slope * made.offset + offset)


def _gate(card: GateCard | None, outcome: Outcome) -> GateCard | None:
    if card is None or outcome.gate is None:
        return card
    return replace(card, limit=card.limit * outcome.gate.limit, distance_false_rejection=outcome.gate.turned_away_after)


def _data(outcome: Outcome) -> DataCard:
    """Of the films that taught the network, to which digests of these are added only where that was asked for."""
    data = outcome.parent.data
    if not outcome.wish.keep_digests:
        return data
    return replace(data, films={**data.films, LOCAL: pack_digests(outcome.seen.digests)})


def _kept(drift: DriftCard | None, outcome: Outcome) -> DriftCard | None:
    """The baseline that stays, without what the bundle now says otherwise of the very same films."""
    changed = {PNEUMONIA} if outcome.parts else set()
    if outcome.gate is not None:
        changed.add(DISTANCE)
    return drift and drift.without(changed)


def _fit(part: Part) -> LocalFit:
    return LocalFit(
        part.patient,
        {
            "films": len(part.films.truth),
            "patients": len(set(part.films.patients.tolist())),
            "with_pneumonia": int(part.films.truth.sum()),
        },
        part.fit.line.way,
        _figures(part.changes, "before"),
        _figures(part.changes, "after"),
    )


def _figures(changed: Sequence[Change], moment: str) -> dict[str, list[float]]:
    made = {}
    for change in changed:
        figure: Figure = getattr(change, moment)
        ends = [end for end in (figure.low, figure.high) if end is not None]
        if figure.value is not None:
            made[f"{change.name} at {change.point}" if change.point else change.name] = [figure.value, *ends]
    return made
