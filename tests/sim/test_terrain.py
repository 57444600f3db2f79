"""The ground that a lidar sees: kerbs where the road ends, slopes and roughness as said, plants beyond all lanes alone."""

from __future__ import annotations

import numpy as np
import pytest

from sim.roads.assemble import assemble
from sim.roads.builders import BUILDERS
from sim.roads.lane_map import LaneDraft, LaneKind, MapDraft
from sim.sensors.lidar import make_scenery
from sim.sensors.terrain import KERB, PLANTED_FROM, SLOPE, Survey, Terrain, height_at, make_terrain, make_walls, survey
from sim.setup import empty_state
from tests.sim.worlds import crossing


@pytest.fixture(scope="module")
def ground() -> Survey:
    return survey(crossing())


def height(terrain: Terrain, x: float, y: float) -> float:
    return height_at(terrain.z, terrain.x0, terrain.y0, 1.0 / terrain.cell, x, y)


def test_heights_between_cell_centres_are_interpolated():
    z = np.arange(12.0, dtype=np.float32).reshape(3, 4)
    terrain = Terrain(z=z, bright=z, x0=10.0, y0=20.0, cell=0.5)
    assert height(terrain, 10.25, 20.25) == 0.0
    assert height(terrain, 10.75, 20.75) == 5.0
    assert height(terrain, 10.5, 20.5) == pytest.approx(2.5)
    assert height(terrain, -99.0, 20.75) == 4.0  # beyond the raster
    assert height(terrain, 99.0, 99.0) == pytest.approx(11.0, abs=0.01)


def test_the_drivable_area_is_even_and_a_kerb_lies_round_it(ground):
    steps = []
    for seed in range(6):
        terrain, _ = make_terrain(ground, seed)
        step = terrain.z[:, 1:] - terrain.z[:, :-1]
        up = ground.road[:, :-1] & ~ground.road[:, 1:]
        within = ground.road[:, :-1] & ground.road[:, 1:]
        steps.append(float(step[up].mean()))
        assert KERB[0] - 0.01 < steps[-1] < KERB[1] + 0.01
        assert step[within].std() < 0.02
        assert (terrain.bright[ground.road] < 0.0).all()
    assert np.ptp(steps) > 0.01


def test_slopes_are_as_steep_as_said(ground):
    slopes = []
    for seed in range(12):
        z, _ = make_terrain(ground, seed)
        far = z.z[ground.road]
        assert np.isfinite(far).all()
        coarse = z.z[::25, ::25]
        slopes += [np.diff(coarse, axis=0).std() / 10.0, np.diff(coarse, axis=1).std() / 10.0]
    both = np.sqrt(2.0 * np.mean(np.square(slopes)))
    assert 0.5 * SLOPE < both < 2.0 * SLOPE


def test_junctions_come_out_whole(ground):
    """No kerb at the middle of a crossing, whatever lies between its lanes."""
    row, column = int(-ground.y0 / ground.cell), int(-ground.x0 / ground.cell)
    assert ground.road[row - 8 : row + 9, column - 8 : column + 9].all()


def test_plants_stand_beyond_all_lanes_and_differ_by_seed(ground):
    counts = []
    for seed in range(5):
        terrain, plants = make_terrain(ground, seed)
        again, same = make_terrain(ground, seed)
        assert terrain.z.tobytes() == again.z.tobytes()
        assert all(plants[name].tobytes() == same[name].tobytes() for name in plants.dtype.names or ())
        counts.append(len(plants))
        low = plants["centre"][:, 2] - plants["extent"][:, 2] < 2.0  # crowns of trees may hang over a sidewalk
        columns = ((plants["centre"][low, 0] - ground.x0) / ground.cell).astype(int)
        rows = ((plants["centre"][low, 1] - ground.y0) / ground.cell).astype(int)
        room = ground.free[rows, columns] - np.hypot(plants["half"][low, 0], plants["half"][low, 1]) * np.sqrt(0.5)
        assert (ground.free[rows, columns] > PLANTED_FROM).all()
        assert (room > -0.3).all()
    assert len(set(counts)) > 1


def test_a_road_that_climbs_lifts_the_ground():
    line = np.column_stack([np.arange(0.0, 201.0, 2.0), np.zeros(101), 0.05 * np.arange(0.0, 201.0, 2.0)])
    lane = LaneDraft(name="east", centreline=line, half_width=3.0, kind=LaneKind.DRIVING)
    road_map = assemble(MapDraft(name="hill", lanes=[lane]))
    terrain, _ = make_terrain(survey(road_map), 1)
    points = road_map.lane_points(0)
    ends = [height(terrain, float(points["x"][k]), float(points["y"][k])) for k in (20, -20)]
    rise = float(points["z"][-20] - points["z"][20])
    assert ends[1] - ends[0] == pytest.approx(rise, abs=1.5)


def test_walls_stand_along_what_blocks_sight(ground):
    terrain, _ = make_terrain(ground, 1)
    outline = np.array([[20.0, 20.0], [30.0, 20.0], [30.0, 26.0]])
    walls = make_walls(terrain, [outline])
    assert len(walls) == 3
    assert sorted(2.0 * walls["half"][:, 0]) == pytest.approx(sorted((10.0, 6.0, np.hypot(10.0, 6.0))))
    bodies = empty_state(1, 0, 1).bodies[0]
    scenery = make_scenery(crossing(), bodies, 1, [outline])
    assert len(scenery.primitives) - scenery.first[1] == 3


@pytest.mark.parametrize("builder", BUILDERS)
def test_every_map_has_a_ground(builder):
    ground = survey(assemble(BUILDERS[builder]()))
    terrain, _ = make_terrain(ground, 1)
    assert np.isfinite(terrain.z).all()
    assert ground.road.any()
    assert 0.0 < np.abs(terrain.bright).max() < 1.0
