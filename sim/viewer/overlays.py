"""What a driver had in mind, drawn over the world: percepts, the coarse grid, joint futures, the plan, and whose turn it believes
it is. And of the map: lanes and the places where ways meet.

Every overlay has a shape of its own besides its colour: percepts are ellipses (solid: the model that knows kinds; dashed with a
diamond: the one that knows only what is in the way), futures are dashed with arrowheads, the plan is dotted, zones are hatched.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from sim.interface import FUTURE_STEP_S, Floats
from sim.roads.lane_map import LaneKind
from sim.roads.outline import MapOutline
from sim.viewer.canvas import INK, PAPER, Canvas, Colour, View, box_corners
from sim.viewer.cast import EGO_COLOUR
from sim.viewer.mind import Trace, claims_in, coarse_in, ellipse, futures_in, percepts_in, trajectory_in

RICH: Colour = (0, 90, 160)
COARSE: Colour = (150, 60, 130)
ZONE: Colour = (150, 110, 20)
LANE: Colour = (110, 118, 126)
BLOCKED: Colour = (190, 70, 0)
HIDDEN: Colour = (96, 102, 112)
SHOWN_CELL = 20
"""Percent from which a cell of the coarse grid is drawn."""
SURE, DOUBTED = 0.95, 0.3
"""Trust and existence above which a number is not worth its room, and existence below which a thing is drawn grey."""


class Overlay(StrEnum):
    """What can be shown or hidden."""

    LANES = "lanes"
    ZONES = "zones"
    PERCEPTS = "percepts"
    GRID = "grid"
    BELIEFS = "beliefs"
    FUTURES = "futures"
    PLAN = "plan"
    CURVES = "curves"


def draw_lanes(canvas: Canvas, drawing: MapOutline, view: View) -> None:
    """Centrelines of everything that is driven on, with a head where each ends."""
    for lane in drawing.lanes:
        if lane.kind in (LaneKind.DRIVING, LaneKind.CYCLE) and view.sees(lane.centre):
            points = view.pixels(lane.centre)
            canvas.line(points, LANE, 1.0)
            _arrowhead(canvas, points, LANE, 5.0)


def draw_zones(canvas: Canvas, zones: Sequence[Floats], view: View) -> None:
    """Hatched outlines (K, 2)."""
    for outline in zones:
        if view.sees(outline):
            points = view.pixels(outline)
            _hatch(canvas, points, ZONE, 7.0)
            canvas.line(points, ZONE, 1.4)


def draw_grid(canvas: Canvas, trace: Trace, view: View) -> None:
    """Cells of the coarse grid: squares as full as it is sure that one must go around, dots where nothing is observed."""
    found = coarse_in(trace)
    if found is None:
        return
    cells, place = found
    x, y, heading, ahead, left, side = place.tolist()
    cos, sin = np.cos(heading), np.sin(heading)

    def corners(rows: NDArray[np.int64], columns: NDArray[np.int64], size: float) -> Floats:
        u, v = ahead + side * (rows + 0.5), left + side * (columns + 0.5)
        middle = np.stack((x + u * cos - v * sin, y + u * sin + v * cos), axis=1)
        box = box_corners(0.0, 0.0, heading, size, size)
        return view.pixels((middle[:, None] + box[None]).reshape(-1, 2)).reshape(-1, 4, 2)

    # one dot for two by two cells is enough, and leaves the road to be seen
    rows, columns = np.nonzero(cells[1][::2, ::2] > 50)
    for square in corners(2 * rows, 2 * columns, 0.0):
        canvas.dot((float(square[0, 0]), float(square[0, 1])), 0.9, HIDDEN)
    rows, columns = np.nonzero(cells[0] >= SHOWN_CELL)
    for percent, square in zip(cells[0][rows, columns], corners(rows, columns, 0.9 * side), strict=True):
        if percent >= 50:
            canvas.polygon(square, BLOCKED)
        else:
            canvas.line(np.vstack((square, square[:1])), BLOCKED, 1.2)


def draw_percepts(canvas: Canvas, trace: Trace, view: View) -> None:
    """What the driver perceives: an outline at its mean, the ellipse of its position, and its trust where that is not whole."""
    for thing in percepts_in(trace):
        coarse = thing["source"] > 0.5
        colour = HIDDEN if thing["existence"] < DOUBTED else COARSE if coarse else RICH
        corners = view.pixels(box_corners(thing["x"], thing["y"], thing["heading"], thing["length"], thing["width"]))
        canvas.line(np.vstack((corners, corners[:1])), colour, 1.2)
        if thing["drive_through"] > 0.5:  # crossed out: it is no obstacle
            canvas.line(corners[[0, 2]], colour, 1.0)
            canvas.line(corners[[1, 3]], colour, 1.0)
        rim = view.pixels(ellipse(thing["x"], thing["y"], thing["var_x"], thing["cov_xy"], thing["var_y"]))
        if coarse:
            canvas.dashes(rim, colour, 1.8, 5.0, 4.0)
            middle = corners.mean(axis=0)
            canvas.polygon(middle + 5.0 * np.array([[1, 0], [0, 1], [-1, 0], [0, -1]]), colour, PAPER)
            continue  # it has no trust to be shown
        canvas.line(rim, colour, 1.8)
        doubt = f"trust {100.0 * thing['trust']:.0f} %" if thing["trust"] < SURE else ""
        unsure = f"there {100.0 * thing['existence']:.0f} %" if thing["existence"] < SURE else ""
        words = " ".join(part for part in (doubt, unsure) if part)
        if words:
            canvas.text((float(corners[:, 0].max()) + 4.0, float(corners[:, 1].max()) + 4.0), words, 10, colour, "left", PAPER)


def draw_futures(canvas: Canvas, trace: Trace, view: View, colours: Mapping[int, Colour], labels: Sequence[int]) -> None:
    """Joint futures: everybody's way in each as a dashed line with a head, the likelier the thicker; dots in the likeliest.

    labels: actor of each of the futures' road users, -1 unknown; colours: by actor.
    """
    futures, shares = futures_in(trace)
    for f in np.argsort(shares, kind="stable"):
        for i in range(1, futures.shape[1]):
            points = view.pixels(futures[f, i])
            if np.hypot(*(points[-1] - points[0])) < 3.0:
                canvas.ring((float(points[0, 0]), float(points[0, 1])), 5.0, INK, 1.0)
                continue
            colour = colours.get(labels[i], INK) if i < len(labels) else INK
            # futures of the same road user lie beside each other
            beside = points + (f - 0.5 * (len(shares) - 1)) * 3.0
            canvas.dashes(beside, colour, 1.0 + 2.5 * float(shares[f]), 6.0, 4.0)
            _arrowhead(canvas, beside, colour, 5.0 + 4.0 * float(shares[f]))
    if len(futures) and futures.shape[1] > 1:
        best = int(np.argmax(shares))
        seconds = round(1.0 / FUTURE_STEP_S)
        for i in range(1, futures.shape[1]):
            for place in view.pixels(futures[best, i, seconds :: 2 * seconds]):
                canvas.dot((float(place[0]), float(place[1])), 2.0, PAPER, INK)


def draw_plan(canvas: Canvas, trace: Trace, view: View) -> None:
    """Where the driver means to be: a line with a dot each second."""
    planned = trajectory_in(trace)
    if len(planned) == 0:
        return
    points = view.pixels(planned[:, 1:3])
    canvas.line(points, PAPER, 4.0)
    canvas.line(points, EGO_COLOUR, 2.0)
    for second in range(1, int(planned[-1, 0]) + 1):
        at = [float(np.interp(second, planned[:, 0], points[:, axis])) for axis in (0, 1)]
        canvas.dot((at[0], at[1]), 3.0, PAPER, EGO_COLOUR)


def draw_beliefs(canvas: Canvas, trace: Trace, view: View) -> None:
    """Over each who has a claim on the driver's way, how likely it goes first: a clock that fills up, and the number."""
    for place, chance in claims_in(trace):
        at = view.pixels(place[None])[0]
        centre = (float(at[0]), float(at[1]) - 1.4 * view.scale - 26.0)
        canvas.dot(centre, 9.0, PAPER, INK)
        turns = np.linspace(0.0, 2.0 * np.pi * chance, max(2, round(32 * chance) + 1))
        slice_of = np.array(centre) + 8.0 * np.column_stack((np.sin(turns), -np.cos(turns)))
        canvas.polygon(np.vstack((np.array([centre]), slice_of)), INK)
        canvas.text((centre[0] + 13.0, centre[1]), f"first {100.0 * chance:.0f} %", 11, INK, "left", PAPER)


