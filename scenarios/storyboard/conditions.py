"""Conditions of OpenSCENARIO files."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, field

from scenarios.formats.openscenario_file import unsupported
from scenarios.formats.openscenario_values import RULES, compare
from scenarios.formats.xml import Element
from scenarios.storyboard.lights import colour_of, groups_of, shows
from scenarios.storyboard.places import Places
from scenarios.storyboard.stage import Puppet, Stage

EDGES = ("none", "rising", "falling", "risingOrFalling")
SLOW = 0.1  # m/s below which a headway is endless
STATES = ("startTransition", "endTransition", "stopTransition", "skipTransition", "completeState", "runningState", "standbyState")


@dataclass(slots=True, kw_only=True)
class Condition:
    """One condition with its edge and delay. last: what it was a tick ago; kept: (time, whether) for the delay."""

    element: Element
    edge: str
    delay: float
    last: bool | None = None
    kept: deque[tuple[float, bool]] = field(default_factory=deque)

    def holds(self, stage: Stage, places: Places) -> bool:
        """Whether it does now."""
        value = evaluate(self.element, stage, places)
        rising = self.last is False and value
        falling = self.last is True and not value
        self.last = value
        fires = {"none": value, "rising": rising, "falling": falling, "risingOrFalling": rising or falling}[self.edge]
        if self.delay <= 0.0:
            return fires
        self.kept.append((stage.time_s, fires))
        found = False
        while self.kept and self.kept[0][0] <= stage.time_s - self.delay + 1e-6:
            found = self.kept.popleft()[1]
        return found


@dataclass(slots=True, kw_only=True)
class Trigger:
    """Groups of conditions: it fires when all of one group hold. None of them, where there is no trigger at all."""

    groups: list[list[Condition]]

    def fires(self, stage: Stage, places: Places) -> bool:
        """Whether it does now; every condition is looked at, for its edges."""
        found = [[one.holds(stage, places) for one in group] for group in self.groups]
        return any(all(group) for group in found)


def trigger_of(element: Element | None) -> Trigger | None:
    """The trigger in a <StartTrigger> or <StopTrigger>; None without one. Conditions that are not known are refused here."""
    if element is None:
        return None
    groups = []
    for group in element.all("ConditionGroup"):
        conditions = []
        for one in group.all("Condition"):
            _check(one)
            edge = one.choice("conditionEdge", EDGES, "none")
            conditions.append(Condition(element=one, edge=edge, delay=one.number("delay", 0.0, minimum=0.0)))
        groups.append(conditions)
    return Trigger(groups=groups)


VALUE_CONDITIONS = frozenset(
    {
        "SimulationTimeCondition",
        "StoryboardElementStateCondition",
        "ParameterCondition",
        "VariableCondition",
        "TrafficSignalCondition",
    }
)  # fmt: skip
ENTITY_CONDITIONS = frozenset(
    {
        "EndOfRoadCondition", "CollisionCondition", "OffroadCondition", "TimeHeadwayCondition", "TimeToCollisionCondition",
        "AccelerationCondition", "StandStillCondition", "SpeedCondition", "RelativeSpeedCondition", "TraveledDistanceCondition",
        "ReachPositionCondition", "DistanceCondition", "RelativeDistanceCondition",
    }
)  # fmt: skip


def _check(condition: Element) -> None:
    by_value, by_entity = condition.child("ByValueCondition"), condition.child("ByEntityCondition")
    if by_value is None and by_entity is None:
        raise condition.error("says nothing", "Add a ByValueCondition or ByEntityCondition.")
    inner = by_value if by_value is not None else by_entity.need("EntityCondition") if by_entity is not None else condition
    known = VALUE_CONDITIONS if by_value is not None else ENTITY_CONDITIONS
    for one in inner.children:
        if one.tag not in known:
            raise unsupported(one)


def evaluate(condition: Element, stage: Stage, places: Places) -> bool:
    """Whether a <Condition> holds now, edge and delay left aside."""
    by_value = condition.child("ByValueCondition")
    if by_value is not None:
        return _by_value(_inside(by_value), stage, places)
    by_entity = condition.need("ByEntityCondition")
    triggering = by_entity.need("TriggeringEntities")
    who = [places.puppet(one) for one in triggering.all("EntityRef")]
    inner = _inside(by_entity.need("EntityCondition"))
    found = [puppet.present and _by_entity(inner, puppet, stage, places) for puppet in who]
    return any(found) if triggering.choice("triggeringEntitiesRule", ("any", "all")) == "any" else bool(found) and all(found)


def _inside(element: Element) -> Element:
    """The one element inside."""
    if not element.children:
        raise element.error("is empty", "Say what has to hold.")
    return element.children[0]


def _by_value(one: Element, stage: Stage, places: Places) -> bool:
    match one.tag:
        case "TrafficSignalCondition":
            groups = groups_of(one, one.text("name"), places.roads.lights)
            wanted = colour_of(one)
            return all(shows(stage.ground.road_map, places.plans, group, stage.time_s) == wanted for group in groups)
        case "SimulationTimeCondition":
            value = one.number("value")
            return RULES[one.choice("rule", tuple(RULES))](round(stage.time_s, 6), value)
        case "ParameterCondition" | "VariableCondition":
            name = one.text("parameterRef" if one.tag == "ParameterCondition" else "variableRef").lstrip("$")
            if name not in stage.values:
                raise one.error(f"there is no parameter or variable {name!r}", "Declare it.")
            return compare(stage.values[name], one.choice("rule", tuple(RULES)), one.text("value"))
    kind, name, state = (
        one.text("storyboardElementType"),
        one.text("storyboardElementRef").rpartition("::")[2],
        one.choice("state", STATES),
    )
    if (kind, name) not in stage.states:
        raise one.error(f"there is no {kind} {name!r} in the storyboard", "Correct the reference.")
    if state.endswith("Transition"):
        return (kind, name, state) in stage.transitions
    return stage.states[kind, name] == state


def _by_entity(one: Element, puppet: Puppet, stage: Stage, places: Places) -> bool:
    match one.tag:
        case "StandStillCondition":
            return puppet.standing_s >= one.number("duration")
        case "TraveledDistanceCondition":
            return puppet.travelled >= one.number("value")
        case "EndOfRoadCondition":
            lane = stage.lane_of(puppet)
            return (
                lane >= 0
                and not stage.ground.successors[lane]
                and stage.project(lane, puppet.x, puppet.y)[0] > stage.ground.length[lane] - 1.0
            )
        case "OffroadCondition":
            return puppet.off_road_s >= one.number("duration")
        case "CollisionCondition":
            reference = one.child("EntityRef")
            if reference is None:
                raise unsupported(one.children[0] if one.children else one)
            pair = sorted((puppet.entity.name, reference.text("entityRef")))
            return (pair[0], pair[1]) in stage.collided
        case "ReachPositionCondition":
            x, y, _ = places.pose(one.need("Position"))
            return math.hypot(puppet.x - x, puppet.y - y) <= one.number("tolerance", minimum=0.0)
        case "DistanceCondition":
            x, y, _ = places.pose(one.need("Position"))
            return _compared(one, _apart(one, puppet, (x, y)))
    if one.tag in ("SpeedCondition", "AccelerationCondition"):
        if "direction" in one.attributes and one.text("direction") != "longitudinal":
            raise unsupported(one)
        return _compared(one, puppet.speed if one.tag == "SpeedCondition" else puppet.accel)
    if one.tag == "TimeToCollisionCondition":
        target = one.need("TimeToCollisionConditionTarget")
        reference = target.child("EntityRef")
        if reference is None:
            raise unsupported(target.children[0] if target.children else target)
        other = places.puppet(reference)
        closing = puppet.speed * math.cos(puppet.heading - _bearing(puppet, other)) - other.speed * math.cos(
            other.heading - _bearing(puppet, other)
        )
        gap = _gap(one, puppet, other, stage)
        return _compared(one, gap / closing if closing > SLOW else math.inf)
    other = places.puppet(one)
    if one.tag == "RelativeSpeedCondition":
        return _compared(one, puppet.speed - other.speed)
    if one.tag == "TimeHeadwayCondition":
        return _compared(one, _gap(one, puppet, other, stage) / puppet.speed if puppet.speed > SLOW else math.inf)
    return _compared(one, _gap(one, puppet, other, stage))


def _bearing(a: Puppet, b: Puppet) -> float:
    return math.atan2(b.y - a.y, b.x - a.x)


def _compared(one: Element, value: float) -> bool:
    return RULES[one.choice("rule", tuple(RULES))](value, one.number("value"))


def _apart(one: Element, puppet: Puppet, place: tuple[float, float]) -> float:
    """Distance [m] of a puppet from a place, in the way that the condition wants."""
    dx, dy = place[0] - puppet.x, place[1] - puppet.y
    kind = one.text("relativeDistanceType", "euclidianDistance")
    cos, sin = math.cos(puppet.heading), math.sin(puppet.heading)
    return (
        abs(dx * cos + dy * sin)
        if kind == "longitudinal"
        else abs(dy * cos - dx * sin)
        if kind == "lateral"
        else math.hypot(dx, dy)
    )


def _gap(one: Element, puppet: Puppet, other: Puppet, stage: Stage) -> float:
    """Distance [m] between two: along or across, of their boxes with `freespace`, in the puppet's frame or along its lanes."""
    default = "longitudinal" if one.tag != "RelativeDistanceCondition" else "euclidianDistance"
    kind = one.text("relativeDistanceType", default)
    if one.text("alongRoute", "false") in ("true", "1"):
        lanes = True
    else:
        lanes = one.choice("coordinateSystem", ("entity", "lane", "road", "trajectory"), "entity") in ("lane", "road")
    freespace = one.text("freespace", "false") in ("true", "1")
    cos, sin = math.cos(puppet.heading), math.sin(puppet.heading)
    a, b = (puppet.centre, other.centre) if freespace else ((puppet.x, puppet.y, 0.0), (other.x, other.y, 0.0))
    dx, dy = b[0] - a[0], b[1] - a[1]
    along, across = dx * cos + dy * sin, dy * cos - dx * sin
    found = stage.ahead_on_lanes(puppet, other) if lanes else None
    if found is not None:
        shift = other.entity.forward - puppet.entity.forward if freespace else 0.0
        along, across = found[0] + shift, found[1]
    if not freespace:
        size = (0.0, 0.0)
    else:
        turned = other.heading - puppet.heading
        c, s = abs(math.cos(turned)), abs(math.sin(turned))
        mine, theirs = puppet.entity, other.entity
        size = (
            0.5 * (mine.length + theirs.length * c + theirs.width * s), 0.5 * (mine.width + theirs.length * s + theirs.width * c)
        )  # fmt: skip
    gaps = max(abs(along) - size[0], 0.0), max(abs(across) - size[1], 0.0)
    return gaps[0] if kind == "longitudinal" else gaps[1] if kind == "lateral" else math.hypot(*gaps)
