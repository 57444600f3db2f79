"""CommonRoad files: what is read of lanelets, control, obstacles and planning problems, and what is said of the rest."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from scenarios.errors import InputError
from scenarios.formats.commonroad import draft_map, half_widths, parse_commonroad
from sim.interface import Colour
from sim.roads.assemble import assemble
from sim.roads.lane_map import LaneDraft, LaneKind, Regulation
from tests.scenarios.formats import cr


def lanes_of(text: str) -> dict[str, LaneDraft]:
    return {lane.name: lane for lane in draft_map(parse_commonroad(text)).lanes}


def test_lanelets_become_lanes_with_links_and_neighbours() -> None:
    same, opposite = '<{0} ref="{1}" drivingDir="same"/>', '<{0} ref="{1}" drivingDir="opposite"/>'
    text = cr.document(
        cr.lanelet(1, (0, 0), (50, 0), inside=cr.refs(successor=2) + same.format("adjacentLeft", 3)),
        cr.lanelet(2, (50, 0), (90, 0), inside=cr.refs(predecessor=1)),
        cr.lanelet(3, (0, 3.5), (50, 3.5), inside=same.format("adjacentRight", 1) + opposite.format("adjacentLeft", 4)),
        cr.lanelet(4, (50, 7), (0, 7), inside=opposite.format("adjacentLeft", 3)),
    )
    road_map = assemble(draft_map(parse_commonroad(text)))
    one, two, three, four = (road_map.lane(name) for name in "1234")
    assert road_map.lane_successors(one).tolist() == [two]
    assert road_map.lanes["left"][one] == three
    assert road_map.lanes["right"][three] == one
    assert road_map.lanes["opposite"][three] == four
    assert road_map.lanes["opposite"][four] == three
    assert not road_map.left_hand_traffic
    points = road_map.lane_points(one)
    assert np.allclose(points["y"] + road_map.origin[1], 0.0, atol=1e-6)
    assert np.allclose(points["half_width"], 1.75, atol=1e-6)


def test_width_is_square_to_the_lane_where_bounds_are_cut_obliquely() -> None:
    left = "".join(cr.point(x + 3.0, 2.0) for x in (0, 10, 20))
    right = "".join(cr.point(x - 3.0, -2.0) for x in (0, 10, 20))
    text = cr.document(f'<lanelet id="1"><leftBound>{left}</leftBound><rightBound>{right}</rightBound></lanelet>')
    lanelet = parse_commonroad(text).lanelets["1"]
    assert np.allclose(half_widths(lanelet), 2.0)


def test_bounds_of_different_lengths_are_matched_and_said() -> None:
    left, right = ("".join(cr.point(x, y) for x in xs) for y, xs in ((2.0, (0, 5, 20)), (-2.0, (0, 10, 15, 20))))
    recording = parse_commonroad(
        cr.document(f'<lanelet id="1"><leftBound>{left}</leftBound><rightBound>{right}</rightBound></lanelet>')
    )
    centre = recording.lanelets["1"].centre
    assert np.allclose(centre[:, 1], 0.0)
    assert centre[0, 0] == 0.0
    assert centre[-1, 0] == 20.0
    assert any("different numbers of points" in line for line in recording.warnings)


@pytest.mark.parametrize(
    ("code", "regulation"),
    [("206", Regulation.STOP), ("R1-1", Regulation.STOP), ("205", Regulation.YIELD), ("R1-3P", Regulation.ALL_WAY_STOP)],
)
def test_signs_regulate_the_lanelet_before_the_junction(code: str, regulation: Regulation) -> None:
    lanes = lanes_of(cr.crossroads(signs=cr.sign(9, code), west=cr.refs(trafficSignRef=9)))
    assert lanes["1"].regulation == regulation
    assert lanes["4"].regulation == Regulation.NONE


def test_limits_come_from_signs_in_metres_per_second() -> None:
    lanes = lanes_of(cr.crossroads(signs=cr.sign(9, "274", "8.5"), west=cr.refs(trafficSignRef=9)))
    assert lanes["1"].speed_limit == 8.5
    assert lanes["4"].speed_limit == pytest.approx(50.0 / 3.6)


def test_what_crosses_without_an_intersection_is_a_junction_and_said() -> None:
    draft = draft_map(parse_commonroad(cr.crossroads()))
    inside = {lane.name: lane.junction for lane in draft.lanes}
    assert inside["2"] == inside["5"] is not None
    assert inside["1"] is inside["3"] is None
    assert any("outside the file's intersections" in line for line in draft.warnings)


def test_intersections_name_their_lanelets() -> None:
    incoming = '<incoming id="{0}">{1}</incoming>'
    inside = incoming.format(8, cr.refs(incomingLanelet=1, successorsStraight=2)) + incoming.format(
        9, cr.refs(incomingLanelet=4, successorsStraight=5)
    )
    draft = draft_map(parse_commonroad(cr.crossroads(f'<intersection id="7">{inside}</intersection>')))
    assert {lane.name for lane in draft.lanes if lane.junction == "7"} == {"2", "5"}
    assert not any("outside" in line for line in draft.warnings)


def test_lights_follow_their_cycle_and_offset() -> None:
    phases = [(40, "green"), (3, "yellow"), (10, "redYellow"), (30, "red")]
    text = cr.crossroads(signs=cr.light(9, phases, offset=25), west=cr.refs(trafficLightRef=9))
    draft = draft_map(parse_commonroad(text))
    assert {lane.name: lane for lane in draft.lanes}["1"].signal == "9"
    (plan,) = draft.signals
    assert plan.offset_s == pytest.approx(2.5)
    assert [colour for _, colour in plan.phases] == [Colour.GREEN, Colour.YELLOW, Colour.RED, Colour.RED]
    assert [duration for duration, _ in plan.phases] == pytest.approx([4.0, 0.3, 1.0, 3.0])


def test_an_arrow_holds_for_its_turn_alone() -> None:
    incoming = f'<incoming id="8">{cr.refs(incomingLanelet=1, successorsStraight=2, successorsLeft=20)}</incoming>'
    text = cr.document(
        cr.lanelet(1, (-80, 0), (-8, 0), inside=cr.refs(successor=(2, 20), trafficLightRef=9)),
        cr.lanelet(2, (-8, 0), (8, 0)),
        cr.lanelet(20, (-8, 0), (0, 8)),
        cr.light(9, [(10, "green"), (10, "red")], direction="left"),
        f'<intersection id="7">{incoming}</intersection>',
    )
    lanes = lanes_of(text)
    assert lanes["20"].regulation == Regulation.SIGNAL
    assert lanes["1"].regulation == lanes["2"].regulation == Regulation.NONE


def test_stop_lines_lie_where_they_are_drawn() -> None:
    line = f"<stopLine>{cr.point(-12, 1.7)}{cr.point(-12, -1.7)}<lineMarking>solid</lineMarking></stopLine>"
    lanes = lanes_of(cr.crossroads(signs=cr.sign(9, "206"), west=line + cr.refs(trafficSignRef=9)))
    assert lanes["1"].stop_s == pytest.approx(68.0)


def test_lanelets_for_walking_and_cycling() -> None:
    text = cr.document(
        cr.lanelet(1, (0, 0), (50, 0), inside="<laneletType>sidewalk</laneletType>"),
        cr.lanelet(2, (0, 5), (50, 5), inside="<laneletType>crosswalk</laneletType>"),
        cr.lanelet(3, (0, 9), (50, 9), inside="<userOneWay>bicycle</userOneWay>"),
        cr.lanelet(4, (0, 20), (50, 20), inside="<userOneWay>car</userOneWay><userOneWay>bus</userOneWay>"),
    )
    draft = draft_map(parse_commonroad(text))
    assert [lane.kind for lane in draft.lanes] == [LaneKind.SIDEWALK, LaneKind.CROSSWALK, LaneKind.CYCLE, LaneKind.DRIVING]
    assert len(draft.crosswalks) == 1


def test_road_users_keep_all_their_states() -> None:
    rows = [(0, -60.0, 0.0, 0.0, 10.0), (1, -59.0, 0.0, 0.1, 10.5), (2, -58.0, 0.1, 0.2, 11.0)]
    recording = parse_commonroad(cr.crossroads(cr.dynamic(30, rows, "bicycle"), cr.static(31, 5.0, 4.0)))
    cyclist, parked = recording.obstacles
    assert cyclist.type == "bicycle"
    assert np.array_equal(cyclist.states, np.array(rows))
    assert parked.role == "static"
    assert parked.states.shape == (1, 5)


def test_old_files_keep_the_role_inside() -> None:
    body = f"<role>dynamic</role><type>car</type><shape>{cr.RECTANGLE}</shape>{cr.state('initialState', 0, 1.0, 2.0)}"
    text = cr.document(cr.lanelet(1, (0, 0), (50, 0)), f'<obstacle id="4">{body}</obstacle>', version="2018b")
    (obstacle,) = parse_commonroad(text).obstacles
    assert obstacle.role == "dynamic"
    assert obstacle.states[0, 1:3].tolist() == [1.0, 2.0]


def test_headings_and_speeds_that_are_not_given_follow_from_the_way() -> None:
    first = cr.state("initialState", 0, 0.0, 0.0, None, None)
    later = "".join(cr.state("state", k, 0.0, 1.5 * k, None, None) for k in (1, 2, 3))
    text = cr.crossroads(
        f'<dynamicObstacle id="9"><type>car</type><shape>{cr.RECTANGLE}</shape>{first}<trajectory>{later}</trajectory>'
        "</dynamicObstacle>"
    )
    states = parse_commonroad(text).obstacles[0].states
    assert np.allclose(states[:, 3], 0.5 * math.pi)
    assert np.allclose(states[:, 4], 15.0)


def test_shapes_off_their_centre_and_round_ones() -> None:
    moved = (
        "<rectangle><length>4</length><width>2</width><orientation>1.5707963</orientation>"
        "<center><x>1</x><y>0</y></center></rectangle>"
    )
    (first, second, third) = parse_commonroad(
        cr.crossroads(
            cr.static(1, 0.0, 0.0, shape=moved),
            cr.static(2, 0.0, 0.0, shape="<circle><radius>0.4</radius></circle>"),
            cr.static(3, 0.0, 0.0, shape=f"<polygon>{cr.point(0, 0)}{cr.point(4, 0)}{cr.point(4, 2)}{cr.point(0, 2)}</polygon>"),
        )
    ).obstacles
    x, y, heading = first.shapes[0].pose((10.0, 5.0, 0.5 * math.pi))
    assert (x, y) == pytest.approx((10.0, 6.0))
    assert abs(heading) == pytest.approx(math.pi, abs=1e-6)
    assert np.ptp(first.shapes[0].outline((0.0, 0.0, 0.0))[:, 1]) == pytest.approx(4.0)
    assert second.shapes[0].length == second.shapes[0].width == 0.8
    assert sorted((third.shapes[0].length, third.shapes[0].width)) == [2.0, 4.0]


def test_planning_problems_have_a_start_and_goals() -> None:
    start = cr.state("initialState", 3, -50.0, 0.0, 0.1, 8.0)
    speed = "<velocity><intervalStart>2</intervalStart><intervalEnd>9</intervalEnd></velocity>"
    area = "<rectangle><length>10</length><width>4</width><center><x>60</x><y>0</y></center></rectangle>"
    text = cr.crossroads(cr.problem(70, start, position=area, steps=(20, 90), inside=speed))
    (problem,) = parse_commonroad(text).problems
    assert problem.start.tolist() == [3.0, -50.0, 0.0, 0.1, 8.0]
    (goal,) = problem.goals
    assert (goal.steps.low, goal.steps.high) == (20.0, 90.0)
    assert goal.speeds is not None
    assert (goal.speeds.low, goal.speeds.high) == (2.0, 9.0)
    assert goal.outlines[0].min(axis=0).tolist() == [55.0, -2.0]
    assert goal.outlines[0].max(axis=0).tolist() == [65.0, 2.0]


def test_what_is_not_read_is_listed_with_its_line() -> None:
    text = cr.crossroads(
        '<phantomObstacle id="5"/>', '<area id="6"/>', '<area id="7"/>', signs=cr.sign(9, "1234"), west=cr.refs(trafficSignRef=9)
    )
    warnings = draft_map(parse_commonroad(text)).warnings
    assert any(line.startswith("line 10: <phantomObstacle>") for line in warnings)
    assert any(line.startswith("line 11: <area>") and "2 times" in line for line in warnings)
    assert any("'1234'" in line for line in warnings)


BAD = {
    "version": (cr.document(cr.lanelet(1, (0, 0), (9, 0)), version="2050z"), "2050z", 2),
    "no lanelets": (cr.document(), "lanelet", 2),
    "one bound": (cr.document('<lanelet id="1"><leftBound/></lanelet>'), "leftBound", 3),
    "no number": (cr.crossroads(cr.dynamic(8, [(0, 0, 0, 0, 0)]).replace("<x>0</x>", "<x>abc</x>")), "'abc'", 10),
    "steps run back": (cr.crossroads(cr.dynamic(8, [(2, 0, 0, 0, 0), (1, 1, 0, 0, 0)])), "does not come after", 10),
    "sign is missing": (cr.crossroads(west=cr.refs(trafficSignRef=99)), "'99'", 3),
    "neighbour is missing": (
        cr.document(cr.lanelet(1, (0, 0), (9, 0), inside='<adjacentLeft ref="5" drivingDir="same"/>')),
        "'5'",
        3,
    ),
    "twice the same id": (cr.document(cr.lanelet(1, (0, 0), (9, 0)), cr.lanelet(1, (0, 9), (9, 9))), "taken", 4),
    "colour": (cr.crossroads(signs=cr.light(3, [(5, "blue")])), "'blue'", 9),
    "off the Earth": (cr.document(cr.lanelet(1, (0, 0), (9e9, 0))), "Earth", 3),
    "size": (cr.crossroads(cr.static(3, 0, 0, shape="<circle><radius>1e9</radius></circle>")), "too large", 10),
    "goal backwards": (cr.crossroads(cr.problem(3, cr.state("initialState", 0, 0, 0), steps=(9, 1))), "backwards", 10),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_files_are_refused_with_place_and_fix(name: str) -> None:
    text, word, line = BAD[name]
    with pytest.raises(InputError) as caught:
        draft_map(parse_commonroad(text, name="file.xml"))
    assert word in caught.value.message
    assert caught.value.fix
    assert (caught.value.file, caught.value.line) == ("file.xml", line)


def test_entities_are_refused() -> None:
    bomb = '<?xml version="1.0"?><!DOCTYPE b [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]><commonRoad>&b;</commonRoad>'
    with pytest.raises(InputError, match="entity"):
        parse_commonroad(bomb)


def test_truncated_files_are_refused() -> None:
    whole = cr.crossroads()
    with pytest.raises(InputError, match="not well-formed"):
        parse_commonroad(whole[: len(whole) // 2])


def test_every_recording_is_read(data_dir: Path) -> None:
    files = sorted(data_dir.glob("commonroad/*/*.xml"))
    assert len(files) >= 6
    for file in files:
        recording = parse_commonroad(file.read_bytes(), name=file.name)
        assert len(assemble(draft_map(recording)).lanes) == len(recording.lanelets)
        assert not any("not supported" in line for line in recording.warnings), recording.warnings
