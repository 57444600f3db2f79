"""Signs and lights onto lanes: regulation, signal programmes, stop lines, speed signs and priority roads.

A control belongs to the lane that approaches a junction, or to one lane through it; a light or sign away from junctions cuts its
road in two, so that there is a lane end to stop at.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence

import numpy as np

from scenarios.formats.light_cycle import by_axis, cycle
from scenarios.formats.opendrive_lanes import Layout
from scenarios.formats.opendrive_model import Network
from scenarios.formats.opendrive_objects import painted_stops, stop_line_objects
from scenarios.formats.opendrive_signs import Meaning, Placement, facing, placements, speed_of
from scenarios.formats.opendrive_strands import Strand, lane_name, split
from sim.roads.lane_map import LaneKind, Regulation, SignalPlan, Turn

APPROACH_MOST = 60.0  # m; a sign further from the junction than this is not the junction's
LINE_MOST = 30.0  # m; a stop line further from the end of its lane than this is not that end's
END_NEAR = 5.0  # m; a control nearer to a lane's end than this is put at the end
PLATE_NEAR = 5.0  # m; a plate nearer to a stop sign than this hangs below it


def apply_control(network: Network, layout: Layout) -> tuple[SignalPlan, ...]:
    """Control every strand as the file says; the programmes of its lights."""
    placed = list(placements(network))
    _apply_speed_signs(placed, layout)
    heads: dict[Strand, list[Placement]] = defaultdict(list)
    plates = [one for one in placed if one.meaning is Meaning.ALL_WAY]
    for one in placed:
        match one.meaning:
            case Meaning.STOP:
                regulation = Regulation.ALL_WAY_STOP if _has_plate(one, plates) else Regulation.STOP
                _regulate(one, regulation, layout)
            case Meaning.YIELD:
                _regulate(one, Regulation.YIELD, layout)
            case Meaning.PRIORITY:
                for strand in facing(one, _on_road(layout, one.road.id)):
                    (_approach(strand, one.record.s) or strand).priority = True
            case Meaning.LIGHT:
                for strand, turns in _targets(one, layout):
                    for lane in _controlled(strand, turns):
                        heads[lane].append(one)
    plans = _programme(network, heads)
    for lane, found in heads.items():
        for one in found:
            layout.lights.setdefault(one.definition.id, set()).add(lane.signal or "")
    _regulate_painted(network, layout)
    _draw_lines(network, placed, layout)
    _agree(layout)
    return plans


def _on_road(layout: Layout, road: str) -> list[Strand]:
    return [strand for strand in layout.strands if strand.road.id == road]


# Which lane


def _approach(strand: Strand, s: float) -> Strand | None:
    """The lane that a control on `strand` at s belongs to: itself in a junction, else the last one before the next junction."""
    remaining = strand.length - strand.arc_at(s)
    if strand.junction is not None and remaining > min(END_NEAR, 0.4 * strand.length):
        return strand
    while remaining <= APPROACH_MOST:
        if any(follower.junction is not None for follower in strand.successors):
            return strand
        if len(strand.successors) != 1:
            break
        strand = strand.successors[0]
        remaining += strand.length
    return None


def _targets(one: Placement, layout: Layout) -> list[tuple[Strand, tuple[Turn, ...]]]:
    """Lanes that the placement controls; a road is cut where it stands away from any junction."""
    found = []
    for strand in facing(one, _on_road(layout, one.road.id)):
        # A reference inside a junction names the very lane that it is for.
        named = one.record.is_reference and strand.junction is not None
        target = strand if named else _approach(strand, one.record.s)
        if target is None:
            target = _cut_at(strand, one.record.s, layout)
        found.append((target, one.arrow))
    return found


def _cut_at(strand: Strand, s: float, layout: Layout) -> Strand:
    """Cut a lane and its neighbours at road coordinate s, so that the lane returned ends there."""
    at = strand.arc_at(s)
    if strand.length - at < END_NEAR or at < END_NEAR:
        return strand
    across = _side_by_side(strand)
    behind = [split(lane, min(max(lane.arc_at(s), 0.5), lane.length - 0.5)) for lane in across]
    for lane, part in zip(across, behind, strict=True):
        part.left = behind[across.index(lane.left)] if lane.left in across else None
        part.right = behind[across.index(lane.right)] if lane.right in across else None
    for part in behind:
        part.name = layout.free_name(f"{lane_name(part)}@{part.s[0]:.0f}")
        layout.strands.append(part)
    return strand


def _side_by_side(strand: Strand) -> list[Strand]:
    """The lane and all its neighbours of the same direction."""
    found = [strand]
    for side in ("left", "right"):
        other: Strand | None = getattr(strand, side)
        while other is not None and other not in found:
            found.append(other)
            other = getattr(other, side)
    return found


def turn_of(strand: Strand) -> Turn:
    """Turn of a lane from its first and last heading."""
    dx, dy = strand.points[1, :2] - strand.points[0, :2]
    change = float(np.angle(np.exp(1j * (strand.end_heading - np.arctan2(dy, dx)))))
    if abs(change) < np.radians(30.0):
        return Turn.STRAIGHT
    if abs(change) > np.radians(150.0):
        return Turn.U_TURN
    return Turn.LEFT if change > 0.0 else Turn.RIGHT


def _controlled(strand: Strand, turns: tuple[Turn, ...]) -> list[Strand]:
    """The lane itself, or where a light has arrows the lanes through the junction that they stand for."""
    inner = [follower for follower in strand.successors if follower.junction is not None]
    return [lane for lane in inner if turn_of(lane) in turns] if turns and inner else [strand]


# Signs


def _has_plate(one: Placement, plates: Sequence[Placement]) -> bool:
    """Whether an all-way plate is attached to this stop sign, by a dependency or by standing next to it."""
    for plate in plates:
        attached = plate.definition.id in one.definition.dependencies
        beside = plate.road is one.road and plate.record.orientation == one.record.orientation
        if attached or (beside and abs(plate.record.s - one.record.s) < PLATE_NEAR):
            return True
    return False


def _regulate(one: Placement, regulation: Regulation, layout: Layout) -> None:
    for strand, _ in _targets(one, layout):
        strand.regulation = stronger(strand.regulation, regulation)


def stronger(one: Regulation, other: Regulation) -> Regulation:
    """Which of two controls of the same lane counts."""
    order = (Regulation.NONE, Regulation.YIELD, Regulation.STOP, Regulation.ALL_WAY_STOP, Regulation.SIGNAL)
    return max(one, other, key=order.index)


def _regulate_painted(network: Network, layout: Layout) -> None:
    """A STOP painted on an approach counts as a stop sign where nothing else controls it."""
    for strand, arc in painted_stops(network, layout):
        inner = [follower for follower in strand.successors if follower.junction is not None]
        plain = strand.regulation == Regulation.NONE and all(follower.regulation == Regulation.NONE for follower in inner)
        if inner and plain and strand.length - arc < LINE_MOST:
            strand.regulation = Regulation.STOP


def _apply_speed_signs(placed: Iterable[Placement], layout: Layout) -> None:
    """A speed sign holds from where it stands to the end of its road."""
    for one in placed:
        speed = speed_of(one.definition) if one.meaning is Meaning.SPEED else None
        if speed is None:
            continue
        for strand in facing(one, _on_road(layout, one.road.id)):
            past = strand.s >= one.record.s if strand.forward else strand.s <= one.record.s
            limit = strand.limit.copy() if strand.limit is not None else np.full(strand.s.size, speed)
            limit[past] = speed
            strand.limit = limit


# Lights


def _programme(network: Network, heads: dict[Strand, list[Placement]]) -> tuple[SignalPlan, ...]:
    """Give every controlled lane its signal group, and every group its place in its junction's cycle."""
    controllers = _controllers(network)
    groups: dict[str, dict[str, list[Strand]]] = defaultdict(lambda: defaultdict(list))
    loose: dict[str, list[Strand]] = defaultdict(list)
    for lane, found in heads.items():
        junction = _junction_of(lane)
        known = next((controllers[one.definition.id] for one in found if one.definition.id in controllers), None)
        if known is None:
            loose[junction].append(lane)
        else:
            groups[junction][known].append(lane)
    for junction, lanes in loose.items():
        for number, group in enumerate(_by_direction(lanes)):
            groups[junction][f"phase {number + 1}"] += group
    plans: list[SignalPlan] = []
    order = list(dict.fromkeys(controllers.values()))
    for junction, members in groups.items():
        names = sorted(members, key=lambda name: order.index(name) if name in order else len(order))
        plans += cycle(junction, names)
        for name, lanes in members.items():
            for lane in lanes:
                lane.regulation, lane.signal = Regulation.SIGNAL, f"{junction}/{name}"
    return tuple(plans)


