"""Conflict tables against boxes placed one by one, their symmetry, and their invariance under rigid motion."""

from dataclasses import replace

import numpy as np
import pytest

from sim.roads.assemble import assemble
from sim.roads.builders import BUILDERS
from sim.roads.lane_map import CLASSES, TABLE_SPACING, ConflictKind, FootprintClass, LaneKind
from tests.sim.roads.maps import assembled, built, first_record, footprint, lane, pairs, record

MAPS: tuple[tuple[str, dict[str, object]], ...] = (
    ("four_way", {}),
    ("four_way", {"lanes": 2, "crosswalks": True, "control": "signal"}),
    ("roundabout", {}),
    ("narrow_street", {}),
    ("merge", {}),
    ("crosswalk", {}),
)


def _sampled_tables(road_map, count, seed):
    """Random non-empty (pair, classes, record)."""
    draw = np.random.default_rng(seed)
    ordered = pairs(road_map)
    chosen: list[tuple[int, int, int, int, np.void, np.random.Generator]] = []
    while len(chosen) < count:
        a, b = ordered[draw.integers(len(ordered))]
        size_a, size_b = (int(n) for n in draw.integers(CLASSES, size=2))
        entry = road_map.conflicts[first_record(road_map, a, b) + size_a * CLASSES + size_b]
        if entry["row_count"] > 0:
            chosen.append((a, b, size_a, size_b, entry, draw))
    return chosen


@pytest.mark.parametrize(("name", "parameters"), MAPS)
def test_rows_hold_exactly_the_positions_that_overlap(name, parameters):
    road_map = built(name, **parameters)
    for a, b, size_a, size_b, entry, draw in _sampled_tables(road_map, 40, seed=1):
        k = int(draw.integers(entry["row_count"]))
        low, high = road_map.conflict_rows[entry["row_start"] + k]
        box = footprint(road_map, a, (entry["row_first"] + k) * TABLE_SPACING, size_a)
        length = float(road_map.lanes["length"][b])
        for s in draw.uniform(-0.4, length + 0.4, size=12):
            if box.intersection(footprint(road_map, b, s, size_b)).area > 0.05:
                assert low - 0.05 <= s <= high + 0.05
        if high - low > 0.3:
            for edge in (low, high):
                assert box.distance(footprint(road_map, b, edge, size_b)) < 0.01


@pytest.mark.parametrize(("name", "parameters"), MAPS)
def test_nothing_overlaps_outside_enter_and_leave(name, parameters):
    road_map = built(name, **parameters)
    for a, b, size_a, size_b, entry, draw in _sampled_tables(road_map, 20, seed=2):
        length = float(road_map.lanes["length"][a])
        assert entry["enter"] <= entry["leave"]
        for s in draw.uniform(0.0, length, size=6):
            if not entry["enter"] - 0.1 <= s <= entry["leave"] + 0.1:
                box = footprint(road_map, a, s, size_a)
                for other in draw.uniform(0.0, float(road_map.lanes["length"][b]), size=6):
                    assert box.intersection(footprint(road_map, b, other, size_b)).area < 0.05


@pytest.mark.parametrize(("name", "parameters"), MAPS)
def test_both_directions_of_a_pair_agree(name, parameters):
    road_map = built(name, **parameters)
    ordered = pairs(road_map)
    assert ordered
    for a, b in ordered:
        first, mirror = first_record(road_map, a, b), first_record(road_map, b, a)
        assert mirror >= 0
        for size_a in range(CLASSES):
            for size_b in range(CLASSES):
                one = road_map.conflicts[first + size_a * CLASSES + size_b]
                other = road_map.conflicts[mirror + size_b * CLASSES + size_a]
                assert one["kind"] == other["kind"]
                assert one["priority"] == -other["priority"]
                assert one["other_enter"] == other["enter"]
                assert one["other_leave"] == other["leave"]
                assert (one["row_count"] > 0) == (other["row_count"] > 0)


def test_conflicts_survive_a_rigid_motion():
    angle, shift = 0.7, np.array([1234.5, -987.6])
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    draft = BUILDERS["four_way"]()
    moved = assemble(
        replace(
            draft,
            lanes=[replace(one, centreline=one.centreline @ turn + shift) for one in draft.lanes],
            extra_drivable=[outline @ turn + shift for outline in draft.extra_drivable],
        )
    )
    still = built("four_way")
    assert (moved.lanes["cluster"] == still.lanes["cluster"]).all()
    assert (moved.cluster_matrix == still.cluster_matrix).all()
    filled = still.conflicts["row_count"] > 0
    assert (filled == (moved.conflicts["row_count"] > 0)).all()
    for column in ("enter", "leave"):
        assert moved.conflicts[column][filled] == pytest.approx(still.conflicts[column][filled], abs=0.06)
    # room jumps where the border turns away, so a few samples may fall on either side of a jump
    same = np.abs(moved.points["room_left"] - still.points["room_left"]) < 0.25
    assert same.mean() > 0.98


def test_kinds_of_a_four_way():
    road_map = built("four_way")
    assert record(road_map, "south_to_north", "east_to_west")["kind"] == ConflictKind.CROSS
    assert record(road_map, "south_to_east", "north_to_east")["kind"] == ConflictKind.MERGE
    assert record(road_map, "south_to_east", "south_to_north")["kind"] == ConflictKind.DIVERGE
    assert first_record(road_map, road_map.lane("south_to_east"), road_map.lane("north_to_west")) < 0


def test_a_narrow_street_opposes_in_clusters_of_its_own():
    road_map = built("narrow_street", passing_places=2)
    assert len(road_map.clusters) == 3
    entry = record(road_map, "eastbound_narrow1_0", "westbound_narrow1_0")
    assert entry["kind"] == ConflictKind.OPPOSE
    assert entry["leave"] - entry["enter"] > 25.0


def test_lanes_on_a_bridge_do_not_conflict():
    below = lane("below", [[-50, 0, 0], [50, 0, 0]])
    above = lane("above", [[0, -50, 6], [0, 50, 6]])
    level = lane("level", [[10, -50, 0], [10, 50, 0]])
    road_map = assembled(below, above, level)
    assert first_record(road_map, 0, 1) < 0
    assert first_record(road_map, 0, 2) >= 0


def test_parallel_lanes_of_one_road_do_not_conflict_but_a_taper_does():
    assert len(built("straight", lanes=3).clusters) == 0
    merging = built("merge")
    assert record(merging, "entry_closing", "main_closing_1")["kind"] == ConflictKind.MERGE


def test_people_cross_with_the_small_class_only():
    road_map = built("crosswalk")
    walk, drive = "crosswalk_0_north", "eastbound_over_0"
    assert record(road_map, walk, drive, FootprintClass.SMALL, FootprintClass.CAR)["row_count"] > 0
    assert record(road_map, walk, drive, FootprintClass.LARGE, FootprintClass.CAR)["row_count"] == 0
    assert road_map.lanes["kind"][road_map.lane(walk)] == LaneKind.CROSSWALK


def test_long_vehicles_block_more():
    road_map = built("four_way")
    small, car, large = (record(road_map, "south_to_north", "east_to_west", 1, size) for size in range(CLASSES))
    assert large["enter"] <= car["enter"] <= small["enter"]
    assert large["other_leave"] > car["other_leave"] > small["other_leave"]


def test_a_table_begins_before_the_lane_where_a_car_still_overhangs_the_approach():
    road_map = built("four_way")
    entry = record(road_map, "south_to_east", "south_to_north")
    assert entry["enter"] == pytest.approx(-2.5, abs=0.1)
    assert entry["row_first"] < 0
