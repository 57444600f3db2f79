"""Lanelet2 maps: geometry, links, rules, lights; bad files; the files of the data folder against their own library."""

from __future__ import annotations

import math
import os
import re
from pathlib import Path

import numpy as np
import pytest

from scenarios.errors import InputError
from scenarios.formats.lanelet2 import draft_map, parse_lanelet2
from scenarios.formats.lanelet2_model import Lanelet2, rungs, utm, zone_of
from scenarios.maps import ground_of
from scenarios.model import MapSpec
from sim.interface import Colour
from sim.roads.assemble import assemble
from sim.roads.lane_map import LaneDraft, LaneKind, MapDraft, Regulation
from tests.oracles.lanelet2_wheel import PYTHON, compare
from tests.scenarios.formats.osm import Osm, crossroads, straight


def lanes_of(draft: MapDraft) -> dict[str, LaneDraft]:
    return {lane.name: lane for lane in draft.lanes}


def read(file: Osm) -> tuple[Lanelet2, dict[str, LaneDraft], MapDraft]:
    source = parse_lanelet2(file.text())
    draft = draft_map(source)
    return source, lanes_of(draft), draft


def test_utm_of_known_places() -> None:
    """Zone 32 at its central meridian, and the easting and northing of Karlsruhe castle (49.0135° N, 8.4044° E)."""
    assert np.allclose(utm(np.array([0.0]), np.array([9.0]), 32), [[500_000.0, 0.0]])
    meridian = utm(np.array([45.0]), np.array([9.0]), 32)[0, 1] / 0.9996
    assert meridian == pytest.approx(4_984_944.378, abs=0.001)  # length of the meridian from the equator to 45°, WGS 84
    assert zone_of(np.array([[49.0, 8.4]])) == 32
    assert zone_of(np.array([[0.0, 180.0]])) == 60
    scale = np.hypot(*np.diff(utm(np.array([49.0, 49.0]), np.array([8.4, 8.401]), 32), axis=0)[0])
    assert scale == pytest.approx(73.2, abs=0.2)


def test_lanelets_that_share_both_ends_follow_each_other_and_crossing_ones_are_a_junction() -> None:
    file, names = crossroads()
    source, lanes, _ = read(file)
    w = [str(names[f"w{k}"]) for k in range(3)]
    assert source.lanes[w[0]].successors == (w[1],)
    assert lanes[w[1]].junction == lanes[str(names["s1"])].junction is not None
    assert lanes[w[0]].junction is None
    assert lanes[w[0]].centreline[-1, :2] == pytest.approx([-8.0, 0.0])
    assert np.asarray(lanes[w[0]].half_width) == pytest.approx(1.75)
    assert lanes[w[0]].speed_limit == pytest.approx(50.0 / 3.6)
    assert len(assemble(draft_map(source)).conflicts) > 0


def test_bounds_are_turned_to_run_along_the_lanelet() -> None:
    file = Osm()
    left, right = file.way([(40.0, 4.0), (0.0, 4.0)]), file.way([(0.0, 0.0), (40.0, 0.0)])
    name = str(file.lanelet(left, right))
    lane = parse_lanelet2(file.text()).lanes[name]
    assert lane.centre[:, 0].tolist() == [0.0, 20.0, 40.0] or lane.centre[0, 0] == 0.0
    assert np.allclose(lane.centre[:, 1], 2.0)


def test_two_ways_are_two_lanes_over_against_each_other() -> None:
    file = Osm()
    name = str(straight(file, (0.0, 0.0), (50.0, 0.0), one_way="no"))
    _, lanes, draft = read(file)
    assert set(lanes) == {name, f"{name}_back"}
    assert lanes[name].opposite == f"{name}_back"
    assert np.allclose(lanes[f"{name}_back"].centreline, lanes[name].centreline[::-1])
    assert not draft.left_hand_traffic


@pytest.mark.parametrize(
    ("line", "left_of_right", "right_of_left"),
    [
        ({"subtype": "dashed"}, True, True),
        ({"subtype": "solid"}, False, False),
        ({"subtype": "dashed_solid"}, False, True),
        ({"subtype": "solid_dashed"}, True, False),
        ({"subtype": "solid", "lane_change": "yes"}, True, True),
        ({"subtype": "dashed", "lane_change__left": "no"}, False, True),
    ],
)
def test_lines_say_who_may_change_lane(line: dict[str, str], left_of_right: bool, right_of_left: bool) -> None:
    """`dashed_solid` is dashed on its left: who drives there may change to the right."""
    file = Osm()
    edges = [file.way([(0.0, y), (50.0, y)], type="line_thin", subtype="solid") for y in (7.0, 0.0)]
    middle = file.way([(0.0, 3.5), (50.0, 3.5)], **({"type": "line_thin"} | line))
    left, right = str(file.lanelet(edges[0], middle)), str(file.lanelet(middle, edges[1]))
    _, lanes, _ = read(file)
    assert (lanes[right].left == left, lanes[left].right == right) == (left_of_right, right_of_left)
    for number, part in enumerate(file.parts):  # the same lines, drawn from the other end: what was left of them is right
        if "<way" in part and line["subtype"] in ("dashed_solid", "solid_dashed"):
            nodes = re.findall(r"<nd[^>]*>", part)
            file.parts[number] = part.replace("".join(nodes), "".join(nodes[::-1]))
    _, turned, _ = read(file)
    if line["subtype"] in ("dashed_solid", "solid_dashed"):
        assert (turned[right].left == left, turned[left].right == right) == (right_of_left, left_of_right)
    assert lanes[left].road == lanes[right].road


