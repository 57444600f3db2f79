"""OpenSCENARIO storyboards: actions, conditions, states, catalogues, parameters, weather; and what is refused, with its place."""

from __future__ import annotations

import math
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest

from eval.partners import partner_of
from eval.replay import replay
from eval.run import Job, prepare, run_episode
from eval.scripted import Player
from scenarios.errors import InputError
from scenarios.formats.openscenario_file import read_document
from scenarios.formats.openscenario_values import resolved
from scenarios.formats.xml import Element
from scenarios.resolve import resolve
from scenarios.scripted import ego_of, set_stage
from scenarios.storyboard.board import Board
from scenarios.storyboard.stage import Puppet
from sim.interface import TICK_S, Colour, Floats
from sim.recording import read_recording
from sim.roads.outline import signal_plan
from tests.scenarios.formats import xodr
from tests.scenarios.storyboard import osc


def board(folder: Path, text: str) -> Board:
    """The storyboard of a file, with ego moved by it, too."""
    return set_stage(read_document(osc.write(folder, text)).instance({}), None)[0]


def played(board: Board, seconds: float, name: str = "Other") -> Floats:
    """(T, 5) of t, s of the box's middle along x, y, heading, speed of somebody, every tick."""
    rows = []
    for _ in range(round(seconds / TICK_S) + 1):
        puppet = board.stage.puppets[name]
        rows.append([board.stage.time_s, puppet.x, puppet.y, puppet.heading, puppet.speed])
        board.step()
    return np.array(rows)


LEFT = '<RelativeTargetLane entityRef="Other" value="1"/>'


def test_without_actions_lane_and_speed_are_kept_and_places_are_of_the_rear_axle(tmp_path: Path) -> None:
    one = board(tmp_path, osc.document())
    x0 = one.stage.puppets["Other"].x
    track = played(one, 4.0)
    assert np.allclose(np.diff(track[:, 1]), 1.5, atol=1e-6)
    assert np.allclose(track[:, 2], track[0, 2], atol=1e-6)
    origin = one.stage.ground.road_map.origin
    assert x0 + origin[0] == pytest.approx(60.0, abs=0.01)
    assert one.stage.puppets["Other"].centre[0] - one.stage.puppets["Other"].x == pytest.approx(1.4)


@pytest.mark.parametrize(
    ("shape", "dimension", "over", "seconds", "steepest"),
    [
        ("linear", "time", 4.0, 4.0, 2.5), ("linear", "rate", 2.5, 4.0, 2.5), ("sinusoidal", "time", 4.0, 4.0, 2.5 * math.pi / 2),
        ("cubic", "time", 4.0, 4.0, 3.75), ("sinusoidal", "rate", 2.5 * math.pi / 2, 4.0, 2.5 * math.pi / 2),
        ("step", "time", 0.0, 0.0, None),
    ],
)  # fmt: skip
def test_speed_actions(shape: str, dimension: str, over: float, seconds: float, steepest: float | None, tmp_path: Path) -> None:
    text = osc.document(osc.story(osc.event("e", osc.speed(5.0, shape, dimension, over), osc.at_time(1.0))))
    track = played(board(tmp_path, text), 8.0)
    assert track[9, 4] == 15.0
    slow = np.flatnonzero(np.abs(track[:, 4] - 5.0) < 1e-6)[0] * TICK_S
    assert slow == pytest.approx(1.0 + max(seconds, TICK_S), abs=0.11)
    if steepest is not None:
        assert np.abs(np.diff(track[:, 4])).max() / TICK_S == pytest.approx(steepest, rel=0.02)


def test_relative_speed_follows_while_continuous(tmp_path: Path) -> None:
    target = '<RelativeTargetSpeed entityRef="Ego" value="0.5" speedTargetValueType="factor" continuous="{}"/>'
    slower = osc.story(osc.event("slow", osc.speed(10.0), osc.at_time(2.0)), who="Ego")
    for continuous, end in (("true", 5.0), ("false", 7.5)):
        text = osc.document(osc.story(osc.event("e", osc.speed(0.0, target=target.format(continuous)), osc.at_time(1.0))), slower)
        assert played(board(tmp_path, text), 4.0)[-1, 4] == pytest.approx(end)


