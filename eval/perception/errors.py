"""How far readings are off, by range, kind of road user and weather, and for how long: what tracking and `objects` go by.

Readings of a sensor, of the lidar's models or of the `objects` level, are matched to bodies of ordinary traffic. An error is that
of the near faces for a position, modulo half a turn for a heading. Its correlation in time is told from errors in stated standard
errors, of one body in one episode: share · exp(−lag / time), by least squares over LAGS.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import curve_fit

from eval.bench.tracking import FAMILIES, Seen, match, scenes, watch_scene
from sim.geometry import wrap_angles
from sim.interface import TICK_S, Floats, Kind
from sim.state import Status

QUANTITIES = ("x", "y", "heading", "vx", "vy", "length", "width")
GROUPS: Mapping[str, tuple[int, int]] = {
    "position": (0, 2), "heading": (2, 3), "velocity": (3, 5), "length": (5, 6), "width": (6, 7)
}  # fmt: skip
"""Figure -> its quantities, from first to past the last."""
SIGMA_OF = (0, 0, 1, 2, 2, 3, 4)
"""Of each quantity its place in `OBJECT_DTYPE.sigma`."""
RANGES = (0.0, 10.0, 20.0, 30.0, 40.0, 60.0)
"""m, edges of the bins."""
LAGS = (1, 2, 3, 5, 8, 12, 20, 30)
LEAST_SCORE = 0.3
"""Below, a reading is no claim that something is there."""
LEAST_PAIRS = 20
ONE_KIND = {Kind.VAN: Kind.CAR, Kind.BUS: Kind.TRUCK, Kind.MOTORCYCLE: Kind.BICYCLE}
"""Kinds that the models do not tell apart."""


@dataclass(slots=True)
class Sample:
    """Everything counted. errors, sigmas: (7,) each of a pair; rows: kind, away [m], scene, body, tick, whether its heading is
    reversed and its kind another one; found, there: readings and bodies by (kind, bin of range); unreal: readings of nothing."""

    errors: list[Floats] = field(default_factory=list)
    sigmas: list[Floats] = field(default_factory=list)
    rows: list[tuple[int, float, int, int, int, bool, bool]] = field(default_factory=list)
    found: defaultdict[tuple[int, int], int] = field(default_factory=lambda: defaultdict(int))
    there: defaultdict[tuple[int, int], int] = field(default_factory=lambda: defaultdict(int))
    unreal: int = 0
    frames: int = 0


def gather(episodes: Iterable[tuple[int, Sequence[Seen]]]) -> Sample:
    """Compare readings with bodies, episode by episode as `eval.bench.tracking.watch_scene` gives them."""
    sample = Sample()
    for scene, (carrier, ticks) in enumerate(episodes):
        bodies = {one.frame.tick: one.bodies for one in ticks}
        for one in ticks:
            then = bodies.get(one.frame.tick - one.frame.objects_age)  # when it was measured
            if then is not None:
                _compare(sample, scene, carrier, replace(one, bodies=then))
    return sample


def _compare(sample: Sample, scene: int, carrier: int, one: Seen) -> None:
    objects, bodies = one.frame.objects, one.bodies
    if objects is None:
        return
    objects = objects[objects["score"] >= LEAST_SCORE]
    ego = bodies[carrier]
    slots = np.flatnonzero(bodies["status"] == Status.ACTIVE)
    slots = slots[slots != carrier]
    away = np.hypot(bodies["x"][slots] - ego["x"], bodies["y"][slots] - ego["y"])
    near = away < RANGES[-1]
    slots, away = slots[near], away[near]
    sample.frames += 1
    for slot, distance in zip(slots, away, strict=True):
        sample.there[_cell(bodies[slot], float(distance))] += 1
    gaps = np.hypot(objects["x"][:, None] - bodies["x"][slots], objects["y"][:, None] - bodies["y"][slots])
    pairs = match(gaps)
    within = np.hypot(objects["x"] - ego["x"], objects["y"] - ego["y"]) < RANGES[-1]
    sample.unreal += int(within.sum()) - len(pairs)
    for row, column in pairs:
        _note(
            sample, (scene, int(slots[column]), one.frame.tick), objects[row], bodies[slots[column]], (ego, float(away[column]))
        )


def _cell(body: np.void, distance: float) -> tuple[int, int]:
    return _kind(int(body["kind"])), int(np.digitize(distance, RANGES)) - 1


def _kind(kind: int) -> int:
    return int(ONE_KIND.get(Kind(kind), Kind(kind)))


def _note(sample: Sample, key: tuple[int, int, int], seen: np.void, body: np.void, ego: tuple[np.void, float]) -> None:
    """Take in one pair."""
    error = np.array([float(seen[name]) - float(body[name]) for name in QUANTITIES])
    error[2] = float(wrap_angles(error[2:3])[0])
    reversed_ = bool(abs(error[2]) > 0.5 * math.pi)
    if reversed_:
        error[2] = float(wrap_angles(error[2:3] + math.pi)[0])
    # the near faces are where the returns are: the centre moves away from the eye by half of an error of size
    cos, sin = math.cos(float(body["heading"])), math.sin(float(body["heading"]))
    dx, dy = float(body["x"] - ego[0]["x"]) / ego[1], float(body["y"] - ego[0]["y"]) / ego[1]
    along, across = 0.5 * (dx * cos + dy * sin), 0.5 * (dy * cos - dx * sin)
    error[0] -= along * cos * error[5] - across * sin * error[6]
    error[1] -= along * sin * error[5] + across * cos * error[6]
    sigma = np.array([max(float(seen["sigma"][k]), 1e-3) for k in SIGMA_OF])
    sample.errors.append(error)
    sample.sigmas.append(sigma)
    sample.found[_cell(body, ego[1])] += 1
    other = _kind(int(seen["kind"])) != _kind(int(body["kind"]))
    sample.rows.append((_kind(int(body["kind"])), ego[1], key[0], key[1], key[2], reversed_, other))


def figures_of(sample: Sample) -> dict[str, object]:
    """Errors by kind and range, what is missed, reversed, taken for another kind or unreal, and correlations in time."""
    errors, sigmas = np.array(sample.errors).reshape(-1, 7), np.array(sample.sigmas).reshape(-1, 7)
    table = np.array([row[:5] for row in sample.rows], np.float64).reshape(-1, 5)
    flags = np.array([row[5:] for row in sample.rows], bool).reshape(-1, 2)
    kinds: dict[str, object] = {}
    for kind in sorted({cell[0] for cell in sample.there}):
        of = table[:, 0] == kind
        rows = [_bin(sample, errors, table, kind, k) for k in range(len(RANGES) - 1)]
        kinds[Kind(kind).name.lower()] = {
            "by_range": rows,
            "by_metre": {name: _line(rows, name) for name in GROUPS},
            "reversed": _share(flags[of, 0]), "other_kind": _share(flags[of, 1]), "pairs": int(of.sum()),
        }  # fmt: skip
    return {
        "frames": sample.frames, "unreal_per_frame": sample.unreal / max(sample.frames, 1), "kinds": kinds,
        "stated": {name: _over_stated(errors[:, a:b], sigmas[:, a:b]) for name, (a, b) in GROUPS.items()},
        "in_time": {name: correlation(errors[:, a:b] / sigmas[:, a:b], table[:, 2:5]) for name, (a, b) in GROUPS.items()},
    }  # fmt: skip


def _bin(sample: Sample, errors: Floats, table: Floats, kind: int, k: int) -> dict[str, object]:
    """One kind at one range: share found, and robust standard errors (from the median of absolute errors)."""
    there = sample.there[kind, k]
    at = errors[(table[:, 0] == kind) & (np.digitize(table[:, 1], RANGES) - 1 == k)]
    found: dict[str, object] = {
        "from_m": RANGES[k], "there": there, "found": sample.found[kind, k] / there if there else None,
    }  # fmt: skip
    for name, (a, b) in GROUPS.items():
        found[name] = float(1.4826 * np.median(np.abs(at[:, a:b]))) if len(at) >= LEAST_PAIRS else None
    return found


def _line(rows: Sequence[Mapping[str, object]], name: str) -> list[float] | None:
    """(at no distance, per metre) of a quantity's standard error over the bins, weighted by how much was there. Neither is below
    0: errors do not shrink with range. None where nothing was measured."""
    middles = [0.5 * (a + b) for a, b in pairwise(RANGES)]
    found = [(m, row[name], row["there"]) for m, row in zip(middles, rows, strict=True) if row[name] is not None]
    if not found:
        return None
    at, sigma, count = np.array(found, np.float64).T
    slope, base = np.polyfit(at, sigma, 1, w=np.sqrt(count)) if len(at) > 1 else (0.0, sigma[0])
    if slope < 0.0:
        return [float(np.average(sigma, weights=count)), 0.0]
    if base < 0.0:
        return [0.0, float(sigma @ at / (at @ at))]
    return [float(base), float(slope)]


def _share(flags: NDArray[np.bool_]) -> float | None:
    return float(flags.mean()) if len(flags) else None


def _over_stated(errors: Floats, sigmas: Floats) -> float | None:
    """Robust standard deviation of errors in stated standard errors: 1 where the sensor says how good it is."""
    return float(1.4826 * np.median(np.abs(errors / sigmas))) if len(errors) else None


def correlation(z: Floats, keys: Floats) -> dict[str, float] | None:
    """Share and time [s] of the part of errors z (N, Q) that lasts; keys (N, 3): scene, body, tick. None with too few pairs."""
    z = np.clip(z / max(float(1.4826 * np.median(np.abs(z))), 1e-9) if len(z) else z, -4.0, 4.0)
    by_key = {(int(a), int(b), int(c)): row for (a, b, c), row in zip(keys, z, strict=True)}
    lags, values = [], []
    for lag in LAGS:
        pairs = [(row, by_key[a, b, c + lag]) for (a, b, c), row in by_key.items() if (a, b, c + lag) in by_key]
        if len(pairs) >= LEAST_PAIRS:
            first, second = (np.array([pair[k] for pair in pairs]) for k in (0, 1))
            lags.append(TICK_S * lag)
            values.append(float(np.mean(first * second) / np.mean(0.5 * (first**2 + second**2))))
    if len(lags) < 3:
        return None
    (share, time), _ = curve_fit(_lasting, np.array(lags), np.array(values), p0=(0.7, 1.0), bounds=([0.0, 0.05], [1.0, 30.0]))
    return {"share": float(share), "time_s": float(time)}


def _lasting(lag: Floats, share: float, time: float) -> Floats:
    return np.asarray(share * np.exp(-lag / time))


def measure(sensing: str, first_seed: int, seeds: int, weather: str | None = None) -> dict[str, object]:
    """Figures of so many seeds of each family of traffic."""
    chosen = scenes(FAMILIES, range(first_seed, first_seed + seeds), weather)
    return {"sensing": sensing} | figures_of(gather(watch_scene(scenario, sensing) for scenario in chosen))


def errors_text(figures: Mapping[str, object]) -> str:
    """The figures for people: one table a kind, then how honest stated errors are and how long they last."""
    from rich.table import Table

    from eval.tables import render

    parts = []
    kinds = figures["kinds"]
    assert isinstance(kinds, dict)
    names = ("there", "found", *GROUPS)
    for kind, found in kinds.items():
        table = Table(title=f"{kind}: {found['pairs']} readings, reversed {_cell_text(found['reversed'])}", title_justify="left")
        for name in ("from [m]", *names):
            table.add_column(name, justify="right")
        for row in found["by_range"]:
            table.add_row(f"{row['from_m']:.0f}", *(_cell_text(row[name]) for name in names))
        parts.append(render(table).rstrip("\n"))
        lines = (
            f"{name} {'-' if line is None else f'{line[0]:.3g} + {line[1]:.2g}'}" for name, line in found["by_metre"].items()
        )
        parts.append(f"standard error at no distance and per metre: {', '.join(lines)}")
    parts.append(f"readings of nothing: {_cell_text(figures['unreal_per_frame'])} a frame")
    for title, name in (("errors in stated standard errors", "stated"), ("errors that last, share and time [s]", "in_time")):
        values = figures[name]
        assert isinstance(values, dict)
        shown = (
            f"{quantity} {'/'.join(_cell_text(v) for v in value.values()) if isinstance(value, dict) else _cell_text(value)}"
            for quantity, value in values.items()
        )
        parts.append(f"{title}: {', '.join(shown)}")
    return "\n".join(parts)


def _cell_text(value: object) -> str:
    return f"{value:.3g}" if isinstance(value, float) else "-" if value is None else str(value)
