"""The noisy observation: the vector's row as a sensor at the `objects` level would tell it, with variances.

Blocks, in order: `sim.envs.vector`'s EGO_FIELDS from odometry and the pose estimate; its RULE_FIELDS; POSE_FIELDS; `neighbours`
times OBJECT_FIELDS of what the sensor reports, ghosts included, nearest first; path and styles as in the vector. Everything is
in the frame of the estimated pose. Errors, misses and latency are those of `sim.sensors.objects`; one frame is made for each
agent, in Python.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from sim.envs.config import EnvConfig
from sim.envs.vector import NEIGHBOURS_START, PATH_SIZE, RULE_FIELDS, RULES_SIZE
from sim.envs.vector import layout as vector_layout
from sim.interface import Floats, Indicator, SensorFrame
from sim.observe import EGO_FIELDS, EGO_SIZE, NEIGHBOUR_FIELDS

POSE_FIELDS = ("variance_x", "variance_y", "variance_heading")
OBJECT_FIELDS = (
    *NEIGHBOUR_FIELDS, "left", "right", "score", "variance_position", "variance_heading", "variance_velocity", "variance_length",
    "variance_width",
)  # fmt: skip
OBJECT_SIZE = len(OBJECT_FIELDS)
_ODOMETRY = tuple(EGO_FIELDS.index(name) for name in ("speed", "accel", "steer", "yaw_rate"))
_FACING = EGO_FIELDS.index("heading_error_cos"), EGO_FIELDS.index("heading_error_sin")
_LINE = EGO_SIZE + RULE_FIELDS.index("line")
_D, _LEFT, _RIGHT = (EGO_FIELDS.index(name) for name in ("d", "room_left", "room_right"))


def layout(config: EnvConfig) -> dict[str, tuple[int, tuple[int, ...]]]:
    """Block name -> (first column, shape)."""
    pose = NEIGHBOURS_START
    objects = pose + len(POSE_FIELDS)
    path = objects + config.neighbours * OBJECT_SIZE
    styles = path + config.path_points * PATH_SIZE
    return {
        "ego": (0, (EGO_SIZE,)),
        "rules": (EGO_SIZE, (RULES_SIZE,)),
        "pose": (pose, (len(POSE_FIELDS),)),
        "neighbours": (objects, (config.neighbours, OBJECT_SIZE)),
        "path": (path, (config.path_points, PATH_SIZE)),
        "styles": (styles, (len(config.styles),)),
    }


def size(config: EnvConfig) -> int:
    """Floats in a row."""
    start, (styles,) = layout(config)["styles"]
    return start + styles


def describe(
    frame: SensorFrame, truth: tuple[float, float, float], row: NDArray[np.float32], config: EnvConfig
) -> NDArray[np.float32]:
    """The row of one agent from its frame; row: what the vector says of it, in the frame of its true pose (x, y, heading)."""
    told = np.zeros(size(config), np.float32)
    told[:NEIGHBOURS_START] = row[:NEIGHBOURS_START]
    seen = frame.odometry
    told[list(_ODOMETRY)] = seen.speed, seen.accel, seen.steer, seen.yaw_rate
    x, y, heading = (float(value) for value in frame.pose)
    lane = float(np.arctan2(row[_FACING[1]], row[_FACING[0]]))
    turned = heading - truth[2]
    told[list(_FACING)] = np.cos(lane + turned), np.sin(lane + turned)
    direction = truth[2] - lane
    shift = (y - truth[1]) * np.cos(direction) - (x - truth[0]) * np.sin(direction)
    told[_D] += shift
    told[_LEFT] -= shift
    told[_RIGHT] += shift
    told[_LINE] -= (x - truth[0]) * np.cos(direction) + (y - truth[1]) * np.sin(direction)
    places = layout(config)
    told[NEIGHBOURS_START : places["neighbours"][0]] = np.diag(frame.pose_covariance)
    _fill_objects(frame, told, places["neighbours"][0], config.neighbours)
    before = vector_layout(config)["path"][0]
    count = config.path_points * PATH_SIZE
    points = row[before : before + count].reshape(-1, 2).astype(np.float64)
    start = places["path"][0]
    told[start : start + count] = _moved(points, truth, (x, y, heading)).ravel()
    told[start + count :] = row[before + count :]
    return told


def _moved(points: Floats, old: tuple[float, float, float], new: tuple[float, float, float]) -> Floats:
    """(N, 2) points of the frame at `old` in the frame at `new`."""
    cos, sin = np.cos(old[2]), np.sin(old[2])
    world = points @ np.array([[cos, sin], [-sin, cos]]) + np.array(old[:2])
    cos, sin = np.cos(new[2]), np.sin(new[2])
    moved: Floats = (world - np.array(new[:2])) @ np.array([[cos, -sin], [sin, cos]])
    return moved


def _fill_objects(frame: SensorFrame, told: NDArray[np.float32], start: int, most: int) -> None:
    """Write the nearest objects."""
    objects = frame.objects
    if objects is None or len(objects) == 0 or most == 0:
        return
    x, y, heading = (float(value) for value in frame.pose)
    dx, dy = objects["x"] - x, objects["y"] - y
    nearest = np.argsort(dx * dx + dy * dy, kind="stable")[:most]
    near = objects[nearest]
    dx, dy = dx[nearest], dy[nearest]
    cos, sin = np.cos(heading), np.sin(heading)
    own_x, own_y = frame.odometry.speed * cos, frame.odometry.speed * sin
    dvx, dvy = near["vx"] - own_x, near["vy"] - own_y
    turned = near["heading"] - heading
    columns = (
        np.ones(len(near)), dx * cos + dy * sin, dy * cos - dx * sin, np.cos(turned), np.sin(turned), dvx * cos + dvy * sin,
        dvy * cos - dvx * sin, near["length"], near["width"], near["kind"], near["indicator"] == Indicator.LEFT,
        near["indicator"] == Indicator.RIGHT, near["score"], *(near["sigma"] ** 2).T,
    )  # fmt: skip
    block = told[start : start + most * OBJECT_SIZE].reshape(most, OBJECT_SIZE)
    block[: len(near)] = np.stack(columns, axis=1)
