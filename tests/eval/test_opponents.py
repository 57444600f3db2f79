"""Drivers by name: what all of them promise, and that each opponent is what its name says, beside one that is not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from eval.company import collisions_with
from eval.drivers import DRIVERS, Onlooker, load_driver, place_of
from eval.evaluate import Job as EvaluationJob
from eval.evaluate import run_job
from eval.heldout import DRIVERS as HELD_OUT
from eval.run import Job, run_episode, run_scenario
from eval.suites import OPPONENTS, SUITES
from scenarios.compile import compile_scenario
from scenarios.errors import InputError
from scenarios.schema import loads
from sim.interface import OBJECT_DTYPE, SPECS, Gesture, Kind, Odometry, SensorFrame, VehicleSpec
from sim.roads.lane_map import LaneMap
from sim.roads.route import Route, shortest_route
from sim.scenario import Actor, Model, Scenario
from sim.state import CONTROL_DTYPE, Status
from sim.traffic.opponents.level_k import ACTIONS, LevelK, best_response
from sim.traffic.opponents.see import THINGS
from sim.traffic.opponents.way import lay_way
from sim.world import World
from tests.sim.roads.maps import built

ARMS = ("south", "east", "north", "west")
ACROSS = dict(zip(ARMS, ("north", "west", "south", "east"), strict=True))


def drivers_only(scenario: Scenario, name: str, sensing: str = "state") -> Scenario:
    """The scenario with everybody on motor wheels driven by `name`."""
    actors = [
        replace(actor, model=Model.EXTERNAL, driver=name)
        if actor.model in (Model.NEGOTIATOR, Model.EXTERNAL) and actor.kind != Kind.BICYCLE
        else actor
        for actor in scenario.actors
    ]
    return replace(scenario, actors=tuple(actors), sensing=sensing)


def crossing(names: Sequence[str], before_stop: Sequence[float]) -> Scenario:
    """An all-way stop with one car straight on from each arm, this far [m] before its line at 8 m/s."""
    road_map = built("four_way", control="all_way")
    actors = []
    for arm, name, away in zip(ARMS, names, before_stop, strict=False):
        lane = road_map.lane(f"{arm}_in_0")
        route = shortest_route(road_map, lane, road_map.lane(f"{ACROSS[arm]}_out_0"))
        s = float(road_map.lanes["stop_s"][lane]) - away
        actors.append(Actor(name=arm, model=Model.EXTERNAL, route=route, s=s, speed=8.0, driver=name))
    return Scenario(name="crossing", road_map=road_map, actors=tuple(actors), seed=1, duration_s=60.0)


class Watched:
    """A run with every control and every place kept."""

    def __init__(self, scenario: Scenario) -> None:
        self.world = World((scenario,))
        self.scenario = scenario
        self.drivers = {a: load_driver(actor.driver) for a, actor in enumerate(scenario.actors) if actor.model == Model.EXTERNAL}
        for a, driver in self.drivers.items():
            if isinstance(driver, Onlooker):
                driver.tell(scenario, self.world, a)
        self.memories: dict[int, object] = {}
        self.speeds: list[np.ndarray] = []
        self.places: list[np.ndarray] = []
        self.gestures: list[np.ndarray] = []

    def run(self, ticks: int) -> list[bytes]:
        """The bytes of all controls, tick by tick."""
        sent = []
        for _ in range(ticks):
            controls = np.zeros((1, len(self.scenario.actors)), CONTROL_DTYPE)
            for a, driver in self.drivers.items():
                if self.world.state.bodies["status"][0, a] != Status.ACTIVE:
                    continue
                actor = self.scenario.actors[a]
                assert actor.route is not None
                if a not in self.memories:
                    self.memories[a] = driver.start(self.scenario.road_map, actor.route, actor.body, self.scenario.seed)
                step = driver.step(self.world.frame(0, a), self.memories[a])
                self.memories[a] = step.memory
                control = step.control
                assert np.isfinite(control.accel)
                assert np.isfinite(control.steer)
                controls[0, a] = (control.accel, control.steer, control.indicator, control.gear, control.gesture, 1)
            sent.append(controls.tobytes())
            self.world.step(controls)
            bodies = self.world.state.bodies[0]
            self.speeds.append(bodies["speed"].copy())
            self.places.append(np.hypot(bodies["x"], bodies["y"]))
            self.gestures.append(bodies["gesture"].copy())
        return sent

    def entries(self) -> list[int]:
        """Actors in the order in which their centres came within 9 m of the middle."""
        near = np.array(self.places) < 9.0
        return [int(a) for a in np.argsort(np.argmax(near, axis=0), kind="stable") if near[:, a].any()]


def is_stack(name: str) -> bool:
    """Whether a driver is the stack, or the stack with something changed."""
    return place_of(name)[0].startswith(("avstack.", "eval.told", "eval.ablations"))


PROMISING = [pytest.param(name, marks=[pytest.mark.slow] if is_stack(name) else []) for name in DRIVERS]


@pytest.mark.parametrize("sensing", ["state", "objects"])
@pytest.mark.parametrize("name", PROMISING)
def test_memory_is_passed_not_held_and_controls_are_finite(name: str, sensing: str):
    scenario = replace(crossing([name, "first_come"], [20.0, 22.0]), sensing=sensing)
    run = Watched(scenario)
    run.run(25)
    snapshot, memories = run.world.snapshot(), dict(run.memories)
    first = run.run(20)
    run.world.restore(snapshot)
    run.memories = memories
    again = run.run(20)
    if is_stack(name):
        # its QP solvers are kept per thread and updated, which moves the last digits
        for one, other in zip(first, again, strict=True):
            for field in ("accel", "steer"):
                values = [np.frombuffer(sent, CONTROL_DTYPE)[field] for sent in (one, other)]
                assert values[0] == pytest.approx(values[1], abs=1e-5)
        return
    assert again == first


@pytest.mark.parametrize("name", OPPONENTS)
def test_what_no_sensor_tells_changes_nothing(name: str):
    scenario = crossing([name, "first_come"], [20.0, 22.0])
    run = Watched(scenario)
    run.run(30)
    frame, memory, driver = run.world.frame(0, 0), run.memories[0], run.drivers[0]
    before = driver.step(frame, memory).control
    for array in run.world.state:
        array.view(np.uint8)[...] = 0xFF  # NaN in every float
    assert driver.step(frame, memory).control == before
    blind = replace(frame, objects=None, level="lidar")
    with pytest.raises(ValueError, match="object list"):
        driver.step(blind, memory)


def test_the_opponents_of_the_suites_are_drivers_and_the_held_out_ones_are_among_them():
    assert set(OPPONENTS) <= set(DRIVERS)
    assert set(HELD_OUT) <= set(OPPONENTS)


@pytest.mark.parametrize("seed", range(6))
def test_first_come_first_served_robots_never_lock_up(seed: int):
    result = run_scenario(drivers_only(SUITES["chicken_negotiator"].scenario(seed), "first_come"), to_the_end=True)
    assert result.completed
    assert (result.counts.collisions, result.counts.deadlocks) == (0, 0)


@pytest.mark.slow
@pytest.mark.parametrize("sensing", ["state", "objects"])
@pytest.mark.parametrize("name", OPPONENTS)
def test_opponents_among_themselves_get_everybody_through(name: str, sensing: str):
    results = [
        run_scenario(drivers_only(SUITES["chicken_negotiator"].scenario(seed), name, sensing), to_the_end=True)
        for seed in range(30)
    ]
    through = sum(result.completed for result in results)
    assert through >= (30 if name == "first_come" and sensing == "state" else 26)


def test_first_come_goes_in_the_order_of_arrival_and_a_tailgater_does_not():
    run = Watched(crossing(["first_come"] * 4, [30.0, 24.0, 36.0, 42.0]))
    run.run(300)
    assert run.entries() == [1, 0, 2, 3]
    assert not np.array(run.gestures).any()
    # two from the same arm: the second pushes through behind the first although others stood there before it
    pushed = {}
    for name in ("tailgater", "first_come"):
        both = crossing(["first_come", "first_come", "first_come"], [24.0, 29.0, 29.0])
        second = replace(both.actors[0], name="second", s=both.actors[0].s - 18.0, driver=name)
        run = Watched(replace(both, actors=(*both.actors, second)))
        run.run(300)
        pushed[name] = run.entries().index(3)
    assert pushed["tailgater"] < pushed["first_come"] == 3


def test_the_timid_one_waves_others_through_and_goes_last():
    run = Watched(crossing(["timid_waver", "first_come", "first_come"], [14.0, 30.0, 36.0]))
    run.run(350)
    assert run.entries()[-1] == 0
    waved = np.array(run.gestures) == Gesture.WAVE
    assert waved[:, 0].any()
    assert not waved[:, 1:].any()
    bold = Watched(crossing(["first_come"] * 3, [14.0, 30.0, 36.0]))
    bold.run(350)
    assert bold.entries()[0] == 0


def starts(speeds: np.ndarray) -> int:
    """How often a car that stood sets off."""
    moving, count = False, 0
    for speed in speeds[int(np.argmax(speeds < 0.1)) :]:
        count += not moving and speed > 0.4
        moving = speed > 0.4 or (moving and speed > 0.1)
    return count


def test_a_bluffer_sets_off_more_than_once_and_the_robot_once():
    found = {}
    for name in ("bluffer", "first_come"):
        run = Watched(crossing([name, "first_come", "first_come"], [14.0, 22.0, 30.0]))
        run.run(350)
        found[name] = starts(np.array(run.speeds)[:, 0])
    assert found["bluffer"] >= 2
    assert found["first_come"] == 1


def standing_frame(tick: int, x: float, obstacle: float | None) -> SensorFrame:
    """On a straight road at 8 m/s, with a car standing at x = `obstacle`."""
    objects = np.zeros(int(obstacle is not None), OBJECT_DTYPE)
    if obstacle is not None:
        objects["x"], objects["length"], objects["width"], objects["score"] = obstacle, 4.7, 1.85, 1.0
    motion = Odometry(speed=8.0, accel=0.0, yaw_rate=0.0, steer=0.0)
    pose = np.array([x, 0.0, 0.0])
    return SensorFrame(
        tick=tick, odometry=motion, pose=pose, pose_covariance=np.zeros((3, 3)), signals=np.zeros(0, np.int32), objects=objects
    )


def reaction_ticks(name: str, seed: int) -> int:
    """Ticks from a car appearing 25 m ahead to the first braking; ego is carried along at 8 m/s for 6 s before."""
    road_map: LaneMap = built("straight", length=400.0)
    driver, spec = load_driver(name), VehicleSpec()
    lane = int(np.argmax([abs(road_map.lane_points(n)["cos"][0] - 1.0) < 1e-3 for n in range(len(road_map.lanes))]))
    y = float(road_map.lane_points(lane)["y"][0])
    first = float(road_map.lane_points(lane)["x"][0]) + 5.0
    memory = driver.start(road_map, Route(lanes=(lane,), goal_s=390.0), spec, seed)
    for tick in range(100):
        frame = standing_frame(tick, first + 0.8 * tick, None if tick < 60 else first + 48.0 + 30.0)
        frame.pose[1] = y
        assert frame.objects is not None
        frame.objects["y"] = y
        step = driver.step(frame, memory)
        memory = step.memory
        if tick >= 60 and step.control.accel < -1.0:
            return tick - 60
    return 100


def test_the_distracted_one_reacts_late_in_some_phases_and_the_robot_never():
    late = [reaction_ticks("distracted", seed) for seed in range(8)]
    assert max(late) >= 15
    assert min(late) <= 3
    assert max(reaction_ticks("first_come", seed) for seed in range(3)) <= 3


def following_gap(name: str) -> float:
    """Gap [m] behind a car at a steady 6.6 m/s."""
    road_map = built("straight", length=900.0, speed_limit=13.9)
    lane = next(n for n in range(len(road_map.lanes)) if road_map.lanes["kind"][n] == 0)
    route = Route(lanes=(lane,), goal_s=890.0)
    slow = replace(SPECS[Kind.CAR], speed_max=6.6)
    lead = Actor(name="lead", model=Model.EXTERNAL, route=route, s=60.0, speed=6.6, driver="first_come", spec=slow)
    own = Actor(name="own", model=Model.EXTERNAL, route=route, s=30.0, speed=6.6, driver=name)
    run = Watched(Scenario(name="follow", road_map=road_map, actors=(lead, own), seed=3, duration_s=60.0))
    run.run(400)
    bodies = run.world.state.bodies[0]
    return float(np.hypot(bodies["x"][0] - bodies["x"][1], bodies["y"][0] - bodies["y"][1])) - 4.7


def test_a_tailgater_follows_at_half_a_second():
    assert following_gap("tailgater") == pytest.approx(1.0 + 0.5 * 6.6, abs=0.8)
    assert following_gap("first_come") > 1.3 * 6.6


def test_level_k_best_responds_one_level_deeper():
    road_map = built("four_way", control="all_way")
    south, east = road_map.lane("south_in_0"), road_map.lane("east_in_0")
    route = shortest_route(road_map, south, road_map.lane("north_out_0"))
    memory = LevelK().start(road_map, route, VehicleSpec(), 1)
    way = lay_way(road_map, route, VehicleSpec())
    me, things = memory.me.copy(), np.zeros(THINGS, memory.things.dtype)
    me["s"] = float(road_map.lanes["stop_s"][south]) - 3.0
    point = road_map.lane_points(east)[-8]
    thing = things[0]
    for name in ("x", "y", "cos", "sin"):
        thing[name] = point[name]
    thing["used"], thing["length"], thing["width"], thing["expected"] = 1, 4.7, 1.85, -1.0
    costs = np.zeros(len(ACTIONS))

    def best(level: int, speed: float, lean: float | None = None) -> float:
        thing["speed"], thing["before"], thing["expected"] = speed, speed, -1.0
        if lean is not None:  # what it was expected to do is what it did: the evidence stays
            thing["lean"], thing["expected"] = lean, speed
        return float(best_response(way, me, things, level, costs.copy()))

    assert best(1, 0.0) > 0.0  # it stands and will stand: go
    assert best(1, 4.0) <= 0.0  # it comes and will come: wait
    assert best(2, 0.0, lean=1.0) <= 0.0  # it will best-respond to somebody who stands, and go: wait
    assert best(2, 0.0, lean=-1.0) > 0.0  # it has been seen not to respond


def test_opponents_stop_for_people_and_pass_what_stands_in_the_way():
    for name in ("first_come", "tailgater"):
        for family in ("crosswalk", "blocked_lane"):
            result = run_episode(Job(target=family, seed=0, driver=name, sensing="state"))
            assert result.counts.at_fault == 0, (name, family)
            assert result.completed, (name, family)


MIXED = """
version: 1
name: mixed
map: {builder: four_way, parameters: {control: all_way}}
ego: {at: {approach: south, before_stop: 30}, to: {turn: left}}
traffic:
  users:
    - {name: robot, at: {approach: east, before_stop: 32}, to: {turn: straight}, driver: first_come}
  drivers: {traffic: 0.5, first_come: 0.5}
  demand:
    - {name: pushers, count: 3, approach: north, drivers: {tailgater: 1.0}}
    - {name: others, count: 12, approach: west, kinds: {car: 0.7, bicycle: 0.3}}
