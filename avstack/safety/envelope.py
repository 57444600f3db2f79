"""The last word: a way out, verified every tick, and driven where the plan would give it up.

Each tick asks what would be left if the planned control acted for one tick more. A way out is a stop, within the declared
emergency at the hardest, before everything that must not be passed; or, once no stop is possible before a zone any more, the
clearance of that zone on an assumption from the written list. Passing such a point of no return is remembered until the zone is
left, with whom it rested on. A plan that leaves no way out is replaced by the way out of the tick before: since that was verified
from the very state the plan was about to leave, it still exists.

Nothing here knows of the behaviours. Positions [m] are of the ego's box centre along its path.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from avstack.config import MotionConfig
from avstack.motion import MotionMemory, ReferencePath, VehicleState
from avstack.motion.plan import BRAKE_SHARE, FALLBACK, JERK_SHARE, fall_back
from avstack.motion.profile import brake_way
from avstack.perception.percepts import Percepts
from avstack.safety.assumptions import Assumption, Assumptions
from avstack.safety.hidden import NOBODY, conflict_record, hidden_conflicts
from avstack.safety.predicate import HIDDEN, NEVER, PERSON, RESPONSE_S, SAME_WAY, is_broken, may_pass
from avstack.safety.ways import AHEAD, HEAD_ON, IN_THE_WAY, ROW, ZONE, Lanes, conflicts_of, index_lanes, own_rows
from avstack.types import Level, Trajectory
from sim.geometry import Floats
from sim.interface import TICK_S, Colour, VehicleSpec
from sim.roads.lane_map import LaneKind, LaneMap

BEYOND_M = 15.0  # m looked at beyond the smoothest stop
CROSSWALK_M = 3.0  # m from a crosswalk's line within which somebody counts as on it
STANDS = 0.05  # m/s
RESPONSES = (Assumption.RESPONDS, Assumption.RULES, Assumption.PRIORITY)
"""What rests on somebody's response to the ego."""
BLAMED = (*RESPONSES, Assumption.WAITS, Assumption.PERSON_WAITS)
"""What others can break whatever the ego plans."""
SLOW, START_S = 1.0, 1.2  # m/s, s: a plan that starts from below this speed is looked at for so long before the fallback lets go
MOVED_M = 0.3  # m by which a place comes nearer than anything allowed for before an assumption counts as broken
FADE_M = 0.03  # m a tick by which it may do so on end
SOLID = {AHEAD: Assumption.LEADER, HEAD_ON: Assumption.ONCOMING, IN_THE_WAY: Assumption.OWN}
"""What a stop behind each sort of thing rests on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """The ego's path ahead. lanes, starts: lanes under it and where each begins [m along it]; gives_way: it leaves its lane."""

    path: ReferencePath
    lanes: tuple[int, ...] = ()
    starts: tuple[float, ...] = ()
    gives_way: bool = False


