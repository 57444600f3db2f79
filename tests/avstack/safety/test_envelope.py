"""The envelope on its course: whatever is planned, a way out is left; without it, the same plans end in collisions."""

from __future__ import annotations

import ast
import math
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import avstack.safety
from avstack.motion import Constraints, observe, plan, start
from avstack.perception.percepts import Percepts, ego_estimate
from avstack.safety import ways
from avstack.safety.assumptions import Assumption
from avstack.safety.envelope import Latch, along, start_safety, verify
from avstack.safety.ways import conflicts_of, own_rows
from avstack.types import Level
from eval.bench.motion import Plant
from sim.interface import SECTORS, TICK_S, Kind
from sim.roads.assemble import assemble
from sim.roads.builders import BUILDERS
from tests.avstack.safety.course import (
    ASSUMPTIONS,
    CONFIG,
    CROSSING,
    SPEC,
    STOP_SIGNS,
    STRAIGHT,
    Body,
    Outcome,
    braking,
    drive,
    path_of,
    standing,
    straight_on,
    things_of,
)

ROAD = path_of(STRAIGHT, "eastbound_0", "eastbound_0")
X0, Y0 = float(ROAD.path.x[0]), float(ROAD.path.y[0])
THROUGH = path_of(CROSSING, "south_in_0", "north_out_0")
SIGNED = path_of(STOP_SIGNS, "south_in_0", "north_out_0")
EAST = CROSSING.lane_points(CROSSING.lane("east_in_0"))[-1]
AT_THE_LINE = float(THROUGH.starts[1]) - 1.0
WALK = straight_on(X0 + 60.0, Y0 - 6.0, math.pi / 2, 1.4, Kind.PEDESTRIAN, 1.0)


def runner(away: float):
    """A car that comes from the right, `away` metres before the junction, and stops for nothing."""
    return straight_on(float(EAST["x"]) + away, float(EAST["y"]), math.pi, 10.0)


COURSES = {
    "standing car": (STRAIGHT, ROAD, [standing(X0 + 80.0, Y0)], 10.0, 5.0),
    "leader brakes at full": (STRAIGHT, ROAD, [braking(X0 + 28.0, Y0, 0.0, 13.0, 8.0, 3.0)], 13.0, 5.0),
    "slower leader": (STRAIGHT, ROAD, [braking(X0 + 40.0, Y0, 0.0, 5.0, 2.0, 3.0)], 13.0, 5.0),
    "person steps out": (STRAIGHT, ROAD, [WALK], 10.0, 5.0),
    "runs the stop line": (STOP_SIGNS, SIGNED, [runner(48.0)], 10.0, 35.0),
    "does not give way": (CROSSING, THROUGH, [runner(48.0)], 10.0, 35.0),
}


