"""Lanes from roads: cross-sections, links of every kind, neighbours, chains, speed limits, and left-hand traffic."""

from __future__ import annotations

import numpy as np
import pytest

from scenarios.formats.opendrive import parse_opendrive
from sim.roads.assemble import assemble
from sim.roads.lane_map import LaneKind, MapDraft
from tests.scenarios.formats.xodr import crossroads, document, follow, geometry, lane, road, section, to_junction, to_road


def read(*parts: str) -> MapDraft:
    return parse_opendrive(document(*parts), name="test")


def by_name(draft: MapDraft):
    return {one.name: one for one in draft.lanes}


def test_two_way_road():
    lanes = by_name(read(road("1", sections=[section([lane(-1)], [lane(1)])])))
    right, left = lanes["1.-1"], lanes["1.1"]
    np.testing.assert_allclose(right.centreline[[0, -1]], [[0, -1.75, 0], [100, -1.75, 0]], atol=1e-9)
    np.testing.assert_allclose(left.centreline[[0, -1]], [[100, 1.75, 0], [0, 1.75, 0]], atol=1e-9)
    np.testing.assert_allclose(right.half_width, 1.75)
    assert (right.opposite, left.opposite) == ("1.1", "1.-1")
    assert right.left is None
    assert right.right is None


def test_left_hand_traffic_turns_the_lanes_round():
    draft = read(road("1", rule="LHT", sections=[section([lane(-1)], [lane(1)])]))
    lanes = by_name(draft)
    assert draft.left_hand_traffic
    np.testing.assert_allclose(lanes["1.1"].centreline[0], [0, 1.75, 0], atol=1e-9)
    np.testing.assert_allclose(lanes["1.-1"].centreline[0], [100, -1.75, 0], atol=1e-9)


def test_neighbours_are_in_driving_direction():
    lanes = by_name(read(road("1", sections=[section([lane(-1), lane(-2)], [lane(1), lane(2)])])))
    assert (lanes["1.-2"].left, lanes["1.-1"].right) == ("1.-1", "1.-2")
    assert (lanes["1.2"].left, lanes["1.1"].right) == ("1.1", "1.2")
    assert lanes["1.-2"].opposite is None


def test_a_wide_median_is_no_neighbour():
    lanes = by_name(read(road("1", sections=[section([lane(-1, kind="median", width=3.0), lane(-2)], [lane(1)])])))
    assert lanes["1.1"].opposite is None
    np.testing.assert_allclose(lanes["1.-2"].centreline[:, 1], -4.75)


def test_borders_give_the_same_lane_as_widths():
    borders = [lane(-1, inside='<border sOffset="0" a="-3.0"/>'), lane(-2, inside='<border sOffset="0" a="-7.0" b="-0.01"/>')]
    lanes = by_name(read(road("1", sections=[section(borders)])))
    np.testing.assert_allclose(lanes["1.-1"].half_width, 1.5)
    np.testing.assert_allclose(lanes["1.-2"].half_width[[0, -1]], [2.0, 2.5])
    np.testing.assert_allclose(lanes["1.-2"].centreline[[0, -1], 1], [-5.0, -5.5])


def test_lane_offset_moves_all_lanes():
    text = road("1", lanes='<laneOffset s="0" a="2" b="0.01"/>', sections=[section([lane(-1)], [lane(1)])])
    lanes = by_name(read(text))
    np.testing.assert_allclose(lanes["1.-1"].centreline[[0, -1], 1], [0.25, 1.25], atol=1e-6)
    np.testing.assert_allclose(lanes["1.1"].centreline[[0, -1], 1], [4.75, 3.75], atol=1e-6)


def test_elevation_is_kept_so_that_a_bridge_crosses_nothing():
    under = road("1", plan=geometry(x=-50.0))
    over = road("2", plan=geometry(y=-50.0, hdg=np.pi / 2), elevation='<elevation s="0" a="6"/>')
    bridge = read(under, over)
    np.testing.assert_allclose(by_name(bridge)["2.-1"].centreline[:, 2], 6.0)
    assert not bridge.warnings
    assert len(assemble(bridge).conflicts) == 0
    level = read(under, road("2", plan=geometry(y=-50.0, hdg=np.pi / 2)))
    assert len(assemble(level).conflicts) > 0


