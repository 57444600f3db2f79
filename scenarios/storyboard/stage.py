"""The stage that a storyboard is played on: everybody's place and motion, and how they keep to lanes.

A puppet is moved by its storyboard; ego, driven by somebody else, is mirrored. Places are of reference points (of vehicles the
middle of the rear axle), as OpenSCENARIO has them, on the map as re-centred.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from scenarios.formats.openscenario_file import Entity
from scenarios.ground import Ground, Spot
from scenarios.retrace import fits
from sim.interface import TICK_S

FARTHEST_M = 1e6  # from the middle of the map; who is further away has left it


class Activity(Protocol):
    """Something that a puppet does for a while. leads: it says where the puppet is, lanes or not."""

    leads: bool

    def step(self, puppet: Puppet, stage: Stage) -> bool:
        """Do it for one tick; whether it is done."""
        ...


@dataclass(slots=True, kw_only=True)
class Puppet:
    """Somebody on stage. lane, s, d: where on the lanes it keeps to, lane -1 where it is free; turned: its heading off them.

    sideways: speed to its left [m/s]. present: placed, and not off the road's end. route: lanes to prefer at forks. driven: by
    somebody else. handed_over: to our traffic. along, across: what it does about its speed, and about its place.
    """

    entity: Entity
    x: float = 0.0
    y: float = 0.0
    heading: float = 0.0
    speed: float = 0.0
    accel: float = 0.0
    sideways: float = 0.0
    lane: int = -1
    s: float = 0.0
    d: float = 0.0
    turned: float = 0.0
    present: bool = False
    driven: bool = False
    handed_over: bool = False
    travelled: float = 0.0
    standing_s: float = 0.0
    off_road_s: float = 0.0
    route: tuple[int, ...] = ()
    along: Activity | None = None
    across: Activity | None = None

    @property
    def centre(self) -> tuple[float, float, float]:
        """x, y, heading of the middle of its box."""
        ahead = self.entity.forward
        return self.x + ahead * math.cos(self.heading), self.y + ahead * math.sin(self.heading), self.heading

    def put_free(self, x: float, y: float, heading: float) -> None:
        """Place it off the lanes."""
        self.x, self.y, self.heading, self.lane, self.present = x, y, heading, -1, True


@dataclass(slots=True, kw_only=True)
class Stage:
    """Everybody, the time [s], values of parameters and variables, and states of the storyboard's elements.

    states: (kind, name) -> state; transitions: (kind, name, transition) of this tick and the one before.
    """

    ground: Ground
    puppets: dict[str, Puppet]
    values: dict[str, str]
    time_s: float = 0.0
    states: dict[tuple[str, str], str] = field(default_factory=dict)
    transitions: set[tuple[str, str, str]] = field(default_factory=set)
    collided: set[tuple[str, str]] = field(default_factory=set)

    def put_on_lane(self, puppet: Puppet, lane: int, s: float, d: float, turned: float = 0.0) -> None:
        """Place it on a lane, however far off its middle."""
        puppet.lane, puppet.s, puppet.d, puppet.turned, puppet.present = lane, s, d, turned, True
        self.follow_lane(puppet)

    def follow_lane(self, puppet: Puppet) -> None:
        """Its pose from where it is on its lane."""
        x, y, heading = self.ground.pose(Spot(lane=puppet.lane, s=puppet.s, d=puppet.d))
        drift = math.atan2(puppet.sideways, puppet.speed) if abs(puppet.speed) > 0.1 else 0.0
        puppet.x, puppet.y = x, y
        puppet.heading = math.remainder(heading + puppet.turned + drift, 2.0 * math.pi)

    def move(self, puppet: Puppet) -> None:
        """One tick of whatever it does; who does nothing else keeps its lane, its offset and its speed."""
        before = puppet.speed, puppet.d, puppet.x, puppet.y
        if puppet.along is not None and puppet.along.step(puppet, self):
            puppet.along = None
        puppet.accel = (puppet.speed - before[0]) / TICK_S
        led = puppet.across is not None and puppet.across.leads
        if puppet.across is not None and puppet.across.step(puppet, self):
            puppet.across = None
        if led:  # a trajectory has said where it is
            puppet.sideways = 0.0
        elif puppet.lane < 0:
            puppet.x += TICK_S * puppet.speed * math.cos(puppet.heading)
            puppet.y += TICK_S * puppet.speed * math.sin(puppet.heading)
        else:
            puppet.sideways = (puppet.d - before[1]) / TICK_S
            self._advance(puppet, TICK_S * puppet.speed)
        if not abs(puppet.x) + abs(puppet.y) < FARTHEST_M:
            puppet.present = False
            return
        way = math.hypot(puppet.x - before[2], puppet.y - before[3])
        puppet.travelled += way
        puppet.standing_s = puppet.standing_s + TICK_S if abs(puppet.speed) < 0.01 else 0.0

    def _advance(self, puppet: Puppet, way: float) -> None:
        """Go on along the lane and those behind it; at the end of the road it leaves the stage."""
        ground = self.ground
        puppet.s += way
        while puppet.s > ground.length[puppet.lane]:
            ahead = [lane for lane in ground.successors[puppet.lane] if lane in puppet.route]
            straight = ground.onward(puppet.lane, False)[1:2]
            onward = ahead or straight
            if not onward:
                puppet.present = False
                return
            puppet.s -= ground.length[puppet.lane]
            puppet.lane = onward[0]
        if puppet.s < 0.0:
            before = ground.predecessors[puppet.lane]
            if not before:
                puppet.present = False
                return
            puppet.lane = before[0]
            puppet.s += ground.length[puppet.lane]
        self.follow_lane(puppet)

    def lane_of(self, puppet: Puppet) -> int:
        """The lane it is on, by its pose where it keeps to none; -1 off the road."""
        if puppet.lane >= 0:
            return puppet.lane
        found = fits(self.ground, puppet.x, puppet.y, puppet.heading) or fits(
            self.ground, puppet.x, puppet.y, puppet.heading + math.pi
        )
        return found[0].lane if found else -1

    def project(self, lane: int, x: float, y: float) -> tuple[float, float]:
        """s along a lane and d to its left [m] of a place, beyond its ends along its end's direction."""
        points = self.ground.road_map.lane_points(lane)
        near = int(np.argmin((points["x"] - x) ** 2 + (points["y"] - y) ** 2))
        point = points[near]
        dx, dy = x - float(point["x"]), y - float(point["y"])
        cos, sin = float(point["cos"]), float(point["sin"])
        s = near * float(self.ground.road_map.lanes["spacing"][lane]) + dx * cos + dy * sin
        return s, dy * cos - dx * sin

    def ahead_on_lanes(self, puppet: Puppet, other: Puppet) -> tuple[float, float] | None:
        """How far the other is ahead along the puppet's lane and to its left [m]; None where its lanes do not lead there."""
        lane = self.lane_of(puppet)
        if lane < 0:
            return None
        here, offset = self.project(lane, puppet.x, puppet.y)
        if other.lane in self.ground.abreast(lane) or other.lane == lane:
            s, d = self.project(lane, other.x, other.y)
            return s - here, d - offset
        way = -here
        for one in self.ground.onward(lane, False):
            theirs = other.lane if other.lane >= 0 else self.lane_of(other)
            if theirs == one or theirs in self.ground.abreast(one):
                s, d = self.project(one, other.x, other.y)
                return way + s, d - offset
            way += self.ground.length[one]
        return None


def beside(ground: Ground, lane: int, count: int) -> int | None:
    """The lane so many to the left (negative: right) in the direction of `lane`; over the middle, those of the other way."""
    step = 1 if count > 0 else -1
    for _ in range(abs(count)):
        onward = ground.left[lane] if step > 0 else ground.right[lane]
        if onward < 0:
            onward = int(ground.road_map.lanes["opposite"][lane]) if step > 0 else -1
            step = -step  # on the other side left is right
        if onward < 0:
            return None
        lane = onward
    return lane
