"""What a vectorised environment owes its caller, checked by playing it; Gymnasium has no checker for these."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from gymnasium import Env
from gymnasium.vector import AutoresetMode, VectorEnv

TICKS = 150


def check_vector_env(make: Callable[[int], VectorEnv], make_one: Callable[[], Env], worlds: int = 3) -> None:
    """AssertionError where a promise is broken: spaces, types, copies, determinism, autoreset, worlds alike those alone."""
    envs = make(worlds)
    assert envs.num_envs == worlds
    assert envs.observation_space.shape == (worlds, *envs.single_observation_space.shape)
    mode = envs.metadata["autoreset_mode"]
    assert isinstance(mode, AutoresetMode)
    envs.action_space.seed(0)
    actions = [_calm(envs.action_space.sample()) for _ in range(TICKS)]
    log = _play(envs, actions, mode)
    again = _play(make(worlds), actions, mode)
    assert len(log) == len(again)
    assert all(_same(a, b) for a, b in zip(log, again, strict=True)), "the same seeds and actions give something else"
    _check_types(envs, log)
    _check_against_one(make_one, log, actions, mode, worlds)


def _calm(action):
    """Wheels nearly straight where an action is of floats."""
    return action if action.dtype.kind == "i" else (0.3 * action).astype(np.float32)


def _play(envs: VectorEnv, actions, mode):
    seen, _ = envs.reset(seed=20)
    log: list[tuple[Any, ...]] = [(seen, None, None, None, {})]
    copies = [seen.copy()]
    for action in actions:
        log.append(envs.step(action))
        copies.append(log[-1][0].copy())
        over = log[-1][2] | log[-1][3]
        if mode == AutoresetMode.DISABLED and over.any():
            log.append((envs.reset(options={"reset_mask": over})[0], None, None, None, {}))
            copies.append(log[-1][0].copy())
    for entry, copy in zip(log, copies, strict=True):
        assert np.array_equal(entry[0], copy), "an observation changed after it was given"
    return log


def _same(a, b) -> bool:
    return all((x is None and y is None) or np.array_equal(x, y) for x, y in zip(a[:4], b[:4], strict=True))


def _check_types(envs: VectorEnv, log) -> None:
    ended = 0
    for seen, rewards, terminated, truncated, _ in log:
        assert seen in envs.observation_space
        if rewards is None:
            continue
        assert rewards.shape == terminated.shape == truncated.shape == (envs.num_envs,)
        assert rewards.dtype.kind == "f"
        assert terminated.dtype == truncated.dtype == np.bool_
        ended += int((terminated | truncated).sum())
    assert ended >= envs.num_envs, "no episode ended: nothing about autoreset was checked"


def _check_against_one(make_one, log, actions, mode, worlds) -> None:
    """World w is an `Env` of its own, reset with its own seed whenever its episode has ended."""
    for w in range(worlds):
        one = make_one()
        seen, _ = one.reset(seed=20 + w)
        assert np.array_equal(seen, log[0][0][w]), "the first observation is another than that of the world alone"
        place, over = 1, False
        for action in actions:
            entry = log[place]
            place += 1
            if mode == AutoresetMode.NEXT_STEP and over:
                seen, _ = one.reset()
                over = False
                assert np.array_equal(seen, entry[0][w])
                assert entry[1][w] == 0.0
                assert not entry[2][w]
                assert not entry[3][w]
                continue
            seen, reward, terminated, truncated, _ = one.step(action[w])
            assert np.float32(reward) == np.float32(entry[1][w])
            assert (terminated, truncated) == (entry[2][w], entry[3][w])
            over = terminated or truncated
            if mode == AutoresetMode.SAME_STEP and over:
                assert entry[4]["_final_obs"][w]
                assert np.array_equal(seen, entry[4]["final_obs"][w])
                seen, _ = one.reset()
            assert np.array_equal(seen, entry[0][w])
            if mode == AutoresetMode.DISABLED and (entry[2] | entry[3]).any():
                if over:
                    seen, _ = one.reset()
                assert np.array_equal(seen, log[place][0][w])
                place += 1
