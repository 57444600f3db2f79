"""Negative controls: for every metric that has a better direction a deliberately bad drive comes out worse than a good one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from eval.metrics.probing import CREEP
from eval.metrics.registry import METRICS
from eval.metrics.result import Better, References
from eval.metrics_page import declared, metrics_page
from sim.interface import PERCEPT_COLUMNS, Floats
from sim.recording import Recording

from .test_nuplan import driving
from .written import EGO, JUNCTION, MIDDLE, OTHER, recording, standing, steady

TICKS = 300
PAGE = Path(__file__).parents[3] / "docs" / "metrics.md"
Drive = tuple[Recording, References]


def crossing(arrive: int, enter: int, creeps: int = 0) -> Floats:
    """At the line from tick `arrive`, over it from tick `enter`, with some creeping in between."""
    s = np.full(TICKS, 20.0)
    s[:arrive] = 20.0 - 0.8 * (arrive - np.arange(arrive))
    s[enter:] = 20.0 + 0.5 * (1 + np.arange(TICKS - enter))
    for creep in range(creeps):
        first = arrive + 10 + 12 * creep
        s[first:enter] += 0.1 * np.minimum(1 + np.arange(enter - first), 4)
        s[enter:] += 0.4
    return s


def meeting(ego: Floats, other: Floats, **traced: list[float]) -> Drive:
    """Both cross; without ego the other would have crossed at once."""
    absent = recording(standing(TICKS, -1e3), crossing(50, 60))
    alone = recording(steady(TICKS, 0.0, 8.0), standing(TICKS))
    return recording(ego, other, traced), References(junction=JUNCTION, without_ego=absent, ordinary=absent, alone=alone)


def enveloped(**traced: list[float]) -> Drive:
    whole = {"intervention": [0.0] * TICKS, "assumption_violated": [0.0] * TICKS, "fallback_verified": [1.0] * TICKS}
    return recording(steady(TICKS, 0.0, 2.0), standing(TICKS), whole | traced), References()


def believing(chance: float, at_commitment: float) -> Drive:
    """The other goes first; ego holds `chance` for that, and `at_commitment` when it sets off."""
    other = crossing(50, 70)
    chances = [np.array([at_commitment if tick > 100 else chance]) for tick in range(TICKS)]
    arrays: dict[str, list[NDArray[np.generic]]] = {
        "go_first": [*chances],
        "influence": [np.array([0.0])] * TICKS,
        "others": [np.array([7])] * TICKS,
        "lets_go": [np.array([0], np.int8)] * TICKS,
        "others_at": [np.array([[0.0, s - MIDDLE]]) for s in other],
    }
    return recording(crossing(52, 110), other, {"manoeuvre": [2.0] * TICKS}, arrays), References(junction=JUNCTION)


def creeping(after: float, person: float) -> Drive:
    """Ego creeps for 30 s; the chance of somebody's going first falls to `after`; a person stands at `person`."""
    arrays: dict[str, list[NDArray[np.generic]]] = {
        "go_first": [np.array([0.5])] * 100 + [np.array([after])] * 200,
        "others": [np.array([7])] * TICKS,
    }
    traced = {"manoeuvre": [float(CREEP)] * TICKS}
    kinds = ("CAR", "PEDESTRIAN")
    return recording(steady(TICKS, 18.0, 0.3), standing(TICKS, person), traced, arrays, kinds=kinds), References()


def following(gap: float) -> Drive:
    found = recording(steady(TICKS, 0.0, 10.0), steady(TICKS, 0.0, 10.0))
    ahead = found.rows[1::2]
    ahead["x"], ahead["y"], ahead["heading"] = found.rows[0::2]["x"] + gap, 0.0, 0.0
    return found, References()


def responding(accel: float) -> Drive:
    """Too near all the time, braking so hard."""
    found, references = following(8.0)
    found.rows[0::2]["accel"] = accel
    return found, references


def hitting(hit: bool) -> Drive:
    """Ego pulls out slowly in front of one that comes too fast to stop and was in full view."""
    ego = standing(TICKS, MIDDLE - 5.0)
    ego[40:] = MIDDLE - 5.0 + 0.25 * np.arange(TICKS - 40)
    events = [("COLLISION", 58, EGO, OTHER)] if hit else []
    return recording(ego, steady(TICKS, MIDDLE - 60.0, 10.0), events=events), References()


