"""Weather and light: published relations hold, energy only gets less, and what falls is met as often as it should be."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from sim.roads.assemble import assemble
from sim.roads.lane_map import LaneDraft, MapDraft
from sim.sensors.beams import BEAMS, LidarSpec
from sim.sensors.lidar import GROUND, WEATHER, Sweep, make_scenery, scan
from sim.sensors.sweep import amplitude
from sim.sensors.things import HELD_OUT_BEAMS, HELD_OUT_WEATHER
from sim.sensors.weather import (
    CELL_M,
    CELLS,
    FACE_ON,
    GAIN_RANGE,
    SNOWFLAKES,
    Weather,
    extinction,
    pack_weather,
    particles_met,
    reach_of,
    threshold,
    weather_of,
)
from sim.sensors.weather import WEATHER as CONDITIONS
from tests.sim.worlds import Stage

SPEC = LidarSpec()


@pytest.fixture(scope="module")
def stage() -> Stage:
    """A car alone on a long road."""
    line = np.column_stack([np.arange(0.0, 301.0, 2.0), np.zeros(151)])
    stage = Stage(assemble(MapDraft(name="road", lanes=[LaneDraft(name="east", centreline=line, half_width=4.0)])))
    stage.put(0.0, 0.0)
    return stage


def sweep_in(stage: Stage, weather: Weather, spec: LidarSpec = SPEC) -> Sweep:
    return scan(stage.state, 0, 0, make_scenery(stage.road_map, stage.bodies[:1], 1), spec, weather)


def test_contrast_falls_to_five_percent_at_the_visibility():
    for visibility in (20.0, 50.0, 300.0):
        assert math.exp(-extinction(Weather(visibility=visibility)) * visibility) == pytest.approx(0.05)


def test_extinction_of_rain_and_snow_is_what_is_measured():
    """Rain of 10 mm/h dims by some 1 to 3 per km; snow about five times as much as rain of the same water."""
    rain = extinction(CONDITIONS["rain"])
    assert 1e-3 < rain < 3e-3
    same = extinction(replace(CONDITIONS["rain"], rate=2.0))
    assert 3.0 < extinction(CONDITIONS["snow"]) / same < 15.0
    rates = [extinction(Weather(rate=rate, particles=SNOWFLAKES)) for rate in (0.0, 0.5, 2.0, 5.0)]
    assert rates[0] == 0.0
    assert rates == sorted(rates)


def test_amplitude_follows_the_lidar_equation():
    air, fog = (pack_weather(CONDITIONS[name], SPEC)[0] for name in ("clear", "fog"))
    assert amplitude(air, 0.5, 1.0, 50.0) == pytest.approx(0.25 * amplitude(air, 0.5, 1.0, 25.0))
    assert amplitude(air, 0.5, 0.3, 60.0) == pytest.approx(0.3 * amplitude(air, 0.5, 1.0, 60.0))
    assert amplitude(air, 0.5, 1.0, 10.0) == 0.5  # the receiver's gain is held down
    dimmed = amplitude(fog, 0.5, 1.0, 40.0) / amplitude(air, 0.5, 1.0, 40.0)
    assert dimmed == pytest.approx(0.05 ** (2.0 * 40.0 / 50.0))
    for weather in CONDITIONS.values():
        row = pack_weather(weather, SPEC)[0]
        values = [amplitude(row, 1.0, 1.0, distance) for distance in np.arange(0.5, 200.0, 0.5)]
        assert max(values) <= 1.0
        assert (np.diff(values) <= 0.0).all()


def test_reach_is_where_a_dark_surface_is_at_the_threshold():
    assert reach_of(CONDITIONS["clear"], SPEC) == pytest.approx(SPEC.reach, abs=0.01)
    for name, weather in CONDITIONS.items():
        reach = reach_of(weather, SPEC)
        assert reach <= SPEC.reach
        row = pack_weather(weather, SPEC)[0]
        assert amplitude(row, FACE_ON, 1.0, reach) == pytest.approx(threshold(SPEC), rel=1e-3), name
    assert reach_of(CONDITIONS["fog"], SPEC) < reach_of(weather_of("fog", visibility=150.0), SPEC) < SPEC.reach
    assert threshold(SPEC) == pytest.approx(FACE_ON * (GAIN_RANGE / SPEC.reach) ** 2)


def test_flakes_are_met_as_often_as_the_table_says(stage):
    """Upper rings see nothing but what falls; the share of them that meet a flake is Poisson in the table's count."""
    spec = replace(SPEC, dropout=0.0)
    weather = Weather(rate=2.0, particles=SNOWFLAKES)
    sweep = sweep_in(stage, weather, spec)
    met = particles_met(weather, spec)
    assert (np.diff(met) >= 0.0).all()
    nearest = met[round(0.9 / CELL_M)]
    expected = math.exp(-nearest) - math.exp(-met[CELLS])
    up = sweep.points[sweep.hits == WEATHER]
    rays = (BEAMS[32] > np.radians(3.0)).sum() * spec.columns
    sky = up[np.arctan2(up[:, 2] - spec.height, np.hypot(up[:, 0], up[:, 1])) > np.radians(3.2)]
    # plants reach into a few of these rays
    assert len(sky) / rays == pytest.approx(expected, rel=0.08)
    assert 0.05 < expected < 0.3


