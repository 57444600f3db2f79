"""Samples as they are kept: sparse grids with what is true of them, packed into files of scenes.

A sample keeps the cells of the grid that anything is in (half precision), what is seen (bits), the boxes of all bodies, and
coarse labels by cell. A file is written whole or not at all.
"""

from __future__ import annotations

import math
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from avstack.perception import bev
from avstack.perception.bev import CELL, PAST, PLACE, SEEN, X0, Y0, Grid
from avstack.perception.classes import CLASS_OF_KIND, CLASS_OF_THING, Class
from avstack.perception.coarse import away, window
from avstack.perception.maps import COLUMNS, ROWS, SIDE
from avstack.perception.returns import joined
from eval.perception.scenes import View
from sim.interface import Kind
from sim.jit import kernel
from sim.sensors.lidar import CLUTTER, WALL, WEATHER
from sim.sensors.things import THING_NAMES, THINGS

BOX_DTYPE = np.dtype(
    [
        ("label", "i4"), ("kind", "i4"), ("thing", "i4"), ("solid", "i4"), ("x", "f4"), ("y", "f4"), ("heading", "f4"),
        ("vx", "f4"), ("vy", "f4"), ("length", "f4"), ("width", "f4"), ("height", "f4"), ("points", "i4"), ("alone", "i4"),
    ]
)  # fmt: skip
"""One body in the ego frame. points: returns from it in the newest sweep; alone: those it would give with nothing before it."""

FREE, BLOCKED, THIN, OPEN_QUESTION = range(4)
"""Labels of a coarse cell; nothing is asked of the last one: plants off the road, and bodies that no ray reached."""
BESIDE = 0.75
"""m round a footprint in which a blocked cell counts as found."""
_DTYPE = np.float16
_UNITS = np.array([0.005, 0.005, 0.005, 0.001, 1.0], np.float32)
_ARRAYS = ("cells", "values", "returns", "stood", "boxes", "around", "height", "signal")
"""Fields of a sample that are kept as they are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One view as the network is given it, and the truth. cells: (M,) index of the cells in use, values: (M, SEEN) float16;
    seen: (240, 160) bool; returns: (R, 5) int16, as `joined` has them, in units of _UNITS; stood: (K,) bool, of the newest of
    them, whether near one of an earlier sweep; boxes: (B,) BOX_DTYPE;
    around: (120, 80) uint8 labels; height: (120, 80) of bodies [m]; hidden: (120, 80) bool, no ray got there; signal: (3,)."""

    cells: NDArray[np.int32]
    values: NDArray[np.float16]
    seen: NDArray[np.bool_]
    returns: NDArray[np.int16]
    stood: NDArray[np.bool_]
    boxes: NDArray[np.void]
    around: NDArray[np.uint8]
    height: NDArray[np.float16]
    hidden: NDArray[np.bool_]
    signal: NDArray[np.float32]
    scene: int
    weather: str


def sample_of(view: View, scene: int, *, history: int = PAST) -> Sample:
    """The sample of a view; history: how many earlier sweeps are known."""
    past: tuple[NDArray[np.float32], ...] = ()
    for k, sweep in enumerate(view.sweeps):
        if k:
            past = tuple(bev.moved(one, view.motions[k - 1]) for one in past)
        grid = bev.rasterise(sweep.points, past[:history])
        stood = bev.near_earlier(grid.standing, past[:history])
        past = (grid.standing, *past)[:PAST]
    return _pack(grid, stood, view, scene)


def _pack(grid: Grid, stood: NDArray[np.bool_], view: View, scene: int) -> Sample:
    flat = grid.features.reshape(-1, grid.features.shape[-1])
    cells = np.flatnonzero((flat[:, :SEEN] != 0.0).any(axis=1)).astype(np.int32)
    boxes = boxes_of(view)
    around, height, hidden = coarse_labels(view, boxes, grid)
    return Sample(
        cells=cells, values=flat[cells, :SEEN].astype(_DTYPE), seen=grid.features[..., SEEN] > 0.5,
        returns=np.rint(joined(grid.standing, grid.earlier) / _UNITS).astype(np.int16), stood=stood, boxes=boxes, around=around,
        height=height.astype(_DTYPE), hidden=hidden, signal=grid.signal, scene=scene, weather=view.weather,
    )  # fmt: skip


