"""Traffic that is not ours: SUMO drives the others, and everybody meets in one world (libsumo, the extra `sumo`).

A net is written from our own map, so that both drive on the same lines: lanes become edges with their centrelines as shapes,
lanes through junctions become connections with theirs. Every tick SUMO is told where ego is (`moveToXY`), drives everybody else
for 0.1 s, and their places become the next rows of tracks that our world replays: contacts, sensors and recordings are our own.
SUMO's positions are of the front bumper, its angles in degrees clockwise from north.
"""

from __future__ import annotations

import importlib
import math
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from xml.etree import ElementTree

import numpy as np

from scenarios.errors import InputError
from sim.interface import TICK_S, Floats, Indicator
from sim.rng import Purpose, generator
from sim.roads.lane_map import LaneKind, LaneMap, Regulation
from sim.scenario import Actor, Model, Scenario
from sim.state import Status
from sim.world import World

SUMO = "sumo"
"""Name of the driver that hands a vehicle to SUMO."""
TEMPERS = {
    "sigma": (0.0, 0.8), "tau": (1.0, 2.0), "accel": (1.5, 2.8), "decel": (3.0, 4.5), "speedFactor": (0.85, 1.05),
    "impatience": (0.0, 0.6), "jmTimegapMinor": (0.6, 1.5),
}  # fmt: skip
"""Ranges that SUMO's vehicles are drawn from, evenly and one by one: attributes of its vehicle types."""
AHEAD_TICKS = 3
"""So far SUMO's clock runs ahead of the world's: ego has to be there before others are put beside it."""
_EGO = "ego"
_RIGHT_SIGNAL, _LEFT_SIGNAL, _BRAKE_SIGNAL = 1, 2, 8
_CENTRE = "centre"
_FIX = "Install the extra: pip install 'avstack-sim[sumo]'"


def given_to_sumo(actor: Actor, duration_s: float) -> Actor:
    """The actor with SUMO as its driver, and room for the track that SUMO will make."""
    rows = np.zeros((round(duration_s / TICK_S) + 3, 5))
    rows[:, 0] = TICK_S * np.arange(len(rows)) - actor.depart_s
    return replace(actor, model=Model.REPLAY, driver=SUMO, track=rows)


def needs_sumo(scenario: Scenario) -> bool:
    """Whether anybody in the scenario is SUMO's."""
    return any(actor.driver == SUMO for actor in scenario.actors)


def check_installed() -> None:
    """InputError where SUMO cannot be used."""
    for name in ("libsumo", "sumo"):
        try:
            importlib.import_module(name)
        except ImportError as error:
            raise InputError(f"SUMO is not installed: {error}", fix=_FIX) from None


class Partner:
    """SUMO while it runs beside a world. Only one can run in a process; `partner` makes and ends it."""

    over = False

    def __init__(self, scenario: Scenario, sumo: ModuleType) -> None:
        self._sumo = sumo
        self._ego = scenario.ego
        self._length = 0.0 if scenario.ego is None else scenario.actors[scenario.ego].body.length
        self._slots = {f"v{a}": a for a, actor in enumerate(scenario.actors) if actor.driver == SUMO}
        self._lengths = {f"v{a}": scenario.actors[a].body.length for a in self._slots.values()}

    def step(self, world: World) -> None:
        """Let SUMO drive its vehicles from the world's tick to the next one."""
        sumo = self._sumo
        for _ in range(1 if world.tick else 1 + AHEAD_TICKS):
            if self._ego is not None:
                self._show_ego(world, self._ego)
            sumo.simulationStep()
        for name in sumo.vehicle.getIDList():
            if name in self._slots:
                x, y = sumo.vehicle.getPosition(name)
                heading = math.remainder(0.5 * math.pi - math.radians(sumo.vehicle.getAngle(name)), 2.0 * math.pi)
                back = 0.5 * self._lengths[name]
                place = (x - back * math.cos(heading), y - back * math.sin(heading), heading)
                signals = int(sumo.vehicle.getSignals(name))
                world.put_next(0, self._slots[name], place, float(sumo.vehicle.getSpeed(name)))
                body = world.state.bodies[0, self._slots[name]]
                left, right = signals & _LEFT_SIGNAL, signals & _RIGHT_SIGNAL
                body["indicator"] = Indicator.LEFT if left else Indicator.RIGHT if right else Indicator.OFF
                body["brake_light"] = int(bool(signals & _BRAKE_SIGNAL))

    def _show_ego(self, world: World, ego: int) -> None:
        """Put SUMO's ego where the world's is; take it away when it has arrived."""
        sumo, body = self._sumo, world.state.bodies[0, ego]
        there = _EGO in sumo.vehicle.getIDList()
        due = body["status"] == Status.WAITING and body["depart_tick"] <= world.tick  # it appears in the tick to come
        if (body["status"] == Status.ACTIVE or due) and not there:
            sumo.vehicle.add(_EGO, _EGO, typeID=_EGO, departPos="0", departSpeed="0")
        elif body["status"] != Status.ACTIVE and not due:
            if there:
                sumo.vehicle.remove(_EGO)
            return
        heading = float(body["heading"])
        x = float(body["x"]) + 0.5 * self._length * math.cos(heading)
        y = float(body["y"]) + 0.5 * self._length * math.sin(heading)
        sumo.vehicle.moveToXY(_EGO, "", 0, x, y, angle=90.0 - math.degrees(heading), keepRoute=2)
        sumo.vehicle.setPreviousSpeed(_EGO, float(body["speed"]))


