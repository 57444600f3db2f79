"""Small recordings in other people's formats, written from scratch for tests."""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet

from tests.scenarios.formats import xodr

ROAD = xodr.document(xodr.road("0", length=400.0, sections=[xodr.section([xodr.lane(-1), xodr.lane(-2)])]))
Row = tuple[str, str, float, float, float, float, float, float, float]


def rows(speed: float = 10.0, seconds: float = 8.0) -> list[Row]:
    """Two cars one after the other in lane -1, and somebody who walks beside the road."""
    found: list[Row] = []
    for k in range(round(seconds * 10) + 1):
        t = 0.1 * k
        found.append(("front", "car", t, 60.0 + speed * t, -1.75, 0.0, speed, 4.5, 1.8))
        found.append(("back", "car", t, 20.0 + speed * t, -1.75, 0.0, speed, 4.5, 1.8))
        found.append(("7", "pedestrian", t, 100.0, 4.0 + 1.2 * t, 1.57, 1.2, 0.5, 0.6))
    return found


def plain(
    folder: Path, table: Sequence[Row] | None = None, *, head: str = "# map: road.xodr\n", name: str = "tracks.csv"
) -> Path:
    """A plain table beside its road."""
    (folder / "road.xodr").write_text(ROAD)
    lines = ["track_id,kind,time,x,y,heading,speed,length,width"]
    lines += [",".join(map(str, row)) for row in (rows() if table is None else table)]
    path = folder / name
    path.write_text(head + "\n".join(lines) + "\n")
    return path


def parquet(folder: Path, **metadata: str) -> Path:
    """The same as Parquet."""
    (folder / "road.xodr").write_text(ROAD)
    columns = list(zip(*rows(), strict=True))
    names = ("track_id", "kind", "time", "x", "y", "heading", "speed", "length", "width")
    table = pa.table({name: list(column) for name, column in zip(names, columns, strict=True)})
    path = folder / "tracks.parquet"
    pyarrow.parquet.write_table(table.replace_schema_metadata({f"avstack.{key}": value for key, value in metadata.items()}), path)
    return path


def interaction(folder: Path, *, cases: bool = False) -> Path:
    """INTERACTION's layout: vehicles with everything, people without heading and size."""
    (folder / "road.xodr").write_text(ROAD)
    head = "track_id,frame_id,timestamp_ms,agent_type,x,y,vx,vy,psi_rad,length,width"
    lines = [("case_id," if cases else "") + head]
    for case in (1.0, 2.0) if cases else (1.0,):
        for k in range(40):
            lead = f"{case}," if cases else ""
            lines.append(f"{lead}1,{k + 1},{100 * (k + 1)},car,{30 + k * case},-1.75,{10 * case},0,0.0,4.5,1.8")
            lines.append(f"{lead}P1,{k + 1},{100 * (k + 1)},pedestrian/bicycle,80,{4 + 0.1 * k},0,1.0,,,")
    path = folder / "scene.csv"
    path.write_text("# map: road.xodr\n" + "\n".join(lines) + "\n")
    return path


def argoverse(folder: Path) -> Path:
    """A scenario of Argoverse 2 with its map archive: one lane of two segments, a neighbour, a crossing."""
    columns: dict[str, list[object]] = {
        name: [] for name in ("track_id", "object_type", "object_category", "timestep", "position_x", "position_y", "heading",
                              "velocity_x", "velocity_y", "observed", "scenario_id", "focal_track_id", "city")
    }  # fmt: skip
    for k in range(60):
        for name, kind, x, y, vx, vy in (
            ("AV", "vehicle", 10.0 + k, 0.0, 10.0, 0.0), ("5", "bus", 50.0 + k, 0.0, 10.0, 0.0),
            ("6", "pedestrian", 90.0, 8.0 - 0.1 * k, 0.0, -1.0), ("7", "static", 30.0, 9.0, 0.0, 0.0),
        ):  # fmt: skip
            values = (name, kind, 2, k, x, y, float(np.arctan2(vy, vx)), vx, vy, True, "abc", "AV", "austin")
            for column, value in zip(columns.values(), values, strict=True):
                column.append(value)
    path = folder / "scenario_abc.parquet"
    pyarrow.parquet.write_table(pa.table(columns), path)

    def line(y: float, x0: float, x1: float) -> list[dict[str, float]]:
        return [{"x": x, "y": y, "z": 0.0} for x in np.linspace(x0, x1, 5).tolist()]

    def segment(name: int, y: float, span: tuple[float, float], **more: object) -> dict[str, object]:
        own: dict[str, object] = {
            "id": name, "is_intersection": False, "lane_type": "VEHICLE", "left_lane_boundary": line(y + 1.75, *span),
            "right_lane_boundary": line(y - 1.75, *span), "left_lane_mark_type": "DASHED_WHITE",
            "right_lane_mark_type": "SOLID_WHITE",
            "left_neighbor_id": None, "right_neighbor_id": None, "predecessors": [], "successors": [],
        }  # fmt: skip
        return own | more

    archive = {
        "lane_segments": {
            "1": segment(1, 0.0, (0.0, 80.0), successors=[2], left_neighbor_id=3),
            "2": segment(2, 0.0, (80.0, 200.0), predecessors=[1]),
            "3": segment(3, 3.5, (0.0, 80.0), right_neighbor_id=1, successors=[99]),
        },
        "pedestrian_crossings": {"9": {"id": 9, "edge1": line(-2.0, 88.0, 92.0), "edge2": line(6.0, 88.0, 92.0)}},
        "drivable_areas": {"4": {"id": 4, "area_boundary": [*line(-3.0, 0.0, 200.0), *line(6.0, 200.0, 0.0)]}},
    }
    (folder / "log_map_archive_abc.json").write_text(json.dumps(archive))
    return path


