"""What every kind of road user and thing looks like to a lidar: a handful of solids inside its box.

A shape is a function of a sketch, which knows the box and draws at random; one line in ROAD_USERS or THING_SHAPES names it.
Places are given as shares of the box: x from -0.5 (rear) to 0.5 (front), y from -0.5 (right) to 0.5 (left), z from 0 (ground) to
1 (top). Shapes are drawn per (seed, slot), so that no two cars are alike, and stay inside their box.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from sim.interface import Kind
from sim.rng import Purpose, generator
from sim.sensors.primitives import Solid, Vector, joined, primitive, rotation
from sim.sensors.things import THING_NAMES

Span = tuple[float, float]

RETRO = 4.0  # reflectivity of plates, reflectors and the bands of cones
TYRE, GLASS, SKIN, WOOD, METAL, CARDBOARD = 0.06, 0.10, 0.45, 0.40, 0.30, 0.50
GLASS_OPACITY = 0.4
SPOKES = 0.35  # opacity of a wheel of a bicycle
STRIDE_SWING = 0.35  # rad, how far a leg of 0.9 m swings at most
_SHAPES = 0x5A4E  # a stream of its own within Purpose.SENSOR


class Sketch:
    """Solids of one thing in the making; `random` is its own stream, `size` the box [m]."""

    def __init__(self, size: Vector, random: np.random.Generator) -> None:
        self.size = size
        self.random = random
        self.made: list[NDArray[np.void]] = []

    def draw(self, low: float, high: float) -> float:
        """A uniform number."""
        return float(self.random.uniform(low, high))

    def solid(
        self, solid: Solid, x: Span, y: Span, z: Span, *, reflectivity: float, opacity: float = 1.0, parameter: float = 0.0,
        swing: float = 0.0, pivot: Vector | None = None,
    ) -> None:  # fmt: skip
        """An upright solid between these shares of the box. pivot: shares, of a limb that swings."""
        spans = [(low * side, high * side) for (low, high), side in zip((x, y, z), self.size, strict=True)]
        cx, cy, cz = (0.5 * (low + high) for low, high in spans)
        hx, hy, hz = (max(0.5 * (high - low), 1e-3) for low, high in spans)
        about = (0.0, 0.0, 0.0) if pivot is None else tuple(p * side for p, side in zip(pivot, self.size, strict=True))
        self.made.append(
            primitive(
                solid, (cx, cy, cz), (hx, hy, hz), reflectivity=reflectivity, opacity=opacity, parameter=parameter,
                bumps=int(self.random.integers(2**32)), swing=swing, pivot=(about[0], about[1], about[2]),
            )
        )  # fmt: skip

    def box(self, x: Span, y: Span, z: Span, reflectivity: float, opacity: float = 1.0) -> None:
        """An upright box."""
        self.solid(Solid.BOX, x, y, z, reflectivity=reflectivity, opacity=opacity)

    def post(self, x: Span, y: Span, z: Span, reflectivity: float, opacity: float = 1.0) -> None:
        """An upright cylinder."""
        self.solid(Solid.CYLINDER, x, y, z, reflectivity=reflectivity, opacity=opacity)

    def blob(self, x: Span, y: Span, z: Span, reflectivity: float, opacity: float = 1.0) -> None:
        """An ellipsoid."""
        self.solid(Solid.ELLIPSOID, x, y, z, reflectivity=reflectivity, opacity=opacity)

    def cloud(self, x: Span, y: Span, z: Span, reflectivity: float, density: float) -> None:
        """An ellipsoid full of scatterers, `density` to the metre."""
        self.solid(Solid.CLOUD, x, y, z, reflectivity=reflectivity, parameter=density)

    def pile(self, x: Span, y: Span, z: Span, reflectivity: float, fullness: float) -> None:
        """A heap."""
        self.solid(Solid.PILE, x, y, z, reflectivity=reflectivity, parameter=fullness)

    def turned(
        self, solid: Solid, centre: Vector, half: Vector, axes: NDArray[np.float64], reflectivity: float, opacity: float = 1.0
    ) -> None:
        """A turned solid by shares for its centre and metres for its half sizes, made smaller where it would leave the box."""
        place = [share * side for share, side in zip(centre, self.size, strict=True)]
        made = primitive(solid, (place[0], place[1], place[2]), half, reflectivity=reflectivity, opacity=opacity, axes=axes)
        low = np.array([-0.5 * self.size[0], -0.5 * self.size[1], 0.0])
        room = np.minimum(made["centre"][0] - low, low + self.size - made["centre"][0])
        scale = min(1.0, float(np.min(np.maximum(room, 1e-3) / made["extent"][0])))
        if scale < 1.0:
            smaller = (half[0] * scale, half[1] * scale, half[2] * scale)
            made = primitive(
                solid, (place[0], place[1], place[2]), smaller, reflectivity=reflectivity, opacity=opacity, axes=axes
            )
        self.made.append(made)

    def wheel(self, x: float, y: float, radius: float, width: float, reflectivity: float = TYRE, opacity: float = 1.0) -> None:
        """A wheel on the ground at shares x, y of the box; radius and width [m]."""
        centre = (x, y, radius / self.size[2])
        self.turned(Solid.CYLINDER, centre, (radius, radius, 0.5 * width), rotation(roll=0.5 * math.pi), reflectivity, opacity)


def _paint(sketch: Sketch) -> float:
    """Reflectivity of a car's paint at 905 nm: one in five is black."""
    return sketch.draw(0.05, 0.12) if sketch.random.random() < 0.2 else sketch.draw(0.25, 0.85)