def _controllers(network: Network) -> dict[str, str]:
    """Signal id to the name of its controller, controllers in order of their sequence."""
    found: dict[str, str] = {}
    for controller in sorted(network.controllers.values(), key=lambda record: record.sequence):
        for signal in controller.signals:
            found.setdefault(signal, controller.name or controller.id)
    return found


def _junction_of(lane: Strand) -> str:
    """Junction that the lane leads into or through; its own name where there is none."""
    if lane.junction is not None:
        return lane.junction
    return next((follower.junction for follower in lane.successors if follower.junction is not None), f"light {lane.name}")


def _by_direction(lanes: Sequence[Strand]) -> list[list[Strand]]:
    """Lanes grouped by the axis along which they approach: opposing approaches together."""
    headings = []
    for lane in lanes:
        dx, dy = (
            lane.points[1, :2] - lane.points[0, :2] if lane.junction is not None else lane.points[-1, :2] - lane.points[-2, :2]
        )
        headings.append(float(np.arctan2(dy, dx)))
    return [[lanes[number] for number in group] for group in by_axis(headings)]


# Stop lines


def _draw_lines(network: Network, placed: Iterable[Placement], layout: Layout) -> None:
    """Move the stopping place of controlled approaches to the line that is painted there."""
    lines: list[tuple[Strand, float]] = []
    for one in placed:
        if one.meaning is Meaning.STOP_LINE:
            lines += [(strand, strand.arc_at(one.record.s)) for strand in facing(one, _on_road(layout, one.road.id))]
    lines += stop_line_objects(network, layout)
    for strand, arc in lines:
        inner = [follower for follower in strand.successors if follower.junction is not None]
        controlled = strand.regulation != Regulation.NONE or any(follower.regulation != Regulation.NONE for follower in inner)
        if controlled and strand.junction is None and strand.length - arc < LINE_MOST:
            strand.stop_s = arc


