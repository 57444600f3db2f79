"""What agents see, against what is there."""

from __future__ import annotations

import numpy as np
import pytest

from sim.envs import BatchEnv, EnvConfig, grid, objects, vector
from sim.observe import NEIGHBOUR_FIELDS, SIZE, block
from sim.world import World


def split(row, places):
    """Blocks of a row by name."""
    return {name: row[start : start + int(np.prod(shape))].reshape(shape) for name, (start, shape) in places.items()}


@pytest.mark.parametrize("step", [0.5, 3.0])
def test_the_path_and_the_edges_of_a_straight_road(queue, step):
    config = EnvConfig(path_points=200, path_step=step)
    env = BatchEnv(queue, 1, config)
    seen = split(env.reset([0])[0, 0], vector.layout(config))
    path = seen["path"]
    left, right = seen["ego"][11:13]
    ahead = step * np.arange(1, 201)  # far past the end of the road, which goes straight on
    np.testing.assert_allclose(path[:, 0], ahead, atol=0.3)
    np.testing.assert_allclose(path[:, [2, 4]], np.column_stack([ahead, ahead]), atol=0.3, rtol=0)
    np.testing.assert_allclose(path[:, 1], 0.0, atol=1e-3)
    np.testing.assert_allclose(path[:, 3], left, atol=1e-3)
    np.testing.assert_allclose(path[:, 5], -right, atol=1e-3)
    np.testing.assert_allclose(np.diff(path[:100, 0]), step, atol=1e-3)


def test_the_path_stays_on_the_route_through_a_turn(crossings):
    config = EnvConfig(path_points=120, path_step=0.5)
    env = BatchEnv(crossings[:1], 1, config)
    path = split(env.reset([0])[0, 0], vector.layout(config))["path"]
    assert np.allclose(np.hypot(*np.diff(path[:, :2], axis=0).T), 0.5, atol=0.3)
    middle = 0.5 * (path[:, 2:4] + path[:, 4:6])
    body = env.state.bodies[0, 0]
    turn = np.array([[body["cos"], body["sin"]], [-body["sin"], body["cos"]]])
    points = np.column_stack([env.stock.roads.points["x"], env.stock.roads.points["y"]])
    for place in (path[:, :2] @ turn + np.array([body["x"], body["y"]]))[::10]:
        assert np.hypot(*(points - place).T).min() < 0.3
    assert np.isfinite(middle).all()


def test_ego_and_neighbours_are_those_of_the_simulator_s_own_observation(crossings):
    config = EnvConfig(agents="all", action="target_speed")
    env = BatchEnv(crossings[:1], 1, config)
    seen = env.reset([0])
    world = World(env.stock.scenarios, traced=False)
    for _ in range(30):
        seen = env.step(np.ones(env.action_shape, np.float32)).observations
    world.state.bodies[...] = env.state.bodies
    for name in ("minds", "neighbours", "visible"):
        getattr(world.state, name)[...] = getattr(env.state, name)
    expected = world.observe()
    assert expected.shape[-1] == SIZE
    for k in np.flatnonzero(env.active[0]):
        own = split(seen[0, k], vector.layout(config))
        assert np.array_equal(own["ego"], block(expected[0, k], "ego"))
        common = len(NEIGHBOUR_FIELDS)
        assert np.array_equal(own["neighbours"][:, :common], block(expected[0, k], "neighbours"))


def test_the_first_observation_shows_all_in_reach(crossings):
    """The opposite arm is too far away."""
    config = EnvConfig(agents="all")
    env = BatchEnv(crossings[:1], 1, config)
    counts = [int(split(row, vector.layout(config))["neighbours"][:, 0].sum()) for row in env.reset([0])[0]]
    assert counts == [2, 2, 2, 2]


def test_the_grid_shows_road_route_and_others_where_they_are(queue):
    env = BatchEnv(queue, 1, EnvConfig(agents=2, observation="grid"))
    front, behind = env.reset([0])[0]
    road, route, others, speed, own = front
    column, row = grid.SIDE // 2, int(grid.AHEAD_M)
    assert road[row, column] == 255
    assert road[row, 0] == 0  # 32 m to the left
    assert route[row - 20, column] == 255
    assert route[row + 5, column] == 0  # nothing of it behind
    assert own[0, 0] == own[-1, -1] == int(8.0 / grid.SPEED_FULL * 255)
    # the second one sees the first 18 m ahead
    assert behind[2, row - 18, column] == 255
    assert behind[3, row - 18, column] == int(8.0 / grid.SPEED_FULL * 255)
    assert behind[2, row - 30, column] == 0
    assert others[row + 18 if row + 18 < grid.SIDE else 0].sum() == 0
    assert speed.shape == (grid.SIDE, grid.SIDE)