def _wheels(sketch: Sketch, places: tuple[float, ...], radius: float) -> None:
    for x in places:
        for y in (-0.43, 0.43):
            sketch.wheel(x, y, radius, 0.12 * sketch.size[1])


def _lights(sketch: Sketch, height: Span) -> None:
    """Plates and lamps, which send light back, standing out from front and rear."""
    for x in ((0.490, 0.4995), (-0.4995, -0.490)):
        sketch.box(x, (-0.13, 0.13), (height[0], height[0] + 0.08), RETRO)
        for y in ((-0.44, -0.32), (0.32, 0.44)):
            sketch.box(x, y, height, sketch.draw(0.8, 2.5))


def _car(sketch: Sketch) -> None:
    """Bonnet, cabin and boot on four wheels: front and rear differ in height and length."""
    paint, belt = _paint(sketch), sketch.draw(0.56, 0.64)
    bonnet, boot = sketch.draw(0.20, 0.29), sketch.draw(0.0, 0.18)
    sill = sketch.draw(0.10, 0.17)
    sketch.box((-0.49, 0.49), (-0.5, 0.5), (sill, belt - 0.08), paint)
    sketch.box((-0.485, 0.485 - bonnet), (-0.49, 0.49), (belt - 0.08, belt), paint)
    sketch.box((0.485 - bonnet, 0.47), (-0.47, 0.47), (belt - 0.08, belt - 0.02), paint)
    rear, front = -0.485 + boot, 0.485 - bonnet
    roof_front = front - sketch.draw(0.10, 0.16)
    roof_rear = rear + sketch.draw(0.02, 0.10)
    sketch.box((roof_rear, roof_front), (-0.41, 0.41), (belt, 0.95), GLASS, GLASS_OPACITY)
    sketch.box((roof_rear, roof_front), (-0.38, 0.38), (0.93, 1.0), paint)
    length, width, height = sketch.size
    for bottom, top in ((front, roof_front), (rear, roof_rear)):
        run, rise = (top - bottom) * length, (0.96 - belt) * height
        slope = math.atan2(rise, abs(run))
        pitch = slope if run < 0.0 else -slope
        half = (0.5 * math.hypot(run, rise), 0.40 * width, 0.01)
        sketch.turned(
            Solid.BOX, (0.5 * (bottom + top), 0.0, 0.5 * (belt + 0.96)), half, rotation(pitch=pitch), GLASS, GLASS_OPACITY
        )
    for x in (roof_rear + 0.01, 0.5 * (roof_rear + roof_front), roof_front - 0.02):
        for y in ((-0.43, -0.39), (0.39, 0.43)):
            sketch.box((x, x + 0.015), y, (belt, 0.95), paint)
    for y in ((-0.5, -0.45), (0.45, 0.5)):
        sketch.box((front - 0.05, front - 0.02), y, (belt, belt + 0.10), paint)
    _wheels(sketch, (-0.29, 0.30), min(0.33, 0.24 * height))
    _lights(sketch, (belt - 0.16, belt - 0.09))


