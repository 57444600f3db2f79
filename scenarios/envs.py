"""The catalogue as environments: `avstack/FourWayStop-v0` and so on, registered with Gymnasium when `scenarios` is imported.

`gymnasium.make("scenarios:avstack/FourWayStop-v0", agents="ego", action="target_speed")` needs no import. Keyword arguments are
those of `make_env`: the stock of episodes, and whatever `sim.envs.EnvConfig` takes. Which episodes there are follows from the
arguments, which of them are played from the seed of the reset.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Literal, overload

from scenarios.nearest import nearest

if TYPE_CHECKING:
    from sim.envs import BatchEnv, EnvConfig
    from sim.envs.cuda import CudaBatchEnv
    from sim.envs.gymnasium_views import DrivingEnv, DrivingVectorEnv
    from sim.envs.parallel import DrivingParallelEnv
    from sim.envs.sb3 import DrivingVecEnv
    from sim.scenario import Scenario

EPISODES = 64
_STOCKS = 8  # kept, so that environments made alike share their scenarios


def env_id(family: str) -> str:
    """Gymnasium's id of a family of the catalogue."""
    return f"avstack/{''.join(word.capitalize() for word in family.split('_'))}-v0"


def register_envs() -> None:
    """Make the catalogue known to Gymnasium."""
    import gymnasium  # whose own import comes here, by way of `scenarios`

    from scenarios.catalogue import FAMILIES

    for family in FAMILIES:
        gymnasium.register(
            env_id(family), entry_point="scenarios.envs:make_env", vector_entry_point="scenarios.envs:make_vector_env",
            kwargs={"scenario": family}, order_enforce=False, disable_env_checker=False,
        )  # fmt: skip


def compile_episodes(
    scenario: str, episodes: int = EPISODES, first_episode: int = 0, settings: Sequence[str] = ()
) -> tuple[Scenario, ...]:
    """Episodes first_episode, first_episode + 1, ... of a name of the catalogue, FILE.yaml or MAP.xodr.

    settings: as `--set`, such as `traffic.demand=900`. Raises InputError for a scenario that cannot be, EnvError for numbers.
    """
    from sim.envs import EnvError

    for name, value, least in (("episodes", episodes, 1), ("first_episode", first_episode, 0)):
        if isinstance(value, bool) or not isinstance(value, int) or value < least:
            raise EnvError(f"{name} must be a whole number of at least {least}, got {value!r}")
    from scenarios.catalogue import FAMILIES

    make = _known if scenario in FAMILIES else _compiled  # files may change
    return make(scenario, episodes, first_episode, tuple(settings))


def _compiled(scenario: str, episodes: int, first: int, settings: tuple[str, ...]) -> tuple[Scenario, ...]:
    from scenarios.compile import compile_scenario
    from scenarios.resolve import apply_settings, resolve

    spec = apply_settings(resolve(scenario), settings)
    return tuple(compile_scenario(spec, seed) for seed in range(first, first + episodes))


_known = lru_cache(maxsize=_STOCKS)(_compiled)


def _split(options: dict[str, Any]) -> tuple[dict[str, Any], EnvConfig]:
    """(arguments of `compile_episodes`, configuration) out of keyword arguments. EnvError for one that neither takes."""
    from sim.envs import EnvConfig, EnvError

    stock = ("episodes", "first_episode", "settings")
    config = [item.name for item in fields(EnvConfig)]
    for name in options:
        if name not in stock and name not in config:
            raise EnvError(f"unknown option {name!r}{nearest(name, [*stock, *config])}")
    return {k: v for k, v in options.items() if k in stock}, EnvConfig(**{k: v for k, v in options.items() if k in config})


def make_env(scenario: str, *, render_mode: str | None = None, **options: Any) -> DrivingEnv:
    """One world with one agent, as Gymnasium's `Env`."""
    from sim.envs.gymnasium_views import DrivingEnv

    stock, config = _split(options)
    return DrivingEnv(compile_episodes(scenario, **stock), config, render_mode=render_mode)


def make_vector_env(scenario: str, num_envs: int = 1, *, render_mode: str | None = None, **options: Any) -> DrivingVectorEnv:
    """`num_envs` worlds with one agent each, as Gymnasium's `VectorEnv`."""
    from sim.envs.gymnasium_views import DrivingVectorEnv

    stock, config = _split(options)
    return DrivingVectorEnv(compile_episodes(scenario, **stock), num_envs, config, render_mode=render_mode)


def make_parallel_env(scenario: str, *, render_mode: str | None = None, **options: Any) -> DrivingParallelEnv:
    """One world with several agents, all vehicles unless said otherwise, as PettingZoo's `ParallelEnv`."""
    from sim.envs.parallel import DrivingParallelEnv

    stock, config = _split({"agents": "all", **options})
    return DrivingParallelEnv(compile_episodes(scenario, **stock), config, render_mode=render_mode)


def make_sb3_env(scenario: str, num_envs: int = 1, *, render_mode: str | None = None, **options: Any) -> DrivingVecEnv:
    """`num_envs` worlds with one agent each, as the `VecEnv` of Stable-Baselines3."""
    from sim.envs.sb3 import DrivingVecEnv

    stock, config = _split(options)
    return DrivingVecEnv(compile_episodes(scenario, **stock), num_envs, config, render_mode=render_mode)


@overload
def make_batch(scenario: str, worlds: int = 1, *, device: Literal["cpu"] = "cpu", **options: Any) -> BatchEnv: ...
@overload
def make_batch(scenario: str, worlds: int = 1, *, device: Literal["cuda"], **options: Any) -> CudaBatchEnv: ...


def make_batch(scenario: str, worlds: int = 1, *, device: str = "cpu", **options: Any) -> BatchEnv | CudaBatchEnv:
    """The batch itself: `worlds` worlds of one or several agents each. device: `cpu`, or `cuda` for a GPU (extra `cuda`)."""
    from sim.envs import BatchEnv, EnvError

    if device not in ("cpu", "cuda"):
        raise EnvError(f"unknown device {device!r}{nearest(str(device), ['cpu', 'cuda'])}; known: cpu, cuda")
    stock, config = _split(options)
    if device == "cpu":
        return BatchEnv(compile_episodes(scenario, **stock), worlds, config)
    from sim.envs.cuda import CudaBatchEnv, require_device

    require_device()  # before episodes are compiled
    return CudaBatchEnv(compile_episodes(scenario, **stock), worlds, config)