def _arrowhead(canvas: Canvas, points: Floats, colour: Colour, size: float) -> None:
    """At the end of a line (K, 2) of pixels."""
    away = points[-1] - points
    far = np.flatnonzero(np.hypot(away[:, 0], away[:, 1]) > 1.0)
    if len(far) == 0:
        return
    along = away[far[-1]] / np.hypot(*away[far[-1]])
    aside = np.array([-along[1], along[0]])
    tip = points[-1]
    canvas.polygon(np.array([tip, tip - size * (1.6 * along - 0.6 * aside), tip - size * (1.6 * along + 0.6 * aside)]), colour)


def _hatch(canvas: Canvas, outline: Floats, colour: Colour, spacing: float) -> None:
    """Slanting lines inside a polygon (K, 2) of pixels."""
    slanted = outline @ np.array([[1.0, 1.0], [-1.0, 1.0]]) / np.sqrt(2.0)  # (along, across) the lines
    for across in np.arange(np.ceil(slanted[:, 1].min() / spacing) * spacing, slanted[:, 1].max(), spacing):
        a, b = slanted, np.roll(slanted, -1, axis=0)
        cut = (a[:, 1] > across) != (b[:, 1] > across)
        share = (across - a[cut, 1]) / (b[cut, 1] - a[cut, 1])
        ends = np.sort(a[cut, 0] + share * (b[cut, 0] - a[cut, 0]))
        for low, high in zip(ends[::2], ends[1::2], strict=False):
            line = np.array([[low, across], [high, across]]) @ np.array([[1.0, -1.0], [1.0, 1.0]]) / np.sqrt(2.0)
            canvas.line(line, colour, 0.8)
