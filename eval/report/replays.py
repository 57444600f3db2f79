"""Episodes driven again for the page's player, as compact numbers: who was where, what ego believed, planned and did.

Places in centimetres from the corner of the area shown, headings in thousandths of a radian, speeds in cm/s; each series holds
its first value and then differences, which are short. A tick is 0.1 s.
"""

from __future__ import annotations

import math
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from eval.evaluate import driven_by
from eval.metrics.traced import ego_arrays, ego_numbers
from eval.run import run_scenario
from eval.store import Row
from eval.suites import suite_of
from eval.words import REASON_WORDS
from sim.interface import FUTURE_STEP_S, Floats
from sim.recording import Recording, read_recording
from sim.roads.outline import MapOutline
from sim.viewer.cast import Member, area, choose_cast, focus
from sim.viewer.mind import Trace, futures_in, half_axes, percepts_in, trajectory_in

NEAR_M = 4.0
"""A claimant is whoever is no further than this from where it is seen."""
MIND_TICKS = 2
"""Ticks from one plan, or list of percepts, that is shown to the next."""
FUTURE_TICKS, FUTURE_S = 4, 6
"""The same of joint futures, and how far they are shown."""
SHOWN_EXISTENCE, SHOWN_M, SHOWN_THINGS = 0.3, 45.0, 16
"""Percepts that are shown: likelier to exist than this, this near [m], and so many of the nearest."""
_MINDS = ("plans", "percepts", "futures")
_CM, _DM, _MRAD = 100.0, 10.0, 1000.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Replay:
    """One episode. why: what is bad about it; same: it came out as in the run, by its trace hash; data: for the player; speed,
    jerk: (T,) of ego, from `time_s` (T,) on."""

    seed: int
    why: str
    same: bool
    data: Mapping[str, object]
    time_s: Floats
    speed: Floats
    jerk: Floats


_BAD = (
    ("crashed", "the driver crashed"), ("at_fault", "at-fault collision"), ("collisions", "collision"), ("offroad", "off road"),
    ("deadlocks", "deadlock"),
)  # fmt: skip


def worst(rows: Iterable[Row], count: int) -> list[tuple[Row, str]]:
    """The `count` worst episodes and why: what went wrong, gravest first, then who came closest, then the longest delay."""
    return [(row, _why(row)) for row in sorted(rows, key=_goodness)[:count]]


def _goodness(row: Row) -> tuple[float, ...]:
    wrong = tuple(-float(bool(row.get(name))) for name, _ in _BAD)
    pet, delay = row.get("min_pet"), row.get("ego_delay")
    close = 1.0 if pet is None else min(float(pet), 1.0)
    lost = row.get("time_s") if delay is None else delay
    return (*wrong, float(bool(row.get("completed"))), close, -float(lost or 0.0))


def _why(row: Row) -> str:
    found = [said for name, said in _BAD if row.get(name)]
    found = [said for said in found if not (said == "collision" and "at-fault collision" in found)]
    if not row.get("completed"):
        found.append("goal not reached")
    if row.get("close_call"):
        found.append(f"a close call: {float(row['min_pet'] or 0.0):.1f} s")
    if not found and row.get("ego_delay") is not None:
        found.append(f"delay of {float(row['ego_delay'] or 0.0):.1f} s")
    return ", ".join(found) or f"took {float(row.get('time_s') or 0.0):.1f} s"


def drive_again(suite: str, driver: str, sensing: str, row: Row, why: str) -> Replay:
    """The episode of a row once more, recorded. Raises InputError as an evaluation does."""
    chosen = suite_of(suite)
    scenario = driven_by(replace(chosen.scenario(int(str(row["seed"]))), sensing=sensing), driver)
    with tempfile.TemporaryDirectory(prefix="avstack-report-") as folder:
        path = Path(folder) / "episode.arrow"
        result = run_scenario(scenario, path, to_the_end=chosen.to_the_end, record="arrays")
        recording = read_recording(path)
    ego = recording.header.ego
    track = recording.track(-1 if ego is None else ego)
    return Replay(
        seed=scenario.seed, why=why, same=result.trace_hash == row.get("trace_hash"), data=player_data(recording),
        time_s=track["tick"] * recording.header.tick_s, speed=track["speed"].astype(float), jerk=track["jerk"].astype(float),
    )  # fmt: skip


def thinned(replay: Replay, times: int) -> Replay:
    """The same with each so many-th of what ego planned, perceived and foresaw; everybody's motion and the beliefs stay whole."""
    data = {name: value[::times] if name in _MINDS and isinstance(value, list) else value for name, value in replay.data.items()}
    return replace(replay, data=data | {"every": times})


