"""Views of the batch: each passes its ecosystem's checker and agrees bit for bit with the core."""

from __future__ import annotations

import importlib.util
import warnings
from dataclasses import replace

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from gymnasium.vector import AutoresetMode

from sim.envs import BatchEnv, EnvConfig, EnvError
from sim.envs.gymnasium_views import DrivingEnv, DrivingVectorEnv
from tests.sim.envs.vector_checker import check_vector_env

ACTIONS = ("continuous", "jerk", "manoeuvre", "target_speed")
TICKS = 120


def core_of(scenarios, worlds, seeds, config, actions):
    """What the core gives for (worlds, ticks) actions, as a list of outcomes after the first observations."""
    env = BatchEnv(scenarios, worlds, config)
    first = env.reset(seeds)
    return first, [(env.step(one), env.final_observations) for one in actions]


def gentle(space, seed, ticks, worlds):
    """(ticks, worlds, ...) actions drawn from the middle of a space."""
    random = np.random.default_rng(seed)
    if isinstance(space, gymnasium.spaces.Discrete):
        return random.integers(0, space.n, (ticks, worlds))
    return (0.3 * random.uniform(-1.0, 1.0, (ticks, worlds, *space.shape)) + 0.1).astype(np.float32)


@pytest.mark.parametrize("action", ACTIONS)
@pytest.mark.parametrize("observation", ["vector", "grid", "objects"])
def test_gymnasium_has_nothing_to_say(crossings, action, observation):
    env = DrivingEnv(crossings, EnvConfig(action=action, observation=observation))
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*not.*spec.*")  # made by hand, not by an id
        check_env(env, skip_render_check=True)


@pytest.mark.parametrize("action", ACTIONS)
def test_one_world_agrees_with_the_core(crossings, action):
    config = EnvConfig(action=action, autoreset="Disabled", duration_s=15.0)
    env = DrivingEnv(crossings, config)
    core = BatchEnv(crossings, 1, config)
    actions = gentle(env.action_space, 1, 3 * TICKS, 1)
    seen, _ = env.reset(seed=5)
    assert np.array_equal(seen, core.reset([5])[0, 0])
    episodes = 0
    for one in actions:
        seen, reward, terminated, truncated, _ = env.step(one[0] if one.ndim > 1 else int(one[0]))
        outcome = core.step(one[np.newaxis])
        assert seen.tobytes() == outcome.observations[0, 0].tobytes()
        assert np.float32(reward) == outcome.rewards[0, 0]
        assert (terminated, truncated) == (outcome.terminated[0, 0], outcome.truncated[0, 0])
        if terminated or truncated:
            episodes += 1
            assert np.array_equal(env.reset()[0], core.reset()[0, 0])
    assert episodes > 0


@pytest.mark.parametrize("mode", list(AutoresetMode))
@pytest.mark.parametrize("action", ["continuous", "manoeuvre"])
def test_vectors_pass_our_checker(crossings, mode, action):
    config = EnvConfig(action=action, autoreset=mode, duration_s=4.0)
    check_vector_env(lambda n: DrivingVectorEnv(crossings, n, config), lambda: DrivingEnv(crossings, config))


class Forgetful(DrivingVectorEnv):
    """Shows the same buffer every time."""

    def step(self, actions):
        seen, *rest = super().step(actions)
        if not hasattr(self, "shown"):
            self.shown = seen
        self.shown[...] = seen
        return self.shown, *rest


class Shifted(DrivingVectorEnv):
    """World i does not play what the world alone plays."""

    def reset(self, *, seed=None, options=None):
        return super().reset(seed=seed + 1 if isinstance(seed, int) else seed, options=options)


class Endless(DrivingVectorEnv):
    """Forgets to say when an episode is over."""

    def step(self, actions):
        seen, rewards, terminated, truncated, infos = super().step(actions)
        return seen, rewards, terminated & False, truncated & False, infos


@pytest.mark.parametrize("broken", [Forgetful, Shifted, Endless])
def test_our_checker_finds_faults(crossings, broken):
    config = EnvConfig(duration_s=4.0)
    with pytest.raises(AssertionError):
        check_vector_env(lambda n: broken(crossings, n, config), lambda: DrivingEnv(crossings, config))