def _van(sketch: Sketch) -> None:
    """A box with a short sloping nose."""
    paint, nose = _paint(sketch), sketch.draw(0.10, 0.20)
    sketch.box((-0.49, 0.49 - nose), (-0.49, 0.49), (0.10, 0.99), paint)
    sketch.box((0.49 - nose, 0.485), (-0.47, 0.47), (0.10, 0.48), paint)
    length, width, height = sketch.size
    run, rise = 0.6 * nose * length, 0.45 * height
    half = (0.5 * math.hypot(run, rise), 0.45 * width, 0.01)
    sketch.turned(Solid.BOX, (0.49 - 0.7 * nose, 0.0, 0.70), half, rotation(pitch=math.atan2(rise, run)), GLASS, GLASS_OPACITY)
    for y in ((-0.5, -0.47), (0.47, 0.5)):
        sketch.box((0.40 - nose, 0.43 - nose), y, (0.50, 0.62), paint)
    _wheels(sketch, (-0.30, 0.32), min(0.35, 0.15 * height))
    _lights(sketch, (0.28, 0.36))


def _truck(sketch: Sketch) -> None:
    """A cab, a gap, and a body behind that is higher, or a tipper's, or a flat bed."""
    cab, style = sketch.draw(0.20, 0.27), sketch.random.integers(3)
    back = 0.5 - cab - 0.02
    top = sketch.draw(0.80, 0.95)
    sketch.box((0.5 - cab, 0.495), (-0.48, 0.48), (0.14, top), _paint(sketch))
    sketch.box((0.492, 0.499), (-0.42, 0.42), (0.52 * top, 0.92 * top), GLASS)
    body = sketch.draw(0.15, 0.8)
    sketch.box((-0.49, 0.5 - cab), (-0.35, 0.35), (0.22, 0.30), METAL)
    if style == 0:
        sketch.box((-0.495, back), (-0.5, 0.5), (0.30, 1.0), body)
    elif style == 1:
        for y in ((-0.5, -0.47), (0.47, 0.5)):
            sketch.box((-0.495, back), y, (0.30, 0.72), body)
        for x in ((-0.495, -0.48), (back - 0.015, back)):
            sketch.box(x, (-0.5, 0.5), (0.30, 0.72), body)
        sketch.pile((-0.48, back - 0.02), (-0.47, 0.47), (0.32, 0.90), sketch.draw(0.2, 0.4), 2.5)
    else:
        sketch.box((-0.495, back), (-0.5, 0.5), (0.30, 0.36), body)
        sketch.box((-0.45, back - 0.1), (-0.42, 0.42), (0.36, sketch.draw(0.5, 0.95)), sketch.draw(0.2, 0.7))
    _wheels(sketch, (-0.33, -0.20, 0.36), min(0.5, 0.16 * sketch.size[2]))
    sketch.box((-0.4995, -0.495), (-0.5, 0.5), (0.30, 0.33), RETRO)
    _lights(sketch, (0.20, 0.26))


