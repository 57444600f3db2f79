"""Recordings in their three modes: replayed as they were, with ego in them, and with others who can react."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from eval.replay import replay
from eval.run import Job, prepare, recorded_result, run_episode
from scenarios.errors import InputError
from scenarios.resolve import resolve
from sim.interface import Kind
from sim.recording import read_recording
from sim.scenario import Model, Region, inside
from tests.scenarios.formats import cr

START = cr.state("initialState", 0, -40.0, 0.0, 0.05, 6.0)


def following(gap: float, speed: float) -> str:
    """A car in ego's lane, `gap` behind it, that keeps its speed whatever happens."""
    rows = [(k, -40.0 - gap + 0.1 * speed * k, 0.0, 0.0, speed) for k in range(121)]
    return cr.dynamic(30, rows)


def write(folder: Path, *parts: str) -> str:
    file = folder / "ZAM_Test-1_1_T-1.xml"
    goal = "<rectangle><length>20</length><width>4</width><center><x>40</x><y>0</y></center></rectangle>"
    file.write_text(cr.crossroads(cr.problem(70, START, position=goal, steps=(0, 200)), *parts))
    return str(file)


def test_ego_starts_as_the_planning_problem_says(tmp_path: Path) -> None:
    scenario = prepare(Job(target=write(tmp_path, following(100.0, 5.0)), seed=0))
    from sim.world import World

    ego, other = World((scenario,)).state.bodies[0]
    origin = scenario.road_map.origin
    assert (ego["x"] + origin[0], ego["y"] + origin[1]) == pytest.approx((-40.0, 0.0), abs=1e-6)
    assert (ego["heading"], ego["speed"]) == pytest.approx((0.05, 6.0), abs=1e-6)
    assert scenario.actors[1].model == Model.REPLAY
    assert scenario.actors[1].kind == Kind.CAR
    assert other["length"] == pytest.approx(4.5)


def test_the_way_ends_in_the_goal_and_is_driven_for_its_time(tmp_path: Path) -> None:
    """The goal lies 14 to 34 m ahead from 12 s on: too early at the limit, and then past it."""
    file = tmp_path / "timed.xml"
    goal = "<rectangle><length>20</length><width>4</width><center><x>-16</x><y>0</y></center></rectangle>"
    file.write_text(cr.crossroads(cr.problem(70, START, position=goal, steps=(120, 140)), following(300.0, 1.0)))
    job = Job(target=str(file), seed=0, driver="joint", out=tmp_path)
    scenario = prepare(job)
    route = scenario.actors[0].route
    schedule = None if route is None else route.schedule
    assert schedule is not None
    assert schedule.earliest == pytest.approx(12.0)
    assert schedule.leave == pytest.approx(0.0, abs=0.5)
    assert schedule.enter == pytest.approx(20.0, abs=1.0)
    result = run_episode(job)
    assert result.passed, result.reasons
    assert read_recording(Path(result.recording or "")).track(0)["speed"].min() > 1.0


def test_replay_is_the_record(tmp_path: Path) -> None:
    result = run_episode(Job(target=write(tmp_path, following(20.0, 5.0)), seed=0, settings=("mode=replay",), out=tmp_path))
    assert result.divergence_m == 0.0
    assert result.reacted == ()
    assert result.time_s == pytest.approx(20.0)
    recording = read_recording(Path(result.recording or ""))
    assert recording.header.ego is None
    track = recording.track(0)
    assert np.allclose(np.diff(track["x"][:120]), 0.5, atol=1e-6)


def test_ego_that_arrives_passes(tmp_path: Path) -> None:
    result = run_episode(Job(target=write(tmp_path, following(100.0, 2.0)), seed=0, driver="rules"))
    assert result.passed, result.reasons
    assert result.reacted == ()


def test_who_follows_blindly_hits_ego_unless_it_may_react(tmp_path: Path) -> None:
    target = write(tmp_path, following(32.0, 12.0), cr.static(31, -20.0, 0.0))
    blind = run_episode(Job(target=target, seed=0, driver="rules"))
    assert blind.counts.collisions > 0
    assert [name for _, name in blind.reacted or ()] == ["car_30"]
    assert blind.divergence_m == 0.0
    seeing = run_episode(Job(target=target, seed=0, driver="rules", settings=("mode=reactive",)))
    assert seeing.counts.collisions == 0, seeing.reasons
    assert [name for _, name in seeing.reacted or ()] == ["car_30"]
    assert (seeing.divergence_m or 0.0) > 1.0


