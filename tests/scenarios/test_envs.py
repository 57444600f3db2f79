"""The catalogue as environments: every id can be made and played, whichever of the two packages is imported first."""

from __future__ import annotations

import subprocess
import sys
import warnings

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

import scenarios  # noqa: F401  registers
from scenarios.catalogue import FAMILIES
from scenarios.envs import compile_episodes, env_id, make_batch, make_env
from scenarios.errors import InputError
from sim.envs import EnvError

MAKE = "gymnasium.make('scenarios:avstack/Merge-v0', episodes=1).reset(seed=0)"


@pytest.mark.parametrize("family", list(FAMILIES))
def test_every_family_is_an_environment(family):
    env = gymnasium.make(f"scenarios:{env_id(family)}", episodes=2, action="target_speed")
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        check_env(env.unwrapped, skip_render_check=True)
    env.reset(seed=1)
    for _ in range(50):
        _, _, terminated, truncated, _ = env.step(np.array([0.5], np.float32))
        if terminated or truncated:
            env.reset()


@pytest.mark.parametrize("family", list(FAMILIES))
def test_every_family_is_an_environment_of_all_vehicles(family):
    env = make_batch(family, 2, episodes=2, agents="all", action="target_speed", autoreset="SameStep")
    env.reset([1, 2])
    for _ in range(50):
        seen = env.step(np.full(env.action_shape, 0.2, np.float32)).observations
    assert np.isfinite(seen).all()


ASKED = "import scenarios, importlib.util; importlib.util.find_spec('gymnasium'); import gymnasium"


@pytest.mark.parametrize("order", ["import gymnasium, scenarios", "import scenarios, gymnasium", "import gymnasium", ASKED])
def test_ids_are_known_in_whatever_order_packages_come(order):
    subprocess.run([sys.executable, "-c", f"{order}; {MAKE}"], check=True)


def test_the_command_line_waits_neither_for_gymnasium_nor_for_the_catalogue():
    code = "import sys, scenarios; sys.exit(bool({'gymnasium', 'scenarios.catalogue'} & set(sys.modules)))"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_ids_make_vectors():
    envs = gymnasium.make_vec("scenarios:avstack/FourWayStop-v0", num_envs=3, vectorization_mode="vector_entry_point", episodes=2)
    seen, _ = envs.reset(seed=0)
    assert seen.shape[0] == 3
    one = make_env("four_way_stop", episodes=2)
    assert np.array_equal(one.reset(seed=2)[0], seen[2])


def test_gymnasium_s_own_vectors_take_them_too():
    envs = gymnasium.make_vec("scenarios:avstack/Merge-v0", num_envs=2, vectorization_mode="sync", episodes=2)
    assert envs.reset(seed=0)[0].shape[0] == 2


def test_files_are_environments(tmp_path, monkeypatch):
    file = tmp_path / "own.yaml"
    file.write_text(FAMILIES["unprotected_left"].spec().to_yaml())
    same = compile_episodes("unprotected_left", 2, settings=["traffic.demand=300"])
    assert compile_episodes(str(file), 2, settings=["traffic.demand=300"])[0].actors == same[0].actors
    assert make_env(str(file), episodes=1).reset(seed=0)[0].any()


def test_an_edited_file_is_read_again(tmp_path):
    file = tmp_path / "own.yaml"
    file.write_text(FAMILIES["merge"].spec().to_yaml())
    first = compile_episodes(str(file), 1)[0]
    file.write_text(file.read_text().replace("name: merge", "name: other"))
    assert compile_episodes(str(file), 1)[0].name == "other" != first.name


@pytest.mark.data
def test_maps_are_environments(data_dir):
    file = next(iter(sorted(data_dir.rglob("*.xodr"))))
    env = make_batch(str(file), 2, episodes=2, agents=2, action="target_speed")
    env.reset([0, 1])
    env.step(np.zeros(env.action_shape, np.float32))


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"scenario": "four_way_stopp"}, InputError, "four_way_stop"),
        ({"scenario": "merge", "agent": "all"}, EnvError, "unknown option 'agent'"),
        ({"scenario": "merge", "episodes": 0}, EnvError, "episodes must be"),
        ({"scenario": "merge", "first_episode": -1}, EnvError, "first_episode must be"),
        ({"scenario": "merge", "episodes": 1, "agents": 500}, EnvError, "fewer than the 500 agents"),
        ({"scenario": "merge", "settings": ["traffic.demandd=1"]}, InputError, "demandd"),
    ],
)
def test_what_cannot_be_is_refused(arguments, error, message):
    with pytest.raises(error, match=message):
        make_env(**arguments)


def test_an_unknown_id_is_refused():
    with pytest.raises(gymnasium.error.Error, match="FourWayStopp"):
        gymnasium.make("scenarios:avstack/FourWayStopp-v0")