def _bus(sketch: Sketch) -> None:
    """A long box, windows all along, flat at both ends."""
    paint = _paint(sketch)
    sketch.box((-0.495, 0.49), (-0.49, 0.49), (0.09, 0.42), paint)
    sketch.box((-0.495, 0.485), (-0.48, 0.48), (0.42, 0.86), GLASS, 0.5)
    sketch.box((-0.495, 0.485), (-0.48, 0.48), (0.84, 0.97), paint)
    sketch.box((-0.3, 0.1), (-0.35, 0.35), (0.97, 1.0), paint)
    for x in np.linspace(-0.48, 0.45, 7):
        for y in ((-0.5, -0.47), (0.47, 0.5)):
            sketch.box((float(x), float(x) + 0.015), y, (0.42, 0.86), paint)
    for x in ((0.47, 0.4995), (0.47, 0.49)):
        sketch.box(x, (-0.5, -0.47) if x[1] > 0.495 else (0.47, 0.5), (0.70, 0.84), 0.1)
    _wheels(sketch, (-0.26, 0.28), min(0.48, 0.16 * sketch.size[2]))
    _lights(sketch, (0.16, 0.22))


def _rider(sketch: Sketch, seat: float, lean: float) -> None:
    """Somebody on a saddle whose hips are at `seat` of the height, leaning forward by `lean` of the length."""
    clothes = sketch.draw(0.08, 0.7)
    sketch.blob((-0.18, 0.0), (-0.20, 0.20), (seat - 0.05, seat + 0.10), clothes)
    sketch.blob((-0.14, -0.14 + 0.16 + lean), (-0.26, 0.26), (seat, 0.90), clothes)
    sketch.blob((lean - 0.08, lean + 0.06), (-0.14, 0.14), (0.86, 1.0), sketch.draw(0.1, 0.5))
    for side in (-1.0, 1.0):
        y = (0.12, 0.28) if side > 0.0 else (-0.28, -0.12)
        sketch.blob((-0.10, 0.06), y, (0.20, seat + 0.06), clothes)
        arm = (0.30, 0.42) if side > 0.0 else (-0.42, -0.30)
        sketch.blob((lean - 0.04, 0.27), arm, (0.58, 0.78), clothes)


def _bicycle(sketch: Sketch) -> None:
    """Two wheels one sees through, a frame, and a rider high above them."""
    radius = min(0.34, 0.19 * sketch.size[0])
    for x in (-0.5 + radius / sketch.size[0], 0.5 - radius / sketch.size[0]):
        sketch.wheel(x, 0.0, radius, 0.04, 0.25, SPOKES)
    sketch.box((-0.28, 0.26), (-0.04, 0.04), (0.28, 0.36), METAL, 0.7)
    sketch.box((0.24, 0.28), (-0.45, 0.45), (0.56, 0.60), METAL)
    sketch.box((-0.16, -0.12), (-0.05, 0.05), (0.30, 0.52), METAL)
    sketch.box((-0.34, -0.32), (-0.08, 0.08), (0.36, 0.40), RETRO)
    _rider(sketch, 0.54, sketch.draw(0.02, 0.14))


def _motorcycle(sketch: Sketch) -> None:
    """Two fat wheels, a tank and an engine between them, a rider."""
    radius = min(0.31, 0.15 * sketch.size[0])
    for x in (-0.5 + radius / sketch.size[0], 0.5 - radius / sketch.size[0]):
        sketch.wheel(x, 0.0, radius, 0.14, TYRE)
    paint = _paint(sketch)
    sketch.box((-0.22, 0.20), (-0.22, 0.22), (0.18, 0.46), METAL)
    sketch.blob((-0.05, 0.22), (-0.20, 0.20), (0.40, 0.60), paint)
    sketch.box((-0.42, -0.02), (-0.16, 0.16), (0.46, 0.54), TYRE)
    sketch.box((0.20, 0.24), (-0.5, 0.5), (0.60, 0.64), METAL)
    sketch.box((0.26, 0.30), (-0.16, 0.16), (0.45, 0.68), paint)
    sketch.box((-0.44, -0.43), (-0.12, 0.12), (0.36, 0.44), RETRO)
    _rider(sketch, 0.52, sketch.draw(0.0, 0.12))


