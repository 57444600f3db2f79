"""A recording as an MCAP file of Foxglove's standard messages, for its viewer and whatever else reads them (the extra `mcap`).

Frames: `map` is the recording's world, `ego` the ground under the centre of ego's box. Times count from the episode's beginning.
Topics: /tf, /map (once), /actors, /percepts, /plan, /futures, /points (where asked for), /ego (numbers to plot) and /events.
"""

from __future__ import annotations

import importlib
import json
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eval.export.tracks import track_names
from eval.metrics.traced import ego_arrays
from eval.words import REASON_WORDS
from scenarios.errors import InputError
from sim.interface import Floats, Kind
from sim.recording import Recording
from sim.roads.lane_map import LaneKind
from sim.viewer.canvas import Colour
from sim.viewer.cast import EGO_COLOUR, OTHERS_COLOUR, choose_cast
from sim.viewer.mind import claims_in, ellipse, futures_in, percepts_in, trajectory_in
from sim.viewer.overlays import COARSE, RICH

MAP, EGO = "map", "ego"
HEIGHTS = {
    "CAR": 1.5,
    "VAN": 2.4,
    "TRUCK": 3.4,
    "BUS": 3.2,
    "MOTORCYCLE": 1.5,
    "BICYCLE": 1.75,
    "PEDESTRIAN": 1.75,
    "OBJECT": 0.5,
}
"""m; recordings know length and width alone."""
LANE_COLOURS: Mapping[LaneKind, Colour] = {LaneKind.DRIVING: (200, 200, 200), LaneKind.CROSSWALK: (250, 250, 250)}
_PLAN_HEIGHT, _PATH_HEIGHT = 0.1, 0.15
_CHUNK = 4_000_000
MINDS = ("percepts", "trajectory", "futures", "futures_share", "others_at", "go_first")
"""Arrays of ego's trace that are shown."""
POINT_FIELDS = ("x", "y", "z", "intensity", "time_offset")
NUMBERS = {
    "type": "object",
    "properties": {
        **{name: {"type": "number"} for name in ("speed", "accel", "jerk", "steer")}, "reason": {"type": "string"},
        "trace": {"type": "object", "additionalProperties": {"type": "number"}},
        "goes_first": {"type": "array", "items": {"type": "number"}},
    },
}  # fmt: skip
"""JSON schema of /ego."""


@dataclass(frozen=True, slots=True)
class _Messages:
    """Foxglove's message classes by name, and the library that writes them."""

    of: Callable[[str], Any]
    writer: ModuleType
    register: Callable[[Any, Any], int]


def write_mcap(recording: Recording, out: Path, points: Iterable[tuple[int, NDArray[np.float32]]] = ()) -> None:
    """Write the file, whole or not at all. points: (tick, (N, 5) of POINT_FIELDS in ego's frame), in order of time.

    Raises InputError where the libraries are not installed.
    """
    messages = _libraries()
    part = out.with_name(f".{out.name}.part")
    try:
        with part.open("wb") as file:
            writer = messages.writer.Writer(file, chunk_size=_CHUNK)
            writer.start(library="avstack")
            _Export(recording, writer, messages).write(points)
            writer.finish()
        part.replace(out)
    finally:
        part.unlink(missing_ok=True)


def _libraries() -> _Messages:
    try:
        writer = importlib.import_module("mcap.writer")
        register = importlib.import_module("mcap_protobuf.schema").register_schema
        importlib.import_module("foxglove_schemas_protobuf.SceneUpdate_pb2")
    except ImportError as error:
        raise InputError(f"MCAP files need more ({error})", fix="Install the extra: pip install 'avstack-sim[mcap]'") from None

    def of(name: str) -> Any:
        return getattr(importlib.import_module(f"foxglove_schemas_protobuf.{name}_pb2"), name)

    return _Messages(of, writer, register)


