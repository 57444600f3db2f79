"""From a sensor frame to percepts, at every sensing level; the only place that knows which level it is.

`state` and `objects`: the frame's list is tracked. `lidar`: the learned models find things in the sweep, and those are tracked; a
thing that the rich model is not to be trusted with comes from the coarse one (`avstack.perception.detect`). Before that the frame
is examined (`avstack.perception.health`): a sweep that is not fresh shows nothing new, and what was seen is less and less to go
by. The memory is a value.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from avstack.perception.arbitration import PerceptionConfig, arbitrate
from avstack.perception.classes import ROAD_USER_OF, Class
from avstack.perception.detect import Detector, DetectorMemory, ego_motion, start_detecting, uncalibrated
from avstack.perception.filter import TrackingConfig
from avstack.perception.health import Fault, Health, HealthMemory, diagnose
from avstack.perception.percepts import Percepts
from avstack.perception.road import on_road, road_of
from avstack.perception.sight import reach_of_rings
from avstack.perception.tracking import SIGN_DTYPE, TrackMemory, start_tracking, track
from sim.interface import OBJECT_DTYPE, TICK_S, Floats, SensorFrame
from sim.roads.lane_map import LaneMap

LIDAR_TRACKING = TrackingConfig(
    position_time=2.0, velocity_time=4.0, size_time=2.0, grows=0.5, score_prior=0.0, score_weight=0.45, forget=0.3, hit=0.0,
    birth=-1.0, blob_birth=-3.0, birth_weight=0.45, kind_weight=0.35, flip_prior=-1.0,
    flip_reading=1.0, absorb=1.0, part_cost=40.0,
)  # fmt: skip
"""What the tracker believes of the learned models' readings: their scores are probabilities, which sum up to existence, and their
errors last (`avstack bench tracking --sensing lidar`)."""
STATED = (2.5, 1.5, 3.0, 2.5, 1.5)
"""Factors on the models' stated errors of position, heading, velocity, length and width: they hold for one sweep, while a model
that takes a thing for longer or faster than it is does so as long as it sees it."""
APPEARS_MPS = 10.0  # m/s, by which what is observed shrinks while nothing new is seen
_KIND_OF = np.array([int(ROAD_USER_OF[one]) for one in Class], np.int32)


@dataclass(frozen=True, slots=True, kw_only=True)
class PerceptionMemory:
    """What perception carries from tick to tick. observed_range: of the last fresh sweep [m]; coarse: (2, ROWS, COLUMNS) percent
    that something must be gone around, and that a cell is unobserved, of this tick's sweep."""

    tracks: TrackMemory = field(default_factory=start_tracking)
    detector: DetectorMemory = field(default_factory=start_detecting)
    health: HealthMemory = field(default_factory=HealthMemory)
    observed_range: float = 0.0
    coarse: NDArray[np.uint8] | None = None


def perceive(
    frame: SensorFrame, memory: PerceptionMemory, rear_to_centre: float, road_map: LaneMap, config: PerceptionConfig | None = None
) -> tuple[Percepts, Fault, PerceptionMemory]:
    """Percepts, the worst fault of the sensors, and the memory. rear_to_centre [m]: of the own vehicle, see VehicleSpec.

    Raises WeightsError where the shipped models cannot be read; no frame makes it raise.
    """
    frame, signs, health, memory = read(frame, memory, rear_to_centre, road_map, config)
    percepts, tracks = track(frame, memory.tracks, None if signs is None else LIDAR_TRACKING, signs)
    return replace(percepts, trust=health.trust), health.fault, replace(memory, tracks=tracks)


def read(
    frame: SensorFrame, memory: PerceptionMemory, rear_to_centre: float, road_map: LaneMap, config: PerceptionConfig | None = None
) -> tuple[SensorFrame, NDArray[np.void] | None, Health, PerceptionMemory]:
    """What is tracked: the frame with a list of objects at every level, their signs at the `lidar` level, the sensors' health,
    and the memory but for the tracks."""
    motion = ego_motion(frame.odometry, rear_to_centre)
    health, examined = diagnose(frame, memory.health, motion)
    memory = replace(memory, health=examined)
    frame = replace(frame, pose=health.pose)
    if frame.level != "lidar":
        return frame, None, health, memory
    if not health.fresh:
        # nothing new is known: tracks coast, as after readings of long ago
        seen = max(0.0, memory.observed_range - frame.odometry.speed * TICK_S - APPEARS_MPS * TICK_S)
        memory = replace(memory, observed_range=seen, detector=start_detecting(), coarse=None)
        empty = np.zeros(0, OBJECT_DTYPE)
        return replace(frame, objects=empty, range_m=seen), np.zeros(0, SIGN_DTYPE), health, memory
    assert frame.lidar is not None  # a fresh sweep
    models = Detector.load()
    models = models if config is None or config.calibrated else uncalibrated(models)
    detections, detector = models.detect(frame.lidar, motion, memory.detector)
    things = arbitrate(detections, on_road(road_of(road_map), detections.standing, health.pose), config)
    objects, signs = readings_of(things, health.pose)
    seen = min(reach_of_rings(health.apart), frame.range_m)
    coarse = (100.0 * np.stack((detections.grid.around, detections.grid.hidden)) + 0.5).astype(np.uint8)
    memory = replace(memory, detector=detector, observed_range=seen, coarse=coarse)
    return replace(frame, objects=objects, range_m=seen, sight=detections.sight), signs, health, memory


def readings_of(found: NDArray[np.void], pose: Floats) -> tuple[NDArray[np.void], NDArray[np.void]]:
    """Things (N,) of DETECTION_DTYPE of an ego at `pose` (3,) as a list of OBJECT_DTYPE in the world, and their SIGN_DTYPE.

    A lidar reads no lights and no gestures: -1, unknown.
    """
    objects, signs = np.zeros(len(found), OBJECT_DTYPE), np.zeros(len(found), SIGN_DTYPE)
    mean, covariance = found["mean"], found["covariance"].astype(np.float64)
    cos, sin = math.cos(pose[2]), math.sin(pose[2])
    objects["x"] = pose[0] + cos * mean[:, 0] - sin * mean[:, 1]
    objects["y"] = pose[1] + sin * mean[:, 0] + cos * mean[:, 1]
    objects["heading"] = math.pi - np.mod(math.pi - mean[:, 2] - pose[2], 2.0 * math.pi)
    objects["vx"], objects["vy"] = cos * mean[:, 3] - sin * mean[:, 4], sin * mean[:, 3] + cos * mean[:, 4]
    objects["speed"] = mean[:, 3] * np.cos(mean[:, 2]) + mean[:, 4] * np.sin(mean[:, 2])
    objects["length"], objects["width"] = mean[:, 5], mean[:, 6]
    objects["kind"] = _KIND_OF[found["label"]]
    objects["score"], objects["drive_through"] = found["score"], found["drive_through"]
    for name in ("indicator", "brake_light", "gesture"):
        objects[name] = -1
    pairs = ((0, 1), (2, 2), (3, 4), (5, 5), (6, 6))
    for k, (one, other) in enumerate(pairs):
        objects["sigma"][:, k] = np.sqrt(0.5 * (covariance[:, one, one] + covariance[:, other, other]))
    objects["sigma"] *= np.where(found["blob"][:, None], 1.0, STATED)
    objects["id"] = np.arange(len(found))
    for name in ("trust", "source", "flip", "blob"):
        signs[name] = found[name]
    for array in (objects, signs):
        array.setflags(write=False)
    return objects, signs
