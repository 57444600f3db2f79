"""How pedestrians walk: to their goal, around each other, and across a street among vehicles."""

from __future__ import annotations

import numpy as np
import pytest

from sim.geometry import box_gap
from sim.interface import Colour
from sim.roads.lane_map import PHASE_DTYPE, SIGNAL_DTYPE
from sim.roads.signals import signal_colour
from sim.state import Reason


def gap(bodies, a, b):
    """Separation [m] of two boxes, negative when they overlap."""
    first, second = (
        [
            float(bodies[name][i]) * scale
            for name, scale in (("x", 1), ("y", 1), ("cos", 1), ("sin", 1), ("length", 0.5), ("width", 0.5))
        ]
        for i in (a, b)
    )
    return box_gap(*first, *second)


def closest(world, a, b):
    return min(gap(bodies, a, b) for bodies in world.history)


def entered_road(world, a):
    """First tick at which walker `a` is on the carriageway."""
    return next(tick for tick, bodies in enumerate(world.history) if abs(bodies["y"][a]) < 3.2)


@pytest.mark.parametrize("route", ["cross", "path", "along"])
def test_a_lone_pedestrian_reaches_its_goal_at_its_own_pace(street, route):
    world = street()
    walker = world.walker(route)
    length = float(world.roads.routes[world.route_of[route]]["length"])
    assert world.run(walker, int(10 * length / 1.34) + 20)
    assert np.hypot(*[np.diff([b[k][walker] for b in world.history]) for k in ("x", "y")]).sum() < length + 0.5


def test_limits_of_motion_hold(street):
    world = street()
    walker = world.walker("cross")
    world.car("east", 160.0, 9.0)
    world.run(walker, 400)
    track = np.array([bodies[walker] for bodies in world.history])
    assert track["speed"].max() <= 1.34 * 1.3 + 0.05
    assert np.abs(track["accel"]).max() <= 3.0 + 1e-3
    assert np.abs(track["jerk"]).max() <= 50.0 + 0.1
    acceleration = np.hypot(np.diff(track["vx"]), np.diff(track["vy"])) / 0.1
    assert acceleration.max() <= 3.0 + 1e-3
    assert np.allclose(np.hypot(track["cos"], track["sin"]), 1.0, atol=1e-5)
    assert np.allclose(np.cos(track["heading"]), track["cos"], atol=1e-5)


@pytest.mark.parametrize("route", ["cross", "path"])
@pytest.mark.parametrize("lane", ["east", "west"])
def test_waits_for_a_fast_car_that_does_not_yield_and_then_goes(street, route, lane):
    world = street()
    walker = world.walker(route, s=10.0)
    x = 0.0 if route == "cross" else 30.0
    start = 200.0 + (x if lane == "east" else -x) - 45.0 - 14.0
    car = world.car(lane, start, 14.0)
    assert world.run(walker, 600)
    passed = next(
        tick for tick, bodies in enumerate(world.history) if (bodies["x"][car] - x) * (1 if lane == "east" else -1) > 0.0
    )
    crossed = next(tick for tick, bodies in enumerate(world.history) if bodies["y"][walker] > (-2.0 if lane == "east" else 1.0))
    assert crossed > passed
    assert closest(world, walker, car) > 0.5


def test_a_gap_that_is_long_enough_is_taken_without_waiting(street):
    world = street()
    walker = world.walker("path", s=12.0)
    car = world.car("east", 30.0, 10.0)
    world.step(80)
    assert entered_road(world, walker) < 50
    assert closest(world, walker, car) > 2.0


def test_critical_gap_shrinks_with_waiting(street):
    went = []
    for waited in (0, 300):
        world = street()
        walker = world.walker("path", s=16.0)
        world.bodies["speed"][walker] = world.bodies["vx"][walker] = world.bodies["vy"][walker] = 0.0
        world.minds["wait_ticks"][walker] = waited
        car = world.car("east", 230.0 - 50.0, 10.0)
        world.step(100)
        went.append(bool(world.history[entered_road(world, walker)]["x"][car] < 27.0))
        assert closest(world, walker, car) > 0.5
    assert went == [False, True]


def test_a_driver_who_brakes_is_trusted_at_a_crosswalk(street):
    def yields(world, slot):
        left = 200.0 - 4.0 - float(world.bodies["hypothesis_s"][slot][0])
        speed = float(world.bodies["speed"][slot])
        return -speed * speed / (2.0 * max(left, 0.3)) if left < 30.0 else 0.0

    world = street()
    walker = world.walker("cross", s=10.0)
    car = world.car("east", 150.0, 10.0, yields)
    assert world.run(walker, 300)
    assert closest(world, walker, car) > 1.0
    assert max(b["x"][car] for b in world.history) < -2.0


def test_claims_a_crosswalk_only_where_the_car_can_brake_in_comfort(street):
    world = street()
    walker = world.walker("cross", s=12.0)
    car = world.car("east", 150.0, 8.0)
    world.step(120)
    stepped = entered_road(world, walker)
    seen = world.history[stepped]
    distance = -float(seen["x"][car]) - 2.3
    assert distance > 8.0 * 8.0 / (2.0 * 2.5) or distance < 0.0


