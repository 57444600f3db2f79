"""Drawing surfaces without a display: supersampled, in final pixels, with a view from world metres to pixels.

Everything is drawn SUPERSAMPLE times too large and scaled down at the end, which is what smooths the edges.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import pygame
from numpy.typing import NDArray

from sim.interface import Floats

SUPERSAMPLE = 2

Colour = tuple[int, int, int]
Pixel = tuple[float, float]

INK: Colour = (38, 42, 48)
FAINT: Colour = (120, 126, 134)
PAPER: Colour = (252, 252, 250)
ALARM: Colour = (200, 30, 30)


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """World to pixels inside a rectangle: `scale` pixels a metre, (x, y) [m] in its middle, north up."""

    x: float
    y: float
    scale: float
    left: float
    top: float
    width: float
    height: float

    def pixels(self, points: Floats) -> Floats:
        """(K, 2) pixels of (K, 2) world points."""
        placed: Floats = np.empty((len(points), 2))
        placed[:, 0] = self.left + 0.5 * self.width + (points[:, 0] - self.x) * self.scale
        placed[:, 1] = self.top + 0.5 * self.height - (points[:, 1] - self.y) * self.scale
        return placed

    def sees(self, points: Floats) -> bool:
        """Whether the box around (K, 2) world points meets the view."""
        return len(points) > 0 and bool(self.meets(np.array([[*points.min(axis=0), *points.max(axis=0)]]))[0])

    def meets(self, boxes: Floats) -> NDArray[np.bool_]:
        """(N,) whether each of N boxes x0, y0, x1, y1 [m] meets the view."""
        half_x, half_y = 0.5 * self.width / self.scale, 0.5 * self.height / self.scale
        x0, y0, x1, y1 = boxes.T
        met: NDArray[np.bool_] = (x1 >= self.x - half_x) & (x0 <= self.x + half_x) & (y1 >= self.y - half_y)
        met &= y0 <= self.y + half_y
        return met


def fit(bounds: tuple[float, float, float, float], left: float, top: float, width: float, height: float) -> View:
    """The view that shows x0, y0, x1, y1 [m] as large as the rectangle allows."""
    x0, y0, x1, y1 = bounds
    scale = min(width / max(x1 - x0, 1.0), height / max(y1 - y0, 1.0))
    return View(x=0.5 * (x0 + x1), y=0.5 * (y0 + y1), scale=scale, left=left, top=top, width=width, height=height)


class Canvas:
    """A picture in the making; all coordinates and widths are in final pixels."""

    def __init__(self, width: int, height: int, background: Colour = PAPER) -> None:
        self.width, self.height = width, height
        self._surface = pygame.Surface((width * SUPERSAMPLE, height * SUPERSAMPLE))
        self._surface.fill(background)

    def finished(self) -> pygame.Surface:
        """The picture at its final size."""
        return pygame.transform.smoothscale(self._surface, (self.width, self.height))

    def clip(self, left: float, top: float, width: float, height: float) -> None:
        """Draw only inside this rectangle from now on."""
        self._surface.set_clip(pygame.Rect(*(round(value * SUPERSAMPLE) for value in (left, top, width, height))))

    def unclip(self) -> None:
        """Draw everywhere again."""
        self._surface.set_clip(None)

    def rectangle(self, left: float, top: float, width: float, height: float, colour: Colour, line: float = 0.0) -> None:
        """A filled rectangle, or its outline `line` pixels wide."""
        area = pygame.Rect(*(round(value * SUPERSAMPLE) for value in (left, top, width, height)))
        pygame.draw.rect(self._surface, colour, area, max(1, round(line * SUPERSAMPLE)) if line > 0.0 else 0)

    def polygon(self, points: Floats, colour: Colour, outline: Colour | None = None, line: float = 1.0) -> None:
        """A filled polygon (K, 2), with an outline if asked for."""
        if len(points) < 3:
            return
        corners = points * SUPERSAMPLE
        pygame.draw.polygon(self._surface, colour, corners.tolist())
        if outline is not None:
            self.line(np.vstack((points, points[:1])), outline, line)

    def line(self, points: Floats, colour: Colour, width: float = 1.0) -> None:
        """A polyline (K, 2) with round joints."""
        if len(points) < 2:
            return
        scaled = points * SUPERSAMPLE
        thick = width * SUPERSAMPLE
        if thick < 2.5:
            pygame.draw.lines(self._surface, colour, False, scaled.tolist(), max(1, round(thick)))
            return
        along = np.diff(scaled, axis=0)
        length = np.hypot(along[:, 0], along[:, 1])
        aside = np.column_stack((-along[:, 1], along[:, 0])) * (0.5 * thick / np.maximum(length, 1e-9))[:, None]
        for a, b, side in zip(scaled[:-1], scaled[1:], aside, strict=True):
            pygame.draw.polygon(self._surface, colour, [a + side, b + side, b - side, a - side])
        for joint in scaled[1:-1]:
            pygame.draw.circle(self._surface, colour, joint, 0.5 * thick)

    def dashes(self, points: Floats, colour: Colour, width: float, on: float, off: float) -> None:
        """A dashed polyline; on, off in pixels."""
        if len(points) < 2:
            return
        steps = np.hypot(*np.diff(points, axis=0).T)
        along = np.concatenate(([0.0], np.cumsum(steps)))
        for start in np.arange(0.0, along[-1], on + off):
            marks = np.array([start, min(start + on, along[-1])])
            inner = along[(along > marks[0]) & (along < marks[1])]
            at = np.concatenate((marks[:1], inner, marks[1:]))
            self.line(np.column_stack([np.interp(at, along, points[:, axis]) for axis in (0, 1)]), colour, width)

    def dot(self, at: Pixel, radius: float, colour: Colour, outline: Colour | None = None) -> None:
        """A disc."""
        centre = (at[0] * SUPERSAMPLE, at[1] * SUPERSAMPLE)
        if outline is not None:
            pygame.draw.circle(self._surface, outline, centre, (radius + 1.0) * SUPERSAMPLE)
        pygame.draw.circle(self._surface, colour, centre, radius * SUPERSAMPLE)

    def ring(self, at: Pixel, radius: float, colour: Colour, line: float = 1.5) -> None:
        """A circle."""
        centre = (at[0] * SUPERSAMPLE, at[1] * SUPERSAMPLE)
        pygame.draw.circle(self._surface, colour, centre, radius * SUPERSAMPLE, max(1, round(line * SUPERSAMPLE)))

    def text(
        self, at: Pixel, words: str, size: int = 13, colour: Colour = INK, anchor: str = "left", halo: Colour | None = None
    ) -> None:
        """One line of text; `at` is its vertical middle and its left, centre or right; `halo` colours a rim around it."""
        left = at[0] - {"left": 0.0, "centre": 0.5, "right": 1.0}[anchor] * text_width(words, size)
        origin = (left * SUPERSAMPLE, (at[1] - 0.5 * _font(size).get_height() / SUPERSAMPLE) * SUPERSAMPLE)
        if halo is not None:
            rim = _font(size).render(words, True, halo)
            for dx, dy in ((-1, 0), (1, 0), (0, -1), (0, 1), (-1, -1), (1, 1), (-1, 1), (1, -1)):
                self._surface.blit(rim, (origin[0] + dx * SUPERSAMPLE, origin[1] + dy * SUPERSAMPLE))
        self._surface.blit(_font(size).render(words, True, colour), origin)


def text_width(words: str, size: int = 13) -> float:
    """Width of a line of text in final pixels."""
    return float(_font(size).size(words)[0]) / SUPERSAMPLE


def shorten(words: str, width: float, size: int = 13) -> str:
    """`words`, cut with "..." where they are wider than `width` pixels."""
    if text_width(words, size) <= width:
        return words
    while words and text_width(words + "...", size) > width:
        words = words[:-1]
    return words + "..."


@lru_cache(maxsize=32)
def _font(size: int) -> pygame.font.Font:
    if not pygame.font.get_init():
        pygame.font.init()
    return pygame.font.Font(None, round(size * SUPERSAMPLE * 1.35))


def box_corners(x: float, y: float, heading: float, length: float, width: float) -> Floats:
    """(4, 2) corners of an oriented box: front left, front right, rear right, rear left."""
    along = np.array([np.cos(heading), np.sin(heading)]) * 0.5 * length
    aside = np.array([-np.sin(heading), np.cos(heading)]) * 0.5 * width
    centre = np.array([x, y])
    return np.array([centre + along + aside, centre + along - aside, centre - along - aside, centre - along + aside])


def nice_step(span: float, parts: int) -> float:
    """A round step (1, 2 or 5 times a power of ten) that divides `span` into about `parts`."""
    raw = max(span, 1e-9) / max(parts, 1)
    power = 10.0 ** np.floor(np.log10(raw))
    return float(next(step * power for step in (1.0, 2.0, 5.0, 10.0) if step * power >= raw * 0.999))
