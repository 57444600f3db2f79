"""SUMO as the traffic: its net lies on our map, it sees ego, and an episode is a function of its seed."""

from __future__ import annotations

import importlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from eval.evaluate import references_of
from eval.metrics.crossings import crossings
from eval.run import EpisodeResult, run_scenario
from eval.suites import SUITES
from eval.sumo import SUMO, check_installed, partner, write_net
from scenarios.errors import InputError
from sim.interface import Floats
from sim.roads.lane_map import LaneKind, LaneMap
from sim.scenario import Model, Scenario
from sim.state import Status
from sim.world import World
from tests.sim.roads.maps import built


def sumo_or_skip() -> None:
    for name in ("libsumo", "sumo"):
        pytest.importorskip(name, reason="needs the extra 'sumo'", exc_type=ImportError)


def scenario_of(seed: int, driver: str = "first_come") -> Scenario:
    scenario = SUITES["chicken_sumo"].scenario(seed)
    assert scenario.ego is not None
    actors = list(scenario.actors)
    actors[scenario.ego] = replace(actors[scenario.ego], driver=driver, model=Model.EXTERNAL)
    return replace(scenario, actors=tuple(actors))


def dense(line: Floats) -> Floats:
    """Points (N, 2) every 0.05 m along a polyline."""
    known = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(line, axis=0).T))])
    s = np.arange(0.0, known[-1], 0.05)
    return np.column_stack([np.interp(s, known, line[:, 0]), np.interp(s, known, line[:, 1])])


def centreline(road_map: LaneMap, lane: int) -> Floats:
    points = road_map.lane_points(lane)
    return dense(np.column_stack([points["x"], points["y"]]))


def furthest(line: Floats, from_line: Floats) -> float:
    """Largest distance [m] of any point of one line from the other."""
    return max(float(np.hypot(*(from_line - point).T).min()) for point in line[::10])


def test_without_sumo_the_suite_says_what_to_install(monkeypatch: pytest.MonkeyPatch):
    def missing(name: str) -> None:
        raise ImportError(f"no {name}")

    monkeypatch.setattr(importlib, "import_module", missing)
    with pytest.raises(InputError, match=r"avstack-sim\[sumo\]"):
        check_installed()
    with pytest.raises(InputError, match=r"avstack-sim\[sumo\]"):
        SUITES["chicken_sumo"].scenario(0)


@pytest.mark.parametrize("name", ["signalised", "roundabout"])
def test_maps_that_the_bridge_does_not_know_are_refused(name: str, tmp_path: Path):
    road_map = built("four_way", control="signal") if name == "signalised" else built(name)
    with pytest.raises(InputError, match="SUMO takes maps with one"):
        write_net(road_map, tmp_path)


def test_the_net_lies_on_the_map(tmp_path: Path):
    sumo_or_skip()
    road_map = built("four_way", control="all_way", speed_limit=11.2)
    sumo = importlib.import_module("libsumo")
    sumo.start(["sumo", "-n", str(write_net(road_map, tmp_path)), "--no-step-log"])
    try:
        shapes = {name: dense(np.array(sumo.lane.getShape(name))) for name in sumo.lane.getIDList()}
        speed = sumo.lane.getMaxSpeed("south_in_0_0")
    finally:
        sumo.close()
    lanes = {n: centreline(road_map, n) for n in np.flatnonzero(road_map.lanes["kind"] == LaneKind.DRIVING).tolist()}
    theirs = np.concatenate(list(shapes.values()))
    for line in lanes.values():
        assert furthest(line, theirs) < 0.1
    for name, shape in shapes.items():
        assert min(furthest(shape, line) for line in lanes.values()) < 0.1, name
    assert speed == pytest.approx(11.2)


def test_an_episode_among_sumo_is_a_function_of_its_seed_and_everybody_gets_through():
    sumo_or_skip()

    def drive(seed: int) -> EpisodeResult:
        return run_scenario(scenario_of(seed), to_the_end=True)

    # with seed 4 somebody is to appear where ego stands
    first, again, other = drive(0), drive(0), drive(4)
    assert other.counts.collisions == 0
    assert first.completed
    assert first.counts.collisions == 0
    assert first.trace_hash == again.trace_hash
    assert first.trace_hash != other.trace_hash


def passed(scenario: Scenario, ego_stands_at: tuple[float, float] | None) -> int:
    """How many of SUMO's cars have left after 40 s, with ego standing somewhere or not there at all."""
    ego = scenario.ego
    assert ego is not None
    world = World((scenario if ego_stands_at is not None else replace(scenario, ego=None),))
    with partner(world.scenarios[0]) as sumo:
        for _ in range(400):
            body = world.state.bodies[0, ego]
            if ego_stands_at is None:
                body["status"], body["depart_tick"] = Status.WAITING, 10**6
            else:
                body["x"], body["y"] = ego_stands_at
                body["heading"], body["cos"], body["sin"] = 0.5 * np.pi, 0.0, 1.0
                body["speed"] = body["vx"] = body["vy"] = 0.0
            sumo.step(world)
            world.step()
    slots = [a for a, actor in enumerate(scenario.actors) if actor.driver == SUMO]
    return int(np.sum(world.state.bodies["status"][0, slots] == Status.FINISHED))


def test_sumo_sees_ego_and_waits_for_it():
    sumo_or_skip()
    scenario = scenario_of(0)
    cars = sum(actor.driver == SUMO for actor in scenario.actors)
    assert passed(scenario, None) == cars
    assert passed(scenario, (0.0, 0.0)) < cars


def test_the_runs_that_an_episode_is_held_against_have_sumo_in_them():
    sumo_or_skip()
    scenario = SUITES["chicken_sumo"].scenario(1)
    found = references_of(scenario, SUITES["chicken_sumo"])
    assert found.junction is not None
    assert found.ordinary is not None
    assert found.without_ego is not None
    other = next(place for place, actor in enumerate(found.junction.actors) if actor != scenario.ego)
    assert np.isfinite(crossings(found.ordinary, found.junction).left).all()
    assert np.isfinite(crossings(found.without_ego, found.junction).left[other])
