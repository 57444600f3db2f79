"""The batch: determinism, autoreset modes, rewards, and what it refuses."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest

from sim.envs import BatchEnv, EnvConfig, EnvError
from sim.envs.config import ACCELERATION, BRAKING, HARD, REWARD, TERMS
from sim.envs.rewards import _read_braking, clear
from sim.scenario import Model
from sim.state import CONTROL_DTYPE, Status
from sim.world import World

ACTIONS = ("continuous", "jerk", "manoeuvre", "target_speed")
MODES = ("NextStep", "SameStep", "Disabled")


def random_actions(env: BatchEnv, seed: int, ticks: int) -> list[np.ndarray]:
    """Actions of worlds that depend on the place of the world alone."""
    made = []
    for tick in range(ticks):
        rows: list[np.ndarray] = []
        for w in range(env.worlds):
            random = np.random.default_rng([seed, tick, w])
            shape = env.action_shape[1:]
            if env.config.action == "manoeuvre":
                rows.append(random.integers(0, 6, shape))
            else:
                one = random.uniform(-0.3, 1.0, shape).astype(np.float32)
                if shape[-1] == 2:
                    one[..., 1] *= 0.02  # wheels nearly straight
                rows.append(one)
        made.append(np.stack(rows))
    return made


def play(env: BatchEnv, seeds: list[int], ticks: int) -> list[bytes]:
    """Everything that each world gave, as bytes."""
    seen = env.reset(seeds)
    log = [[seen[w].tobytes()] for w in range(env.worlds)]
    for actions in random_actions(env, 3, ticks):
        outcome = env.step(actions)
        for w in range(env.worlds):
            log[w].append(b"".join(np.ascontiguousarray(part[w]).tobytes() for part in outcome))
    return [b"".join(parts) for parts in log]


@pytest.mark.parametrize("action", ACTIONS)
@pytest.mark.parametrize("agents", ["ego", 2, "all"])
def test_the_same_seeds_give_the_same_bytes(crossings, action, agents):
    config = EnvConfig(agents=agents, action=action, styles={"progress": (0.5, 2.0)})
    first, second = (play(BatchEnv(crossings, 3, config), [5, 6, 7], 60) for _ in range(2))
    assert first == second
    assert play(BatchEnv(crossings, 3, config), [15, 16, 17], 60) != first  # other seeds are other episodes


@pytest.mark.parametrize("threads", [1, 2])
def test_a_world_of_a_batch_is_the_world_alone(crossings, threads):
    config = EnvConfig(agents="all", threads=threads, autoreset="SameStep", duration_s=3.0)
    batch = play(BatchEnv(crossings, 4, config), [5, 6, 7, 8], 80)
    alone = BatchEnv(crossings, 1, config)
    assert play(alone, [5], 80)[0] == batch[0]
    assert batch[0] != batch[1]


def test_an_episode_is_what_the_simulator_makes_of_the_same_controls(crossings):
    """The core adds nothing to the world: `World` with the controls that the actions stand for goes the same way."""
    env = BatchEnv(crossings, 1, EnvConfig(autoreset="Disabled"))
    env.reset([3], episode=crossings[2].seed)
    world = World([replace(env.stock.scenarios[2])], traced=False)
    controls = np.zeros(world.state.bodies.shape, CONTROL_DTYPE)
    count = len(crossings[2].actors)
    for actions in random_actions(env, 9, 60):
        first, second = float(actions[0, 0, 0]), float(actions[0, 0, 1])
        controls[0, 0]["accel"] = first * (ACCELERATION if first > 0 else BRAKING)
        controls[0, 0]["steer"] = np.float32(second) * world.state.bodies["steer_max"][0, 0]
        controls[0, 0]["given"] = 1
        outcome = env.step(actions)
        world.step(controls)
        for name in ("x", "y", "heading", "speed", "accel", "steer"):
            assert env.state.bodies[name][0, 1:count].tobytes() == world.state.bodies[name][0, 1:count].tobytes(), name
            np.testing.assert_allclose(env.state.bodies[name][0, 0], world.state.bodies[name][0, 0], rtol=1e-6, atol=1e-6)
        if outcome.terminated.any():
            break
    assert world.tick > 20


def test_next_step_ignores_the_action_after_the_end(queue):
    env = BatchEnv(queue, 1, EnvConfig(autoreset="NextStep", action="target_speed"))
    first = env.reset([1])
    go = np.ones(env.action_shape, np.float32)
    outcome = next(one for one in (env.step(go) for _ in range(100)) if one.terminated.any() or one.truncated.any())
    assert env.over[0]
    assert not np.array_equal(outcome.observations, first)
    fresh = env.step(go)
    assert not env.over[0]
    assert (fresh.rewards == 0.0).all()
    assert not fresh.terminated.any()
    assert not fresh.truncated.any()
    assert np.array_equal(fresh.observations, first)  # the stock has one episode
    assert not np.array_equal(env.step(go).observations, first)


def test_same_step_gives_the_last_and_the_first_observation(queue):
    same = BatchEnv(queue, 1, EnvConfig(autoreset="SameStep", action="target_speed"))
    later = BatchEnv(queue, 1, EnvConfig(autoreset="NextStep", action="target_speed"))
    first = same.reset([1])
    later.reset([1])
    go = np.ones(same.action_shape, np.float32)
    for _ in range(100):
        one, other = same.step(go), later.step(go)
        assert np.array_equal(one.rewards, other.rewards)
        if later.over[0]:
            break
        assert np.array_equal(one.observations, other.observations)
    assert same.final_observations is not None
    assert np.array_equal(same.final_observations, other.observations)
    assert np.array_equal(one.observations, first)
    assert not same.over.any()


def test_disabled_waits_for_a_reset_of_the_worlds_that_are_over(queue):
    env = BatchEnv(queue, 2, EnvConfig(autoreset="Disabled", action="target_speed"))
    env.reset([1, 2])
    actions = np.ones(env.action_shape, np.float32)
    actions[1] = -1.0  # stands, and is cut off by the time limit
    while not env.over.any():
        env.step(actions)
    with pytest.raises(EnvError, match="world 0 is over"):
        env.step(actions)
    env.reset(worlds=env.over)
    ticks = env.tables.episodes["ticks"].copy()
    env.step(actions)
    assert env.tables.episodes["ticks"][0] == 1
    assert env.tables.episodes["ticks"][1] == ticks[1] + 1


def test_an_episode_ends_at_the_goal_at_a_crash_and_in_time(queue):
    stand = np.full((1, 3, 2), 0.0, np.float32)
    stand[..., 0] = -1.0
    env = BatchEnv(queue, 1, EnvConfig(agents="all", autoreset="Disabled"))
    env.reset([0])
    for _ in range(40):
        outcome = env.step(stand)
    assert outcome.truncated.all()
    assert not outcome.terminated.any()
    assert env.over.all()
    # the last one drives into the others, who stand
    env.reset()
    rush = stand.copy()
    rush[0, 2, 0] = 1.0
    for _ in range(40):
        outcome = env.step(rush)
        if outcome.terminated.any():
            break
    assert outcome.terminated.tolist() == [[False, True, True]]
    terms = env.tables.terms[0]
    assert terms[:, TERMS.index("collision")].tolist() == [0.0, 1.0, 1.0]
    assert terms[:, TERMS.index("at_fault")].tolist() == [0.0, 0.0, 1.0]
    assert env.active.tolist() == [[True, False, False]]
    # who is out is off the road, sees nothing and earns nothing
    assert (env.state.bodies["status"][0, 1:3] == Status.FINISHED).all()
    outcome = env.step(stand)
    assert not outcome.observations[0, 1:].any()
    assert not outcome.rewards[0, 1:].any()


def test_leaving_the_road_ends_an_episode(queue):
    env = BatchEnv(queue, 1, EnvConfig(autoreset="Disabled"))
    env.reset([0])
    turn = np.array([[[0.0, 1.0]]], np.float32)
    outcome = next(one for one in (env.step(turn) for _ in range(39)) if one.terminated.any())
    assert env.tables.terms[0, 0, TERMS.index("offroad")] == 1.0
    assert outcome.rewards[0, 0] < -0.5


def test_the_reward_is_the_weighted_sum_of_its_terms(crossings):
    config = EnvConfig(agents="all", action="target_speed", reward={"jerk": -0.01}, styles={"progress": (0.5, 2.0)})
    env = BatchEnv(crossings, 4, config)
    env.reset([1, 2, 3, 4])
    column = TERMS.index("progress")
    factors = env.tables.factors[..., 0]
    assert factors.min() >= 0.5
    assert factors.max() <= 2.0
    assert len(np.unique(factors)) == factors.size
    weights = np.array([{**REWARD, "jerk": -0.01}[term] for term in TERMS], np.float32)
    for actions in random_actions(env, 1, 30):
        outcome = env.step(actions)
        own = np.broadcast_to(weights, env.tables.terms.shape).copy()
        own[..., column] *= env.tables.factors[..., 0]
        np.testing.assert_allclose(outcome.rewards, (own * env.tables.terms).sum(axis=-1), rtol=1e-4, atol=1e-5)
        there = np.asarray(outcome.observations)[..., 9].astype(float) > 0
        assert np.array_equal(outcome.observations[..., -1][there], env.tables.factors[..., 0][there])


def test_who_brakes_hard_for_an_agent_in_the_junction_was_imposed_upon(crossings):
    env = BatchEnv(crossings[:1], 1, EnvConfig(action="target_speed", autoreset="Disabled"))
    env.reset([0])
    state, roads, tables = env.state, env.stock.roads, env.tables
    column = TERMS.index("imposed")

    def imposed(accel: float, other: int) -> float:
        state.bodies["accel"][0, 1], state.minds["other"][0, 1] = accel, other
        clear(tables, 0)
        _read_braking(state, roads, tables, 0)
        return float(tables.terms[0, 0, column])

    assert imposed(-5.0, 0) == 0.0  # it has not come to the junction yet
    go = np.ones(env.action_shape, np.float32)
    while roads.lanes["cluster"][state.minds["lane"][0, 0]] < 0 or roads.lanes["stop_s"][state.minds["lane"][0, 0]] >= 0.0:
        env.step(go)
    assert imposed(-5.0, 0) == pytest.approx(0.1 * (5.0 - HARD))
    assert imposed(-5.0, 2) == 0.0
    assert imposed(-0.9 * HARD, 0) == 0.0
    state.bodies["speed"][0, 0] = 0.5
    assert imposed(-5.0, 0) == 0.0


def test_progress_adds_up_to_the_way(queue):
    env = BatchEnv(queue, 1, EnvConfig(action="target_speed", autoreset="Disabled"))
    env.reset([0])
    start = float(env.tables.agents["to_goal"][0, 0])
    gone = 0.0
    for _ in range(30):
        env.step(np.zeros(env.action_shape, np.float32))
        gone += float(env.tables.terms[0, 0, TERMS.index("progress")])
    assert gone == pytest.approx(start - float(env.state.minds["to_goal"][0, 0]), abs=1e-3)
    assert gone > 5.0


def test_views_that_are_not_copied_are_overwritten(queue):
    """Why copies are the default: a buffer that keeps observations would find the newest in place of all of them."""
    kept = {}
    for copy in (True, False):
        env = BatchEnv(queue, 1, EnvConfig(copy=copy, action="target_speed"))
        env.reset([0])
        go = np.ones(env.action_shape, np.float32)
        kept[copy] = [env.step(go).observations for _ in range(5)]
    assert len({one.tobytes() for one in kept[True]}) == 5
    assert len({one.tobytes() for one in kept[False]}) == 1
    assert np.array_equal(kept[False][0], kept[True][4])


def test_memory_of_copies_is_used_again_only_when_nobody_holds_it(queue):
    env = BatchEnv(queue, 1, EnvConfig(action="target_speed"))
    go = np.ones(env.action_shape, np.float32)
    env.reset([0])
    places = {env.step(go).observations.__array_interface__["data"][0] for _ in range(6)}
    assert len(places) <= 2  # the last one is still there while the next is made
    env.reset([0])
    whole: list[np.ndarray] = []
    parts: list[memoryview] = []
    expected: list[bytes] = []
    for n in range(8):
        seen: np.ndarray = env.step(go).observations
        expected.append(seen.tobytes())
        if n % 2:
            whole.append(seen)
        else:
            parts.append(seen[0, 0, 3:].data)
    del seen
    for _ in range(8):
        env.step(-go)
    assert [one.tobytes() for one in whole] == expected[1::2]
    for one, was in zip(parts, expected[::2], strict=True):
        assert was.endswith(one.tobytes())


@pytest.mark.parametrize("observation", ["vector", "grid", "objects"])
@pytest.mark.parametrize("autoreset", MODES)
def test_what_was_given_stays_as_it_was_and_writing_to_it_changes_nothing(crossings, autoreset, observation):
    """Resets of single worlds included, whose rows are written without those of the others."""
    config = EnvConfig(agents="all", action="target_speed", autoreset=autoreset, observation=observation, duration_s=2.0)
    kept, spoilt = BatchEnv(crossings, 3, config), BatchEnv(crossings, 3, config)
    given = [(kept.reset([1, 2, 3]), spoilt.reset([1, 2, 3]).copy())]
    for tick in range(50):
        for env in (kept, spoilt):
            if autoreset == "Disabled" and env.over.any():
                seen = env.reset(worlds=env.over)
            elif tick == 13:
                seen = env.reset(worlds=np.array([False, True, False]))
            else:
                seen = env.step(np.full(env.action_shape, 0.2, np.float32)).observations
            if env is kept:
                given.append((seen, seen.copy()))
            else:
                assert seen.tobytes() == given[-1][1].tobytes()
                seen[...] = 7
    for seen, was in given[1:]:
        assert seen.tobytes() == was.tobytes()


def test_target_speed_and_manoeuvres_keep_to_the_route(crossings):
    for action in ("target_speed", "manoeuvre"):
        env = BatchEnv(crossings[:1], 1, EnvConfig(action=action, autoreset="Disabled"))
        env.reset([0])
        go = np.full(env.action_shape, 3 if action == "manoeuvre" else 1.0, np.int64 if action == "manoeuvre" else np.float32)
        furthest = 0.0
        while not env.over.any():
            env.step(go)
            furthest = max(furthest, abs(float(env.state.minds["d"][0, 0])))
        assert furthest < 0.6
        assert not env.tables.terms[0, 0, TERMS.index("offroad")]


def test_hold_stands_and_sides_move_over(queue):
    env = BatchEnv(queue, 1, EnvConfig(action="manoeuvre", autoreset="Disabled", duration_s=20.0))
    for choice, side in ((4, 1.0), (5, -1.0)):
        env.reset([0])
        env.step(np.full((1, 1), 1))
        for _ in range(60):
            env.step(np.full((1, 1), choice))
        assert side * float(env.state.minds["d"][0, 0]) > 0.2
    env.reset([0])
    for _ in range(60):
        env.step(np.full((1, 1), 0))
    assert float(env.state.bodies["speed"][0, 0]) == 0.0


@pytest.mark.parametrize("observation", ["vector", "grid", "objects"])
def test_observations_have_the_shape_they_say(crossings, observation):
    env = BatchEnv(crossings, 2, EnvConfig(agents="all", observation=observation, action="target_speed", autoreset="SameStep"))
    seen = env.reset([1, 2])
    assert seen.shape == (2, env.agents, *env.observation_shape)
    assert seen.dtype == env.observation_dtype
    assert env.observation_shape[0] >= 86 or observation == "grid"
    for actions in random_actions(env, 0, 20):
        seen = env.step(actions).observations
    assert np.isfinite(seen.astype(np.float64)).all()
    assert seen.reshape(-1, *env.observation_shape).any()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"action": "stear"}, "unknown action 'stear'"),
        ({"action": "continous"}, "did you mean 'continuous'"),
        ({"observation": "camera"}, "unknown observation"),
        ({"autoreset": "never"}, "unknown autoreset"),
        ({"agents": 0}, "agents must be"),
        ({"agents": "both"}, "agents must be"),
        ({"reward": {"progres": 1.0}}, "did you mean 'progress'"),
        ({"reward": {"goal": float("nan")}}, "finite"),
        ({"styles": {"goal": (2.0, 1.0)}}, "low <= high"),
        ({"neighbours": 40}, "neighbours must be"),
        ({"path_step": 0.0}, "path_step must be"),
        ({"threads": 0}, "threads must be"),
        ({"duration_s": -1.0}, "duration_s must be"),
    ],
)
def test_bad_options_are_refused(changes, message):
    with pytest.raises(EnvError, match=message):
        EnvConfig(**changes)


@pytest.mark.parametrize(
    ("action", "given", "message"),
    [
        ("continuous", np.zeros((2, 1), np.float32), r"shape \(2, 1, 2\), got \(2, 1\)"),
        ("continuous", np.zeros((2, 1, 2), np.int64), "must be floats, got int64"),
        ("continuous", np.full((2, 1, 2), np.nan, np.float32), "agent 0 in world 0, component 0.*nan"),
        ("continuous", np.array([[[0.0, 0.0]], [[0.0, 1.5]]], np.float32), "agent 0 in world 1, component 1.*1.5"),
        ("jerk", np.array([[[0.0, -np.inf]], [[0.0, 0.0]]], np.float32), "within -1 to 1"),
        ("manoeuvre", np.zeros((2, 1), np.float32), "must be integers"),
        ("manoeuvre", np.array([[0], [6]]), "0 to 5"),
        ("target_speed", np.zeros((2, 1, 2), np.float32), "shape"),
    ],
)
def test_bad_actions_are_refused_and_nothing_moves(queue, action, given, message):
    env = BatchEnv(queue, 2, EnvConfig(action=action))
    env.reset([0, 1])
    before = env.state.bodies.tobytes()
    with pytest.raises(EnvError, match=message):
        env.step(given)
    assert env.state.bodies.tobytes() == before


def test_misuse_is_refused(queue, crossings):
    env = BatchEnv(queue, 2)
    with pytest.raises(EnvError, match="reset the environment before its first step"):
        env.step(np.zeros(env.action_shape, np.float32))
    with pytest.raises(EnvError, match="first reset must be of all"):
        env.reset(worlds=np.array([True, False]))
    env.reset([0, 1])
    for call, message in (
        (lambda: env.reset([0]), "one seed for each of the 2 worlds"),
        (lambda: env.reset([0, -1]), "seed must be a whole number"),
        (lambda: env.reset([0, 2**64]), "seed must be a whole number"),
        (lambda: env.reset(episode=4), "not in the stock"),
        (lambda: env.reset(worlds=np.array([1, 0])), "mask of worlds"),
        (lambda: BatchEnv(queue, 0), "worlds must be"),
        (lambda: BatchEnv([], 1), "at least one scenario"),
        (lambda: BatchEnv(queue, 1, EnvConfig(agents=4)), "holds 3 vehicles, fewer than the 4 agents"),
        (lambda: BatchEnv([replace(queue[0], ego=None)], 1), "has no ego"),
    ):
        with pytest.raises(EnvError, match=message):
            call()


def test_worlds_with_fewer_agents_leave_places_empty(crossings):
    env = BatchEnv(crossings, 6, EnvConfig(agents="all"))
    env.reset(list(range(6)))
    counts = [len(env.stock.scenarios[n].actors) for n in env.tables.episodes["number"]]
    assert env.active.sum(axis=1).tolist() == counts
    assert len(set(counts)) > 1


def test_resets_go_through_the_stock(crossings):
    env = BatchEnv(crossings, 1)
    drawn = set()
    env.reset([11])
    for _ in itertools.repeat(None, 60):
        drawn.add(int(env.episode_seeds[0]))
        env.reset()
    assert drawn == {scenario.seed for scenario in crossings}


def test_a_step_of_several_ticks_is_those_ticks_one_by_one(crossings):
    config = EnvConfig(agents="all", action="target_speed", autoreset="Disabled")
    single, triple = BatchEnv(crossings, 2, config), BatchEnv(crossings, 2, replace(config, repeat=3))
    for env in (single, triple):
        env.reset([5, 6])
    for tick in range(40):
        actions = np.full(single.action_shape, 0.4 if tick % 2 else 0.9, np.float32)
        three = triple.step(actions)
        rewards = np.zeros_like(three.rewards)
        ended = np.zeros_like(three.terminated)
        for _ in range(3):
            one = single.step(actions)
            rewards += one.rewards
            ended |= one.terminated
        np.testing.assert_allclose(three.rewards, rewards, atol=1e-5)
        assert np.array_equal(three.terminated, ended)
        assert triple.state.bodies.tobytes() == single.state.bodies.tobytes()
        there = triple.active
        assert there.any()
        assert np.array_equal(three.observations[there], one.observations[there])
        if single.over.any():
            break


def test_an_episode_ends_within_a_step_of_several_ticks(queue):
    env = BatchEnv(queue, 1, EnvConfig(action="target_speed", autoreset="Disabled", repeat=7, duration_s=1.0))
    env.reset([0])
    go = np.ones(env.action_shape, np.float32)
    assert not env.step(go).truncated.any()
    outcome = env.step(go)
    assert outcome.truncated.all()
    assert env.tables.episodes["ticks"][0] == 10
    assert outcome.observations.any()


@pytest.mark.parametrize("latency", [1, 3])
def test_latency_is_that_of_the_simulator(queue, latency):
    """`World`, whose controls act after the scenario's latency, goes the same way."""
    env = BatchEnv(queue, 1, EnvConfig(autoreset="Disabled", latency_ticks=latency))
    env.reset([0])
    world = World([replace(env.stock.scenarios[0], latency_ticks=latency)], traced=False)
    controls = np.zeros(world.state.bodies.shape, CONTROL_DTYPE)
    at_once = BatchEnv(queue, 1, EnvConfig(autoreset="Disabled"))
    at_once.reset([0])
    differs = False
    for actions in random_actions(env, 2, 20):
        first, second = float(actions[0, 0, 0]), float(actions[0, 0, 1])
        one = controls[0, 0]
        one["accel"] = first * (ACCELERATION if first > 0 else BRAKING)
        one["steer"], one["given"] = np.float32(second) * world.state.bodies["steer_max"][0, 0], 1
        env.step(actions)
        at_once.step(actions)
        world.step(controls)
        for name in ("x", "y", "speed", "steer"):
            np.testing.assert_allclose(env.state.bodies[name][0, 0], world.state.bodies[name][0, 0], rtol=1e-6, atol=1e-6)
        differs |= abs(float(at_once.state.bodies["x"][0, 0] - env.state.bodies["x"][0, 0])) > 1e-3
    assert differs


