"""The stack as a driver: whole episodes, memory that is passed and not held, and input that makes no sense."""

from __future__ import annotations

import copy
from dataclasses import replace

import numpy as np
import pytest

from avstack.behaviours.decision import Manoeuvre, Reason
from avstack.stack import Joint, StackMemory
from eval.drivers import DRIVERS, load_driver
from eval.run import Job, prepare
from sim.interface import Control
from sim.state import CONTROL_DTYPE
from sim.world import World


def as_row(control: Control) -> tuple[float, float, int, int, int, int]:
    return (control.accel, control.steer, int(control.indicator), int(control.gear), int(control.gesture), 1)


class Drive:
    """One episode, step by step."""

    def __init__(self, family: str, seed: int, driver: str = "joint") -> None:
        self.scenario = prepare(Job(target=family, seed=seed, driver=driver))
        assert self.scenario.ego is not None
        self.ego = self.scenario.ego
        self.world = World((self.scenario,))
        actor = self.scenario.actors[self.ego]
        assert actor.route is not None
        self.driver = load_driver(driver)
        self.memory = self.driver.start(self.scenario.road_map, actor.route, actor.body, seed)
        self.controls = np.zeros((1, len(self.scenario.actors)), CONTROL_DTYPE)

    def frame(self):
        return self.world.frame(0, self.ego)

    def step(self):
        decision = self.driver.step(self.frame(), self.memory)
        self.memory = decision.memory
        self.controls[0, self.ego] = as_row(decision.control)
        self.world.step(self.controls)
        return decision


@pytest.fixture(scope="module")
def drive() -> Drive:
    made = Drive("four_way_stop", 3)
    for _ in range(60):
        made.step()
    return made


@pytest.mark.parametrize("name", ["joint", "contingency", "single", "marginal", "cv"])
def test_a_ladder_of_drivers_reaches_the_goal_of_an_all_way_stop(name):
    assert name in DRIVERS
    run = Drive("four_way_stop", 0, name)
    while not run.world.finished(0) and run.world.tick < 750:
        run.step()
    assert run.world.finished(0)
    events = run.world.events(0)
    assert not any(event["kind"] == 0 and run.ego in (event["a"], event["b"]) for event in events)


def replayed(run, ticks):
    """Controls of a new driver on a copy of a drive's memory now, for its next frames; and those of the drive itself."""
    frames, memory, controls = [], copy.deepcopy(run.memory), []
    for _ in range(ticks):
        frames.append(run.frame())
        controls.append(run.step().control)
    again = []
    for frame in frames:
        decision = Joint().step(frame, memory)
        memory = decision.memory
        again.append(decision.control)
    return again, controls


def test_memory_is_passed_and_a_branch_replays_bit_for_bit(drive):
    again, controls = replayed(drive, 10)
    assert again == controls


@pytest.mark.parametrize(("family", "seed"), [("merge", 1), ("roundabout", 1)])
def test_a_copied_memory_replays_bit_for_bit_whatever_was_driven_since(family, seed):
    run = Drive(family, seed)
    for _ in range(20):
        run.step()
    assert isinstance(run.memory, StackMemory)
    again, controls = replayed(run, 60)
    assert again == controls


def test_the_hidden_state_of_others_does_not_matter(drive):
    frame, memory = drive.frame(), drive.memory
    before = drive.driver.step(frame, memory).control
    state = drive.world.state
    for name in state.minds.dtype.names or ():
        if state.minds[name].dtype.kind == "f":
            state.minds[name][0, 1:] = np.nan
    assert drive.driver.step(frame, memory).control == before


def _broken(frame, **odometry):
    return replace(frame, odometry=replace(frame.odometry, **odometry))


