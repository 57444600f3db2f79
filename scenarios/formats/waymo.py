"""Waymo Open Motion scenarios (Ettinger et al., ICCV 2021): TFRecord files of `Scenario` messages, read without tensorflow.

FILE.tfrecord#PART names a scenario by its id or its number; the first one unless said otherwise. The recording car is the ego.
Field numbers are those of `scenario.proto` and `map.proto` of the Waymo Open Dataset.
"""

from __future__ import annotations

import itertools
from collections import defaultdict
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from scenarios.errors import InputError
from scenarios.formats.crossings import add_crossings
from scenarios.formats.protobuf import Field, WireError, message, messages, number, numbers, records, text
from scenarios.formats.tracks import Track, Tracks
from sim.interface import Colour, Floats
from sim.roads.lane_map import Crosswalk, LaneDraft, LaneKind, MapDraft, Regulation, SignalPlan

KINDS = {1: "car", 2: "pedestrian", 3: "bicycle"}
LANES = {0: LaneKind.DRIVING, 1: LaneKind.DRIVING, 2: LaneKind.DRIVING, 3: LaneKind.CYCLE}
LIGHTS = {1: Colour.RED, 2: Colour.YELLOW, 3: Colour.GREEN, 4: Colour.RED, 5: Colour.YELLOW, 6: Colour.GREEN, 7: Colour.RED}
HALF_WIDTH = 1.75  # m: the format has centrelines alone
MPH = 0.44704
LIMIT = 13.4  # m/s where none is given
LAST_S = 3600.0  # the last reading of a light goes on
ROAD_USERS_MOST, STATES_MOST = 2000, 100_000


@dataclass(frozen=True, slots=True, kw_only=True)
class _Lane:
    id: str
    kind: LaneKind
    limit: float
    centre: Floats
    successors: tuple[str, ...]
    predecessors: tuple[str, ...]
    left_neighbour: tuple[str, bool] | None
    right_neighbour: tuple[str, bool] | None


def read_waymo(path: Path, part: str) -> Tracks:
    """One scenario of a file. InputError for what cannot be read."""
    try:
        fields = _scenario(path, part)
        tracks, ego = _tracks(path, fields)
        name = text(fields, 5) or path.name
        return Tracks(name=f"waymo-{name}"[:90], tracks=tracks, ego=ego, draft=lambda: _guarded(path, name, fields))
    except WireError as error:
        raise InputError(f"is no scenario: {error}", file=str(path), fix="Give a file of the motion data set.") from None


def _guarded(path: Path, name: str, fields: dict[int, list[Field]]) -> MapDraft:
    try:
        return _map(path, name, fields)
    except WireError as error:
        raise InputError(f"is no scenario: {error}", file=str(path), fix="Give a file of the motion data set.") from None


def _scenario(path: Path, part: str) -> dict[int, list[Field]]:
    wanted = part.partition("/")[0]
    for count, data in enumerate(records(path)):
        if wanted.isdigit() and int(wanted) != count:
            continue
        fields = message(data)
        if not wanted or wanted.isdigit() or text(fields, 5) == wanted:
            return fields
    raise InputError(f"there is no scenario {wanted!r}" if wanted else "there is no record", file=str(path), fix="Name another.")


def _tracks(path: Path, fields: dict[int, list[Field]]) -> tuple[dict[str, Track], str]:
    """Tracks by id and whose is the ego's."""
    times = np.asarray(numbers(fields, 1, "d"), np.float64)
    if len(times) < 2 or not np.all(np.diff(times) > 0.0) or len(times) > STATES_MOST:
        raise InputError(f"has {len(times)} time stamps that increase", file=str(path), fix="It needs at least two.")
    found: dict[str, Track] = {}
    ego, sdc = "", int(number(fields, 6, -1.0))
    for index, track in enumerate(itertools.islice(messages(fields, 2), ROAD_USERS_MOST)):
        rows, size = [], (0.0, 0.0)
        for time, state in zip(times, messages(track, 3), strict=False):
            if number(state, 11):
                speed = float(np.hypot(number(state, 9), number(state, 10)))
                rows.append([time - times[0], number(state, 2), number(state, 3), number(state, 8), speed])
                size = number(state, 5), number(state, 6)
        kind = KINDS.get(int(number(track, 2)), "")
        table = np.array(rows, np.float64).reshape(-1, 5)
        if not kind or len(table) < 2:
            continue
        wild = np.abs(table[:, 1:3]).max() > 1e8 or table[:, 4].max() > 200.0 or not 0.0 < min(size) <= max(size) < 60.0
        if wild or not np.isfinite(table).all():
            raise InputError(f"track {int(number(track, 1))} makes no sense", file=str(path), fix="Leave the scenario out.")
        name = str(int(number(track, 1)))
        found[name] = Track(id=name, kind=kind, length=size[0], width=size[1], rows=table)
        ego = name if index == sdc else ego
    if not found:
        raise InputError("has no road users", file=str(path), fix="Name another scenario.")
    return found, ego


