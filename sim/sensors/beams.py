"""Beam tables: where the lasers of a spinning lidar point, and how one is mounted.

Elevations are those of common sensors with so many rings, lowest first [rad]. One turn takes a tick (10 Hz), clockwise from
straight behind to straight behind.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


def _between(low_degrees: float, high_degrees: float, rings: int) -> NDArray[np.float64]:
    table: NDArray[np.float64] = np.radians(np.linspace(low_degrees, high_degrees, rings))
    table.setflags(write=False)
    return table


def _dense_middle() -> NDArray[np.float64]:
    """64 rings: half of them within a few degrees of the horizon, the others below."""
    table: NDArray[np.float64] = np.radians(np.concatenate([np.linspace(-24.33, -8.83, 32), np.linspace(-8.33, 2.0, 32)]))
    table.setflags(write=False)
    return table


BEAMS: Mapping[int, NDArray[np.float64]] = {
    16: _between(-15.0, 15.0, 16),
    32: _between(-30.67, 10.67, 32),
    64: _dense_middle(),
}
"""Rings -> (rings,) elevations [rad], rising. 16 and 64 are held out (`sim.sensors.things.HELD_OUT_BEAMS`)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LidarSpec:
    """One lidar as it is built in.

    beams: a key of BEAMS. columns: firings of all rings in one turn. height, forward: place [m] above the ground and ahead of the
    centre of the car's box. gain: factor on intensities. dead_rings: share of rings that give nothing, the same ones all episode.
    noise: standard error of ranges [m]. dropout: share of returns that are lost whatever they hit.
    reach: range [m] at which a surface of reflectivity 0.1, face on, is found half the time in clear air.
    """

    beams: int = 32
    columns: int = 1080
    height: float = 1.84
    forward: float = 0.0
    gain: float = 1.0
    dead_rings: float = 0.0
    noise: float = 0.02
    dropout: float = 0.01
    reach: float = 110.0

    def __post_init__(self) -> None:
        if self.beams not in BEAMS:
            raise ValueError(f"LidarSpec.beams must be one of {', '.join(map(str, BEAMS))}, got {self.beams!r}")
        if self.columns < 4:
            raise ValueError(f"LidarSpec.columns must be at least 4, got {self.columns!r}")
        for name in ("height", "gain", "reach"):
            if not getattr(self, name) > 0.0:
                raise ValueError(f"LidarSpec.{name} must be above 0, got {getattr(self, name)!r}")
        for name in ("dead_rings", "dropout"):
            if not 0.0 <= getattr(self, name) < 1.0:
                raise ValueError(f"LidarSpec.{name} must be a share of at least 0 and below 1, got {getattr(self, name)!r}")
        if self.noise < 0.0:
            raise ValueError(f"LidarSpec.noise must be at least 0, got {self.noise!r}")
