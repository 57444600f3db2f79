"""What tests of the GPU path run in processes of their own: at its import numba reads whether it is to simulate a device."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from sim.envs import BatchEnv, EnvConfig, EnvError
from sim.envs.cuda import CudaBatchEnv
from sim.roads.assemble import assemble
from sim.roads.builders import BUILDERS
from sim.roads.route import shortest_route
from sim.scenario import Actor, Scenario

ARMS = ("south", "east", "north", "west")
PERFORMED = ("begin", "show", "advance")


def meetings() -> list[Scenario]:
    """Three cars that come to an all-way stop."""
    road = assemble(BUILDERS["four_way"](control="all_way", arm_length=40.0))
    routes = [shortest_route(road, road.lane(f"{ARMS[k]}_in_0"), road.lane(f"{ARMS[k - 2]}_out_0")) for k in range(3)]
    return [
        Scenario(
            name="meeting", road_map=road, seed=seed, ego=0, duration_s=1.0,
            actors=tuple(Actor(name=f"car{k}", route=route, s=10.0 + seed + k, speed=6.0) for k, route in enumerate(routes)),
        )
        for seed in range(3)
    ]  # fmt: skip


def actions_for(env: BatchEnv, tick: int) -> np.ndarray:
    random = np.random.default_rng(tick)
    if env.config.action == "manoeuvre":
        return random.integers(0, 6, env.action_shape)
    return random.uniform(-0.3, 1.0, env.action_shape).astype(np.float32) * (
        1.0 if env.action_size == 1 else np.array([1.0, 0.02], np.float32)
    )


def play(action: str, mode: str, ticks: int, shift: int = 0) -> dict[str, Any]:
    """Steps whose every array has the processor's bits, and episodes that ended. shift: of the device's seeds."""
    config = EnvConfig(
        agents=2,
        action=action,
        autoreset=mode,
        styles={"progress": (0.5, 2.0)},
        repeat=2,
        latency_ticks=int(action == "continuous"),
    )
    here, there = BatchEnv(meetings(), 3, config), CudaBatchEnv(meetings(), 3, config)
    same = [np.array_equal(here.reset([1, 2, 3]), there.reset([1 + shift, 2 + shift, 3 + shift]).copy_to_host())]
    kept = there.reset([1 + shift, 2 + shift, 3 + shift])
    before = kept.copy_to_host()
    ended = 0
    for tick in range(ticks):
        actions = actions_for(here, tick)
        one, other = here.step(actions), there.step(actions)
        same.append(all(np.array_equal(mine, theirs.copy_to_host()) for mine, theirs in zip(one, other, strict=True)))
        over = there.over.copy_to_host()
        ended += int(over.sum())
        if here.final_observations is not None:
            same.append(np.array_equal(here.final_observations, there.last_observations.copy_to_host()[over]))
    return {"same": sum(same), "of": len(same), "ended": ended, "copied": bool(np.array_equal(before, kept.copy_to_host()))}


def refusals() -> list[str]:
    """What is said about input that cannot be."""
    made = CudaBatchEnv(meetings(), 2, EnvConfig(agents=2))
    good = np.zeros(made.action_shape, np.float32)
    bad = good.copy()
    bad[1, 0, 1] = np.nan
    whole = CudaBatchEnv(meetings(), 2, EnvConfig(agents=2, action="manoeuvre"))
    tries: list[Callable[[], object]] = [
        lambda: CudaBatchEnv(meetings(), 2, EnvConfig(observation="grid")),
        lambda: CudaBatchEnv(meetings(), 2, EnvConfig(autoreset="Disabled")),
        lambda: made.step(good),
        lambda: made.reset([1, 2]) is None or made.step(bad),
        lambda: made.step(good[0]),
        lambda: made.step(good.astype(np.int64)),
        lambda: made.step(made._cuda.to_device(good.astype(np.float64))),
        lambda: whole.reset([1, 2]) is None or whole.step(np.array([[0, 1], [6, 0]])),
    ]
    said = []
    for one in tries:
        try:
            one()
        except EnvError as error:
            said.append(str(error))
        else:
            said.append("nothing")
    return said


def signatures() -> dict[str, tuple[Any, ...]]:
    """Types of the arguments that each launched function gets."""
    import numba
    from numba.core import types

    from sim.state import CONTROL_DTYPE

    words, whole, flags = types.int64[::1], types.int64, types.boolean[:, ::1]
    plane, cube, line = types.float32[:, ::1], types.float32[:, :, ::1], types.float32[::1]
    numbers, slots = types.int32[::1], types.int32[:, ::1]
    controls = types.Array(numba.from_dtype(CONTROL_DTYPE), 2, "C")
    view = cube, line, whole, whole, types.float64
    state = words, words
    return {
        "take": (words, cube, whole, words),
        "copy_worlds": (types.uint64[:, ::1], types.uint64[:, ::1], words),
        "begin": (words, slots, numbers, line, numbers, plane, cube, cube, words),
        "show": (*state, words, slots, words, whole, *view),
        "advance": (
            *state, types.float64[:, ::1], controls, words, whole, whole, *view, plane, flags, flags, types.boolean[::1],
        ),
    }  # fmt: skip


def compiled() -> dict[str, dict[str, int]]:
    """Size of the PTX of what is launched; how often it multiplies and adds in one; kernels in it."""
    from sim.envs import launches
    from sim.envs.twins import compile_launched

    made = {name: compile_launched(getattr(launches, name), kinds, (8, 0)) for name, kinds in signatures().items()}
    return {
        name: {"size": len(code), "fused": code.count("fma."), "kernels": code.count(".entry")} for name, code in made.items()
    }


def translated(file: str) -> list[str]:
    """Write what numba-cuda hands to the device's compiler, in LLVM's language, for `performed`."""
    from sim.envs import launches
    from sim.envs.twins import translate_launched

    made = {name: translate_launched(getattr(launches, name), signatures()[name], (8, 0)) for name in PERFORMED}
    Path(file).write_text(json.dumps(made))
    return list(made)


def performed(file: str, action: str, mode: str, ticks: int) -> dict[str, Any]:
    """As `play`, by the code of `translated`: made for this processor, and called for one thread of a launch after the other."""
    from sim.envs import launches
    from tests.sim.envs.cuda_performed import Performed

    for name, (entry, texts) in json.loads(Path(file).read_text()).items():
        setattr(launches, name, Performed(entry, texts))
    return play(action, mode, ticks)


if __name__ == "__main__":
    name, *given = sys.argv[1:]
    arguments = [int(text) if text.isdigit() else text for text in given]
    programs: dict[str, Callable[..., Any]] = {one.__name__: one for one in (play, refusals, compiled, translated, performed)}
    print(json.dumps(programs[name](*arguments)))