def test_noisy_observations_are_near_the_truth_and_say_how_near(queue):
    config = EnvConfig(agents=2, observation="objects")
    env = BatchEnv(queue, 1, config)
    truth = BatchEnv(queue, 1, EnvConfig(agents=2))
    env.reset([0])
    truth.reset([0])
    errors, variances, heard = [], [], 0
    for _ in range(30):
        actions = np.zeros(env.action_shape, np.float32)
        told = split(env.step(actions).observations[0, 1], objects.layout(config))
        known = split(truth.step(actions).observations[0, 1], vector.layout(truth.config))
        assert np.abs(told["path"] - known["path"]).max() < 2.0
        assert (told["pose"] > 0.0).all()
        near = told["neighbours"][told["neighbours"][:, 0] > 0]
        close = near[np.hypot(*(near[:, 1:3] - known["neighbours"][0, 1:3]).T) < 3.0] if len(near) else near
        if len(close):
            heard += 1
            errors.append(np.hypot(*(close[0, 1:3] - known["neighbours"][0, 1:3])))
            variances.append(close[0, objects.OBJECT_FIELDS.index("variance_position")])
    assert heard > 20
    assert 0.0 < np.mean(errors) < 1.5  # noisy, but no nonsense
    assert min(variances) > 0.0
    assert env.tables.rewards.tobytes() == truth.tables.rewards.tobytes()  # what is seen changes nothing of what happens


def test_rules_say_how_far_the_line_is_and_who_came_first(crossings):
    config = EnvConfig(agents="all", action="target_speed", autoreset="Disabled")
    env = BatchEnv(crossings[:1], 1, config)
    names = {name: n for n, name in enumerate(vector.RULE_FIELDS)}
    seen = env.reset([0])
    lanes = env.stock.roads.lanes
    body, mind = env.state.bodies[0, 0], env.state.minds[0, 0]
    first = split(seen[0, 0], vector.layout(config))["rules"]
    assert first[names["line"]] == pytest.approx(lanes["stop_s"][mind["lane"]] - mind["s"] - 0.5 * body["length"], abs=1e-3)
    assert first[names["all_way"]] == 1.0
    assert first[names["stop"]] == first[names["yield"]] == first[names["signal"]] == first[names["waited"]] == 0.0
    waited = 0.0
    for _ in range(120):  # creep to the line, and stand there
        own = split(env.step(np.full(env.action_shape, -0.5, np.float32)).observations[0, 0], vector.layout(config))
        if own["rules"][names["waited"]] > 0.0:
            waited = float(own["rules"][names["waited"]])
            break
    assert waited == pytest.approx(0.1)
    for _ in range(5):
        own = split(env.step(np.full(env.action_shape, -1.0, np.float32)).observations[0, 0], vector.layout(config))
    assert own["rules"][names["waited"]] == pytest.approx(0.6)
    # everybody tells the same of everybody
    slots = env.tables.agents["slot"][0]
    column = vector.NEIGHBOUR_FIELDS.index("waited")
    rows = env.step(np.full(env.action_shape, -1.0, np.float32)).observations[0]
    told = sorted(float(value) for value in split(rows[1], vector.layout(config))["neighbours"][:, column] if value > 0.0)
    others = [split(rows[k], vector.layout(config))["rules"][names["waited"]] for k in range(len(slots)) if k != 1]
    assert told
    assert {round(value, 1) for value in told} <= {round(float(value), 1) for value in others}


def test_agents_along_their_route_indicate_their_turn_and_others_are_told(crossings):
    env = BatchEnv(crossings, 8, EnvConfig(agents="all", action="target_speed", autoreset="Disabled"))
    env.reset(list(range(8)))
    for _ in range(40):
        env.step(np.full(env.action_shape, -0.5, np.float32))
    shown = set()
    for w in range(8):
        for k in np.flatnonzero(env.active[w])[:4]:  # those in the first row are near enough
            slot = env.tables.agents["slot"][w, k]
            route = env.stock.scenarios[int(env.tables.episodes["number"][w])].actors[slot].route
            turn = max(int(env.stock.roads.lanes["turn"][lane]) for lane in route.lanes)
            assert env.state.bodies["indicator"][w, slot] == turn
            shown.add(turn)
    assert shown == {0, 1, 2}
    left = vector.NEIGHBOUR_FIELDS.index("left")
    seen = env.step(np.full(env.action_shape, -0.5, np.float32)).observations
    blocks = np.stack([split(row, vector.layout(env.config))["neighbours"] for row in seen.reshape(-1, seen.shape[-1])])
    assert blocks[:, :, left].max() == 1.0