def _pedestrian(sketch: Sketch) -> None:
    """Legs and arms that swing against each other, a trunk, a head."""
    trousers, top = sketch.draw(0.06, 0.6), sketch.draw(0.06, 0.8)
    length, _, height = sketch.size
    # the foot at the end of a swing stays inside the box
    swing = min(STRIDE_SWING, 0.8 * math.asin(min(0.32 * length / (0.5 * height), 1.0)))
    for side, turn in ((-1.0, swing), (1.0, -swing)):
        leg = (0.04, 0.26) if side > 0.0 else (-0.26, -0.04)
        arm = (0.34, 0.47) if side > 0.0 else (-0.47, -0.34)
        sketch.solid(Solid.CYLINDER, (-0.15, 0.15), leg, (0.02, 0.48), reflectivity=trousers, swing=turn, pivot=(0.0, 0.0, 0.5))
        sketch.solid(Solid.CYLINDER, (-0.10, 0.10), arm, (0.46, 0.80), reflectivity=top, swing=-turn, pivot=(0.0, 0.0, 0.80))
    sketch.blob((-0.24, 0.24), (-0.36, 0.36), (0.44, 0.88), top)
    sketch.blob((-0.20, 0.20), (-0.16, 0.16), (0.86, 1.0), SKIN)
    if sketch.random.random() < 0.3:
        sketch.box((-0.45, -0.2), (-0.28, 0.28), (0.55, 0.80), sketch.draw(0.1, 0.6))


def _dirt_pile(sketch: Sketch) -> None:
    sketch.pile((-0.5, 0.5), (-0.5, 0.5), (0.0, 1.0), sketch.draw(0.15, 0.45), sketch.draw(0.9, 2.6))


def _cone(sketch: Sketch) -> None:
    """A foot and narrowing rings with bright bands."""
    paint = sketch.draw(0.3, 0.6)
    sketch.box((-0.5, 0.5), (-0.5, 0.5), (0.0, 0.06), TYRE)
    for k in range(6):
        low, high = 0.06 + k * 0.94 / 6, 0.06 + (k + 1) * 0.94 / 6
        half = 0.38 - 0.32 * (low + high) / 2
        sketch.post((-half, half), (-half, half), (low, high), RETRO if k in (2, 4) else paint)


def _barrier(sketch: Sketch) -> None:
    """Concrete: a broad foot and a narrow top."""
    concrete = sketch.draw(0.3, 0.5)
    sketch.box((-0.5, 0.5), (-0.5, 0.5), (0.0, 0.25), concrete)
    sketch.box((-0.5, 0.5), (-0.32, 0.32), (0.25, 0.55), concrete)
    sketch.box((-0.5, 0.5), (-0.18, 0.18), (0.55, 1.0), concrete)


def _box(sketch: Sketch) -> None:
    """A carton, sometimes with another one on top."""
    if sketch.random.random() < 0.3:
        sketch.box((-0.5, 0.5), (-0.5, 0.5), (0.0, 0.6), CARDBOARD)
        sketch.box((-0.3, 0.35), (-0.4, 0.3), (0.6, 1.0), CARDBOARD)
        return
    sketch.box((-0.5, 0.5), (-0.5, 0.5), (0.0, 1.0), sketch.draw(0.35, 0.65))


def _pallet(sketch: Sketch) -> None:
    """Boards above and below three beams."""
    for y in ((-0.5, -0.4), (-0.05, 0.05), (0.4, 0.5)):
        sketch.box((-0.5, 0.5), y, (0.0, 0.85), WOOD)
    for k in range(5):
        sketch.box((-0.5 + k * 0.2125, -0.35 + k * 0.2125), (-0.5, 0.5), (0.85, 1.0), WOOD)


def _plastic_bag(sketch: Sketch) -> None:
    """A crumpled film: part of the light goes through."""
    bright, opacity = sketch.draw(0.3, 0.8), sketch.draw(0.25, 0.6)
    sketch.blob((-0.5, 0.5), (-0.5, 0.5), (0.0, 0.9), bright, opacity)
    for _ in range(2):
        half = (0.3 * sketch.size[0], 0.3 * sketch.size[1], 0.002)
        turn = rotation(*(sketch.draw(-1.2, 1.2) for _ in range(3)))
        sketch.turned(Solid.BOX, (0.0, 0.0, 0.55), half, turn, bright, opacity)


