"""The parts of a scenario, version 1, with every choice made: what `scenarios.schema` checks a file against.

SI units and radians; places are given by lane and distance, by approach, or as a pose on the map as it was re-centred on load.
"""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, JsonValue, Strict, field_validator, model_validator

from scenarios.nearest import nearest
from sim.interface import Kind
from sim.scenario import FRICTION_DRY, FRICTION_SNOW, FRICTION_WET
from sim.sensors.faults import Fault
from sim.sensors.things import THINGS
from sim.traffic.styles import STYLES

VERSION = 1
Positive: TypeAlias = Annotated[float, Field(gt=0.0)]
NotNegative: TypeAlias = Annotated[float, Field(ge=0.0)]
Share: TypeAlias = Annotated[float, Field(ge=0.0, le=1.0)]
Point: TypeAlias = Annotated[tuple[float, float], Strict(False)]
Pose: TypeAlias = Annotated[tuple[float, float, float], Strict(False)]
TrackRow: TypeAlias = Annotated[tuple[float, float, float, float, float], Strict(False)]
KindName: TypeAlias = Literal["car", "van", "truck", "bus", "motorcycle", "bicycle", "pedestrian"]
TurnName: TypeAlias = Literal["straight", "left", "right", "u_turn"]
Control: TypeAlias = Literal["none", "stop", "all_way", "all_way_stop", "yield", "signal"]
WeatherName: TypeAlias = Literal["clear", "wet", "rain", "snow", "fog", "spray"]
Sensing: TypeAlias = Literal["state", "objects", "lidar"]

KINDS: dict[str, Kind] = {kind.name.lower(): kind for kind in Kind}
OWN_DRIVER = "traffic"
"""What a mix of drivers calls the simulator's own traffic."""
FRICTIONS = {
    "clear": FRICTION_DRY, "wet": FRICTION_WET, "rain": FRICTION_WET, "snow": FRICTION_SNOW, "fog": FRICTION_DRY,
    "spray": FRICTION_WET,
}  # fmt: skip
VISIBILITIES = {"clear": 150.0, "wet": 150.0, "rain": 110.0, "snow": 80.0, "fog": 50.0, "spray": 110.0}


class Strictly(BaseModel):
    """Base of all parts of the schema: no unknown keys, no silent conversions, no infinities."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)


def _styles_known(mix: dict[str, float]) -> dict[str, float]:
    for name in mix:
        if name not in STYLES:
            raise ValueError(f"unknown style {name!r}{nearest(name, STYLES)}")
    return _mix_positive(mix)


def _mix_positive(mix: dict[str, float]) -> dict[str, float]:
    if not mix or sum(mix.values()) <= 0.0:
        raise ValueError("a mix needs at least one weight above 0")
    return mix


class MapSpec(Strictly):
    """Where it happens: a parametric builder and its parameters, or a map file with the control of some arms overridden."""

    builder: str | None = Field(default=None, description="name of a parametric builder")
    parameters: dict[str, JsonValue] = Field(default_factory=dict, description="arguments of the builder")
    file: str | None = Field(default=None, description="map file, relative to the scenario file")
    controls: dict[str, Control] = Field(default_factory=dict, description="control by arm, replacing what the file says")
    left_hand: bool | None = Field(default=None, description="drive on the left; unset: as the map says")

    @model_validator(mode="after")
    def _one_source(self) -> MapSpec:
        if (self.builder is None) == (self.file is None):
            raise ValueError("give either 'builder' or 'file', not both and not neither")
        if self.file is not None and self.parameters:
            raise ValueError("'parameters' belong to a builder; a map file takes 'controls' and 'left_hand'")
        if self.builder is not None and self.controls:
            raise ValueError("'controls' override a map file; a builder takes its control in 'parameters'")
        return self


class Place(Strictly):
    """`lane` + `s`, `approach` + `before_stop` (or `s`), a `pose`, a `crosswalk`, or `anywhere`; `d` is the offset to the
    left."""

    lane: str | None = Field(default=None, description="name of a lane")
    s: float | None = Field(default=None, description="distance along the lane [m]; negative counts back from its end")
    approach: str | None = Field(default=None, description="name of an arm of the junction (builders) or of a road (files)")
    index: Annotated[int, Field(ge=0)] | None = Field(
        default=None, description="which lane of the approach, 0 nearest the centre line"
    )
    before_stop: NotNegative | None = Field(
        default=None, description="distance of the front bumper before the stop line, of a pedestrian before the kerb [m]"
    )
    crosswalk: Annotated[int, Field(ge=0)] | None = Field(default=None, description="number of a crosswalk, for pedestrians")
    side: Literal["start", "end"] = Field(default="start", description="end of the crosswalk the pedestrian comes from")
    pose: Pose | None = Field(default=None, description="x, y [m], heading [rad]")
    anywhere: bool = Field(default=False, description="a random place on the road, another one for each seed")
    d: float = Field(default=0.0, description="offset to the left of the lane's centre [m]")
    turned: Annotated[float, Field(ge=-1.5, le=1.5)] = Field(default=0.0, description="heading off the lane's [rad]")

    @model_validator(mode="after")
    def _one_way(self) -> Place:
        given = [name for name in ("lane", "approach", "crosswalk", "pose") if getattr(self, name) is not None]
        if len(given) + self.anywhere != 1:
            raise ValueError("a place is one of 'lane', 'approach', 'crosswalk', 'pose', 'anywhere'")
        if self.before_stop is not None and (
            self.s is not None or not given or given[0] not in ("lane", "approach", "crosswalk")
        ):
            raise ValueError("'before_stop' goes with 'lane', 'approach' or 'crosswalk', instead of 's'")
        return self


class Goal(Strictly):
    """Where to: an `exit` arm, a `turn` at the next junction, a `lane` + `s`, or a `distance` along random turns."""

    exit: str | None = Field(default=None, description="arm to leave by")
    turn: TurnName | None = Field(default=None, description="turn at the first junction")
    lane: str | None = Field(default=None, description="name of the last lane")
    s: float | None = Field(
        default=None, description="where on the last lane it is reached [m]; negative counts back from the end"
    )
    distance: Positive | None = Field(default=None, description="drive this far along random turns [m]")

    @model_validator(mode="after")
    def _one_way(self) -> Goal:
        if sum(getattr(self, name) is not None for name in ("exit", "turn", "lane", "distance")) != 1:
            raise ValueError("a goal is one of 'exit', 'turn', 'lane', 'distance'")
        return self


class Body(Strictly):
    """Size and limits that differ from the kind's own [m, m/s², rad/s]."""

    length: Positive | None = None
    width: Positive | None = None
    height: Positive | None = None
    wheelbase: Positive | None = None
    rear_overhang: Positive | None = None
    steer_rate_max: Positive | None = None
    accel_max: Positive | None = None
    brake_max: Positive | None = None
    speed_max: Positive | None = None


