"""What weather does to light: extinction, the echo of fog, and drops and flakes that are hit before anything else.

Powers are told as amplitudes: the share of light that a white surface close by would give back, seen face on, through clear air.
A surface of reflectivity r met under the cosine c at range R gives, by the lidar equation for an extended (beam-filling) target,

    A(R) = r c exp(-2 a R) min(1, (R0 / R)^2)

with a the extinction [1/m] (Beer and Lambert, both ways). Below R0 the receiver turns its gain down, as sensors do, so that near
things do not blind it. An echo is found where its amplitude is above the sensor's threshold.

Sources of the formulas:
- extinction from visibility: Koschmieder (1924) with the contrast threshold of 5 % of the meteorological optical range (WMO Guide
  to Instruments and Methods of Observation, part I, chapter 9): a = -ln(0.05) / V.
- echo of fog, a soft target that fills the path: b = 0.046 / V per metre and steradian, the ratio for fog in Rasshofer, Spies and
  Spies, Influences of weather phenomena on automotive laser radar systems (Adv. Radio Sci. 9, 2011); a pulse lights half its
  length of it at once.
- drop sizes: Marshall and Palmer (J. Meteorology 5, 1948), N(D) = 8000 exp(-4.1 R^-0.21 D) per m³ and mm; snow: Gunn and
  Marshall (J. Meteorology 15, 1958), N(D) = 3800 R^-0.87 exp(-2.55 R^-0.48 D), both of melted diameters D [mm] and rates R [mm/h
  of water].
- echo of single particles: a lidar ratio (extinction over backscatter) of 19 sr for drops (O'Connor, Illingworth and Hogan, J.
  Atmos. Oceanic Technol. 21, 2004), some 30 sr for ice; with twice the cross-section in the extinction that is as much as a
  disk of reflectivity 2 pi / 19 = 0.33, or 0.2.
- extinction by what is much larger than the wavelength: twice its cross-section (van de Hulst, Light scattering by small
  particles, chapter 8), so a = pi/2 sum of N(D) D².
"""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from sim.sensors.beams import LidarSpec

GAIN_RANGE = 25.0
"""R0 [m]: the receiver's gain is held down nearer than this."""
FACE_ON = 0.1
"""Reflectivity that `LidarSpec.reach` speaks of."""
PULSE = 1.5  # m of path that a pulse of 10 ns lights at once (half its length)
FOG_SPREAD = 1.0  # standard deviation of the logarithm of fog's density along single rays
APERTURE, DIVERGENCE = 0.01, 0.003  # m, rad: width of the beam where it leaves, and its growth
CELLS = 120
CELL_M = 0.5
"""Steps of the table of how many particles a ray has met by a range."""

WEATHER_DTYPE = np.dtype(
    [
        *((name, "f8") for name in ("extinction", "threshold", "echo", "falling", "ground", "spray")),
        ("met", "f8", (CELLS + 1,)),
    ],
    align=True,
)  # fmt: skip
"""Weather as kernels read it. extinction [1/m]; threshold: amplitude that is found half the time; echo: amplitude of fog of mean
density at no distance; falling: share of rays that meet a drop or flake if nothing is before it; ground: factor on the road's
reflectivity; spray: scatterers per metre behind a fast vehicle; met: mean number of drops or flakes that a ray has met, strongly
enough to be found, by k * CELL_M."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Particles:
    """Drops or flakes: number density and slope of their sizes as coefficient and power of the rate, per m³ and mm, and 1/mm.

    swelling: diameter over melted diameter. reflectivity: share of the light on its cross-section that one sends back.
    """

    number: tuple[float, float]
    slope: tuple[float, float]
    swelling: float = 1.0
    reflectivity: float = 0.33

    def sizes(self, rate: float) -> tuple[float, float]:
        """(number density at no size [1/m³/mm], slope [1/mm]) of the diameters as they fall."""
        number = self.number[0] * rate ** self.number[1] / self.swelling
        return number, self.slope[0] * rate ** self.slope[1] / self.swelling


RAINDROPS = Particles(number=(8000.0, 0.0), slope=(4.1, -0.21))
SNOWFLAKES = Particles(number=(3800.0, -0.87), slope=(2.55, -0.48), swelling=2.15, reflectivity=0.2)
"""Flakes are aggregates of a tenth of water's density, so 10^(1/3) as wide as when melted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Weather:
    """One state of the air and the road.

    visibility: meteorological optical range [m] of fog, None without fog. rate: rain or snow [mm/h of water], of `particles`.
    ground: factor on the reflectivity of the road (water takes light away, snow is bright). spray: scatterers per metre in what
    fast vehicles throw up behind them.
    """

    visibility: float | None = None
    rate: float = 0.0
    particles: Particles | None = None
    ground: float = 1.0
    spray: float = 0.0

    def __post_init__(self) -> None:
        if self.visibility is not None and not self.visibility > 0.0:
            raise ValueError(f"Weather.visibility must be above 0 m, got {self.visibility!r}")
        for name in ("rate", "spray"):
            if not getattr(self, name) >= 0.0:
                raise ValueError(f"Weather.{name} must be at least 0, got {getattr(self, name)!r}")


