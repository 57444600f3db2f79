"""Who brakes hard because of ego, and who brakes hard for reasons of its own while ego is there."""

from pathlib import Path

import numpy as np
import pytest

from eval.clock import WallClock
from eval.episode import Episode, drive
from eval.rescues import HARD_BRAKING, RescueWatch
from eval.run import run_scenario, seated
from sim.interface import Control, DriverStep
from sim.recording import read_recording
from sim.roads.assemble import assemble
from sim.roads.builders import BUILDERS
from sim.roads.route import shortest_route
from sim.scenario import Actor, Model, Scenario
from sim.world import World

HERE = Path(__file__)
MAPS = {control: assemble(BUILDERS["four_way"](control=control)) for control in ("none", "all_way")}


class Cruises:
    """Straight on at the speed it has."""

    def start(self, road_map, route, spec, seed):
        return None

    def step(self, frame, memory):
        return DriverStep(control=Control(), memory=memory)


class StopsDead:
    """Straight on for a second, then as hard on the brakes as it can."""

    def start(self, road_map, route, spec, seed):
        return None

    def step(self, frame, memory):
        return DriverStep(control=Control(accel=-8.0 if frame.tick > 10 else 0.0), memory=memory)


def actor(name, control, s, speed=12.0, driver=None, approach="south", leaves="north", depart_s=0.0):
    """One that goes straight on; the traffic's own driver unless told otherwise."""
    road_map = MAPS[control]
    route = shortest_route(road_map, road_map.lane(f"{approach}_in_0"), road_map.lane(f"{leaves}_out_0"))
    named = f"{HERE}:{driver}" if driver in ("Cruises", "StopsDead") else driver
    model = Model.NEGOTIATOR if driver is None else Model.EXTERNAL
    return Actor(name=name, route=route, s=s, speed=speed, model=model, driver=named or "", depart_s=depart_s)


def scenario(control, *actors, duration_s=7.0):
    return Scenario(name=control, road_map=MAPS[control], actors=actors, ego=0, seed=3, duration_s=duration_s)


def driven(tmp_path, scene):
    """Who rescued ego, and who braked hard at all."""
    path = tmp_path / "episode.arrow"
    result = run_scenario(scene, path, to_the_end=True, watched=True)
    recording = read_recording(path)
    hard = {k for k in range(1, len(scene.actors)) if np.any(recording.track(k)["accel"] <= -HARD_BRAKING)}
    return [who for _, who in result.rescues or ()], hard


@pytest.mark.parametrize(("follower", "depart_s"), [(None, 0.0), ("tailgater", 0.0), ("tailgater", 0.2)])
def test_who_brakes_hard_behind_an_ego_that_stops_dead_rescues_it_once(tmp_path, follower, depart_s):
    ego = actor("ego", "none", 35.0, driver="StopsDead")
    behind = actor("follower", "none", 12.0, driver=follower, depart_s=depart_s)
    rescuers, hard = driven(tmp_path, scenario("none", ego, behind))
    assert hard == {1}
    assert rescuers == [1]


def test_nobody_rescues_an_ego_that_drives_on(tmp_path):
    ego = actor("ego", "none", 35.0, driver="Cruises")
    assert driven(tmp_path, scenario("none", ego, actor("follower", "none", 12.0))) == ([], set())


def test_braking_hard_for_somebody_else_is_no_rescue_of_ego(tmp_path):
    ego = actor("ego", "none", 55.0, driver="Cruises")
    other, follower = actor("other", "none", 35.0, driver="StopsDead"), actor("follower", "none", 12.0)
    rescuers, hard = driven(tmp_path, scenario("none", ego, other, follower))
    assert 2 in hard
    assert rescuers == []


def test_who_is_put_on_the_road_too_near_behind_ego_for_its_speed_does_not_rescue_it(tmp_path):
    ego = actor("ego", "none", 56.0, speed=3.0, driver="Cruises")
    late = actor("late", "none", 30.0, speed=9.0, driver="timid_waver", depart_s=2.0)
    rescuers, hard = driven(tmp_path, scenario("none", ego, late))
    assert hard == {1}
    assert rescuers == []


def test_braking_hard_for_a_line_that_ego_also_stands_at_is_no_rescue(tmp_path):
    ego = actor("ego", "all_way", 77.4, speed=0.0, driver="Cruises")
    late = actor("late", "all_way", 40.0, speed=8.0, driver="tailgater", approach="east", leaves="west")
    rescuers, hard = driven(tmp_path, scenario("all_way", ego, late))
    assert hard == {1}
    assert rescuers == []


def test_an_episode_is_the_same_whether_or_not_it_is_watched():
    ego = actor("ego", "none", 35.0, driver="StopsDead")
    scene = scenario("none", ego, actor("follower", "none", 12.0), actor("tailgater", "none", 2.0, driver="tailgater"))
    hashes, watch = [], RescueWatch()
    for watcher in (None, watch):
        world = World((scene,))
        drive(Episode(world, scene, seated(scene, world), None, WallClock(None), watcher=watcher))
        hashes.append(world.trace_hash(0))
    assert watch.found
    assert hashes[0] == hashes[1]