def _points(fields: dict[int, list[Field]], key: int) -> Floats:
    line = np.array([[number(point, k) for k in (1, 2, 3)] for point in messages(fields, key)], np.float64).reshape(-1, 3)
    if not np.isfinite(line).all() or np.abs(line).max(initial=0.0) > 1e8:
        raise WireError("a line has points that are nowhere")
    return line


def _map(path: Path, name: str, fields: dict[int, list[Field]]) -> MapDraft:
    lanes: dict[str, _Lane] = {}
    stops: set[str] = set()
    crosswalks: list[Crosswalk] = []
    drivable: list[Floats] = []
    for feature in messages(fields, 8):
        key = str(int(number(feature, 1)))
        for lane in messages(feature, 3):
            line = _points(lane, 8)
            if len(line) >= 2 and float(np.hypot(*np.diff(line[:, :2], axis=0).T).sum()) > 0.2:
                lanes[key] = _lane(key, lane, line)
        for stop in messages(feature, 7):
            stops |= {str(int(one)) for one in numbers(stop, 1, "v")}
        crosswalks += [Crosswalk(outline=line[:, :2]) for one in messages(feature, 8) if len(line := _points(one, 1)) >= 3]
        drivable += [line[:, :2] for one in messages(feature, 10) if len(line := _points(one, 1)) >= 3]
    if not lanes:
        raise InputError("has no lanes", file=str(path), fix="Give a scenario with its map.")
    known = {
        key: replace(
            lane, successors=tuple(one for one in lane.successors if one in lanes),
            predecessors=tuple(one for one in lane.predecessors if one in lanes),
        )
        for key, lane in lanes.items()
    }  # fmt: skip
    of: dict[str, str] = {}
    add_crossings(known, [lane for lane in known.values() if lane.kind == LaneKind.DRIVING], of)
    plans, held = _lights(fields, set(known))
    drafts = [
        LaneDraft(
            name=key, centreline=lane.centre[:, :2], half_width=HALF_WIDTH, kind=lane.kind, speed_limit=lane.limit,
            successors=lane.successors, junction=of.get(key), road=key,
            left=lane.left_neighbour[0] if lane.left_neighbour and lane.left_neighbour[0] in known else None,
            right=lane.right_neighbour[0] if lane.right_neighbour and lane.right_neighbour[0] in known else None,
            regulation=Regulation.SIGNAL if key in held else Regulation.STOP if key in stops else Regulation.NONE,
            signal=held.get(key),
        )
        for key, lane in known.items()
    ]  # fmt: skip
    return MapDraft(
        name=name, lanes=drafts, signals=plans, crosswalks=crosswalks, extra_drivable=drivable,
        warnings=(f"the format has centrelines alone: lanes are taken as {2 * HALF_WIDTH:g} m wide",),
    )  # fmt: skip


def _lane(key: str, lane: dict[int, list[Field]], line: Floats) -> _Lane:
    limit = MPH * number(lane, 1)
    beside = {
        side: next(((str(int(number(one, 1))), True) for one in messages(lane, field)), None)
        for side, field in (("left", 11), ("right", 12))
    }
    return _Lane(
        id=key, kind=LANES.get(int(number(lane, 2)), LaneKind.DRIVING), limit=limit if 1.0 <= limit <= 100.0 else LIMIT,
        centre=line,
        successors=tuple(str(int(one)) for one in numbers(lane, 10, "v")),
        predecessors=tuple(str(int(one)) for one in numbers(lane, 9, "v")), left_neighbour=beside["left"],
        right_neighbour=beside["right"],
    )  # fmt: skip


def _lights(fields: dict[int, list[Field]], lanes: set[str]) -> tuple[tuple[SignalPlan, ...], dict[str, str]]:
    """A programme for each lane that had a light: what it showed, and the last of it from then on."""
    times = numbers(fields, 1, "d")
    shown: defaultdict[str, list[tuple[float, Colour]]] = defaultdict(list)
    for k, moment in enumerate(itertools.islice(messages(fields, 7), len(times))):
        lasts = (times[k + 1] if k + 1 < len(times) else times[k] + LAST_S) - times[k]
        for state in messages(moment, 1):
            lane = str(int(number(state, 1)))
            if lane in lanes:
                shown[lane].append((lasts, LIGHTS.get(int(number(state, 2)), Colour.OFF)))
    plans = tuple(SignalPlan(name=f"light of {lane}", phases=_joined(phases)) for lane, phases in shown.items())
    return plans, {lane: f"light of {lane}" for lane in shown}


def _joined(phases: list[tuple[float, Colour]]) -> tuple[tuple[float, Colour], ...]:
    """Readings of one colour that follow each other as one phase."""
    found: list[tuple[float, Colour]] = []
    for lasts, colour in phases:
        if found and found[-1][1] == colour:
            found[-1] = (found[-1][0] + lasts, colour)
        else:
            found.append((lasts, colour))
    return tuple(found)
