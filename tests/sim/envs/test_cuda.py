"""The GPU path: in numba's simulator of a device, compiled for one, and on one where it is at hand."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from scenarios.envs import make_batch
from sim.envs import EnvConfig, EnvError
from sim.envs.cuda import CudaBatchEnv, require_device

PROGRAMS = Path(__file__).with_name("cuda_programs.py")
ROOT = Path(__file__).parents[3]


def run(*arguments: str, **environment: str) -> Any:
    """What a program prints."""
    path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        [sys.executable, "-W", "ignore", PROGRAMS, *arguments], capture_output=True, text=True, timeout=1800, check=False,
        env={**os.environ, "PYTHONPATH": path, **environment},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def simulated(*arguments: str) -> Any:
    return run(*arguments, NUMBA_ENABLE_CUDASIM="1")


@pytest.mark.parametrize(
    ("action", "mode"), [("target_speed", "SameStep"), ("manoeuvre", "NextStep"), ("continuous", "SameStep")]
)
def test_launches_give_what_the_processor_gives(action, mode):
    told = simulated("play", action, mode, "7")
    assert told["same"] == told["of"] >= 8
    assert told["ended"] >= 3  # episodes of ten ticks, two of which are a step
    assert told["copied"]


def test_another_seed_is_noticed():
    told = simulated("play", "target_speed", "SameStep", "3", "5")
    assert told["same"] < told["of"]


def test_bad_input_is_told():
    said = simulated("refusals")
    wanted = [
        "observation 'grid' is not made on a GPU", "autoreset 'Disabled' is not for a GPU", "reset the environment",
        "action of agent 0 in world 1, component 1: np.float32(nan); it must be within -1 to 1",
        "actions must have shape (2, 2, 2)",
        "actions must be floats", "actions on the device must be float32, got float64",
        "action of agent 0 in world 1, component 0: np.int64(6); it must be 0 to 5",
    ]  # fmt: skip
    for text, start in zip(said, wanted, strict=True):
        assert start in text


def test_an_unknown_device_is_told():
    with pytest.raises(EnvError, match="did you mean 'cuda'"):
        make_batch("four_way_stop", 2, device="cuda0")  # type: ignore[call-overload]


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("numba_cuda") is None, reason="the extra `cuda` is not installed")
def test_everything_that_is_launched_compiles_for_a_device():
    made = run("compiled")
    assert set(made) == {"take", "copy_worlds", "begin", "show", "advance"}
    for name, one in made.items():
        assert one["kernels"] == 1, name
        assert one["fused"] == 0, name
    assert made["advance"]["size"] > 500_000  # the whole tick


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("numba_cuda") is None, reason="the extra `cuda` is not installed")
def test_the_devices_code_gives_the_processors_bits(tmp_path):
    """What numba-cuda makes of the kernels, run here: its way with types, indices and records, but not NVIDIA's compiler."""
    file = str(tmp_path / "launches.json")
    assert run("translated", file, LLVMLITE_ENABLE_IR_LAYER_TYPED_POINTERS="0") == ["begin", "show", "advance"]
    for action, mode in (("target_speed", "SameStep"), ("manoeuvre", "NextStep"), ("continuous", "SameStep")):
        told = simulated("performed", file, action, mode, "14")
        assert told["same"] == told["of"] >= 15
        assert told["ended"] >= 6


def gpu_or_skip() -> None:
    if importlib.util.find_spec("numba_cuda") is None:
        pytest.skip("the extra `cuda` is not installed")
    try:
        require_device()
    except EnvError as error:
        pytest.skip(str(error))


@pytest.mark.slow
def test_a_gpu_gives_the_processors_bits_and_torch_sees_its_memory(crossings):
    gpu_or_skip()
    torch = pytest.importorskip("torch")
    if not torch.cuda.is_available():
        pytest.skip("torch sees no GPU")
    from eval.bench.envs_cuda import compare

    told = compare(crossings, EnvConfig(agents="all", action="target_speed", autoreset="SameStep", duration_s=5.0), 8, 100)
    assert told["largest_difference"] < 1e-4
    assert told["equal_steps"] == told["steps"]
    env = CudaBatchEnv(crossings, 8, EnvConfig(action="target_speed", autoreset="SameStep", copy=False))
    seen = torch.as_tensor(env.reset(list(range(8))), device="cuda")
    assert seen.data_ptr() == env._rows.__cuda_array_interface__["data"][0]
    before = seen.cpu().numpy().copy()
    env.step(torch.ones(env.action_shape, device="cuda"))
    assert not np.array_equal(seen.cpu().numpy(), before)  # a view of what the next step wrote