def test_rendering_gives_a_picture_of_what_is_there(crossings):
    env = DrivingEnv(crossings, EnvConfig(action="target_speed"), render_mode="rgb_array")
    env.reset(seed=1)
    first = env.render()
    assert first is not None
    assert first.shape == (640, 640, 3)
    assert first.dtype == np.uint8
    for _ in range(10):
        env.step(np.ones(1, np.float32))
    later = env.render()
    assert later is not None
    assert not np.array_equal(later, first)
    assert DrivingEnv(crossings).render() is None
    with pytest.raises(EnvError, match="unknown render_mode 'ascii'"):
        DrivingEnv(crossings, render_mode="ascii")


def test_the_window_opens_without_a_screen(crossings):
    env = DrivingEnv(crossings, render_mode="human")
    env.reset(seed=1)
    env.step(np.zeros(2, np.float32))
    env.close()


def test_views_of_one_agent_refuse_several(crossings):
    for make in (DrivingEnv, DrivingVectorEnv):
        with pytest.raises(EnvError, match="one agent a world, not 6"):
            make(crossings, config=EnvConfig(agents="all"))


def test_misuse_is_refused(crossings):
    env = DrivingEnv(crossings)
    with pytest.raises(EnvError, match="reset the environment"):
        env.step(np.zeros(2, np.float32))
    env.reset(seed=0)
    with pytest.raises(EnvError, match=r"shape \(2,\), got \(3,\)"):
        env.step(np.zeros(3, np.float32))
    with pytest.raises(EnvError, match="unknown reset option 'episodes'"):
        env.reset(options={"episodes": 3})
    vector = DrivingVectorEnv(crossings, 2)
    with pytest.raises(EnvError, match=r"shape \(2, 2\), got \(3, 2\)"):
        vector.step(np.zeros((3, 2), np.float32))


def test_the_option_episode_chooses(crossings):
    env = DrivingEnv(crossings)
    for scenario in crossings:
        _, info = env.reset(options={"episode": scenario.seed})
        assert info["episode_seed"] == scenario.seed


pettingzoo = pytest.mark.skipif(
    importlib.util.find_spec("pettingzoo") is None,
    reason="PettingZoo is not installed (pip install 'avstack-sim[envs]')",
)


@pettingzoo
@pytest.mark.parametrize("action", ACTIONS)
@pytest.mark.parametrize("agents", [2, "all"])
def test_pettingzoo_has_nothing_to_say(crossings, action, agents):
    config = EnvConfig(agents=agents, action=action, duration_s=4.0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # PettingZoo's tests import its own deprecated modules
        from pettingzoo.test import parallel_api_test, parallel_seed_test

        from sim.envs.parallel import DrivingParallelEnv

        parallel_api_test(DrivingParallelEnv(crossings, config), num_cycles=200)
        parallel_seed_test(lambda: DrivingParallelEnv(crossings, config), num_cycles=60)


@pettingzoo
def test_several_agents_agree_with_the_core(crossings):
    from sim.envs.parallel import DrivingParallelEnv

    config = EnvConfig(agents="all", action="target_speed", autoreset="Disabled")
    env = DrivingParallelEnv(crossings, config)
    core = BatchEnv(crossings, 1, config)
    seen, _ = env.reset(seed=4)
    assert all(np.array_equal(seen[name], core.reset([4])[0, k]) for k, name in enumerate(env.agents))
    random = np.random.default_rng(0)
    left = []
    while env.agents:
        actions = np.zeros(core.action_shape, np.float32)
        there = list(env.agents)
        for name in there:
            actions[0, int(name[6:])] = random.uniform(0.0, 1.0)
        seen, rewards, terminated, truncated, _ = env.step({name: actions[0, int(name[6:])] for name in there})
        outcome = core.step(actions)
        for name in there:
            k = int(name[6:])
            assert seen[name].tobytes() == outcome.observations[0, k].tobytes()
            assert np.float32(rewards[name]) == outcome.rewards[0, k]
            assert (terminated[name], truncated[name]) == (outcome.terminated[0, k], outcome.truncated[0, k])
        left.append(len(env.agents))
    assert left == sorted(left, reverse=True)
    with pytest.raises(EnvError, match="nobody is there"):
        env.step({})
    env.reset()
    with pytest.raises(EnvError, match="no action for agent_1"):
        env.step({"agent_0": np.zeros(1, np.float32)})
    with pytest.raises(EnvError, match="unknown agent 'bob'"):
        env.step({"bob": np.zeros(1, np.float32)})


def test_configs_of_views_keep_what_they_are_given(crossings):
    config = EnvConfig(action="target_speed", styles={"time": (0.0, 4.0)}, neighbours=3)
    env = DrivingEnv(crossings, config)
    assert env.core.config == replace(config, autoreset="Disabled")