def _tall_grass(sketch: Sketch) -> None:
    """Upright blades as sparse films across each other, and loose ears above."""
    green = sketch.draw(0.3, 0.6)
    for _ in range(4):
        half = (0.45 * sketch.size[0], 0.002, 0.42 * sketch.size[2])
        sketch.turned(Solid.BOX, (0.0, sketch.draw(-0.3, 0.3), 0.44), half, rotation(yaw=sketch.draw(-0.6, 0.6)), green, 0.12)
    sketch.cloud((-0.5, 0.5), (-0.5, 0.5), (0.0, 1.0), green, sketch.draw(0.8, 2.0))


def _unknown(sketch: Sketch) -> None:
    """One to five solids of any kind anywhere in the box; the first one is big."""
    for k in range(1 + int(sketch.random.integers(5))):
        solid = Solid(int(sketch.random.integers(4)))
        spans = []
        for _ in range(3):
            width = sketch.draw(0.6, 1.0) if k == 0 else sketch.draw(0.15, 0.7)
            low = sketch.draw(0.0, 1.0 - width)
            spans.append((low - 0.5, low - 0.5 + width))
        bright = sketch.draw(0.05, 0.9)
        upright = (0.0, spans[2][1] + 0.5) if k == 0 or solid == Solid.PILE else (spans[2][0] + 0.5, spans[2][1] + 0.5)
        if solid == Solid.PILE or k == 0 or sketch.random.random() < 0.5:
            sketch.solid(solid, spans[0], spans[1], upright, reflectivity=bright, parameter=sketch.draw(0.8, 3.0))
            continue
        centre = (0.5 * sum(spans[0]), 0.5 * sum(spans[1]), 0.5 * sum(upright))
        half = tuple(0.5 * (high - low) * side for (low, high), side in zip((*spans[:2], upright), sketch.size, strict=True))
        turn = rotation(*(sketch.draw(-1.0, 1.0) for _ in range(3)))
        sketch.turned(solid, centre, (half[0], half[1], half[2]), turn, bright)


def _animal(sketch: Sketch) -> None:
    """A trunk on four legs, neck and head forward."""
    fur = sketch.draw(0.15, 0.6)
    sketch.blob((-0.42, 0.28), (-0.5, 0.5), (0.42, 0.85), fur)
    for x in ((-0.36, -0.26), (0.12, 0.22)):
        for y in ((-0.35, -0.1), (0.1, 0.35)):
            sketch.post(x, y, (0.0, 0.55), fur)
    sketch.blob((0.20, 0.42), (-0.22, 0.22), (0.60, 0.95), fur)
    sketch.blob((0.28, 0.5), (-0.2, 0.2), (0.78, 1.0), fur)


def _wheelchair(sketch: Sketch) -> None:
    """Two large wheels, a seat, somebody in it."""
    for y in (-0.44, 0.44):
        sketch.wheel(-0.15, y, 0.30, 0.04, METAL, SPOKES)
        sketch.wheel(0.38, y * 0.8, 0.09, 0.04, TYRE)
    clothes = sketch.draw(0.1, 0.7)
    sketch.box((-0.30, 0.18), (-0.36, 0.36), (0.33, 0.42), TYRE)
    sketch.box((-0.34, -0.28), (-0.36, 0.36), (0.36, 0.72), TYRE)
    sketch.blob((-0.27, 0.05), (-0.36, 0.36), (0.36, 0.84), clothes)
    sketch.blob((-0.22, 0.02), (-0.15, 0.15), (0.80, 1.0), SKIN)
    for side in ((-0.26, -0.06), (0.06, 0.26)):
        sketch.box((0.0, 0.34), side, (0.38, 0.48), clothes)
        sketch.box((0.26, 0.40), side, (0.06, 0.40), clothes)


