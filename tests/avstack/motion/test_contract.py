"""The contract of executed motion: whatever is asked, every substep keeps the limits that the level in force declares."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from avstack.config import MotionConfig
from avstack.motion import Constraints, Leader, MotionMemory, Nudge, VehicleState, Window
from avstack.types import Level
from eval.bench.motion import Drive, Plant, drive, free_stop, straight_path
from sim.interface import TICK_S, VehicleSpec

CONFIG, SPEC = MotionConfig(), VehicleSpec()
PATH = straight_path(SPEC, CONFIG)
AHEAD = np.arange(0.0, 12.1, 0.5)
ROUNDING = 1e-3


def closed_loop(ask, ticks: int, speed: float = 8.0, spec: VehicleSpec = SPEC, noise=None) -> Drive:
    return drive(Plant(spec, (30.0, 0.0, 0.0), speed, noise), PATH, spec, CONFIG, ask, ticks)


def broken(run: Drive) -> list[str]:
    """Every substep that exceeds what its level declares. A control acts one tick after its frame."""
    found = []
    accel = steer = 0.0
    for k, (_, now, jerk, wheel) in enumerate(run.substeps):
        tick = k // 2
        level = Level.COMFORT if tick == 0 else run.levels[tick - 1]
        limits = CONFIG.levels[level]
        if abs(jerk) > limits.jerk + ROUNDING:
            found.append(f"{tick}: jerk {jerk:.2f} at {level.name}")
        if now < min(-limits.brake, accel) - ROUNDING or now > max(limits.accel, accel) + ROUNDING:
            found.append(f"{tick}: acceleration {now:.2f} at {level.name}")
        if abs(wheel - steer) > CONFIG.control.steer_rate * 0.5 * TICK_S + ROUNDING:
            found.append(f"{tick}: steering {(wheel - steer) / TICK_S * 2:.2f} rad/s")
        accel, steer = now, wheel
    return found


@dataclass(frozen=True)
class Wish:
    """Something asked from one tick to another; distances are from where the vehicle is when it begins."""

    first: int
    ticks: int
    kind: str
    way: float
    speed: float


KINDS = ["stop", "prompt", "leader", "emergency", "slow", "window", "nudge"]
WISHES = st.lists(
    st.builds(
        Wish, first=st.integers(0, 60), ticks=st.integers(3, 50), kind=st.sampled_from(KINDS),
        way=st.floats(1.0, 60.0), speed=st.floats(0.0, 12.0),
    ),
    max_size=4,
)  # fmt: skip


def asking(wishes: list[Wish]):
    began: dict[int, float] = {}

    def ask(tick: int, state: VehicleState, memory: MotionMemory) -> Constraints:
        asked = Constraints(target_speed=10.0)
        for number, wish in enumerate(wishes):
            if not wish.first <= tick < wish.first + wish.ticks:
                continue
            place = began.setdefault(number, state.x) + wish.way
            passed = TICK_S * (tick - wish.first)
            if wish.kind in ("stop", "prompt"):
                asked = replace(asked, stops=(*asked.stops, place), prompt=asked.prompt or wish.kind == "prompt")
            elif wish.kind == "leader":
                leader = Leader(t=AHEAD, s=place + wish.speed * (passed + AHEAD))
                asked = replace(asked, leaders=(*asked.leaders, leader))
            elif wish.kind == "emergency":
                asked = replace(asked, emergency=True)
            elif wish.kind == "slow":
                asked = replace(asked, target_speed=min(asked.target_speed, wish.speed))
            elif wish.kind == "window":
                asked = replace(asked, windows=(Window(t_from=0.0, t_to=max(4.0 - passed, 0.0), s_max=place),))
            else:
                asked = replace(asked, nudges=(Nudge(start=place, end=place + 10.0, offset=0.1 * wish.speed),))
        return asked

    return ask


@settings(max_examples=25)
@given(WISHES, st.floats(0.0, 14.0))
def test_nothing_asked_breaks_the_limits_of_the_level_in_force(wishes, speed):
    assert broken(closed_loop(asking(wishes), 100, speed)) == []


@settings(max_examples=6)
@given(WISHES, st.integers(0, 1000))
def test_nor_does_noise(wishes, seed):
    # what the estimate does not know of acceleration shows as so much more jerk
    run = closed_loop(asking(wishes), 80, noise=np.random.default_rng(seed))
    assert [line for line in broken(run) if "steering" not in line] == []


@pytest.mark.parametrize(("first", "ticks"), [(20, 3), (20, 8), (20, 13), (20, 60)])
def test_emergency_and_back(first, ticks):
    run = closed_loop(lambda tick, *_: Constraints(target_speed=12.0, emergency=first <= tick < first + ticks), 120, 10.0)
    assert broken(run) == []
    assert Level.EMERGENCY in run.levels
    assert run.levels[-1] == Level.COMFORT
    assert min(row[1] for row in run.substeps) < -CONFIG.comfort.brake


def test_the_hardest_brake_is_let_go_of_as_soon_as_its_reason_has_gone():
    # the car keeps most of the speed at which the emergency is over: whoever follows counts on that
    run = closed_loop(lambda tick, *_: Constraints(target_speed=12.0, emergency=20 <= tick < 30), 120, 12.0)
    speeds = [substep[0] for substep in run.substeps]
    assert min(speeds) > 0.25 * speeds[2 * 31]
    assert broken(run) == []


def test_a_car_that_lags_behind_a_reference_braked_hard_lets_go_at_that_level_too():
    # the reference could end at comfort already, the car would be at rest while it still brakes
    run = closed_loop(asking([Wish(first=20, ticks=20, kind="window", way=4.01, speed=0.0)]), 100, 4.01)
    assert broken(run) == []
    assert Level.FIRM in run.levels
    assert run.levels[-1] == Level.COMFORT


def test_the_check_can_fail():
    run = closed_loop(lambda *_: Constraints(target_speed=12.0), 20)
    run.substeps[10] = (8.0, 5.0, 9.0, 0.5)
    assert len(broken(run)) >= 3


@pytest.mark.parametrize("lag", [0.2, 0.3])
@pytest.mark.parametrize(("speed", "peak"), [(8.0, 1.1), (13.9, 1.4)])
def test_a_free_stop_costs_little_more_than_the_bound(speed, peak, lag):
    stop = free_stop(PATH, speed, peak, CONFIG, lag)
    assert stop is not None
    assert not stop.sudden
    assert 0.95 < stop.ratio < 1.03
    assert stop.error_m < 0.15


def test_a_free_stop_under_noise():
    stop = free_stop(PATH, 10.0, 1.4, CONFIG, 0.3, seed=7)
    assert stop is not None
    assert stop.ratio < 1.10
    assert stop.error_m < 0.3