@dataclass(frozen=True, slots=True)
class Latch:
    """A point of no return that was passed: with whom (id), coming along which lane (-1: none), on which assumption, and at
    which tick."""

    other: int
    lane: int
    assumption: Assumption
    tick: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What verification found. verified: the plan may act for one tick more.

    bar: nearest place [m along the path] that the ego must not pass, inf for none; failing: the assumption that the plan would
    need and does not have, NONE where verified; other: id of whom it concerns, -1 nobody. rests_on: the assumption of the latest
    point of no return that is still passed; broken: an assumption that somebody has broken. go: nothing stops the ego in time any
    more and it is out before the other comes: going on is the better of the two. seen: nearest place by id of who is around.
    tails: of who drives ahead, where the plan fails for nobody else: see `_tail`.
    """

    verified: bool
    bar: float = math.inf
    failing: Assumption = Assumption.NONE
    other: int = -1
    rests_on: Assumption = Assumption.NONE
    broken: Assumption = Assumption.NONE
    go: bool = False
    latches: tuple[Latch, ...] = ()
    seen: dict[int, float] = field(default_factory=dict)
    tails: tuple[tuple[float, float, float], ...] = ()

    @property
    def past_no_return(self) -> bool:
        """Whether clearance, not a stop, is the way out."""
        return bool(self.latches)


@dataclass(frozen=True, slots=True, kw_only=True)
class SafetyMemory:
    """What the envelope carries from tick to tick. rows: of the ego's body along `way`, the last that was driven along.

    active: the fallback drives; opens: it opens a gap that was too near for a way out; calm: ticks in a row for which the plan
    would have been safe to return to; seen: nearest places by id as verdicts had them on `way`, let go of by FADE_M a tick;
    None where that is another than at the last tick; upstream only remembers what was worked out.
    """

    lanes: Lanes
    crosswalks: Floats
    latches: tuple[Latch, ...] = ()
    active: bool = False
    opens: bool = False
    calm: int = 0
    way: Way | None = None
    rows: Floats = field(default_factory=lambda: np.zeros((0, 4)))
    seen: dict[int, float] | None = None
    upstream: dict[tuple[int, int], Floats] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class LastWord:
    """What is driven, after the envelope had its say; `trace` holds its columns of the recording. plan_verified: the plan itself
    leaves a way out, which is all there is where the envelope does not have the last word."""

    trajectory: Trajectory
    motion: MotionMemory
    memory: SafetyMemory
    verdict: Verdict
    plan_verified: bool
    trace: dict[str, NDArray[np.generic]]


def start_safety(road_map: LaneMap) -> SafetyMemory:
    """Memory before the first tick."""
    walked = np.flatnonzero(road_map.lanes["kind"] == LaneKind.CROSSWALK)
    points = [np.stack([road_map.lane_points(int(n))["x"], road_map.lane_points(int(n))["y"]], axis=1) for n in walked]
    crosswalks = np.concatenate(points).astype(np.float64) if points else np.zeros((0, 2))
    return SafetyMemory(lanes=index_lanes(road_map), crosswalks=crosswalks)


def limits_of(level: Level, config: MotionConfig, assumptions: Assumptions) -> tuple[float, float]:
    """(braking [m/s²], jerk [m/s³]) that a stop of this level is reckoned with, as `fall_back` drives it."""
    limits = config.levels[level]
    grip = assumptions.leader_brake * assumptions.friction
    return BRAKE_SHARE * min(limits.brake, grip), JERK_SHARE * limits.jerk


def along(memory: SafetyMemory, way: Way, spec: VehicleSpec) -> SafetyMemory:
    """Memory with the ego's body along this way."""
    if memory.way is not None and memory.way.path is way.path:
        return memory if memory.way is way else replace(memory, way=way)
    return replace(memory, way=way, rows=own_rows(way.path, spec), seen=None)


def verify(
    percepts: Percepts, way: Way, trajectory: Trajectory, spec: VehicleSpec, memory: SafetyMemory, config: MotionConfig,
    assumptions: Assumptions,
) -> tuple[Verdict, Verdict]:  # fmt: skip
    """Whether a way out is left after one more tick of `trajectory`, which runs along way.path; and the same with
    `settle_margin` to spare, which is what the fallback asks of a plan before it lets go.

    percepts: of this tick; memory: what was passed before.
    """
    memory = along(memory, way, spec)
    plan = _Plan.of(trajectory, assumptions.latency_s, (len(memory.rows) - 1) * ROW)
    rows = memory.rows if not trajectory.reverse else np.ascontiguousarray(memory.rows[::-1] * np.array([1.0, 1.0, -1.0, -1.0]))
    soft = brake_way(plan.v, plan.a, *limits_of(Level.COMFORT, config, assumptions), 0.0)
    hard = plan.s + brake_way(plan.v, plan.a, *limits_of(Level.EMERGENCY, config, assumptions), 0.0)
    conflicts = conflicts_of(percepts, memory.lanes, rows, plan.now, soft + BEYOND_M, spec, assumptions)
    if assumptions.hidden and percepts.sight is not None and not trajectory.reverse:
        places = zip(way.lanes, way.starts, strict=True)
        unseen = hidden_conflicts(percepts, memory.lanes.road_map, places, plan.now, memory.upstream)
        conflicts = np.concatenate([conflicts, unseen])
    conflicts = conflicts[np.argsort(conflicts["enter"], kind="stable")]
    judge = _Judge(percepts, way, plan, memory, assumptions, assumptions.numbers())
    verdict = judge.verdict(conflicts, hard, assumptions.stop_margin)
    if not memory.active:
        return verdict, verdict
    if plan.v < SLOW:
        # about to start: what matters is not that the first tenth of a second is harmless
        plan = _Plan.of(trajectory, START_S, (len(memory.rows) - 1) * ROW)
        hard = plan.s + brake_way(plan.v, plan.a, *limits_of(Level.EMERGENCY, config, assumptions), 0.0)
        judge = replace(judge, plan=plan)
    return verdict, judge.verdict(conflicts, hard, assumptions.stop_margin + assumptions.settle_margin)