def grid_of(sample: Sample) -> Grid:
    """The grid that the sample was packed from, up to half precision; its ground is not kept."""
    features = np.zeros((*bev.SHAPE, bev.CHANNELS), np.float32)
    features.reshape(-1, bev.CHANNELS)[sample.cells, :SEEN] = sample.values
    features[..., SEEN] = sample.seen
    features[..., PLACE:] = bev.place_features()
    returns = sample.returns * _UNITS
    of = [returns[returns[:, 4] == age, :4] for age in range(PAST + 1)]
    return Grid(
        features=features, ground=np.zeros((0, 0), np.float32), standing=of[0], signal=sample.signal, earlier=tuple(of[1:])
    )


def label_of(kind: Kind, thing: str) -> Class:
    """The class that a body is of."""
    return CLASS_OF_THING.get(thing, Class.UNKNOWN) if kind == Kind.OBJECT else CLASS_OF_KIND[kind]


def boxes_of(view: View) -> NDArray[np.void]:
    """(B,) BOX_DTYPE of all bodies in the grid but the ego, returns or none."""
    eye = view.bodies[view.ego]
    cos, sin = math.cos(float(eye["heading"])), math.sin(float(eye["heading"]))
    active = np.flatnonzero(view.bodies["status"] == 1)
    active = active[active != view.ego]
    bodies, sweep = view.bodies[active], view.sweeps[-1]
    found = np.zeros(len(active), BOX_DTYPE)
    dx, dy = bodies["x"] - eye["x"], bodies["y"] - eye["y"]
    found["x"], found["y"] = cos * dx + sin * dy, cos * dy - sin * dx
    found["vx"], found["vy"] = cos * bodies["vx"] + sin * bodies["vy"], cos * bodies["vy"] - sin * bodies["vx"]
    turned = bodies["heading"].astype(np.float64) - float(eye["heading"])
    found["heading"] = np.arctan2(np.sin(turned), np.cos(turned))
    for name in ("kind", "thing", "length", "width", "height"):
        found[name] = bodies[name]
    found["points"], found["alone"] = sweep.counts[active], sweep.alone[active]
    for k, body in enumerate(bodies):
        thing = THING_NAMES[int(body["thing"])] if int(body["thing"]) >= 0 else ""
        found["label"][k] = int(label_of(Kind(int(body["kind"])), thing))
        found["solid"][k] = not (thing and THINGS[thing].drive_through)
    inside = (found["x"] > X0) & (found["x"] < X0 + CELL * bev.SHAPE[0])
    inside &= (found["y"] > Y0) & (found["y"] < Y0 + CELL * bev.SHAPE[1])
    return found[inside]


def coarse_labels(
    view: View, boxes: NDArray[np.void], grid: Grid
) -> tuple[NDArray[np.uint8], NDArray[np.float32], NDArray[np.bool_]]:
    """(around, height, hidden) of each coarse cell, see `Sample`."""
    around = np.zeros((ROWS, COLUMNS), np.uint8)
    height = np.zeros((ROWS, COLUMNS), np.float32)
    sweep = view.sweeps[-1]
    _mark_hits(sweep.points, sweep.hits, around)
    _mark_boxes(boxes, around, height)
    seen = np.zeros((720, 128), np.float32)
    hidden = ~bev.seen_cells(sweep.points[sweep.hits != WEATHER], grid.ground, seen)
    return around, height, np.asarray(hidden.reshape(ROWS, 2, COLUMNS, 2).all(axis=(1, 3)))


