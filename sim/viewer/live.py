"""A picture of a world as it is now, for whoever watches an environment."""

from __future__ import annotations

import os
from collections.abc import Sequence

import numpy as np
import pygame
from numpy.typing import NDArray

from sim.interface import Kind
from sim.recording import RecordedActor
from sim.roads.outline import MapOutline
from sim.state import Status
from sim.viewer import GIVEN_DRIVER
from sim.viewer.actors import draw_body
from sim.viewer.canvas import Canvas, View
from sim.viewer.cast import EGO_COLOUR, OTHERS_COLOUR
from sim.viewer.road import draw_road

SIZE = (640, 640)  # pixels
SPAN = 90.0  # m
FPS = 10
_CLOCK = pygame.time.Clock()


def draw_live(drawing: MapOutline, bodies: NDArray[np.void], own: Sequence[int], time_s: float) -> pygame.Surface:
    """Everybody of `bodies` (A,) who is there, those of `own` in the colour of the ego; the first of them in the middle."""
    there = [a for a in own if bodies["status"][a] == Status.ACTIVE] or list(own[:1])
    shown = np.flatnonzero(bodies["status"] == Status.ACTIVE)
    focus = bodies[there[:1]] if there else bodies[shown]
    x, y = (float(focus[name].mean()) for name in ("x", "y")) if len(focus) else (0.0, 0.0)
    view = View(x=x, y=y, scale=min(SIZE) / SPAN, left=0.0, top=0.0, width=SIZE[0], height=SIZE[1])
    canvas = Canvas(*SIZE)
    draw_road(canvas, drawing, view, time_s)
    for a in sorted(shown, key=lambda a: a in own):
        body = bodies[a]
        actor = RecordedActor(
            name="", kind=Kind(int(body["kind"])).name, length=float(body["length"]), width=float(body["width"])
        )
        draw_body(canvas, view, actor, body, EGO_COLOUR if a in own else OTHERS_COLOUR, ego=a in own)
    return canvas.finished()


def pixels(picture: pygame.Surface) -> NDArray[np.uint8]:
    """(H, W, 3) of a picture."""
    array: NDArray[np.uint8] = np.ascontiguousarray(pygame.surfarray.array3d(picture).transpose(1, 0, 2))
    return array


def show(picture: pygame.Surface) -> None:
    """Put a picture into the window, which is opened first where there is none, and wait for its turn (10 a second)."""
    window = pygame.display.get_surface()
    if window is None:
        _open_display()
        window = pygame.display.set_mode(SIZE)
        pygame.display.set_caption("avstack")
    window.blit(picture, (0, 0))
    pygame.event.pump()
    pygame.display.flip()
    _CLOCK.tick(FPS)


def _open_display() -> None:
    """On the screen; without one, a window that nobody sees."""
    if GIVEN_DRIVER is None:
        os.environ.pop("SDL_VIDEODRIVER", None)
        try:
            pygame.display.init()
        except pygame.error:
            os.environ["SDL_VIDEODRIVER"] = "dummy"
        else:
            return
    pygame.display.init()


def hide() -> None:
    """Close the window."""
    pygame.display.quit()
    os.environ.setdefault("SDL_VIDEODRIVER", "dummy")