def test_nothing_under_way_is_left_over_from_the_episode_before(queue):
    env = BatchEnv(queue, 1, EnvConfig(action="target_speed", autoreset="Disabled", latency_ticks=3))
    traces = []
    for _ in range(2):
        env.reset([0])
        trace = []
        for _ in range(12):
            env.step(np.full(env.action_shape, -1.0, np.float32))
            trace.append(float(env.state.bodies["x"][0, 0]))
        traces.append(trace)
    assert traces[0] == traces[1]


def test_agents_can_be_those_whom_the_scenario_leaves_outside(crossings):
    def left(scenario, which):
        actors = [replace(one, model=Model.EXTERNAL if a in which else one.model) for a, one in enumerate(scenario.actors)]
        return replace(scenario, actors=tuple(actors))

    scenarios = [left(crossings[0], {0, 2}), left(crossings[1], {1})]
    env = BatchEnv(scenarios, 2, EnvConfig(agents="external", action="target_speed"))
    assert env.stock.slots.tolist() == [[0, 2], [1, -1]]
    with pytest.raises(EnvError, match="leaves no vehicle"):
        BatchEnv(crossings, 1, EnvConfig(agents="external"))


def test_a_refilled_stock_is_as_a_new_one(crossings):
    config = EnvConfig(agents="all", action="target_speed", autoreset="SameStep", duration_s=3.0)
    env = BatchEnv(crossings[:4], 3, config)
    with pytest.raises(EnvError, match="reset the environment before"):
        env.refill(crossings[4:])
    env.reset([1, 2, 3])
    go = np.ones(env.action_shape, np.float32)
    for _ in range(5):
        env.step(go)
    seen = env.refill(crossings[4:])
    assert set(env.episode_seeds) <= {one.seed for one in crossings[4:]}
    assert seen.shape == (3, env.agents, *env.observation_shape)
    go = np.ones(env.action_shape, np.float32)
    played = set()
    for _ in range(200):
        outcome = env.step(go)
        played |= set(env.episode_seeds)
    assert played == {one.seed for one in crossings[4:]}
    again = BatchEnv(crossings[:4], 3, config)
    again.reset([1, 2, 3])
    assert again.refill(crossings[4:]).tobytes() == seen.tobytes()  # seeds decide, not how far the worlds had come
    assert np.isfinite(outcome.rewards).all()
