"""The ego's own path reaches far enough ahead, wherever along a lane it is."""

from __future__ import annotations

import numpy as np
import pytest

from avstack.behaviours import own_path
from avstack.behaviours.atlas import Atlas
from avstack.behaviours.own_path import LONGEST, RENEW
from sim.roads.assemble import assemble
from sim.roads.builders import BUILDERS
from sim.roads.route import shortest_route


@pytest.mark.parametrize("arm", [60.0, 700.0])
def test_there_is_always_way_ahead_on_lanes_short_and_long(arm):
    road_map = assemble(BUILDERS["four_way"](control="all_way", arm_length=arm))
    names = list(road_map.lane_names)
    south = next(k for k, n in enumerate(names) if n.startswith("south") and road_map.lanes["stop_s"][k] >= 0.0)
    through = max(road_map.lane_successors(south), key=lambda n: -abs(float(np.sum(road_map.lane_points(int(n))["curvature"]))))
    goal = int(road_map.lane_successors(int(through))[0])
    route = shortest_route(road_map, south, goal)
    atlas = Atlas.of(road_map, route)
    points = np.concatenate([road_map.lane_points(int(lane)) for lane in route.lanes])
    recipe = own_path.begin_recipe(atlas, float(points["x"][0]), float(points["y"][0]), float(points["heading"][0]))
    s = 0.0
    for point in points[:: max(len(points) // 200, 1)]:
        path = own_path.lay(atlas, recipe)
        s, d = own_path.project(path, float(point["x"]), float(point["y"]), s)
        assert abs(d) < 0.6
        recipe, s = own_path.renewed(atlas, recipe, path, s)
        left = own_path.lay(atlas, recipe).length - s
        assert left > RENEW - 10.0 or recipe.beyond == own_path.BEYOND
    assert LONGEST > RENEW
