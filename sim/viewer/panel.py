"""Beside and below the world: who is chosen and why it drives as it does, beliefs as bars, curves, keys, and the time line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from sim.interface import Floats, Gear, Indicator
from sim.recording import RecordedActor
from sim.viewer.actors import describe_actor
from sim.viewer.canvas import ALARM, FAINT, INK, PAPER, Canvas, Colour, nice_step, shorten
from sim.viewer.charts import GRID
from sim.viewer.hands import Hands

PANEL = 300
TIMELINE = 34
CURVE_S = 10.0
"""Seconds of the past that curves show."""
JERK_ALARM = 2.5
"""m/s³ that passengers notice."""
BAR: Colour = (70, 110, 150)
_EDGE = 14.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """Who is looked at. row: of TICK_DTYPE, None where it is not on the road; why: its reason in words; hands: who drives it by
    hand; past: (T, 3) of time [s], speed and jerk over the last CURVE_S."""

    label: str
    colour: Colour
    actor: RecordedActor
    row: np.void | None
    why: str
    hands: Hands | None
    past: Floats


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """What the head and the time line say. last_s: up to where there are ticks; marks: (time [s], colour) of events."""

    title: str
    state: str
    time_s: float
    last_s: float
    duration_s: float
    marks: Sequence[tuple[float, Colour]]


def draw_panel(
    canvas: Canvas, status: Status, chosen: Chosen | None, beliefs: Sequence[tuple[str, Colour, float]],
    overlays: Mapping[str, bool],
) -> None:  # fmt: skip
    """The column on the right. beliefs: (label, colour, probability of going first); overlays: name -> shown."""
    left, width = float(canvas.width - PANEL), PANEL - 2.0 * _EDGE
    canvas.rectangle(left, 0.0, PANEL, canvas.height, PAPER)
    canvas.line(np.array([[left, 0.0], [left, canvas.height]]), FAINT, 1.0)
    left += _EDGE
    canvas.text((left, 20.0), shorten(status.title, width, 15), 15)
    canvas.text((left, 42.0), shorten(status.state, width, 12), 12, FAINT)
    top = 64.0
    if chosen is not None:
        top = _draw_chosen(canvas, chosen, left, top, width)
    if beliefs:
        top = _draw_beliefs(canvas, beliefs, left, top + 8.0, width)
    if chosen is not None and len(chosen.past) > 1:
        top = _draw_curves(canvas, chosen, status.time_s, left, top + 8.0, width)
    rows = -(-len(overlays) // 2)
    first = canvas.height - 20.0 - 18.0 * rows
    for number, (name, shown) in enumerate(overlays.items()):
        at, line = left + (number // rows) * 0.5 * width, first + 18.0 * (number % rows)
        if line > top:
            canvas.rectangle(at, line - 6.0, 12.0, 12.0, INK, 0.0 if shown else 1.2)
            canvas.text((at + 20.0, line), f"{number + 1}  {name}", 12, INK if shown else FAINT)
    canvas.text((left + width, canvas.height - 14.0), "H  help", 12, FAINT, "right")


def draw_timeline(canvas: Canvas, status: Status) -> None:
    """Along the bottom: how far the episode is, what has been simulated, events, and the moment shown."""
    left, right, top, height = timeline_place(canvas.width, canvas.height)
    canvas.rectangle(0.0, canvas.height - TIMELINE, canvas.width - PANEL, TIMELINE, PAPER)
    span = max(status.duration_s, status.last_s, 1e-6)

    def across(time_s: float) -> float:
        return left + (right - left) * min(time_s / span, 1.0)

    canvas.rectangle(left, top, right - left, height, GRID)
    canvas.rectangle(left, top, across(status.last_s) - left, height, (176, 182, 190))
    step = nice_step(span, 10)
    for time_s in np.arange(0.0, span + 1e-9, step):
        canvas.text((across(float(time_s)), top + height + 7.0), f"{time_s:g} s", 10, FAINT, "centre")
    for time_s, colour in status.marks:
        canvas.line(np.array([[across(time_s), top - 3.0], [across(time_s), top + height]]), colour, 2.0)
    now = across(status.time_s)
    canvas.polygon(np.array([[now - 5.0, top - 6.0], [now + 5.0, top - 6.0], [now, top + 2.0]]), INK)
    canvas.line(np.array([[now, top - 4.0], [now, top + height]]), INK, 1.6)


def timeline_place(width: float, height: float) -> tuple[float, float, float, float]:
    """Left, right, top and height of the bar of time."""
    return 16.0, width - PANEL - 16.0, height - TIMELINE + 8.0, 10.0


def draw_help(canvas: Canvas, keys: Sequence[tuple[str, str]], right: float) -> None:
    """All keys, over the world."""
    rows = -(-len(keys) // 2)
    width, height = min(640.0, right - 40.0), 22.0 * rows + 34.0
    left, top = max(20.0, 0.5 * (right - width)), 60.0
    canvas.rectangle(left, top, width, height, PAPER)
    canvas.rectangle(left, top, width, height, INK, 1.0)
    for k, (key, what) in enumerate(keys):
        x, y = left + 16.0 + (k // rows) * 0.5 * width, top + 26.0 + 22.0 * (k % rows)
        canvas.text((x, y), key, 13)
        canvas.text((x + 92.0, y), shorten(what, 0.5 * width - 112.0, 13), 13, FAINT)


def _draw_chosen(canvas: Canvas, chosen: Chosen, left: float, top: float, width: float) -> float:
    canvas.rectangle(left, top - 7.0, 14.0, 14.0, chosen.colour)
    who = describe_actor(chosen.actor)
    words = who if chosen.label in ("", chosen.actor.name) else f"{chosen.label}   {who}"
    canvas.text((left + 22.0, top), shorten(words, width - 22.0, 13), 13)
    if chosen.row is None:
        canvas.text((left, top + 22.0), "not on the road", 12, FAINT)
        return top + 40.0
    row = chosen.row
    speed = float(row["speed"])
    canvas.text((left, top + 22.0), f"{speed:.1f} m/s  ({3.6 * speed:.0f} km/h)   {float(row['accel']):+.1f} m/s²", 13)
    top += 42.0
    for line in _wrapped(chosen.why, width):
        canvas.text((left, top), line, 12, FAINT)
        top += 16.0
    if chosen.hands is not None:
        top = _draw_hands(canvas, chosen.hands, left, top + 4.0, width)
    return top + 8.0


def _draw_hands(canvas: Canvas, hands: Hands, left: float, top: float, width: float) -> float:
    """What is held down: pedals and wheel as bars, gear and indicator in words."""
    canvas.text((left, top), "driven by hand", 12, ALARM)
    lights = {Indicator.LEFT: "left", Indicator.RIGHT: "right", Indicator.HAZARD: "hazard"}.get(hands.indicator, "")
    state = "reverse" if hands.gear is Gear.REVERSE else "drive"
    canvas.text((left + width, top), f"{state}  {lights}".strip(), 12, INK, "right")
    half = 0.5 * width
    for row, (name, value, whole) in enumerate(
        (("wheel", -hands.wheel, False), ("go", hands.throttle, True), ("brake", 1.0 if hands.hard else hands.brake, True))
    ):
        y = top + 16.0 + 13.0 * row
        canvas.text((left, y), name, 11, FAINT)
        start, length = (left + 44.0, width - 44.0) if whole else (left + 44.0 + 0.5 * (width - 44.0), half - 22.0)
        canvas.rectangle(left + 44.0, y - 3.0, width - 44.0, 6.0, GRID)
        canvas.rectangle(min(start, start + value * length), y - 3.0, abs(value) * length, 6.0, INK)
    return top + 16.0 + 39.0


def _draw_beliefs(
    canvas: Canvas, beliefs: Sequence[tuple[str, Colour, float]], left: float, top: float, width: float
) -> float:  # fmt: skip
    canvas.text((left, top), "goes first, as ego believes", 12, FAINT)
    for label, colour, chance in beliefs:
        top += 19.0
        canvas.rectangle(left, top - 6.0, 12.0, 12.0, colour)
        canvas.text((left + 18.0, top), label or "·", 12)
        canvas.rectangle(left + 52.0, top - 6.0, width - 100.0, 12.0, GRID)
        canvas.rectangle(left + 52.0, top - 6.0, (width - 100.0) * chance, 12.0, BAR)
        canvas.text((left + width, top), f"{100.0 * chance:.0f} %", 12, INK, "right")
    return top + 16.0


def _draw_curves(canvas: Canvas, chosen: Chosen, now_s: float, left: float, top: float, width: float) -> float:
    """Speed and jerk over the last CURVE_S, the jerk's alarm as dashes."""
    height = 70.0
    for column, name in ((1, "speed [m/s]"), (2, "jerk [m/s³]")):
        values = chosen.past[:, column]
        low, high = (0.0, max(5.0, float(values.max()))) if column == 1 else (-4.0, 4.0)
        canvas.text((left, top), name, 11, FAINT)
        canvas.text((left + width, top), f"{values[-1]:.1f}", 11, INK, "right")
        floor = top + height

        def up(value: float, floor: float = floor, low: float = low, high: float = high) -> float:
            return floor - (min(max(value, low), high) - low) / (high - low) * (height - 14.0)

        canvas.line(np.array([[left, up(0.0)], [left + width, up(0.0)]]), GRID, 1.0)
        for alarm in (JERK_ALARM, -JERK_ALARM) if column == 2 else ():
            canvas.dashes(np.array([[left, up(alarm)], [left + width, up(alarm)]]), ALARM, 1.0, 4.0, 4.0)
        across = left + width * (1.0 + (chosen.past[:, 0] - now_s) / CURVE_S)
        canvas.line(np.column_stack((across, [up(float(value)) for value in values])), chosen.colour, 1.8)
        top = floor + 12.0
    return top


def _wrapped(words: str, width: float) -> list[str]:
    """Up to three lines of a sentence."""
    lines = [""]
    for word in words.split():
        longer = f"{lines[-1]} {word}".strip()
        if shorten(longer, width, 12) == longer:
            lines[-1] = longer
        else:
            lines.append(word)
    return [line for line in lines if line][:3]