class User(Strictly):
    """One road user: where it starts and goes, what it is and who drives it."""

    name: str | None = Field(default=None, min_length=1)
    kind: KindName = "car"
    present: bool = Field(default=True, description="leave it out when false (draw it per seed to have it now and then)")
    at: Place | None = Field(default=None, description="start")
    to: Goal | None = Field(default=None, description="goal; unset: straight on, as far as the road goes")
    route: list[str] | None = Field(default=None, min_length=1, description="lanes in order, instead of 'at' a lane and 'to'")
    speed: NotNegative | None = Field(
        default=None, description="at the start [m/s]; unset: the limit, or as the stop line allows"
    )
    depart_s: NotNegative = Field(default=0.0, description="when it appears [s]")
    style: str | None = Field(default=None, description="name of a style; unset: drawn from the mix")
    driver: str | None = Field(
        default=None, min_length=1, description="any driver by name, package.module:Class or file.py:Class"
    )
    jaywalks: bool = Field(default=False, description="a pedestrian that does not wait for a gap")
    track: list[TrackRow] | str | None = Field(
        default=None, description="t, x, y, heading, speed rows, a .csv file of them, or FILE.xml#ID of CommonRoad, to replay"
    )
    is_ego: bool = Field(default=False, description="the track is the ego's own record: left out while the ego drives")
    body: Body | None = None

    @field_validator("style")
    @classmethod
    def _style_known(cls, value: str | None) -> str | None:
        if value is not None and value not in STYLES:
            raise ValueError(f"unknown style {value!r}{nearest(value, STYLES)}")
        return value

    @model_validator(mode="after")
    def _consistent(self) -> User:
        if self.track is None and self.at is None and self.route is None:
            raise ValueError("needs 'at' (where it starts), 'route' or 'track'")
        if self.track is not None and (
            self.at is not None or self.route is not None or self.to is not None or self.driver is not None
        ):
            raise ValueError("a replayed 'track' takes no 'at', 'to', 'route' or 'driver'")
        if self.is_ego and self.track is None:
            raise ValueError("'is_ego' goes with a 'track'")
        if self.route is not None and self.to is not None and self.to.lane is None and self.to.s is None:
            raise ValueError("'route' already says where to go; leave 'to' out")
        if self.at is not None and self.at.pose is not None:
            raise ValueError("a road user starts on a lane; 'pose' is for things")
        if self.jaywalks and self.kind != "pedestrian":
            raise ValueError("only a pedestrian jaywalks")
        return self