duration_s: 8
"""


def test_a_scenario_gives_any_driver_to_anybody_and_mixes_them_over_demand():
    scenario = compile_scenario(loads(MIXED), 3)
    by_flow = {
        name: [actor for actor in scenario.actors if actor.name.startswith(name)] for name in ("robot", "pushers", "others")
    }
    assert [actor.driver for actor in by_flow["robot"]] == ["first_come"]
    assert {(actor.driver, actor.model) for actor in by_flow["pushers"]} == {("tailgater", Model.EXTERNAL)}
    drivers = [actor.driver for actor in by_flow["others"] if actor.kind != Kind.BICYCLE]
    assert set(drivers) == {"", "first_come"}
    assert all(actor.model == Model.NEGOTIATOR for actor in by_flow["others"] if actor.kind == Kind.BICYCLE)
    plain = compile_scenario(loads(MIXED.replace("  drivers: {traffic: 0.5, first_come: 0.5}\n", "")), 3)
    assert [(actor.name, actor.depart_s, actor.style) for actor in plain.actors] == [
        (actor.name, actor.depart_s, actor.style) for actor in scenario.actors
    ]
    with pytest.raises(InputError, match="a mix needs at least one weight above 0"):
        loads(MIXED.replace("{tailgater: 1.0}", "{tailgater: 0.0}"))


def test_an_evaluation_counts_collisions_by_who_they_were_with():
    row = dict(run_job(EvaluationJob(suite="chicken_tuning", seed=4, drivers=("rules",), sensing="state"))["rules"])
    others = SUITES["chicken_tuning"].scenario(4)
    drivers = {actor.driver for slot, actor in enumerate(others.actors) if slot != others.ego and actor.driver}
    assert drivers
    assert drivers <= set(str(row["met"]).split())
    assert row["touched"] == ""
    name = min(drivers)
    found = collisions_with([row, row | {"touched": name}, row | {"met": "bus"}])
    assert found[name]["count"] == 1
    assert found[name]["episodes"] == 2
    assert found["bus"]["count"] == 0