WEATHER: Mapping[str, Weather] = {
    "clear": Weather(),
    "wet": Weather(ground=0.5),
    "rain": Weather(rate=10.0, particles=RAINDROPS, ground=0.4),
    "snow": Weather(rate=2.0, particles=SNOWFLAKES, ground=3.0),
    "fog": Weather(visibility=50.0),
    "spray": Weather(rate=1.0, particles=RAINDROPS, ground=0.4, spray=0.15),
}
"""Name -> weather. `spray` is held out (`sim.sensors.things.HELD_OUT_WEATHER`)."""


def weather_of(name: str, visibility: float | None = None, rate: float | None = None) -> Weather:
    """The weather called `name`, fog of another visibility [m], rain or snow of another rate [mm/h]. KeyError if unknown."""
    found = WEATHER[name]
    if visibility is not None and found.visibility is not None:
        found = replace(found, visibility=visibility)
    if rate is not None and found.particles is not None:
        found = replace(found, rate=rate)
    return found


def extinction(weather: Weather) -> float:
    """Extinction [1/m] of fog and of what falls."""
    total = -math.log(0.05) / weather.visibility if weather.visibility is not None else 0.0
    if weather.particles is not None and weather.rate > 0.0:
        number, slope = weather.particles.sizes(weather.rate)
        # the integral of pi/2 N D² is pi N0 / slope³, in mm² per m³
        total += math.pi * number / slope**3 * 1e-6
    return total


def threshold(spec: LidarSpec) -> float:
    """Amplitude that is found half the time."""
    return FACE_ON * min(1.0, (GAIN_RANGE / spec.reach) ** 2)


def reach_of(weather: Weather, spec: LidarSpec) -> float:
    """Range [m] at which a surface of reflectivity FACE_ON, face on, is found half the time in this weather (bisection)."""
    a, wanted = extinction(weather), threshold(spec)
    low, high = 0.0, spec.reach
    for _ in range(50):
        middle = 0.5 * (low + high)
        amplitude = FACE_ON * math.exp(-2.0 * a * middle) * min(1.0, (GAIN_RANGE / max(middle, 1e-6)) ** 2)
        low, high = (middle, high) if amplitude > wanted else (low, middle)
    return 0.5 * (low + high)


def particles_met(weather: Weather, spec: LidarSpec) -> NDArray[np.float64]:
    """(CELLS + 1,) mean number of particles that a ray has met by each step of range and that give an echo above the threshold.

    One of diameter D in a beam of width w gives `reflectivity` (D / w)² of what a surface would; the smallest that is found, and
    with it the number of those that are, follows for each range.
    """
    met = np.zeros(CELLS + 1)
    if weather.particles is None or weather.rate <= 0.0:
        return met
    number, slope = weather.particles.sizes(weather.rate)
    ranges = CELL_M * (np.arange(CELLS) + 0.5)
    width = APERTURE + DIVERGENCE * ranges
    air = np.exp(-2.0 * extinction(weather) * ranges) * np.minimum(1.0, (GAIN_RANGE / ranges) ** 2)
    smallest = 1000.0 * width * np.sqrt(threshold(spec) / (weather.particles.reflectivity * air))  # mm
    per_m3 = number / slope * np.exp(-slope * smallest)
    met[1:] = np.cumsum(per_m3 * 0.25 * np.pi * width**2 * CELL_M)
    return met


@functools.lru_cache(maxsize=64)
def pack_weather(weather: Weather, spec: LidarSpec) -> NDArray[np.void]:
    """WEATHER_DTYPE (1,), read-only."""
    packed = np.zeros(1, WEATHER_DTYPE)
    row = packed[0]
    row["extinction"], row["threshold"] = extinction(weather), threshold(spec)
    row["echo"] = math.pi * 0.046 / weather.visibility * PULSE if weather.visibility is not None else 0.0
    row["ground"], row["spray"] = weather.ground, weather.spray
    row["met"] = particles_met(weather, spec)
    row["falling"] = 1.0 - math.exp(-row["met"][CELLS])
    packed.setflags(write=False)
    return packed
