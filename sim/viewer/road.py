"""The map as a picture: surfaces, markings, stop lines with their signs, lights at a time, crosswalks, what blocks sight."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

import numpy as np

from sim.interface import Colour as Light
from sim.interface import Floats
from sim.roads.lane_map import LaneKind, Regulation
from sim.roads.outline import LaneOutline, MapOutline, signal_colour
from sim.viewer.canvas import INK, Canvas, Colour, View

GROUND: Colour = (232, 235, 226)
ASPHALT: Colour = (203, 206, 211)
_SURFACES: dict[LaneKind, Colour] = {
    LaneKind.SIDEWALK: (224, 217, 205),
    LaneKind.PATH: (226, 228, 216),
    LaneKind.SHOULDER: (214, 215, 214),
    LaneKind.PARKING: (195, 199, 214),
    LaneKind.DRIVING: ASPHALT,
    LaneKind.CYCLE: (222, 190, 178),
    LaneKind.CROSSWALK: ASPHALT,
}
"""In the order in which they are painted."""
MARKING: Colour = (255, 255, 255)
CENTRE_MARKING: Colour = (206, 150, 0)
KERB: Colour = (140, 144, 150)
SCENERY: Colour = (176, 168, 158)
RED: Colour = (200, 30, 30)
_LIGHTS: dict[Light, Colour] = {
    Light.GREEN: (0, 150, 90),
    Light.YELLOW: (240, 190, 0),
    Light.RED: RED,
    Light.OFF: (110, 110, 110),
}
_ARROW_SPACING = 35.0  # m
_ARROW_SCALE_MIN = 2.2  # pixels a metre below which arrows and dashes are only noise
_STRIPE = 0.5  # m


class MapKey:
    """A map as a key of what is worked out of it once: two are the same if they are one object."""

    def __init__(self, drawing: MapOutline) -> None:
        self.drawing = drawing

    def __hash__(self) -> int:
        return id(self.drawing)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, MapKey) and other.drawing is self.drawing


@lru_cache(maxsize=4)
def _boxes(key: MapKey) -> Floats:
    """(L, 4) x0, y0, x1, y1 [m] around the borders of each lane."""
    borders = (np.concatenate((lane.left_border, lane.right_border)) for lane in key.drawing.lanes)
    return np.array([[*line.min(axis=0), *line.max(axis=0)] for line in borders]).reshape(-1, 4)


def draw_road(canvas: Canvas, drawing: MapOutline, view: View, time_s: float | None = None) -> None:
    """Everything of the map inside `view`; lights as they are at `time_s`, unlit without it."""
    canvas.clip(view.left, view.top, view.width, view.height)
    canvas.rectangle(view.left, view.top, view.width, view.height, GROUND)
    visible = {int(index): drawing.lanes[index] for index in np.flatnonzero(view.meets(_boxes(MapKey(drawing))))}
    seen = list(visible.values())
    for outline in drawing.scenery:
        canvas.polygon(view.pixels(outline), SCENERY, KERB)
    for kind, colour in _SURFACES.items():
        for lane in seen:
            if lane.kind == kind:
                canvas.polygon(view.pixels(np.concatenate((lane.left_border, lane.right_border[::-1]))), colour)
    for edge in drawing.edges:
        if view.sees(edge):
            canvas.line(view.pixels(edge), KERB, 1.2)
    for index, lane in visible.items():
        # Both sides of a centre line know it; drawn twice, its dashes would close up.
        mirrored = lane.opposite in visible and lane.opposite < index and drawing.lanes[lane.opposite].opposite == index
        _draw_markings(canvas, lane, view, centre=not mirrored)
    for outline in drawing.crosswalks:
        if view.sees(outline):
            _draw_stripes(canvas, outline, view)
    if view.scale >= _ARROW_SCALE_MIN:
        for lane in seen:
            _draw_arrows(canvas, lane, view)
    _draw_stops(canvas, drawing, seen, view, time_s)
    canvas.unclip()


def draw_sign(canvas: Canvas, at: tuple[float, float], size: float, regulation: Regulation) -> None:
    """The sign of a regulation, `size` pixels in radius; nothing for NONE and SIGNAL."""
    if regulation in (Regulation.STOP, Regulation.ALL_WAY_STOP):
        turn = (np.arange(8) + 0.5) * np.pi / 4.0
        canvas.polygon(np.column_stack((at[0] + size * np.cos(turn), at[1] + size * np.sin(turn))), RED, MARKING, 1.2)
        if regulation is Regulation.ALL_WAY_STOP:
            canvas.rectangle(at[0] - 0.9 * size, at[1] + 1.1 * size, 1.8 * size, 0.6 * size, RED)
    elif regulation is Regulation.YIELD:
        corners = np.array([[-1.0, -0.8], [1.0, -0.8], [0.0, 0.95]]) * size * 1.1 + np.array(at)
        canvas.polygon(corners, MARKING, RED, max(1.6, 0.3 * size))


def draw_light(canvas: Canvas, at: tuple[float, float], size: float, light: Light) -> None:
    """A signal head showing one colour."""
    canvas.rectangle(at[0] - size, at[1] - size, 2.0 * size, 2.0 * size, INK)
    canvas.dot(at, 0.72 * size, _LIGHTS[light])


def _draw_markings(canvas: Canvas, lane: LaneOutline, view: View, *, centre: bool) -> None:
    """White edges, dashes between lanes of one direction, amber dashes towards oncoming traffic; none inside a junction."""
    if lane.kind not in (LaneKind.DRIVING, LaneKind.CYCLE, LaneKind.PARKING) or lane.junction >= 0:
        return
    width = float(np.clip(0.15 * view.scale, 0.5, 2.2))
    left, right = view.pixels(lane.left_border), view.pixels(lane.right_border)
    fine = view.scale < _ARROW_SCALE_MIN
    if lane.left >= 0 or lane.opposite >= 0:
        colour = MARKING if lane.left >= 0 else CENTRE_MARKING
        if fine and (lane.left >= 0 or centre):
            canvas.line(left, colour, width)
        elif lane.left >= 0 or centre:
            canvas.dashes(left, colour, width, 3.0 * view.scale, (3.0 if lane.left >= 0 else 1.5) * view.scale)
    else:
        canvas.line(left, MARKING, width)
    if lane.right < 0:
        canvas.line(right, MARKING, width)


def _draw_stripes(canvas: Canvas, outline: Floats, view: View) -> None:
    """Zebra bars along the longer axis of the crossing."""
    middle = outline.mean(axis=0)
    _, _, axes = np.linalg.svd(outline - middle, full_matrices=False)
    along, aside = (outline - middle) @ axes[0], (outline - middle) @ axes[1]
    for start in np.arange(along.min() + 0.25 * _STRIPE, along.max() - _STRIPE, 2.0 * _STRIPE):
        ends = ((start, aside.min()), (start + _STRIPE, aside.min()), (start + _STRIPE, aside.max()), (start, aside.max()))
        canvas.polygon(view.pixels(np.array([middle + s * axes[0] + d * axes[1] for s, d in ends])), MARKING)
    canvas.line(view.pixels(np.vstack((outline, outline[:1]))), KERB, 0.6)


def _draw_arrows(canvas: Canvas, lane: LaneOutline, view: View) -> None:
    """Small arrows along the lane in driving direction."""
    if lane.kind not in (LaneKind.DRIVING, LaneKind.CYCLE) or lane.junction >= 0:
        return
    steps = np.hypot(*np.diff(lane.centre, axis=0).T)
    along = np.concatenate(([0.0], np.cumsum(steps)))
    count = max(1, int(along[-1] / _ARROW_SPACING))
    if along[-1] < 8.0:
        return
    for at in (np.arange(count) + 0.5) * along[-1] / count:
        ends = [np.array([np.interp(s, along, lane.centre[:, axis]) for axis in (0, 1)]) for s in (at - 1.4, at + 1.4)]
        direction = (ends[1] - ends[0]) / max(float(np.hypot(*(ends[1] - ends[0]))), 1e-9)
        aside = np.array([-direction[1], direction[0]])
        canvas.line(view.pixels(np.array([ends[0], ends[1] - 0.6 * direction])), MARKING, max(1.0, 0.16 * view.scale))
        head = np.array([ends[1], ends[1] - 1.1 * direction + 0.5 * aside, ends[1] - 1.1 * direction - 0.5 * aside])
        canvas.polygon(view.pixels(head), MARKING)


def _draw_stops(canvas: Canvas, drawing: MapOutline, lanes: Iterable[LaneOutline], view: View, time_s: float | None) -> None:
    """Stop lines, and at their kerb end the sign or the lights of those who wait there."""
    size = float(np.clip(0.8 * view.scale, 3.0, 8.0))
    for lane in lanes:
        if lane.stop_line is None:
            continue
        right, left = view.pixels(lane.stop_line)
        width = max(1.2, 0.4 * view.scale)
        if lane.regulation is Regulation.YIELD:
            canvas.dashes(np.array([right, left]), MARKING, width, 0.6 * view.scale, 0.4 * view.scale)
        else:
            canvas.line(np.array([right, left]), MARKING, width)
        outward = (left - right if drawing.left_hand_traffic else right - left) / max(float(np.hypot(*(right - left))), 1e-9)
        kerb = left if drawing.left_hand_traffic else right
        draw_sign(canvas, tuple(kerb + outward * 1.6 * size), size, lane.regulation)
        for place, signal in enumerate(lane.signals):
            light = Light.OFF if time_s is None else signal_colour(drawing.signals[signal], time_s)
            draw_light(canvas, tuple(kerb + outward * (1.4 + 2.2 * place) * size), 0.85 * size, light)
