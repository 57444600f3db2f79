"""What the boundary types accept and refuse."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np
import pytest

from sim.interface import OBJECT_DTYPE, SPECS, Control, DriverStep, Gear, Gesture, Indicator, Kind, VehicleSpec


def spec_with(name: str, value: float) -> VehicleSpec:
    field: dict[str, Any] = {name: value}
    return VehicleSpec(**field)


@pytest.mark.parametrize(
    "name",
    ["length", "width", "height", "wheelbase", "steer_max", "steer_rate_max", "accel_max", "brake_max", "jerk_max", "speed_max"],
)
@pytest.mark.parametrize("value", [0.0, -1.0, math.nan, math.inf])
def test_sizes_and_limits_must_be_positive_and_finite(name, value):
    with pytest.raises(ValueError, match=rf"VehicleSpec\.{name} must be a positive finite number, got {value}"):
        spec_with(name, value)


@pytest.mark.parametrize("name", ["rear_overhang", "reverse_speed_max", "accel_lag", "steer_lag"])
def test_lags_and_overhang_may_be_zero_but_not_negative(name):
    assert getattr(spec_with(name, 0.0), name) == 0.0
    with pytest.raises(ValueError, match=rf"VehicleSpec\.{name} must be a finite number of at least 0, got -0\.1"):
        spec_with(name, -0.1)


def test_axles_must_lie_inside_the_box():
    with pytest.raises(
        ValueError, match=r"wheelbase 4\.0 m and rear_overhang 0\.95 m must add up to less than the length 4\.7 m"
    ):
        VehicleSpec(wheelbase=4.0)


def test_wheels_cannot_turn_sideways():
    with pytest.raises(ValueError, match="steer_max"):
        VehicleSpec(steer_max=1.6)


def test_every_kind_has_a_spec_of_its_own_kind():
    assert set(SPECS) == set(Kind)
    assert all(spec.kind == kind for kind, spec in SPECS.items())


@pytest.mark.parametrize("kind", [kind for kind in Kind if kind not in (Kind.PEDESTRIAN, Kind.OBJECT)])
def test_centre_lies_between_the_axles(kind):
    spec = SPECS[kind]
    assert 0.0 < spec.rear_to_centre < spec.wheelbase
    assert spec.rear_to_centre + spec.rear_overhang == pytest.approx(spec.length / 2)


@pytest.mark.parametrize(
    ("instance", "name"), [(VehicleSpec(), "length"), (Control(), "accel"), (DriverStep(control=Control(), memory=0), "memory")]
)
def test_boundary_types_are_frozen(instance, name):
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(instance, name, 1.0)


def test_a_default_control_asks_for_nothing():
    assert Control() == Control(accel=0.0, steer=0.0, indicator=Indicator.OFF, gear=Gear.DRIVE, gesture=Gesture.NONE)


def test_a_perceived_object_carries_nothing_hidden():
    assert not {"route", "goal", "style", "ego", "model", "driver"} & set(OBJECT_DTYPE.names or ())
    assert np.zeros(3, OBJECT_DTYPE).itemsize % 8 == 0, "aligned for kernels"