def _agree(layout: Layout) -> None:
    """Give an approach the control that all lanes behind it share, and call a junction all-way where every arm must stop."""
    arms: dict[str, list[Strand]] = defaultdict(list)
    for strand in layout.strands:
        inner = [follower for follower in strand.successors if follower.junction is not None]
        if strand.kind != LaneKind.DRIVING or strand.junction is not None or not inner:
            continue
        _spread_sign(inner)
        controls = {(follower.regulation, follower.signal) for follower in inner}
        if strand.regulation == Regulation.NONE and len(controls) == 1:
            strand.regulation, strand.signal = controls.pop()
        arms[str(inner[0].junction)].append(strand)
    for lanes in arms.values():
        stops = (Regulation.STOP, Regulation.ALL_WAY_STOP)
        if len({lane.road.id for lane in lanes}) >= 3 and all(lane.regulation in stops for lane in lanes):
            for lane in lanes:
                for one in (lane, *lane.successors):
                    one.regulation = Regulation.ALL_WAY_STOP


def _spread_sign(inner: Sequence[Strand]) -> None:
    """A sign that is listed for the way straight on alone stands for the whole approach: nobody turns past it freely."""
    ahead = [
        lane.regulation
        for lane in inner
        if lane.regulation in (Regulation.STOP, Regulation.YIELD) and turn_of(lane) == Turn.STRAIGHT
    ]
    for lane in inner:
        if ahead and lane.regulation == Regulation.NONE:
            lane.regulation = ahead[0]
