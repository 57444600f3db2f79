"""Bends tighter than a car can turn are drawn out within the lane; everything else is left alone."""

from __future__ import annotations

import numpy as np

from sim.roads.assemble import assemble
from sim.roads.builders import BUILDERS
from sim.roads.ease import LEAST_HALF_WIDTH, TIGHTEST
from sim.roads.lane_map import LaneDraft, MapDraft

RADIUS, HALF_WIDTH = 2.6, 1.75


def _kinked() -> MapDraft:
    """Two straights joined by a lane that turns by 60 degrees round RADIUS."""
    angle = np.linspace(0.0, np.pi / 3.0, 12)
    arc = RADIUS * np.stack([np.sin(angle), 1.0 - np.cos(angle)], axis=1)
    ahead = np.array([np.cos(angle[-1]), np.sin(angle[-1])])
    lines = {
        "before": np.array([[-30.0, 0.0], [0.0, 0.0]]),
        "bend": arc,
        "after": np.array([arc[-1], arc[-1] + 30.0 * ahead]),
    }
    names = [*lines, None]
    lanes = [
        LaneDraft(name=name, centreline=line, half_width=HALF_WIDTH, successors=(onward,) if onward else (), road="r")
        for (name, line), onward in zip(lines.items(), names[1:], strict=True)
    ]
    return MapDraft(name="kinked", lanes=lanes)


def test_a_bend_that_no_car_can_follow_is_drawn_out_within_its_lane() -> None:
    made = assemble(_kinked())
    assert np.abs(made.points["curvature"]).max() < TIGHTEST
    assert made.points["half_width"].min() >= LEAST_HALF_WIDTH
    assert len(made.warnings) == 1
    assert made.warnings[0].startswith("road 'r', lane 'bend', s=")
    # the line stays whole: no gaps, no kinks, headings along the points
    xy = np.concatenate([np.stack([made.lane_points(k)["x"], made.lane_points(k)["y"]], 1) for k in range(3)])
    steps = np.hypot(*np.diff(xy, axis=0).T)
    assert steps.max() < 0.52
    heading = np.concatenate([made.lane_points(k)["heading"] for k in range(3)])
    assert np.abs(np.diff(heading)).max() < 0.52 * TIGHTEST
    # the road itself stays where it was: what the line gave up on one side is room on the other
    points = made.lane_points(made.lane("bend"))
    assert np.allclose(points["room_left"] + points["room_right"], 2.0 * HALF_WIDTH, atol=0.35)
    assert np.allclose(made.lane_points(made.lane("before"))["y"][:30] + made.origin[1], 0.0, atol=1e-9)


def test_usual_junctions_are_left_alone() -> None:
    made = assemble(BUILDERS["four_way"]())
    assert made.warnings == ()
    assert np.all(made.points["half_width"] == HALF_WIDTH)