def test_roads_crossing_without_a_junction_get_one():
    draft = read(road("1", plan=geometry(x=-50.0)), road("2", plan=geometry(y=-50.0, hdg=np.pi / 2)))
    inside = [one for one in draft.lanes if one.junction == "crossing 1"]
    assert len(inside) == 2
    assert any("crossed without a junction" in warning for warning in draft.warnings)
    for one in inside:
        (before,) = [other for other in draft.lanes if one.name in other.successors]
        np.testing.assert_allclose(before.centreline[-1], one.centreline[0])
        assert np.hypot(*one.centreline[0, :2] - [1.75, -1.75]) < 8.0


@pytest.mark.parametrize(
    ("contact_a", "contact_b", "lane_a", "lane_b"),
    [("end", "start", -1, -1), ("end", "end", -1, 1), ("start", "start", 1, -1), ("start", "end", 1, 1)],
)
def test_roads_join_at_any_pair_of_ends(contact_a, contact_b, lane_a, lane_b):
    """Road 1 lies on 0..100, road 2 on 100..200 with whatever direction its contact point asks for."""
    tag_a, tag_b = ("successor" if contact == "end" else "predecessor" for contact in (contact_a, contact_b))
    plan_a = geometry() if contact_a == "end" else geometry(x=100.0, hdg=np.pi)
    plan_b = geometry(x=100.0) if contact_b == "start" else geometry(x=200.0, hdg=np.pi)
    link_a = follow(after=lane_b) if contact_a == "end" else follow(before=lane_b)
    link_b = follow(before=lane_a) if contact_b == "start" else follow(after=lane_a)
    one = section([lane(-1, link=link_a)] if lane_a < 0 else (), [lane(1, link=link_a)] if lane_a > 0 else ())
    two = section([lane(-1, link=link_b)] if lane_b < 0 else (), [lane(1, link=link_b)] if lane_b > 0 else ())
    lanes = by_name(
        read(
            road("1", plan=plan_a, sections=[one], link=to_road(tag_a, "2", contact_b)),
            road("2", plan=plan_b, sections=[two], link=to_road(tag_b, "1", contact_a)),
        )
    )
    first, second = lanes[f"1.{lane_a}"], lanes[f"2.{lane_b}"]
    assert first.successors == (second.name,)
    np.testing.assert_allclose(first.centreline[-1], second.centreline[0], atol=1e-9)


def test_links_told_by_one_side_only_are_enough():
    link = to_road("predecessor", "1", "end")
    lanes = by_name(
        read(
            road("1", link=to_road("successor", "2", "start")),
            road("2", plan=geometry(x=100.0), link=link, sections=[section([lane(-1, link=follow(before=-1))])]),
        )
    )
    assert lanes["1.-1"].successors == ("2.-1",)


def test_missing_lane_links_are_made_up_by_position():
    draft = read(
        road("1", link=to_road("successor", "2", "start")),
        road("2", plan=geometry(x=100.0), link=to_road("predecessor", "1", "end")),
    )
    assert by_name(draft)["1.-1"].successors == ("2.-1",)
    assert any("joined by position" in warning for warning in draft.warnings)


def test_sections_with_the_same_lanes_become_one_lane():
    sections = [section([lane(-1, link=follow(after=-1))]), section([lane(-1, link=follow(before=-1))], s=40.0)]
    (only,) = read(road("1", sections=sections)).lanes
    np.testing.assert_allclose(only.centreline[[0, -1], 0], [0.0, 100.0])
    assert np.all(np.diff(only.centreline[:, 0]) > 0.0)


