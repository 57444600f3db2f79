"""The policy's network as plain arrays: what it sees, what it may choose, and from one to the other without torch.

It looks at every neighbour with the same small network, conditioned on its own state, and takes the strongest answer to each
question (max pooling): the order of neighbours means nothing, and nobody is left out for being fourth (Zaheer et al., Deep Sets,
NeurIPS 2017). It is trained by `eval.train_policy`, whose module does the same sums.
"""

from __future__ import annotations

import json
import os
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scenarios.errors import InputError
from sim.envs import EnvConfig
from sim.envs.vector import LINE_MAX, NEIGHBOUR_FIELDS, RULE_FIELDS, layout
from sim.interface import Colour, Kind
from sim.observe import EGO_FIELDS

VERSION = 1
LEVELS = (-1.0, -0.8, -0.55, -0.25, 0.0, 0.3, 0.6, 1.0)
"""What it may choose: target speeds as `sim.envs` takes them, from standing to what limit and bends allow."""
TEMPERATURE = 0.3
"""Of its choices: with 0 copies of it that meet in mirrored places would wait for each other for good."""
REPEAT = 3
"""Ticks that a choice is kept for."""
STYLES: Mapping[str, tuple[float, float]] = {"time": (0.3, 3.0), "jerk": (0.3, 3.0)}
"""What one policy can be asked to be: how much it minds waiting, and jolts. 1 is the middle."""
OBSERVATION = EnvConfig(action="target_speed", repeat=REPEAT, latency_ticks=1, styles=STYLES)
"""The environment that it is made for."""

Floats32 = NDArray[np.float32]
_LEVELS = np.array(LEVELS, np.float32)
_PLACES = layout(OBSERVATION)
_EGO = {name: n for n, name in enumerate(EGO_FIELDS)}
_RULE = {name: _PLACES["rules"][0] + n for n, name in enumerate(RULE_FIELDS)}
_SEEN = {name: n for n, name in enumerate(NEIGHBOUR_FIELDS)}
_OWN_SCALES = {"speed": 0.1, "accel": 0.25, "speed_limit": 0.1, "length": 0.1, "width": 0.3}
_SEEN_SCALES = {
    "valid": 1.0, "x": 0.04, "y": 0.04, "cos": 1.0, "sin": 1.0, "vx": 0.1, "vy": 0.1, "length": 0.1, "width": 0.3, "left": 1.0,
    "right": 1.0, "waited": 0.1,
}  # fmt: skip
_KINDS = (Kind.PEDESTRIAN, Kind.BICYCLE, Kind.OBJECT)
NEAR_M = 20.0  # m, within which distances are told once more, finely
_PATH = OBSERVATION.path_points
NEIGHBOURS = OBSERVATION.neighbours
WIDTH, TRUNK = 64, 128
OWN_SIZE = len(_OWN_SCALES) + 9 + 2 * _PATH + len(STYLES)
OTHER_SIZE = len(_SEEN_SCALES) + 4 + len(_KINDS)


def features(rows: Floats32) -> tuple[Floats32, Floats32]:
    """Own (N, OWN_SIZE) and others' (N, NEIGHBOURS, OTHER_SIZE) features, of order one, of observations (N, size)."""
    own = np.empty((len(rows), OWN_SIZE), np.float32)
    for n, (name, scale) in enumerate(_OWN_SCALES.items()):
        own[:, n] = rows[:, _EGO[name]] * scale
    start = len(_OWN_SCALES)
    line, colour = rows[:, _RULE["line"]], rows[:, _RULE["colour"]]
    own[:, start] = line / LINE_MAX
    own[:, start + 1] = np.minimum(line, NEAR_M) / NEAR_M
    own[:, start + 2] = np.minimum(rows[:, _EGO["to_goal"]], NEAR_M) / NEAR_M
    own[:, start + 3] = rows[:, _RULE["stop"]]
    own[:, start + 4] = rows[:, _RULE["all_way"]]
    own[:, start + 5] = rows[:, _RULE["yield"]]
    own[:, start + 6] = rows[:, _RULE["signal"]] * ((colour == Colour.RED) + 0.5 * (colour == Colour.YELLOW))
    own[:, start + 7] = rows[:, _RULE["waited"]] * 0.1
    own[:, start + 8] = rows[:, _RULE["waited"]] > 0.0
    path = rows[:, _PLACES["path"][0] :][:, : 6 * _PATH].reshape(len(rows), _PATH, 6)
    own[:, start + 9 : start + 9 + 2 * _PATH] = path[:, :, :2].reshape(len(rows), -1) * 0.04
    own[:, start + 9 + 2 * _PATH :] = np.log(np.maximum(rows[:, _PLACES["styles"][0] :], 0.01))
    first, shape = _PLACES["neighbours"]
    seen = rows[:, first : first + shape[0] * shape[1]].reshape(-1, *shape)
    others = np.empty((len(rows), NEIGHBOURS, OTHER_SIZE), np.float32)
    for n, (name, scale) in enumerate(_SEEN_SCALES.items()):
        others[:, :, n] = seen[:, :, _SEEN[name]] * scale
    start = len(_SEEN_SCALES)
    others[:, :, start] = np.clip(seen[:, :, _SEEN["x"]] / 8.0, -1.0, 1.0)
    others[:, :, start + 1] = np.clip(seen[:, :, _SEEN["y"]] / 8.0, -1.0, 1.0)
    others[:, :, start + 2] = seen[:, :, _SEEN["waited"]] > 0.0
    others[:, :, start + 3] = np.clip(seen[:, :, _SEEN["waited"]] - rows[:, None, _RULE["waited"]], -2.0, 2.0) * 0.5
    for n, kind in enumerate(_KINDS):
        others[:, :, start + 4 + n] = (seen[:, :, _SEEN["kind"]] == kind) * seen[:, :, 0]
    return own, others


