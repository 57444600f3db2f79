"""Positions of OpenSCENARIO files on our maps."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

import numpy as np

from scenarios.formats.opendrive_control import apply_control
from scenarios.formats.opendrive_crossings import cut_crossings
from scenarios.formats.opendrive_lanes import lay_out
from scenarios.formats.opendrive_model import Network, read_network
from scenarios.formats.opendrive_strands import Strand
from scenarios.formats.openscenario_file import unsupported
from scenarios.formats.xml import Element, read_xml
from scenarios.ground import Spot
from scenarios.nearest import nearest
from scenarios.retrace import fits
from scenarios.storyboard.stage import Puppet, Stage, beside
from sim.roads.lane_map import SignalPlan

ROADS_KEPT = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Roads:
    """Roads of an OpenDRIVE file by their own coordinates; origin: what our map has subtracted. lights: our signal groups by the
    file's ids of lights."""

    network: Network
    strands: tuple[Strand, ...]
    origin: tuple[float, float]
    lights: Mapping[str, frozenset[str]]

    def lane(self, road: str, lane_id: int, s: float, element: Element) -> tuple[str, float]:
        """Our name of a lane of the file, and the share of it that lies before road coordinate s."""
        if road not in self.network.roads:
            raise element.error(f"road {road!r} is not in the map{nearest(road, self.network.roads)}", "Correct roadId.")
        length = self.network.roads[road].length
        if not -0.5 <= s <= length + 0.5:
            raise element.error(f"s={s:g} m is not on road {road!r}", f"It is {length:.1f} m long.")
        for strand in self.strands:
            if strand.road.id == road and strand.covers(s, lane_id):
                return strand.name, strand.arc_at(s) / max(strand.length, 1e-9)
        known = sorted({strand.lane_id for strand in self.strands if strand.road.id == road})
        raise element.error(f"road {road!r} has no lane {lane_id} at s={s:g} m", f"Its lanes are {', '.join(map(str, known))}.")

    def surface(self, road: str, s: float, t: float, element: Element) -> tuple[float, float, float]:
        """x, y, heading of a place in road coordinates."""
        if road not in self.network.roads:
            raise element.error(f"road {road!r} is not in the map{nearest(road, self.network.roads)}", "Correct roadId.")
        x, y, heading = (float(column[0]) for column in self.network.roads[road].line(np.array([s])))
        x, y = x - t * math.sin(heading), y + t * math.cos(heading)
        return x - self.origin[0], y - self.origin[1], heading


@lru_cache(maxsize=ROADS_KEPT)
def roads_of(path: Path, changed: int, origin: tuple[float, float]) -> Roads:
    """The roads of a map file that was last `changed` then."""
    del changed
    network = read_network(read_xml(path, root="OpenDRIVE"))
    layout = lay_out(network)
    cut_crossings(layout)
    apply_control(network, layout)
    lights = {name: frozenset(groups) for name, groups in layout.lights.items()}
    return Roads(network=network, strands=tuple(layout.strands), origin=origin, lights=lights)