class _Export:
    """One file in the making: channels by topic, and what each message holds."""

    def __init__(self, recording: Recording, writer: Any, messages: _Messages) -> None:
        self._recording, self._writer, self._messages = recording, writer, messages
        self._channels: dict[str, int] = {}
        self._names = track_names(recording)
        self._colours = {member.actor: member.colour for member in choose_cast(recording)}

    def write(self, points: Iterable[tuple[int, NDArray[np.float32]]]) -> None:
        """Everything, in order of time."""
        recording = self._recording
        header = recording.header
        about = {
            "scenario": header.scenario, "seed": str(header.seed), "map": recording.road_map.name, "sensing": header.sensing,
            "weather": header.weather, "ending": str(recording.footer.ending), "trace_hash": recording.footer.trace_hash,
            "avstack": header.versions.get("avstack-sim", ""),
        }  # fmt: skip
        self._writer.add_metadata("avstack", about)
        ticks = np.unique(recording.rows["tick"])
        if len(ticks):
            self._send("/map", self._map(int(ticks[0])), int(ticks[0]))
        sweeps, sweep = iter(points), None
        minds = {name: ego_arrays(recording, name) for name in MINDS}
        numbers = self._numbers()
        there: set[int] = set()
        for tick in ticks.tolist():
            there = self._write_tick(tick, minds, numbers.get(tick, {}), there)
            while sweep is None or sweep[0] < tick:
                sweep = next(sweeps, (math.inf, np.zeros((0, 5), np.float32)))
            if sweep[0] == tick:
                self._send("/points", self._cloud(tick, sweep[1]), tick)

    def _write_tick(
        self, tick: int, minds: Mapping[str, Mapping[int, NDArray[np.generic]]], numbers: Mapping[str, float], before: set[int]
    ) -> set[int]:  # fmt: skip
        """Messages of one tick; returns who is there."""
        recording = self._recording
        rows, ego = recording.at(tick), recording.header.ego
        self._send("/actors", self._actors(tick, rows, before), tick)
        for event in recording.events[recording.events["tick"] == tick]:
            self._send("/events", self._log(tick, event), tick)
        mine = rows[rows["actor"] == ego] if ego is not None else rows[:0]
        if len(mine):
            self._send("/tf", self._frames(tick, mine[0]), tick)
            mind = {name: found[tick] for name, found in minds.items() if tick in found}
            self._send_json("/ego", self._state(mine[0], numbers, mind), tick)
            if "percepts" in mind:
                self._send("/percepts", self._percepts(tick, percepts_in(mind)), tick)
            if "trajectory" in mind:
                self._send("/plan", self._plan(tick, trajectory_in(mind)), tick)
            if "futures" in mind:
                self._send("/futures", self._futures(tick, futures_in(mind)[0]), tick)
        return set(rows["actor"].tolist())

    # messages

    def _map(self, tick: int) -> Any:
        """Borders, stop lines and crosswalks, for good."""
        drawing = self._recording.road_map
        entity = self._entity(tick, "map", lifetime=False)
        for lane in drawing.lanes:
            colour = LANE_COLOURS.get(lane.kind, (140, 140, 140))
            for line in (lane.left_border, lane.right_border):
                self._line(entity, line, colour, 0.08)
            if lane.stop_line is not None:
                self._line(entity, lane.stop_line, (255, 255, 255), 0.4)
        for outline in drawing.crosswalks:
            self._line(entity, outline, (255, 255, 255), 0.15, closed=True)
        for outline in drawing.scenery:
            self._line(entity, outline, (176, 168, 158), 0.2, closed=True)
        return self._scene([entity])

    def _actors(self, tick: int, rows: NDArray[np.void], before: set[int]) -> Any:
        header, entities = self._recording.header, []
        for row in rows:
            actor = int(row["actor"])
            body, colour = header.actors[actor], self._colours.get(actor, OTHERS_COLOUR)
            height = HEIGHTS.get(body.kind, HEIGHTS[Kind.CAR.name])
            entity = self._entity(tick, self._names[actor])
            self._cube(
                entity, (float(row["x"]), float(row["y"]), float(row["heading"])), (body.length, body.width, height), colour
            )
            text = entity.texts.add()
            self._pose(text.pose, float(row["x"]), float(row["y"]), 0.0, height + 0.8)
            text.billboard, text.font_size, text.scale_invariant = True, 14.0, True
            text.text = f"{self._names[actor]} {float(row['speed']):.1f}"
            self._paint(text.color, (20, 20, 20), 1.0)
            for key, value in (("kind", body.kind.lower()), ("driver", body.driver or body.style)):
                pair = entity.metadata.add()
                pair.key, pair.value = key, value
            entities.append(entity)
        scene = self._scene(entities)
        for gone in before - set(rows["actor"].tolist()):
            deletion = scene.deletions.add()
            self._stamp(deletion.timestamp, tick)
            deletion.id = self._names[gone]
        return scene

    def _percepts(self, tick: int, things: Iterable[Mapping[str, float]]) -> Any:
        """A translucent box and the ellipse of its place for each."""
        entity = self._entity(tick, "percepts")
        for thing in things:
            colour = COARSE if thing["source"] > 0.5 else RICH
            size = (thing["length"], thing["width"], 1.5)
            self._cube(entity, (thing["x"], thing["y"], thing["heading"]), size, colour, 0.15 + 0.25 * thing["existence"])
            rim = ellipse(thing["x"], thing["y"], thing["var_x"], thing["cov_xy"], thing["var_y"])
            self._line(entity, rim, colour, 0.08)
        return self._scene([entity])

    def _plan(self, tick: int, planned: Floats) -> Any:
        entity = self._entity(tick, "plan")
        self._line(entity, planned[:, 1:3], EGO_COLOUR, 0.3, height=_PATH_HEIGHT)
        return self._scene([entity])

    def _futures(self, tick: int, futures: Floats) -> Any:
        entity = self._entity(tick, "futures")
        for places in futures[:, 1:].reshape(-1, *futures.shape[2:]):
            self._line(entity, places, (90, 90, 90), 0.12, height=_PLAN_HEIGHT)
        return self._scene([entity])

    def _frames(self, tick: int, row: np.void) -> Any:
        message = self._messages.of("FrameTransforms")()
        transform = message.transforms.add()
        self._stamp(transform.timestamp, tick)
        transform.parent_frame_id, transform.child_frame_id = MAP, EGO
        transform.translation.x, transform.translation.y = float(row["x"]), float(row["y"])
        transform.rotation.z, transform.rotation.w = math.sin(0.5 * row["heading"]), math.cos(0.5 * row["heading"])
        return message

    def _cloud(self, tick: int, points: NDArray[np.float32]) -> Any:
        message = self._messages.of("PointCloud")()
        self._stamp(message.timestamp, tick)
        message.frame_id = EGO
        message.pose.orientation.w = 1.0
        message.point_stride = 4 * len(POINT_FIELDS)
        float32 = self._messages.of("PackedElementField").NumericType.Value("FLOAT32")
        for k, name in enumerate(POINT_FIELDS):
            entry = message.fields.add()
            entry.name, entry.offset, entry.type = name, 4 * k, float32
        message.data = np.ascontiguousarray(points, "<f4").tobytes()
        return message

    def _log(self, tick: int, event: np.void) -> Any:
        message = self._messages.of("Log")()
        self._stamp(message.timestamp, tick)
        words = self._recording.header.event_names[int(event["kind"])].replace("_", " ").lower()
        who = [self._names[int(event[side])] for side in ("a", "b") if int(event[side]) >= 0]
        level = "ERROR" if words in ("collision", "offroad") else "INFO"
        message.level = self._messages.of("Log").Level.Value(level)
        message.message, message.name = f"{words}: {', '.join(who)}", "avstack"
        return message

    def _state(self, row: np.void, numbers: Mapping[str, float], mind: Mapping[str, NDArray[np.generic]]) -> dict[str, object]:
        names, reason = self._recording.header.reason_names, int(row["reason"])
        plain = names[reason].replace("_", " ").lower() if 0 <= reason < len(names) else ""
        return {
            **{name: round(float(row[name]), 4) for name in ("speed", "accel", "jerk", "steer")},
            "reason": REASON_WORDS.get(reason, "") if "manoeuvre" in numbers else plain, "trace": dict(numbers),
            "goes_first": [round(chance, 4) for _, chance in claims_in(mind)],
        }  # fmt: skip

    def _numbers(self) -> dict[int, dict[str, float]]:
        """Tick -> what ego's driver traced as numbers."""
        recording, found = self._recording, dict[int, dict[str, float]]()
        for name, (at, values) in recording.traces.items():
            for row, value in zip(recording.rows[at], values, strict=True):
                if row["actor"] == recording.header.ego and math.isfinite(value):
                    found.setdefault(int(row["tick"]), {})[name] = round(float(value), 6)
        return found

    # parts of messages

    def _entity(self, tick: int, name: str, *, lifetime: bool = True) -> Any:
        entity = self._messages.of("SceneEntity")()
        self._stamp(entity.timestamp, tick)
        entity.frame_id, entity.id = MAP, name
        if lifetime:  # what is not told again is gone
            entity.lifetime.FromNanoseconds(round(5e9 * self._recording.header.tick_s))
        return entity

    def _scene(self, entities: Iterable[Any]) -> Any:
        scene = self._messages.of("SceneUpdate")()
        scene.entities.extend(entities)
        return scene

    def _cube(
        self, entity: Any, pose: tuple[float, float, float], size: tuple[float, float, float], colour: Colour, alpha: float = 1.0
    ) -> None:  # fmt: skip
        cube = entity.cubes.add()
        self._pose(cube.pose, *pose, 0.5 * size[2])
        cube.size.x, cube.size.y, cube.size.z = size
        self._paint(cube.color, colour, alpha)

    def _line(
        self, entity: Any, points: Floats, colour: Colour, thickness: float, *, closed: bool = False, height: float = 0.0
    ) -> None:  # fmt: skip
        if len(points) < 2:
            return
        line = entity.lines.add()
        line.type = line.Type.Value("LINE_LOOP" if closed else "LINE_STRIP")
        line.pose.orientation.w = 1.0
        line.thickness = thickness
        self._paint(line.color, colour, 1.0)
        for x, y in np.asarray(points, float).tolist():
            line.points.add(x=x, y=y, z=height)

    @staticmethod
    def _pose(pose: Any, x: float, y: float, heading: float, z: float) -> None:
        pose.position.x, pose.position.y, pose.position.z = x, y, z
        pose.orientation.z, pose.orientation.w = math.sin(0.5 * heading), math.cos(0.5 * heading)

    @staticmethod
    def _paint(colour: Any, value: Colour, alpha: float) -> None:
        colour.r, colour.g, colour.b, colour.a = (*(part / 255.0 for part in value), alpha)

    def _time(self, tick: int) -> int:
        """Nanoseconds from the beginning."""
        return round(tick * self._recording.header.tick_s * 1e9)

    def _stamp(self, timestamp: Any, tick: int) -> None:
        timestamp.FromNanoseconds(self._time(tick))

    def _send(self, topic: str, message: Any, tick: int) -> None:
        if topic not in self._channels:
            schema = self._messages.register(self._writer, type(message))
            self._channels[topic] = self._writer.register_channel(topic=topic, message_encoding="protobuf", schema_id=schema)
        self._add(topic, message.SerializeToString(), tick)

    def _send_json(self, topic: str, value: object, tick: int) -> None:
        if topic not in self._channels:
            schema = self._writer.register_schema(name="avstack.Ego", encoding="jsonschema", data=json.dumps(NUMBERS).encode())
            self._channels[topic] = self._writer.register_channel(topic=topic, message_encoding="json", schema_id=schema)
        self._add(topic, json.dumps(value).encode(), tick)

    def _add(self, topic: str, data: bytes, tick: int) -> None:
        now = self._time(tick)
        self._writer.add_message(channel_id=self._channels[topic], log_time=now, publish_time=now, data=data)