def test_a_lane_change_ends_in_the_middle_of_the_lane(tmp_path: Path) -> None:
    text = osc.document(osc.story(osc.event("e", osc.lane_change(LEFT), osc.at_time(1.0))))
    track = played(board(tmp_path, text), 8.0)
    assert track[-1, 2] - track[0, 2] == pytest.approx(3.5, abs=1e-3)
    drift = np.diff(track[:, 2]) / TICK_S
    assert drift.max() == pytest.approx(3.5 * math.pi / 2 / 4.0, rel=0.02)
    assert track[35, 3] == pytest.approx(math.atan2(drift[34], 15.0), abs=0.02)
    assert track[-1, 3] == pytest.approx(0.0, abs=1e-3)


def test_lane_offsets_keep_to_their_lateral_acceleration(tmp_path: Path) -> None:
    action = osc.private(
        '<LateralAction><LaneOffsetAction continuous="false"><LaneOffsetActionDynamics maxLateralAcc="0.5"'
        ' dynamicsShape="sinusoidal"/>'
        '<LaneOffsetTarget><AbsoluteTargetLaneOffset value="-1.0"/></LaneOffsetTarget></LaneOffsetAction></LateralAction>'
    )
    track = played(board(tmp_path, osc.document(osc.story(osc.event("e", action, osc.at_time(0.0))))), 8.0)
    assert track[-1, 2] - track[0, 2] == pytest.approx(-1.0, abs=1e-3)
    assert np.abs(np.diff(track[1:, 2], n=2)).max() / TICK_S**2 == pytest.approx(0.5, rel=0.05)


def test_trajectories_are_followed_in_time(tmp_path: Path) -> None:
    vertices = "".join(
        f'<Vertex time="{t}">{osc.lane_position(-2, s, d)}</Vertex>' for t, s, d in ((0, 60, 0), (2, 80, 0), (4, 90, 2))
    )
    action = osc.private(
        '<RoutingAction><FollowTrajectoryAction><TrajectoryRef><Trajectory name="t" closed="false"><Shape><Polyline>'
        f'{vertices}</Polyline></Shape></Trajectory></TrajectoryRef><TimeReference><Timing domainAbsoluteRelative="relative" '
        'scale="1" offset="0"/></TimeReference><TrajectoryFollowingMode followingMode="position"/'
        "></FollowTrajectoryAction></RoutingAction>"
    )
    track = played(board(tmp_path, osc.document(osc.story(osc.event("e", action, osc.at_time(1.0))))), 7.0)
    assert track[30, 1] - track[0, 1] == pytest.approx(20.0, abs=0.1)
    assert track[40, 4] == pytest.approx(math.hypot(10.0, 2.0) / 2.0, abs=0.01)
    assert track[-1, 2] - track[0, 2] == pytest.approx(2.0, abs=0.05)
    assert track[-1, 4] == 0.0


@pytest.mark.parametrize(("gap", "metres"), [('distance="20"', 20.0), ('timeGap="2.0"', 30.0)])
def test_distances_are_set_at_once_and_between_bumpers(gap: str, metres: float, tmp_path: Path) -> None:
    action = osc.private(
        f'<LongitudinalAction><LongitudinalDistanceAction entityRef="Ego" {gap} freespace="true" continuous="false" '
        'displacement="leadingReferencedEntity" coordinateSystem="entity"/></LongitudinalAction>'
    )
    one = board(tmp_path, osc.document(osc.story(osc.event("e", action, osc.at_time(0.0)))))
    played(one, 1.0)
    ego, other = one.stage.puppets["Ego"], one.stage.puppets["Other"]
    assert other.x - ego.x - 5.0 == pytest.approx(metres, abs=1.6)