@kernel
def _mark_hits(points: NDArray[np.float32], hits: NDArray[np.int32], around: NDArray[np.uint8]) -> None:
    """Walls block; what grows and stands off the road is not asked for."""
    for n in range(len(points)):
        if hits[n] != CLUTTER and hits[n] != WALL:
            continue
        i, j = int(math.floor((points[n, 0] - X0) / SIDE)), int(math.floor((points[n, 1] - Y0) / SIDE))
        if 0 <= i < ROWS and 0 <= j < COLUMNS:
            around[i, j] = BLOCKED if hits[n] == WALL else max(around[i, j], OPEN_QUESTION)


@kernel
def _mark_boxes(boxes: NDArray[np.void], around: NDArray[np.uint8], height: NDArray[np.float32]) -> None:
    """Cells whose middle is in a body's footprint, or within a third of a metre of it."""
    for n in range(len(boxes)):
        box = boxes[n]
        cos, sin = math.cos(box.heading), math.sin(box.heading)
        i0, i1, j0, j1 = window(box.x, box.y, 0.5 * (box.length + box.width) + 1.0)
        for i in range(i0, i1):
            for j in range(j0, j1):
                along, across = away(i, j, box.x, box.y, cos, sin)
                if along > 0.5 * box.length + 0.35 or across > 0.5 * box.width + 0.35:
                    continue
                if box.points == 0:
                    around[i, j] = around[i, j] if around[i, j] == BLOCKED else OPEN_QUESTION
                elif box.solid != 0:
                    around[i, j] = BLOCKED
                elif around[i, j] != BLOCKED:
                    around[i, j] = THIN
                height[i, j] = max(height[i, j], box.height)


def beside(boxes: NDArray[np.void], around: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Labels (ROWS, COLUMNS) with nothing asked of cells that are free by their middle but within BESIDE of a footprint: returns
    of the body reach into them, and blocking them finds it."""
    asked = around.copy()
    _mark_beside(boxes, asked)
    return asked


@kernel
def _mark_beside(boxes: NDArray[np.void], around: NDArray[np.uint8]) -> None:
    for n in range(len(boxes)):
        box = boxes[n]
        cos, sin = math.cos(box.heading), math.sin(box.heading)
        i0, i1, j0, j1 = window(box.x, box.y, 0.5 * (box.length + box.width) + 1.5)
        for i in range(i0, i1):
            for j in range(j0, j1):
                along, across = away(i, j, box.x, box.y, cos, sin)
                if around[i, j] == FREE and along <= 0.5 * box.length + BESIDE and across <= 0.5 * box.width + BESIDE:
                    around[i, j] = OPEN_QUESTION


def write_samples(path: Path, samples: list[Sample]) -> None:
    """Write a file of samples; nobody ever sees half of it."""
    arrays: dict[str, NDArray[np.generic]] = {}
    for k, one in enumerate(samples):
        for name in _ARRAYS:
            arrays[f"{k}.{name}"] = getattr(one, name)
        arrays[f"{k}.seen"], arrays[f"{k}.hidden"] = np.packbits(one.seen), np.packbits(one.hidden)
        arrays[f"{k}.about"] = np.array([str(one.scene), one.weather])
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(f".{os.getpid()}.part")
    with part.open("wb") as file:
        np.savez(file, count=np.array(len(samples)), **arrays)  # type: ignore[arg-type]
    part.replace(path)


def read_samples(path: Path) -> list[Sample]:
    """The samples of a file. Raises what `numpy.load` raises for a damaged one."""
    found = []
    with path.open("rb") as raw, np.load(raw, allow_pickle=False) as file:
        for k in range(int(file["count"])):
            own = {name: file[f"{k}.{name}"] for name in _ARRAYS}
            scene, weather = file[f"{k}.about"]
            seen = np.unpackbits(file[f"{k}.seen"]).astype(np.bool_).reshape(bev.SHAPE)
            hidden = np.unpackbits(file[f"{k}.hidden"]).astype(np.bool_).reshape(ROWS, COLUMNS)
            found.append(Sample(**own, seen=seen, hidden=hidden, scene=int(scene), weather=str(weather)))
    return found