@contextmanager
def partner(scenario: Scenario) -> Iterator[Partner]:
    """SUMO beside a world, from time 0 on. InputError as for `started`."""
    with started(scenario) as sumo:
        yield Partner(scenario, sumo)


@contextmanager
def started(scenario: Scenario) -> Iterator[ModuleType]:
    """SUMO with the scenario's net and its vehicles, at time 0. InputError where it is not installed or refuses the net."""
    check_installed()
    sumo = importlib.import_module("libsumo")
    with tempfile.TemporaryDirectory(prefix="avstack-sumo-") as folder:
        net = write_net(scenario.road_map, Path(folder))
        routes = write_routes(scenario, Path(folder))
        options = [
            "sumo", "-n", str(net), "-r", str(routes), "--step-length", str(TICK_S), "--seed", str(scenario.seed % 2**31),
            "--no-step-log", "--no-warnings", "--time-to-teleport", "-1", "--collision.action", "none",
            "--collision.check-junctions", "false", "--default.speeddev", "0", "--max-depart-delay", "-1",
        ]  # fmt: skip
        sumo.start(options)
        try:
            yield sumo
        finally:
            sumo.close()


def write_net(road_map: LaneMap, folder: Path) -> Path:
    """A SUMO net of the map's driving lanes, in the map's own coordinates.

    InputError for maps that this bridge does not know: more than one lane an arm, signals, or netconvert's own refusal.
    """
    lanes = [n for n in range(len(road_map.lanes)) if road_map.lanes["kind"][n] == LaneKind.DRIVING]
    through = [n for n in lanes if road_map.lanes["junction"][n] >= 0]
    edges = [n for n in lanes if road_map.lanes["junction"][n] < 0]
    if any(road_map.lanes[side][n] >= 0 for n in edges for side in ("left", "right")):
        raise InputError(f"map {road_map.name!r} has several lanes side by side", fix="SUMO takes maps with one lane an arm")
    controls = {Regulation(int(road_map.lanes["regulation"][n])) for n in through}
    if controls != {Regulation.ALL_WAY_STOP} or len({int(road_map.lanes["junction"][n]) for n in through}) != 1:
        raise InputError(f"map {road_map.name!r} is not a single all-way stop", fix="SUMO takes maps with one all-way stop")
    _write(folder / "nodes.xml", _nodes(road_map, edges))
    _write(folder / "edges.xml", _edges(road_map, edges))
    _write(folder / "connections.xml", _connections(road_map, through))
    return _convert(folder)


def write_routes(scenario: Scenario, folder: Path) -> Path:
    """SUMO's vehicles with their types, ways and departures, and the type and way of ego."""
    root = ElementTree.Element("routes")
    rows: list[tuple[float, int, Actor]] = []
    for a, actor in enumerate(scenario.actors):
        if actor.driver == SUMO:
            random = generator(scenario.seed, Purpose.DRIVER, a)
            temper = {name: f"{float(random.uniform(*TEMPERS[name])):.3f}" for name in TEMPERS}
            _type(root, f"v{a}", actor, temper)
            _way(root, f"v{a}", scenario.road_map, actor)
            rows.append((actor.depart_s, a, actor))
        elif a == scenario.ego:
            _type(root, _EGO, actor, {})
            _way(root, _EGO, scenario.road_map, actor)
    for depart, a, actor in sorted(rows, key=lambda row: row[:2]):
        lane = 0 if actor.route is None else actor.route.lanes[0]
        speed = min(actor.speed, 0.8 * float(scenario.road_map.lane_points(lane)["speed_limit"][0]))  # SUMO refuses faster ones
        values = {
            "id": f"v{a}", "type": f"v{a}", "route": f"v{a}", "depart": f"{depart + AHEAD_TICKS * TICK_S:.2f}",
            "departSpeed": f"{speed:.2f}",
            "departPos": f"{actor.s + 0.5 * actor.body.length:.3f}",
        }  # fmt: skip
        ElementTree.SubElement(root, "vehicle", values)
    _write(folder / "routes.xml", root)
    return folder / "routes.xml"