def _stroller(sketch: Sketch) -> None:
    for x in (-0.32, 0.36):
        for y in (-0.42, 0.42):
            sketch.wheel(x, y, 0.12, 0.04, TYRE, 0.7)
    cloth = sketch.draw(0.08, 0.5)
    sketch.blob((-0.30, 0.40), (-0.45, 0.45), (0.30, 0.70), cloth)
    sketch.blob((-0.28, 0.12), (-0.45, 0.45), (0.45, 0.95), cloth)
    sketch.box((-0.5, -0.46), (-0.45, 0.45), (0.92, 1.0), METAL)
    for side in ((-0.45, -0.40), (0.40, 0.45)):
        sketch.box((-0.5, -0.3), side, (0.85, 0.92), METAL)


def _shopping_cart(sketch: Sketch) -> None:
    """A basket of wire on four small wheels."""
    for x in (-0.38, 0.40):
        for y in (-0.35, 0.35):
            sketch.wheel(x, y, 0.06, 0.03)
    for end in ((-0.38, -0.37), (0.48, 0.49)):
        sketch.box(end, (-0.45, 0.45), (0.45, 0.95), METAL, 0.4)
    for side in ((-0.45, -0.44), (0.44, 0.45)):
        sketch.box((-0.38, 0.49), side, (0.45, 0.95), METAL, 0.4)
    sketch.box((-0.38, 0.49), (-0.45, 0.45), (0.43, 0.45), METAL, 0.4)
    sketch.box((-0.5, -0.46), (-0.5, 0.5), (0.95, 1.0), sketch.draw(0.2, 0.7))
    for side in ((-0.40, -0.36), (0.36, 0.40)):
        sketch.box((-0.38, 0.42), side, (0.12, 0.18), METAL)


def _couch(sketch: Sketch) -> None:
    """A seat, a back, two arms."""
    cloth = sketch.draw(0.1, 0.7)
    sketch.box((-0.5, 0.5), (-0.5, 0.5), (0.06, 0.48), cloth)
    sketch.box((-0.5, 0.5), (0.25, 0.5), (0.48, 1.0), cloth)
    for x in ((-0.5, -0.40), (0.40, 0.5)):
        sketch.box(x, (-0.5, 0.5), (0.48, 0.70), cloth)


