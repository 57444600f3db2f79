"""A compiled scenario: one concrete episode, every choice already made from its seed. What `sim.world` consumes.

`scenarios.schema` samples these from YAML; code may build them directly. Units and frames as in `sim.interface`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import IntEnum

import numpy as np

from sim.interface import SPECS, TICK_S, Floats, Kind, VehicleSpec
from sim.roads.lane_map import LaneMap
from sim.roads.route import Route
from sim.sensors.beams import LidarSpec
from sim.sensors.faults import Fault
from sim.sensors.weather import Weather, weather_of


class Model(IntEnum):
    """Who moves an actor."""

    NEGOTIATOR = 0
    """Lane-bound driver or cyclist of `sim.traffic`."""
    PEDESTRIAN = 1
    """Social force along its route's lanes, gap acceptance at crossings."""
    REPLAY = 2
    """Follows `Actor.track`."""
    EXTERNAL = 3
    """Moved by Controls given to `World.step`."""
    STILL = 4
    """Never moves (parked cars, debris)."""


FRICTION_DRY, FRICTION_WET, FRICTION_SNOW = 0.9, 0.6, 0.3


@dataclass(frozen=True, slots=True, kw_only=True)
class Actor:
    """One road user or thing of an episode.

    Lane-bound actors (NEGOTIATOR, PEDESTRIAN, EXTERNAL) start at `s` on the first lane of `route`, `d` to its left, along the
    lane. Others start at `pose` (x, y, heading). It appears at `depart_s`, as soon as its place is free.
    style: a name in `sim.traffic.styles.STYLES`. track: (T, 5) of t, x, y, heading, speed for REPLAY, t from 0, increasing.
    turned: heading at the start, off the lane's [rad]. A REPLAY actor with a route can be let go, see `World.release`; pace is
    then its desired speed over the limit. waits: a REPLAY pedestrian that stands where it would run into ego. An EXTERNAL
    actor's track is what its human did, for comparison.
    driver: who steers an EXTERNAL actor ("rules", "file.py:Class", ...); the runner resolves it. A REPLAY actor that has one is
    put in its place tick by tick, see `World.put_next`.
    """

    name: str
    kind: Kind = Kind.CAR
    model: Model = Model.NEGOTIATOR
    spec: VehicleSpec | None = None
    route: Route | None = None
    s: float = 0.0
    d: float = 0.0
    turned: float = 0.0
    pose: tuple[float, float, float] | None = None
    speed: float = 0.0
    depart_s: float = 0.0
    style: str = "normal"
    jaywalks: bool = False
    thing: str = ""
    drive_through: bool = False
    track: Floats | None = None
    pace: float = 1.0
    waits: bool = False
    driver: str = ""

    @property
    def body(self) -> VehicleSpec:
        """The given spec or the kind's default."""
        return self.spec if self.spec is not None else SPECS[self.kind]


@dataclass(frozen=True, slots=True, kw_only=True)
class Region:
    """A goal in place and time: the centre in any of the outlines (K, 2), or anywhere without one, within a window [s], and if
    given between two speeds [m/s] and two headings [rad], counter-clockwise from the first."""

    outlines: tuple[Floats, ...] = ()
    window_s: tuple[float, float] = (0.0, np.inf)
    speeds: tuple[float, float] | None = None
    headings: tuple[float, float] | None = None

    def holds(self, x: float, y: float, heading: float, speed: float, time_s: float) -> bool:
        """Whether who is there then, so, has arrived; times within half a tick count."""
        if not self.window_s[0] - 0.5 * TICK_S <= time_s <= self.window_s[1] + 0.5 * TICK_S:
            return False
        if self.speeds is not None and not self.speeds[0] <= speed <= self.speeds[1]:
            return False
        if self.headings is not None:
            low, high = self.headings
            if (heading - low) % (2.0 * np.pi) > high - low:
                return False
        return not self.outlines or any(inside(outline, x, y) for outline in self.outlines)