def test_sections_with_different_lanes_stay_apart_with_neighbours_in_step():
    sections = [
        section([lane(-1, link=follow(after=-1))]),
        section([lane(-1, link=follow(before=-1, after=-1)), lane(-2)], s=40.0),
        section([lane(-1, link=follow(before=-1))], s=70.0),
    ]
    lanes = by_name(read(road("1", sections=sections)))
    assert set(lanes) == {"1.-1", "1.-1@40", "1.-2", "1.-1@70"}
    assert lanes["1.-2"].left == "1.-1@40"
    assert lanes["1.-1@40"].successors == ("1.-1@70",)


def test_opening_lane_begins_where_it_is_wide_enough_and_has_a_neighbour():
    opening = lane(-2, inside='<width sOffset="0" a="0" b="0.1"/><width sOffset="35" a="3.5"/>')
    draft = read(road("1", sections=[section([lane(-1), opening])]))
    lanes = by_name(draft)
    assert lanes["1.-2"].centreline[0, 0] == pytest.approx(15.0, abs=0.6)
    assert lanes["1.-2"].left == "1.-1@15"
    assert lanes["1.-1"].successors == ("1.-1@15",)
    assert lanes["1.-1"].right is None
    np.testing.assert_allclose(lanes["1.-2"].centreline[[0, -1], 0], lanes["1.-1@15"].centreline[[0, -1], 0])


def test_closing_lane_is_no_dangling_end():
    closing = lane(-2, inside='<width sOffset="0" a="3.5"/><width sOffset="50" a="3.5" b="-0.1"/>', link=follow(after=-2))
    after = section(
        [lane(-1, link=follow(before=-1)), lane(-2, inside='<width sOffset="0" a="0"/>', link=follow(before=-2))], s=85.0
    )
    draft = read(road("1", sections=[section([lane(-1, link=follow(after=-1)), closing]), after]))
    road_map = assemble(draft)
    assert not road_map.dangling
    assert by_name(draft)["1.-2"].successors == ()


def test_lane_that_should_go_on_but_does_not_dangles():
    text = road("1", sections=[section([lane(-1, link=follow(after=-3))])], link=to_road("successor", "2", "start"))
    road_map = assemble(read(text, road("2", plan=geometry(x=100.0))))
    assert [road_map.lane_names[one] for one in road_map.dangling] == ["1.-1"]


def test_plain_end_of_a_road_does_not_dangle():
    assert not assemble(read(road("1"))).dangling


def test_gap_at_a_joint_names_road_lane_and_s():
    draft = read(
        road("1", link=to_road("successor", "2", "start"), sections=[section([lane(-1, link=follow(after=-1))])]),
        road("2", plan=geometry(x=100.3), link=to_road("predecessor", "1", "end")),
    )
    (warning,) = assemble(draft).warnings
    assert "'1.-1'" in warning
    assert "s=100.00" in warning
    assert "0.30 m" in warning


def test_joint_across_a_field_is_refused():
    draft = read(
        road("1", link=to_road("successor", "2", "start"), sections=[section([lane(-1, link=follow(after=-1))])]),
        road("2", plan=geometry(x=150.0)),
    )
    assert any("50.00 m away; not joined" in warning for warning in draft.warnings)
    assert len(assemble(draft).dangling) == 1


def test_rounding_error_roads_are_left_out():
    draft = read(
        road("1", link=to_road("successor", "2", "start"), sections=[section([lane(-1, link=follow(after=-1))])]),
        road(
            "2",
            length=0.01,
            plan=geometry(0.01, x=100.0),
            link=to_road("successor", "3", "start"),
            sections=[section([lane(-1, link=follow(before=-1, after=-1))])],
        ),
        road("3", plan=geometry(x=100.01)),
    )
    lanes = by_name(draft)
    assert set(lanes) == {"1.-1", "3.-1"}
    assert lanes["1.-1"].successors == ("3.-1",)


def test_common_junction():
    draft = parse_opendrive(crossroads())
    lanes = by_name(draft)
    assert lanes["0.-1"].successors == ("10.-1",)
    assert lanes["10.-1"].successors == ("2.1",)
    assert lanes["10.-1"].junction == "middle"
    assert lanes["0.-1"].junction is None
    assert lanes["0.-1"].road == "east"
    road_map = assemble(draft)
    assert road_map.junction_names == ("middle",)
    assert len(road_map.conflicts) > 0