def test_synchronised_arrivals(tmp_path: Path) -> None:
    action = osc.private(
        '<SynchronizeAction masterEntityRef="Ego">'
        + osc.lane_position(-2, 160)
        .replace("Position>", "TargetPositionMaster>", 2)
        .replace("</Position>", "</TargetPositionMaster>")
        + osc.lane_position(-2, 260).replace("Position>", "TargetPosition>", 2).replace("</Position>", "</TargetPosition>")
        + '<FinalSpeed><AbsoluteSpeed value="10"/></FinalSpeed></SynchronizeAction>'
    )
    action = action.replace("<TargetPositionMaster>", "<TargetPositionMaster>").replace("LanePositionMaster", "LanePosition")
    one = board(tmp_path, osc.document(osc.story(osc.event("e", action, osc.at_time(0.0)))))
    track = played(one, 10.0)
    assert track[100, 1] - track[0, 1] == pytest.approx(200.0, abs=4.0)
    assert track[-1, 4] == pytest.approx(10.0, abs=1.5)


@pytest.mark.parametrize(
    ("inside", "first"),
    [
        (osc.at_time(2.0), 2.0),
        (osc.at_time(2.0, "rising", 1.5), 3.5),
        (osc.condition(osc.by_entity('<TraveledDistanceCondition value="30"/>')), 2.0),
        (osc.condition(osc.by_entity('<SpeedCondition value="14" rule="greaterThan"/>')), 0.0),
        (osc.condition(osc.by_entity(f'<ReachPositionCondition tolerance="1">{osc.lane_position(-2, 105)}'
        "</ReachPositionCondition>")), 3.0),
        (osc.condition(osc.by_entity('<RelativeDistanceCondition entityRef="Other"'
        ' relativeDistanceType="longitudinal" value="20" freespace="true" rule="lessThan"/>', "Ego")), 5.0),
        (osc.condition(osc.by_entity('<TimeHeadwayCondition entityRef="Other" value="2" freespace="true"'
        ' coordinateSystem="lane" rule="lessThan"/>', "Ego")), 1.0),
        (osc.condition(osc.by_entity('<TimeToCollisionCondition value="4" freespace="true" rule="lessThan">'
        '<TimeToCollisionConditionTarget><EntityRef entityRef="Other"/></TimeToCollisionConditionTarget>'
        '</TimeToCollisionCondition>', "Ego")), 5.0),
        (osc.condition(osc.by_entity('<RelativeSpeedCondition entityRef="Ego" value="-4" rule="lessThan"/>')), 0.0),
        (osc.condition('<ByValueCondition><ParameterCondition parameterRef="P" value="3" rule="equalTo"/'
        '></ByValueCondition>'), 0.0),
    ],
)  # fmt: skip
def test_conditions(inside: str, first: float, tmp_path: Path) -> None:
    """When somebody else's speed action begins: ego comes from 50 m behind at 20 m/s, the other one does 15."""
    text = osc.document(
        osc.story(osc.event("e", osc.speed(1.0), inside)), parameters=osc.parameter("P", 3), ego_speed=20.0
    )  # fmt: skip
    track = played(board(tmp_path, text), 8.0)
    began = np.flatnonzero(track[:, 4] < 15.0)
    assert len(began)
    assert track[began[0], 0] == pytest.approx(first + TICK_S, abs=0.15)


def test_events_follow_each_other_by_their_states_and_overwrite(tmp_path: Path) -> None:
    text = osc.document(
        osc.story(
            osc.event("one", osc.speed(5.0, "linear", "time", 2.0), osc.at_time(0.0)),
            osc.event("two", osc.speed(10.0, "linear", "time", 1.0), osc.state_of("action", "oneAction")),
            osc.event("three", osc.speed(0.0), osc.state_of("event", "two", "startTransition")),
        ),
        stop=osc.trigger(osc.state_of("event", "three"), tag="StopTrigger"),
    )  # fmt: skip
    one = board(tmp_path, text)
    track = played(one, 5.0)
    assert track[:, 4].min() == 0.0
    assert one.stage.states["event", "two"] == "completeState"  # stopped by the third
    assert one.over


