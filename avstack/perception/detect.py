"""The run-time interface of learned perception: points in, things and a coarse grid out, with memory passed in and out.

    detector = Detector.load()
    detections, memory = detector.detect(frame.lidar, ego_motion(frame.odometry, axle), memory)

Ego frame as in `avstack.perception.bev`. Arrays given out are read-only. torch is imported when weights are loaded.
"""

from __future__ import annotations

import functools
import json
import math
import zipfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from avstack.perception import bev
from avstack.perception.calibration import (
    Calibration,
    calibrated_flip,
    calibrated_scores,
    calibrated_trust,
    calibrated_variances,
    calibration_of,
)
from avstack.perception.classes import Class
from avstack.perception.coarse import CoarseGrid, coarse_grid
from avstack.perception.percepts import COARSE, RICH
from avstack.perception.sight import FARTHEST, lines_of_sight
from sim.interface import TICK_S, Odometry

if TYPE_CHECKING:
    from avstack.perception.network import Network

VERSION = 3
"""Of the features, the network's layout and the calibration: raised when any of them changes its meaning."""
WEIGHTS = Path(__file__).with_name("weights")
NETWORK_FILE, CALIBRATION_FILE, META = "network.npz", "calibration.json", "meta"

DETECTION_DTYPE = np.dtype(
    [
        # class_probability: of avstack.perception.classes.Class, sums to 1; score: that such a thing is there, calibrated
        ("class_probability", "f4", (len(Class),)), ("label", "i4"), ("score", "f4"),
        # mean and covariance of x, y, heading, vx, vy, length, width in the ego frame; velocity is over ground
        ("mean", "f8", (7,)), ("covariance", "f4", (7, 7)),
        # flip: P(heading reversed); source: RICH or COARSE of avstack.perception.percepts
        ("flip", "f4"), ("trust", "f4"), ("source", "i4"), ("drive_through", "f4"), ("points", "i4"),
        # blob: nothing the rich model found, but a box round returns that nothing else explains, see `arbitration`
        ("blob", "i4"),
    ],
    align=True,
)  # fmt: skip
"""One thing found in one frame."""


class WeightsError(ValueError):
    """Weights that are missing, damaged or of another version."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Detections:
    """things: (N,) DETECTION_DTYPE, the rich answer. grid: the coarse one everywhere. standing: (M, 4) place, height and
    intensity of returns from what stands; stood: (M,) whether something returned there in an earlier sweep too, None where only
    maps were read. signal: (3,) `avstack.perception.bev.density_signal`. sight: (SECTORS,) as `SensorFrame.sight`, None
    likewise."""

    things: NDArray[np.void]
    grid: CoarseGrid
    standing: NDArray[np.float32]
    signal: NDArray[np.float32]
    stood: NDArray[np.bool_] | None = None
    sight: NDArray[np.float32] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DetectorMemory:
    """What stood in earlier sweeps, newest first: (M, 4) float32 each, as `bev.Grid.standing`, in the ego frame of the newest."""

    past: tuple[NDArray[np.float32], ...] = ()


def start_detecting() -> DetectorMemory:
    """Memory before the first frame, and after a gap: nothing is known of the past."""
    return DetectorMemory()


def ego_motion(odometry: Odometry, rear_to_centre: float, seconds: float = TICK_S) -> tuple[float, float, float]:
    """How the centre of the box moved in the last `seconds`, in the frame before: forward [m], left [m], turned left [rad]."""
    turn = odometry.yaw_rate * seconds
    way = odometry.speed * seconds
    forward = way * math.cos(0.5 * turn) + rear_to_centre * (math.cos(turn) - 1.0)
    return forward, way * math.sin(0.5 * turn) + rear_to_centre * math.sin(turn), turn


@dataclass(frozen=True, slots=True, kw_only=True)
class Detector:
    """The shipped models, or others of the same version."""

    network: Network
    calibration: Calibration

    @staticmethod
    def load(folder: Path | None = None) -> Detector:
        """Models from a folder, the shipped ones by default; kept for the next call. Raises WeightsError."""
        return _load(WEIGHTS if folder is None else folder)

    def detect(
        self, points: NDArray[np.float32], motion: tuple[float, float, float], memory: DetectorMemory
    ) -> tuple[Detections, DetectorMemory]:
        """What one sweep (N, 5) shows, and the memory for the next one.

        motion: of the ego since the frame that `memory` is of, see `ego_motion`. Rows that are not finite are left out, and an
        empty sweep shows nothing; nothing raises.
        """
        from avstack.perception.network import answers

        past = tuple(bev.moved(one, motion) for one in memory.past)
        grid = bev.rasterise(points, past)
        maps, candidates = answers(self.network, grid)
        detections = interpret(maps, candidates, grid, self.calibration)
        sight, stood = lines_of_sight(points, grid.ground, FARTHEST), bev.near_earlier(grid.standing, past)
        detections = replace(detections, sight=sight, stood=stood)
        return detections, DetectorMemory(past=(grid.standing, *past)[: bev.PAST])


def interpret(maps: NDArray[np.float32], candidates: NDArray[np.void], grid: bev.Grid, calibration: Calibration) -> Detections:
    """Calibrated things and the coarse grid from the network's answers."""
    scores = calibrated_scores(candidates, grid.signal, calibration)
    shown = scores >= calibration.shown
    candidates, scores = candidates[shown], scores[shown]
    coarse = coarse_grid(maps, grid.features, calibration.around)
    things = _things(candidates, scores, grid, coarse, calibration)
    things.setflags(write=False)
    return Detections(things=things, grid=coarse, standing=grid.standing, signal=grid.signal)