def test_direct_junction_joins_roads_without_connecting_roads():
    junction = """<junction id="5" type="direct">
<connection id="0" incomingRoad="1" linkedRoad="2" contactPoint="start"><laneLink from="-1" to="-1"/></connection>
<connection id="1" incomingRoad="1" linkedRoad="3" contactPoint="start"><laneLink from="-2" to="-1"/></connection></junction>"""
    ramp = geometry(x=100.0, y=-3.5, shape='<arc curvature="-0.01"/>')
    lanes = by_name(
        read(
            road("1", sections=[section([lane(-1), lane(-2)])], link=to_junction("successor", "5")),
            road("2", plan=geometry(x=100.0), link=to_junction("predecessor", "5")),
            road("3", plan=ramp, link=to_junction("predecessor", "5")),
            junction,
        )
    )
    assert lanes["1.-1"].successors == ("2.-1",)
    assert lanes["1.-2"].successors == ("3.-1",)
    assert all(one.junction is None for one in lanes.values())


def test_virtual_junction_warns_and_drives_on():
    draft = read(road("1"), '<junction id="5" type="virtual" mainRoad="1" sStart="20" sEnd="40" orientation="+"/>')
    assert any("virtual" in warning for warning in draft.warnings)
    assert len(draft.lanes) == 1


def test_junction_with_both_ends_of_a_road_uses_the_nearer_one():
    loop = road("1", link=to_junction("predecessor", "5") + to_junction("successor", "5"))
    inner = road("2", plan=geometry(x=100.0), junction="5", link=to_road("predecessor", "1", "end"))
    connection = (
        '<connection id="0" incomingRoad="1" connectingRoad="2" contactPoint="start"><laneLink from="-1" to="-1"/></connection>'
    )
    junction = f'<junction id="5">{connection}</junction>'
    assert by_name(read(loop, inner, junction))["1.-1"].successors == ("2.-1",)


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("driving", LaneKind.DRIVING),
        ("entry", LaneKind.DRIVING),
        ("offRamp", LaneKind.DRIVING),
        ("biking", LaneKind.CYCLE),
        ("shoulder", LaneKind.SHOULDER),
        ("stop", LaneKind.SHOULDER),
        ("parking", LaneKind.PARKING),
    ],
)
def test_lane_types(kind, expected):
    assert by_name(read(road("1", sections=[section([lane(-1), lane(-2, kind=kind)])])))["1.-2"].kind == expected


@pytest.mark.parametrize("kind", ["none", "border", "median", "restricted", "curb", "tram"])
def test_types_that_only_take_up_width(kind):
    lanes = by_name(read(road("1", sections=[section([lane(-1, kind=kind, width=2.0), lane(-2)])])))
    assert set(lanes) == {"1.-2"}
    np.testing.assert_allclose(lanes["1.-2"].centreline[:, 1], -3.75)


@pytest.mark.parametrize(("kind", "extra"), [("bidirectional", ""), ("sidewalk", ""), ("driving", 'direction="both"')])
def test_lanes_used_both_ways(kind, extra):
    lanes = by_name(read(road("1", sections=[section([lane(-1, kind=kind, extra=extra), lane(-2)])])))
    np.testing.assert_allclose(lanes["1.-1"].centreline, lanes["1.-1r"].centreline[::-1])
    if kind != "sidewalk":
        assert lanes["1.-1"].opposite == "1.-1r"


def test_reversed_lane():
    lanes = by_name(read(road("1", sections=[section([lane(-1, extra='direction="reversed"'), lane(-2)])])))
    assert lanes["1.-1"].centreline[0, 0] == pytest.approx(100.0)