def test_catalogues_bring_parameters(tmp_path: Path) -> None:
    folder = tmp_path / "cat"
    folder.mkdir()
    declared = f"<ParameterDeclarations>{osc.parameter('Length', 9.0)}</ParameterDeclarations>"
    entry = (
        osc.vehicle("lorry", "truck")
        .replace('length="5.0"', 'length="$Length"')
        .replace("<Properties/>", f"<Properties/>{declared}")
    )
    head = '<FileHeader revMajor="1" revMinor="1" date="2026-01-01T00:00:00" description="d" author="a"/>'
    (folder / "v.xosc").write_text(f'<OpenSCENARIO>{head}<Catalog name="vehicles">{entry}</Catalog></OpenSCENARIO>')
    reference = '<CatalogReference catalogName="vehicles" entryName="{}">{}</CatalogReference>'
    given = '<ParameterAssignments><ParameterAssignment parameterRef="Length" value="11"/></ParameterAssignments>'
    where = '<VehicleCatalog><Directory path="cat"/></VehicleCatalog>'
    for inside, length in (("", 9.0), (given, 11.0)):
        text = osc.document(entities=osc.entity("Third", reference.format("lorry", inside)), catalogues=where)
        entities = read_document(osc.write(tmp_path, text)).instance({}).entities()
        assert (entities[2].kind, entities[2].length) == ("truck", length)
    for name, word in (("lory", "did you mean 'lorry'"), ("x", "no entry 'x'")):
        text = osc.document(entities=osc.entity("Third", reference.format(name, "")), catalogues=where)
        with pytest.raises(InputError, match=word):
            read_document(osc.write(tmp_path, text)).instance({}).entities()


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("${1 + 2 * 3}", "7.0"), ("${-(4 - 1) / 2}", "-1.5"), ("${sqrt($x * $x)}", "4.0"), ("${max(1, $x)}", "4.0"),
        ("${7 % 4}", "3.0"), ("$name", "left"),
        ("lane_$name", "lane_left"), ("${$x gt 3 and not false}", "true"), ("${pow(2, 3)}", "8.0"),
    ],
)  # fmt: skip
def test_expressions(text: str, value: str) -> None:
    assert resolved(text, {"x": "4", "name": "left"}, Element("e", {}, "f", 1, 1)) == value


@pytest.mark.parametrize(
    "text",
    ["${1 +}",
     "${1 / 0}", "${__import__(1)}", "${$unknown}", "$unknown", "${(1}", "${sqrt(-1)}", "${1 2}", "${" + "(" * 100 + "}",
     "${pow(10, 400)}", "${'a'}", "${" + "-" * 5000 + "1}", "${1"],
)  # fmt: skip
def test_bad_expressions_are_refused(text: str) -> None:
    with pytest.raises(InputError) as caught:
        resolved(text, {"x": "4"}, Element("e", {}, "f", 3, 1))
    assert caught.value.line == 3


def test_parameters_are_checked_and_varied_within_their_constraints(tmp_path: Path) -> None:
    group = '<ConstraintGroup><ValueConstraint rule="lessThan" value="${2 * $A}"/></ConstraintGroup>'
    parameters = osc.parameter("A", 5.0) + osc.parameter("B", 6.0, inside=group)
    osc.write(tmp_path, osc.document(parameters=parameters))
    head = '<FileHeader revMajor="1" revMinor="1" date="2026-01-01T00:00:00" description="d" author="a"/>'
    ranges = (
        '<DeterministicSingleParameterDistribution parameterName="{}"><DistributionRange stepWidth="2">'
        '<Range lowerLimit="2" upperLimit="20"/></DistributionRange></DeterministicSingleParameterDistribution>'
    )
    (tmp_path / "vary.xosc").write_text(
        f'<OpenSCENARIO>{head}<ParameterValueDistribution><ScenarioFile filepath="test.xosc"/'
        f"><Deterministic>{ranges.format('A')}"
        f"{ranges.format('B')}</Deterministic></ParameterValueDistribution></OpenSCENARIO>"
    )
    target = str(tmp_path / "vary.xosc")
    drawn = [dict(prepare(Job(target=target, seed=seed)).parameters) for seed in range(20)]
    assert all(float(one["B"]) < 2.0 * float(one["A"]) for one in drawn)
    assert len({(one["A"], one["B"]) for one in drawn}) > 10
    assert drawn[3] == dict(prepare(Job(target=target, seed=3)).parameters)
    fixed = prepare(Job(target=str(tmp_path / "test.xosc"), seed=0, settings=("script.parameters.A=9", "script.parameters.B=17")))
    assert dict(fixed.parameters)["B"] == 17.0
    with pytest.raises(InputError, match=r"B=30.* is outside its constraints"):
        prepare(Job(target=str(tmp_path / "test.xosc"), seed=0, settings=("script.parameters.B=30",)))
    with pytest.raises(InputError, match="no parameter 'C'"):
        prepare(Job(target=str(tmp_path / "test.xosc"), seed=0, settings=("script.parameters.C=1",)))


