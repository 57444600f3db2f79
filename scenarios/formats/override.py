"""Change the control of a junction's arms in a draft, whoever read or built it: several public junctions carry no signs."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import replace

from scenarios.errors import InputError
from sim.interface import Colour
from sim.roads.lane_map import LaneDraft, LaneKind, MapDraft, Regulation, SignalPlan

CONTROLS = {
    "none": Regulation.NONE,
    "stop": Regulation.STOP,
    "all_way_stop": Regulation.ALL_WAY_STOP,
    "yield": Regulation.YIELD,
    "signal": Regulation.SIGNAL,
}
GREEN_S, YELLOW_S, ALL_RED_S = 20.0, 3.0, 2.0


def override_control(draft: MapDraft, overrides: Mapping[str, str]) -> MapDraft:
    """The draft with other control on some arms.

    overrides: arm -> control (a key of `CONTROLS`). An arm is "all", a junction, a road, or a lane, by name; a road of an
    OpenDRIVE file by its id too. A junction or "all" means every lane that leads into it. Later entries win. InputError for an
    unknown arm or control.
    """
    arms = _arms(draft)
    lanes = {lane.name: lane for lane in draft.lanes}
    signals = list(draft.signals)
    for arm, control in overrides.items():
        if control not in CONTROLS:
            raise InputError(f"control {control!r} of arm {arm!r} is not known", fix=f"Use one of: {', '.join(CONTROLS)}.")
        if arm not in arms:
            raise InputError(f"map {draft.name!r} has no arm {arm!r}", fix=_nearest(arm, arms))
        regulation = CONTROLS[control]
        for name in arms[arm]:
            signal = _signal(name, lanes, signals) if regulation == Regulation.SIGNAL else None
            _set(name, regulation, signal, lanes)
    return replace(draft, lanes=tuple(lanes.values()), signals=tuple(signals))


def _arms(draft: MapDraft) -> dict[str, list[str]]:
    """Every name that may be given, with the approach lanes it means."""
    lanes = {lane.name: lane for lane in draft.lanes}
    arms: dict[str, list[str]] = {"all": []}
    for lane in draft.lanes:
        inner = _inner(lane, lanes)
        if lane.junction is not None or not inner or lane.kind not in (LaneKind.DRIVING, LaneKind.CYCLE):
            continue
        junctions = dict.fromkeys(follower.junction for follower in inner if follower.junction is not None)
        keys = ("all", *junctions, lane.road, lane.name, lane.name.partition(".")[0])
        for key in dict.fromkeys(key for key in keys if key):
            arms.setdefault(key, []).append(lane.name)
    return arms


def _inner(lane: LaneDraft, lanes: Mapping[str, LaneDraft]) -> list[LaneDraft]:
    """Lanes through a junction that follow."""
    return [lanes[name] for name in lane.successors if name in lanes and lanes[name].junction is not None]


def _nearest(arm: str, arms: Mapping[str, list[str]]) -> str:
    near = difflib.get_close_matches(arm, arms, n=1, cutoff=0.3)
    return f"Did you mean {near[0]!r}?" if near else f"Use one of: {', '.join(sorted(arms)[:12])}."


def _set(name: str, regulation: Regulation, signal: str | None, lanes: dict[str, LaneDraft]) -> None:
    """Control an approach lane and the lanes behind it alike."""
    approach = lanes[name]
    for lane in (approach, *_inner(approach, lanes)):
        stop_s = lane.stop_s if regulation != Regulation.NONE else None
        lanes[lane.name] = replace(lane, regulation=regulation, signal=signal, stop_s=stop_s)


def _signal(name: str, lanes: Mapping[str, LaneDraft], signals: list[SignalPlan]) -> str:
    """The signal group of an approach: the one it has, or its junction's default for its direction (added to `signals`)."""
    approach = lanes[name]
    inner = _inner(approach, lanes)
    present = approach.signal or next((lane.signal for lane in inner if lane.signal is not None), None)
    if present is not None:
        return present
    dx, dy = (approach.centreline[-1] - approach.centreline[-2])[:2]
    axis = 0 if abs(dx) >= abs(dy) else 1
    group = f"{inner[0].junction}/{('east-west', 'north-south')[axis]}"
    if all(plan.name != group for plan in signals):
        slot = GREEN_S + YELLOW_S + ALL_RED_S
        phases = ((GREEN_S, Colour.GREEN), (YELLOW_S, Colour.YELLOW), (slot + ALL_RED_S, Colour.RED))
        signals.append(SignalPlan(name=group, phases=phases, offset_s=axis * slot))
    return group
