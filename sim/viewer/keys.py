"""What keys, mouse and gamepad ask of the viewer: pygame's events in, its actions out. MENU says which does what."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import pygame

from sim.interface import Indicator
from sim.viewer.hands import Hands
from sim.viewer.overlays import Overlay
from sim.viewer.panel import PANEL, TIMELINE, timeline_place
from sim.viewer.viewer import Viewer

PAN_PX, DRAG_PX = 60.0, 4.0
ZOOM, WHEEL = 1.25, 1.15
AXIS_FULL = 32767.0
MENU = (
    ("space", "play, pause"), (", .", "a tick back, on"), ("shift , .", "a second back, on"), ("home end", "first, last tick"),
    ("[ ]", "slower, faster"), ("R  N", "again, next seed"), ("+ −", "zoom, or wheel"), ("drag", "pan, or alt arrows"),
    ("0", "everything"), ("F", "follow"), ("tab, click", "choose"), ("1 … 8", "overlays"), ("S", "save a picture"),
    ("H", "this help"), ("D", "take over, hand back"), ("arrows", "go, brake, steer"), ("B  V", "brake hard, reverse"),
    ("W", "wave through"), ("Z  X  L", "indicate left, right, both"), ("Q", "leave"),
)  # fmt: skip
"""Key -> what it does, as the help shows it."""
_PEDALS = {pygame.K_UP: "go", pygame.K_DOWN: "brake", pygame.K_LEFT: "left", pygame.K_RIGHT: "right", pygame.K_b: "hard"}
_ARROWS = {pygame.K_LEFT: (-1.0, 0.0), pygame.K_RIGHT: (1.0, 0.0), pygame.K_UP: (0.0, -1.0), pygame.K_DOWN: (0.0, 1.0)}


@dataclass(slots=True)
class _Pointer:
    """The mouse while its button is down: where it went down, where it was last, and whether it searches along the time line."""

    down: tuple[float, float]
    last: tuple[float, float]
    scrubs: bool
    moved: bool = False


class Keys:
    """Takes events for a viewer. keep: saves a picture and says where, None where none can be kept."""

    def __init__(self, viewer: Viewer, keep: Callable[[], str] | None = None) -> None:
        self._viewer, self._keep = viewer, keep
        self._held: set[str] = set()
        self._pointer: _Pointer | None = None
        self._mouse = (0.0, 0.0)
        self._table = self._keys()
        self._buttons = self._gamepad()

    def handle(self, event: pygame.event.Event) -> None:
        """Take one event: a key, the mouse, a gamepad, or the window's."""
        if event.type == pygame.QUIT:
            self._viewer.closed = True
        elif event.type == pygame.KEYDOWN:
            self._press(event.key, event.mod)
        elif event.type == pygame.KEYUP and event.key in _PEDALS:
            self._held.discard(_PEDALS[event.key])
            self._hold()
        elif event.type == pygame.WINDOWRESIZED:
            self._viewer.resize(event.x, event.y)
        elif event.type == pygame.MOUSEWHEEL:
            self._viewer.zoom(WHEEL ** float(event.y), self._mouse)
        elif event.type in (pygame.MOUSEBUTTONDOWN, pygame.MOUSEBUTTONUP, pygame.MOUSEMOTION):
            self._point(event)
        elif event.type == pygame.CONTROLLERAXISMOTION:
            self._tilt(event.axis, event.value / AXIS_FULL)
        elif event.type == pygame.CONTROLLERBUTTONDOWN and event.button in self._buttons:
            self._buttons[event.button]()

    def _press(self, key: int, mod: int) -> None:
        viewer = self._viewer
        if key in _ARROWS and mod & pygame.KMOD_ALT:
            viewer.camera = viewer.camera.moved(PAN_PX * _ARROWS[key][0], PAN_PX * _ARROWS[key][1])
        elif viewer.driven is not None and key in _PEDALS:
            self._held.add(_PEDALS[key])
            self._hold()
        elif pygame.K_1 <= key < pygame.K_1 + len(Overlay):
            viewer.toggle(list(Overlay)[key - pygame.K_1])
        elif key in self._table:
            self._table[key](bool(mod & pygame.KMOD_SHIFT))

    def _keys(self) -> Mapping[int, Callable[[bool], None]]:
        """Key -> what it does, told whether shift is held."""
        viewer = self._viewer
        second = round(1.0 / viewer.feed.header.tick_s)

        def back(shift: bool) -> None:
            viewer.seek(viewer.tick - (second if shift else 1))

        def forth(shift: bool) -> None:
            viewer.seek(viewer.tick + (second if shift else 1))

        def closer(_: bool) -> None:
            viewer.zoom(ZOOM)

        def further(_: bool) -> None:
            viewer.zoom(1.0 / ZOOM)

        return {
            pygame.K_SPACE: lambda _: viewer.play(not viewer.playing), pygame.K_COMMA: back, pygame.K_LEFT: back,
            pygame.K_PERIOD: forth, pygame.K_RIGHT: forth, pygame.K_HOME: lambda _: viewer.seek(0),
            pygame.K_END: lambda _: viewer.seek(viewer.feed.last_tick), pygame.K_LEFTBRACKET: lambda _: viewer.pace(-1),
            pygame.K_RIGHTBRACKET: lambda _: viewer.pace(1), pygame.K_r: lambda _: viewer.again(0),
            pygame.K_n: lambda _: viewer.again(1), pygame.K_PLUS: closer, pygame.K_EQUALS: closer, pygame.K_KP_PLUS: closer,
            pygame.K_MINUS: further, pygame.K_KP_MINUS: further, pygame.K_0: lambda _: viewer.show_all(),
            pygame.K_f: lambda _: viewer.follow(not viewer.camera.follow),
            pygame.K_TAB: lambda shift: viewer.choose_next(-1 if shift else 1), pygame.K_s: lambda _: self._save(),
            pygame.K_h: lambda _: self._toggle_help(), pygame.K_F1: lambda _: self._toggle_help(),
            pygame.K_d: lambda _: self._drive(), pygame.K_v: lambda _: self._act(Hands.shift),
            pygame.K_w: lambda _: self._act(Hands.wave), pygame.K_z: lambda _: self._indicate(Indicator.LEFT),
            pygame.K_x: lambda _: self._indicate(Indicator.RIGHT), pygame.K_l: lambda _: self._indicate(Indicator.HAZARD),
            pygame.K_q: lambda _: self._leave(), pygame.K_ESCAPE: lambda _: self._leave(),
        }  # fmt: skip

    def _gamepad(self) -> Mapping[int, Callable[[], None]]:
        """Button of a gamepad -> what it does."""
        return {
            pygame.CONTROLLER_BUTTON_A: lambda: self._act(Hands.wave), pygame.CONTROLLER_BUTTON_X: self._drive,
            pygame.CONTROLLER_BUTTON_Y: lambda: self._viewer.choose_next(1),
            pygame.CONTROLLER_BUTTON_B: lambda: self._indicate(Indicator.HAZARD),
            pygame.CONTROLLER_BUTTON_LEFTSHOULDER: lambda: self._indicate(Indicator.LEFT),
            pygame.CONTROLLER_BUTTON_RIGHTSHOULDER: lambda: self._indicate(Indicator.RIGHT),
            pygame.CONTROLLER_BUTTON_BACK: lambda: self._act(Hands.shift),
            pygame.CONTROLLER_BUTTON_START: lambda: self._viewer.play(not self._viewer.playing),
        }  # fmt: skip

    def _tilt(self, axis: int, value: float) -> None:
        """A gamepad's stick or trigger."""
        hands = self._viewer.hands
        if hands is None:
            return
        if axis == pygame.CONTROLLER_AXIS_LEFTX:
            hands.wheel = -value
        elif axis == pygame.CONTROLLER_AXIS_TRIGGERRIGHT:
            hands.throttle = max(value, 0.0)
        elif axis == pygame.CONTROLLER_AXIS_TRIGGERLEFT:
            hands.brake = max(value, 0.0)

    def _hold(self) -> None:
        """What the keys that are held ask of the pedals and the wheel."""
        hands, held = self._viewer.hands, self._held
        if hands is not None:
            hands.throttle, hands.brake, hands.hard = float("go" in held), float("brake" in held), "hard" in held
            hands.wheel = float("left" in held) - float("right" in held)

    def _point(self, event: pygame.event.Event) -> None:
        """Drag the world, search along the time line, or choose somebody."""
        viewer = self._viewer
        at = self._mouse = (float(event.pos[0]), float(event.pos[1]))
        on_stage = at[0] < viewer.size[0] - PANEL
        if event.type == pygame.MOUSEBUTTONDOWN and event.button == pygame.BUTTON_LEFT and on_stage:
            self._pointer = _Pointer(down=at, last=at, scrubs=at[1] >= viewer.size[1] - TIMELINE)
        pointer = self._pointer
        if pointer is None:
            return
        if pointer.scrubs:
            self._scrub(at[0])
        elif event.type == pygame.MOUSEMOTION:
            pointer.moved |= abs(at[0] - pointer.down[0]) + abs(at[1] - pointer.down[1]) > DRAG_PX
            if pointer.moved:
                viewer.camera = viewer.camera.moved(pointer.last[0] - at[0], pointer.last[1] - at[1])
                pointer.last = at
        if event.type == pygame.MOUSEBUTTONUP and event.button == pygame.BUTTON_LEFT:
            if not pointer.moved and not pointer.scrubs:
                viewer.choose_at(at)
            self._pointer = None

    def _scrub(self, across: float) -> None:
        """Show the moment at a place of the time line; of a live episode, one that has been."""
        viewer = self._viewer
        left, right, _, _ = timeline_place(*viewer.size)
        header = viewer.feed.header
        span = max(header.duration_s / header.tick_s, float(viewer.feed.last_tick))
        viewer.seek(min(round(min(max((across - left) / (right - left), 0.0), 1.0) * span), viewer.feed.last_tick))

    def _drive(self) -> None:
        self._held.clear()
        self._viewer.drive()

    def _act(self, act: Callable[[Hands], None]) -> None:
        if self._viewer.hands is not None:
            act(self._viewer.hands)

    def _indicate(self, side: Indicator) -> None:
        self._act(lambda hands: hands.indicate(side))

    def _toggle_help(self) -> None:
        self._viewer.help = not self._viewer.help

    def _leave(self) -> None:
        """Out of the help, or out of it all."""
        if self._viewer.help:
            self._viewer.help = False
        else:
            self._viewer.closed = True

    def _save(self) -> None:
        if self._keep is not None:
            self._viewer.say(self._keep())
