"""The instruments that say how good the traffic is: they count what happens, estimate what they claim, and can fail."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from click.testing import CliRunner

from eval.bench import traffic_episodes as episodes
from eval.bench.routes import drive_scenario, real_map_drives, run_drives
from eval.bench.traffic import Request, measure, program
from eval.bench.traffic_capacity import HCM_HEADWAY, _departures, _gaps, _saturated, case_arms, critical_gap, facing
from eval.bench.traffic_people import _leader_gaps, _mean, compare, entries
from eval.bench.traffic_places import MAPS, site
from scenarios.errors import InputError
from sim.interface import Kind
from sim.roads.assemble import assemble
from sim.roads.builders import BUILDERS
from sim.roads.lane_map import Turn
from sim.scenario import Actor, Model, Scenario
from sim.state import BODY_DTYPE, MIND_DTYPE
from sim.traffic.styles import RULE_BREAKERS
from sim.world import World


def test_a_four_way_has_twelve_movements_with_lines_at_the_end_of_their_approach():
    place = site("four_way")
    assert len(place.arms) == 4
    assert sorted((m.arm, m.turn) for m in place.movements) == sorted(
        (arm, turn) for arm in range(4) for turn in (Turn.STRAIGHT, Turn.LEFT, Turn.RIGHT)
    )
    for movement in place.movements:
        approach = movement.route.lanes[-3]
        assert movement.line == pytest.approx(float(place.road_map.lanes["stop_s"][approach]))


def test_opposing_arms_face_each_other():
    place = site("four_way")
    across = facing(place)
    opposite = {"east": "west", "north": "south", "west": "east", "south": "north"}
    for arm, name in enumerate(place.arms):
        assert place.arms[across[arm]].split("_")[0] == opposite[name.split("_")[0]]


@pytest.mark.parametrize("case", HCM_HEADWAY)
def test_an_hcm_case_saturates_the_arms_it_says(case):
    place = site("four_way")
    arms = case_arms(place, case)
    assert len(arms) == {1: 0, 2: 1, 3: 1, 4: 2, 5: 3}[case]
    assert (facing(place)[0] in arms) == (case in (2, 5))


@pytest.mark.data
@pytest.mark.parametrize("name", ["simple_4way", "fabriksgatan"])
def test_public_junctions_are_all_way_stops(data_dir, monkeypatch, name):
    monkeypatch.setenv("AVSTACK_DATA", str(data_dir))
    place = site(name)
    assert len(place.arms) == 4
    assert len(place.movements) == 12
    assert all(place.road_map.lanes["stop_s"][m.route.lanes[-3]] >= 0.0 for m in place.movements)


def test_an_episode_follows_from_its_seed_and_holds_no_rule_breakers():
    first, again, other = (episodes.four_way_scenario("four_way", seed) for seed in (5, 5, 6))
    assert first.actors == again.actors
    assert first.actors != other.actors
    many = [episodes.four_way_scenario("four_way", seed) for seed in range(60)]
    styles = {actor.style for scenario in many for actor in scenario.actors}
    assert styles == set(episodes.LAWFUL)
    assert not styles & set(RULE_BREAKERS)
    assert {2, 10} <= {len(scenario.actors) for scenario in many}
    assert {actor.kind for scenario in many for actor in scenario.actors} == set(episodes.KIND_MIX)


def test_half_of_the_arrivals_are_nearly_simultaneous():
    draw = np.random.default_rng(0)
    close = total = 0
    for _ in range(300):
        times = np.sort(episodes._arrival_times(draw, 6))
        nearest = np.minimum(np.diff(times, prepend=-9.0), np.diff(times, append=99.0))
        close += int(np.sum(nearest <= episodes.TIE_S))
        total += 6
    assert 0.5 < close / total < 0.9


def test_crosswalks_bring_pedestrians():
    scenario = episodes.four_way_scenario("four_way_walks", 1)
    walking = [actor for actor in scenario.actors if actor.model == Model.PEDESTRIAN]
    assert len(walking) >= episodes.PEDESTRIANS[0]
    assert all(actor.kind == Kind.PEDESTRIAN for actor in walking)


def test_blocks_are_kept_and_joined(tmp_path, monkeypatch):
    monkeypatch.setattr(episodes, "BLOCK", 3)
    whole = episodes.four_way_episodes("four_way", 6, 40, tmp_path)
    assert whole.episodes == 6
    assert len(list(tmp_path.glob("*.json"))) == 2
    monkeypatch.setattr(episodes, "run_block", lambda *_: pytest.fail("a finished block was run again"))
    assert episodes.four_way_episodes("four_way", 6, 40, tmp_path) == whole


def test_a_block_is_the_sum_of_its_episodes():
    together = episodes.run_block("four_way", 70, 4)
    alone = [episodes.run_block("four_way", seed, 1) for seed in range(70, 74)]
    joined = episodes.join(alone)
    for name in ("episodes", "vehicles", "collisions", "deadlocks", "offroad", "unfinished", "hard_braking"):
        assert getattr(joined, name) == getattr(together, name), name


def test_a_collision_is_counted_and_described(monkeypatch):
    """The negative control: drivers who are blind to their surroundings run into each other, and the count says so."""
    made = episodes.four_way_scenario

    def blind(map_name, seed):
        scenario = made(map_name, seed)
        return replace(scenario, visibility_m=0.1)

    monkeypatch.setattr(episodes, "four_way_scenario", blind)
    outcome = episodes.run_block("four_way", 0, 12)
    assert outcome.collisions > 0
    failure = next(failure for failure in outcome.failures if failure.what == "collision")
    assert len(failure.actors) == 2
    assert failure.tick > 0
    assert sum(outcome.pairs.values()) == outcome.collisions
    assert any("collision" in line for line in episodes.report(outcome))


def test_a_saturated_arm_never_runs_dry_and_departs_in_order():
    place = site("four_way")
    world = World([_saturated(place, set(), {Turn.STRAIGHT: 1.0}, 1, "x")], traced=False)
    for _ in range(700):
        world.step()
        if world.tick > 50:
            queued = (world.state.bodies["status"][0] == 1) & (world.state.bodies["entered_tick"][0] < 0)
            assert queued.sum() >= 3
    ticks = [tick for tick, _ in _departures(world, 0, 0)]
    assert len(ticks) >= 5
    assert all(after > before for before, after in pairwise(ticks))


def test_the_critical_gap_of_known_drivers_is_found():
    draw = np.random.default_rng(4)
    gaps = np.exp(draw.normal(np.log(5.5), 0.2, 600))
    rejected, accepted = [], []
    for gap in gaps:
        largest = 0.1
        while True:
            offered = float(draw.exponential(5.0)) + 1.0
            if offered > gap:
                break
            largest = max(largest, offered)
        rejected.append(largest)
        accepted.append(offered)
    mean, error = critical_gap(np.array(rejected), np.array(accepted))
    assert mean == pytest.approx(float(gaps.mean()), abs=0.25)
    assert 0.0 < error < 0.2


def test_a_critical_gap_needs_enough_consistent_drivers():
    with pytest.raises(ValueError, match="at least 10"):
        critical_gap(np.ones(3), np.full(3, 2.0))
    with pytest.raises(ValueError, match="rejected < accepted"):
        critical_gap(np.full(20, 3.0), np.full(20, 2.0))


def test_gaps_are_read_off_passage_times():
    """Others pass at 10, 13, 19, 21 s; one who waits since 11 s lets 3 s go and takes 6 s; the next follows in the same gap."""
    place = site("two_way")
    names = ("m0", "m1", "m2", "m3", "w0", "w1", "w2")
    actors = tuple(Actor(name=name, route=place.movements[0].route, s=5.0 + 9.0 * k) for k, name in enumerate(names))
    world = World([Scenario(name="gaps", road_map=place.road_map, actors=actors, seed=0)], traced=False)
    gaps = _gaps(world, np.array([[100, 130, 190, 210, 110, 150, 175]]))
    assert gaps.accepted.tolist() == pytest.approx([6.0])
    assert gaps.follow_up.tolist() == pytest.approx([2.5])


def test_a_comparison_flags_what_is_far_off_and_only_that():
    values = list(np.random.default_rng(2).normal(2.0, 0.5, 400))
    near = compare("near", values, _mean, 2.05, 58)
    far = compare("far", values, _mean, 3.0, 58)
    assert near is not None
    assert far is not None
    assert not near.flagged
    assert far.flagged
    assert near.standard_error == pytest.approx(0.5 / 20.0, rel=0.3)
    assert compare("few", [1.0, 2.0], _mean, 1.0, 58) is None


def test_leader_gaps_are_bumper_to_bumper_on_the_same_lane():
    bodies, minds = np.zeros((1, 3), BODY_DTYPE), np.zeros((1, 3), MIND_DTYPE)
    bodies["length"] = 4.0
    minds["lane"], minds["s"] = [[1, 1, 2]], [[10.0, 20.0, 12.0]]
    gaps = _leader_gaps(bodies, minds, np.ones((1, 3), bool))
    assert gaps[0, 0] == pytest.approx(6.0)
    assert np.isinf(gaps[0, 1:]).all()


def test_entries_come_to_the_line_and_leave():
    found = entries(worlds=1, first_seed=3)
    assert len(found) >= 20
    for entry in found:
        assert entry.front[0] < -20.0
        assert entry.front[-1] > 10.0
        assert np.abs(entry.lateral).max() < 5.0
    assert {entry.turn for entry in found} == {Turn.STRAIGHT, Turn.LEFT, Turn.RIGHT}


def test_drives_start_apart_and_are_judged_by_seed():
    road_map = assemble(BUILDERS["four_way"](control="all_way"))
    scenario = drive_scenario(road_map, 1)
    assert scenario.ego == 0
    assert scenario.actors[0].model == Model.EXTERNAL
    assert len(scenario.actors) >= 3
    drives = run_drives(road_map, "four_way", [1, 2])
    assert [drive.seed for drive in drives] == [1, 2]
    assert all(drive.km > 0.02 for drive in drives)
    assert all(drive.completed or drive.time_s == pytest.approx(60.0) for drive in drives)
    assert run_drives(road_map, "four_way", [2]) == drives[1:]


@pytest.mark.data
def test_finished_files_are_not_driven_again(data_dir, tmp_path, monkeypatch):
    file = data_dir / "opendrive" / "maliput_malidrive" / "XCrossStopAllWay.xodr"
    rows = real_map_drives([file], range(2), tmp_path)
    monkeypatch.setattr("eval.bench.routes.run_drives", lambda *_: pytest.fail("driven again"))
    assert real_map_drives([file], range(2), tmp_path) == rows


def test_bad_requests_are_named():
    with pytest.raises(InputError, match="no measurement 'speed'"):
        measure("speed", Request())
    with pytest.raises(InputError, match="--episodes must be at least 1, got 0"):
        measure("episodes", Request(episodes=0))
    with pytest.raises(InputError, match="no map 'moon'"):
        site("moon")
    assert "four_way" in MAPS


def test_the_program_prints_json():
    result = CliRunner().invoke(program, ["episodes", "--map", "four_way", "--episodes", "2", "--json"])
    assert result.exit_code == 0, result.output
    (outcome,) = json.loads(result.output)
    assert outcome["episodes"] == 2


@pytest.mark.parametrize("seed", [2001273, 2004237, 2004960, 2005713, 2006130, 2006697, 2007316])
def test_episodes_that_once_collided_or_jammed_do_so_no_more(seed):
    """Ties in which each left the other room, and two who set off inside at one moment."""
    outcome = episodes.four_way_episodes("four_way", 1, seed)
    assert (outcome.collisions, outcome.deadlocks) == (0, 0)
