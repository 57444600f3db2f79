"""Inline SVG: reliability, distributions, traces. Readable in black and white: shapes and words, never colour alone."""

from __future__ import annotations

import html
from collections.abc import Sequence

import numpy as np

from sim.interface import Floats

WIDTH, HEIGHT = 300.0, 200.0
LEFT, BOTTOM, TOP, RIGHT = 42.0, 34.0, 22.0, 10.0
BLUE, RED, GREY, INK = "#0064aa", "#c43c00", "#969aa0", "#22262b"


def reliability(title: str, bins: Floats) -> str:
    """Forecast against what happened, by pooled bins (3, B): counts, sums of forecasts, sums of outcomes. Areas are counts."""
    count, forecast, happened = bins
    there = count > 0
    if not there.any():
        return ""
    p, share, weight = (forecast[there] / count[there], happened[there] / count[there], count[there])
    x, y = _axes((0.0, 1.0), (0.0, 1.0))
    parts = [f'<line x1="{x(0):.1f}" y1="{y(0):.1f}" x2="{x(1):.1f}" y2="{y(1):.1f}" stroke="{GREY}" stroke-dasharray="4 3"/>']
    parts.append(_polyline([(x(a), y(b)) for a, b in zip(p, share, strict=True)], BLUE))
    radius = 2.0 + 6.0 * np.sqrt(weight / weight.max())
    for a, b, r, n in zip(p, share, radius, weight, strict=True):
        parts.append(
            f'<circle cx="{x(a):.1f}" cy="{y(b):.1f}" r="{r:.1f}" fill="{BLUE}" fill-opacity="0.6">'
            f"<title>forecast {a:.2f}, happened {b:.2f}, {n:.0f} times</title></circle>"
        )
    return _figure(title, parts, (0.0, 1.0), (0.0, 1.0), "forecast", "happened")


def histogram(title: str, unit: str, values: Floats, bins: int = 20) -> str:
    """How a figure is spread over episodes, with its median."""
    if len(values) < 2:
        return ""
    low, high = float(values.min()), float(values.max())
    high = high if high > low else low + 1.0
    counts, edges = np.histogram(values, bins, (low, high))
    top = float(counts.max())
    x, y = _axes((low, high), (0.0, top))
    parts = [
        f'<rect x="{x(a):.1f}" y="{y(n):.1f}" width="{max(x(b) - x(a) - 1.0, 0.5):.1f}" height="{y(0) - y(n):.1f}" fill="{BLUE}">'
        f"<title>{a:.3g} to {b:.3g}: {n} episodes</title></rect>"
        for a, b, n in zip(edges[:-1], edges[1:], counts, strict=True)
        if n
    ]
    median = float(np.median(values))
    parts.append(
        f'<line x1="{x(median):.1f}" y1="{y(top):.1f}" x2="{x(median):.1f}" y2="{y(0):.1f}" stroke="{RED}" stroke-width="2"/>'
    )
    parts.append(
        f'<text x="{min(x(median) + 4.0, WIDTH - 90.0):.1f}" y="{y(top) + 24:.1f}" fill="{RED}">median {median:.3g}</text>'
    )
    return _figure(title, parts, (low, high), (0.0, top), unit, "episodes")


def trace(title: str, unit: str, time_s: Floats, values: Floats, alarms: Sequence[float] = ()) -> str:
    """A quantity over time, with the values that alarm as dashed lines."""
    if len(values) < 2:
        return ""
    low, high = min(float(values.min()), 0.0, *alarms), max(float(values.max()), *alarms, 0.1)
    x, y = _axes((float(time_s[0]), float(time_s[-1])), (low, high))
    parts = [
        f'<line x1="{LEFT}" y1="{y(alarm):.1f}" x2="{WIDTH - RIGHT}" y2="{y(alarm):.1f}" stroke="{RED}" stroke-dasharray="5 3"/>'
        for alarm in alarms
    ]
    parts.append(_polyline([(x(a), y(b)) for a, b in zip(time_s, values, strict=True)], BLUE))
    return _figure(title, parts, (float(time_s[0]), float(time_s[-1])), (low, high), "s", unit)


class _Axis:
    """From values to pixels."""

    def __init__(self, span: tuple[float, float], pixels: tuple[float, float]) -> None:
        self._low, self._scale = span[0], (pixels[1] - pixels[0]) / ((span[1] - span[0]) or 1.0)
        self._first = pixels[0]

    def __call__(self, value: float) -> float:
        return self._first + self._scale * (float(value) - self._low)


def _axes(across: tuple[float, float], up: tuple[float, float]) -> tuple[_Axis, _Axis]:
    return _Axis(across, (LEFT, WIDTH - RIGHT)), _Axis(up, (HEIGHT - BOTTOM, TOP))


def _figure(
    title: str, parts: Sequence[str], across: tuple[float, float], up: tuple[float, float], x_name: str, y_name: str
) -> str:
    x, y = _axes(across, up)
    frame = [
        f'<text x="{LEFT}" y="13" font-weight="600" fill="{INK}">{html.escape(title)}</text>',
        f'<path d="M{LEFT} {TOP}V{HEIGHT - BOTTOM}H{WIDTH - RIGHT}" fill="none" stroke="{GREY}"/>',
        *(_tick(x(value), HEIGHT - BOTTOM + 13, value, "middle") for value in _ticks(across)),
        *(_tick(LEFT - 4, y(value) + 4, value, "end") for value in _ticks(up)),
        f'<text x="{WIDTH - RIGHT}" y="{HEIGHT - 5}" text-anchor="end" fill="{INK}">{html.escape(x_name)}</text>',
        f'<text x="{LEFT + 5}" y="{TOP + 9}" fill="{GREY}">{html.escape(y_name)}</text>',
    ]
    inner = "".join((*frame, *parts))
    return f'<svg viewBox="0 0 {WIDTH:g} {HEIGHT:g}" role="img" aria-label="{html.escape(title)}">{inner}</svg>'


def _tick(x: float, y: float, value: float, anchor: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{INK}">{value:g}</text>'


def _ticks(span: tuple[float, float]) -> list[float]:
    """Round values within a span, four or so."""
    step = 10.0 ** np.floor(np.log10((span[1] - span[0]) or 1.0))
    step *= next(k for k in (0.2, 0.25, 0.5, 1.0, 2.0, 5.0) if (span[1] - span[0]) / (k * step) <= 5.0)
    first = np.ceil(span[0] / step - 1e-9)
    return [round(float(k * step), 10) + 0.0 for k in np.arange(first, np.floor(span[1] / step + 1e-9) + 1)]


def _polyline(points: Sequence[tuple[float, float]], colour: str) -> str:
    where = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    return f'<polyline points="{where}" fill="none" stroke="{colour}" stroke-width="1.5"/>'
