"""Actions of OpenSCENARIO files: what puppets do, by the dynamics that the file gives."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from scenarios.formats.openscenario_file import Instance, unsupported
from scenarios.formats.xml import Element
from scenarios.ground import PlaceError
from scenarios.storyboard.places import Places
from scenarios.storyboard.stage import Activity, Puppet, Stage
from sim.interface import TICK_S, Floats

SHAPES: dict[str, Callable[[float], float]] = {
    "linear": lambda x: x,
    "cubic": lambda x: x * x * (3.0 - 2.0 * x),
    "sinusoidal": lambda x: 0.5 - 0.5 * math.cos(math.pi * x),
    "step": lambda _: 1.0,
}
STEEPEST = {"linear": 1.0, "cubic": 1.5, "sinusoidal": 0.5 * math.pi, "step": 1.0}
"""Greatest slope of each shape: rates are those."""
BENT_MOST = {"linear": 4.0, "cubic": 6.0, "sinusoidal": 0.5 * math.pi**2, "step": 4.0}
"""Greatest curvature of each shape, for bounds of lateral acceleration."""
DIMENSIONS = ("time", "rate", "distance")
ACCEL, DECEL = 3.0, 6.0  # m/s², of distance keeping where the file bounds nothing
GAP_GAIN = 0.5  # 1/s, speed over the other's for each metre of gap too much


@dataclass(slots=True, kw_only=True)
class Change:
    """From one value to another over `span`, in seconds or metres of way."""

    start: float
    end: float
    span: float
    shape: str
    over_way: bool = False
    passed: float = 0.0

    def step(self, puppet: Puppet) -> tuple[float, bool]:
        """The value after one more tick, and whether it is the last."""
        self.passed += TICK_S * abs(puppet.speed) if self.over_way else TICK_S
        if self.span <= 0.0 or self.passed >= self.span - 1e-9:
            return self.end, True
        return self.start + (self.end - self.start) * SHAPES[self.shape](self.passed / self.span), False


def change_of(dynamics: Element, start: float, end: float) -> Change:
    """The transition that <...Dynamics> describes."""
    shape, dimension = (
        dynamics.choice("dynamicsShape", tuple(SHAPES)),
        dynamics.choice("dynamicsDimension", DIMENSIONS),
    )
    value = abs(dynamics.number("value"))
    if shape == "step" or start == end:
        span = 0.0
    elif dimension == "rate":
        span = math.inf if value == 0.0 else abs(end - start) * STEEPEST[shape] / value
    else:
        span = value
    return Change(start=start, end=end, span=span, shape=shape, over_way=dimension == "distance")


@dataclass(slots=True, kw_only=True)
class Speed:
    """Towards a speed [m/s]; with `relative`, which is asked again every tick, for as long as nothing else is said."""

    change: Change
    relative: Callable[[], float] | None = None
    leads: bool = False

    def step(self, puppet: Puppet, stage: Stage) -> bool:
        """One tick."""
        if self.relative is not None:
            self.change.end = self.relative()
        puppet.speed, done = self.change.step(puppet)
        return done and self.relative is None


@dataclass(slots=True, kw_only=True)
class Profile:
    """Speeds [m/s] at times [s] since its start, linear between."""

    times: Floats
    speeds: Floats
    passed: float = 0.0
    leads: bool = False

    def step(self, puppet: Puppet, stage: Stage) -> bool:
        """One tick."""
        self.passed += TICK_S
        puppet.speed = float(np.interp(self.passed, self.times, self.speeds))
        return bool(self.passed >= self.times[-1])


@dataclass(slots=True, kw_only=True)
class Distance:
    """Keeping a gap to somebody: metres, or seconds of its own speed; ahead of or behind it. bounds: accel, decel, speed, or None
    for at once."""

    other: Puppet
    metres: float | None
    seconds: float
    freespace: bool
    ahead: bool
    continuous: bool
    bounds: tuple[float, float, float] | None
    leads: bool = False

    def step(self, puppet: Puppet, stage: Stage) -> bool:
        """One tick."""
        found = stage.ahead_on_lanes(puppet, self.other)
        if found is None or puppet.lane < 0:
            return not self.continuous
        between = -found[0] if self.ahead else found[0]
        wanted = self.metres if self.metres is not None else self.seconds * abs(puppet.speed)
        if self.freespace:
            front, back = (puppet, self.other) if self.ahead else (self.other, puppet)
            wanted += 0.5 * front.entity.length - front.entity.forward + 0.5 * back.entity.length + back.entity.forward
        lacks = (wanted - between) if self.ahead else (between - wanted)  # m that it has to go forward
        if self.bounds is None:
            puppet.s = min(max(puppet.s + lacks, 0.0), stage.ground.length[puppet.lane])
            stage.follow_lane(puppet)
            return not self.continuous
        accel, decel, fastest = self.bounds
        goal = min(max(self.other.speed + GAP_GAIN * lacks, 0.0), fastest)
        puppet.speed = min(max(goal, puppet.speed - decel * TICK_S), puppet.speed + accel * TICK_S)
        return not self.continuous and abs(lacks) < 0.1


@dataclass(slots=True, kw_only=True)
class Synchronise:
    """Arriving at a place when somebody else arrives at another, with a final speed or any."""

    master: Puppet
    master_at: tuple[float, float]
    own_at: tuple[float, float]
    final: float | None
    leads: bool = False

    def step(self, puppet: Puppet, stage: Stage) -> bool:
        """One tick."""
        way = math.hypot(self.own_at[0] - puppet.x, self.own_at[1] - puppet.y)
        other = math.hypot(self.master_at[0] - self.master.x, self.master_at[1] - self.master.y)
        if way < 0.5 or other < 0.5:
            if self.final is not None:
                puppet.speed = self.final
            return True
        left = max(other / max(self.master.speed, 0.1), TICK_S)
        puppet.speed = max(2.0 * way / left - self.final, 0.0) if self.final is not None else way / left
        return False


@dataclass(slots=True, kw_only=True)
class Offset:
    """Towards an offset from the middle of the lane [m]; a lane change is one from beside the new lane into it."""

    change: Change
    leads: bool = False

    def step(self, puppet: Puppet, stage: Stage) -> bool:
        """One tick."""
        puppet.d, done = self.change.step(puppet)
        return done


@dataclass(slots=True, kw_only=True)
class Follow:
    """Along a trajectory (N, 4) of x, y, heading and, if `timed`, time [s]; else at its own speed."""

    rows: Floats
    timed: bool
    passed: float = 0.0
    leads: bool = True
    way: Floats = field(init=False)
    headings: Floats = field(init=False)

    def __post_init__(self) -> None:
        """Metres up to each row, and headings without jumps."""
        self.way = np.append(0.0, np.cumsum(np.hypot(*np.diff(self.rows[:, :2], axis=0).T)))
        self.headings = np.unwrap(self.rows[:, 2])

    def step(self, puppet: Puppet, stage: Stage) -> bool:
        """One tick."""
        way, before = self.way, self.passed
        self.passed += TICK_S if self.timed else TICK_S * abs(puppet.speed)
        along = self.rows[:, 3] if self.timed else way
        if self.passed < along[0]:
            return False
        x, y, heading = (float(np.interp(self.passed, along, column)) for column in (*self.rows[:, :2].T, self.headings))
        if self.timed:
            gone = float(np.interp(self.passed, along, way) - np.interp(before, along, way))
            puppet.speed = gone / TICK_S if self.passed < along[-1] else 0.0
        puppet.put_free(x, y, math.remainder(heading, 2.0 * math.pi))
        return bool(self.passed >= along[-1])


PRIVATE = frozenset(
    {
        "TeleportAction", "SpeedAction", "SpeedProfileAction", "LongitudinalDistanceAction", "LaneChangeAction",
        "LaneOffsetAction",
        "SynchronizeAction", "FollowTrajectoryAction", "AssignRouteAction", "AcquirePositionAction", "VisibilityAction",
        "ControllerAction", "ActivateControllerAction", "AssignControllerAction",
    }
)  # fmt: skip
GLOBAL = frozenset({"EnvironmentAction", "EntityAction", "ParameterAction", "VariableAction"})
INITIAL = GLOBAL | {"InfrastructureAction"}
GROUPS = frozenset({"LongitudinalAction", "LateralAction", "RoutingAction"})


def check_action(action: Element, *, initial: bool = False) -> None:
    """Refuse an action that is not supported, before anything runs; initial: in <Init>."""
    for kind in [action] if action.tag in ("PrivateAction", "GlobalAction") else action.children:
        if kind.tag not in ("PrivateAction", "GlobalAction"):
            raise unsupported(kind)
        for one in kind.children:
            inner = next(iter(one.children), one) if one.tag in GROUPS else one
            if inner.tag not in (PRIVATE if kind.tag == "PrivateAction" else INITIAL if initial else GLOBAL):
                raise unsupported(inner)


@dataclass(slots=True)
class Actions:
    """Begins actions. notes: what is left to ego's own driver."""

    stage: Stage
    places: Places
    instance: Instance
    notes: list[str]

    def begin(self, action: Element, puppets: Sequence[Puppet]) -> list[tuple[Puppet, Activity]]:
        """Start what is inside an <Action>, <PrivateAction> or <GlobalAction> for everybody named; what goes on for a while."""
        kind = action if action.tag in ("PrivateAction", "GlobalAction") else next(iter(action.children), None)
        if kind is None:
            raise action.error("is empty", "Say what to do.")
        if kind.tag == "GlobalAction":
            for one in kind.children:
                self._global(one)
            return []
        if kind.tag != "PrivateAction":
            raise unsupported(kind)
        going: list[tuple[Puppet, Activity]] = []
        for puppet in puppets:
            for one in kind.children:
                activity = self._private(one, puppet)
                if activity is not None:
                    going.append((puppet, activity))
        return going

    def _private(self, action: Element, puppet: Puppet) -> Activity | None:
        if action.tag == "ControllerAction":
            return self._controller(action, puppet)
        if action.tag in ("ActivateControllerAction", "AssignControllerAction"):  # as 1.0 has them
            return self._controller(action, puppet)
        if puppet.driven and action.tag != "VisibilityAction":
            self.notes.append(f"line {action.line}: <{action.tag}> is left to {puppet.entity.name}'s driver")
            return None
        inner = next(iter(action.children), action)
        match action.tag, inner.tag:
            case "TeleportAction", _:
                self.places.put(puppet, action.need("Position"))
            case "LongitudinalAction", "SpeedAction":
                puppet.along = self._speed(inner, puppet)
                return puppet.along
            case "LongitudinalAction", "SpeedProfileAction":
                puppet.along = self._profile(inner, puppet)
                return puppet.along
            case "LongitudinalAction", "LongitudinalDistanceAction":
                puppet.along = self._distance(inner)
                return puppet.along
            case "LateralAction", "LaneChangeAction":
                puppet.across = self._lane_change(inner, puppet)
                return puppet.across
            case "LateralAction", "LaneOffsetAction":
                puppet.across = self._lane_offset(inner, puppet)
                return puppet.across
            case "SynchronizeAction", _:
                puppet.along = self._synchronise(action)
                return puppet.along
            case "RoutingAction", "FollowTrajectoryAction":
                puppet.across = self._follow(inner)
                puppet.along = None
                return puppet.across
            case "RoutingAction", "AssignRouteAction" | "AcquirePositionAction":
                self._route(inner, puppet)
            case "VisibilityAction", _:
                if not all(action.text(who, "true") in ("true", "1") for who in ("graphics", "traffic", "sensors")):
                    raise unsupported(action)
            case _:
                raise unsupported(inner if action.children else action)
        return None

    def _controller(self, action: Element, puppet: Puppet) -> Activity | None:
        """Ego's controller is the driver under test; others that get one are handed over to our traffic."""
        activates = [one for one in action.walk() if one.tag == "ActivateControllerAction"]
        for one in action.walk():
            if one.tag == "OverrideControllerValueAction":
                raise unsupported(one)
        wanted = {side: one.text(side, "true") in ("true", "1") for one in activates for side in ("lateral", "longitudinal")}
        if puppet.driven or not wanted or not any(wanted.values()):
            return None
        if not all(wanted.values()):
            raise activates[0].error("gives a controller half of the driving alone", "Activate lateral and longitudinal control.")
        puppet.handed_over = True
        return None

    def _global(self, action: Element) -> None:
        match action.tag:
            case "EnvironmentAction":
                if self.stage.time_s > 0.0:
                    raise action.error("changes the weather while the scenario runs", "Set it in <Init>.")
            case "InfrastructureAction":
                pass  # see scenarios.storyboard.lights
            case "EntityAction" if action.child("DeleteEntityAction") is not None:
                self.places.puppet(action).present = False
            case "ParameterAction" | "VariableAction":
                self._variable(action)
            case _:
                raise unsupported(action)

    def _variable(self, action: Element) -> None:
        name = action.text("parameterRef" if action.tag == "ParameterAction" else "variableRef").lstrip("$")
        if name not in self.stage.values:
            raise action.error(f"there is no parameter or variable {name!r}", "Declare it.")
        inner = next(iter(action.children), action)
        rule = next((one for one in inner.walk() if one.tag in ("AddValue", "MultiplyByValue")), None)
        if inner.tag in ("SetAction", "VariableSetAction", "ParameterSetAction"):
            self.stage.values[name] = inner.text("value")
        elif rule is not None:
            old = float(self.stage.values[name])
            self.stage.values[name] = repr(old + rule.number("value") if rule.tag == "AddValue" else old * rule.number("value"))
        else:
            raise unsupported(inner)

    def _speed(self, action: Element, puppet: Puppet) -> Speed:
        target = action.need("SpeedActionTarget")
        absolute, relative = target.child("AbsoluteTargetSpeed"), target.child("RelativeTargetSpeed")
        asked: Callable[[], float] | None = None
        if absolute is not None:
            goal = absolute.number("value")
        elif relative is not None:
            other, value = self.places.puppet(relative), relative.number("value")
            factor = relative.choice("speedTargetValueType", ("delta", "factor")) == "factor"

            def follows() -> float:
                return other.speed * value if factor else other.speed + value

            goal = follows()
            asked = follows if relative.text("continuous", "false") in ("true", "1") else None
        else:
            raise target.error("names no speed", "Add an AbsoluteTargetSpeed or RelativeTargetSpeed.")
        change = change_of(action.need("SpeedActionDynamics"), puppet.speed, goal)
        if change.span == 0.0:
            puppet.speed = goal
        return Speed(change=change, relative=asked)

    def _profile(self, action: Element, puppet: Puppet) -> Profile:
        if "entityRef" in action.attributes:
            raise unsupported(action)
        times, speeds = [0.0], [puppet.speed]
        for entry in action.all("SpeedProfileEntry"):
            times.append(times[-1] + max(entry.number("time", 0.0, minimum=0.0), 1e-6))
            speeds.append(entry.number("speed"))
        return Profile(times=np.array(times), speeds=np.array(speeds))

    def _distance(self, action: Element) -> Distance:
        displaced = action.choice(
            "displacement", ("any", "trailingReferencedEntity", "leadingReferencedEntity"), "trailingReferencedEntity"
        )
        if displaced == "any" or action.text("coordinateSystem", "entity") == "trajectory":
            raise unsupported(action)
        dynamics = action.child("DynamicConstraints")
        bounds = None
        if dynamics is not None:
            bounds = (
                dynamics.number("maxAcceleration", ACCEL), dynamics.number("maxDeceleration", DECEL),
                dynamics.number("maxSpeed", 100.0),
            )  # fmt: skip
        metres = action.number("distance") if "distance" in action.attributes else None
        return Distance(
            other=self.places.puppet(action), metres=metres, seconds=action.number("timeGap", 0.0) if metres is None else 0.0,
            freespace=action.text("freespace") in ("true", "1"), ahead=displaced == "leadingReferencedEntity",
            continuous=action.text("continuous") in ("true", "1"), bounds=bounds,
        )  # fmt: skip

    def _lane_change(self, action: Element, puppet: Puppet) -> Offset:
        lane = self.places.target_lane(action.need("LaneChangeTarget"), puppet)
        s, d = self.stage.project(lane, puppet.x, puppet.y)
        offset = action.number("targetLaneOffset", 0.0)
        change = change_of(action.need("LaneChangeActionDynamics"), d, offset)
        self.stage.put_on_lane(puppet, lane, min(max(s, 0.0), self.stage.ground.length[lane]), d)
        return Offset(change=change)

    def _lane_offset(self, action: Element, puppet: Puppet) -> Offset:
        if action.text("continuous", "false") in ("true", "1"):
            raise unsupported(action)
        if puppet.lane < 0:
            raise action.error(f"{puppet.entity.name!r} is on no lane", "Place it on one first.")
        target = action.need("LaneOffsetTarget")
        absolute, relative = target.child("AbsoluteTargetLaneOffset"), target.child("RelativeTargetLaneOffset")
        if absolute is not None:
            goal = absolute.number("value")
        elif relative is not None:
            other = self.places.puppet(relative)
            goal = self.stage.project(puppet.lane, other.x, other.y)[1] + relative.number("value")
        else:
            raise target.error("names no offset", "Add an AbsoluteTargetLaneOffset or RelativeTargetLaneOffset.")
        dynamics = action.need("LaneOffsetActionDynamics")
        shape = dynamics.choice("dynamicsShape", tuple(SHAPES))
        most = dynamics.number("maxLateralAcc", 0.0)
        span = math.sqrt(BENT_MOST[shape] * abs(goal - puppet.d) / most) if most > 0.0 and shape != "step" else 0.0
        return Offset(change=Change(start=puppet.d, end=goal, span=span, shape=shape))

    def _synchronise(self, action: Element) -> Synchronise:
        final = action.child("FinalSpeed")
        speed = None
        if final is not None:
            absolute = final.child("AbsoluteSpeed")
            if absolute is None:
                raise unsupported(final.children[0] if final.children else final)
            speed = absolute.number("value")
        master = self.places.puppet(action, "masterEntityRef")
        places = [self.places.pose(action.need(tag))[:2] for tag in ("TargetPositionMaster", "TargetPosition")]
        return Synchronise(master=master, master_at=places[0], own_at=places[1], final=speed)

    def _follow(self, action: Element) -> Follow:
        reference = action.child("TrajectoryRef") or action
        held = reference.child("Trajectory") or reference
        trajectory = self.instance.looked_up(held)
        shape = trajectory.need("Shape")
        line = shape.child("Polyline")
        if line is None:
            raise unsupported(shape.children[0] if shape.children else shape)
        vertices = line.all("Vertex")
        if len(vertices) < 2:
            raise line.error(f"has {len(vertices)} vertices", "A trajectory needs at least 2.")
        timing = next((one for one in action.walk() if one.tag == "Timing"), None)
        rows = np.array([[*self.places.pose(one.need("Position")), one.number("time", 0.0)] for one in vertices])
        late = np.flatnonzero(np.diff(rows[:, 3]) <= 0.0)
        if timing is not None and len(late):
            raise vertices[int(late[0]) + 1].error("its time does not come after the one before", "Sort the vertices by time.")
        if timing is not None:
            rows[:, 3] = rows[:, 3] * timing.number("scale", 1.0) + timing.number("offset", 0.0)
            if timing.choice("domainAbsoluteRelative", ("absolute", "relative")) == "absolute":
                rows[:, 3] -= self.stage.time_s
        return Follow(rows=rows, timed=timing is not None)

    def _route(self, action: Element, puppet: Puppet) -> None:
        """Lanes to a place, or through waypoints, for a puppet on a lane."""
        lane = self.stage.lane_of(puppet)
        if lane < 0:
            raise action.error(f"{puppet.entity.name!r} is on no lane", "Place it on one first.")
        puppet.route = lanes_through(self, action, lane)


def lanes_through(actions: Actions, action: Element, lane: int) -> tuple[int, ...]:
    """Lanes from `lane` through the waypoints of an AssignRouteAction, or to the place of an AcquirePositionAction."""
    if action.tag == "AcquirePositionAction":
        positions = [action.need("Position")]
    else:
        route = actions.instance.looked_up(action.child("Route") or action)
        positions = [one.need("Position") for one in route.all("Waypoint")]
    lanes = [lane]
    for position in positions:
        found, *_ = actions.places.find(position)
        if found < 0:
            pose = actions.places.pose(position)
            fits_there = actions.stage.ground.road_map
            raise position.error(f"({pose[0]:.1f}, {pose[1]:.1f}) names no lane of {fits_there.name!r}", "Give a lane position.")
        try:
            lanes += actions.stage.ground.to_lane(lanes[-1], found, None).lanes[1:]
        except PlaceError as error:
            raise position.error(error.message, error.fix) from None
    return tuple(lanes)
