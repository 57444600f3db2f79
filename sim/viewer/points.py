"""Points of a lidar from above: forward is up, left is left, colours go by height."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pygame
from numpy.typing import NDArray

from sim.interface import Floats
from sim.viewer.canvas import FAINT, Canvas, Colour, View, box_corners

NIGHT: Colour = (16, 18, 24)
BOX: Colour = (235, 235, 235)
CAR: Colour = (255, 255, 255)
HEIGHTS = (-0.3, 2.5)  # m, between which colours change
RAMP: Sequence[Colour] = ((46, 74, 150), (52, 130, 170), (70, 180, 120), (190, 200, 70), (240, 160, 50), (225, 70, 50))
PANEL = 620
TITLE = 26


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """One sweep: points (N, 5) in the car's frame, title, outlines (x, y, heading, length, width) in that frame."""

    points: NDArray[np.float32]
    title: str
    boxes: Sequence[tuple[float, float, float, float, float]] = field(default=())


def height_colour(z: float) -> Colour:
    """Colour of a height [m] above the ground under the car."""
    place = float(np.clip((z - HEIGHTS[0]) / (HEIGHTS[1] - HEIGHTS[0]), 0.0, 1.0)) * (len(RAMP) - 1)
    low = min(int(place), len(RAMP) - 2)
    share = place - low
    red, green, blue = (round(a + share * (b - a)) for a, b in zip(RAMP[low], RAMP[low + 1], strict=True))
    return red, green, blue


def draw_points(panels: Sequence[Panel], reach: float = 45.0) -> pygame.Surface:
    """Panels side by side, each `reach` [m] to every side of the car."""
    canvas = Canvas(PANEL * len(panels), PANEL + TITLE, NIGHT)
    for number, panel in enumerate(panels):
        left = float(PANEL * number)
        view = View(x=0.0, y=0.0, scale=0.5 * PANEL / reach, left=left, top=TITLE, width=PANEL, height=PANEL)
        canvas.clip(left, TITLE, PANEL, PANEL)
        for radius in range(10, int(reach) + 1, 10):
            canvas.ring((left + 0.5 * PANEL, TITLE + 0.5 * PANEL), radius * view.scale, (38, 42, 52), 1.0)
        _draw_cloud(canvas, view, panel.points)
        for box in panel.boxes:
            _draw_box(canvas, view, box, BOX)
        canvas.unclip()
        canvas.text((left + 10.0, 0.5 * TITLE), panel.title, 14, BOX)
    return canvas.finished()


def _upward(points: Floats) -> Floats:
    """The car's frame turned a quarter, so that forward is up."""
    return np.column_stack([-points[:, 1], points[:, 0]])


def _draw_cloud(canvas: Canvas, view: View, points: NDArray[np.float32]) -> None:
    places = view.pixels(_upward(points[:, :2].astype(np.float64)))
    for (x, y), z in zip(places, points[:, 2], strict=True):
        canvas.dot((float(x), float(y)), 0.9, height_colour(float(z)))
    canvas.dot((view.left + 0.5 * view.width, view.top + 0.5 * view.height), 3.0, CAR, FAINT)


def _draw_box(canvas: Canvas, view: View, box: tuple[float, float, float, float, float], colour: Colour) -> None:
    corners = view.pixels(_upward(box_corners(*box)))
    canvas.line(np.vstack((corners, corners[:1])), colour, 1.0)