class Thing(Strictly):
    """Something that stands or lies on the road: a parked vehicle (`kind`), or an object (`thing`)."""

    name: str | None = Field(default=None, min_length=1)
    kind: Literal["object", "car", "van", "truck", "bus", "motorcycle", "bicycle"] = "object"
    thing: str = Field(default="unknown", min_length=1, description="what it is: dirt_pile, plastic_bag, ...")
    present: bool = True
    at: Place
    heading: float = Field(default=0.0, description="relative to the lane [rad]")
    size: Annotated[tuple[Positive, Positive, Positive], Strict(False)] | None = Field(
        default=None, description="length, width, height [m]"
    )
    drive_through: bool | None = Field(default=None, description="driving over it does no harm; unset: as its kind says")
    drift: Annotated[float, Field(ge=0.0, le=5.0)] = Field(
        default=0.0, description="speed at which the wind blows it about its place [m/s]"
    )

    @field_validator("thing")
    @classmethod
    def _thing_known(cls, value: str) -> str:
        if value not in THINGS:
            raise ValueError(f"unknown thing {value!r}{nearest(value, THINGS)}")
        return value

    @property
    def harmless(self) -> bool:
        """Whether one may drive through it."""
        return (
            self.drive_through if self.drive_through is not None else self.kind == "object" and THINGS[self.thing].drive_through
        )


Mix: TypeAlias = dict[str, NotNegative]


class Flow(Strictly):
    """Arrivals at the edges of the map: how many, from where, to where, of what kind."""

    name: str | None = None
    approach: str | list[str] = Field(default="any", description="arm(s) they come from, or 'any'")
    turn: TurnName | Literal["any"] | dict[TurnName, NotNegative] = Field(default="any", description="turn, or weights of turns")
    vehicles_per_hour: NotNegative | None = Field(default=None, description="over all named approaches together")
    count: Annotated[int, Field(ge=0)] | None = Field(default=None, description="exactly so many, instead of a rate")
    window_s: Annotated[tuple[NotNegative, Positive], Strict(False)] | None = Field(
        default=None, description="between these times; unset: the whole duration"
    )
    arrivals: Literal["poisson", "fixed"] = "poisson"
    before_stop: Positive | None = Field(
        default=None, description="where they appear [m before the stop line]; unset: where the road begins"
    )
    kinds: Mix | None = None
    styles: Mix | None = None
    drivers: Mix | None = Field(
        default=None, description="weights of drivers of motor vehicles; 'traffic' is the simulator's own"
    )

    @field_validator("kinds")
    @classmethod
    def _kinds_known(cls, value: Mix | None) -> Mix | None:
        return None if value is None else _kinds_valid(value)

    @field_validator("styles")
    @classmethod
    def _styles(cls, value: Mix | None) -> Mix | None:
        return None if value is None else _styles_known(value)

    @field_validator("drivers")
    @classmethod
    def _drivers(cls, value: Mix | None) -> Mix | None:
        return None if value is None else _mix_positive(value)

    @model_validator(mode="after")
    def _consistent(self) -> Flow:
        if (self.vehicles_per_hour is None) == (self.count is None):
            raise ValueError("give either 'vehicles_per_hour' or 'count'")
        if self.window_s is not None and self.window_s[0] >= self.window_s[1]:
            raise ValueError(f"window_s must end after it begins, got {list(self.window_s)}")
        if isinstance(self.turn, dict) and sum(self.turn.values()) <= 0.0:
            raise ValueError("a mix of turns needs at least one weight above 0")
        return self


def _kinds_valid(mix: Mix) -> Mix:
    vehicles = [name for name in KINDS if name not in ("pedestrian", "object")]
    for name in mix:
        if name not in vehicles:
            raise ValueError(f"unknown kind of vehicle {name!r}{nearest(name, vehicles)}")
    return _mix_positive(mix)


class Everywhere(Strictly):
    """Random routes: `count` or `per_lane_km` at random places at the start, `vehicles_per_hour` from the map's edges."""

    count: Annotated[int, Field(ge=0)] | None = None
    per_lane_km: NotNegative | None = Field(default=None, description="vehicles per kilometre of driving lane at the start")
    vehicles_per_hour: NotNegative = 0.0
    distance: Positive = Field(default=400.0, description="length of their random routes [m]")
    radius: Positive | None = Field(default=None, description="only within this distance of the ego's start [m]")
    max_count: Annotated[int, Field(ge=0, le=500)] = Field(default=60, description="never more than this at the start")

    @model_validator(mode="after")
    def _consistent(self) -> Everywhere:
        if self.count is not None and self.per_lane_km is not None:
            raise ValueError("give 'count' or 'per_lane_km', not both")
        return self


