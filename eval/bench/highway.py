"""What one vehicle-tick costs in highway-env's intersection, for comparison; measured in an environment of its own.

highway-env is not a dependency: the first measurement makes a virtual environment below the user's cache folder and installs the
pinned version there with pip. In highway-env every vehicle decides and moves once in each simulation frame, so a frame of one
vehicle is its vehicle-tick, as a tick with its substeps is ours.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import venv
from pathlib import Path
from typing import TypedDict

HIGHWAY_ENV = "highway-env==1.12.1"
ENV_ID = "intersection-v0"
_INSTALL_LIMIT_S = 600.0
_START_LIMIT_S = 120.0
_PROBE = Path(__file__).with_name("highway_probe.py")


class HighwayUnavailableError(RuntimeError):
    """highway-env could not be installed or run; the message says why."""


class HighwayResult(TypedDict):
    """Cost of one environment on one thread.

    vehicle_ticks_per_cpu_s: vehicles times simulation frames (each with a decision and a move) per CPU second.
    vehicle_seconds_per_cpu_s: simulated seconds of one vehicle per CPU second. vehicles: mean number present.
    """

    version: str
    env_id: str
    cpu_s: float
    policy_steps: int
    vehicles: float
    policy_hz: float
    simulation_hz: float
    vehicle_ticks_per_cpu_s: float
    vehicle_seconds_per_cpu_s: float


def measure_highway(seconds: float) -> HighwayResult:
    """Step highway-env's intersection for `seconds` > 0 of CPU time.

    Raises HighwayUnavailableError where pip cannot install it.
    """
    if not 0.0 < seconds < float("inf"):
        raise ValueError(f"seconds must be positive and finite, got {seconds!r}")
    python = _interpreter(_environment_folder())
    command = [str(python), "-I", str(_PROBE), repr(float(seconds)), ENV_ID]
    limits = {"OMP_NUM_THREADS": "1", "SDL_VIDEODRIVER": "dummy", "SDL_AUDIODRIVER": "dummy"}
    sums = json.loads(_run(command, _START_LIMIT_S + 10.0 * seconds, "run", limits).splitlines()[-1])
    per_cpu_s = sums["vehicle_policy_steps"] / sums["cpu_s"]
    return HighwayResult(
        version=HIGHWAY_ENV.partition("==")[2],
        env_id=ENV_ID,
        cpu_s=sums["cpu_s"],
        policy_steps=sums["policy_steps"],
        vehicles=sums["vehicle_policy_steps"] / sums["policy_steps"],
        policy_hz=sums["policy_hz"],
        simulation_hz=sums["simulation_hz"],
        vehicle_ticks_per_cpu_s=per_cpu_s * (sums["simulation_hz"] // sums["policy_hz"]),
        vehicle_seconds_per_cpu_s=per_cpu_s / sums["policy_hz"],
    )


def _environment_folder() -> Path:
    """Where the environment is kept: one folder per version of highway-env and of Python."""
    cache = os.environ.get("AVSTACK_CACHE_DIR") or os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    name = f"{HIGHWAY_ENV.replace('==', '-')}-py{sys.version_info.major}.{sys.version_info.minor}"
    return Path(cache).expanduser() / "avstack" / "environments" / name


def _interpreter(folder: Path) -> Path:
    """Python of the environment in `folder`, which is made first where it is missing or was left half-made."""
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    complete = folder / "complete"
    if complete.exists():
        return python
    shutil.rmtree(folder, ignore_errors=True)
    try:
        venv.create(folder, with_pip=True)
        _run([str(python), "-m", "pip", "install", "--quiet", HIGHWAY_ENV], _INSTALL_LIMIT_S, "install")
        complete.touch()
    except (OSError, subprocess.CalledProcessError) as error:
        raise HighwayUnavailableError(
            f"cannot make an environment for {HIGHWAY_ENV} in {folder}: {error}. Set AVSTACK_CACHE_DIR to a folder you can write"
        ) from error
    finally:
        if not complete.exists():
            shutil.rmtree(folder, ignore_errors=True)
    return python


def _run(command: list[str], limit_s: float, verb: str, extra: dict[str, str] | None = None) -> str:
    """Standard output of a command of the environment; HighwayUnavailableError with its last words where it fails."""
    fix = "Check the network and pip's settings, or leave the comparison out"
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, timeout=limit_s, env={**os.environ, **(extra or {})}
        )
    except subprocess.TimeoutExpired:
        raise HighwayUnavailableError(f"could not {verb} {HIGHWAY_ENV} within {limit_s:.0f} s. {fix}") from None
    if done.returncode != 0:
        said = (done.stderr.strip() or done.stdout.strip() or "it said nothing").splitlines()[-1]
        raise HighwayUnavailableError(f"could not {verb} {HIGHWAY_ENV}: {said}. {fix}")
    return done.stdout
