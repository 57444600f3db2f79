"""Curves over time under a picture: one line per main actor, moments and contacts marked, and ego's reasons as a strip."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from sim.recording import Recording
from sim.viewer.canvas import ALARM, FAINT, INK, PAPER, Canvas, Colour, nice_step, shorten, text_width
from sim.viewer.cast import Member, contacts

GRID: Colour = (226, 228, 230)
_LEFT, _RIGHT, _TOP, _BOTTOM = 44.0, 12.0, 34.0, 22.0
_REASON_COLOURS: tuple[Colour, ...] = (
    (205, 232, 214), (226, 226, 240), (200, 220, 240), (246, 214, 190), (244, 200, 200), (250, 226, 170),
    (232, 206, 232), (222, 208, 186), (214, 232, 240), (240, 190, 170), (250, 240, 160), (230, 120, 120),
    (196, 214, 196), (210, 190, 170), (190, 190, 220), (170, 225, 225),
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """A rectangle in pixels that shows `first_s`..`last_s` across and `low`..`high` upward."""

    left: float
    top: float
    width: float
    height: float
    first_s: float
    last_s: float
    low: float
    high: float

    def across(self, time_s: float) -> float:
        """Pixel of a time."""
        share = (time_s - self.first_s) / max(self.last_s - self.first_s, 1e-9)
        return self.left + _LEFT + share * (self.width - _LEFT - _RIGHT)

    def up(self, value: float) -> float:
        """Pixel of a value."""
        share = (value - self.low) / max(self.high - self.low, 1e-9)
        return self.top + self.height - _BOTTOM - share * (self.height - _TOP - _BOTTOM)


def draw_curves(
    canvas: Canvas,
    recording: Recording,
    cast: Sequence[Member],
    moments: Sequence[int],
    place: tuple[float, float, float, float],
    column: str,
) -> None:
    """The curves of "speed" or "accel" of the main actors in the rectangle `place` (left, top, width, height)."""
    chart = _chart(recording, cast, place, column)
    title = {"speed": "speed [m/s]", "accel": "acceleration [m/s²]"}[column]
    canvas.text((chart.left + 4.0, chart.top + 9.0), title, 13, INK)
    _draw_axes(canvas, chart)
    tick_s = recording.header.tick_s
    for number, tick in enumerate(moments, start=1):
        across = chart.across(tick * tick_s)
        canvas.dashes(np.array([[across, chart.up(chart.high)], [across, chart.up(chart.low)]]), FAINT, 1.0, 3.0, 3.0)
        canvas.text((across, chart.top + 27.0), str(number), 11, FAINT, "centre")
    for event in contacts(recording):
        across = chart.across(float(event["time_s"]))
        canvas.line(np.array([[across, chart.up(chart.high)], [across, chart.up(chart.low)]]), ALARM, 1.6)
    canvas.clip(chart.left + _LEFT, chart.top, chart.width - _LEFT - _RIGHT + 2.0, chart.height)
    for member in reversed(cast):
        if not member.main:
            continue
        values = np.clip(member.track[column].astype(np.float64), chart.low, chart.high)
        points = [
            (chart.across(tick * tick_s), chart.up(value)) for tick, value in zip(member.track["tick"], values, strict=True)
        ]
        canvas.line(np.array(points), member.colour, 2.6 if member.actor == recording.header.ego else 1.5)
    canvas.unclip()


def draw_reasons(canvas: Canvas, recording: Recording, ego: Member, place: tuple[float, float, float, float]) -> None:
    """A strip of why ego held its speed, on the time axis of the charts of the same left and width."""
    left, top, width, height = place
    first_s, last_s = _times(recording)
    chart = Chart(left=left, top=top, width=width, height=height, first_s=first_s, last_s=last_s, low=0.0, high=1.0)
    canvas.text((left + _LEFT - 6.0, top + 0.5 * height), "ego", 11, FAINT, "right")
    reasons = ego.track["reason"].astype(int)
    changes = [0, *(np.flatnonzero(np.diff(reasons)) + 1), len(reasons)]
    for a, b in pairwise(changes):
        x0, x1 = (chart.across(float(ego.track["tick"][min(k, len(reasons) - 1)]) * recording.header.tick_s) for k in (a, b))
        canvas.rectangle(x0, top, max(x1 - x0, 1.0), height, _REASON_COLOURS[reasons[a] % len(_REASON_COLOURS)])
        name = (
            recording.header.reason_names[reasons[a]] if 0 <= reasons[a] < len(recording.header.reason_names) else str(reasons[a])
        )
        words = name.lower().replace("_", " ")
        if text_width(words, 11) < x1 - x0 - 4.0:
            canvas.text((0.5 * (x0 + x1), top + 0.5 * height), words, 11, INK, "centre")


def _times(recording: Recording) -> tuple[float, float]:
    return 0.0, max(recording.last_tick * recording.header.tick_s, 1.0)


def _chart(recording: Recording, cast: Sequence[Member], place: tuple[float, float, float, float], column: str) -> Chart:
    values = [member.track[column] for member in cast if member.main] or [np.zeros(1)]
    highest, lowest = max(float(np.max(line)) for line in values), min(float(np.min(line)) for line in values)
    if column == "speed":
        low, high = min(0.0, np.floor(lowest)), max(4.0, np.ceil(1.05 * highest))
    else:
        # An impact's deceleration would flatten everything else.
        low, high = max(-9.0, min(-3.0, np.floor(lowest))), min(6.0, max(2.0, np.ceil(highest)))
    left, top, width, height = place
    first_s, last_s = _times(recording)
    return Chart(left=left, top=top, width=width, height=height, first_s=first_s, last_s=last_s, low=float(low), high=float(high))


def _draw_axes(canvas: Canvas, chart: Chart) -> None:
    x0, x1 = chart.across(chart.first_s), chart.across(chart.last_s)
    step = nice_step(chart.high - chart.low, 5)
    for value in np.arange(np.ceil(chart.low / step) * step, chart.high + 1e-9, step):
        up = chart.up(float(value))
        canvas.line(np.array([[x0, up], [x1, up]]), FAINT if abs(value) < 1e-9 else GRID, 1.0)
        canvas.text((x0 - 6.0, up), shorten(f"{value:g}", _LEFT, 11), 11, FAINT, "right")
    step = nice_step(chart.last_s - chart.first_s, 10)
    for time_s in np.arange(0.0, chart.last_s + 1e-9, step):
        across, bottom = chart.across(float(time_s)), chart.up(chart.low)
        canvas.line(np.array([[across, bottom], [across, bottom + 4.0]]), FAINT, 1.0)
        words = f"{time_s:g} s"
        canvas.text((across, bottom + 12.0), words, 11, FAINT, "centre", PAPER)