@pytest.mark.parametrize(
    ("values", "limit_kph"),
    [
        ({"speed_limit": "60"}, 60.0), ({"speed_limit": "30 mph"}, 48.28), ({"speed_limit": "10 m/s"}, 36.0),
        ({"location": "nonurban"}, 100.0), ({"subtype": "highway", "location": "nonurban"}, 130.0),
    ],
)  # fmt: skip
def test_limits(values: dict[str, str], limit_kph: float) -> None:
    file, names = crossroads(values)
    _, lanes, _ = read(file)
    assert 3.6 * float(lanes[str(names["w0"])].speed_limit) == pytest.approx(limit_kph, abs=0.01)


def test_a_speed_limit_sign_overrules() -> None:
    file = Osm()
    post = file.way([(0.0, 5.0), (0.0, 5.5)], type="traffic_sign", subtype="de274-30")
    rule = file.rule("speed_limit", [("way", "refers", post)])
    name = str(straight(file, (0.0, 0.0), (50.0, 0.0), rule, speed_limit="60"))
    _, lanes, _ = read(file)
    assert lanes[name].speed_limit == pytest.approx(30.0 / 3.6)


def regulated(subtype: str, sign: str | None) -> tuple[dict[str, LaneDraft], dict[str, str], MapDraft]:
    """The crossroads with a rule for who comes from the west."""
    file, numbers = crossroads()
    line = file.way([(-10.0, 2.0), (-10.0, -2.0)], type="stop_line")
    members = [("way", "ref_line", line)]
    if subtype == "traffic_light":
        members.append(("way", "refers", file.way([(-8.0, 5.0), (-8.0, 5.5)], type="traffic_light")))
    else:
        members += [("relation", "yield", numbers["w0"]), ("relation", "right_of_way", numbers["s0"])]
    if sign:
        members.append(("way", "refers", file.way([(-9.0, 4.0), (-9.0, 4.5)], type="traffic_sign", subtype=sign)))
    rule = file.rule(subtype, members)
    for k, part in enumerate(file.parts):
        if part.startswith(f'<relation id="{numbers["w0"]}"'):
            file.parts[k] = part.replace("<tag", f'<member type="relation" role="regulatory_element" ref="{rule}"/><tag', 1)
    _, lanes, draft = read(file)
    return lanes, {key: str(number) for key, number in numbers.items()}, draft


@pytest.mark.parametrize(
    ("subtype", "sign", "regulation"),
    [
        ("right_of_way", "de205", Regulation.YIELD), ("right_of_way", "de206", Regulation.STOP),
        ("right_of_way", "us_r1-1", Regulation.STOP), ("right_of_way", None, Regulation.NONE),
        ("all_way_stop", None, Regulation.ALL_WAY_STOP), ("traffic_light", None, Regulation.SIGNAL),
    ],
)  # fmt: skip
def test_rules_reach_the_lane_before_the_junction(subtype: str, sign: str | None, regulation: Regulation) -> None:
    lanes, names, draft = regulated(subtype, sign)
    assert lanes[names["w0"]].regulation == regulation
    if subtype == "right_of_way":
        assert lanes[names["w1"]].yields_to == (names["s1"],)
        assert lanes[names["s1"]].yields_to == ()
    if regulation != Regulation.NONE:
        assert lanes[names["w0"]].stop_s == pytest.approx(50.0, abs=0.1)
    if regulation == Regulation.SIGNAL:
        assert {colour for plan in draft.signals for _, colour in plan.phases} >= {Colour.GREEN, Colour.YELLOW, Colour.RED}
        assert any("without a programme" in warning for warning in draft.warnings)