def _log(sketch: Sketch) -> None:
    length, width, height = sketch.size
    half = (0.5 * width, 0.5 * height, 0.5 * length)
    # its own z axis lies along x, its x axis along y
    lying = np.array([[0.0, 0.0, 1.0], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
    sketch.turned(Solid.CYLINDER, (0.0, 0.0, 0.5), half, lying, sketch.draw(0.2, 0.5))


def _ladder(sketch: Sketch) -> None:
    """Two rails and their rungs, lying flat."""
    for y in ((-0.5, -0.38), (0.38, 0.5)):
        sketch.box((-0.5, 0.5), y, (0.0, 1.0), METAL)
    for x in np.linspace(-0.45, 0.45, max(int(sketch.size[0] / 0.28), 4)):
        sketch.box((float(x) - 0.006, float(x) + 0.006), (-0.38, 0.38), (0.35, 0.65), METAL)


def _tyre(sketch: Sketch) -> None:
    """Lying flat, as a ring of blocks round its hole."""
    length, width, height = sketch.size
    for k in range(8):
        angle = 0.25 * math.pi * k
        centre = (0.38 * math.cos(angle), 0.38 * math.sin(angle), 0.5)
        half = (0.10 * length, 0.17 * width, 0.5 * height)
        sketch.turned(Solid.BOX, centre, half, rotation(yaw=angle), TYRE)


def _e_scooter(sketch: Sketch) -> None:
    """A deck, two small wheels, a column with a bar; nobody on it."""
    for x in (-0.42, 0.42):
        sketch.wheel(x, 0.0, min(0.11, 0.09 * sketch.size[0]), 0.05)
    sketch.box((-0.40, 0.36), (-0.16, 0.16), (0.07, 0.13), TYRE)
    sketch.post((0.36, 0.41), (-0.06, 0.06), (0.10, 0.96), METAL)
    sketch.box((0.36, 0.40), (-0.5, 0.5), (0.95, 1.0), METAL)


def _overturned_car(sketch: Sketch) -> None:
    """On its roof: the cabin below, the floor and the wheels on top."""
    paint = _paint(sketch)
    sketch.box((-0.28, 0.20), (-0.40, 0.40), (0.0, 0.40), GLASS, 0.6)
    sketch.box((-0.26, 0.18), (-0.38, 0.38), (0.0, 0.06), paint)
    sketch.box((-0.49, 0.49), (-0.5, 0.5), (0.38, 0.80), paint)
    sketch.box((-0.45, 0.45), (-0.42, 0.42), (0.80, 0.86), METAL)
    radius = min(0.33, 0.2 * sketch.size[2])
    for x in (-0.30, 0.30):
        for y in (-0.42, 0.42):
            centre = (x, y, 1.0 - radius / sketch.size[2])
            sketch.turned(Solid.CYLINDER, centre, (radius, radius, 0.06 * sketch.size[1]), rotation(roll=0.5 * math.pi), TYRE)


def _paper(sketch: Sketch) -> None:
    """A sheet or two, bent up from the ground."""
    for _ in range(1 + int(sketch.random.integers(2))):
        turn = rotation(sketch.draw(-1.0, 1.0), sketch.draw(-0.3, 0.3), sketch.draw(-0.3, 0.3))
        half = (0.45 * sketch.size[0], 0.45 * sketch.size[1], 0.001)
        sketch.turned(Solid.BOX, (0.0, 0.0, 0.5), half, turn, sketch.draw(0.5, 0.85), 0.9)


def _steam(sketch: Sketch) -> None:
    sketch.cloud((-0.5, 0.5), (-0.5, 0.5), (0.0, 1.0), 0.15, sketch.draw(0.3, 1.2))


def _leaves(sketch: Sketch) -> None:
    sketch.cloud((-0.5, 0.5), (-0.5, 0.5), (0.0, 1.0), 0.4, sketch.draw(2.0, 6.0))


Shape = Callable[[Sketch], None]

ROAD_USERS: Mapping[Kind, Shape] = {
    Kind.CAR: _car, Kind.VAN: _van, Kind.TRUCK: _truck, Kind.BUS: _bus, Kind.MOTORCYCLE: _motorcycle, Kind.BICYCLE: _bicycle,
    Kind.PEDESTRIAN: _pedestrian,
}  # fmt: skip
THING_SHAPES: Mapping[str, Shape] = {
    "parked_car": _car, "parked_van": _van, "dirt_pile": _dirt_pile, "cone": _cone, "barrier": _barrier, "box": _box,
    "pallet": _pallet, "plastic_bag": _plastic_bag, "tall_grass": _tall_grass, "unknown": _unknown, "animal": _animal,
    "wheelchair": _wheelchair, "stroller": _stroller, "shopping_cart": _shopping_cart, "couch": _couch, "log": _log,
    "ladder": _ladder, "tyre": _tyre, "e_scooter": _e_scooter, "overturned_car": _overturned_car, "paper": _paper,
    "steam": _steam, "leaves": _leaves,
}  # fmt: skip
"""Name in `sim.sensors.things.THINGS` -> shape. A new thing takes one line here as well."""


def draw_shape(kind: Kind, thing: str, size: Vector, seed: int, slot: int) -> NDArray[np.void]:
    """(P,) PRIMITIVE_DTYPE in the body's frame; the same for the same arguments. KeyError for a thing without a shape."""
    sketch = Sketch(size, generator(seed, Purpose.SENSOR, _SHAPES, slot))
    shape = THING_SHAPES[thing or "unknown"] if kind == Kind.OBJECT else ROAD_USERS[kind]
    shape(sketch)
    return joined(sketch.made)


def draw_body(body: NDArray[np.void], seed: int, slot: int) -> NDArray[np.void]:
    """`draw_shape` of one record of `sim.state.BODY_DTYPE`."""
    size = (float(body["length"]), float(body["width"]), float(body["height"]))
    thing = THING_NAMES[int(body["thing"])] if int(body["thing"]) >= 0 else ""
    return draw_shape(Kind(int(body["kind"])), thing, size, seed, slot)