@dataclass(frozen=True, slots=True)
class _Plan:
    """The plan in its direction of travel: place now, state once the planned control has acted, and when it is where."""

    now: float
    s: float
    v: float
    a: float
    t: Floats
    way: Floats

    @classmethod
    def of(cls, trajectory: Trajectory, latency: float, length: float) -> _Plan:
        k = min(round(latency / TICK_S), len(trajectory.t) - 1)
        sign = -1.0 if trajectory.reverse else 1.0
        way = length - trajectory.s if trajectory.reverse else trajectory.s
        speed, accel = max(sign * float(trajectory.speed[k]), 0.0), sign * float(trajectory.accel[k])
        return cls(float(way[0]), float(way[k]), speed, accel, trajectory.t, np.maximum.accumulate(way))

    def when(self, s: float) -> float:
        """Time [s] at which the plan gets to s; NEVER if it does not."""
        k = int(np.searchsorted(self.way, s))
        return float(self.t[k]) if k < len(self.t) else NEVER

    def speed_at(self, s: float) -> float:
        """Speed [m/s] with which the plan gets to s."""
        k = int(np.searchsorted(self.way, s))
        if not 0 < k < len(self.way):
            return self.v
        return float(self.way[k] - self.way[k - 1]) / float(self.t[k] - self.t[k - 1])


Latches = dict[tuple[int, int], Latch]
"""By whom, and along which lane it comes."""


def _key(c: np.void) -> tuple[int, int]:
    return int(c["id"]), int(c["lane"])


def _unforeseen(c: np.void) -> Assumption:
    """What is broken by a conflict with somebody who had none with the ego's way a tick ago."""
    if c["kind"] == IN_THE_WAY:
        return Assumption.OWN
    return Assumption.PERSON if c["sort"] == PERSON else Assumption.HIDDEN if c["sort"] == HIDDEN else Assumption.LANES