def test_kinds_crosswalks_and_buildings() -> None:
    file, _ = crossroads()
    kinds = {
        "crosswalk": LaneKind.CROSSWALK, "walkway": LaneKind.SIDEWALK, "bicycle_lane": LaneKind.CYCLE,
        "road_shoulder": LaneKind.SHOULDER,
    }  # fmt: skip
    names = {
        kind: str(straight(file, (20.0 + 5 * k, -9.0), (20.0 + 5 * k, 9.0), subtype=kind, one_way="no"))
        for k, kind in enumerate(kinds)
    }
    path = str(straight(file, (60.0, 10.0), (60.0, 40.0), participant__bicycle="yes", participant__pedestrian="yes"))
    wall = [file.way([(70.0, 10.0), (90.0, 10.0), (90.0, 30.0)]), file.way([(70.0, 10.0), (70.0, 30.0), (90.0, 30.0)])]
    file.relation([("way", "outer", one) for one in wall], type="multipolygon", subtype="building")
    _, lanes, draft = read(file)
    for kind, number in names.items():
        assert lanes[number].kind == kinds[kind]
    assert lanes[path].kind == LaneKind.CYCLE
    assert draft.crosswalks[0].lanes == (names["crosswalk"], names["crosswalk"] + "_back")
    assert sorted(map(tuple, draft.scenery[0].tolist())) == [(70.0, 10.0), (70.0, 30.0), (90.0, 10.0), (90.0, 30.0)]


def test_rungs_do_not_cross_a_bound() -> None:
    left = np.array([[0.0, 4.0, 0.0], [10.0, 4.0, 0.0], [10.0, 2.5, 0.0], [11.0, 2.5, 0.0], [11.0, 4.0, 0.0], [20.0, 4.0, 0.0]])
    right = np.array([[0.0, 0.0, 0.0], [20.0, 0.0, 0.0]])
    one, other = rungs(left, right)
    assert np.array_equal(one[[0, -1]], left[[0, -1]])
    assert np.all(np.diff(0.5 * (one + other)[:, 0]) >= -1e-9)


def wrong(text: str, old: str, new: str) -> str:
    assert old in text
    return text.replace(old, new, 1)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('<osm version="0.6">', '<osm version="0.6"><gpx>', "not well-formed"),
        ('<nd ref="1"/>', '<nd ref="999"/>', "node '999' is not in the file"),
        ('role="left" ref="1001"', 'role="left" ref="5"', "way '5' is not in the file"),
        ('role="left"', 'role="top"', "has no left bound"),
        ('k="local_x" v="-60.0"', 'k="local_x" v="nan"', "local_x='nan' is not a number"),
        ('<way id="1001">', '<way id="1002">', "id='1002' is taken"),
        ('v="urban"/>', 'v="urban"/><tag k="speed_limit" v="fast"/>', "speed_limit='fast' is no speed"),
        ('<?xml version="1.0"?>', '<!DOCTYPE osm [<!ENTITY a "b">]>', "entity declaration 'a' is refused"),
        ("</osm>", "", "not well-formed"),
        ('v="lanelet"', 'v="lane"', None),
    ],
)
def test_faults_name_their_place(old: str, new: str, message: str | None) -> None:
    text = crossroads()[0].text()
    if message is None:
        assert any("type 'lane' is not supported" in line for line in parse_lanelet2(wrong(text, old, new)).warnings)
        return
    with pytest.raises(InputError, match=message) as caught:
        draft_map(parse_lanelet2(wrong(text, old, new), name="m.osm"))
    assert caught.value.line is not None


def test_places_on_the_globe() -> None:
    file = Osm(local=False)
    name = str(straight(file, (0.0, 0.0), (50.0, 0.0)))
    lane = parse_lanelet2(file.text()).lanes[name]
    assert np.hypot(*(lane.centre[-1] - lane.centre[0])[:2]) == pytest.approx(50.0, abs=0.3)
    assert lane.centre[0, 0] == pytest.approx(456_000.0, abs=500.0)
    with pytest.raises(InputError, match="not where roads are"):
        parse_lanelet2(wrong(file.text(), 'lat="', 'lat="1'))


def test_real_maps_are_read_whole(data_dir: Path) -> None:
    """Counts as in the files' own tags; nothing dangles."""
    counts = {"mapping_example": (371 - 2, 8), "lanelet2_map": (161, 8)}
    for path in sorted(data_dir.glob("lanelet2/*/*.osm")):
        road_map = ground_of(MapSpec(file=str(path)), Path.cwd()).road_map
        lanelets = {name.removesuffix("_back") for name in road_map.lane_names}
        assert (len(lanelets), len(road_map.crosswalks)) == counts[path.stem]
        assert len(road_map.signals) > 0
        assert road_map.left_hand_traffic == (path.stem == "lanelet2_map")
        assert math.isfinite(float(np.abs(road_map.points["curvature"]).max()))


@pytest.mark.slow
def test_real_maps_are_those_of_the_library(data_dir: Path) -> None:
    if PYTHON not in os.environ:
        pytest.skip(f"{PYTHON} is not set: it names an interpreter that has the lanelet2 wheel")
    for path in sorted(data_dir.glob("lanelet2/*/*.osm")):
        assert compare(str(path)) == []