def broken_limits(run: Outcome) -> list[str]:
    """Substeps beyond what the level in force declares; a control acts one tick after its frame."""
    found, accel = [], 0.0
    for k, (_, now, jerk, _) in enumerate(run.substeps):
        level = Level.COMFORT if k < 2 else run.levels[k // 2 - 1]
        limits = CONFIG.levels[level]
        if abs(jerk) > limits.jerk + 1e-3:
            found.append(f"{k // 2}: jerk {jerk:.2f} at {level.name}")
        if now < min(-limits.brake, accel) - 1e-3 or now > max(limits.accel, accel) + 1e-3:
            found.append(f"{k // 2}: acceleration {now:.2f} at {level.name}")
        accel = now
    return found


@pytest.mark.parametrize("name", COURSES)
def test_no_collision_with_the_envelope_and_one_without(name):
    road, way, scripts, speed, begin = COURSES[name]
    kept = drive(road, way, scripts, speed=speed, begin=begin)
    assert not kept.collided
    assert kept.unsecured() == []
    assert max(kept.column("intervention")) == 1
    assert max(kept.column("assumption")) > 0
    assert broken_limits(kept) == []
    assert drive(road, way, scripts, speed=speed, begin=begin, safety=False).collided


@pytest.mark.parametrize(("speed", "ahead", "gap"), [(13.0, 28.0, 0.75), (17.0, 34.0, 1.15), (10.0, 24.0, 0.55)])
def test_a_hard_stop_is_finished_behind_one_who_brakes_harder_than_assumed(speed, ahead, gap):
    # the last decimetres: a car that still rolls when its reference rests is not left to comfort's feedback
    run = drive(STRAIGHT, ROAD, [braking(X0 + ahead, Y0, 0.0, speed, 9.81, 3.0)], speed=speed)
    assert min(run.gaps) > gap
    assert broken_limits(run) == []


def test_a_plan_into_a_standing_car_is_overridden_in_time_and_without_dithering():
    run = drive(STRAIGHT, ROAD, [standing(X0 + 80.0, Y0)], speed=10.0)
    active = run.column("intervention")
    assert run.speeds[-1] < 0.01
    assert 0.3 < run.gaps[-1] < 1.5
    assert sum(abs(a - b) for a, b in pairwise(active)) <= 3


@pytest.mark.parametrize(
    ("back", "speed", "away", "comes"), [(10.0, 10.0, 24.0, 10.0), (8.0, 8.0, 24.0, 10.0), (12.0, 10.0, 18.0, 8.0)]
)
def test_a_stop_that_is_still_there_is_taken_although_the_ego_would_be_out_in_time(back, speed, away, comes):
    # as the other drives now: it may come faster, and then nothing would be left
    other = straight_on(float(EAST["x"]) + away, float(EAST["y"]), math.pi, comes)
    run = drive(STOP_SIGNS, SIGNED, [other], speed=speed, begin=float(SIGNED.starts[1]) - back, seconds=0.6)
    assert run.unsecured() == []
    assert run.column("intervention")[-1] == 1


@pytest.mark.parametrize("begin", [10.6, 11.0, 12.8, 13.0, 14.2, 14.8])
def test_a_plan_that_rests_too_close_is_not_let_back_in_before_it_leaves_a_way_out(begin):
    # from a walk the plan is looked at for longer, and stands by then: that alone does not make it safe
    stops = drive(
        STRAIGHT, ROAD, [standing(X0 + 40.0, Y0)], speed=6.0, begin=begin, seconds=8.0,
        target=lambda tick: 6.0 if tick < 18 else 0.0,
    )  # fmt: skip
    assert max(stops.column("intervention")) == 1
    assert stops.unsecured() == []
    assert all(word.plan_verified for word, after in pairwise(stops.words) if not after.memory.active)


@pytest.mark.parametrize("beyond", [0.0, 6.0, 12.0])
def test_to_rest_in_a_zone_that_was_passed_leaves_a_way_out(beyond):
    # a thing falls onto the road behind the crossing once the ego has passed the one who waits
    def falls(time: float):
        return Body(float(THROUGH.path.x[0]), float(EAST["y"]) + beyond, 0.0, 0.0, Kind.OBJECT, 0.5, 0.5) if time > 4.4 else None

    waits = standing(float(EAST["x"]) + 2.7, float(EAST["y"]), math.pi)
    run = drive(CROSSING, THROUGH, [waits, falls], speed=6.0, begin=33.0, seconds=12.0)
    assert max(run.column("intervention")) == 1
    assert not run.collided
    assert run.unsecured() == []


@pytest.mark.parametrize(("ago", "verified"), [(12, True), (0, False), (None, False)])
def test_who_responds_already_does_so_on_every_way_it_may_take(ago, verified):
    # 6 m before the crossing at 3.6 m/s: easing off at once is in time, after another second it is too late
    body = Body(float(EAST["x"]) + 2.4, float(EAST["y"]), math.pi, 3.6)
    begin = AT_THE_LINE + 3.0
    place = THROUGH.path.at(np.array([begin]))
    plant = Plant(SPEC, (float(place.x[0]), float(place.y[0]), float(place.heading[0])), 4.0)
    percepts = percepts_of(body)
    vehicle, motion = observe(plant.frame(), start(SPEC), CONFIG)
    trajectory, _ = plan(vehicle, THROUGH.path, Constraints(target_speed=4.0), motion, CONFIG)
    memory = start_safety(CROSSING)
    lanes = {int(c["lane"]) for c in conflicts_with(THROUGH, body, begin)}
    assert len(lanes) > 1
    if ago is not None:
        memory = replace(memory, latches=(Latch(0, min(lanes), Assumption.PRIORITY, -ago),))
    verdict, _ = verify(percepts, THROUGH, trajectory, SPEC, memory, CONFIG, ASSUMPTIONS)
    assert verdict.verified == verified


def test_without_the_last_word_a_plan_into_a_standing_car_leaves_no_way_out():
    blind = drive(STRAIGHT, ROAD, [standing(X0 + 80.0, Y0)], speed=10.0, safety=False)
    assert not all(word.plan_verified for word in blind.words)
    assert all(word.plan_verified for word in drive(STRAIGHT, ROAD, [], speed=10.0, safety=False).words)


def test_who_waits_is_passed_and_remembered():
    run = drive(CROSSING, THROUGH, [standing(float(EAST["x"]) + 2.7, float(EAST["y"]), math.pi)], speed=8.0, begin=35.0)
    assert max(run.column("intervention")) == 0
    passed = [word.verdict for word in run.words if word.verdict.past_no_return]
    assert passed
    relied = {latch.assumption for verdict in passed for latch in verdict.latches}
    assert Assumption.WAITS in relied
    assert relied <= {Assumption.WAITS, Assumption.ARRIVAL}
    assert run.unsecured() == []
    assert max(run.column("assumption_violated")) == 0


@pytest.mark.parametrize(("active", "broken"), [(True, Assumption.LEADER), (False, Assumption.NONE)])
def test_during_a_stop_whoever_comes_nearer_at_all_is_named(active, broken):
    """A stop under way may have used up every margin; otherwise 0.3 m are within what is reckoned with."""
    body = standing(X0 + 30.0, Y0)(0.0)
    assert body is not None
    plant = Plant(SPEC, (X0 + 20.0, Y0, 0.0), 10.0)
    vehicle, motion = observe(plant.frame(), start(SPEC), CONFIG)
    trajectory, _ = plan(vehicle, ROAD.path, Constraints(target_speed=10.0), motion, CONFIG)
    percepts = replace(percepts_of(body), ego=ego_estimate(plant.frame()))
    memory = along(start_safety(STRAIGHT), ROAD, SPEC)
    verdict, _ = verify(percepts, ROAD, trajectory, SPEC, memory, CONFIG, ASSUMPTIONS)
    assert not verdict.verified
    (known,) = verdict.seen
    memory = replace(memory, active=active, seen={known: verdict.seen[known] + 0.2})
    again, _ = verify(percepts, ROAD, trajectory, SPEC, memory, CONFIG, ASSUMPTIONS)
    assert again.broken == broken


def test_who_breaks_the_assumption_is_named():
    # waits until the ego cannot stop any more, then starts as hard as a car can
    def late(time: float):
        moved = max(time - 4.7, 0.0)
        return Body(float(EAST["x"]) + 2.7 - 2.0 * moved * moved, float(EAST["y"]), math.pi, 4.0 * moved)

    run = drive(CROSSING, THROUGH, [late], speed=8.0, begin=45.0, seconds=8.0)
    assert int(Assumption.WAITS) in run.column("assumption_violated")


def behind_a_corner(x: float, y: float) -> np.ndarray:
    """Sight (SECTORS,) of an ego that drives north: what lies to the right beyond 9 m is hidden until it is in the junction."""
    sight = np.full(SECTORS, 100.0, np.float32)
    turn = 2.0 * math.pi * (np.arange(SECTORS) + 0.5) / SECTORS
    if y < float(EAST["y"]) - 6.0:
        sight[(turn > math.pi) & (turn < 2.0 * math.pi - 0.05)] = 9.0
    return sight


@pytest.mark.parametrize("away", [40.0, 48.0, 56.0])
def test_a_hidden_corner_is_not_driven_into_blindly(away):
    kept = drive(CROSSING, THROUGH, [runner(away)], speed=10.0, begin=35.0, sight=behind_a_corner)
    assert not kept.collided
    assert broken_limits(kept) == []
    assert int(Assumption.HIDDEN) in kept.column("assumption")


def test_the_corner_hurts_without_the_envelope():
    runs = [
        drive(CROSSING, THROUGH, [runner(away)], speed=10.0, begin=35.0, sight=behind_a_corner, safety=False)
        for away in (40.0, 48.0, 56.0)
    ]
    assert any(run.collided for run in runs)


THINGS = st.lists(
    st.tuples(st.floats(10.0, 90.0), st.floats(0.0, 12.0), st.integers(0, 60), st.integers(3, 60)), min_size=1, max_size=3
)


@settings(max_examples=20)
@given(THINGS, st.floats(2.0, 13.0), st.lists(st.floats(0.0, 13.0), min_size=10, max_size=10))
def test_switches_keep_the_declared_limits_whatever_appears(things, speed, targets):
    # cars that appear out of nowhere and vanish again: no assumption holds, the limits of motion still do
    def script(place: float, moves: float, first: int, ticks: int):
        def at(time: float):
            tick = round(time / TICK_S)
            return straight_on(X0 + place, Y0, 0.0, moves)(time) if first <= tick < first + ticks else None

        return at

    scripts = [script(*thing) for thing in things]
    run = drive(STRAIGHT, ROAD, scripts, speed=speed, seconds=9.0, target=lambda tick: targets[tick // 10 % 10])
    assert broken_limits(run) == []


MERGE = assemble(BUILDERS["merge"]())
JOINS, MAIN = path_of(MERGE, "on_ramp", "main_after_1"), path_of(MERGE, "main_before_1", "main_after_1")


def comes_first(gap: float, speed: float, brake: float, begins: float) -> Outcome:
    """The ego joins a main road at 15 m/s, 65 m before the lanes are one; another on that road is `gap` metres ahead."""
    ahead = float(MAIN.starts[-1]) - 65.0 + gap + SPEC.length

    def at(time: float) -> Body:
        into = min(max(time - begins, 0.0), speed / brake)
        way = speed * min(time, begins) + speed * into - 0.5 * brake * into * into
        place = MAIN.path.at(np.array([ahead + way]))
        return Body(float(place.x[0]), float(place.y[0]), float(place.heading[0]), speed - brake * into)

    return drive(MERGE, JOINS, [at], speed=15.0, begin=float(JOINS.starts[-1]) - 65.0, seconds=9.0)


def test_who_comes_first_into_one_lane_is_followed_as_a_leader_is():
    assert max(comes_first(12.0, 15.0, 8.0, 20.0).column("intervention")) == 0
    # but not from nearer than its hardest braking allows
    assert max(comes_first(3.0, 15.0, 8.0, 20.0).column("intervention")) == 1


@pytest.mark.parametrize("gap", [6.0, 12.0, 24.0])
@pytest.mark.parametrize("begins", [1.5, 2.5, 3.5])
@pytest.mark.parametrize("speed", [12.0, 15.0, 20.0])
def test_who_brakes_at_full_before_one_lane_or_in_it_is_not_run_into(gap, begins, speed):
    run = comes_first(gap - 2.0 * (speed - 15.0), speed, 8.0, begins)
    assert not run.collided
    assert run.unsecured() == []
    assert max(run.column("assumption_violated")) == 0


@settings(max_examples=15)
@given(st.floats(8.0, 40.0), st.floats(2.0, 13.0), st.floats(1.0, 8.0), st.floats(0.5, 6.0), st.floats(3.0, 13.0))
def test_a_way_out_is_always_left_behind_any_leader(gap, lead, brake, begins, speed):
    if speed > lead and gap < 1.2 * speed + (speed * speed - lead * lead) / 12.0:
        gap += 1.2 * speed + (speed * speed - lead * lead) / 12.0  # the course begins with a way out
    run = drive(STRAIGHT, ROAD, [braking(X0 + 10.0 + gap, Y0, 0.0, lead, brake, begins)], speed=speed, seconds=12.0)
    assert not run.collided
    assert run.unsecured() == []


def test_the_check_of_limits_can_fail():
    run = drive(STRAIGHT, ROAD, [], seconds=2.0)
    run.substeps[10] = (8.0, 5.0, 90.0, 0.0)
    assert len(broken_limits(run)) >= 2


def test_the_envelope_knows_nothing_of_the_behaviours():
    folder = Path(avstack.safety.__file__ or "").parent
    for source in folder.glob("*.py"):
        for node in ast.walk(ast.parse(source.read_text(encoding="utf-8"))):
            names = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            names += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            assert not any(name.startswith(("avstack.behaviours", "avstack.stack")) for name in names), (source, names)


def conflicts_with(way, body: Body, s: float) -> np.ndarray:
    """What the envelope takes for conflicts of one road user with an ego at s on its way through the crossing."""
    lanes = start_safety(CROSSING).lanes
    return conflicts_of(percepts_of(body), lanes, own_rows(way.path, SPEC), s, 40.0, SPEC, ASSUMPTIONS)


def percepts_of(body: Body) -> Percepts:
    """One road user that is seen."""
    ego = ego_estimate(Plant(SPEC, (0.0, 0.0, 0.0), 0.0).frame())
    return Percepts(
        tick=0, ego=ego, things=things_of([(0, body)]), signals=np.zeros(0, np.int32), observed_range=100.0, sight=None,
    )  # fmt: skip


LEFT = path_of(CROSSING, "south_in_0", "west_out_0")


def test_who_comes_through_the_crossing_beside_the_ego_is_not_in_its_way():
    # southbound in its own lane, past the middle: no way of its leads to where the ego stands
    assert len(conflicts_with(THROUGH, Body(-2.0, -2.9, -1.6, 8.9), AT_THE_LINE)) == 0
    # eastbound straight on, in the lane's middle: it no more turns right into the road that the ego comes from
    found = conflicts_with(THROUGH, Body(-3.6, -1.6, 0.02, 6.6), AT_THE_LINE)
    assert len(found)
    assert found["enter"].min() > AT_THE_LINE + 5.0


@pytest.mark.parametrize("y", [-4.0, -6.0, -7.0])
def test_a_long_vehicle_that_leaves_the_crossing_does_not_swing_out_towards_who_comes(y):
    # turns end under it as well, in which its body would point elsewhere
    truck = Body(-1.45, y, -0.5 * math.pi, 8.0, Kind.TRUCK, 8.8, 2.5)
    waits = float(THROUGH.path.s[np.argmin(np.abs(THROUGH.path.y + 16.8))])
    found = conflicts_with(THROUGH, truck, waits)
    assert not np.any(np.abs(found["enter"] - waits) < 4.0)


def test_who_crosses_a_left_turn_or_turns_across_still_is():
    across = conflicts_with(LEFT, Body(-2.0, -2.9, -1.6, 8.9), AT_THE_LINE)
    assert len(across)
    assert across["enter"].min() > AT_THE_LINE + 5.0
    assert len(conflicts_with(THROUGH, Body(0.8, 4.1, -0.96, 5.0), AT_THE_LINE))


@pytest.mark.parametrize("gap", [3.5, 5.0, 7.0])
def test_who_begins_too_near_a_slower_leader_opens_the_gap_firmly_and_no_harder(gap):
    ahead = straight_on(X0 + 5.0 + SPEC.length / 2 + gap + 4.7 / 2, Y0, 0.0, 8.5)
    run = drive(STRAIGHT, ROAD, [ahead], speed=10.0, seconds=6.0, target=lambda tick: 8.0)
    assert run.unsecured()[0] == 0
    assert not run.collided
    assert max(run.levels) == Level.FIRM
    assert run.unsecured()[-1] < 30
    assert broken_limits(run) == []


def test_who_begins_too_near_one_that_brakes_hard_brakes_as_hard_as_it_can():
    ahead = braking(X0 + 5.0 + SPEC.length / 2 + 6.0 + 4.7 / 2, Y0, 0.0, 8.5, 6.0, 0.5)
    run = drive(STRAIGHT, ROAD, [ahead], speed=10.0, seconds=6.0, target=lambda tick: 8.0)
    assert max(run.levels) == Level.EMERGENCY


def test_a_short_vehicle_just_past_the_end_of_its_last_lane_has_a_place_all_the_same():
    """Without one, what its way is compared by would be read before it is written."""
    lane = int(np.argmax(CROSSING.lanes["successor_count"] == 0))
    (thing,) = ways.things_of(percepts_of(Body(0.0, 0.0, 0.0, 0.0, Kind.BICYCLE, 1.7)), ASSUMPTIONS)
    place, chain = np.array([lane, CROSSING.lanes["length"][lane] + 0.95, 0.0, 0.0]), np.array([lane])
    out = np.full((ways.LONGEST, 6), np.nan)
    count = ways._lay(thing, place, 0.0, chain, 1, CROSSING.lanes, CROSSING.points, 12.0, out)
    assert count == 1
    assert np.isfinite(out[0]).all()