@dataclass(frozen=True, slots=True)
class _Judge:
    """One verification."""

    percepts: Percepts
    way: Way
    plan: _Plan
    memory: SafetyMemory
    assumptions: Assumptions
    numbers: Floats

    def verdict(self, conflicts: NDArray[np.void], hard: float, margin: float) -> Verdict:
        """conflicts: nearest first; hard: where the hardest stop ends; margin [m] kept before every bar."""
        plan, bar, failed = self.plan, math.inf, list[int]()
        kept, seen, broken = Latches(), dict[int, float](), Assumption.NONE
        earlier = {(latch.other, latch.lane): latch for latch in self.memory.latches}
        solid = conflicts["enter"][conflicts["kind"] != ZONE]
        room = float(solid[0]) if len(solid) else math.inf
        for k, c in enumerate(conflicts):
            enter, known, key = float(c["enter"]), int(c["id"]), _key(c)
            if float(c["leave"]) < plan.now:
                continue
            zone, inside = c["kind"] == ZONE, enter <= plan.now
            seen.setdefault(known, math.inf if zone and inside else enter)
            stoppable = hard <= enter - margin or plan.v <= STANDS
            if zone and inside and (stoppable or key not in earlier):
                continue  # it rests inside, or there is nothing to decide any more
            if zone and not stoppable:
                if key not in kept:
                    kept.update(self._latch(k, conflicts, earlier, room))
                if key in kept:
                    continue
                broken = earlier[key].assumption if key in earlier else broken
                if inside:
                    continue
            bar = min(bar, enter - margin)
            if not stoppable:
                failed.append(k)
        latches = tuple(latch for _, latch in sorted(kept.items()) if latch.other != NOBODY)
        rests_on = max(kept.values(), key=lambda latch: latch.tick).assumption if kept else Assumption.NONE
        ahead = conflicts[conflicts["kind"] == AHEAD] if self.memory.opens or failed else conflicts[:0]
        tails = tuple(self._tail(c) for c in ahead) if np.all(conflicts["kind"][failed] == AHEAD) else ()
        verdict = Verdict(verified=not failed, bar=bar, rests_on=rests_on, broken=broken, latches=latches, seen=seen, tails=tails)
        return self._failed(verdict, conflicts[failed], earlier) if failed else verdict

    def _failed(self, verdict: Verdict, failed: NDArray[np.void], earlier: Latches) -> Verdict:
        """The verdict with what it failed for; `failed`: the conflicts that nothing stops before, nearest first."""
        c = failed[0]
        known, broken = int(c["id"]), verdict.broken
        failing = self._needed(c) if c["kind"] == ZONE else SOLID[int(c["kind"])]
        moved = 0.0 if self.memory.active else MOVED_M  # a stop under way may have used up every margin
        relied = next((latch for (other, _), latch in earlier.items() if other == known), None)
        if relied is not None:
            broken = relied.assumption
        elif self.memory.seen is not None and float(c["enter"]) < self.memory.seen.get(known, math.inf) - moved:
            broken = failing if known in self.memory.seen else _unforeseen(c)
        go = all(each["kind"] == ZONE and self._better_gone(each) for each in failed)
        return replace(verdict, failing=failing, other=known, broken=broken, go=go)

    def _tail(self, c: np.void) -> tuple[float, float, float]:
        """Where the ego would touch one who drives ahead now [m along the path], its speed, and how hard it brakes now."""
        v = float(c["v"])
        rest = v * v / (2.0 * self.assumptions.leader_brake * self.assumptions.friction)
        return float(c["enter"]) - rest, v, max(-float(self.percepts.things["accel"][int(c["thing"])]), 0.0)

    def _latch(self, k: int, conflicts: NDArray[np.void], earlier: Latches, room: float) -> Latches:
        """Points of no return passed with the one before conflict k: itself, and whatever lies before that zone's end.

        Empty where one of them may not be passed: who goes into the first of them has to get out of the last.
        """
        c = conflicts[k]
        before = earlier.get(_key(c))
        if before is not None and not self._broken(before.assumption, c):
            return {_key(c): before}
        if float(c["enter"]) <= self.plan.now:
            return {}
        passed: Latches = {}
        end = float(c["leave"]) if self.plan.when(float(c["leave"])) < NEVER else float(c["clear"])
        for other in conflicts[k:]:
            if other["kind"] != ZONE or float(other["enter"]) > end or _key(other) in earlier:
                continue
            assumption = self._pass(other, room)
            if assumption == Assumption.NONE:
                return {}
            passed[_key(other)] = Latch(int(other["id"]), int(other["lane"]), assumption, self.percepts.tick)
        return passed

    def _pass(self, c: np.void, room: float) -> Assumption:
        """On what the ego may go through a zone, see `may_pass`; who relies on being out in time needs room behind the zone.

        Whom the ego is on its way through before already has had some of the time to respond, whichever way it takes.
        """
        numbers, known = self.numbers, int(c["id"])
        since = [latch.tick for latch in self.memory.latches if latch.other == known and latch.assumption in RESPONSES]
        if since:
            numbers = numbers.copy()
            numbers[RESPONSE_S] = max(numbers[RESPONSE_S] - TICK_S * (self.percepts.tick - min(since)), 0.0)
        ahead, leaves = self.plan.when(float(c["clear"])), self.plan.when(float(c["leave"]))
        if leaves < NEVER and c["sort"] != PERSON and float(c["leave"]) > room:
            leaves = NEVER
        return Assumption(
            may_pass(
                ahead, leaves, self.plan.speed_at(float(c["clear"])), float(c["other_enter"]), float(c["v"]), float(c["limit"]),
                float(c["along"]), self._rule(c), int(c["sort"]), numbers,
            )
        )  # fmt: skip

    def _broken(self, assumption: Assumption, c: np.void) -> bool:
        # who follows an ego that is past the place where it came in has nothing to answer for any more
        leaves = self.plan.when(float(c["clear" if assumption == Assumption.FOLLOWS else "leave"]))
        entry, v = float(c["other_enter"]), float(c["v"])
        return is_broken(int(assumption), leaves, entry, v, self.numbers)

    def _better_gone(self, c: np.void) -> bool:
        """Whether the plan is out of a zone before the other comes at its present speed."""
        return self.plan.when(float(c["leave"])) * max(float(c["v"]), 0.1) < float(c["other_enter"])

    def _needed(self, c: np.void) -> Assumption:
        if c["sort"] == PERSON:
            return Assumption.PERSON
        if c["sort"] == HIDDEN:
            return Assumption.HIDDEN
        return RESPONSES[self._rule(c)]

    def _rule(self, c: np.void) -> int:
        """1 where the ego goes first, -1 where the other does, 0 by arrival."""
        if c["sort"] == PERSON:
            return -1 if self._on_crosswalk(c) else 0
        if self.way.gives_way and c["along"] > SAME_WAY:
            return -1
        road_map, other = self.memory.lanes.road_map, int(c["lane"])
        for lane in self._lanes_between(float(c["enter"]), float(c["leave"])):
            record = conflict_record(road_map, lane, other)
            if record is not None:
                mine, theirs = self._colour(lane), self._colour(other)
                if mine == Colour.GREEN and theirs == Colour.RED:
                    return 1
                return -1 if mine == Colour.RED and theirs == Colour.GREEN else int(record["priority"])
        return 0

    def _colour(self, lane: int) -> int:
        group = int(self.memory.lanes.road_map.lanes["signal"][lane])
        return int(self.percepts.signals[group]) if 0 <= group < len(self.percepts.signals) else int(Colour.OFF)

    def _lanes_between(self, low: float, high: float) -> Iterator[int]:
        ends = (*self.way.starts[1:], math.inf)
        for lane, start, end in zip(self.way.lanes, self.way.starts, ends, strict=True):
            if end > low and start < high:
                yield lane

    def _on_crosswalk(self, c: np.void) -> bool:
        lines, thing = self.memory.crosswalks, self.percepts.things[int(c["thing"])]
        if len(lines) == 0:
            return False
        v = max(float(c["v"]), 1e-3)
        ahead = float(c["other_enter"])
        x, y = float(thing["x"]) + ahead * float(thing["vx"]) / v, float(thing["y"]) + ahead * float(thing["vy"]) / v
        return bool(np.min((lines[:, 0] - x) ** 2 + (lines[:, 1] - y) ** 2) < CROSSWALK_M**2)


