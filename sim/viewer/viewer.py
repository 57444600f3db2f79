"""The viewer's state: which moment of which episode is shown, of whom, from where, and who is driven by hand.

It knows no window and no keys: `sim.viewer.keys` tells it what to do, `sim.viewer.picture` draws it, `sim.viewer.window` puts
these together on a screen. Tests, pictures and videos do without that one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from sim.interface import Kind
from sim.recording import TICK_DTYPE
from sim.viewer.camera import Camera, showing, world_of
from sim.viewer.canvas import Colour, View
from sim.viewer.feed import Feed, Seating
from sim.viewer.hands import Hands
from sim.viewer.overlays import Overlay
from sim.viewer.panel import PANEL, TIMELINE

SIZE = (1280, 800)
LEAST_SIZE = (760, 480)
RATES = (0.1, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0)
SHOWN_FIRST = (Overlay.BELIEFS, Overlay.PLAN, Overlay.CURVES)
MESSAGE_S = 4.0
CLICK_PX, CLICK_M = 24.0, 3.0
CATCH_UP_S = 0.25
"""A picture that comes later than this after the one before does not make time jump."""

Bounds = tuple[float, float, float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Badge:
    """How a road user is told apart."""

    label: str
    colour: Colour


@dataclass(frozen=True, slots=True, kw_only=True)
class Show:
    """What is shown. bounds: x0, y0, x1, y1 [m] of the action; badges: by actor, grey without.

    reasons: words for the numbers that drivers trace as `reason` beside a `manoeuvre`; other reasons are the header's. restart: a
    new feed of the episode with a seed, None where there is none.
    """

    feed: Feed
    bounds: Bounds
    badges: Mapping[int, Badge]
    reasons: Mapping[int, str]
    restart: Callable[[int], Show] | None = None


class Viewer:
    """One episode on a picture of `size` pixels. at: the moment shown, in ticks; rate: seconds shown a second."""

    def __init__(self, show: Show, size: tuple[int, int] = SIZE) -> None:
        self.show = show
        self.size = size
        self.resize(*size)
        self.at, self.rate, self.playing = float(show.feed.first_tick), 1.0, True
        self.overlays = {one: one in SHOWN_FIRST for one in Overlay}
        self.help = self.closed = False
        self.chosen: int | None = show.feed.header.ego
        self.hands: Hands | None = None
        self.camera: Camera = showing(show.bounds, *self.stage()[2:])
        self.message, self._message_s = "", 0.0

    @property
    def feed(self) -> Feed:
        """Where the ticks come from."""
        return self.show.feed

    # time

    @property
    def tick(self) -> int:
        """The tick that is shown, or lies just before what is shown."""
        return int(self.at + 1e-9)

    @property
    def at_end(self) -> bool:
        """Whether what is shown is the last there will be."""
        return self.feed.ended and self.at >= self.feed.last_tick

    def step(self, seconds: float) -> None:
        """Let time pass."""
        self._message_s -= seconds
        if self._message_s <= 0.0:
            self.message = ""
        if not self.playing:
            return
        self._go(self.at + min(seconds, CATCH_UP_S) * self.rate / self.feed.header.tick_s)
        if self.at_end:
            self.playing = False
            self.say(": ".join(part for part in ("the end", self.feed.verdict) if part))

    def seek(self, tick: float) -> None:
        """Show another moment, and stay there."""
        self.playing = False
        self._go(tick)

    def play(self, wanted: bool) -> None:
        """Let time run, or stop it; from the end it begins again."""
        if wanted and self.at_end:
            self.at = float(self.feed.first_tick)
        self.playing = wanted

    def pace(self, by: int) -> None:
        """Faster (1) or slower (-1)."""
        nearest = min(range(len(RATES)), key=lambda k: abs(RATES[k] - self.rate))
        self.rate = RATES[min(max(nearest + by, 0), len(RATES) - 1)]
        self.say(f"{self.rate:g} ×")

    def again(self, by: int) -> None:
        """Run the episode once more, with the seed `by` further."""
        if self.show.restart is None:
            self.say("a recording cannot be run again: view its scenario")
            return
        seed = self.feed.header.seed + by
        self.show = self.show.restart(seed)
        self.at, self.playing, self.hands = float(self.feed.first_tick), True, None
        if self.chosen is not None and self.chosen >= len(self.feed.header.actors):
            self.chosen = self.feed.header.ego
        self.say(f"seed {seed}")

    def _go(self, tick: float) -> None:
        """Show a moment, which a live episode is brought on for."""
        tick = max(tick, float(self.feed.first_tick))
        while self.feed.last_tick < tick and not self.feed.ended:
            self.feed.advance()
        self.at = min(tick, float(self.feed.last_tick))
        driven = self.driven
        if driven is not None and driven not in self.feed.rows(self.feed.last_tick)["actor"]:
            self._hand_back(f"{self.name(driven)} has left the road")

    # place

    def stage(self) -> tuple[float, float, float, float]:
        """Left, top, width and height of the world in the picture."""
        return 0.0, 0.0, float(self.size[0] - PANEL), float(self.size[1] - TIMELINE)

    def view(self) -> View:
        """The world on the stage."""
        return self.camera.view(*self.stage())

    def resize(self, width: int, height: int) -> None:
        """Another size of the picture."""
        self.size = max(width, LEAST_SIZE[0]), max(height, LEAST_SIZE[1])

    def zoom(self, factor: float, pixel: tuple[float, float] | None = None) -> None:
        """Closer or further; what is under `pixel` stays there."""
        self.camera = self.camera.zoomed(factor, self.view(), pixel)

    def show_all(self) -> None:
        """The whole of the action."""
        self.camera = showing(self.show.bounds, *self.stage()[2:])

    def follow(self, wanted: bool) -> None:
        """Keep who is chosen in the middle."""
        self.camera = replace(self.camera, follow=wanted and self.chosen is not None)

    # whom

    def rows(self) -> NDArray[np.void]:
        """Rows (A',) of TICK_DTYPE of now, between two ticks where it is between them."""
        rows, share = self.feed.rows(self.tick), self.at - self.tick
        return rows if share < 1e-6 else between(rows, self.feed.rows(self.tick + 1), share)

    def name(self, actor: int) -> str:
        """What an actor is called."""
        badge, name = self.show.badges.get(actor), self.feed.header.actors[actor].name
        return name if badge is None or badge.label in ("", name) else f"{badge.label}, {name}"

    def choose_next(self, by: int) -> None:
        """Look at the next road user that is there, in the order of the actor table."""
        there = [actor for actor in self.rows()["actor"].tolist() if self._acts(actor)]
        if there:
            self.chosen = there[(there.index(self.chosen) + by) % len(there)] if self.chosen in there else there[0]

    def choose_at(self, pixel: tuple[float, float]) -> None:
        """Look at whoever is under a pixel; nobody there changes nothing."""
        view = self.view()
        x, y = world_of(view, pixel)
        gaps = {
            int(row["actor"]): float(np.hypot(row["x"] - x, row["y"] - y)) for row in self.rows() if self._acts(int(row["actor"]))
        }
        nearest = min(gaps, key=lambda actor: gaps[actor], default=None)
        if nearest is not None and gaps[nearest] <= max(CLICK_PX / view.scale, CLICK_M):
            self.chosen = nearest

    def _acts(self, actor: int) -> bool:
        return self.feed.header.actors[actor].kind != Kind.OBJECT.name

    # by hand

    @property
    def driven(self) -> int | None:
        """Who is driven by hand."""
        return self.feed.driven if isinstance(self.feed, Seating) else None

    def drive(self) -> None:
        """Take over who is chosen; asked again, hand it back."""
        feed, chosen = self.feed, self.chosen
        if not isinstance(feed, Seating):
            self.say("nobody can drive in a recording: view its scenario")
            return
        if self.driven is not None and chosen in (None, self.driven):
            self._hand_back(f"{self.name(self.driven)} drives itself again")
            return
        rows = self.feed.rows(self.feed.last_tick)
        mine = rows[rows["actor"] == chosen]
        if chosen is None or len(mine) == 0 or self.feed.ended:
            self.say("choose somebody who is on the road" if not self.feed.ended else "the episode is over: R runs it again")
            return
        hands = Hands(float(mine["steer"][0]))
        try:
            feed.take(chosen, hands)
        except ValueError as error:
            self.say(str(error))
            return
        self.hands = hands
        self.at = float(self.feed.last_tick)  # one drives now, not in the past
        self.say(f"you drive {self.name(chosen)}")

    def _hand_back(self, words: str) -> None:
        if isinstance(self.feed, Seating):
            self.feed.hand_back()
        self.hands = None
        self.say(words)

    # words

    def say(self, words: str) -> None:
        """Show a line for a while."""
        self.message, self._message_s = words, MESSAGE_S

    def toggle(self, overlay: Overlay) -> None:
        """Show or hide an overlay."""
        self.overlays[overlay] = not self.overlays[overlay]
        self.say(f"{overlay}: {'shown' if self.overlays[overlay] else 'hidden'}")


def between(before: NDArray[np.void], after: NDArray[np.void], share: float) -> NDArray[np.void]:
    """Rows of a moment between two ticks: who is there in the first, moved on by `share` of the way where it is in both."""
    mixed = np.array(before, dtype=TICK_DTYPE)
    later = {int(row["actor"]): row for row in after}
    for row in mixed:
        then = later.get(int(row["actor"]))
        if then is None:
            continue
        for name in ("x", "y", "speed", "accel"):
            row[name] = (1.0 - share) * row[name] + share * then[name]
        turn = (float(then["heading"]) - float(row["heading"]) + np.pi) % (2.0 * np.pi) - np.pi
        row["heading"] = float(row["heading"]) + share * turn
    return mixed