class Pedestrians(Strictly):
    """People at the crosswalks: a rate per crosswalk, or a count over all."""

    per_hour: NotNegative | None = Field(default=None, description="at each crosswalk, both sides together")
    count: Annotated[int, Field(ge=0)] | None = None
    window_s: Annotated[tuple[NotNegative, Positive], Strict(False)] | None = None
    crosswalks: list[Annotated[int, Field(ge=0)]] | None = Field(
        default=None, description="numbers of the crosswalks; unset: all"
    )
    jaywalk_share: Share = 0.0

    @model_validator(mode="after")
    def _consistent(self) -> Pedestrians:
        if (self.per_hour is None) == (self.count is None):
            raise ValueError("give either 'per_hour' or 'count'")
        if self.window_s is not None and self.window_s[0] >= self.window_s[1]:
            raise ValueError(f"window_s must end after it begins, got {list(self.window_s)}")
        return self


class Traffic(Strictly):
    """Everybody besides the ego. `demand: 900` is short for 900 veh/h over all approaches."""

    users: list[User] = Field(default_factory=list)
    things: list[Thing] = Field(default_factory=list)
    demand: NotNegative | list[Flow] = Field(default_factory=list)
    everywhere: Everywhere | None = None
    pedestrians: Pedestrians | None = None
    cyclists: Share = Field(default=0.0, description="share of bicycles among arrivals that name no kinds")
    kinds: Mix = Field(default_factory=lambda: {"car": 0.85, "van": 0.1, "truck": 0.05}, description="weights, for arrivals")
    styles: Mix = Field(
        default_factory=lambda: {"normal": 0.5, "calm": 0.2, "brisk": 0.15, "courteous": 0.1, "aggressive": 0.05},
        description="weights, for all who name no style",
    )
    drivers: Mix = Field(
        default_factory=lambda: {OWN_DRIVER: 1.0},
        description="weights of drivers, for arriving motor vehicles; 'traffic' is the simulator's own, with a style",
    )

    @field_validator("styles")
    @classmethod
    def _styles(cls, value: Mix) -> Mix:
        return _styles_known(value)

    @field_validator("drivers")
    @classmethod
    def _drivers(cls, value: Mix) -> Mix:
        return _mix_positive(value)

    @field_validator("kinds")
    @classmethod
    def _kinds(cls, value: Mix) -> Mix:
        return _kinds_valid(value)

    @property
    def flows(self) -> list[Flow]:
        """The demand as flows, the short form written out."""
        if isinstance(self.demand, list):
            return self.demand
        return [Flow(vehicles_per_hour=self.demand)] if self.demand > 0.0 else []


class WeatherSpec(Strictly):
    """Weather by numbers; what is not given follows from `name`."""

    name: WeatherName = "clear"
    friction: Annotated[float, Field(gt=0.0, le=1.2)] | None = None
    visibility_m: Positive | None = Field(default=None, description="how far anybody sees; of fog, what dims the lidar")
    rate: NotNegative | None = Field(default=None, description="rain or snow for the lidar [mm/h of water]; unset: 10 or 2")


class LidarOptions(Strictly):
    """The ego's lidar at the `lidar` sensing level."""

    beams: Literal[16, 32, 64] = Field(default=32, description="rings")
    columns: Annotated[int, Field(ge=90, le=3600)] = Field(default=1080, description="firings of all rings in one turn")
    height: Annotated[float, Field(gt=0.2, le=5.0)] = Field(default=1.84, description="above the ground [m]")
    forward: Annotated[float, Field(ge=-5.0, le=5.0)] = Field(default=0.0, description="ahead of the middle of the car [m]")
    gain: Annotated[float, Field(gt=0.0, le=10.0)] = Field(default=1.0, description="factor on intensities")
    dead_rings: Annotated[float, Field(ge=0.0, lt=1.0)] = Field(default=0.0, description="share of rings that give nothing")
    noise: Annotated[float, Field(ge=0.0, le=1.0)] = Field(default=0.02, description="standard error of ranges [m]")
    dropout: Annotated[float, Field(ge=0.0, lt=1.0)] = Field(default=0.01, description="share of returns that are lost")
    reach: Annotated[float, Field(gt=5.0, le=300.0)] = Field(
        default=110.0, description="range at which a dark surface, face on, is found half the time in clear air [m]"
    )


