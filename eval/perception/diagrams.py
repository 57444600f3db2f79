"""Reliability diagrams as SVG: how often detections of each confidence are right, by class and by range."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from avstack.perception.classes import Class
from eval.outputs import write_text
from eval.perception.assess import Judged
from eval.perception.measures import FALSE, HIT, calibration_error

BINS = 10
SIDE, GAP, TOP = 150, 34, 44
RANGES = ((0.0, 15.0), (15.0, 30.0), (30.0, 50.0))


def draw_reliability(judged: Judged, path: Path, title: str) -> None:
    """Write the diagrams of one condition: one a class, one a range, one of everything."""
    panels = list(_panels(judged))
    across = 4
    down = -(-len(panels) // across)
    width, height = across * (SIDE + GAP) + GAP, down * (SIDE + GAP + 14) + TOP
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" font-family="sans-serif" font-size="11">',
        f'<rect width="{width}" height="{height}" fill="#fff"/>',
        f'<text x="{GAP}" y="22" font-size="15">Reliability, {title}: share that is right over confidence</text>',
    ]
    for k, (name, confidence, outcome) in enumerate(panels):
        x, y = GAP + (k % across) * (SIDE + GAP), TOP + (k // across) * (SIDE + GAP + 14)
        parts.extend(_panel(x, y, name, confidence, outcome))
    write_text(path, "\n".join([*parts, "</svg>"]))


def _panels(judged: Judged) -> Iterator[tuple[str, NDArray[np.float64], NDArray[np.float64]]]:
    """(name, confidence, outcome) of each diagram."""
    marks, found = judged.matches.marks, judged.frames.candidates
    counts = (marks == HIT) | (marks == FALSE)
    away = np.hypot(found["mean"][:, 0], found["mean"][:, 1])
    groups = [("all", counts)]
    groups += [(one.name.lower().replace("_", " "), counts & (found["best"] == one)) for one in Class]
    groups += [(f"{low:g}–{high:g} m", counts & (away >= low) & (away < high)) for low, high in RANGES]
    for name, of in groups:
        yield name, judged.scores[of], (marks[of] == HIT).astype(np.float64)


def _panel(x: float, y: float, name: str, confidence: NDArray[np.float64], outcome: NDArray[np.float64]) -> Iterator[str]:
    error = calibration_error(confidence, outcome)
    yield f'<text x="{x}" y="{y - 5}">{name}: n {len(confidence)}, error {100.0 * error:.1f} %</text>'
    yield f'<rect x="{x}" y="{y}" width="{SIDE}" height="{SIDE}" fill="none" stroke="#999"/>'
    yield f'<line x1="{x}" y1="{y + SIDE}" x2="{x + SIDE}" y2="{y}" stroke="#bbb" stroke-dasharray="3 3"/>'
    which = np.minimum((confidence * BINS).astype(int), BINS - 1)
    for k in range(BINS):
        own = which == k
        count = int(own.sum())
        if count == 0:
            continue
        share, wide = float(outcome[own].mean()), SIDE / BINS
        high = share * SIDE
        yield (
            f'<rect x="{x + k * wide + 1:.1f}" y="{y + SIDE - high:.1f}" width="{wide - 2:.1f}" height="{high:.1f}" '
            f'fill="#4878a8" fill-opacity="{0.25 + 0.75 * min(count / 100.0, 1.0):.2f}"/>'
        )
