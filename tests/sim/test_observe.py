"""Observation rows: contents, invariance under rigid motion, and slots that come and go."""

from __future__ import annotations

import numpy as np
import pytest

from sim.interface import Kind
from sim.observe import EGO_FIELDS, LAYOUT, NEIGHBOUR_FIELDS, ROUTE_POINTS, ROUTE_STEP, SIZE, TO_GOAL_MAX, block, observe_world
from sim.scenario import Model
from sim.state import Status


def crowd(street):
    """A world with cars and walkers, some ticks on, lists made."""
    world = street(12)
    for s, speed in ((150.0, 8.0), (172.0, 7.0), (190.0, 5.0), (260.0, 9.0)):
        world.car("east", s, speed)
    for s in (120.0, 160.0, 210.0):
        world.car("west", s, 8.0)
    world.walker("cross")
    world.walker("path", d=0.5)
    world.step(25)
    world.show()
    for a in range(world.count):
        route = world.roads.routes[world.minds["route"][a]]
        world.minds["to_goal"][a] = route["length"] - world.minds["s"][a]
    return world


def observe(world, out=None):
    out = np.zeros((1, world.slots, SIZE), np.float32) if out is None else out
    observe_world(world.state, world.roads, 0, out)
    return out[0]


def ego(rows, name):
    return block(rows, "ego")[..., EGO_FIELDS.index(name)]


def test_layout_covers_the_row():
    sizes = [(start, int(np.prod(shape))) for start, shape in LAYOUT.values()]
    assert [start for start, _ in sizes] == list(np.cumsum([0, *[size for _, size in sizes[:-1]]]))
    assert sum(size for _, size in sizes) == SIZE


def test_ego_block(street):
    world = crowd(street)
    rows = observe(world)
    bodies, minds = world.bodies[: world.count], world.minds[: world.count]
    for name in ("speed", "accel", "steer", "yaw_rate", "length", "width"):
        assert np.array_equal(ego(rows, name)[: world.count], bodies[name])
    assert np.array_equal(ego(rows, "d")[: world.count], minds["d"])
    assert np.allclose(ego(rows, "heading_error_cos")[:7], 1.0)
    assert np.allclose(ego(rows, "heading_error_sin")[:7], 0.0, atol=1e-6)
    assert np.allclose(ego(rows, "speed_limit")[:7], 13.9)
    assert np.allclose(ego(rows, "to_goal")[: world.count], np.minimum(minds["to_goal"], TO_GOAL_MAX))
    # the street is two lanes of 3.5 m: a car amid its lane has half a lane on one side and one and a half on the other
    assert np.allclose(ego(rows, "room_right")[:7], 1.75, atol=0.3)
    assert np.allclose(ego(rows, "room_left")[:7], 5.25, atol=0.3)


def test_rotated_body_has_a_signed_heading_error(street):
    world = crowd(street)
    world.bodies["cos"][0], world.bodies["sin"][0] = np.cos(0.2), np.sin(0.2)
    rows = observe(world)
    assert ego(rows, "heading_error_sin")[0] == pytest.approx(np.sin(0.2))


def test_neighbour_blocks_hold_the_nearest_visible_in_the_ego_frame(street):
    world = crowd(street)
    rows = observe(world)
    me = world.bodies[1]
    seen = block(rows, "neighbours")[1]
    listed = world.state.neighbours[0, 1]
    assert seen.shape == (7, len(NEIGHBOUR_FIELDS))
    for k, other in enumerate(world.bodies[listed[1:8]]):
        dx, dy = other["x"] - me["x"], other["y"] - me["y"]
        cos, sin = float(me["cos"]), float(me["sin"])
        dvx, dvy = float(other["vx"]) - float(me["vx"]), float(other["vy"]) - float(me["vy"])
        expected = [
            1.0, dx * cos + dy * sin, dy * cos - dx * sin,
            float(other["cos"]) * cos + float(other["sin"]) * sin, float(other["sin"]) * cos - float(other["cos"]) * sin,
            dvx * cos + dvy * sin, dvy * cos - dvx * sin, other["length"], other["width"], other["kind"],
        ]  # fmt: skip
        assert np.allclose(seen[k], expected, atol=1e-4)
    assert Kind.PEDESTRIAN in seen[:, NEIGHBOUR_FIELDS.index("kind")]


def test_hidden_and_gone_neighbours_are_left_out_and_blocks_close_up(street):
    world = crowd(street)
    full = block(observe(world), "neighbours")[1].copy()
    world.state.visible[0, 1, 0] = 0
    world.bodies["status"][world.state.neighbours[0, 1, 2]] = Status.FINISHED
    assert np.array_equal(block(observe(world), "neighbours")[1][:5], full[2:])


def test_a_row_forgets_neighbours_that_left(street):
    world = crowd(street)
    out = np.zeros((1, world.slots, SIZE), np.float32)
    observe(world, out)
    world.state.neighbours[0, 1, 0] = 2
    again = block(observe(world, out), "neighbours")[1]
    assert again[:2, 0].tolist() == [1.0, 1.0]
    assert not again[2:].any()
    assert np.array_equal(out[0], observe(world))


def test_route_points_lie_on_the_own_route(street):
    world = crowd(street)
    points = block(observe(world), "route")
    ahead = ROUTE_STEP * np.arange(1, ROUTE_POINTS + 1)
    for a in range(7):
        assert np.allclose(points[a, :, 0], ahead, atol=1e-3)
        assert np.allclose(points[a, :, 1], -world.minds["d"][a], atol=1e-3)
    walker = 7
    assert world.minds["lane"][walker] == world.road_map.lane("walk_in")
    assert np.allclose(points[walker, :, 1], 0.0, atol=0.1)
    assert np.allclose(np.diff(points[walker, :, 0]), ROUTE_STEP, atol=1e-3)


def test_route_points_past_short_lanes_and_the_routes_end(street):
    world = street()
    walker = world.walker("cross", s=15.0)
    world.show()
    points = block(observe(world), "route")[walker]
    assert np.allclose(points, np.stack([ROUTE_STEP * np.arange(1, ROUTE_POINTS + 1), np.zeros(ROUTE_POINTS)], axis=1), atol=1e-3)


def test_still_and_absent_slots_stay_zero(street):
    world = crowd(street)
    out = np.zeros((1, world.slots, SIZE), np.float32)
    observe(world, out)
    assert not out[0, world.count :].any()
    world.bodies["status"][3] = Status.FINISHED
    world.bodies["model"][4] = Model.STILL
    rows = observe(world, out)
    assert not rows[3:5].any()
    assert rows[5].any()


def test_without_a_route_there_are_neighbours_but_no_route_points(street):
    world = crowd(street)
    world.minds["route"][0] = -1
    rows = observe(world)
    assert not block(rows, "route")[0].any()
    assert block(rows, "neighbours")[0].any()


@pytest.mark.parametrize(("angle", "shift"), [(2.1, (0.0, 0.0)), (-0.7, (500.0, -300.0))])
def test_rigid_motion_of_the_world_changes_nothing(street, street_at, angle, shift):
    rows = observe(crowd(street))
    moved = observe(crowd(street_at(angle, shift)))
    difference = np.abs(rows - moved)
    # the drivable edge is found numerically
    for name in ("room_left", "room_right"):
        assert ego(difference, name).max() < 0.1
        difference[:, EGO_FIELDS.index(name)] = 0.0
    assert difference.max() < 2e-3