def player_data(recording: Recording) -> dict[str, object]:
    """What the player draws."""
    cast = choose_cast(recording)
    x0, y0, x1, y1 = area(recording, cast)
    corner = np.array([x0, y0])
    middle = focus(recording, cast)
    place = {member.actor: k for k, member in enumerate(cast)}
    return {
        "tick": recording.header.tick_s,
        "last": recording.last_tick,
        "every": 1,
        "focus": None if middle is None else [round(float(middle[k]) - corner[k], 1) for k in (0, 1)],
        "size": [round(x1 - x0, 1), round(y1 - y0, 1)],
        "map": _map(recording.road_map, corner, (x0 - 30.0, y0 - 30.0, x1 + 30.0, y1 + 30.0)),
        "actors": [_actor(recording, member, corner) for member in cast],
        "beliefs": _beliefs(recording, place),
        "plans": _plans(recording, corner),
        "percepts": _percepts(recording, corner),
        "futures": _futures(recording, corner),
        "reasons": _reasons(recording),
        "events": [
            [int(event["tick"]), recording.header.event_names[int(event["kind"])].replace("_", " ").lower()]
            for event in recording.events
            if recording.header.ego in (int(event["a"]), int(event["b"]))
        ],
    }


def _actor(recording: Recording, member: Member, corner: Floats) -> dict[str, object]:
    actor, track = recording.header.actors[member.actor], member.track
    ticks = track["tick"]
    there = np.arange(int(ticks[0]), int(ticks[-1]) + 1)
    nearest = np.clip(np.searchsorted(ticks, there), 0, len(ticks) - 1)
    rows = track[nearest]
    return {
        "label": member.label, "kind": actor.kind.lower(), "who": actor.driver or actor.style, "main": member.main,
        "colour": "#{:02x}{:02x}{:02x}".format(*member.colour), "ego": member.actor == recording.header.ego,
        "length": round(actor.length, 2), "width": round(actor.width, 2), "from": int(ticks[0]),
        "x": _steps(_CM * (rows["x"] - corner[0])), "y": _steps(_CM * (rows["y"] - corner[1])),
        "h": _steps(_MRAD * np.unwrap(rows["heading"].astype(float))), "v": _steps(_CM * rows["speed"].astype(float)),
        "brake": _spans(there, rows["brake_light"] > 0), "wave": _spans(there, rows["gesture"] > 0),
    }  # fmt: skip


def _steps(values: Floats) -> list[int]:
    """First value and differences, rounded so that errors do not add up."""
    whole = np.rint(values).astype(int)
    return [int(step) for step in np.diff(whole, prepend=0)]


def _spans(ticks: NDArray[np.int64], flags: NDArray[np.bool_]) -> list[int]:
    """Ticks at which a flag changes, beginning with the first at which it is on."""
    changes = np.flatnonzero(np.diff(flags.astype(int), prepend=0))
    return [int(ticks[k]) for k in changes]


def _beliefs(recording: Recording, place: Mapping[int, int]) -> list[list[object]]:
    """[tick, [[actor, chance in % of going before ego, x, y where it is seen], ...]] where there was a claimant."""
    chances, seen = ego_arrays(recording, "go_first"), ego_arrays(recording, "others_at")
    found: list[list[object]] = []
    for tick, values in chances.items():
        rows = recording.at(tick)
        rows = rows[rows["actor"] != recording.header.ego]
        claims = []
        for chance, (x, y) in zip(values.tolist(), np.asarray(seen[tick], float).reshape(-1, 2), strict=False):
            away = np.hypot(rows["x"] - x, rows["y"] - y)
            if len(away) and away.min() < NEAR_M:
                claims.append([place[int(rows["actor"][int(np.argmin(away))])], round(100.0 * float(chance))])
        if claims:
            found.append([tick, claims])
    return found


def _minds(recording: Recording, every: int, *names: str) -> Iterator[tuple[int, Trace]]:
    """(tick, these arrays of ego's trace) at each `every`th tick that has the first of them."""
    found = {name: ego_arrays(recording, name) for name in names}
    for tick in found[names[0]]:
        if tick % every == 0:
            yield tick, {name: arrays[tick] for name, arrays in found.items() if tick in arrays}


def _plans(recording: Recording, corner: Floats) -> list[list[object]]:
    """[tick, xs, ys] of where ego means to be, a second apart, in decimetres as `_steps`; every MIND_TICKS."""
    found: list[list[object]] = []
    for tick, mind in _minds(recording, MIND_TICKS, "trajectory"):
        rows = trajectory_in(mind)
        if len(rows):
            seconds = np.arange(0.0, rows[-1, 0] + 1e-6)
            found.append([tick, *(_steps(_DM * (np.interp(seconds, rows[:, 0], rows[:, k + 1]) - corner[k])) for k in (0, 1))])
    return found