def guard(
    percepts: Percepts, way: Way, planned: tuple[Trajectory, MotionMemory], before: MotionMemory, vehicle: VehicleState,
    memory: SafetyMemory, config: MotionConfig, assumptions: Assumptions,
) -> LastWord:  # fmt: skip
    """The planned trajectory where it leaves a way out, otherwise the way out.

    planned: of this tick, along way.path, with the motion memory that goes with it; before: the motion memory that it was made
    from; vehicle: the ego now. Track the returned trajectory with the returned motion memory.
    """
    trajectory, motion = planned
    verdict, strict = verify(percepts, way, trajectory, motion.spec, memory, config, assumptions)
    calm = memory.calm + 1 if verdict.verified and strict.verified else 0
    # a hard stop is finished: a plan that rests where the car still rolls has nothing better in mind
    hard = before.profile is not None and before.profile.level > Level.COMFORT
    rolls = hard and abs(trajectory.speed[0]) < STANDS < abs(vehicle.speed)
    active = calm < assumptions.settle or rolls if memory.active else not verdict.verified
    secured = plan_verified = verdict.verified
    if active:
        out = _way_out(percepts, way, trajectory, verdict, before, vehicle, memory, config, assumptions)
        # where no way out is left, going on may be the better of the two
        active = memory.active or not verdict.go or out[3]
        if active:
            trajectory, motion, verdict, secured, way = out
    memory = along(memory, way, motion.spec)
    earlier = memory.seen or {}
    seen = {known: max(place, earlier.get(known, -math.inf) - FADE_M) for known, place in verdict.seen.items()}
    opens = active and (memory.opens or not secured)
    memory = replace(memory, latches=verdict.latches, active=active, opens=opens, calm=calm if active else 0, seen=seen)
    trace = trace_of(verdict, active, secured)
    return LastWord(
        trajectory=trajectory, motion=motion, memory=memory, verdict=verdict, plan_verified=plan_verified, trace=trace
    )


