"""Signs, lights, stop lines, crosswalks and overrides on a small crossroads: the arms run towards the middle, 80 m each."""

from __future__ import annotations

import numpy as np
import pytest

from scenarios.errors import InputError
from scenarios.formats.opendrive import parse_opendrive
from scenarios.formats.override import CONTROLS, override_control
from sim.interface import Colour
from sim.roads.assemble import assemble
from sim.roads.lane_map import LaneKind, Regulation
from tests.scenarios.formats.xodr import crossroads, document, follow, geometry, lane, road, section, signal, to_road

ARMS = ("0.-1", "1.-1", "2.-1", "3.-1")
LIGHT = 'dynamic="yes"'


def read(signals: dict[int, str] | None = None, **parts):
    return parse_opendrive(crossroads(signals, **parts), name="cross")


def lanes_of(draft):
    return {one.name: one for one in draft.lanes}


def controls(draft) -> list[Regulation]:
    lanes = lanes_of(draft)
    return [lanes[arm].regulation for arm in ARMS]


@pytest.mark.parametrize(
    ("kind", "extra", "expected"),
    [
        ("206", "", Regulation.STOP),
        ("R1-1", 'country="US"', Regulation.STOP),
        ("77", 'name="Sign_Stop"', Regulation.STOP),
        ("205", "", Regulation.YIELD),
        ("R1-2", 'country="US"', Regulation.YIELD),
        ("999", "", Regulation.NONE),
    ],
)
def test_sign_controls_the_arm_it_faces(kind, extra, expected):
    assert controls(read({0: signal(kind, s=78.0, extra=extra)})) == [expected, *[Regulation.NONE] * 3]


def test_sign_facing_the_other_way_controls_nothing_here():
    assert controls(read({0: signal("206", s=78.0, orientation="-")})) == [Regulation.NONE] * 4


def test_sign_without_orientation_stands_on_the_side_it_is_for():
    assert controls(read({0: signal("206", s=78.0, t=-4.0, orientation="none")}))[0] == Regulation.STOP
    assert controls(read({0: signal("206", s=78.0, t=4.0, orientation="none")}))[0] == Regulation.NONE


@pytest.mark.parametrize(
    ("validity", "expected"), [("-1 -1", Regulation.STOP), ("-3 -2", Regulation.NONE), ("0 0", Regulation.NONE)]
)
def test_validity_beats_orientation(validity, expected):
    low, high = validity.split()
    inside = f'<validity fromLane="{low}" toLane="{high}"/>'
    assert controls(read({0: signal("206", s=78.0, orientation="-", inside=inside)}))[0] == expected


def test_reference_inside_the_junction_controls_the_approach():
    pole = signal("206", s=70.0, signal_id="s", inside='<validity fromLane="0" toLane="0"/>')
    reference = '<signalReference id="s" s="1" t="0" orientation="-"><validity fromLane="-1" toLane="-1"/></signalReference>'
    text = crossroads({1: pole})
    marker = '<road id="10"'
    head, tail = text.split(marker)
    text = head + marker + tail.replace("<signals></signals>", f"<signals>{reference}</signals>", 1)
    lanes = lanes_of(parse_opendrive(text))
    assert lanes["10.-1"].regulation == Regulation.STOP
    assert lanes["0.-1"].regulation == Regulation.STOP
    assert lanes["1.-1"].regulation == Regulation.NONE


def test_all_way_plate_by_dependency_and_by_standing_below():
    by_dependency = signal("206", s=78.0, inside='<dependency id="p"/>') + signal(
        "1022", s=40.0, signal_id="p", extra='text="ALL WAY"'
    )
    assert controls(read({0: by_dependency}))[0] == Regulation.ALL_WAY_STOP
    below = signal("206", s=78.0) + signal("R1-3P", s=78.5, signal_id="p")
    assert controls(read({0: below}))[0] == Regulation.ALL_WAY_STOP
    far = signal("206", s=78.0) + signal("R1-3P", s=10.0, signal_id="p")
    assert controls(read({0: far}))[0] == Regulation.STOP


def test_stop_on_every_arm_is_an_all_way_stop():
    assert controls(read({arm: signal("206", s=78.0, signal_id=str(arm)) for arm in range(4)})) == [Regulation.ALL_WAY_STOP] * 4