def _percepts(recording: Recording, corner: Floats) -> list[list[object]]:
    """[tick, [[x, y [dm], half axes of the 95 % ellipse [cm], its direction [degrees], trust [%], kind], ...]] of what ego
    perceived near it; kind: 0 of the rich model, 1 of the coarse one, 2 more where it may be driven through."""
    found: list[list[object]] = []
    track = recording.track(-1 if recording.header.ego is None else recording.header.ego)
    at = {int(row["tick"]): (float(row["x"]), float(row["y"])) for row in track}
    for tick, mind in _minds(recording, MIND_TICKS, "percepts"):
        near = [(math.dist((thing["x"], thing["y"]), at[tick]), thing) for thing in percepts_in(mind)]
        near = [one for one in near if one[0] < SHOWN_M and one[1]["existence"] > SHOWN_EXISTENCE]
        nearest = sorted(near, key=lambda one: one[0])[:SHOWN_THINGS]
        if nearest:
            found.append([tick, [_percept(thing, corner) for _, thing in nearest]])
    return found


def _percept(of: Mapping[str, float], corner: Floats) -> list[int]:
    longer, shorter, turned = half_axes(of["var_x"], of["cov_xy"], of["var_y"])
    kind = int(of["source"] > 0.5) + 2 * int(of["drive_through"] > 0.5)
    numbers = (
        _DM * (of["x"] - corner[0]), _DM * (of["y"] - corner[1]), _CM * longer, _CM * shorter, math.degrees(turned),
        100.0 * of["trust"], kind,
    )  # fmt: skip
    return [round(float(number)) for number in numbers]


def _futures(recording: Recording, corner: Floats) -> list[list[object]]:
    """[tick, [[share [%], [xs, ys] of each other, a second apart, in decimetres as `_steps`], ...]]: likely joint futures."""
    found: list[list[object]] = []
    each = round(1.0 / FUTURE_STEP_S)
    for tick, mind in _minds(recording, FUTURE_TICKS, "futures", "futures_share"):
        places, shares = futures_in(mind)
        ways = places[:, 1:, : FUTURE_S * each + 1 : each]
        if ways.shape[1] and len(shares):
            found.append([
                tick,
                [
                    [round(100.0 * share), *([_steps(_DM * (way[:, k] - corner[k])) for k in (0, 1)] for way in joint)]
                    for share, joint in zip(shares.tolist(), ways, strict=True)
                ],
            ])  # fmt: skip
    return found


def _reasons(recording: Recording) -> list[list[object]]:
    """[tick, words] from which on ego gave a reason."""
    track = recording.track(-1 if recording.header.ego is None else recording.header.ego)
    ticks, numbers = track["tick"], track["reason"].astype(float)
    words = {k: name.replace("_", " ").lower() for k, name in enumerate(recording.header.reason_names)}
    if len(ego_numbers(recording, "manoeuvre")[0]):  # the stack's own reasons, not the traffic's
        words = dict(REASON_WORDS)
    changes = np.flatnonzero(np.diff(numbers, prepend=math.inf))
    return [[int(ticks[k]), words.get(int(numbers[k]), "")] for k in changes]


def _map(drawing: MapOutline, corner: Floats, shown: tuple[float, float, float, float]) -> dict[str, object]:
    def near(line: Floats) -> bool:
        (low_x, low_y), (high_x, high_y) = line.min(axis=0), line.max(axis=0)
        return bool(low_x < shown[2] and high_x > shown[0] and low_y < shown[3] and high_y > shown[1])

    def packed(line: Floats) -> list[list[int]]:
        return [_steps(10.0 * (line[:, k] - corner[k])) for k in (0, 1)]

    lanes = [lane for lane in drawing.lanes if near(lane.left_border) or near(lane.right_border)]
    surfaces = [(lane.kind.name.lower(), np.concatenate((lane.left_border, lane.right_border[::-1]))) for lane in lanes]
    return {
        "surfaces": [[kind, *packed(line)] for kind, line in surfaces],
        "edges": [packed(line) for line in drawing.edges if near(line)],
        "stops": [packed(lane.stop_line) for lane in lanes if lane.stop_line is not None],
        "crosswalks": [packed(line) for line in drawing.crosswalks if near(line)],
        "scenery": [packed(line) for line in drawing.scenery if near(line)],
    }
