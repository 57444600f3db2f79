"""What passing a stop line is booked as, and standing at one: a red light run, a stop sign ignored, a deadlock."""

from __future__ import annotations

import numpy as np

from sim.kernels import watch_deadlock
from sim.roads.assemble import assemble
from sim.roads.builders import BUILDERS
from sim.roads.route import shortest_route
from sim.scenario import Actor, Model, Scenario
from sim.state import CONTROL_DTYPE, EventKind, Reason
from sim.world import World
from tests.sim.worlds import Stage

CROSSINGS = {control: assemble(BUILDERS["four_way"](control=control)) for control in ("signal", "all_way", "none")}


def approach(control, model, style="normal", depart_s=0.0, s=30.0):
    road_map = CROSSINGS[control]
    route = shortest_route(road_map, road_map.lane("south_in_0"), road_map.lane("north_out_0"))
    actor = Actor(name="first", model=model, style=style, route=route, s=s, speed=10.0, depart_s=depart_s)
    return World([Scenario(name=control, road_map=road_map, actors=(actor,), seed=3)])


def run(world, ticks, accel=0.0):
    controls = np.zeros(world.state.bodies.shape, CONTROL_DTYPE)
    controls["given"], controls["accel"] = 1, accel
    for _ in range(ticks):
        world.step(controls)
    return [int(kind) for kind in world.events(0)["kind"]]


def test_driving_through_red_is_booked_and_waiting_is_not():
    red = [run(approach("signal", Model.EXTERNAL, depart_s=start), 400) for start in (0.0, 10.0, 20.0)]
    assert any(EventKind.RED_LIGHT in kinds for kinds in red), "a car that never brakes meets red at some time of the cycle"
    assert EventKind.RED_LIGHT not in run(approach("signal", Model.NEGOTIATOR), 900)


def test_not_stopping_at_a_stop_sign_is_booked_and_stopping_is_not():
    assert EventKind.STOP_IGNORED in run(approach("all_way", Model.EXTERNAL), 200)
    assert EventKind.STOP_IGNORED in run(approach("all_way", Model.NEGOTIATOR, style="stop_runner"), 300)
    assert EventKind.STOP_IGNORED not in run(approach("all_way", Model.NEGOTIATOR), 300)
    assert EventKind.STOP_IGNORED not in run(approach("none", Model.EXTERNAL), 200)


def watched(reason: Reason, waits_for: int = 0, second: str = "east_in_0", lead: int = -1) -> int:
    """Deadlocks reported in 12 s of one driver giving way to another, on lane `second`, who stands because of `reason`."""
    stage = Stage(CROSSINGS["all_way"])
    for name, s in (("south_in_0", 30.0), (second, 38.0)):
        stage.put_on(name, s, model=Model.NEGOTIATOR)
    stage.minds["lead"][:2] = lead, -1
    stage.minds["zone"][:2], stage.minds["stop_distance"][:2] = 0, 0.0
    stage.minds["reason"][:2], stage.minds["other"][:2] = (Reason.YIELD, reason), (1, waits_for)
    for _ in range(120):
        stage.state.worlds["tick"] += 1
        watch_deadlock(stage.state, stage.roads, 0)
    return int(stage.state.worlds["event_count"][0])


def test_two_who_wait_for_each_other_are_a_deadlock_and_waiting_for_who_stands_at_red_is_not():
    assert watched(Reason.YIELD) == 1
    assert watched(Reason.SIGNAL, waits_for=-1) == 0


def test_standing_askew_behind_somebody_is_no_claim_and_standing_before_a_crossing_car_is_one():
    assert watched(Reason.FREE, waits_for=-1, second="south_in_0", lead=1) == 0
    assert watched(Reason.YIELD, second="east_in_0", lead=1) == 1