def test_two_way_stop_stays_one():
    found = controls(read({arm: signal("206", s=78.0, signal_id=str(arm)) for arm in (0, 2)}))
    assert found == [Regulation.STOP, Regulation.NONE, Regulation.STOP, Regulation.NONE]


def test_priority_road_sign():
    lanes = lanes_of(read({0: signal("306", s=60.0)}))
    assert lanes["0.-1"].priority_road
    assert not lanes["1.-1"].priority_road


def test_stop_line_and_its_place():
    lanes = lanes_of(read({0: signal("206", s=78.0) + signal("294", s=75.0, signal_id="line")}))
    assert lanes["0.-1"].stop_s == pytest.approx(75.0, abs=0.01)


def test_stop_line_object_across_the_lane():
    line = '<object id="5" type="-1" name="StopLine" s="74" t="-1.75" hdg="1.5708" length="3.5" width="0"/>'
    lanes = lanes_of(read({0: signal("206", s=78.0)}, objects={0: line}))
    assert lanes["0.-1"].stop_s == pytest.approx(74.0, abs=0.5)
    assert lanes["0.1"].stop_s is None


def test_painted_stop_counts_where_nothing_else_does():
    paint = '<object id="5" type="-1" name="Stencil_STOP" s="70" t="-1.75"/>'
    assert controls(read(objects={0: paint}))[0] == Regulation.STOP
    assert controls(read({0: signal("205", s=78.0)}, objects={0: paint}))[0] == Regulation.YIELD


def colours(plan, at: float) -> Colour:
    left = (at - plan.offset_s) % sum(duration for duration, _ in plan.phases)
    for duration, colour in plan.phases:
        if left < duration:
            return colour
        left -= duration
    raise AssertionError("phases do not fill the cycle")


def lit(controllers: str = "", extra: str = ""):
    heads = {arm: signal("1000001", s=79.0, signal_id=f"h{arm}", extra=LIGHT) for arm in range(4)}
    return read(heads, controllers=controllers, extra=extra)


CONTROLLERS = """<controller id="c1" name="ns"><control signalId="h1"/><control signalId="h3"/></controller>
<controller id="c2" name="ew"><control signalId="h0"/><control signalId="h2"/></controller>"""


def test_controllers_share_out_the_cycle():
    draft = lit(CONTROLLERS, '<controller id="c1"/><controller id="c2"/>')
    lanes = lanes_of(draft)
    assert controls(draft) == [Regulation.SIGNAL] * 4
    assert [lanes[arm].signal for arm in ARMS] == ["middle/ew", "middle/ns"] * 2
    first, second = draft.signals
    assert [plan.name for plan in draft.signals] == ["middle/ns", "middle/ew"]
    times = np.arange(0.0, 200.0, 0.5)
    shown = [(colours(first, at), colours(second, at)) for at in times]
    assert all(Colour.RED in pair for pair in shown)
    for plan in draft.signals:
        assert {colour: duration for duration, colour in plan.phases}[Colour.YELLOW] == 3.0
    # Two seconds of all red after each yellow.
    assert sum(pair == (Colour.RED, Colour.RED) for pair in shown) == len(times) // 100 * 8


def test_sequence_orders_the_controllers():
    swapped = CONTROLLERS.replace('id="c1"', 'id="c1" sequence="2"').replace('id="c2"', 'id="c2" sequence="1"')
    assert [plan.name for plan in lit(swapped).signals] == ["middle/ew", "middle/ns"]


def test_lights_without_controller_go_by_direction():
    draft = lit()
    lanes = lanes_of(draft)
    assert lanes["0.-1"].signal == lanes["2.-1"].signal
    assert lanes["1.-1"].signal == lanes["3.-1"].signal
    assert lanes["0.-1"].signal != lanes["1.-1"].signal
    assert len(assemble(draft).signals) == 2


def test_pedestrian_lights_do_not_stop_cars():
    assert controls(read({0: signal("1000002", s=79.0, extra=LIGHT)}))[0] == Regulation.NONE


def test_light_beats_sign():
    both = signal("1000001", s=79.0, extra=LIGHT) + signal("205", s=79.0, signal_id="y")
    assert controls(read({0: both}))[0] == Regulation.SIGNAL


