"""What the shipped models see in somebody's own sweep: a KITTI or nuScenes `.bin` file, or a numpy array of points.

KITTI: float32 x forward, y left, z up, intensity 0 to 1, from the sensor. nuScenes: x right, y forward, z up, intensity 0 to 255,
ring. An array `.npy`: (N, 4) or (N, 5) x forward, y left, z up from the ground unless a height is given, intensity 0 to 1.
"""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from avstack.perception.arbitration import arbitrate
from avstack.perception.classes import Class
from avstack.perception.detect import Detections, Detector, start_detecting
from avstack.perception.percepts import RICH
from scenarios.errors import InputError

FORMATS = ("auto", "kitti", "nuscenes", "array")
KITTI_HEIGHT, NUSCENES_HEIGHT = 1.73, 1.84
"""m of the sensor above the ground in those data sets."""
_RINGS = 128
_FARTHEST, _LEAST_NEAR = 1000.0, 0.5  # m, beyond which no lidar reaches; share of points that must be nearer
_LEAST_SCORE = 0.3


def read_points(file: Path, kind: str = "auto", height: float | None = None) -> NDArray[np.float32]:
    """(N, 5) points in the ego frame, z from the ground, but for rows not finite or out of all reach. Raises InputError."""
    if not file.is_file():
        raise InputError("no such file", file=str(file), fix="Give a .bin or .npy file of points")
    if kind == "array" or (kind == "auto" and file.suffix.lower() == ".npy"):
        points, lift = _array(file), 0.0
    else:
        points, lift = _binary(file, kind)
    points[:, 2] += lift if height is None else height
    finite = np.isfinite(points).all(axis=1)
    near = finite & (np.abs(points[:, :3]) < _FARTHEST).all(axis=1)
    if near.sum() < _LEAST_NEAR * finite.sum():
        raise InputError(
            f"{finite.sum() - near.sum()} of its {finite.sum()} points are further than {_FARTHEST:g} m away: it is no sweep",
            file=str(file), fix="Give a file of points, or name its format with --format",
        )  # fmt: skip
    if not finite.any():
        what = "no points" if len(points) == 0 else "no point whose numbers are all finite"
        raise InputError(f"holds {what}", file=str(file), fix="Give a sweep with points")
    return points[near]


def _binary(file: Path, kind: str) -> tuple[NDArray[np.float32], float]:
    """(points, height of the sensor) of a raw file."""
    raw = file.read_bytes()
    if len(raw) == 0:
        raise InputError("is empty", file=str(file), fix="Give a sweep with points")
    fits = {"kitti": len(raw) % 16 == 0, "nuscenes": len(raw) % 20 == 0}
    if (kind == "auto" and not any(fits.values())) or (kind != "auto" and not fits[kind]):
        wanted = (
            "16 bytes (KITTI) or 20 bytes (nuScenes)" if kind == "auto" else f"{16 if kind == 'kitti' else 20} bytes ({kind})"
        )
        raise InputError(
            f"has {len(raw)} bytes, not a whole number of points of {wanted}: it is cut short, or of another format",
            file=str(file),
            fix="Get the whole file, or name its format with --format",
        )
    values = np.frombuffer(raw, "<f4")
    if kind == "nuscenes" or (kind == "auto" and fits["nuscenes"] and _has_rings(values, only=not fits["kitti"])):
        rows = values.reshape(-1, 5)
        intensity = rows[:, 3] / np.float32(255.0)
        columns = [rows[:, 1], -rows[:, 0], rows[:, 2], intensity, np.zeros(len(rows), np.float32)]
        return np.stack(columns, axis=1).astype(np.float32), NUSCENES_HEIGHT
    rows = values.reshape(-1, 4)
    return np.concatenate([rows, np.zeros((len(rows), 1), np.float32)], axis=1).astype(np.float32), KITTI_HEIGHT


def _has_rings(values: NDArray[np.float32], *, only: bool) -> bool:
    """Whether the fifth of every five numbers is a ring's; `only`: nothing else fits the length."""
    rings = values[4::5]
    return only or bool(np.all((rings >= 0.0) & (rings < _RINGS) & (rings == np.floor(rings))))


def _array(file: Path) -> NDArray[np.float32]:
    try:
        rows = np.load(file, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise InputError(f"not an array of points: {error}", file=str(file), fix="Write it with numpy.save") from error
    if not isinstance(rows, np.ndarray) or rows.ndim != 2 or rows.shape[1] not in (4, 5) or rows.dtype.kind not in "fiu":
        shape = getattr(rows, "shape", None)
        raise InputError(
            f"has shape {shape}, not (N, 4) or (N, 5) of numbers", file=str(file), fix="Give x, y, z, intensity[, time]"
        )
    if rows.shape[1] == 4:
        rows = np.concatenate([rows, np.zeros((len(rows), 1))], axis=1)
    return np.asarray(rows, np.float32)


def see(points: NDArray[np.float32], detector: Detector) -> Detections:
    """What one sweep alone shows, with boxes round what has no name: without earlier ones velocities are guesses, and their
    variances say so; without a map everything is road."""
    found = detector.detect(points, (0.0, 0.0, 0.0), start_detecting())[0]
    return replace(found, things=arbitrate(found))


def told(detections: Detections) -> dict[str, object]:
    """The things found, as plain numbers."""
    things = []
    for one in detections.things:
        x, y, heading, vx, vy, length, width = (round(float(value), 3) for value in one["mean"])
        sigma = [round(math.sqrt(float(one["covariance"][k, k])), 3) for k in range(7)]
        things.append(
            {
                "class": Class(int(one["label"])).name.lower(), "source": "rich" if one["source"] == RICH else "coarse",
                "score": round(float(one["score"]), 3), "trust": round(float(one["trust"]), 3),
                "drive_through": round(float(one["drive_through"]), 3), "x": x, "y": y, "heading": heading, "vx": vx, "vy": vy,
                "length": length, "width": width, "flip": round(float(one["flip"]), 3), "points": int(one["points"]),
                "sigma": dict(zip(("x", "y", "heading", "vx", "vy", "length", "width"), sigma, strict=True)),
            }
        )  # fmt: skip
    return {"blocked_cells": int(detections.grid.blocked.sum()), "things": things}