class FaultSpec(Strictly):
    """A fault of the ego's sensors for a while."""

    kind: Literal["blackout", "frozen", "rings", "late", "nan", "pose_jump"]
    start_s: NotNegative
    duration_s: Positive = Field(default=5.0, description="how long it lasts [s]")
    amount: NotNegative | None = Field(
        default=None,
        description="how bad: share of rings, points or objects, ticks late, or metres; unset: 0.5, 0.2, 5, 2 for its kind",
    )

    @model_validator(mode="after")
    def _consistent(self) -> FaultSpec:
        Fault(kind=self.kind, start_s=self.start_s, duration_s=self.duration_s, amount=self.amount)
        return self


class RegionSpec(Strictly):
    """A goal in place and time: the ego's centre in any of the outlines, or anywhere without one."""

    outlines: list[Annotated[list[Point], Field(min_length=3)]] = Field(default_factory=list, description="corners [m]")
    window_s: Annotated[tuple[NotNegative, NotNegative], Strict(False)] = Field(description="between these times")
    speeds: Annotated[tuple[float, float], Strict(False)] | None = Field(default=None, description="least and most [m/s]")
    headings: Annotated[tuple[float, float], Strict(False)] | None = Field(
        default=None, description="counter-clockwise from the first to the second [rad]"
    )


class CriteriaSpec(Strictly):
    """What makes an episode a pass."""

    goal: bool = True
    no_collision: bool = True
    at_fault_only: bool = Field(default=False, description="count only collisions that are the ego's fault")
    no_offroad: bool = True
    no_deadlock: bool = True
    max_time_s: Positive | None = None
    min_mean_speed: Positive | None = None
    regions: list[RegionSpec] = Field(
        default_factory=list, description="with any, the goal is to be in one of them, whatever 'to' says"
    )


class ScriptSpec(Strictly):
    """An OpenSCENARIO file that says who is there and what they do; map, ego, traffic and weather are its own then."""

    file: str = Field(description="OpenSCENARIO file (.xosc), relative to the scenario file")
    parameters: dict[str, float | str | bool] = Field(default_factory=dict, description="values of its parameters")


class Episode(Strictly):
    """A scenario with every range drawn: the concrete schema."""

    version: Literal[1] = Field(description="of this schema")
    name: str = Field(min_length=1, max_length=100)
    summary: str = ""
    tags: list[str] = Field(default_factory=list)
    map: MapSpec
    script: ScriptSpec | None = Field(default=None, description="a storyboard that moves everybody but ego")
    ego: User | None = Field(default=None, description="the vehicle under test; null: traffic alone")
    traffic: Traffic = Field(default_factory=Traffic)
    occluders: list[Annotated[list[Point], Field(min_length=3)]] = Field(
        default_factory=list, description="outlines [m] that block sight"
    )
    weather: WeatherName | WeatherSpec = "clear"
    sensing: Sensing = Field(default="state", description="what drivers are given; at `lidar` the ego alone has one")
    lidar: LidarOptions = Field(default_factory=LidarOptions)
    faults: list[FaultSpec] = Field(default_factory=list)
    duration_s: Annotated[float, Field(gt=0.0, le=3600.0)] = 60.0
    mode: Literal["replay", "ego", "reactive"] = Field(
        default="ego",
        description="of recorded tracks: replay (without the ego), ego (it drives among them), reactive (and they drive, too, "
        "where they would have to react)",
    )
    latency_ticks: Annotated[int, Field(ge=0, le=3)] = 1
    criteria: CriteriaSpec = Field(default_factory=CriteriaSpec)

    @model_validator(mode="after")
    def _consistent(self) -> Episode:
        if self.ego is not None and (self.ego.track is not None or self.ego.kind == "pedestrian"):
            raise ValueError("the ego is a driven vehicle: no 'track', no pedestrian")
        if self.ego is not None and not self.ego.present:
            raise ValueError("the ego cannot be absent; write 'ego: null' for traffic alone")
        return self

    @property
    def conditions(self) -> WeatherSpec:
        """The weather with its numbers filled in."""
        given = self.weather if isinstance(self.weather, WeatherSpec) else WeatherSpec(name=self.weather)
        friction = FRICTIONS[given.name] if given.friction is None else given.friction
        visibility = VISIBILITIES[given.name] if given.visibility_m is None else given.visibility_m
        return WeatherSpec(name=given.name, friction=friction, visibility_m=visibility, rate=given.rate)