def inside(outline: Floats, x: float, y: float) -> bool:
    """Whether a point lies in a closed outline (K, 2), by counting the sides that a ray to the east meets."""
    a, b = outline, np.roll(outline, -1, axis=0)
    crosses = (a[:, 1] > y) != (b[:, 1] > y)
    rise = np.where(crosses, b[:, 1] - a[:, 1], 1.0)
    east = a[:, 0] + (y - a[:, 1]) / rise * (b[:, 0] - a[:, 0]) > x
    return bool(np.sum(crosses & east) % 2)


@dataclass(frozen=True, slots=True, kw_only=True)
class Criteria:
    """What makes the episode a pass. `goal`: ego (or, without an ego, every actor with a route) reaches its goal in time; with
    regions, ego is in one of them instead."""

    goal: bool = True
    no_collision: bool = True
    at_fault_only: bool = False
    no_offroad: bool = True
    no_deadlock: bool = True
    max_time_s: float | None = None
    min_mean_speed: float | None = None
    regions: tuple[Region, ...] = ()


SCRIPT = "script"
"""Name of the driver of actors that a storyboard moves."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Script:
    """A storyboard: its file, and the values of its parameters by name."""

    file: str
    values: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """One episode. `ego` is an index into `actors`, or None for traffic alone.

    occluders: outlines (K, 2) that block sight, besides the map's scenery. visibility_m: how far anybody sees.
    weather, rate: name in `sim.sensors.weather.WEATHER`, and rain or snow [mm/h of water], None for that weather's own. lidar: of
    the ego at the `lidar` level, where it alone has one and others who drive by frames are given `objects`.
    faults: of the ego's sensors.
    latency_ticks: delay from frame to Control for EXTERNAL actors (1 = a Control computed from frame k acts from k+1).
    script: the storyboard that moves actors whose driver is SCRIPT, by their names.
    """

    name: str
    road_map: LaneMap
    actors: tuple[Actor, ...]
    seed: int
    ego: int | None = None
    duration_s: float = 60.0
    friction: float = FRICTION_DRY
    visibility_m: float = 150.0
    weather: str = "clear"
    rate: float | None = None
    sensing: str = "state"
    lidar: LidarSpec = field(default_factory=LidarSpec)
    faults: tuple[Fault, ...] = ()
    latency_ticks: int = 1
    criteria: Criteria = field(default_factory=Criteria)
    occluders: Sequence[Floats] = ()
    tags: tuple[str, ...] = ()
    script: Script | None = None
    parameters: tuple[tuple[str, float | int | str | bool], ...] = ()
    """The values drawn for this seed, for the report."""

    @property
    def air(self) -> Weather:
        """What the weather does to light."""
        return weather_of(self.weather, self.visibility_m, self.rate)

    def __post_init__(self) -> None:
        if not self.actors:
            raise ValueError(f"scenario {self.name!r} has no actors")
        if self.ego is not None and not 0 <= self.ego < len(self.actors):
            raise ValueError(f"scenario {self.name!r}: ego {self.ego} is not one of its {len(self.actors)} actors")
        if not (np.isfinite(self.duration_s) and self.duration_s > 0.0):
            raise ValueError(f"scenario {self.name!r}: duration_s must be positive, got {self.duration_s!r}")
        if not 0 <= self.latency_ticks <= 3:
            raise ValueError(f"scenario {self.name!r}: latency_ticks must be 0 to 3, got {self.latency_ticks!r}")
        for actor in self.actors:
            lane_bound = actor.model in (Model.NEGOTIATOR, Model.PEDESTRIAN, Model.EXTERNAL)
            if lane_bound and actor.route is None:
                raise ValueError(f"scenario {self.name!r}: actor {actor.name!r} needs a route")
            if actor.model == Model.REPLAY and actor.track is None:
                raise ValueError(f"scenario {self.name!r}: replayed actor {actor.name!r} needs a track")
            if actor.model == Model.STILL and actor.pose is None and actor.route is None:
                raise ValueError(f"scenario {self.name!r}: still actor {actor.name!r} needs a pose or a route")
