"""The viewer on a screen, or without one as a row of pictures."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator

import pygame

from sim.viewer import GIVEN_DRIVER
from sim.viewer.keys import Keys
from sim.viewer.picture import draw
from sim.viewer.viewer import Viewer

FPS = 30
UNSEEN = ("dummy", "offscreen")
"""Drivers of SDL whose windows nobody sees."""


class NoDisplayError(RuntimeError):
    """There is no screen to open a window on."""


def watch(viewer: Viewer, keep: Callable[[], str], film: Callable[[pygame.Surface], None] | None = None) -> None:
    """Open a window and stay until it is closed. film: takes every picture as well. Raises NoDisplayError."""
    window = _open(viewer)
    try:
        keys, clock, pads = Keys(viewer, keep), pygame.time.Clock(), _gamepads()
        while not viewer.closed:
            for event in pygame.event.get():
                keys.handle(event)
                if event.type == pygame.CONTROLLERDEVICEADDED:
                    pads = _gamepads()
            viewer.step(clock.tick(FPS) / 1000.0)
            picture = draw(viewer)
            if film is not None:
                film(picture)
            window.blit(picture, (0, 0))
            pygame.display.flip()
        pads.clear()
    finally:
        pygame.display.quit()
        os.environ.setdefault("SDL_VIDEODRIVER", "dummy")


def pictures(viewer: Viewer, fps: float, count: int | None) -> Iterator[pygame.Surface]:
    """`count` pictures, `fps` for a second of the viewer's time, without a window; None: to the episode's end."""
    made = 0
    while count is None or made < count:
        yield draw(viewer)
        made += 1
        if count is None and viewer.at_end:
            return
        viewer.step(1.0 / fps)


def _open(viewer: Viewer) -> pygame.Surface:
    if GIVEN_DRIVER is None:
        os.environ.pop("SDL_VIDEODRIVER", None)
    try:
        pygame.display.init()
        if pygame.display.get_driver() in UNSEEN:
            raise NoDisplayError(f"SDL has only its driver {pygame.display.get_driver()!r}, which shows nothing")
        window = pygame.display.set_mode(viewer.size, pygame.RESIZABLE)
    except (pygame.error, NoDisplayError) as error:
        pygame.display.quit()
        os.environ.setdefault("SDL_VIDEODRIVER", "dummy")
        raise NoDisplayError(f"there is no display to open a window on: {error}") from None
    pygame.display.set_caption("avstack view")
    pygame.key.set_repeat()  # a key that is held is held, and steps but once
    return window


def _gamepads() -> list[object]:
    """The gamepads that are there: they send events for as long as somebody keeps them."""
    from pygame._sdl2 import controller

    controller.init()
    return [controller.Controller(k) for k in range(controller.get_count()) if controller.is_controller(k)]