_ABOUT = "about"


@dataclass(frozen=True, slots=True)
class Weights:
    """A trained policy. arrays: by name, float32; about: what made it."""

    arrays: Mapping[str, Floats32]
    about: Mapping[str, Any] = field(default_factory=dict)

    def logits(self, own: Floats32, others: Floats32) -> Floats32:
        """(N, len(LEVELS)) log-odds of the choices, of `features`."""
        a = self.arrays
        each = np.maximum(others @ a["other.weight"].T + (own @ a["own.weight"].T + a["own.bias"])[:, None], 0.0)
        each = np.maximum(each @ a["mix.weight"].T + a["mix.bias"], 0.0) * others[:, :, :1]
        trunk = np.concatenate((own, each.max(axis=1)), axis=1)
        for name in ("first", "second"):
            trunk = np.maximum(trunk @ a[f"{name}.weight"].T + a[f"{name}.bias"], 0.0)
        found: Floats32 = trunk @ a["choice.weight"].T + a["choice.bias"]
        return found

    def choose(
        self, own: Floats32, others: Floats32, draws: NDArray[np.float64], temperature: float = TEMPERATURE
    ) -> NDArray[np.int64]:
        """Index in LEVELS (N,) of a choice each, by draws (N, len(LEVELS)) in [0, 1); at temperature 0 the likeliest."""
        noise = -np.log(-np.log(np.clip(draws, 1e-12, 1.0 - 1e-12)))
        return np.asarray((self.logits(own, others) + temperature * noise).argmax(axis=1), np.int64)


def actions_of(choices: NDArray[np.int64]) -> Floats32:
    """Actions (..., 1) of an environment for indices in LEVELS (...)."""
    actions: Floats32 = _LEVELS[choices][..., None]
    return actions


def shapes() -> dict[str, tuple[int, ...]]:
    """Shape of each array that a policy of this version has."""
    sizes = {
        "own": (WIDTH, OWN_SIZE), "other": (WIDTH, OTHER_SIZE), "mix": (WIDTH, WIDTH), "first": (TRUNK, OWN_SIZE + WIDTH),
        "second": (TRUNK, TRUNK), "choice": (len(LEVELS), TRUNK),
    }  # fmt: skip
    found: dict[str, tuple[int, ...]] = {f"{name}.weight": shape for name, shape in sizes.items()}
    return found | {f"{name}.bias": shape[:1] for name, shape in sizes.items() if name != "other"}


def save_weights(path: Path, weights: Weights) -> None:
    """Write a policy as plain arrays in half precision; nobody ever sees half a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(f".{os.getpid()}.part")
    arrays: dict[str, Any] = {name: weights.arrays[name].astype(np.float16) for name in shapes()}
    with part.open("wb") as file:
        np.savez(file, **{**arrays, _ABOUT: np.array(json.dumps({"version": VERSION, **weights.about}))})
    part.replace(path)


def load_weights(path: Path) -> Weights:
    """A policy that `save_weights` wrote. InputError where there is none, or one of another version."""
    fix = "Give a policy.npz that avstack train policy wrote"
    if not path.is_file():
        raise InputError(f"no policy {str(path)!r}", fix=fix)
    try:
        with path.open("rb") as file:
            kept = np.load(file, allow_pickle=False)
            about = json.loads(str(kept[_ABOUT]))
            arrays = {name: kept[name].astype(np.float32) for name in shapes()}
    except (OSError, ValueError, KeyError, IndexError, zipfile.BadZipFile) as error:
        raise InputError(f"cannot read the policy {str(path)!r}: {error}", fix=fix) from None
    if about.get("version") != VERSION or any(arrays[name].shape != shape for name, shape in shapes().items()):
        raise InputError(f"the policy {str(path)!r} was made by another version of avstack", fix="Train it again")
    if not all(np.isfinite(array).all() for array in arrays.values()):
        raise InputError(f"the policy {str(path)!r} holds values that are no numbers", fix="Train it again")
    return Weights(arrays, about)