def test_weather_becomes_friction_and_sight(tmp_path: Path) -> None:
    weather = (
        '<GlobalAction><EnvironmentAction><Environment name="e"><Weather><Fog visualRange="60"/'
        '><Precipitation precipitationType="rain" '
        'precipitationIntensity="8"/></Weather><RoadCondition frictionScaleFactor="0.5"/></Environment>'
        "</EnvironmentAction></GlobalAction>"
    )
    scenario = prepare(Job(target=str(osc.write(tmp_path, osc.document(init=weather))), seed=0))
    assert (scenario.friction, scenario.visibility_m, scenario.weather) == (pytest.approx(0.45), 60.0, "fog")


CUT_IN = osc.document(
    osc.story(osc.event("e", osc.lane_change('<AbsoluteTargetLane value="-2"/>', over=3.0), osc.at_time(1.0))),
    other=osc.teleport(osc.lane_position(-1, 40.0)) + osc.speed(12.0),
    stop=osc.trigger(osc.at_time(7.0), tag="StopTrigger"),
)


def test_ego_drives_among_scripted_others_and_the_stop_trigger_ends_it(tmp_path: Path) -> None:
    path = osc.write(tmp_path, CUT_IN)
    result = run_episode(Job(target=str(path), seed=0, driver="rules", out=tmp_path))
    assert result.passed, result.reasons
    assert result.time_s == pytest.approx(7.1, abs=0.15)
    recording = read_recording(Path(result.recording or ""))
    ego, other = recording.track(0), recording.track(1)
    assert ego["y"][0] == pytest.approx(other["y"][-1], abs=0.01)
    assert ego["speed"].max() < 15.5  # the speed that it began with is its set speed
    alone = run_episode(Job(target=str(path), seed=0, settings=("mode=replay",)))
    assert alone.counts.traffic_collisions == 0
    again = run_episode(Job(target=str(path), seed=0, driver="rules"))
    assert again.trace_hash == result.trace_hash


def test_what_snapshots_do_not_hold_is_not_replayed(tmp_path: Path) -> None:
    path = osc.write(tmp_path, CUT_IN)
    result = run_episode(Job(target=str(path), seed=0, driver="rules", out=tmp_path, record="full", settings=("duration_s=2",)))
    with pytest.raises(InputError, match="snapshots do not hold them"):
        replay(Path(result.recording or ""), 12)


def test_a_live_episode_plays_the_storyboard_too(tmp_path: Path) -> None:
    scenario = prepare(Job(target=str(osc.write(tmp_path, CUT_IN)), seed=0, driver="rules"))
    with ExitStack() as stack:
        assert isinstance(partner_of(scenario, stack), Player)


def test_a_blind_ego_runs_into_who_cuts_in(tmp_path: Path) -> None:
    """The control: somebody who keeps its speed collides where others do not."""
    text = CUT_IN.replace(osc.speed(12.0), osc.speed(9.0))
    blind = tmp_path / "blind.py"
    blind.write_text(
        "from sim.interface import Control, DriverStep\n"
        "class Blind:\n    def start(self, road_map, route, spec, seed):\n        return 0\n"
        "    def step(self, frame, memory):\n        return DriverStep(control=Control(), memory=0)\n"
    )
    path = osc.write(tmp_path, text)
    assert run_episode(Job(target=str(path), seed=0, driver=f"{blind}:Blind")).counts.collisions > 0
    assert run_episode(Job(target=str(path), seed=0, driver="competent")).counts.collisions == 0


def test_what_the_file_wants_of_ego_is_left_to_its_driver(tmp_path: Path) -> None:
    wish = osc.story(osc.event("e", osc.speed(3.0), osc.at_time(1.0)), who="Ego")
    path = osc.write(tmp_path, osc.document(wish, stop=osc.trigger(osc.at_time(2.0), tag="StopTrigger")))
    result = run_episode(Job(target=str(path), seed=0, driver="rules"))
    assert result.mean_speed > 10.0


