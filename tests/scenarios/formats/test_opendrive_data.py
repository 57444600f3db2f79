"""Every public OpenDRIVE file: it loads, its driving lanes connect without dangling ends, and its content is the file's."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import pytest

from eval.map_report import format_report, map_report
from scenarios.formats.opendrive import load_opendrive, read_opendrive
from sim.roads.lane_map import LaneKind, LaneMap, MapDraft, Regulation

pytestmark = pytest.mark.data

ESMINI, CARLA, MALIPUT = "opendrive/esmini/", "opendrive/py123d-carla-maps/", "opendrive/maliput_malidrive/"
FILES = {
    # file: junctions, signal groups, crosswalks, warnings at most
    ESMINI + "direct_junction_simple.xodr": (0, 0, 0, 1),
    ESMINI + "e6mini.xodr": (0, 0, 0, 1),
    ESMINI + "fabriksgatan.xodr": (1, 0, 0, 0),
    ESMINI + "fabriksgatan_traffic_lights.xodr": (1, 1, 0, 0),
    ESMINI + "highway_merge.xodr": (1, 0, 0, 0),
    ESMINI + "multi_intersections.xodr": (5, 13, 17, 0),
    ESMINI + "simple_3way_intersection.xodr": (1, 0, 0, 0),
    ESMINI + "simple_4way_intersection.xodr": (1, 0, 0, 0),
    ESMINI + "soderleden.xodr": (0, 0, 0, 0),
    MALIPUT + "Crossing8Course.xodr": (1, 2, 0, 1),
    MALIPUT + "XCrossStopAllWay.xodr": (1, 0, 0, 2),
    CARLA + "Town01.xodr": (12, 36, 0, 0),
    CARLA + "Town03.xodr": (35, 38, 73, 10),
    CARLA + "Town07.xodr": (31, 16, 7, 11),
}


@cache
def draft_of(path: Path) -> MapDraft:
    return read_opendrive(path)


@cache
def map_of(path: Path) -> LaneMap:
    return load_opendrive(path)


def test_every_file_is_listed(data_dir):
    found = {str(path.relative_to(data_dir)) for path in (data_dir / "opendrive").rglob("*.xodr")}
    assert found == set(FILES)


def test_road_networks_of_the_scenario_files_load(data_dir):
    paths = sorted((data_dir / "openscenario").rglob("*.xodr"))
    assert len(paths) == 6
    for path in paths:
        report = map_report(map_of(path))
        assert report["lanes"] == 6
        assert report["dangling"] == 0
        assert report["warnings"] == []


@pytest.mark.parametrize("name", FILES)
def test_content(data_dir, name):
    road_map = map_of(data_dir / name)
    report = map_report(road_map)
    junctions, signals, crosswalks, warnings = FILES[name]
    assert (report["junctions"], report["signals"], report["crosswalks"]) == (junctions, signals, crosswalks)
    assert report["dangling"] == 0
    assert len(report["warnings"]) <= warnings, report["warnings"]
    assert road_map.name == Path(name).stem
    assert format_report(report).startswith(road_map.name)


@pytest.mark.parametrize("name", FILES)
def test_joints_are_exact(data_dir, name):
    """No gap of 0.1 m or more between driving lanes that follow each other."""
    road_map = map_of(data_dir / name)
    for lane in np.flatnonzero(road_map.lanes["kind"] == LaneKind.DRIVING):
        last = road_map.lane_points(int(lane))[-1]
        for follower in road_map.lane_successors(int(lane)):
            first = road_map.lane_points(int(follower))[0]
            assert np.hypot(first["x"] - last["x"], first["y"] - last["y"]) < 0.1, road_map.lane_names[lane]


@pytest.mark.parametrize("name", FILES)
def test_lanes_end_only_where_they_may(data_dir, name):
    """A driving lane ends at the rim of the map, or with a lane beside it to change to, or is a turning lane used both ways."""
    draft = draft_of(data_dir / name)
    lanes = {one.name: one for one in draft.lanes}
    leads_in = {follower for one in draft.lanes for follower in one.successors}
    for one in draft.lanes:
        if one.kind != LaneKind.DRIVING or one.successors:
            continue
        both_ways = one.opposite is not None and one.opposite.rstrip("r").split("@")[0] == one.name.rstrip("r").split("@")[0]
        beside = [side for side in (one.left, one.right) if side is not None and lanes[side].successors]
        # At the rim nothing begins where a lane over against it ends either.
        at_rim = one.junction is None and (one.opposite is None or one.opposite not in leads_in)
        assert both_ways or beside or at_rim, one.name


@pytest.mark.parametrize("name", FILES)
def test_neighbours_run_side_by_side(data_dir, name):
    draft = draft_of(data_dir / name)
    lanes = {one.name: one for one in draft.lanes}
    for one in draft.lanes:
        if one.left is None:
            continue
        other = lanes[one.left]
        assert other.right == one.name
        for index in (0, -1):
            distance = np.hypot(*(one.centreline[index] - other.centreline[index])[:2])
            widths = np.asarray(one.half_width)[index] + np.asarray(other.half_width)[index]
            assert distance == pytest.approx(widths, abs=1.0), one.name


def approaches(road_map: LaneMap) -> dict[str, int]:
    return {control: count for control, count in map_report(road_map)["approaches_by_control"].items() if count}


def test_all_way_stop_of_plates(data_dir):
    assert approaches(map_of(data_dir / (MALIPUT + "XCrossStopAllWay.xodr"))) == {"all_way_stop": 4}


def test_lights_of_a_town(data_dir):
    assert approaches(map_of(data_dir / (CARLA + "Town01.xodr"))) == {"signal": 36}


def test_signs_of_a_town(data_dir):
    road_map = map_of(data_dir / (CARLA + "Town07.xodr"))
    found = approaches(road_map)
    assert found["yield"] >= 17
    assert found["all_way_stop"] >= 15
    assert found["signal"] == 18


def test_lights_of_five_intersections(data_dir):
    road_map = map_of(data_dir / (ESMINI + "multi_intersections.xodr"))
    assert approaches(road_map) == {"signal": 18}
    # The hold lines are painted 4 m before the end of the roads, behind the crosswalks.
    before = [
        road_map.lanes["length"][lane] - road_map.lanes["stop_s"][lane]
        for lane in np.flatnonzero(road_map.lanes["stop_s"] >= 0.0)
    ]
    assert all(3.9 < distance < 8.0 for distance in before)


@pytest.mark.parametrize("name", [ESMINI + "simple_4way_intersection.xodr", ESMINI + "fabriksgatan.xodr"])
def test_unsigned_junctions_can_be_made_all_way(data_dir, name):
    road_map = load_opendrive(data_dir / name, overrides={"all": "all_way_stop"})
    assert approaches(road_map) == {"all_way_stop": 4}
    inner = (road_map.lanes["kind"] == LaneKind.DRIVING) & (road_map.lanes["junction"] >= 0)
    assert np.all(road_map.lanes["regulation"][inner] == Regulation.ALL_WAY_STOP)


def test_bridge_does_not_cross_the_road_below(data_dir):
    """Town03's lanes at different heights share no conflict."""
    road_map = map_of(data_dir / (CARLA + "Town03.xodr"))
    lanes = road_map.lanes
    for cluster in road_map.clusters:
        size = cluster["size"]
        matrix = road_map.cluster_matrix[cluster["matrix_start"] : cluster["matrix_start"] + size * size].reshape(size, size)
        members = np.flatnonzero(
            lanes["cluster"] == np.flatnonzero(road_map.clusters["matrix_start"] == cluster["matrix_start"])[0]
        )
        heights = np.array([road_map.lane_points(int(lane))["z"].mean() for lane in members[np.argsort(lanes["local"][members])]])
        a, b = np.nonzero(matrix >= 0)
        assert np.all(np.abs(heights[a] - heights[b]) < 4.0)


def test_reading_is_deterministic(data_dir):
    path = data_dir / (CARLA + "Town07.xodr")
    first, second = read_opendrive(path), draft_of(path)
    assert [(one.name, one.successors, one.regulation) for one in first.lanes] == [
        (one.name, one.successors, one.regulation) for one in second.lanes
    ]
