"""Driving by hand: what is held down on a keyboard or a gamepad, as a Control for each tick.

Keys are held or not, so steering is eased towards what is asked, and no further than LATERAL_MAX allows at the present speed.
"""

from __future__ import annotations

import math

from sim.interface import TICK_S, Control, Gear, Gesture, Indicator, Odometry, VehicleSpec

ACCEL, BRAKE, HARD_BRAKE, COAST = 2.5, 3.5, 8.0, 0.4  # m/s²
REVERSE_ACCEL = 1.2  # m/s²
LATERAL_MAX = 4.0  # m/s²
STEER_RATE, RETURN_RATE = 0.7, 1.4  # rad/s, of the wheels towards a turn, and back to the middle
STANDS = 0.05  # m/s
DEAD_ZONE = 0.08
WAVE_TICKS = 15
"""A wave takes this long."""


class Hands:
    """The state of the controls; `control` reads it once a tick.

    throttle, brake: 0 to 1; wheel: -1 (right) to 1 (left); hard: brake with all there is.
    """

    def __init__(self, steer: float = 0.0) -> None:
        """Nothing is held, and the wheels are turned by `steer` [rad]."""
        self.throttle = self.brake = self.wheel = 0.0
        self.hard = False
        self.indicator = Indicator.OFF
        self.gear = Gear.DRIVE
        self._steer = steer
        self._waves = 0

    def wave(self) -> None:
        """Wave somebody through."""
        self._waves = WAVE_TICKS

    def indicate(self, side: Indicator) -> None:
        """Switch an indicator on, or off where it is on."""
        self.indicator = Indicator.OFF if self.indicator is side else side

    def shift(self) -> None:
        """Change between forwards and backwards; the car does so once it stands."""
        self.gear = Gear.REVERSE if self.gear is Gear.DRIVE else Gear.DRIVE

    def control(self, odometry: Odometry, spec: VehicleSpec) -> Control:
        """What the hands ask of this vehicle now."""
        self._steer = self._eased(odometry, spec)
        waving, self._waves = self._waves > 0, max(self._waves - 1, 0)
        return Control(
            accel=self._accel(odometry.speed), steer=self._steer, indicator=self.indicator, gear=self.gear,
            gesture=Gesture.WAVE if waving else Gesture.NONE,
        )  # fmt: skip

    def _eased(self, odometry: Odometry, spec: VehicleSpec) -> float:
        speed = max(abs(odometry.speed), 1.0)
        most = min(spec.steer_max, math.atan(LATERAL_MAX * spec.wheelbase / (speed * speed)))
        wanted = most * (0.0 if abs(self.wheel) < DEAD_ZONE else self.wheel)
        back = abs(wanted) < abs(self._steer) or wanted * self._steer < 0.0
        step = (RETURN_RATE if back else STEER_RATE) * TICK_S
        return min(max(wanted, self._steer - step), self._steer + step)

    def _accel(self, speed: float) -> float:
        """Signed along the body: in reverse gear pushing is negative."""
        push, brake = self.throttle, HARD_BRAKE if self.hard else self.brake * BRAKE
        forwards = -1.0 if speed < -STANDS or (speed <= STANDS and self.gear is Gear.REVERSE) else 1.0
        if brake > 0.0:
            return -forwards * brake
        if push > 0.0:
            return forwards * push * (ACCEL if forwards > 0.0 else REVERSE_ACCEL)
        return -forwards * COAST if abs(speed) > STANDS else 0.0