def ramming(hit: bool) -> Drive:
    ego = np.minimum(steady(TICKS, -30.0, 8.0), MIDDLE - 3.0)
    events = [("COLLISION", int(np.argmax(ego >= MIDDLE - 3.3)), EGO, OTHER)] if hit else []
    return recording(ego, standing(TICKS, MIDDLE), events=events), References()


def stopping(hard: bool) -> Drive:
    t = 0.1 * np.arange(TICKS)
    smooth = np.where(
        t < 12.5, 40.0 - 40.0 * (1.0 - np.minimum(t / 12.5, 1.0)) ** 4 * (1.0 + 3.0 * np.minimum(t / 12.5, 1.0)), 40.0
    )
    return meeting(np.minimum(steady(TICKS, -20.0, 8.0), 20.0) if hard else np.asarray(smooth - 20.0), standing(TICKS))


def wavering(wavy: bool) -> Drive:
    wave = 0.2 * np.sin(0.2 * np.arange(TICKS)) if wavy else 0.0
    return meeting(np.asarray(steady(TICKS, 0.0, 5.0) + wave), standing(TICKS))


def braking(hard: bool) -> Drive:
    """The other slows down for ego near the junction, hard or not at all."""
    other = steady(TICKS, -40.0, 5.0)
    if hard:
        other[120:] = other[120] + 1.0 * 0.1 * np.arange(TICKS - 120)
    drive, references = meeting(steady(TICKS, -40.0, 4.5), other)
    return drive, replace(references, without_ego=recording(standing(TICKS, -1e3), steady(TICKS, -40.0, 5.0)))


def striking(hit: bool) -> Drive:
    """Ego drives into a heap on its way."""
    found, references = ramming(hit)
    ego, other = found.header.actors
    return replace(found, header=replace(found.header, actors=(ego, replace(other, thing="dirt_pile")))), references


def fearing(phantom: bool, *, heap: float = -500.0) -> Drive:
    """Ego brakes at 3 m/s² to a halt at 24 m, while something is said to lie at 32 m; a real heap lies at `heap`."""
    t = 0.1 * np.arange(TICKS)
    ego = np.where(t < 4.0, 12.0 * t - 1.5 * t**2, 24.0)
    row = np.zeros((1, len(PERCEPT_COLUMNS)))
    seen = {"x": 32.0 - MIDDLE, "length": 1.0, "width": 1.0, "existence": 0.9 if phantom else 0.1}
    for name, value in seen.items():
        row[0, PERCEPT_COLUMNS.index(name)] = value
    found = recording(ego, standing(TICKS), arrays={"percepts": [row] * TICKS})
    found.rows["status"] = found.header.status_active
    lying = found.rows[1::2]
    lying["x"], lying["y"] = heap - MIDDLE, 0.0
    return found, References()


def noticing(after: float | None) -> Drive:
    """The sensors fail at 5 s, and the driver notices so long after, or never."""
    said = [float(after is not None and 0.1 * tick >= 5.0 + after - 1e-9) for tick in range(TICKS)]
    found = recording(steady(TICKS, 0.0, 5.0), standing(TICKS), {"fault": said})
    return replace(found, header=replace(found.header, parameters={"faults.0.start_s": 5.0})), References()


def perceiving(
    existence: float = 0.9, *, off: float = 0.1, var: float = 0.01, doubled: bool = False, ghost: bool = False
) -> Drive:
    """The other is perceived so far off; `doubled`, it is perceived a second time beside that; `ghost`, it is not there."""
    other = steady(TICKS, 0.0, 5.0)
    said = {"existence": existence, "var_x": var, "var_y": var, "var_vx": var, "var_vy": var, "vy": 5.0}
    arrays = []
    for s in other:
        rows = np.zeros((1 + doubled, len(PERCEPT_COLUMNS)))
        for name, value in said.items():
            rows[:, PERCEPT_COLUMNS.index(name)] = value
        rows[:, PERCEPT_COLUMNS.index("x")] = off
        rows[:, PERCEPT_COLUMNS.index("y")] = s - MIDDLE
        rows[1:, PERCEPT_COLUMNS.index("x")] = off + 0.5
        arrays.append(rows)
    found = recording(standing(TICKS), other, arrays={"percepts": arrays})
    found.rows["status"] = found.header.status_active
    if ghost:
        found.rows["status"][1::2] = 0
    return found, References()


