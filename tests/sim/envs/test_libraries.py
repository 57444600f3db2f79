"""Libraries that people train with run on the environments as they are: Stable-Baselines3, TorchRL, and a loop as CleanRL has it.

Passed with gymnasium 1.4.0, stable-baselines3 2.9.2, torchrl 0.14.1 and tensordict 0.15.3.
"""

from __future__ import annotations

import warnings

import gymnasium
import numpy as np
import pytest

from sim.envs import BatchEnv, EnvConfig
from sim.envs.gymnasium_views import DrivingEnv, DrivingVectorEnv


def need(name: str):
    """The module, or a skip that says which extra brings it; their own deprecations are not ours."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return pytest.importorskip(
            name, reason=f"{name} is not installed (an extra, see docs/environments.md)", exc_type=ImportError
        )


@pytest.mark.filterwarnings("ignore")
def test_stable_baselines_agrees_with_the_core(crossings):
    need("stable_baselines3")
    from sim.envs.sb3 import DrivingVecEnv

    config = EnvConfig(action="target_speed", autoreset="SameStep", duration_s=3.0)
    envs = DrivingVecEnv(crossings, 3, config)
    core = BatchEnv(crossings, 3, config)
    envs.seed(10)
    assert np.array_equal(envs.reset(), core.reset([10, 11, 12])[:, 0])
    random = np.random.default_rng(0)
    ended = 0
    for _ in range(70):
        actions = random.uniform(-1.0, 1.0, (3, 1)).astype(np.float32)
        seen, rewards, dones, infos = envs.step(actions)
        outcome = core.step(actions[:, np.newaxis])
        assert np.array_equal(seen, outcome.observations[:, 0])
        assert np.array_equal(rewards, outcome.rewards[:, 0])
        assert np.array_equal(dones, (outcome.terminated | outcome.truncated)[:, 0])
        for w in np.flatnonzero(dones):
            ended += 1
            assert core.final_observations is not None
            place = int(np.flatnonzero(core.ended_worlds == w)[0])
            assert np.array_equal(infos[w]["terminal_observation"], core.final_observations[place, 0])
            assert infos[w]["TimeLimit.truncated"] == bool(outcome.truncated[w, 0])
    assert ended >= 3
    assert envs.env_is_wrapped(gymnasium.Wrapper) == [False] * 3
    assert envs.get_attr("num_envs") == [3] * 3
    envs.close()


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("action", ["continuous", "manoeuvre"])
def test_stable_baselines_learns(crossings, action):
    need("stable_baselines3")
    from stable_baselines3 import PPO
    from stable_baselines3.common.env_checker import check_env

    from sim.envs.sb3 import DrivingVecEnv

    check_env(DrivingEnv(crossings, EnvConfig(action=action)), skip_render_check=True)
    envs = DrivingVecEnv(crossings, 4, EnvConfig(action=action, duration_s=5.0))
    model = PPO("MlpPolicy", envs, n_steps=64, batch_size=64, n_epochs=2, seed=0, device="cpu")
    model.learn(512)
    assert model.num_timesteps >= 512
    assert len(model.ep_info_buffer) > 0


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("vector", [False, True])
def test_torchrl_plays(crossings, vector):
    need("torchrl")
    from torchrl.envs import GymWrapper
    from torchrl.envs.utils import check_env_specs

    config = EnvConfig(action="target_speed", autoreset="SameStep", duration_s=3.0)
    inner = DrivingVectorEnv(crossings, 2, config) if vector else DrivingEnv(crossings, config)
    env = GymWrapper(inner)
    if not vector:
        check_env_specs(env)
    played = env.rollout(80, break_when_any_done=False)
    assert played["next", "reward"].shape[-2] == 80
    assert played["next", "done"].any()
    # what was kept is what was seen: nothing was written over
    seen = played["observation"].reshape(-1, played["observation"].shape[-1])
    assert len(seen.unique(dim=0)) > 60


def test_a_loop_as_cleanrl_has_it_learns(crossings):
    """PPO in one function over a Gymnasium vector with clipped actions and episode statistics, as CleanRL's
    ppo_continuous_action.py; here only that it runs and that gradients move the policy."""
    torch = pytest.importorskip("torch")
    torch.manual_seed(0)
    config = EnvConfig(action="continuous", duration_s=5.0)
    envs = gymnasium.wrappers.vector.RecordEpisodeStatistics(DrivingVectorEnv(crossings, 4, config))
    envs = gymnasium.wrappers.vector.ClipAction(envs)
    size = int(np.prod(envs.single_observation_space.shape))
    actor = torch.nn.Sequential(torch.nn.Linear(size, 32), torch.nn.Tanh(), torch.nn.Linear(32, 2))
    critic = torch.nn.Linear(size, 1)
    spread = torch.nn.Parameter(torch.full((2,), -0.5))
    learner = torch.optim.Adam([*actor.parameters(), *critic.parameters(), spread], lr=3e-4)
    before = [one.detach().clone() for one in actor.parameters()]
    seen = torch.tensor(envs.reset(seed=1)[0])
    finished = 0
    for _ in range(3):
        rows = []
        for _ in range(64):
            with torch.no_grad():
                law = torch.distributions.Normal(actor(seen), spread.exp())
                action = law.sample()
            following, reward, terminated, truncated, infos = envs.step(action.numpy())
            rows.append((seen, action, law.log_prob(action).sum(-1), torch.tensor(reward, dtype=torch.float32)))
            finished += int(np.sum(infos.get("_episode", 0)))
            assert not np.any(terminated & truncated)
            seen = torch.tensor(following)
        states, actions, old, rewards = (torch.stack(part) for part in zip(*rows, strict=True))
        gain = rewards.flip(0).cumsum(0).flip(0)
        law = torch.distributions.Normal(actor(states), spread.exp())
        ratio = (law.log_prob(actions).sum(-1) - old).exp()
        value = critic(states).squeeze(-1)
        advantage = (gain - value.detach()) / (gain.std() + 1e-6)
        loss = -torch.min(ratio * advantage, ratio.clamp(0.8, 1.2) * advantage).mean() + (gain - value).pow(2).mean()
        learner.zero_grad()
        loss.backward()
        learner.step()
    assert finished > 0
    assert any(not torch.equal(a, b) for a, b in zip(before, actor.parameters(), strict=True))
