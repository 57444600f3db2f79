"""The facade in closed loop: it follows, stops, backs up, moves aside and changes paths as asked; memory is passed, not held."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from avstack.config import MotionConfig
from avstack.motion import (
    Constraints,
    Leader,
    Nudge,
    Window,
    approach,
    centre_of_front,
    observe,
    plan,
    reference_path,
    start,
    track,
)
from avstack.motion.qp import NODES_S, SpeedProblem, solve_speed
from avstack.types import Level
from eval.bench.motion import Plant, drive, follow_route, straight_path
from sim.interface import VehicleSpec
from sim.roads.route import shortest_route
from tests.sim.roads.maps import built

CONFIG, SPEC = MotionConfig(), VehicleSpec()
PATH = straight_path(SPEC, CONFIG)
AHEAD = np.arange(0.0, 12.1, 0.5)


def run(ask, ticks: int, speed: float = 8.0, x: float = 30.0):
    return drive(Plant(SPEC, (x, 0.0, 0.0), speed), PATH, SPEC, CONFIG, ask, ticks)


def test_it_settles_behind_a_leader_at_the_time_gap():
    def ask(tick, *_):
        return Constraints(target_speed=14.0, leaders=(Leader(t=AHEAD, s=60.0 + 6.0 * (0.1 * tick + AHEAD)),))

    drove = run(ask, 400)
    gap = 60.0 + 6.0 * 40.0 - drove.poses[-1][0] - 0.5 * SPEC.length
    assert drove.substeps[-1][0] == pytest.approx(6.0, abs=0.05)
    assert gap == pytest.approx(CONFIG.speed.standing_gap + 6.0 * CONFIG.speed.time_gap, abs=0.5)
    assert set(drove.levels) == {Level.COMFORT}


def test_it_queues_behind_a_leader_at_rest():
    drove = run(lambda *_: Constraints(target_speed=10.0, leaders=(Leader(t=AHEAD, s=np.full(len(AHEAD), 100.0)),)), 300)
    assert 100.0 - drove.poses[-1][0] - 0.5 * SPEC.length == pytest.approx(CONFIG.speed.standing_gap, abs=0.3)
    assert drove.substeps[-1][0] < 0.01


def test_a_window_is_waited_for_and_a_gap_is_made():
    def wait(tick, *_):
        return Constraints(target_speed=8.0, windows=(Window(t_from=0.0, t_to=max(5.0 - 0.1 * tick, 0.0), s_max=55.0),))

    drove = run(wait, 120)
    assert max(pose[0] for pose in drove.poses[:48]) < 55.3
    assert drove.poses[-1][0] > 70.0

    def hurry(tick, *_):
        return Constraints(target_speed=8.0, windows=(Window(t_from=4.0 - 0.1 * tick, t_to=12.0, s_min=63.5),))

    assert run(hurry, 60).poses[41][0] > 63.2


def test_a_stop_line_is_for_the_front():
    stop = centre_of_front(80.0, SPEC)
    drove = run(lambda *_: Constraints(target_speed=8.0, stops=(stop,)), 250)
    assert drove.poses[-1][0] + 0.5 * SPEC.length == pytest.approx(80.0, abs=0.2)


@pytest.mark.parametrize("seed", range(3))
def test_resting_anywhere_costs_no_jolt_whatever_the_noise(seed):
    plant = Plant(SPEC, (30.0, 0.0, 0.0), 1.6, np.random.default_rng(seed))
    drove = drive(plant, PATH, SPEC, CONFIG, lambda tick, *_: Constraints(target_speed=1.6, rest=tick > 5), 120)
    assert set(drove.levels) == {Level.COMFORT}
    assert drove.substeps[-1][0] < 0.01
    assert drove.poses[-1][0] < 34.5


@pytest.mark.parametrize(("short", "goes_on"), [(1.5, True), (0.5, False)])
@pytest.mark.parametrize("backwards", [False, True])
def test_a_car_that_rests_well_short_of_its_stop_drives_up_to_it(short, goes_on, backwards):
    """Where it is is corrected once it stands."""
    plant = Plant(SPEC, (30.0, 0.0, 0.0), 0.0)

    def ask(tick, *_):
        if tick == 150:
            plant.body["x"] += short if backwards else -short
        return Constraints(reverse_to=25.0) if backwards else Constraints(target_speed=8.0, stops=(40.0,))

    drove = drive(plant, PATH, SPEC, CONFIG, ask, 300)
    assert abs(drove.poses[-1][0] - (25.0 if backwards else 40.0)) == pytest.approx(0.0 if goes_on else short, abs=0.25)
    assert set(drove.levels) == {Level.COMFORT}


def test_resting_goes_on_with_the_stop_under_way():
    def ask(tick, *_):
        return Constraints(target_speed=8.0, stops=(60.0,) if tick < 60 else (), rest=tick >= 60)

    assert run(ask, 200).poses[-1][0] == pytest.approx(60.0, abs=0.2)


@pytest.mark.parametrize(("nearer", "gentle"), [(0.08, True), (0.6, False)])
def test_a_stop_that_comes_a_little_nearer_is_passed_by_centimetres_not_jolted_for(nearer, gentle):
    """The stop moves when 0.5 m/s are left."""
    moved = []

    def ask(tick, state, *_):
        if state.speed < 0.5:
            moved.append(tick)
        return Constraints(target_speed=8.0, stops=(60.0 - (nearer if moved else 0.0),))

    drove = run(ask, 200)
    assert (max(drove.levels) == Level.COMFORT) == gentle
    assert drove.poses[-1][0] < 60.1


def test_a_zone_that_closes_too_late_is_worth_firm_braking_a_leader_all_there_is():
    def closes(tick, *_):
        return Constraints(target_speed=8.0, windows=(Window(t_from=0.0, t_to=8.0, s_max=50.0),) if tick > 20 else ())

    def appears(tick, *_):
        return Constraints(target_speed=8.0, leaders=(Leader(t=AHEAD, s=np.full(len(AHEAD), 58.5)),) if tick > 20 else ())

    firm, hard = run(closes, 60), run(appears, 60)
    assert max(firm.levels) == Level.FIRM
    assert min(row[1] for row in firm.substeps) < -3.0
    assert max(hard.levels) == Level.EMERGENCY
    assert hard.poses[-1][0] < 58.5 - 0.5 * SPEC.length


def test_a_first_plan_waits_until_control_can_act():
    # a stop that must begin at once: nothing is to be made up for, so jerk stays with what is planned, which falls
    drove = run(lambda *_: Constraints(target_speed=8.0, stops=(57.5,)), 20)
    assert max(abs(jerk) for _, _, jerk, _ in drove.substeps[4:]) < 1.45


def test_backing_up_and_going_on():
    drove = run(lambda tick, *_: Constraints(target_speed=6.0, reverse_to=25.0 if tick < 200 else None), 330, speed=0.0)
    xs = np.array([pose[0] for pose in drove.poses])
    assert xs[195] == pytest.approx(25.0, abs=0.2)
    assert min(row[0] for row in drove.substeps) >= -CONFIG.reverse_speed - 0.1
    assert xs[-1] > 40.0


def test_a_nudge_is_driven():
    nudge = Nudge(start=70.0, end=90.0, offset=1.2)
    drove = run(lambda *_: Constraints(target_speed=8.0, nudges=(nudge,)), 200)
    inside = [y for x, y, _ in drove.poses if nudge.start + 1.0 < x < nudge.end - 1.0]
    assert inside == pytest.approx([1.2] * len(inside), abs=0.1)
    assert drove.poses[-1][1] == pytest.approx(0.0, abs=0.05)


def test_a_turn_is_driven_to_the_centimetre():
    road_map = built("four_way", control="all_way")
    route = shortest_route(road_map, road_map.lane("east_in_0"), road_map.lane("south_out_0"))
    drove, offsets = follow_route(road_map, route, CONFIG)
    assert np.abs(offsets).max() < 0.05
    assert set(drove.levels) == {Level.COMFORT}


def test_memory_is_passed_not_held():
    plant = Plant(SPEC, (30.0, 0.0, 0.0), 8.0)
    asked = Constraints(target_speed=9.0, stops=(90.0,))
    memory = start(SPEC)
    for _ in range(20):
        state, memory = observe(plant.frame(), memory, CONFIG)
        trajectory, memory = plan(state, PATH, asked, memory, CONFIG)
        control, memory = track(state, trajectory, memory, CONFIG)
        plant.step(control)
    frame = plant.frame()

    def once():
        state, later = observe(frame, memory, CONFIG)
        trajectory, later = plan(state, PATH, asked, later, CONFIG)
        return trajectory, track(state, trajectory, later, CONFIG)[0]

    (one, first), (two, second) = once(), once()
    assert first == second
    assert np.array_equal(one.s, two.s)
    assert not one.s.flags.writeable


def test_a_solution_depends_on_its_problem_alone():
    nodes = len(NODES_S)

    def solve(v: float, room: float):
        problem = SpeedProblem(
            v=v, a=0.0, free_v=np.full(nodes, v), free_a=np.zeros(nodes), free_j=np.zeros(nodes), upper=np.full(nodes, room),
            lower=None, follow=None, time_gap=1.4, cap=np.full(nodes, v), brake=np.full(nodes, 2.0), accel=np.full(nodes, 1.5),
            jerk=1.35, weights=(0.2, 0.05, 4.0),
        )  # fmt: skip
        return solve_speed(problem)

    first = solve(8.0, 60.0)
    assert first is not None
    for v, room in ((5.0, 40.0), (12.0, 90.0), (8.0, 60.0)):
        other = solve(v, room)
        again = solve(8.0, 60.0)
        assert other is not None
        assert again is not None
        assert np.array_equal(again[0], first[0])
        assert again[1:] == first[1:]


def test_onto_another_path_the_reference_keeps_its_place():
    moved = replace(PATH, x=PATH.x + 12.0)
    drove = drive(plant := Plant(SPEC, (30.0, 0.0, 0.0), 8.0), PATH, SPEC, CONFIG, lambda *_: Constraints(target_speed=8.0), 10)
    memory = start(SPEC)
    plant.tick = 0
    speeds = []
    for k in range(30):
        state, memory = observe(plant.frame(), memory, CONFIG)
        trajectory, memory = plan(state, PATH if k < 15 else moved, Constraints(target_speed=8.0), memory, CONFIG)
        control, memory = track(state, trajectory, memory, CONFIG)
        speeds += [row[2] for row in plant.step(control)]
    assert drove.levels
    assert np.abs(speeds).max() < 0.3


@pytest.mark.parametrize(
    ("asked", "match"),
    [
        (Constraints(target_speed=float("nan")), "target speed"),
        (Constraints(stops=(float("nan"),)), "must be numbers"),
        (Constraints(leaders=(Leader(t=np.array([0.0, 0.0]), s=np.array([1.0, 2.0])),)), "increasing times"),
    ],
)
def test_nonsense_is_refused(asked, match):
    plant, memory = Plant(SPEC, (30.0, 0.0, 0.0), 8.0), start(SPEC)
    state, memory = observe(plant.frame(), memory, CONFIG)
    with pytest.raises(ValueError, match=match):
        plan(state, PATH, asked, memory, CONFIG)


def test_a_reading_that_is_not_finite_is_refused():
    plant = Plant(SPEC, (30.0, float("nan"), 0.0), 8.0)
    with pytest.raises(ValueError, match="must be finite"):
        observe(plant.frame(), start(SPEC), CONFIG)


def test_importing_motion_loads_no_solver():
    code = "import sys, avstack.motion; print([m for m in ('piqp', 'scipy.sparse', 'scipy.interpolate') if m in sys.modules])"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"


@pytest.mark.parametrize(("speed", "level"), [(12.0, Level.COMFORT), (3.0, Level.FIRM), (0.0, Level.FIRM)])
def test_a_speed_is_taken_on_within_the_limits_of_its_level(speed, level):
    plant = Plant(SPEC, (30.0, 0.0, 0.0), 8.0)
    state, memory = observe(plant.frame(), start(SPEC), CONFIG)
    trajectory, after = approach(state, PATH, memory, speed, level, CONFIG)
    limits = CONFIG.levels[level]
    assert trajectory.s[0] == pytest.approx(30.0, abs=0.3)
    assert trajectory.speed[0] == pytest.approx(8.0, abs=0.1)
    assert trajectory.speed[-1] == pytest.approx(speed, abs=0.2)
    assert trajectory.accel.max() <= limits.accel + 1e-6
    assert trajectory.accel.min() >= -limits.brake - 1e-6
    assert np.abs(np.diff(trajectory.accel)).max() <= 0.1 * limits.jerk + 1e-6
    assert (trajectory.speed >= 0.0).all()
    # the next one goes on from where this one will be, not from the measurement
    later, _ = approach(replace(state, tick=1, speed=state.speed + 0.5), PATH, after, speed, level, CONFIG)
    assert later.speed[0] == pytest.approx(trajectory.speed[1], abs=1e-6)


def test_a_speed_is_taken_on_no_faster_than_bends_allow():
    road_map = built("four_way", control="none")
    route = shortest_route(road_map, road_map.lane("south_in_0"), road_map.lane("west_out_0"))
    path = reference_path(road_map, route, SPEC, CONFIG.path)
    first = road_map.lane_points(road_map.lane("south_in_0"))[0]
    plant = Plant(SPEC, (float(first["x"]), float(first["y"]), float(first["heading"])), 5.0)
    state, memory = observe(plant.frame(), start(SPEC), CONFIG)
    trajectory, _ = approach(state, path, memory, 30.0, Level.FIRM, CONFIG)
    caps = np.interp(trajectory.s, path.s, path.caps)
    assert (trajectory.speed <= caps + 0.3).all()
    assert trajectory.speed.max() > 6.0


@pytest.mark.parametrize("speed", [6.0, 8.0, 13.0])
def test_a_prompt_stop_is_sooner_at_its_place_within_comfort(speed):
    stop = centre_of_front(110.0, SPEC)

    def arrived(drove):
        return next(k for k, (v, *_) in enumerate(drove.substeps) if v < 0.5)

    smooth = run(lambda *_: Constraints(target_speed=speed, stops=(stop,)), 300, speed)
    prompt = run(lambda *_: Constraints(target_speed=speed, stops=(stop,), prompt=True), 300, speed)
    assert (arrived(smooth) - arrived(prompt)) * 0.05 > 0.8
    assert prompt.poses[-1][0] == pytest.approx(stop, abs=0.2)
    assert set(prompt.levels) == {Level.COMFORT}
    accel = np.array([a for _, a, *_ in prompt.substeps])
    assert accel.min() > -CONFIG.comfort.brake


@pytest.mark.parametrize("way", np.arange(26.0, 34.0, 0.37))
def test_a_prompt_stop_is_prompt_from_wherever_it_is_asked_for(way):
    """Between two steps in which one speeds up, the way to rest grows by more than a step's way."""
    stop = 30.0 + float(way)
    slower = run(lambda *_: Constraints(target_speed=13.0, stops=(stop,)), 200, 8.0)
    prompt = run(lambda *_: Constraints(target_speed=13.0, stops=(stop,), prompt=True), 200, 8.0)
    rests = [next(k for k, (v, *_) in enumerate(drove.substeps) if v < 0.5) for drove in (slower, prompt)]
    assert (rests[0] - rests[1]) * 0.05 > 0.4
    assert min(a for _, a, *_ in prompt.substeps) < -0.8 * CONFIG.comfort.brake


def test_a_prompt_stop_too_near_for_comfort_is_made_as_any_other():
    near = [Constraints(target_speed=8.0, stops=(52.0,), prompt=prompt) for prompt in (False, True)]
    ends = [run(lambda *_, ask=ask: ask, 120).poses[-1][0] for ask in near]
    assert ends[0] == ends[1]