@pytest.mark.parametrize(
    "spoil",
    [
        lambda f: replace(f, pose=np.array([np.nan, 0.0, 0.0])),
        lambda f: replace(f, pose=np.array([np.inf, 0.0, 0.0])),
        lambda f: _broken(f, speed=float("nan")),
        lambda f: _broken(f, accel=float("inf")),
    ],
)
def test_own_readings_that_make_no_sense_give_a_stop_with_its_reason(drive, spoil):
    decision = drive.driver.step(spoil(drive.frame()), drive.memory)
    assert int(decision.trace["manoeuvre"]) == Manoeuvre.STOP
    assert int(decision.trace["reason"]) == Reason.BAD_INPUT
    assert decision.control.accel < 0.0
    assert np.isfinite(decision.control.steer)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda f: replace(f, objects=f.objects[:0]),
        lambda f: replace(f, objects=_moved(f.objects, "x", np.nan)),
        lambda f: replace(f, objects=_moved(f.objects, "speed", np.inf)),
        lambda f: replace(f, objects=_moved(f.objects, "x", f.objects["x"] + 500.0)),
        lambda f: replace(f, objects=_at(f.objects, f.pose)),
        lambda f: replace(f, pose=f.pose + np.array([300.0, 300.0, 0.0])),
        lambda f: replace(f, pose=f.pose + np.array([0.0, 0.0, np.pi])),
        lambda f: replace(f, signals=f.signals[:0]),
    ],
)
def test_strange_surroundings_never_raise(drive, spoil):
    decision = drive.driver.step(spoil(drive.frame()), drive.memory)
    assert np.isfinite(decision.control.accel)
    assert np.isfinite(decision.control.steer)


def _moved(objects, name, value):
    changed = objects.copy()
    changed[name] = value
    return changed


def _at(objects, pose):
    changed = objects.copy()
    changed["x"], changed["y"] = pose[0], pose[1]
    return changed


def test_a_thing_inside_the_own_box_stops_the_car():
    run = Drive("four_way_stop", 3)
    for _ in range(50):
        run.step()
    assert run.frame().odometry.speed > 2.0
    for _ in range(15):
        frame = run.frame()
        decision = run.driver.step(replace(frame, objects=_at(frame.objects, frame.pose)), run.memory)
        run.memory = decision.memory
        assert decision.control.accel < 0.0 or frame.odometry.speed < 1.0
        run.controls[0, run.ego] = as_row(decision.control)
        run.world.step(run.controls)
    assert run.frame().odometry.speed < 0.3


def test_past_the_end_of_its_route_the_car_comes_to_rest_and_says_why():
    run = Drive("four_way_stop", 3)
    actor = run.scenario.actors[run.ego]
    assert actor.route is not None
    short = replace(actor.route, lanes=actor.route.lanes[:2], goal_s=1.0)
    run.memory = run.driver.start(run.scenario.road_map, short, actor.body, 3)
    decisions = [run.step() for _ in range(300)]
    assert not run.world.finished(0)
    assert run.frame().odometry.speed < 0.1
    assert int(decisions[-1].trace["reason"]) == Reason.NO_WAY
    stopping = [d.control.accel for d in decisions if int(d.trace["reason"]) == Reason.NO_WAY]
    assert min(stopping) > -4.0


def test_whatever_the_frames_hold_for_seconds_on_end_nothing_is_raised():
    run, random = Drive("four_way_chicken", 2), np.random.default_rng(0)
    spoils = (
        lambda f: replace(f, objects=f.objects[:0]),
        lambda f: replace(f, objects=_moved(f.objects, "x", np.nan)),
        lambda f: replace(f, objects=_moved(f.objects, "vx", np.inf)),
        lambda f: replace(f, objects=_moved(f.objects, "y", f.objects["y"] + random.uniform(-200.0, 200.0))),
        lambda f: replace(f, objects=_moved(f.objects, "heading", random.uniform(-9.0, 9.0))),
        lambda f: replace(f, objects=_at(f.objects, f.pose)),
        lambda f: replace(f, pose=f.pose + np.array([500.0, -500.0, 1.0])),
        lambda f: _broken(f, speed=float("nan")),
        lambda f: f,
    )
    for _ in range(120):
        spoil = spoils[int(random.integers(len(spoils)))]
        decision = run.driver.step(spoil(run.frame()), run.memory)
        run.memory = decision.memory
        assert np.isfinite(decision.control.accel)
        assert np.isfinite(decision.control.steer)
        run.controls[0, run.ego] = as_row(decision.control)
        run.world.step(run.controls)