def _type(root: ElementTree.Element, name: str, actor: Actor, temper: dict[str, str]) -> None:
    body = actor.body
    sizes = {"length": f"{body.length:g}", "width": f"{body.width:g}", "maxSpeed": f"{body.speed_max:g}"}
    ElementTree.SubElement(root, "vType", {"id": name, **sizes, **temper})


def _way(root: ElementTree.Element, name: str, road_map: LaneMap, actor: Actor) -> None:
    lanes = () if actor.route is None else actor.route.lanes
    edges = [road_map.lane_names[lane] for lane in lanes if road_map.lanes["junction"][lane] < 0]
    ElementTree.SubElement(root, "route", {"id": name, "edges": " ".join(edges)})


def _line(road_map: LaneMap, lane: int) -> Floats:
    """Centreline (P, 2) of a lane, 1 m apart or so, both ends kept."""
    points = road_map.lane_points(lane)
    line = np.column_stack([points["x"], points["y"]]).astype(np.float64)
    return np.concatenate([line[:-1:2], line[-1:]])


def _shape(line: Floats) -> str:
    return " ".join(f"{x:.3f},{y:.3f}" for x, y in line)


def _nodes(road_map: LaneMap, edges: list[int]) -> ElementTree.Element:
    """The junction with its outline through the ends of all lanes, and a node where each lane begins or ends."""
    root = ElementTree.Element("nodes")
    corners: list[Floats] = []
    for lane in edges:
        inward = len(road_map.lane_successors(lane)) > 0
        points = road_map.lane_points(lane)
        near, far = (points[-1], points[0]) if inward else (points[0], points[-1])
        side = float(near["half_width"]) * np.array([-float(near["sin"]), float(near["cos"])])
        corners += [np.array([near["x"], near["y"]]) + side, np.array([near["x"], near["y"]]) - side]
        ElementTree.SubElement(root, "node", {"id": f"far_{lane}", "x": f"{far['x']:.3f}", "y": f"{far['y']:.3f}"})
    outline = np.array(corners)
    middle = outline.mean(axis=0)
    order = np.argsort(np.arctan2(outline[:, 1] - middle[1], outline[:, 0] - middle[0]), kind="stable")
    values = {"id": _CENTRE, "x": f"{middle[0]:.3f}", "y": f"{middle[1]:.3f}", "type": "allway_stop"}
    ElementTree.SubElement(root, "node", {**values, "shape": _shape(outline[order])})
    return root


def _edges(road_map: LaneMap, edges: list[int]) -> ElementTree.Element:
    root = ElementTree.Element("edges")
    for lane in edges:
        inward = len(road_map.lane_successors(lane)) > 0
        points = road_map.lane_points(lane)
        ends = (f"far_{lane}", _CENTRE) if inward else (_CENTRE, f"far_{lane}")
        values = {
            "id": road_map.lane_names[lane], "from": ends[0], "to": ends[1], "numLanes": "1", "spreadType": "center",
            "speed": f"{float(points['speed_limit'][0]):.2f}", "width": f"{2.0 * float(points['half_width'][0]):.2f}",
            "shape": _shape(_line(road_map, lane)),
        }  # fmt: skip
        ElementTree.SubElement(root, "edge", values)
    return root


def _connections(road_map: LaneMap, through: list[int]) -> ElementTree.Element:
    root = ElementTree.Element("connections")
    for lane in through:
        record = road_map.lanes[lane]
        before = int(road_map.predecessors[record["predecessor_start"]])
        after = int(road_map.lane_successors(lane)[0])
        ends = {"from": road_map.lane_names[before], "to": road_map.lane_names[after], "fromLane": "0", "toLane": "0"}
        ElementTree.SubElement(root, "connection", {**ends, "shape": _shape(_line(road_map, lane))})
    return root


def _write(path: Path, root: ElementTree.Element) -> None:
    ElementTree.ElementTree(root).write(path, encoding="utf-8", xml_declaration=True)


def _convert(folder: Path) -> Path:
    """The net that netconvert makes of the plain files."""
    program = Path(str(importlib.import_module("sumo").SUMO_HOME), "bin", "netconvert")
    net = folder / "net.xml"
    command = [
        str(program), "-n", str(folder / "nodes.xml"), "-e", str(folder / "edges.xml"), "-x", str(folder / "connections.xml"),
        "-o", str(net), "--offset.disable-normalization", "true", "--no-turnarounds", "true",
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise InputError(
            f"SUMO refuses the net: {done.stderr.strip().splitlines()[-1]}", fix="Use a four_way with all_way control"
        )
    return net
