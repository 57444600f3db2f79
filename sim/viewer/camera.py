"""Which part of the world is shown: a place and a scale that one pans, zooms, or lets follow somebody."""

from __future__ import annotations

from dataclasses import dataclass, replace

from sim.viewer.canvas import View, fit

CLOSEST, FARTHEST = 60.0, 0.05
"""Pixels a metre."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Camera:
    """(x, y) [m] in the middle, `scale` pixels a metre; follow: whether it keeps to whoever is chosen."""

    x: float
    y: float
    scale: float
    follow: bool = False

    def view(self, left: float, top: float, width: float, height: float) -> View:
        """What it shows in a rectangle of pixels."""
        return View(x=self.x, y=self.y, scale=self.scale, left=left, top=top, width=width, height=height)

    def zoomed(self, factor: float, view: View, pixel: tuple[float, float] | None = None) -> Camera:
        """Closer (factor > 1) or further; what is under `pixel` stays there, unless somebody is followed."""
        scale = min(max(self.scale * factor, FARTHEST), CLOSEST)
        if pixel is None or self.follow:
            return replace(self, scale=scale)
        x, y = world_of(view, pixel)
        share = 1.0 - self.scale / scale
        return replace(self, scale=scale, x=self.x + (x - self.x) * share, y=self.y + (y - self.y) * share)

    def moved(self, right: float, down: float) -> Camera:
        """Moved by pixels; it follows nobody then."""
        return replace(self, x=self.x + right / self.scale, y=self.y - down / self.scale, follow=False)


def showing(bounds: tuple[float, float, float, float], width: float, height: float) -> Camera:
    """The camera that shows x0, y0, x1, y1 [m] as large as the rectangle allows."""
    view = fit(bounds, 0.0, 0.0, width, height)
    return Camera(x=view.x, y=view.y, scale=min(max(view.scale, FARTHEST), CLOSEST))


def world_of(view: View, pixel: tuple[float, float]) -> tuple[float, float]:
    """The place [m] under a pixel."""
    x = view.x + (pixel[0] - view.left - 0.5 * view.width) / view.scale
    return x, view.y - (pixel[1] - view.top - 0.5 * view.height) / view.scale
