"""How much our traffic moves as people were recorded to: likelihoods of recorded futures among simulated ones.

The measure of the Waymo Open Sim Agents Challenge (Montali et al., NeurIPS 2023; weights of 2025): from a moment of a recording
on, everybody who can be let go drives for some seconds, many times. For each road user and feature a histogram of what was
simulated, over all rollouts and steps, gives what was recorded a likelihood; their geometric means, weighted, are the score.
Bins, smoothing and weights are the challenge's; lights are left out, the weights of the rest add up to one. Controls say what the
figure means: the record itself, constant velocity, and moving at random.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.spatial import cKDTree

from eval.run import Job, prepare
from scenarios.errors import InputError
from sim.geometry import wrap_angles
from sim.interface import TICK_S, Floats
from sim.rng import Purpose, generator
from sim.roads.drivable import DRIVABLE
from sim.roads.lane_map import LaneMap
from sim.scenario import Model, Scenario
from sim.state import Status
from sim.world import World

WEIGHTS = {
    "speed": 0.05, "acceleration": 0.05, "angular speed": 0.05, "angular acceleration": 0.05, "distance to nearest": 0.10,
    "collision": 0.25, "time to collision": 0.10, "distance to road edge": 0.05, "off road": 0.25,
}  # fmt: skip
BINS = {
    "speed": (0.0, 25.0, 10), "acceleration": (-12.0, 12.0, 11), "angular speed": (-0.628, 0.628, 11),
    "angular acceleration": (-3.14, 3.14, 11), "distance to nearest": (-5.0, 40.0, 10), "time to collision": (0.0, 5.0, 10),
    "distance to road edge": (-20.0, 40.0, 10),
}  # fmt: skip
"""Least, most and number of bins of each feature that is a number; the others happen to a road user or not."""
SMOOTHING, SMOOTHING_OF_EVENTS = 0.1, 0.001
TTC_MOST = 5.0  # s
AHEAD = np.radians(75.0)  # headings within this are of somebody who is followed
OVERLAP = 0.5  # m, boxes whose sides overlap by more are in one lane
RANDOM_ACCEL, RANDOM_TURN = 2.0, 0.3  # m/s² and 1/s, standard deviations of the control that moves at random
SHORTEST_S = 1.0


@dataclass(frozen=True, slots=True, eq=False)
class Motion:
    """Futures (R, A, T, 3) of x, y, heading of A road users in R rollouts, and which of them were there (R, A, T)."""

    poses: Floats
    there: np.ndarray


@dataclass(frozen=True, slots=True, eq=False)
class Setting:
    """What futures are judged in. sizes (A, 2): length, width [m]; judged (A,): who drives itself in the rollouts."""

    names: tuple[str, ...]
    sizes: Floats
    judged: np.ndarray
    road_map: LaneMap
    record: Motion


def realism(target: str, *, rollouts: int, start_s: float, horizon_s: float) -> dict[str, dict[str, float]]:
    """Likelihood of each feature and `realism`, their weighted mean, for our traffic and for the controls.

    InputError for a target without recorded vehicles that lanes lead along.
    """
    setting, traffic = simulate(target, rollouts, start_s, horizon_s)
    first = Motion(np.repeat(setting.record.poses, 2, axis=0), np.repeat(setting.record.there, 2, axis=0))
    steady, random = _steady(setting.record), _random(setting.record, rollouts)
    ways = {"traffic": traffic, "record": first, "constant velocity": steady, "random": random}
    return {name: score(setting, motion) for name, motion in ways.items()}


def simulate(target: str, rollouts: int, start_s: float, horizon_s: float) -> tuple[Setting, Motion]:
    """What was recorded from `start_s` on, and rollouts of it in which everybody drives who can."""
    found = [_rollout(_scenario(target, seed), start_s, horizon_s) for seed in range(rollouts)]
    scenario = _scenario(target, 0)
    first, last = round(start_s / TICK_S), round((start_s + horizon_s) / TICK_S)
    record = _recorded(scenario, first, last)
    steps = record.there[0].sum(axis=1)
    present = np.flatnonzero(record.there[0, :, 0] & (steps >= SHORTEST_S / TICK_S))
    judged = np.array([scenario.actors[a].route is not None for a in present], bool)
    if not judged.any():
        raise InputError(f"{target}: nobody recorded at {start_s:g} s can drive by lanes", fix="Choose another --start")
    sizes = np.array([[scenario.actors[a].body.length, scenario.actors[a].body.width] for a in present])
    setting = Setting(
        names=tuple(scenario.actors[a].name for a in present), sizes=sizes, judged=judged, road_map=scenario.road_map,
        record=Motion(record.poses[:, present], record.there[:, present]),
    )  # fmt: skip
    poses, there = (np.stack([part[k][present] for part in found]) for k in (0, 1))
    return setting, Motion(poses, there)


def _scenario(target: str, seed: int) -> Scenario:
    """The recording with nobody under test, everybody able to be let go."""
    settings = ("mode=reactive", "ego=null", 'criteria={"goal": false}')
    return prepare(Job(target=target, seed=seed, settings=settings))


def _rollout(scenario: Scenario, start_s: float, horizon_s: float) -> tuple[Floats, np.ndarray]:
    """(A, T, 3) poses and whether they were there (A, T), everybody let go who can be at the start."""
    world = World((scenario,), traced=False)
    first, steps = round(start_s / TICK_S), round(horizon_s / TICK_S)
    while world.tick < first:
        world.step()
    bodies = world.state.bodies[0]
    for a, actor in enumerate(scenario.actors):
        if actor.model == Model.REPLAY and actor.route is not None and bodies["status"][a] == Status.ACTIVE:
            world.release(0, a, actor.pace)
    poses, there = np.zeros((len(scenario.actors), steps, 3)), np.zeros((len(scenario.actors), steps), bool)
    for k in range(steps):
        here = bodies["status"][: len(scenario.actors)] == Status.ACTIVE
        poses[:, k] = np.stack([bodies[name][: len(scenario.actors)] for name in ("x", "y", "heading")], axis=1)
        there[:, k] = here
        world.step()
    return poses, there


def _recorded(scenario: Scenario, first: int, last: int) -> Motion:
    """What the tracks say, (1, A, T)."""
    times = TICK_S * np.arange(first, last)
    poses, there = np.zeros((1, len(scenario.actors), len(times), 3)), np.zeros((1, len(scenario.actors), len(times)), bool)
    for a, actor in enumerate(scenario.actors):
        if actor.track is None:
            continue
        track, own = actor.track, times - actor.depart_s
        there[0, a] = (own >= track[0, 0] - 1e-6) & (own <= track[-1, 0] + 1e-6)
        columns = (track[:, 1], track[:, 2], np.unwrap(track[:, 3]))
        poses[0, a] = np.stack([np.interp(own, track[:, 0], column) for column in columns], axis=1)
    return Motion(poses, there)


def _steady(record: Motion) -> Motion:
    """Everybody goes on straight at the speed of the first two steps."""
    poses = record.poses.copy()
    step = record.poses[:, :, 1, :2] - record.poses[:, :, 0, :2]
    along = np.arange(poses.shape[2])
    poses[..., :2] = poses[:, :, :1, :2] + step[:, :, None] * along[None, None, :, None]
    poses[..., 2] = poses[:, :, :1, 2]
    return Motion(poses, record.there)


def _random(record: Motion, rollouts: int) -> Motion:
    """Everybody speeds up, slows down and turns at random from the first step on."""
    draw = generator(0, Purpose.DRIVER)
    shape = (rollouts, *record.there.shape[1:])
    step = record.poses[0, :, 1, :2] - record.poses[0, :, 0, :2]
    speed = np.hypot(*step.T)[None, :, None] / TICK_S + np.cumsum(draw.normal(0.0, RANDOM_ACCEL * TICK_S**0.5, shape), axis=2)
    heading = record.poses[:, :, :1, 2] + np.cumsum(draw.normal(0.0, RANDOM_TURN * TICK_S**0.5, shape), axis=2)
    way = np.maximum(speed, 0.0) * TICK_S
    x = record.poses[:, :, :1, 0] + np.cumsum(way * np.cos(heading), axis=2)
    y = record.poses[:, :, :1, 1] + np.cumsum(way * np.sin(heading), axis=2)
    return Motion(np.stack([x, y, heading], axis=3), np.repeat(record.there, rollouts, axis=0))


def score(setting: Setting, simulated: Motion) -> dict[str, float]:
    """Likelihood of the record by feature, and their weighted mean."""
    recorded, found = features(setting, setting.record), features(setting, simulated)
    scores = {}
    for name in WEIGHTS:
        values, valid = recorded[name]
        others, others_valid = found[name]
        logs = []
        for a in np.flatnonzero(setting.judged):
            mine = values[0, a][valid[0, a]]
            sample = others[:, a][others_valid[:, a]]
            if len(mine) and len(sample):
                logs.append(_log_of_number(name, mine, sample) if name in BINS else _log_of_event(mine, sample))
        scores[name] = float(np.exp(np.mean(np.concatenate(logs)))) if logs else float("nan")
    total = sum(WEIGHTS.values())
    scores["realism"] = sum(WEIGHTS[name] * scores[name] for name in WEIGHTS) / total
    return {name: round(value, 4) for name, value in scores.items()}


def _log_of_number(name: str, recorded: Floats, simulated: Floats) -> Floats:
    """Log likelihoods of recorded values in the histogram of simulated ones."""
    low, high, bins = BINS[name]
    edges = np.linspace(low, high, bins + 1)
    places = [np.clip(np.searchsorted(edges, values, side="right") - 1, 0, bins - 1) for values in (recorded, simulated)]
    counts = np.bincount(places[1], minlength=bins) + SMOOTHING
    logs: Floats = np.log(counts / counts.sum())[places[0]]
    return logs


def _log_of_event(recorded: Floats, simulated: Floats) -> Floats:
    happened = (np.sum(simulated) + SMOOTHING_OF_EVENTS) / (len(simulated) + 2.0 * SMOOTHING_OF_EVENTS)
    logs: Floats = np.log(np.where(recorded > 0.5, happened, 1.0 - happened))
    return logs


def features(setting: Setting, motion: Motion) -> dict[str, tuple[Floats, np.ndarray]]:
    """By name: values (R, A, T) and where they hold; events (R, A, 1) of the whole future."""
    poses, there = motion.poses, motion.there
    both = there[:, :, 2:] & there[:, :, :-2]
    middle = np.hypot(*np.moveaxis(poses[:, :, 2:, :2] - poses[:, :, :-2, :2], -1, 0)) / (2.0 * TICK_S)
    turn = wrap_angles(poses[:, :, 2:, 2] - poses[:, :, :-2, 2]) / (2.0 * TICK_S)
    four = both[:, :, 2:] & both[:, :, :-2]
    gaps, closing = _nearest(setting, motion)
    edge = _edge(setting, motion)
    over = np.where(there, edge + 0.5 * setting.sizes[None, :, 1, None], -1.0)
    hit = np.where(there, gaps, 1.0) < 0.0
    anyone = there.any(axis=2, keepdims=True)
    return {
        "speed": (middle, both), "acceleration": ((middle[:, :, 2:] - middle[:, :, :-2]) / (2.0 * TICK_S), four),
        "angular speed": (turn, both), "angular acceleration": ((turn[:, :, 2:] - turn[:, :, :-2]) / (2.0 * TICK_S), four),
        "distance to nearest": (gaps, there), "collision": (hit.any(axis=2, keepdims=True).astype(np.float64), anyone),
        "time to collision": (closing, there), "distance to road edge": (edge, there),
        "off road": ((over > 0.0).any(axis=2, keepdims=True).astype(np.float64), anyone),
    }  # fmt: skip


def _nearest(setting: Setting, motion: Motion) -> tuple[Floats, Floats]:
    """(R, A, T) gap to the nearest box [m], negative where boxes overlap, and time to collision with whom one follows [s]."""
    poses, there = motion.poses, motion.there
    gaps, times = np.full(there.shape, 40.0), np.full(there.shape, TTC_MOST)
    half = 0.5 * setting.sizes
    speeds = np.zeros(there.shape)
    if there.shape[2] > 1:
        speeds = np.hypot(*np.moveaxis(np.gradient(poses[..., :2], TICK_S, axis=2), -1, 0))
    for r, t in np.ndindex(there.shape[0], there.shape[2]):
        here = np.flatnonzero(there[r, :, t])
        if len(here) < 2:
            continue
        x, y, heading = poses[r, here, t].T
        dx, dy = x[None] - x[:, None], y[None] - y[:, None]
        cos, sin = np.cos(heading)[:, None], np.sin(heading)[:, None]
        turned = heading[None] - heading[:, None]
        c, s = np.abs(np.cos(turned)), np.abs(np.sin(turned))
        length, width = half[here].T
        along, across = dx * cos + dy * sin, dy * cos - dx * sin
        fore = np.abs(along) - length[:, None] - (length[None] * c + width[None] * s)
        aside = np.abs(across) - width[:, None] - (length[None] * s + width[None] * c)
        apart = np.maximum(fore, aside)
        apart = np.maximum(apart, apart.T)
        np.fill_diagonal(apart, np.inf)
        gaps[r, here, t] = apart.min(axis=1)
        speed = speeds[r, here, t]
        follows = (along > 0.0) & (aside < -OVERLAP) & (np.abs(wrap_angles(turned)) < AHEAD)
        closing = speed[:, None] - speed[None] * np.cos(turned)
        ttc = np.where(follows & (closing > 0.01), np.maximum(fore, 0.0) / np.maximum(closing, 0.01), TTC_MOST)
        times[r, here, t] = np.minimum(ttc.min(axis=1), TTC_MOST)
    return gaps, times


def _edge(setting: Setting, motion: Motion) -> Floats:
    """(R, A, T) signed distance of the middle from the edge of the road [m], negative on it: by the nearest lane's room."""
    lanes = setting.road_map.lanes
    points = np.concatenate([setting.road_map.lane_points(int(k)) for k in np.flatnonzero(np.isin(lanes["kind"], DRIVABLE))])
    tree = cKDTree(np.stack([points["x"], points["y"]], axis=1))
    flat = motion.poses.reshape(-1, 3)
    near = points[tree.query(flat[:, :2])[1]]
    dx, dy = flat[:, 0] - near["x"], flat[:, 1] - near["y"]
    d = dy * near["cos"] - dx * near["sin"]
    beyond = np.maximum(np.abs(dx * near["cos"] + dy * near["sin"]) - 1.0, 0.0)
    aside = np.maximum(d - near["room_left"], -d - near["room_right"])
    edge: Floats = np.where(beyond > 0.0, np.maximum(aside, beyond), aside)
    return edge.reshape(motion.there.shape)


def format_realism(results: Mapping[str, Mapping[str, float]], target: str, judged: str) -> str:
    """A table: features down, who moves across."""
    names: Sequence[str] = tuple(results)
    lines = [f"{target}: {judged}", f"{'':<24}" + "".join(f"{name:>20}" for name in names)]
    for feature in (*WEIGHTS, "realism"):
        lines.append(f"{feature:<24}" + "".join(f"{results[name][feature]:>20.4f}" for name in names))
    return "\n".join(lines)


def report(target: str, *, rollouts: int, start_s: float, horizon_s: float, as_json: bool) -> str:
    """What `avstack realism` prints."""
    results = realism(target, rollouts=rollouts, start_s=start_s, horizon_s=horizon_s)
    if as_json:
        return json.dumps(results)
    return format_realism(results, target, f"{rollouts} rollouts of {horizon_s:g} s from {start_s:g} s on")