def varint(value: int) -> bytes:
    found = b""
    value &= (1 << 64) - 1
    while True:
        value, low = value >> 7, value & 0x7F
        found += bytes([low | 0x80 if value else low])
        if not value:
            return found


def field(key: int, value: object) -> bytes:
    """One field: int, float (double), bytes or text; a pair ("f", x) is a 4-byte float."""
    if isinstance(value, tuple):
        return varint(key << 3 | 5) + struct.pack("<f", value[1])
    if isinstance(value, bool | int):
        return varint(key << 3) + varint(int(value))
    if isinstance(value, float):
        return varint(key << 3 | 1) + struct.pack("<d", value)
    data = value.encode() if isinstance(value, str) else value
    assert isinstance(data, bytes)
    return varint(key << 3 | 2) + varint(len(data)) + data


def fields(values: Mapping[int, object] | Sequence[tuple[int, object]]) -> bytes:
    pairs = values.items() if isinstance(values, Mapping) else values
    return b"".join(field(key, value) for key, value in pairs)


def point(x: float, y: float) -> bytes:
    return fields({1: x, 2: y, 3: 0.0})


def scenario(name: str, steps: int = 60) -> bytes:
    """A Waymo scenario: the recording car on lane 1 that leads to lane 2 with a light, and somebody on foot, lost for a while."""

    def state(x: float, y: float, heading: float, vx: float, vy: float, valid: bool = True) -> bytes:
        return fields([(2, x), (3, y), (4, 0.0), (5, ("f", 4.6)), (6, ("f", 1.9)), (7, ("f", 1.5)), (8, ("f", heading)),
                       (9, ("f", vx)),
                       (10, ("f", vy)), (11, valid)])  # fmt: skip

    car = fields([(1, 11), (2, 1), *((3, state(10.0 + k, 0.0, 0.0, 10.0, 0.0)) for k in range(steps))])
    walker = fields([(1, 12), (2, 2), *((3, state(90.0, 6.0 - 0.1 * k, -1.57, 0.0, -1.0, 10 <= k < 50)) for k in range(steps))])
    lanes = [
        fields({1: 1, 3: fields([(1, 25.0), (2, 2), *((8, point(2.0 * k, 0.0)) for k in range(41)), (10, varint(2)),
                              (11, fields({1: 3}))])}),
        fields({1: 2, 3: fields([(2, 2), *((8, point(80.0 + 2.0 * k, 0.0)) for k in range(61)), (9, varint(1))])}),
        fields({1: 3, 3: fields([(2, 3), *((8, point(2.0 * k, 3.5)) for k in range(41))])}),
        fields({1: 4, 8: fields([(1, point(88.0, -2.0)), (1, point(92.0, -2.0)), (1, point(90.0, 6.0))])}),
        fields({1: 5, 7: fields([(1, varint(3)), (2, point(70.0, 0.0))])}),
    ]  # fmt: skip
    times = b"".join(struct.pack("<d", 0.1 * k) for k in range(steps))
    lights = [fields({1: fields({1: 2, 2: 6 if k < 30 else 5 if k < 40 else 4})}) for k in range(steps)]
    return fields(
        [
            (5, name),
            (1, times),
            (10, 10),
            (2, walker),
            (2, car),
            (6, 1),
            *((8, lane) for lane in lanes),
            *((7, light) for light in lights),
        ]
    )


def tfrecord(folder: Path, *scenarios: bytes) -> Path:
    path = folder / "training.tfrecord-00000-of-01000"
    parts = scenarios or (scenario("first"), scenario("second", 40))
    path.write_bytes(b"".join(struct.pack("<Q", len(data)) + b"0000" + data + b"0000" for data in parts))
    return path
