"""Beliefs on synthetic tracks at an all-way stop: who goes and who stays is told apart in time, and floors hold."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from avstack.behaviours.atlas import Atlas
from avstack.behaviours.belief import LEVELS, NO, Belief, asleep_share, continued, modes_of, update_belief
from avstack.behaviours.config import BehaviourConfig
from avstack.behaviours.decide import BehaviourMemory, decide
from avstack.behaviours.hypotheses import ways
from avstack.behaviours.precedence import SETTLED, TIE_FORFEIT_S
from avstack.behaviours.scene import Scene, read_scene, start_seeing
from avstack.perception.percepts import THING_DTYPE, EgoEstimate, Percepts
from sim.interface import SPECS, TICK_S, Kind
from sim.rng import Purpose, generator
from sim.roads.assemble import assemble
from sim.roads.builders import BUILDERS
from sim.roads.lane_map import Turn
from sim.roads.route import shortest_route

CAR = SPECS[Kind.CAR]


@pytest.fixture(scope="module")
def junction():
    """Atlas, the ego's place at its line, and the point and heading of a car standing at the line to the right."""
    road_map = assemble(BUILDERS["four_way"](control="all_way"))
    names = list(road_map.lane_names)
    south = next(n for n in names if n.startswith("south") and road_map.lanes["stop_s"][names.index(n)] >= 0.0)
    east = next(n for n in names if n.startswith("east") and road_map.lanes["stop_s"][names.index(n)] >= 0.0)
    through = max(
        road_map.lane_successors(names.index(south)), key=lambda n: -abs(float(np.sum(road_map.lane_points(n)["curvature"])))
    )
    goal = int(road_map.lane_successors(int(through))[0])
    atlas = Atlas.of(road_map, shortest_route(road_map, names.index(south), goal))
    return atlas, _at_line(road_map, names.index(south)), _at_line(road_map, names.index(east))


def _at_line(road_map, lane: int):
    points, stop = road_map.lane_points(lane), float(road_map.lanes["stop_s"][lane]) - 0.5 * CAR.length - 0.3
    k = int(stop / float(road_map.lanes["spacing"][lane]))
    return float(points["x"][k]), float(points["y"][k]), float(points["heading"][k])


def percepts(tick: int, ego, other, way: float, speed: float, accel: float) -> Percepts:
    thing = np.zeros(1, THING_DTYPE)
    thing["id"], thing["kind"], thing["existence"], thing["length"], thing["width"] = 7, Kind.CAR, 1.0, CAR.length, CAR.width
    thing["kind_probability"][0, Kind.CAR] = 1.0
    x, y, heading = other
    thing["x"], thing["y"], thing["heading"] = x + way * np.cos(heading), y + way * np.sin(heading), heading
    thing["speed"], thing["accel"] = speed, accel
    thing["vx"], thing["vy"] = speed * np.cos(heading), speed * np.sin(heading)
    thing["indicator"][0, 0] = 1.0
    thing["standing"] = tick + 1 if speed < 0.5 else 0
    thing["covariance"][0] = np.eye(7) * 0.04
    pose = EgoEstimate(
        x=ego[0], y=ego[1], heading=ego[2], covariance=np.eye(3) * 1e-6, speed=0.0, accel=0.0, yaw_rate=0.0, steer=0.0
    )
    return Percepts(tick=tick, ego=pose, things=thing, signals=np.zeros(0, np.int32), observed_range=100.0)


def goes_over_time(junction, starts: bool, seed: int, config: BehaviourConfig) -> list[float]:
    """P(goes before the ego) each tick; from tick 30 on the other pulls away (or stays); speeds have 0.2 m/s of noise."""
    atlas, ego, other = junction
    noise = generator(seed, Purpose.DRIVER)
    seen, belief = start_seeing(atlas, *ego), Belief()
    out = []
    for tick in range(50):
        moving = max(0.0, 0.1 * (tick - 30)) if starts else 0.0
        speed, way = 1.3 * moving, 0.65 * moving**2
        measured = max(0.0, speed + 0.2 * float(noise.standard_normal())) if starts and moving else speed
        scene, seen = read_scene(percepts(tick, ego, other, way, measured, 1.3 if moving else 0.0), atlas, CAR, seen)
        belief = update_belief(belief, scene, config)
        modes = modes_of(belief, scene)
        out.append(sum(mode.weight for mode in modes[0] if mode.goes) if modes else 1.0)
    return out


