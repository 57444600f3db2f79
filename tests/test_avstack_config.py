"""The stack's configuration refuses values that no drive could follow, and names them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from avstack.config import ControlConfig, Limits, MotionConfig, PathConfig, SpeedConfig


def test_defaults_are_consistent():
    config = MotionConfig()
    assert config.levels == (config.comfort, config.firm, config.emergency)


@pytest.mark.parametrize(
    ("make", "match"),
    [
        (lambda: Limits(accel=0.0, brake=2.0, jerk=1.0), r"Limits\.accel .* got 0\.0"),
        (lambda: Limits(accel=1.0, brake=float("nan"), jerk=1.0), r"Limits\.brake .* nan"),
        (lambda: SpeedConfig(jerk_share=1.2), "shares must not exceed 1"),
        (lambda: PathConfig(lateral_accel=-1.0), r"PathConfig\.lateral_accel"),
        (lambda: ControlConfig(latency_ticks=4), "latency_ticks must be 0 to 3, got 4"),
        (lambda: replace(MotionConfig(), firm=Limits(accel=2.0, brake=1.0, jerk=4.0)), "brake must not fall"),
    ],
)
def test_bad_values_are_named(make, match):
    with pytest.raises(ValueError, match=match):
        make()
