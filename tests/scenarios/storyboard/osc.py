"""OpenSCENARIO files as text, in small parts, for tests: a straight road of three lanes, 1000 m, with ego and one other."""

from __future__ import annotations

from pathlib import Path

from tests.scenarios.formats import xodr

ROAD = xodr.document(
    xodr.road("0", length=1000.0, sections=[xodr.section([xodr.lane(-1), xodr.lane(-2), xodr.lane(-3)], [xodr.lane(1)])])
)
BOX = '<BoundingBox><Center x="1.4" y="0" z="0.9"/><Dimensions width="2.0" length="5.0" height="1.8"/></BoundingBox>'
AXLES = (
    '<Performance maxSpeed="70" maxDeceleration="10" maxAcceleration="10"/><Axles><FrontAxle maxSteering="0.5" '
    'wheelDiameter="0.8" trackWidth="1.7" positionX="2.98" positionZ="0.4"/><RearAxle maxSteering="0" wheelDiameter="0.8" '
    'trackWidth="1.7" positionX="0" positionZ="0.4"/></Axles>'
)


def vehicle(name: str = "car", category: str = "car") -> str:
    return f'<Vehicle name="{name}" vehicleCategory="{category}">{BOX}{AXLES}<Properties/></Vehicle>'


def entity(name: str, inside: str | None = None) -> str:
    return f'<ScenarioObject name="{name}">{vehicle() if inside is None else inside}</ScenarioObject>'


def lane_position(lane: int, s: float, offset: float = 0.0) -> str:
    return f'<Position><LanePosition roadId="0" laneId="{lane}" s="{s}" offset="{offset}"/></Position>'


def teleport(position: str) -> str:
    return f"<PrivateAction><TeleportAction>{position}</TeleportAction></PrivateAction>"


def speed(value: float, shape: str = "step", dimension: str = "time", over: float = 0.0, target: str | None = None) -> str:
    goal = f'<AbsoluteTargetSpeed value="{value}"/>' if target is None else target
    dynamics = f'<SpeedActionDynamics dynamicsShape="{shape}" dynamicsDimension="{dimension}" value="{over}"/>'
    inside = f"<SpeedAction>{dynamics}<SpeedActionTarget>{goal}</SpeedActionTarget></SpeedAction>"
    return f"<PrivateAction><LongitudinalAction>{inside}</LongitudinalAction></PrivateAction>"


def private(inside: str) -> str:
    return f"<PrivateAction>{inside}</PrivateAction>"


def lane_change(target: str, shape: str = "sinusoidal", dimension: str = "time", over: float = 4.0) -> str:
    dynamics = f'<LaneChangeActionDynamics dynamicsShape="{shape}" dynamicsDimension="{dimension}" value="{over}"/>'
    inside = f"<LaneChangeAction>{dynamics}<LaneChangeTarget>{target}</LaneChangeTarget></LaneChangeAction>"
    return private(f"<LateralAction>{inside}</LateralAction>")


def at_time(seconds: float, edge: str = "none", delay: float = 0.0) -> str:
    inside = f'<ByValueCondition><SimulationTimeCondition value="{seconds}" rule="greaterOrEqual"/></ByValueCondition>'
    return condition(inside, edge, delay)


def condition(inside: str, edge: str = "none", delay: float = 0.0) -> str:
    return f'<Condition name="c" delay="{delay}" conditionEdge="{edge}">{inside}</Condition>'


def by_entity(inside: str, who: str = "Other") -> str:
    refs = f'<TriggeringEntities triggeringEntitiesRule="any"><EntityRef entityRef="{who}"/></TriggeringEntities>'
    return f"<ByEntityCondition>{refs}<EntityCondition>{inside}</EntityCondition></ByEntityCondition>"


def state_of(kind: str, name: str, state: str = "completeState") -> str:
    inside = f'<StoryboardElementStateCondition storyboardElementType="{kind}" storyboardElementRef="{name}" state="{state}"/>'
    return condition(f"<ByValueCondition>{inside}</ByValueCondition>")


def trigger(*groups: str, tag: str = "StartTrigger") -> str:
    return f"<{tag}>" + "".join(f"<ConditionGroup>{group}</ConditionGroup>" for group in groups) + f"</{tag}>"


def event(name: str, action: str, start: str, priority: str = "overwrite") -> str:
    return f'<Event name="{name}" priority="{priority}"><Action name="{name}Action">{action}</Action>{trigger(start)}</Event>'


def story(*events: str, who: str = "Other", start: str = "") -> str:
    group = (
        f'<ManeuverGroup maximumExecutionCount="1" name="G{who}"><Actors selectTriggeringEntities="false">'
        f'<EntityRef entityRef="{who}"/>'
        f'</Actors><Maneuver name="M{who}">{"".join(events)}</Maneuver></ManeuverGroup>'
    )
    return f'<Story name="S{who}"><Act name="A{who}">{group}{start or trigger(at_time(0.0))}</Act></Story>'


def document(
    *stories: str, init: str = "", stop: str = "", entities: str = "", parameters: str = "", catalogues: str = "",
    other: str | None = None, minor: int = 1, ego_speed: float = 15.0, road: str = "road.xodr",
) -> str:  # fmt: skip
    """Ego in lane -2 at 10 m, Other in lane -2 at 60 m unless `other` places it elsewhere, both at 15 m/s."""
    ego = f'<Private entityRef="Ego">{teleport(lane_position(-2, 10.0))}{speed(ego_speed)}</Private>'
    second = teleport(lane_position(-2, 60.0)) + speed(15.0) if other is None else other
    placed = f'<Private entityRef="Other">{second}</Private>'
    return (
        f'<?xml version="1.0"?>\n<OpenSCENARIO><FileHeader revMajor="1" revMinor="{minor}" date="2026-01-01T00:00:00" '
        f'description="d" author="a"/>\n<ParameterDeclarations>{parameters}</ParameterDeclarations>\n'
        f"<CatalogLocations>{catalogues}</CatalogLocations>\n"
        f'<RoadNetwork><LogicFile filepath="{road}"/></RoadNetwork>\n'
        f"<Entities>{entity('Ego')}{entity('Other')}{entities}</Entities>\n"
        f"<Storyboard><Init><Actions>{init}{ego}{placed}</Actions>"
        f"</Init>\n" + "\n".join(stories) + f"{stop}</Storyboard></OpenSCENARIO>\n"
    )  # fmt: skip


def parameter(name: str, value: object, kind: str = "double", inside: str = "") -> str:
    return f'<ParameterDeclaration name="{name}" parameterType="{kind}" value="{value}">{inside}</ParameterDeclaration>'


def write(folder: Path, text: str, name: str = "test.xosc") -> Path:
    """The file beside its road."""
    (folder / "road.xodr").write_text(ROAD)
    path = folder / name
    path.write_text(text)
    return path
