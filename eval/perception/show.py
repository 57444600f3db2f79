"""What the stack perceives of a scenario at one moment, from lidar points: a picture of points, coarse grid and tracked things.

Ego is driven by the traffic's own rules until then, and perceives all the way.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from avstack.perception.classes import ROAD_USER_OF, Class
from avstack.perception.coarse import CoarseGrid
from avstack.perception.detect import DETECTION_DTYPE, Detections
from avstack.perception.perceive import PerceptionMemory, perceive
from avstack.perception.percepts import COARSE, Percepts
from eval.lidar import Box, boxes_of, driving_itself
from scenarios.compile import compile_scenario
from scenarios.errors import InputError
from scenarios.resolve import apply_settings, resolve
from sim.interface import TICK_S, Kind
from sim.state import Status
from sim.world import World

_CLASS_OF = {int(kind): int(one) for one, kind in ROAD_USER_OF.items() if kind != Kind.OBJECT}
SHOWN, LIKELY = 0.3, 0.5
"""Existence from which the stack gives way to a thing; P(must go around) from which a cell is drawn."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """points: (N, 5) of the sweep; seen: coarse grid and tracked things in the ego frame; truth: outlines of bodies in it."""

    points: NDArray[np.float32]
    seen: Detections
    truth: list[Box]


def perceived(target: str, seed: int, at_s: float, settings: Sequence[str]) -> Moment:
    """What is perceived `at_s` from the start. InputError for an unknown scenario, one without ego, or with ego off the road."""
    scenario = compile_scenario(apply_settings(resolve(target), settings), seed)
    if scenario.ego is None:
        raise InputError(f"scenario {scenario.name!r} has no ego to carry a lidar", fix="Add an ego")
    world = World([replace(driving_itself(scenario), sensing="lidar")], traced=False)
    body, memory, seen = scenario.actors[scenario.ego].body, PerceptionMemory(), None
    for _ in range(round(at_s / TICK_S)):
        world.step()
        seen = None
        if world.state.bodies["status"][0, scenario.ego] == Status.ACTIVE:
            frame = world.frame(0, scenario.ego)
            percepts, _, memory = perceive(frame, memory, body.rear_to_centre, scenario.road_map)
            seen = frame.lidar, percepts
    if seen is None or seen[0] is None or memory.coarse is None:
        raise InputError(f"ego does not see anything {at_s:g} s from the start", fix="Choose another moment with --at")
    around, hidden = 0.01 * memory.coarse.astype(np.float32)
    grid = CoarseGrid(around=around, hidden=hidden, solid=around, height=around, blocked=around >= LIKELY)
    things = in_ego_frame(seen[1])
    detections = Detections(things=things, grid=grid, standing=np.zeros((0, 4), np.float32), signal=np.zeros(3, np.float32))
    return Moment(points=seen[0], seen=detections, truth=boxes_of(world, scenario, scenario.ego))


def in_ego_frame(percepts: Percepts) -> NDArray[np.void]:
    """Tracked things (N,) as DETECTION_DTYPE: existence for a score."""
    things, ego = percepts.things[percepts.things["existence"] > SHOWN], percepts.ego
    out = np.zeros(len(things), DETECTION_DTYPE)
    cos, sin = math.cos(ego.heading), math.sin(ego.heading)
    dx, dy = things["x"] - ego.x, things["y"] - ego.y
    out["mean"][:, 0], out["mean"][:, 1] = cos * dx + sin * dy, cos * dy - sin * dx
    out["mean"][:, 2] = things["heading"] - ego.heading
    out["mean"][:, 3], out["mean"][:, 4] = cos * things["vx"] + sin * things["vy"], cos * things["vy"] - sin * things["vx"]
    out["mean"][:, 5], out["mean"][:, 6] = things["length"], things["width"]
    turn = np.eye(7)
    turn[:2, :2] = turn[3:5, 3:5] = [[cos, sin], [-sin, cos]]
    out["covariance"] = turn @ things["covariance"].astype(np.float64) @ turn.T
    out["label"] = [_CLASS_OF.get(int(kind), int(Class.UNKNOWN)) for kind in things["kind"]]
    out["score"], out["trust"], out["source"] = things["existence"], things["trust"], things["source"]
    out["blob"] = (things["source"] == COARSE) & (things["kind"] == Kind.OBJECT)
    return out