def test_going_and_staying_are_told_apart_within_a_second(junction):
    config = BehaviourConfig()
    gone = np.mean([goes_over_time(junction, True, seed, config)[40] for seed in range(3)])
    stayed = goes_over_time(junction, False, 0, config)[40]
    assert gone > 0.75
    assert stayed < 0.5
    assert gone - stayed > 0.4


def test_without_learning_nothing_is_learned(junction):
    config = BehaviourConfig(learn=False)
    stayed = goes_over_time(junction, False, 0, config)
    learned = goes_over_time(junction, False, 0, BehaviourConfig())
    assert abs(stayed[45] - stayed[10]) < abs(learned[45] - learned[10]) + 0.3


def test_weights_are_probabilities_and_inattention_has_a_floor(junction):
    atlas, ego, other = junction
    seen, belief, config = start_seeing(atlas, *ego), Belief(), BehaviourConfig()
    for tick in range(30):
        scene, seen = read_scene(percepts(tick, ego, other, 0.0, 0.0, 0.0), atlas, CAR, seen)
        belief = update_belief(belief, scene, config)
        weights = belief.of(scene.agents[0])
        assert weights.shape == (4, len(LEVELS), 3)
        assert weights.sum() == pytest.approx(1.0)
        assert weights[:, :, NO].sum() >= 0.005 - 1e-9


def test_a_beliefs_update_leaves_the_old_one_alone(junction):
    atlas, ego, other = junction
    scene, _ = read_scene(percepts(0, ego, other, 0.0, 0.0, 0.0), atlas, CAR, start_seeing(atlas, *ego))
    first = update_belief(Belief(), scene, BehaviourConfig())
    before = first.tracks[7].weights.copy()
    update_belief(first, replace(scene, tick=1), BehaviourConfig())
    assert np.array_equal(first.tracks[7].weights, before)


def test_others_can_be_expected_to_respond_harder_or_softer(junction):
    atlas, ego, other = junction
    seen = percepts(5, ego, other, -6.0, 3.0, 0.0)
    usual, shifted = (
        decide(seen, atlas, CAR, 0, BehaviourMemory(), BehaviourConfig(response_scale=scale))[1] for scale in (1.0, 1.3)
    )
    for name in ("accel", "brake"):
        assert shifted.actors[1, 0][name] == pytest.approx(1.3 * usual.actors[1, 0][name])
        assert shifted.actors[0, 0][name] == usual.actors[0, 0][name], "the ego's own limits are its own"
    np.testing.assert_allclose(shifted.board.order, 1.3 * usual.board.order)


def test_what_is_told_counts_for_one_tick_and_is_not_learned(junction):
    class Knows:
        def inform(self, belief: Belief, scene: Scene) -> Belief:
            tracks = {known: replace(track, weights=np.eye(60)[7].reshape(4, 5, 3)) for known, track in belief.tracks.items()}
            return Belief(tracks)

    atlas, ego, other = junction
    seen = percepts(5, ego, other, -6.0, 3.0, 0.0)
    blind = decide(seen, atlas, CAR, 0, BehaviourMemory(), BehaviourConfig())
    told = decide(seen, atlas, CAR, 0, BehaviourMemory(privilege=Knows()), BehaviourConfig())
    assert told[2].privilege is None
    np.testing.assert_array_equal(told[2].belief.tracks[7].weights, blind[2].belief.tracks[7].weights)
    assert not np.array_equal(told[0].go_first, blind[0].go_first)


