"""Damaged Lanelet2 files: whatever is changed, reading gives a map's draft or an InputError, nothing else."""

from __future__ import annotations

import random
import re
import time
from pathlib import Path

import pytest

from scenarios.errors import InputError
from scenarios.formats.lanelet2 import draft_map, parse_lanelet2
from scenarios.maps import ground_of
from scenarios.model import MapSpec
from tests.fuzz.mutants import exchange, mutant
from tests.scenarios.formats.osm import Osm, crossroads, straight

NASTY = (
    *("", "0", "-1", "1", "2", "7", "1e-300", "1e300", "-1e9", "nan", "inf", "0.5", "1_0", "\u0663", "&#0;", "1001", "1030"),
    *("left", "right", "yield", "ref_line", "refers", "way", "relation", "node", "lanelet", "regulatory_element", "road", "no"),
    *("crosswalk", "traffic_light", "all_way_stop", "dashed", "urban", "de206", "multipolygon", "building", "x" * 5000),
)
ELEMENT = re.compile(r"<(node|way|relation)[^<>]*>.*?</\1>|<(nd|member|tag)[^<>]*/>")


def seeds() -> list[str]:
    """Valid files that between them use everything the reader knows."""
    file, names = crossroads()
    line = file.way([(-10.0, 2.0), (-10.0, -2.0)], type="stop_line")
    sign = file.way([(-9.0, 4.0), (-9.0, 4.5)], type="traffic_sign", subtype="de206")
    members = [("way", "ref_line", line), ("way", "refers", sign), ("relation", "yield", names["w0"])]
    way = file.rule("right_of_way", [*members, ("relation", "right_of_way", names["s0"])])
    light = file.rule("traffic_light", members[:2])
    limit = file.rule("speed_limit", [("way", "refers", sign)], sign_type="de274-30")
    stop = file.rule("all_way_stop", members)
    straight(file, (0.0, 30.0), (40.0, 30.0), way, light, limit, stop, one_way="no", speed_limit="30 mph")
    straight(file, (0.0, 40.0), (40.0, 40.0), subtype="crosswalk", one_way="no")
    file.relation(
        [("way", "outer", file.way([(0.0, 50.0), (9.0, 50.0), (9.0, 60.0), (0.0, 50.0)]))],
        type="multipolygon",
        subtype="building",
    )
    globe = Osm(local=False)
    straight(globe, (0.0, 0.0), (50.0, 0.0))
    straight(globe, (0.0, 9.0), (50.0, 9.0), location="nonurban", subtype="highway")
    return [file.text(), globe.text()]


def change(text: str, rng: random.Random) -> str:
    """One random change of a value or an element."""
    return exchange(text, rng, ELEMENT, NASTY)


def read(data: bytes, number: int) -> bool:
    """Whether the mutant still is a map; any exception but InputError passes through, named by the mutant's number."""
    try:
        draft = draft_map(parse_lanelet2(data, name="mutant"))
    except InputError:
        return False
    except Exception as error:
        error.add_note(f"mutant {number}")
        raise
    assert draft.lanes
    return True


def test_damaged_files_give_input_errors_only() -> None:
    originals = seeds()
    assert all(read(text.encode(), -1) for text in originals)
    good = sum(read(mutant(number, originals, change), number) for number in range(400))
    assert 40 < good < 360


def test_damaged_files_become_maps_or_input_errors(tmp_path: Path) -> None:
    """The same down to the finished map, for a few."""
    originals = seeds()
    loaded = 0
    for number in range(1000, 1030):
        path = tmp_path / f"{number}.osm"
        path.write_bytes(mutant(number, originals, change))
        try:
            loaded += len(ground_of(MapSpec(file=str(path)), tmp_path).road_map.lanes) > 0
        except InputError:
            continue
    assert loaded > 3


@pytest.mark.slow
def test_a_minute_of_damaged_files() -> None:
    originals = seeds()
    started, number, good = time.monotonic(), 10_000, 0
    while time.monotonic() - started < 60.0:
        good += read(mutant(number, originals, change), number)
        number += 1
    assert number - 10_000 > 500
    assert 0.1 < good / (number - 10_000) < 0.9
