"""Learning curves as SVG: how often a policy arrives and how often it crashes, over what training has cost."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path

from eval.outputs import write_text
from scenarios.errors import InputError

WIDTH, HEIGHT, LEFT, BOTTOM, TOP, GAP = 250, 210, 46, 40, 34, 34
PANELS = (
    ("arrives, among strangers", "strangers_success", 0.5, 1.0), ("collides, among strangers", "strangers_collision", 0.0, 0.25),
    ("arrives, among copies", "copies_success", 0.5, 1.0), ("collides, among copies", "copies_collision", 0.0, 0.25),
)  # fmt: skip
COLOURS = ("#0064aa", "#c43c00", "#3f7d20", "#7b4fa3", "#8a6d00")
DASHES = ("", "6 3", "2 2", "8 2 2 2", "1 3")
"""Seeds differ by more than their colour."""


def draw_curve(path: Path, trainings: Sequence[Sequence[Mapping[str, float]]], names: Sequence[str] = ()) -> None:
    """Write the curves of one or several trainings, each the rows of its log."""
    width, height = len(PANELS) * (WIDTH + GAP) + GAP, HEIGHT + 20
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" font-family="sans-serif" font-size="11">',
        f'<rect width="{width}" height="{height}" fill="#fff"/>',
    ]
    last = max((row["cpu_s"] / 60.0 for rows in trainings for row in rows), default=0.0) or 1.0
    for n, (title, column, low, high) in enumerate(PANELS):
        parts.extend(_panel(GAP + n * (WIDTH + GAP), title, column, (low, high), last, trainings))
    for k, name in enumerate(names):
        x = GAP + LEFT + 110 * k
        parts.append(_line([(x, HEIGHT + 10), (x + 24, HEIGHT + 10)], k))
        parts.append(f'<text x="{x + 30}" y="{HEIGHT + 14}">{name}</text>')
    write_text(path, "\n".join([*parts, "</svg>"]))


def read_log(path: Path) -> list[dict[str, float]]:
    """Rows of a training's log. InputError where there is none."""
    try:
        with path.open(newline="") as file:
            return [{name: float(value) for name, value in row.items()} for row in csv.DictReader(file)]
    except (OSError, ValueError, TypeError) as error:
        raise InputError(
            f"cannot read the log {str(path)!r}: {error}", fix="Give folders that avstack train policy wrote"
        ) from None


def _panel(
    left: int, title: str, column: str, span: tuple[float, float], last: float, trainings: Sequence[Sequence[Mapping[str, float]]]
) -> list[str]:
    """One quantity over CPU minutes; what is beyond the axis lies on its end."""
    low, high = span
    x0, x1, y0, y1 = left + LEFT, left + WIDTH, HEIGHT - BOTTOM, TOP
    parts = [f'<text x="{x0}" y="{TOP - 14}" font-size="13">{title}</text>']
    for k in range(6):
        share = k / 5
        y = y0 + share * (y1 - y0)
        parts.append(f'<line x1="{x0}" y1="{y:.1f}" x2="{x1}" y2="{y:.1f}" stroke="#ddd"/>')
        parts.append(f'<text x="{x0 - 6}" y="{y + 4:.1f}" text-anchor="end">{100 * (low + share * (high - low)):.0f} %</text>')
        x = x0 + share * (x1 - x0)
        parts.append(f'<text x="{x:.1f}" y="{y0 + 14}" text-anchor="middle">{share * last:.2g}</text>')
    parts.append(f'<text x="{0.5 * (x0 + x1):.0f}" y="{y0 + 29}" text-anchor="middle">CPU minutes</text>')
    for k, rows in enumerate(trainings):
        points = []
        for row in rows:
            value = min(max((row[column] - low) / (high - low), 0.0), 1.0)
            points.append((x0 + (row["cpu_s"] / 60.0) / last * (x1 - x0), y0 + value * (y1 - y0)))
        if points:
            parts.append(_line(points, k))
    return parts


def _line(points: Sequence[tuple[float, float]], which: int) -> str:
    where = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    colour, dashes = COLOURS[which % len(COLOURS)], DASHES[which % len(DASHES)]
    return f'<polyline points="{where}" fill="none" stroke="{colour}" stroke-width="1.6" stroke-dasharray="{dashes}"/>'