def test_single_sided_sections_keep_the_other_side():
    both = section([lane(-1, link=follow(after=-1))], [lane(1)])
    right_only = section([lane(-1, link=follow(before=-1)), lane(-2)], s=50.0, extra='singleSide="true"')
    lanes = by_name(read(road("1", sections=[both, right_only])))
    np.testing.assert_allclose(lanes["1.1"].centreline[[0, -1], 0], [100.0, 0.0])
    assert lanes["1.-2"].left == "1.-1@50"


@pytest.mark.parametrize(("unit", "factor"), [("", 1.0), ('unit="m/s"', 1.0), ('unit="km/h"', 1 / 3.6), ('unit="mph"', 0.44704)])
def test_speed_units(unit, factor):
    draft = read(road("1", types=f'<type s="0" type="town"><speed max="20" {unit}/></type>'))
    assert draft.lanes[0].speed_limit == pytest.approx(20 * factor)


def test_speed_changes_along_the_road_and_on_the_lane():
    types = '<type s="0" type="rural"><speed max="10"/></type><type s="50" type="rural"><speed max="20"/></type>'
    slow = lane(-2, inside='<width sOffset="0" a="3.5"/><speed sOffset="80" max="5"/>')
    lanes = by_name(read(road("1", types=types, sections=[section([lane(-1), slow])])))
    limit = lanes["1.-2"].speed_limit
    np.testing.assert_allclose(limit[[0, 90, 110, -1]], [10, 10, 20, 5])
    np.testing.assert_allclose(lanes["1.-1"].speed_limit[[0, -1]], [10, 20])


@pytest.mark.parametrize(
    ("types", "kph"),
    [
        ('<type s="0" type="town"/>', 50),
        ('<type s="0" type="motorway"/>', 130),
        ('<type s="0" type="town"><speed max="no limit"/></type>', 130),
    ],
)
def test_limit_by_road_type(types, kph):
    draft = read(road("1", types=types))
    assert draft.lanes[0].speed_limit * 3.6 == pytest.approx(kph, abs=0.1)
    assert not draft.warnings


def test_unknown_limit_is_fifty_with_one_warning():
    draft = read(road("1", types=""), road("2", types="", plan=geometry(y=50.0)))
    assert all(one.speed_limit == pytest.approx(50 / 3.6) for one in draft.lanes)
    assert sum("50 km/h assumed" in warning for warning in draft.warnings) == 1


def test_junction_lanes_take_the_limit_of_their_approach():
    text = crossroads().replace('<type s="0" type="town"/>', '<type s="0" type="town"><speed max="9"/></type>')
    assert by_name(parse_opendrive(text))["10.-1"].speed_limit == pytest.approx(9.0)


def test_superelevation_tilts_the_lanes():
    """Positive: the road falls to the right, by the sine of the angle; seen from above it is as much narrower as the cosine."""
    sides = [section([lane(-1)], [lane(1)])]
    draft = read(road("1", sections=sides, lateral='<superelevation s="0" a="0.05"/>', elevation='<elevation s="0" a="7"/>'))
    for name, t in (("1.-1", -1.75), ("1.1", 1.75)):
        line = next(one for one in draft.lanes if one.name == name).centreline
        np.testing.assert_allclose(line[:, 1], t * np.cos(0.05), atol=1e-9)
        np.testing.assert_allclose(line[:, 2], 7.0 + t * np.sin(0.05), atol=1e-9)
    assert draft.warnings == () or not any("superelevation" in warning for warning in draft.warnings)


def test_width_below_zero_is_taken_as_zero_with_a_warning():
    dip = lane(-2, kind="shoulder", inside='<width sOffset="0" a="1.0" b="-0.02"/>')
    draft = read(road("1", sections=[section([lane(-1), dip])]))
    assert any("width falls to -1.00 m" in warning for warning in draft.warnings)


def test_reading_twice_gives_the_same_draft():
    first, second = (parse_opendrive(crossroads()) for _ in range(2))
    assert [one.name for one in first.lanes] == [one.name for one in second.lanes]
    for one, two in zip(first.lanes, second.lanes, strict=True):
        np.testing.assert_array_equal(one.centreline, two.centreline)