def test_light_far_from_any_junction_cuts_the_road():
    text = document(
        road("1", length=300.0, sections=[section([lane(-1), lane(-2)])], signals=signal("1000001", s=120.0, extra=LIGHT))
    )
    draft = parse_opendrive(text)
    lanes = lanes_of(draft)
    assert lanes["1.-1"].centreline[-1, 0] == pytest.approx(120.0)
    assert lanes["1.-1"].successors == ("1.-1@120",)
    assert lanes["1.-1"].regulation == Regulation.SIGNAL
    assert lanes["1.-1@120"].regulation == Regulation.NONE
    assert lanes["1.-1@120"].right == "1.-2@120"
    assert assemble(draft).lanes["stop_s"].max() > 100.0


def test_sign_before_a_short_road_reaches_the_junction_behind_it():
    """A sign 20 m before the end of a road that is followed by one more road before the junction."""
    text = crossroads()
    far = road("20", length=50.0, plan=geometry(50.0, x=142.0, hdg=np.pi), sections=[section([lane(-1, link=follow(after=-1))])],
               link=to_road("successor", "0", "start"), signals=signal("206", s=49.0))  # fmt: skip
    text = text.replace('length="80.0"', 'length="30.0"', 1).replace('length="80.0"', 'length="30.0"', 1)
    text = text.replace('x="92.0"', 'x="42.0"').replace("<junction", far + "<junction", 1)
    text = text.replace('x="142.0"', 'x="92.0"')
    lanes = lanes_of(parse_opendrive(text))
    assert lanes["20.-1"].regulation == Regulation.NONE
    assert lanes["0.-1"].regulation == Regulation.STOP


@pytest.mark.parametrize(
    ("kind", "extra", "mps"),
    [
        ("274", 'value="30" unit="km/h"', 30 / 3.6),
        ("274", 'value="30"', 30 / 3.6),
        ("274", 'subtype="53" value="-1"', 30 / 3.6),
        ("274", 'subtype="30"', 30 / 3.6),
        ("R2-1", 'value="25" country="US"', 25 * 0.44704),
    ],
)
def test_speed_sign_holds_from_its_place_on(kind, extra, mps):
    lanes = lanes_of(read({0: signal(kind, s=40.0, extra=extra)}))
    limit = lanes["0.-1"].speed_limit
    assert limit[0] == pytest.approx(50 / 3.6)
    assert limit[-1] == pytest.approx(mps)
    assert lanes["0.1"].speed_limit == pytest.approx(50 / 3.6)


# Crosswalks


def walked(objects: str = "", signals: str = ""):
    lanes = [lane(-1), lane(-2, kind="sidewalk", width=2.0)]
    return parse_opendrive(
        document(
            road("1", sections=[section(lanes, [lane(1), lane(2, kind="sidewalk", width=2.0)])], objects=objects, signals=signals)
        )
    )


BOX = '<object id="5" type="crosswalk" s="50" t="0" hdg="1.5707963267948966" length="7" width="3"/>'
ROAD_CORNERS = '<object id="5" type="crosswalk" s="50" t="0"><outline>' + "".join(
    f'<cornerRoad s="{s}" t="{t}" dz="0"/>' for s, t in ((48.5, -3.5), (51.5, -3.5), (51.5, 3.5), (48.5, 3.5))
) + "</outline></object>"  # fmt: skip
LOCAL_CORNERS = '<object id="5" type="crosswalk" s="50" t="0" hdg="0"><outlines><outline>' + "".join(
    f'<cornerLocal u="{u}" v="{v}" z="0"/>' for u, v in ((-1.5, -3.5), (1.5, -3.5), (1.5, 3.5), (-1.5, 3.5), (-1.5, -3.5))
) + "</outline></outlines></object>"  # fmt: skip


@pytest.mark.parametrize("objects", [BOX, ROAD_CORNERS, LOCAL_CORNERS])
def test_crosswalk_outline_and_lanes(objects):
    draft = walked(objects)
    (crosswalk,) = draft.crosswalks
    np.testing.assert_allclose(crosswalk.outline.min(axis=0), [48.5, -3.5], atol=1e-9)
    np.testing.assert_allclose(crosswalk.outline.max(axis=0), [51.5, 3.5], atol=1e-9)
    there, back = (lanes_of(draft)[name] for name in crosswalk.lanes)
    assert there.kind == back.kind == LaneKind.CROSSWALK
    np.testing.assert_allclose(there.half_width, 1.5)
    np.testing.assert_allclose(there.centreline[0], back.centreline[-1])
    np.testing.assert_allclose(np.abs(there.centreline[[0, -1], 1]), 4.5, atol=1e-6)
    np.testing.assert_allclose(there.centreline[:, 0], 50.0, atol=0.3)


