"""Bends as one steers them: gentle ones set in over a long way, sharp ones over a short one, and the line is kept."""

from __future__ import annotations

import numpy as np
import pytest

from avstack.behaviours.zones import ROW
from avstack.config import PathConfig
from avstack.motion.path import speed_caps
from avstack.stack import BEND_WINDOWS, EVENED_M, evened
from sim.geometry import smooth
from sim.interface import SPECS, Kind

ROWS = 401


def bend(curvature: float, length: float) -> np.ndarray:
    """(ROWS,) straight on, `length` metres of one curvature that begins and ends at once, straight on."""
    s = ROW * (np.arange(ROWS) - ROWS // 2)
    return np.where(np.abs(s) < 0.5 * length, curvature, 0.0)


def line(curvature: np.ndarray) -> np.ndarray:
    """(ROWS, 2) where it leads from its middle, both ways."""
    heading = np.cumsum(curvature) * ROW
    heading -= heading[ROWS // 2]
    xy = ROW * np.cumsum(np.stack([np.cos(heading), np.sin(heading)], axis=1), axis=0)
    return np.asarray(xy - xy[ROWS // 2])


def test_a_gentle_bend_that_begins_at_once_is_no_reason_to_brake():
    gentle = bend(0.0056, 40.0)
    caps = speed_caps(evened(gentle), SPECS[Kind.CAR], PathConfig())
    # as fast as its lateral acceleration allows, less a little for what lateral jerk does
    assert caps.min() > 0.85 * np.sqrt(PathConfig().lateral_accel / 0.0056)
    assert speed_caps(smooth(gentle, BEND_WINDOWS[0], odd=False), SPECS[Kind.CAR], PathConfig()).min() < 13.0


@pytest.mark.parametrize("curvature", [0.002, 0.0056, 0.02, 0.05])
def test_the_line_is_kept(curvature):
    raw = bend(curvature, 30.0)
    away = np.linalg.norm(line(evened(raw)) - line(raw), axis=1)
    near = slice(ROWS // 2 - 60, ROWS // 2 + 60)
    assert away[near].max() < 3.0 * EVENED_M
    assert evened(raw).sum() == pytest.approx(raw.sum(), rel=0.02)


def test_a_sharp_bend_stays_as_it_was():
    sharp = bend(0.15, 10.0)
    assert evened(sharp) == pytest.approx(smooth(sharp, BEND_WINDOWS[0], odd=False), abs=1e-12)


def test_a_short_path_is_left_alone():
    short = np.linspace(0.0, 0.1, 2 * BEND_WINDOWS[0])
    assert evened(short) == pytest.approx(short)