def test_ways_are_recognised_in_another_order_and_further_on():
    straight, left, right = (((0, 9, 5), 0.0, 0.0), ((0, 8, 3), 0.0, 0.0), ((0, 10, 7), 0.0, 0.0))
    assert continued((straight, left, right), (left, straight, right)) == [1, 0, 2]
    # inside the junction the lane it came from is no part of its way any more
    assert continued((straight, left, right), (((9, 5, 2), 0.0, 0.0), ((10, 7), 0.0, 0.0))) == [0, 2]
    assert continued((straight, left), (right, ((5, 2), 0.0, 0.0))) == [-1, -1]
    # ways of one tick are told by what they are and whose
    assert continued((("walk", 7, 10),), (("walk", 7, 11),)) == [0]
    assert continued((("walk", 7, 10),), (("walk", 8, 11),)) == [-1]


def test_what_was_learned_of_a_way_outlives_a_new_order_of_the_ways(junction):
    atlas, ego, other = junction
    scene, _ = read_scene(percepts(0, ego, other, 0.0, 0.0, 0.0), atlas, CAR, start_seeing(atlas, *ego))
    config = BehaviourConfig()
    agent = scene.agents[0]
    assert len(agent.routes) > 1
    first = update_belief(Belief(), scene, config)
    track = first.tracks[agent.id]
    weights = track.weights.copy()
    weights[0], weights[1] = 0.97 * weights[0] / weights[0].sum(), 0.01 * weights[1] / weights[1].sum()
    weights[2:] *= 0.02 / weights[2:].sum()
    learned = Belief({agent.id: replace(track, weights=weights)})
    turned = replace(agent, routes=(agent.routes[1], agent.routes[0], *agent.routes[2:]))
    actors = scene.actors.copy()
    actors[1, [0, 1]] = actors[1, [1, 0]]
    after = update_belief(learned, replace(scene, agents=(turned,), actors=actors), config).of(turned)
    assert after[1].sum() > 0.8
    assert after.sum() == pytest.approx(1.0)


def test_a_turn_signal_is_remembered_where_lanes_part_in_the_junction(junction):
    atlas, _, other = junction
    lane = next(p.lane for p in atlas.places(*other) if p.facing > 0.9 and abs(p.d) < 0.5)
    onward = [int(n) for n in atlas.road_map.lane_successors(lane)]
    left = next(n for n in onward if atlas.road_map.lanes["turn"][n] == Turn.LEFT)
    point = atlas.road_map.lane_points(left)[2]
    thing = percepts(0, other, (float(point["x"]), float(point["y"]), float(point["heading"])), 0.0, 3.0, 0.0).things[0].copy()
    thing["indicator"] = np.array([0.02, 0.96, 0.01, 0.01])
    found = ways(atlas, thing, 0)
    assert next(route.weight for route in found if left in route.path.lanes) > 0.7


def test_whoever_has_stood_for_a_while_is_hardly_believed_asleep(junction):
    atlas, ego, other = junction
    config = BehaviourConfig()
    scene, _ = read_scene(percepts(0, ego, other, 0.0, 0.0, 0.0), atlas, CAR, start_seeing(atlas, *ego))
    agent = scene.agents[0]
    belief = update_belief(Belief(), scene, config)
    track = belief.tracks[agent.id]
    weights = track.weights.copy()
    weights[:, :, NO] *= 0.3 / weights[:, :, NO].sum()
    weights[:, :, 1:] *= 0.7 / weights[:, :, 1:].sum()
    belief = Belief({agent.id: replace(track, weights=weights)})
    asleep = []
    for _ in range(60):
        belief = update_belief(belief, scene, config)
        asleep.append(float(belief.of(agent)[:, :, NO].sum()))
    assert asleep[10] > 0.05
    assert asleep[-1] < 0.03