FAIR, RUDE = crossing(50, 60), crossing(70, 80)
PAIRS: dict[str, tuple[Callable[[], Drive], Callable[[], Drive]]] = {
    "delay": (lambda: meeting(FAIR, crossing(50, 90)), lambda: meeting(FAIR, crossing(50, 200))),
    "ego_delay": (lambda: meeting(FAIR, crossing(50, 90)), lambda: meeting(crossing(50, 200), crossing(50, 90))),
    "time_used": (lambda: meeting(FAIR, crossing(50, 90)), lambda: meeting(crossing(50, 200), crossing(50, 90))),
    "deadlocks": (lambda: meeting(FAIR, crossing(50, 110)), lambda: meeting(crossing(50, 250), crossing(50, 260))),
    "order_violations": (lambda: meeting(FAIR, crossing(70, 110)), lambda: meeting(RUDE, crossing(60, 120))),
    "order_violations_suffered": (lambda: meeting(FAIR, crossing(70, 110)), lambda: meeting(crossing(50, 120), crossing(60, 65))),
    "creep_cycles": (lambda: meeting(crossing(50, 120), FAIR), lambda: meeting(crossing(50, 120, creeps=4), FAIR)),
    "imposed_delay": (lambda: meeting(crossing(50, 100), FAIR), lambda: meeting(FAIR, crossing(50, 100))),
    "imposed_braking": (lambda: braking(False), lambda: braking(True)),
    "min_pet": (lambda: meeting(FAIR, crossing(50, 110)), lambda: meeting(FAIR, crossing(50, 78))),
    "rss_violation_s": (lambda: following(25.0), lambda: following(8.0)),
    "rss_improper_s": (lambda: responding(-4.2), lambda: responding(-2.0)),
    "avoidable_collisions": (lambda: ramming(False), lambda: ramming(True)),
    "cut_off_collisions": (lambda: hitting(False), lambda: hitting(True)),
    "progress": (lambda: meeting(steady(TICKS, 0.0, 8.0), FAIR), lambda: meeting(steady(TICKS, 0.0, 3.0), FAIR)),
    "nuplan_score": (driving, lambda: driving(speed=13.0)),
    "jerk_95": (lambda: wavering(False), lambda: wavering(True)),
    "jerk_squared": (lambda: wavering(False), lambda: wavering(True)),
    "jerk_violations": (lambda: stopping(False), lambda: stopping(True)),
    "max_decel": (lambda: stopping(False), lambda: stopping(True)),
    "stop_jerk_95": (lambda: stopping(False), lambda: stopping(True)),
    "stop_jerk_over": (lambda: stopping(False), lambda: stopping(True)),
    "stop_decel": (lambda: stopping(False), lambda: stopping(True)),
    "comfort_regret": (lambda: wavering(False), lambda: wavering(True)),
    "jerk_of_crossing": (lambda: wavering(False), lambda: wavering(True)),
    "fallback_available": (enveloped, lambda: enveloped(fallback_verified=[0.0] * TICKS)),
    "fallback_lost": (enveloped, lambda: enveloped(fallback_verified=[0.0] * TICKS)),
    "fallback_missing_s": (enveloped, lambda: enveloped(fallback_verified=[0.0] * TICKS)),
    "interventions": (enveloped, lambda: enveloped(intervention=[1.0] * TICKS)),
    "intervention_s": (enveloped, lambda: enveloped(intervention=[1.0] * TICKS)),
    "belief_log_loss": (lambda: believing(0.95, 0.95), lambda: believing(0.05, 0.05)),
    "commitment_log_loss": (lambda: believing(0.95, 0.95), lambda: believing(0.95, 0.05)),
    "time_to_sure": (lambda: believing(0.96, 0.96), lambda: believing(0.96, 0.5)),
    "learned_nats": (lambda: creeping(0.99, -50.0), lambda: creeping(0.5, -50.0)),
    "crept_at_person_s": (lambda: creeping(0.5, -50.0), lambda: creeping(0.5, MIDDLE)),
    "struck_things": (lambda: striking(False), lambda: striking(True)),
    "hard_brakes": (lambda: stopping(False), lambda: stopping(True)),
    "phantom_stops": (lambda: fearing(False), lambda: fearing(True)),
    "fault_noticed": (lambda: noticing(0.2), lambda: noticing(None)),
    "time_to_notice": (lambda: noticing(0.2), lambda: noticing(2.0)),
    "existence_log_loss": (perceiving, lambda: perceiving(ghost=True)),
    "position_miscoverage": (perceiving, lambda: perceiving(off=1.0)),
}