def test_weather_takes_ground_away_and_adds_echoes(stage):
    clear = sweep_in(stage, CONDITIONS["clear"])
    assert not (clear.hits == WEATHER).any()
    farthest = {}
    for name in ("clear", "rain", "fog"):
        sweep = sweep_in(stage, CONDITIONS[name])
        of_ground = sweep.points[sweep.hits == GROUND]
        farthest[name] = np.quantile(np.hypot(of_ground[:, 0], of_ground[:, 1]), 0.98)
    assert farthest["fog"] < farthest["rain"] < farthest["clear"]
    shares = [
        (sweep_in(stage, weather_of("fog", visibility=visibility)).hits == WEATHER).mean() for visibility in (200.0, 50.0, 20.0)
    ]
    assert shares == sorted(shares)
    assert shares[0] < 0.01 < shares[1] < 0.3
    fog = sweep_in(stage, CONDITIONS["fog"])
    echoes = fog.points[fog.hits == WEATHER]
    assert np.quantile(np.linalg.norm(echoes[:, :3] - (0.0, 0.0, SPEC.height), axis=1), 0.9) < 15.0


def test_spray_hangs_behind_fast_vehicles_alone(stage):
    lead = stage.put(14.0, 0.0)
    scenery = make_scenery(stage.road_map, stage.bodies[:2], 1)
    seen = []
    for speed in (0.0, 20.0):
        stage.bodies["speed"][lead], stage.bodies["vx"][lead] = speed, speed
        sweep = scan(stage.state, 0, 0, scenery, SPEC, CONDITIONS["spray"])
        seen.append(((sweep.hits == WEATHER).sum(), sweep.counts[lead], sweep.alone[lead]))
    stage.state.worlds["actors"] = 1
    assert seen[1][0] > seen[0][0] + 30
    assert 0 < seen[1][1] < seen[0][1]
    assert seen[1][2] > seen[1][1]


def test_held_out_weather_and_beams_exist():
    assert set(HELD_OUT_WEATHER) < set(CONDITIONS)
    assert set(HELD_OUT_BEAMS) < set(BEAMS)
    for rings, table in BEAMS.items():
        assert len(table) == rings
        assert (np.diff(table) > 0.0).all()


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: LidarSpec(beams=31), "beams must be one of 16, 32, 64, got 31"),
        (lambda: LidarSpec(height=0.0), "height must be above 0"),
        (lambda: LidarSpec(dead_rings=1.0), "dead_rings must be a share"),
        (lambda: LidarSpec(noise=-0.1), "noise must be at least 0"),
        (lambda: LidarSpec(columns=2), "columns must be at least 4"),
        (lambda: Weather(visibility=0.0), "visibility must be above 0 m"),
        (lambda: Weather(rate=-1.0), "rate must be at least 0"),
    ],
)
def test_bad_numbers_are_named(make, words):
    with pytest.raises(ValueError, match=words):
        make()