def _way_out(
    percepts: Percepts, way: Way, trajectory: Trajectory, verdict: Verdict, before: MotionMemory, vehicle: VehicleState,
    memory: SafetyMemory, config: MotionConfig, assumptions: Assumptions,
) -> tuple[Trajectory, MotionMemory, Verdict, bool, Way]:  # fmt: skip
    """The verified fallback in place of `trajectory`: past a point of no return, on as before; else a stop.

    A plan onto another path is answered on the path driven so far. Returns also whether the fallback is verified, and its way.
    """
    if memory.way is not None and memory.way.path is not way.path and before.path is memory.way.path:
        way = memory.way
        onward, _ = fall_back(vehicle, way.path, before, None, config)
        old, _ = verify(percepts, way, onward, before.spec, memory, config, assumptions)
        trajectory, verdict = onward, replace(old, failing=verdict.failing, other=verdict.other)
    onward, motion = fall_back(vehicle, way.path, before, None, config)
    stopping = before.profile is not None and before.profile.reason == FALLBACK and before.path is way.path
    ahead = _Plan.of(onward, assumptions.latency_s, (len(way.path.s) - 1) * ROW)
    if stopping and (ahead.v <= STANDS or ahead.way[-1] <= verdict.bar + assumptions.stop_margin):
        # the stop under way still does, or is over as good as: braking anew each tick would only roughen it
        return onward, motion, _blamed(verdict), True, way
    if memory.latches:
        on, _ = verify(percepts, way, onward, before.spec, memory, config, assumptions)
        if on.verified:
            return onward, motion, replace(on, failing=verdict.failing, other=verdict.other), True, way
    level, secured = _gentlest(trajectory, vehicle, verdict, way, config, assumptions)
    if verdict.tails and (memory.opens or not secured):
        firmly, motion = fall_back(vehicle, way.path, before, Level.FIRM, config)
        if _keeps_behind(firmly, verdict.tails, assumptions.stop_margin):
            return firmly, motion, verdict, False, way
    trajectory, motion = fall_back(vehicle, way.path, before, level, config)
    verdict = _blamed(verdict) if secured else verdict
    return trajectory, motion, verdict, secured, way


def _keeps_behind(trajectory: Trajectory, tails: tuple[tuple[float, float, float], ...], margin: float) -> bool:
    """Whether a trajectory stays `margin` [m] behind all tails, each of which goes on as it does now.

    Who is nearer than a safe distance, and did not come so near itself, has to open the gap, firmly and until it is safe again
    (the proper response of Shalev-Shwartz et al., "On a formal model of safe and scalable self-driving cars", 2017, definition
    4). Braking as hard as one can is for a collision that is coming: before, it only hands the danger on to who drives behind.
    """
    for place, v, brake in tails:
        t = np.minimum(trajectory.t, v / brake) if brake > 0.0 else trajectory.t
        if np.any(trajectory.s > place + v * t - 0.5 * brake * t * t - margin):
            return False
    return True


def _blamed(verdict: Verdict) -> Verdict:
    """The verdict of a plan whose way out still holds: others are to blame only for what does not depend on the plan itself."""
    return verdict if verdict.broken in BLAMED else replace(verdict, broken=Assumption.NONE)


def _gentlest(
    trajectory: Trajectory, vehicle: VehicleState, verdict: Verdict, way: Way, config: MotionConfig, assumptions: Assumptions
) -> tuple[Level, bool]:
    """The mildest level of braking that rests before the bar without a jolt, if need be without the margin before it, and whether
    one does."""
    now = _Plan.of(trajectory, 0.0, (len(way.path.s) - 1) * ROW)
    delay = config.control.latency_ticks * TICK_S
    rests = []
    for level in Level:
        brake, jerk = limits_of(level, config, assumptions)
        if level == Level.EMERGENCY or now.a >= 0.0 or now.a**2 <= 2.0 * jerk * now.v:  # the brake can be let go of by then
            rests.append((level, now.s + brake_way(now.v, now.a, brake, jerk, delay)))
    for spare in (assumptions.settle_margin, 0.0, -assumptions.stop_margin):
        for level, rest in rests:
            if rest + spare <= verdict.bar:
                return level, True
    # at rest there is nothing left to be done, whatever the plan sets out to do
    return Level.EMERGENCY, abs(vehicle.speed) < STANDS


def trace_of(verdict: Verdict, active: bool, secured: bool) -> dict[str, NDArray[np.generic]]:
    """Columns of the recording. assumption: what an intervention or a point of no return rests on; safety_other: with whom."""
    named = verdict.failing if verdict.failing != Assumption.NONE else verdict.rests_on
    return {
        "fallback_verified": np.array(int(secured)),
        "intervention": np.array(int(active)),
        "assumption": np.array(int(named)),
        "assumption_violated": np.array(int(verdict.broken)),
        "past_no_return": np.array(int(verdict.past_no_return)),
        "safety_other": np.array(verdict.other),
    }