def test_others_with_a_controller_become_our_traffic(tmp_path: Path) -> None:
    action = osc.private('<ControllerAction><ActivateControllerAction lateral="true" longitudinal="true"/></ControllerAction>')
    stopped = osc.entity("Wall")
    placed = f'<Private entityRef="Wall">{osc.teleport(osc.lane_position(-2, 160.0))}</Private>'
    text = osc.document(
        osc.story(osc.event("e", action, osc.at_time(1.0))), entities=stopped, init=placed,
        other=osc.teleport(osc.lane_position(-2, 80.0)) + osc.speed(12.0), stop=osc.trigger(osc.at_time(12.0), tag="StopTrigger"),
    )  # fmt: skip
    result = run_episode(Job(target=str(osc.write(tmp_path, text)), seed=0, driver="rules", out=tmp_path))
    assert result.counts.traffic_collisions == 0
    unhanded = text.replace(
        'ActivateControllerAction lateral="true" longitudinal="true"',
        'ActivateControllerAction lateral="false" longitudinal="false"',
    )
    blind = run_episode(Job(target=str(osc.write(tmp_path, unhanded)), seed=0, driver="rules"))
    assert blind.counts.traffic_collisions > 0


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('revMinor="1"', 'revMinor="7"', "version 1.7 is not known"),
        ('revMajor="1"', 'revMajor="2"', "version 2.1 is not known"),
        ("road.xodr", "nowhere.xodr", "road network 'nowhere.xodr' does not exist"),
        ('laneId="-1"', 'laneId="-9"', "no lane -9"),
        ('s="40.0"', 's="4000"', "is not on road '0'"),
        ('entityRef="Other"', 'entityRef="Othr"', "did you mean 'Other'"),
        ("<LateralAction>", "<LateralAction><LateralDistanceAction/>", "<LateralDistanceAction>: is not supported"),
        ('dynamicsShape="sinusoidal"', 'dynamicsShape="jump"', "dynamicsShape='jump' is not known"),
        ("SimulationTimeCondition", "TimeOfDayCondition", "<TimeOfDayCondition>: is not supported"),
        ("<CatalogLocations>", '<CatalogLocations><VehicleCatalog><Directory path="gone"/'
        '></VehicleCatalog>', "catalogue folder 'gone'"),
        ('value="12.0"', 'value="-12.0"', "would start at -12.0 m/s"),
        ('name="Other">', 'name="Ego">', "two entities are called 'Ego'"),
        ("</OpenSCENARIO>", "", "not well-formed"),
        ('<?xml version="1.0"?>', '<!DOCTYPE o [<!ENTITY a "aaaa">]>', "entity declaration 'a' is refused"),
    ],
)  # fmt: skip
def test_faults_name_their_place(old: str, new: str, message: str, tmp_path: Path) -> None:
    assert old in CUT_IN
    text = CUT_IN.replace(old, new) if old in ("SimulationTimeCondition",) else CUT_IN.replace(old, new, 1)
    with pytest.raises(InputError, match=message):
        resolve(str(osc.write(tmp_path, text)))


LIT = xodr.document(
    xodr.road(
        "0", length=300.0, sections=[xodr.section([xodr.lane(-1), xodr.lane(-2)])],
        signals=xodr.signal("1000001", s=150.0, signal_id="77"),
    )
)  # fmt: skip


def lit(folder: Path, *, network: str = "", init: str = "", story: str = "") -> Path:
    """Ego and Other on a road with a light at 150 m, of which the file says something."""
    text = osc.document(
        story, init=init, other=osc.teleport(osc.lane_position(-2, 20.0)),
        stop=osc.trigger(osc.at_time(16.0), tag="StopTrigger"), ego_speed=12.0,
    )  # fmt: skip
    text = text.replace("</RoadNetwork>", f"{network}</RoadNetwork>").replace('laneId="-2" s="10.0"', 'laneId="-1" s="40.0"')
    path = osc.write(folder, text)
    (folder / "road.xodr").write_text(LIT)
    return path