def test_does_not_claim_a_path(street):
    for speed in (6.0, 10.0):
        world = street()
        walker = world.walker("path", s=12.0)
        car = world.car("east", 230.0 - speed * 6.0, speed)
        world.step(200)
        assert world.history[entered_road(world, walker)]["x"][car] > 30.0


def test_never_walks_into_a_standing_car(street):
    for x in (-1.0, 0.0, 0.7, 2.0):
        world = street()
        walker = world.walker("cross", s=8.0)
        car = world.car("east", 200.0 + x, 0.0)
        done = world.run(walker, 600)
        assert closest(world, walker, car) > 0.0
        assert done, f"stuck behind a car standing at x = {x}"


@pytest.mark.parametrize("offset", [0.0, 0.2, -0.3])
def test_two_pedestrians_pass_each_other(street, offset):
    world = street()
    first = world.walker("along")
    second = world.walker("back", d=offset)
    done = world.run(first, 300) and world.run(second, 300)
    assert done
    assert closest(world, first, second) > 0.0


def test_a_crowd_crosses_without_contact(street):
    world = street()
    walkers = [world.walker("cross", s=s, d=d) for s, d in ((2.0, 0.5), (2.0, -0.6), (3.5, 0.0), (5.0, 0.7), (5.5, -0.5))]
    walkers.append(world.walker("back", s=0.0))
    for walker in walkers:
        assert world.run(walker, 500)
    assert (
        min(
            gap(b, i, j)
            for b in world.history
            for i in walkers
            for j in walkers
            if i < j
            if b["status"][i] == b["status"][j] == 1
        )
        > 0
    )


def test_stays_on_its_lane(street):
    world = street()
    walker = world.walker("cross", d=1.2)
    world.walker("cross", s=1.0, d=1.0)
    world.run(walker, 400)
    assert max(abs(b["x"][walker]) for b in world.history) < 2.0


def test_a_red_light_holds_and_a_green_one_releases(street):
    world = street()
    signals = np.array([(0, 2, 30.0, 0.0)], SIGNAL_DTYPE)
    phases = np.array([(20.0, Colour.RED), (10.0, Colour.GREEN)], PHASE_DTYPE)
    lanes = world.roads.lanes.copy()
    lanes["signal"][world.road_map.lane("cross")] = 0
    world.packed = world.packed._replace(roads=world.roads._replace(lanes=lanes, signals=signals, phases=phases))
    walker = world.walker("cross", s=10.0)
    world.step(100)
    assert world.minds["reason"][walker] == Reason.SIGNAL
    assert world.run(walker, 500)
    assert 200 <= entered_road(world, walker) < 220


def test_signal_programme(street):
    world = street()
    signals = np.array([(0, 3, 30.0, 0.0), (0, 3, 30.0, 4.5), (3, 0, 0.0, 0.0)], SIGNAL_DTYPE)
    phases = np.array([(12.3, Colour.GREEN), (2.7, Colour.YELLOW), (15.0, Colour.RED)], PHASE_DTYPE)
    roads = world.roads._replace(signals=signals, phases=phases)
    colours = [signal_colour(roads, 0, tick) for tick in (0, 122, 123, 149, 150, 299, 300, 300 * 1000)]
    expected = [Colour.GREEN, Colour.GREEN, Colour.YELLOW, Colour.YELLOW, Colour.RED, Colour.RED, Colour.GREEN, Colour.GREEN]
    assert colours == expected
    assert [signal_colour(roads, 1, tick + 45) for tick in range(300)] == [signal_colour(roads, 0, tick) for tick in range(300)]
    assert signal_colour(roads, 1, 0) == signal_colour(roads, 1, 300)
    assert signal_colour(roads, -1, 0) == signal_colour(roads, 2, 0) == Colour.OFF


def test_hidden_fields_of_others_change_nothing(street):
    tracks = []
    for scramble in (False, True):
        world = street()
        walker = world.walker("cross", s=8.0)
        other = world.walker("back")
        car = world.car("east", 150.0, 9.0)
        if scramble:
            for name in ("committed", "margin_s", "assertiveness", "time_gap", "habits", "reason"):
                world.minds[name][car] = 7
            world.minds["politeness"][other] = 7
        world.run(walker, 400)
        tracks.append(np.array([(b["x"][walker], b["y"][walker], b["speed"][walker]) for b in world.history]))
    assert np.array_equal(tracks[0], tracks[1])


def test_what_is_not_visible_is_not_reacted_to(street):
    world = street()
    walker = world.walker("path", s=10.0)
    world.car("east", 230.0 - 60.0, 10.0)
    show = world.show

    def blind():
        show()
        world.state.visible[:] = 0

    world.show = blind
    world.step(80)
    assert entered_road(world, walker) < 60