def test_people_on_foot_wait_for_ego_and_go_on_later(tmp_path: Path) -> None:
    """Somebody steps onto the road in front of a driver that does not brake: as recorded it is hit, reactive it lets it pass."""
    blind = tmp_path / "blind.py"
    blind.write_text(
        "from sim.interface import Control, DriverStep\n"
        "class Blind:\n    def start(self, road_map, route, spec, seed):\n        return 0\n"
        "    def step(self, frame, memory):\n        return DriverStep(control=Control(), memory=0)\n"
    )
    walk = [(k, -24.0, 6.0 - 0.12 * k, -math.pi / 2, 1.2) for k in range(100)]
    start = cr.state("initialState", 0, -60.0, 0.0, 0.0, 8.0)
    circle = "<circle><radius>0.3</radius></circle>"
    file = tmp_path / "walk.xml"
    file.write_text(cr.crossroads(cr.problem(70, start, steps=(130, 150)), cr.dynamic(30, walk, "pedestrian", circle)))
    job = Job(target=str(file), seed=0, driver=f"{blind}:Blind", settings=("duration_s=14",), out=tmp_path)
    assert run_episode(job).counts.collisions == 1
    seeing = run_episode(replace(job, settings=("mode=reactive", "duration_s=14"), out=tmp_path))
    assert seeing.counts.collisions == 0
    assert [name for _, name in seeing.reacted or ()] == ["pedestrian_30"]
    walked = read_recording(Path(seeing.recording or "")).track(1)[:-1]  # in the last row it has gone
    standing = np.abs(np.diff(walked["y"])) < 1e-6
    assert 3 < standing.sum() < 40
    assert walked["speed"][1:][standing].max() == 0.0
    assert walked["y"][-1] < walked["y"][0] - 5.0


def test_a_reactive_recording_is_replayed_and_read_again(tmp_path: Path) -> None:
    target = write(tmp_path, following(32.0, 12.0), cr.static(31, -20.0, 0.0))
    job = Job(target=target, seed=0, driver="rules", settings=("mode=reactive", "duration_s=6"), out=tmp_path, record="full")
    result = run_episode(job)
    path = Path(result.recording or "")
    recording = read_recording(path)
    again = recorded_result(recording, path)
    assert again is not None
    assert (again.reacted, again.divergence_m) == (result.reacted, result.divergence_m)
    episode = replay(path, tick=47)
    track = recording.track(1)
    assert episode.world.state.bodies["x"][0, 1] == track["x"][track["tick"] == 47][0]


def test_the_egos_own_record_is_left_out_while_it_drives(tmp_path: Path) -> None:
    rows = [(k, -40.0 + 0.6 * k, 0.0, 0.0, 6.0) for k in range(100)]
    target = write(tmp_path, cr.dynamic(70, rows))
    driven = prepare(Job(target=target, seed=0))
    assert len(driven.actors) == 1
    assert driven.actors[0].track is not None
    assert len(prepare(Job(target=target, seed=0, settings=("mode=replay",))).actors) == 1
    assert (run_episode(Job(target=target, seed=0, driver="rules")).divergence_m or 0.0) > 0.0


def test_goals_hold_in_their_place_and_window_alone() -> None:
    square = np.array([[0.0, 0.0], [4.0, 0.0], [4.0, 4.0], [0.0, 4.0]])
    region = Region(outlines=(square,), window_s=(2.0, 3.0), speeds=(1.0, 5.0), headings=(math.radians(170), math.radians(190)))
    at = {"x": 1.0, "y": 1.0, "heading": -math.radians(175), "speed": 3.0, "time_s": 2.0}
    assert region.holds(**at)
    for change in ({"x": 5.0}, {"time_s": 1.9}, {"time_s": 3.1}, {"speed": 0.5}, {"heading": 0.0}):
        assert not region.holds(**{**at, **change}), change
    assert not inside(square, -1.0, 1.0)


@pytest.mark.parametrize(
    ("parts", "word"),
    [
        ((cr.problem(70, cr.state("initialState", 0, 900.0, 0.0)),), "no lanelet"),
        ((cr.problem(70, START, position='<lanelet ref="4"/>'),), "no lanelets lead"),
    ],
)
def test_problems_that_cannot_be_driven_are_refused(parts: tuple[str, ...], word: str, tmp_path: Path) -> None:
    file = tmp_path / "file.xml"
    file.write_text(cr.crossroads(*parts))
    with pytest.raises(InputError, match=word) as caught:
        resolve(str(file))
    assert caught.value.line == 10


def test_nothing_recorded_is_not_replayed() -> None:
    with pytest.raises(InputError, match="no recorded tracks"):
        prepare(Job(target="four_way_stop", seed=0, settings=("mode=replay",)))


def test_real_recordings_are_replayed_as_they_were(data_dir: Path) -> None:
    for file in sorted(data_dir.glob("commonroad/*/*.xml")):
        result = run_episode(Job(target=str(file), seed=0, settings=("mode=replay",)))
        assert result.divergence_m is not None, file
        assert result.divergence_m < 0.01, file