def controller(*phases: tuple[str, float, str], more: str = "") -> str:
    inside = "".join(
        f'<Phase name="{name}" duration="{duration}"><TrafficSignalState trafficSignalId="77" state="{state}"/></Phase>'
        for name, duration, state in phases
    )
    signals = f'<TrafficSignalController name="c" delay="1" {more}>{inside}</TrafficSignalController>'
    return f"<TrafficSignals>{signals}</TrafficSignals>"


def test_lights_run_as_the_file_says(tmp_path: Path) -> None:
    network = controller(("go", 5.0, "green"), ("stop", 60.0, "on;off;off"))
    scenario = prepare(Job(target=str(lit(tmp_path, network=network)), seed=0))
    plan = signal_plan(scenario.road_map, 0)
    assert (plan.phases, plan.offset_s) == (((5.0, Colour.GREEN), (60.0, Colour.RED)), 1.0)
    start = (
        "<GlobalAction><InfrastructureAction><TrafficSignalAction>{}</TrafficSignalAction></InfrastructureAction></GlobalAction>"
    )
    rotated = start.format('<TrafficSignalControllerAction trafficSignalControllerRef="c" phase="stop"/>')
    plan = signal_plan(prepare(Job(target=str(lit(tmp_path, network=network, init=rotated)), seed=0)).road_map, 0)
    assert [colour for _, colour in plan.phases] == [Colour.RED, Colour.GREEN]
    way = {}
    for state in ("red", "green"):
        held = start.format(f'<TrafficSignalStateAction name="77" state="{state}"/>')
        result = run_episode(Job(target=str(lit(tmp_path, init=held)), seed=0, driver="rules", out=tmp_path))
        way[state] = read_recording(Path(result.recording or "")).track(0)["x"][-1]
    assert way["green"] > way["red"] + 40.0
    waits = osc.condition('<ByValueCondition><TrafficSignalCondition name="77" state="red"/></ByValueCondition>')
    one = set_stage(
        read_document(lit(tmp_path, network=network, story=osc.story(osc.event("e", osc.speed(3.0), waits)))).instance({}), None
    )[0]
    track = played(one, 8.0)
    assert track[np.flatnonzero(track[:, 4] > 1.0)[0], 0] == pytest.approx(0.1, abs=0.11)  # before its delay the cycle runs, too


@pytest.mark.parametrize(
    ("network", "message"),
    [
        (controller(("go", 5.0, "blue")), "state 'blue' is not known"),
        (controller(("go", 5.0, "green")).replace('"77"', '"78"'), "light '78' is not on the map"),
        (controller(), "has no <Phase>"), (controller(("go", 5.0, "green"), more='reference="d"'), "is not supported"),
    ],
)  # fmt: skip
def test_lights_that_make_no_sense_are_refused(network: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=message):
        resolve(str(lit(tmp_path, network=network)))


def test_reactive_is_no_mode_of_a_storyboard(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="whatever ego does"):
        prepare(Job(target=str(osc.write(tmp_path, CUT_IN)), seed=0, settings=("mode=reactive",)))


def test_who_reaches_the_end_of_the_road_leaves(tmp_path: Path) -> None:
    one = board(tmp_path, osc.document(other=osc.teleport(osc.lane_position(-2, 980.0)) + osc.speed(15.0)))
    played(one, 3.0)
    gone: Puppet = one.stage.puppets["Other"]
    assert not gone.present


def test_ego_is_found_by_name_or_by_its_controller(tmp_path: Path) -> None:
    entities = read_document(osc.write(tmp_path, osc.document())).instance({}).entities()
    found = ego_of(entities)
    assert found is not None
    assert found.name == "Ego"
    assert ego_of(entities[1:]) is None


def test_the_alks_set_runs(data_dir: Path) -> None:
    """Each file to its first seconds; which of them pass is measured by `avstack bench alks`."""
    files = sorted(data_dir.glob("openscenario/osc-alks/logical_scenarios/*.xosc"))
    assert len(files) == 15
    for file in files:
        result = run_episode(Job(target=str(file), seed=1, driver="rules", settings=("duration_s=2",)))
        assert result.counts.collisions == 0, file