def test_neither_a_speed_misread_of_one_who_stands_nor_setting_off_from_its_line_makes_it_asleep(junction):
    atlas, ego, other = junction
    config, seen, belief = BehaviourConfig(), start_seeing(atlas, *ego), Belief()
    for tick in range(40):
        known = percepts(tick + 30, ego, other, 0.0, 0.7 if tick % 3 == 1 else 0.0, 0.0)
        known.things["standing"] = tick + 30  # told from its places
        scene, seen = read_scene(known, atlas, CAR, seen)
        belief = update_belief(belief, scene, config)
    agent = scene.agents[0]
    assert float(belief.of(agent)[:, :, NO].sum()) < 0.01
    assert agent.visit.stopped >= 0
    off = percepts(70, ego, other, 0.1, 0.8, 1.3)
    assert float(off.things["standing"][0]) == 0
    scene, seen = read_scene(off, atlas, CAR, seen)
    assert asleep_share(scene.agents[0]) < 0.01
    coming = percepts(70, ego, other, -20.0, 8.0, 0.0)
    scene, _ = read_scene(coming, atlas, CAR, start_seeing(atlas, *ego))
    assert asleep_share(scene.agents[0]) > 0.03, "who comes on without braking may not have seen the ego"


def test_what_is_measured_of_one_who_stands_does_not_move_it_in_rollouts(junction):
    atlas, ego, other = junction
    rolls = percepts(30, ego, other, 0.0, 0.3, 0.4)
    rolls.things["standing"] = 0
    stands = percepts(30, ego, other, 0.0, 0.3, 0.4)
    for known, speed, accel in ((rolls, 0.3, 0.4), (stands, 0.0, 0.0)):
        scene, _ = read_scene(known, atlas, CAR, start_seeing(atlas, *ego))
        assert (float(scene.actors[1, 0]["v"]), float(scene.actors[1, 0]["a"])) == pytest.approx((speed, accel))


def test_of_two_who_came_together_the_ego_goes_when_the_other_does_not(junction):
    """Both stand from the first tick on, and the other is to the ego's right."""
    atlas, ego, other = junction
    seen, order = start_seeing(atlas, *ego), []
    for tick in range(round((TIE_FORFEIT_S + 1.0) / TICK_S)):
        known = percepts(tick, ego, other, 0.0, 0.0, 0.0)
        scene, seen = read_scene(known, atlas, CAR, seen)
        order.append(float(scene.board.order[0, 1]))
    assert abs(order[0]) < 0.5
    first = order.index(SETTLED) * TICK_S
    assert TIE_FORFEIT_S <= first <= TIE_FORFEIT_S + 0.2
    assert all(value == SETTLED for value in order[round(first / TICK_S) :])
    assert scene.board.order[1, 0] == -SETTLED


def test_a_wave_makes_it_likely_in_a_second_that_one_is_let_in_and_a_flicker_does_not(junction):
    atlas, ego, other = junction
    config = BehaviourConfig()
    chances = {}
    for ticks in (0, 1, 10):
        seen, belief = start_seeing(atlas, *ego), Belief()
        for tick in range(20):
            now = percepts(tick, ego, other, 0.0, 0.0, 0.0)
            things = now.things.copy()
            things["wave"] = 1.0 if 20 - ticks <= tick else 0.0
            scene, seen = read_scene(replace(now, things=things), atlas, CAR, seen)
            belief = update_belief(belief, scene, config)
        chances[ticks] = float(belief.of(scene.agents[0])[:, 3:].sum())
    assert chances[1] - chances[0] < 0.15
    assert chances[10] > max(0.85, chances[0] + 0.2)


def test_a_bicycle_at_its_line_is_on_no_way_that_begins_beyond_it(junction):
    atlas, ego, other = junction
    bicycle = percepts(0, ego, other, 0.0, 0.0, 0.0).things.copy()
    bicycle["kind"], bicycle["length"], bicycle["width"] = Kind.BICYCLE, 1.8, 0.6
    forward = 0.5 * (CAR.length - 1.8) + 0.6
    bicycle["x"] += forward * np.cos(other[2])
    bicycle["y"] += forward * np.sin(other[2])
    found = ways(atlas, bicycle[0], 0)
    assert len(found) > 1
    for route in found:
        assert [stop.front - (route.s + 0.9) for stop in route.path.stops] == [pytest.approx(0.05, abs=0.2)]
    # past the line, in the junction, there is none ahead
    bicycle["x"] += 3.0 * np.cos(other[2])
    bicycle["y"] += 3.0 * np.sin(other[2])
    assert any(not route.path.stops for route in ways(atlas, bicycle[0], 0))
