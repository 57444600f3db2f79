"""Pictures of what the models see: points, coarse grid, boxes with ellipses of two standard errors, score and trust beside."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pygame
from numpy.typing import NDArray

from avstack.perception.bev import SHAPE, X0, Y0
from avstack.perception.classes import Class
from avstack.perception.detect import Detections
from avstack.perception.maps import SIDE
from avstack.perception.percepts import RICH
from sim.viewer.draw import save

SCALE = 8
"""Pixels to a metre."""
LEAST_SCORE = 0.3
COLOURS = (
    (60, 150, 255), (90, 90, 255), (255, 90, 90), (255, 100, 255), (255, 165, 0), (190, 120, 60), (0, 220, 220), (150, 230, 60),
)  # fmt: skip
_LENGTH, _WIDTH = 0.5 * SHAPE[0], 0.5 * SHAPE[1]  # m
_LEGEND = 22


def draw_detections(
    points: NDArray[np.float32],
    detections: Detections,
    path: Path,
    truth: Sequence[tuple[float, float, float, float, float]] = (),
) -> None:
    """Write a picture; ahead is up. truth: outlines (x, y, heading, length, width) of what is really there."""
    pygame.font.init()
    surface = pygame.Surface((int(_WIDTH * SCALE), int(_LENGTH * SCALE) + _LEGEND))
    surface.fill((16, 18, 22))
    _draw_grid(surface, detections)
    for x, y, z in points[:, :3]:
        place = _pixel(float(x), float(y))
        if surface.get_rect().collidepoint(place):
            bright = int(min(max(90.0 + 60.0 * float(z), 60.0), 230.0))
            surface.set_at(place, (bright, bright, bright))
    pygame.draw.rect(surface, (240, 240, 240), (*_pixel(2.35, 0.95), int(1.9 * SCALE), int(4.7 * SCALE)), 2)
    for x, y, heading, length, width in truth:
        pygame.draw.lines(surface, (250, 250, 250), True, _corners(x, y, heading, length, width), 1)
    for thing in detections.things:
        if thing["score"] >= LEAST_SCORE:
            _draw_thing(surface, thing)
    _draw_legend(surface)
    save(surface, path)


def _pixel(x: float, y: float) -> tuple[int, int]:
    return int((-Y0 - y) * SCALE), int((X0 + _LENGTH - x) * SCALE)


def _draw_grid(surface: pygame.Surface, detections: Detections) -> None:
    """Hidden cells darker, blocked ones red."""
    side = int(SIDE * SCALE)
    for i, j in np.argwhere(detections.grid.blocked | (detections.grid.hidden > 0.5)):
        x, y = _pixel(X0 + SIDE * (i + 1), Y0 + SIDE * (j + 1))
        colour = (110, 30, 30) if detections.grid.blocked[i, j] else (34, 30, 46)
        surface.fill(colour, (x, y, side, side))


def _draw_thing(surface: pygame.Surface, thing: np.void) -> None:
    x, y, heading, vx, vy, length, width = (float(value) for value in thing["mean"])
    corners = _corners(x, y, heading, length, width)
    front = _pixel(x + 0.5 * length * math.cos(heading), y + 0.5 * length * math.sin(heading))
    colour = COLOURS[int(thing["label"])] if not thing["blob"] else (255, 230, 90)
    pygame.draw.lines(surface, colour, True, corners, 3 if thing["source"] == RICH else 1)
    pygame.draw.line(surface, colour, _pixel(x, y), front)
    if thing["blob"]:
        return
    pygame.draw.line(surface, (255, 255, 120), _pixel(x, y), _pixel(x + vx, y + vy))
    sx, sy = (2.0 * math.sqrt(float(thing["covariance"][k, k])) * SCALE for k in (0, 1))
    left, top = _pixel(x, y)
    # y of the ego is across the picture
    pygame.draw.ellipse(surface, (230, 230, 230), (left - sy, top - sx, max(2.0 * sy, 2.0), max(2.0 * sx, 2.0)), 1)
    font = pygame.font.Font(None, 15)
    surface.blit(font.render(f"{thing['score']:.2f} / {thing['trust']:.2f}", True, colour), (left + 6, top - 14))


def _corners(x: float, y: float, heading: float, length: float, width: float) -> list[tuple[int, int]]:
    """Pixels of the corners of a box."""
    cos, sin = 0.5 * math.cos(heading), 0.5 * math.sin(heading)
    shape = ((1, 1), (-1, 1), (-1, -1), (1, -1))
    return [_pixel(x + a * length * cos - b * width * sin, y + a * length * sin + b * width * cos) for a, b in shape]


def _draw_legend(surface: pygame.Surface) -> None:
    font = pygame.font.Font(None, 15)
    x, y = 4, int(_LENGTH * SCALE) + 5
    for one, colour in zip(Class, COLOURS, strict=True):
        text = font.render(one.name.lower().replace("_", " "), True, colour)
        surface.blit(text, (x, y))
        x += text.get_width() + 7
    surface.blit(font.render("thin: coarse; yellow: no name; white: truth", True, (200, 200, 200)), (x, y))