@pytest.mark.parametrize("name", list(METRICS))
def test_a_bad_drive_is_worse_than_a_good_one(name: str):
    if name not in PAIRS:
        plain = METRICS[name](*meeting(FAIR, crossing(50, 110)))
        assert plain.better is Better.NEITHER, f"{name} has a better direction: give it a drive that must fail it"
        return
    good, bad = (METRICS[name](*drive()) for drive in PAIRS[name])
    assert good.valid
    assert (good.unit, good.better) == (declared(METRICS[name]).unit, declared(METRICS[name]).better)
    assert bad.valid
    assert good.unit == bad.unit != ""
    assert good.better is not Better.NEITHER
    assert (good.value < bad.value) if good.better is Better.LOWER else (good.value > bad.value)


def test_the_page_of_metrics_is_up_to_date():
    assert PAGE.read_text(encoding="utf-8") == metrics_page(), "avstack metrics > docs/metrics.md"
    for name, metric in METRICS.items():
        assert f"| `{name}` |" in metrics_page()
        assert declared(metric).unit, f"{name} has no unit"
        assert metric.__doc__


def test_a_proper_response_has_its_response_time():
    found, references = responding(-4.2)
    found.rows[0::2]["accel"][:3] = 1.0
    late = METRICS["rss_improper_s"](found, references).value
    assert late == pytest.approx(0.1), "0.2 s pass before it has to brake"
    found.rows[0::2]["accel"][:3] = 3.0
    assert METRICS["rss_improper_s"](found, references).value == pytest.approx(0.3), "and it may not speed up harder than assumed"


def test_a_stop_for_what_is_there_is_no_phantom_stop():
    assert METRICS["phantom_stops"](*fearing(True)).value == 1.0, "one braking, one phantom stop"
    assert METRICS["phantom_stops"](*fearing(True, heap=32.5)).value == 0.0, "it is the heap that is there"
    assert METRICS["phantom_stops"](*fearing(True, heap=27.0)).value == 0.0, "a heap is in the way as well"


def test_hitting_a_car_strikes_no_thing():
    assert METRICS["struck_things"](*ramming(True)).value == 0.0


def test_doubt_is_what_lowers_the_speed():
    traced = {"doubted": [0.0] * 100 + [2.0] * 100 + [0.0] * 100, "trust": [1.0] * 250 + [0.5] * 50}
    found = recording(steady(TICKS, 0.0, 5.0), standing(TICKS), traced)
    assert METRICS["doubt_share"](found, References()).value == pytest.approx(0.5)
    assert not METRICS["doubt_share"](recording(steady(TICKS, 0.0, 5.0), standing(TICKS)), References()).valid


def test_a_drive_without_a_fault_has_nothing_to_notice():
    found, references = noticing(0.2)
    sound = replace(found, header=replace(found.header, parameters={}))
    assert not METRICS["fault_noticed"](sound, references).valid
    assert METRICS["time_to_notice"](found, references).value == pytest.approx(0.2)


def test_percepts_are_held_against_what_is_there():
    def value(name: str, drive: Drive) -> float:
        return METRICS[name](*drive).value

    assert value("existence_log_loss", perceiving(0.9)) == pytest.approx(-np.log(0.9))
    assert value("existence_log_loss", perceiving(0.9, ghost=True)) == pytest.approx(-np.log(0.1))
    doubled = value("existence_log_loss", perceiving(0.9, doubled=True))
    assert doubled == pytest.approx(-0.5 * (np.log(0.9) + np.log(0.1))), "of two percepts of one body one is of nothing"
    assert value("position_nees", perceiving(off=0.2)) == pytest.approx(0.5 * 0.2**2 / 0.01, rel=1e-3)
    assert value("position_coverage", perceiving(off=0.2)) == 1.0
    assert value("position_coverage", perceiving(off=0.3)) == 0.0, "0.09 / 0.01 is more than 5.991"
    assert value("velocity_coverage", perceiving()) == 1.0
    assert not METRICS["position_nees"](*perceiving(ghost=True)).valid
    assert not METRICS["existence_log_loss"](*ramming(False)).valid, "its driver traces no percepts"


def test_honest_percepts_are_covered_as_often_as_they_say():
    draws = np.random.default_rng(4)
    found, references = perceiving(var=0.04)
    _, rows = found.arrays["percepts"]
    for traced in rows:
        place = np.asarray(traced, np.float64)  # the array itself
        place[:, [PERCEPT_COLUMNS.index("x"), PERCEPT_COLUMNS.index("y")]] += 0.2 * draws.standard_normal((1, 2)) - [0.1, 0.0]
    assert METRICS["position_coverage"](found, references).value == pytest.approx(0.95, abs=0.03)
    assert METRICS["position_nees"](found, references).value == pytest.approx(1.0, abs=0.15)