def test_a_repeated_crosswalk_is_one_at_every_place():
    """<repeat> takes the place of s and t; the last copy is the one at its end."""
    repeat = '<repeat s="20" length="40" distance="20" tStart="0" tEnd="1" heightStart="0" heightEnd="0"/>'
    draft = walked(BOX.replace("/>", f">{repeat}</object>"))
    middles = [0.5 * (one.outline.min(axis=0) + one.outline.max(axis=0)) for one in draft.crosswalks]
    np.testing.assert_allclose(middles, [[20.0, 0.0], [40.0, 0.5], [60.0, 1.0]], atol=1e-9)


def test_crosswalk_is_reached_from_and_leads_to_both_sidewalks():
    draft = walked(BOX)
    lanes = lanes_of(draft)
    for name in draft.crosswalks[0].lanes:
        kinds = {lanes[follower].kind for follower in lanes[name].successors}
        before = [one for one in draft.lanes if name in one.successors]
        assert kinds == {LaneKind.SIDEWALK}
        assert len(lanes[name].successors) == 2
        assert len(before) == 2
        for other in (*before, *(lanes[follower] for follower in lanes[name].successors)):
            end = other.centreline[-1] if other in before else other.centreline[0]
            mine = lanes[name].centreline[0 if other in before else -1]
            np.testing.assert_allclose(end, mine, atol=1e-9)
    assert not assemble(draft).warnings


def test_crosswalk_marking_signal():
    draft = walked(signals=signal("1000003", s=40.0, t=0.0, extra='value="4" width="7"'))
    (crosswalk,) = draft.crosswalks
    np.testing.assert_allclose(crosswalk.outline.min(axis=0), [40.0, -3.5])
    np.testing.assert_allclose(crosswalk.outline.max(axis=0), [44.0, 3.5])


def test_crosswalk_without_sidewalks_goes_a_little_further():
    text = document(road("1", objects=BOX))
    draft = parse_opendrive(text)
    there = lanes_of(draft)[draft.crosswalks[0].lanes[0]]
    np.testing.assert_allclose(np.abs(there.centreline[[0, -1], 1]), 5.0, atol=1e-6)


def test_cars_and_pedestrians_conflict_on_the_crosswalk():
    assert len(assemble(walked(BOX)).conflicts) > 0
    assert len(assemble(walked()).conflicts) == 0


# Overrides


@pytest.mark.parametrize("control", list(CONTROLS))
def test_override_all(control):
    draft = override_control(read({0: signal("206", s=78.0)}), {"all": control})
    assert controls(draft) == [CONTROLS[control]] * 4
    lanes = lanes_of(draft)
    assert all(lanes[f"{10 + arm}.-1"].regulation == CONTROLS[control] for arm in range(4))
    assert len(assemble(draft).signals) == (2 if control == "signal" else 0)


@pytest.mark.parametrize("arm", ["east", "0.-1", "0"])
def test_override_one_arm_by_road_name_lane_or_road_id(arm):
    assert controls(override_control(read(), {arm: "yield"})) == [Regulation.YIELD, *[Regulation.NONE] * 3]


def test_later_overrides_win():
    found = controls(override_control(read(), {"middle": "all_way_stop", "north": "none"}))
    assert found == [Regulation.ALL_WAY_STOP, Regulation.NONE, Regulation.ALL_WAY_STOP, Regulation.ALL_WAY_STOP]


def test_override_keeps_the_programme_of_a_lit_arm():
    draft = lit(CONTROLLERS)
    assert [plan.name for plan in override_control(draft, {"all": "signal"}).signals] == [plan.name for plan in draft.signals]


def test_override_errors_name_the_nearest():
    with pytest.raises(InputError, match="Did you mean 'east'"):
        override_control(read(), {"eats": "stop"})
    with pytest.raises(InputError, match="Use one of: none, stop"):
        override_control(read(), {"all": "halt"})


def test_override_leaves_the_draft_alone():
    draft = read()
    override_control(draft, {"all": "stop"})
    assert controls(draft) == [Regulation.NONE] * 4