def _things(
    candidates: NDArray[np.void], scores: NDArray[np.float32], grid: bev.Grid, coarse: CoarseGrid, calibration: Calibration
) -> NDArray[np.void]:
    """The rich answer, with a word of the coarse model on those that are not to be trusted."""
    things = np.zeros(len(candidates), DETECTION_DTYPE)
    heat = candidates["heat"]
    things["class_probability"] = heat / np.maximum(heat.sum(axis=1, keepdims=True), 1e-6)
    things["label"], things["score"], things["points"] = candidates["best"], scores, candidates["points"]
    things["mean"] = candidates["mean"]
    variances = calibrated_variances(candidates, grid.signal, calibration)
    things["covariance"][:, np.arange(7), np.arange(7)] = variances
    things["flip"] = calibrated_flip(candidates, calibration)
    things["trust"] = calibrated_trust(candidates, scores, grid.signal, calibration)
    rich = things["trust"] >= calibration.trusted
    things["source"] = np.where(rich, RICH, COARSE)
    thin = 1.0 - coarse.solid[candidates["row"], candidates["column"]]
    # a thing that the rich model is unsure of is driven through only where the coarse one finds nothing to go around either
    unsure = np.minimum(thin, 1.0 - coarse.around[candidates["row"], candidates["column"]])
    own = things["class_probability"][:, Class.DRIVE_THROUGH]
    things["drive_through"] = np.where(rich, own, np.minimum(own, unsure))
    return things


@functools.lru_cache(maxsize=4)
def _load(folder: Path) -> Detector:
    try:
        from avstack.perception.network import fused_network, widths_of
    except ModuleNotFoundError as error:
        raise WeightsError(f"the models need torch ({error}). Install it with pip install 'avstack-sim[learn]'") from error
    arrays, meta = read_network(folder / NETWORK_FILE)
    try:
        network = fused_network(arrays, widths_of(meta["widths"]))  # type: ignore[arg-type]
    except (ValueError, KeyError, TypeError) as error:
        raise WeightsError(f"{folder / NETWORK_FILE}: not weights of this network: {error}. Train again") from error
    return Detector(network=network, calibration=read_calibration(folder / CALIBRATION_FILE, str(meta["digest"])))


def read_network(path: Path) -> tuple[dict[str, NDArray[np.float32]], dict[str, object]]:
    """Arrays by name, and what the file says of itself. Raises WeightsError."""
    try:
        with path.open("rb") as raw, np.load(raw, allow_pickle=False) as file:
            arrays = {name: file[name].astype(np.float32) for name in file.files if name != META}
            meta: dict[str, object] = json.loads(str(file[META]))
    except FileNotFoundError:
        raise WeightsError(f"{path}: no such weights. Install the package again, or run 'avstack perception train'") from None
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise WeightsError(f"{path}: damaged weights ({error}). Install the package again, or train again") from error
    if meta.get("version") != VERSION:
        raise WeightsError(f"{path}: weights of version {meta.get('version')!r}, this program needs {VERSION}. Train again")
    return arrays, meta


def read_calibration(path: Path, digest: str) -> Calibration:
    """The calibration fitted for the weights of this digest. Raises WeightsError."""
    try:
        read = json.loads(path.read_text())
        version, of = read["version"], read["network"]
        calibration = calibration_of(read["numbers"])
    except FileNotFoundError:
        raise WeightsError(f"{path}: no such calibration. Run 'avstack perception calibrate'") from None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise WeightsError(f"{path}: damaged calibration ({error}). Run 'avstack perception calibrate'") from error
    if version != VERSION:
        raise WeightsError(f"{path}: calibration of version {version!r}, this program needs {VERSION}. Calibrate again")
    if of != digest:
        raise WeightsError(f"{path}: fitted for the weights {of}, not for {digest}. Run 'avstack perception calibrate'")
    return calibration


def uncalibrated(detector: Detector) -> Detector:
    """The same models with numbers as the network gives them."""
    return replace(detector, calibration=Calibration())