@dataclass(slots=True)
class Places:
    """Where positions are, on a stage, and what programmes of lights the file gives."""

    stage: Stage
    roads: Roads
    plans: Mapping[str, SignalPlan] = field(default_factory=dict)

    def put(self, puppet: Puppet, position: Element) -> None:
        """Place somebody at a <Position>."""
        lane, s, d, turned, pose = self.find(position)
        if lane >= 0:
            self.stage.put_on_lane(puppet, lane, s, d, turned)
            return
        puppet.put_free(*pose)
        found = fits(self.stage.ground, *pose)
        if found and puppet.entity.kind not in ("pedestrian", "object"):
            fit = found[0]
            self.stage.put_on_lane(puppet, fit.lane, fit.s, fit.d, fit.turned)

    def pose(self, position: Element) -> tuple[float, float, float]:
        """x, y, heading of a <Position>."""
        return self.find(position)[4]

    def find(self, position: Element) -> tuple[int, float, float, float, tuple[float, float, float]]:
        """lane (-1: none), s, d, heading off the lane's, and the pose (x, y, heading) of a <Position>."""
        kind = next(iter(position.children), None)
        if kind is None:
            raise position.error("is empty", "Say where.")
        turn, relative = _orientation(kind)
        match kind.tag:
            case "WorldPosition":
                origin = self.roads.origin
                x, y = kind.number("x") - origin[0], kind.number("y") - origin[1]
                return -1, 0.0, 0.0, 0.0, (x, y, kind.number("h", 0.0))
            case "LanePosition":
                name, share = self.roads.lane(kind.text("roadId"), kind.integer("laneId"), kind.number("s"), kind)
                lane = self.stage.ground.lane(name)
                return self._on_lane(lane, share * self.stage.ground.length[lane], kind.number("offset", 0.0), turn, relative)
            case "RelativeLanePosition":
                return self._relative_lane(kind, turn, relative)
            case "RoadPosition":
                x, y, heading = self.roads.surface(kind.text("roadId"), kind.number("s"), kind.number("t"), kind)
                return -1, 0.0, 0.0, 0.0, (x, y, heading + turn if relative else turn)
            case "RelativeObjectPosition" | "RelativeWorldPosition":
                other = self.puppet(kind)
                dx, dy = kind.number("dx"), kind.number("dy")
                if kind.tag == "RelativeObjectPosition":
                    cos, sin = math.cos(other.heading), math.sin(other.heading)
                    dx, dy = dx * cos - dy * sin, dx * sin + dy * cos
                heading = other.heading + turn if relative or kind.child("Orientation") is None else turn
                return -1, 0.0, 0.0, 0.0, (other.x + dx, other.y + dy, heading)
        raise unsupported(kind)

    def puppet(self, element: Element, attribute: str = "entityRef") -> Puppet:
        """Somebody by name."""
        name = element.text(attribute)
        found = self.stage.puppets.get(name)
        if found is None:
            raise element.error(f"there is no entity {name!r}{nearest(name, self.stage.puppets)}", "Correct the reference.")
        return found

    def target_lane(self, element: Element, mover: Puppet) -> int:
        """The lane that a <LaneChangeTarget> means."""
        absolute, relative = element.child("AbsoluteTargetLane"), element.child("RelativeTargetLane")
        if relative is not None:
            other, count = self.puppet(relative), relative.integer("value")
            lane = self.stage.lane_of(other)
            found = beside(self.stage.ground, lane, count) if lane >= 0 else None
            if found is None:
                raise relative.error(f"there is no lane {count} beside that of {other.entity.name!r}", "Correct value.")
            return found
        if absolute is None:
            raise element.error("names no lane", "Add an AbsoluteTargetLane or RelativeTargetLane.")
        wanted = absolute.text("value")
        lane = self.stage.lane_of(mover)
        for one in self.stage.ground.abreast(lane) if lane >= 0 else ():
            if self.stage.ground.road_map.lane_names[one].partition(".")[2].split("@")[0].split("#")[0].rstrip("r") == wanted:
                return one
        raise absolute.error(f"there is no lane {wanted!r} beside {mover.entity.name!r}", "Correct value.")

    def _relative_lane(
        self, kind: Element, turn: float, relative: bool
    ) -> tuple[int, float, float, float, tuple[float, float, float]]:
        other = self.puppet(kind)
        lane = self.stage.lane_of(other)
        if lane < 0:
            raise kind.error(f"{other.entity.name!r} is on no lane", "Place it on one first.")
        s, _ = self.stage.project(lane, other.x, other.y)
        found = beside(self.stage.ground, lane, kind.integer("dLane"))
        if found is None:
            raise kind.error(f"there is no lane {kind.integer('dLane')} beside that of {other.entity.name!r}", "Correct dLane.")
        place = self.stage.ground.pose(Spot(lane=lane, s=min(max(s, 0.0), self.stage.ground.length[lane])))
        s, _ = self.stage.project(found, place[0], place[1])
        s += kind.number("dsLane" if "dsLane" in kind.attributes else "ds")
        while s > self.stage.ground.length[found] and len(self.stage.ground.onward(found, False)) > 1:
            s -= self.stage.ground.length[found]
            found = self.stage.ground.onward(found, False)[1]
        while s < 0.0 and self.stage.ground.predecessors[found]:
            found = self.stage.ground.predecessors[found][0]
            s += self.stage.ground.length[found]
        if not 0.0 <= s <= self.stage.ground.length[found]:
            raise kind.error(f"lies {s:.1f} m along a lane of {self.stage.ground.length[found]:.1f} m", "Correct ds.")
        return self._on_lane(found, s, kind.number("offset", 0.0), turn, relative)

    def _on_lane(
        self, lane: int, s: float, d: float, turn: float, relative: bool
    ) -> tuple[int, float, float, float, tuple[float, float, float]]:
        x, y, heading = self.stage.ground.pose(Spot(lane=lane, s=s, d=d))
        turned = turn if relative else math.remainder(turn - heading, 2.0 * math.pi)
        return lane, s, d, turned, (x, y, heading + turned)


def _orientation(kind: Element) -> tuple[float, bool]:
    """Heading of a position's <Orientation> (absolute unless it says otherwise), and whether it is relative to the road or
    entity."""
    orientation = kind.child("Orientation")
    if orientation is None:
        return 0.0, True
    return orientation.number("h", 0.0), orientation.choice("type", ("absolute", "relative"), "absolute") == "relative"
