"""Damaged CommonRoad files: whatever is changed, reading gives a recording and its map's draft or an InputError, nothing else."""

from __future__ import annotations

import random
import re
import time
from pathlib import Path

import pytest

from scenarios.errors import InputError
from scenarios.formats.commonroad import draft_map, parse_commonroad
from scenarios.maps import ground_of
from scenarios.model import MapSpec
from tests.fuzz.mutants import mutant, scaled
from tests.scenarios.formats import cr

NASTY = (
    *("", "0", "-1", "1", "2", "7", "1e-300", "1e300", "-1e9", "1e9", "nan", "inf", "0.5", "99999", "1_0", "\u0663", "&#0;"),
    *("car", "bus", "train", "red", "blue", "same", "opposite", "206", "274", "static", "left", "urban", "crosswalk", "x" * 5000),
)
TEXT = re.compile(r">([^<>]+)<|\"([^\"<>]*)\"")
LEAF = re.compile(r"<(\w+)[^<>]*/>|<(\w+)[^<>]*>[^<>]*</\2>")
TAG = re.compile(r"<[^<>]+>")


def seeds() -> list[str]:
    """Valid files that between them use everything the reader knows."""
    rows = [(k, -60.0 + k, 0.01 * k, 0.01 * k, 10.0) for k in range(8)]
    polygon = f"<polygon>{cr.point(0, 0)}{cr.point(4, 0)}{cr.point(4, 2)}</polygon>"
    area = "<rectangle><length>10</length><width>4</width><center><x>60</x><y>0</y></center></rectangle>"
    line = f"<stopLine>{cr.point(-12, 1.7)}{cr.point(-12, -1.7)}<lineMarking>solid</lineMarking></stopLine>"
    incoming = f'<incoming id="8">{cr.refs(incomingLanelet=1, successorsStraight=2)}</incoming>'
    whole = cr.crossroads(
        cr.dynamic(30, rows), cr.dynamic(31, rows, "pedestrian", "<circle><radius>0.4</radius></circle>"),
        cr.static(32, 40.0, 4.0, shape=polygon), f'<intersection id="7">{incoming}</intersection>',
        cr.problem(70, cr.state("initialState", 0, -50, 0), position=area, inside=cr.exact("velocity", 5.0)),
        cr.problem(71, cr.state("initialState", 0, -50, 0), position='<lanelet ref="3"/>'),
        signs=cr.sign(90, "206") + cr.sign(91, "274", "8.5") + cr.light(92, [(40, "green"), (30, "red")], 5, "left"),
        west=line + cr.refs(trafficSignRef=(90, 91), trafficLightRef=92),
    )  # fmt: skip
    same = '<{0} ref="{1}" drivingDir="same"/>'
    old = cr.document(
        cr.lanelet(1, (0, 0), (50, 20), inside=same.format("adjacentLeft", 2) + "<speedLimit>12</speedLimit>"),
        cr.lanelet(2, (-1, 3.4), (49, 23.4), inside=same.format("adjacentRight", 1)),
        f'<obstacle id="4"><role>dynamic</role><type>car</type><shape>{cr.RECTANGLE}</shape>'
        f"{cr.state('initialState', 0, 1.0, 2.0)}<trajectory>{cr.state('state', 1, 2.0, 2.0)}</trajectory></obstacle>",
        version="2018b",
    )
    return [whole, old]


def change(text: str, rng: random.Random) -> str:
    """One random change of a value, an element, or a tag."""
    kind = rng.randrange(5)
    found = [match.span() for match in ((TEXT, TEXT, TEXT, LEAF, TAG)[kind]).finditer(text)]
    low, high = rng.choice(found)
    if kind < 3:
        value = text[low + 1 : high - 1]
        new = rng.choice(NASTY) if kind == 0 else scaled(value, rng) if kind == 1 else text[slice(*rng.choice(found))][1:-1]
        return text[: low + 1] + new + text[high - 1 :]
    if rng.random() < 0.5:
        return text[:low] + text[high:]
    other = rng.choice(found)
    return text[:low] + text[slice(*other)] + text[high:]


def read(data: bytes, number: int) -> bool:
    """Whether the mutant still is a recording; any exception but InputError passes through, named by the mutant's number."""
    try:
        draft = draft_map(parse_commonroad(data, name="mutant"))
    except InputError:
        return False
    except Exception as error:
        error.add_note(f"mutant {number}")
        raise
    assert draft.lanes
    return True


def fuzz(seconds: float, first: int) -> tuple[int, int]:
    """Read mutants for a while; how many were still recordings, of how many."""
    originals = seeds()
    started, number, good = time.monotonic(), first, 0
    while time.monotonic() - started < seconds:
        good += read(mutant(number, originals, change), number)
        number += 1
    return good, number - first


def test_damaged_files_give_input_errors_only() -> None:
    originals = seeds()
    assert all(read(text.encode(), -1) for text in originals)
    good = sum(read(mutant(number, originals, change), number) for number in range(400))
    # Both outcomes must be common, or the mutants would test one side only.
    assert 40 < good < 360


def test_damaged_files_become_maps_or_input_errors(tmp_path: Path) -> None:
    """The same down to the finished map, for a few."""
    originals = seeds()
    loaded = 0
    for number in range(1000, 1030):
        path = tmp_path / f"{number}.xml"
        path.write_bytes(mutant(number, originals, change))
        try:
            loaded += len(ground_of(MapSpec(file=str(path)), tmp_path).road_map.lanes) > 0
        except InputError:
            continue
    assert loaded > 3


@pytest.mark.slow
def test_a_minute_of_damaged_files() -> None:
    good, tried = fuzz(60.0, first=10_000)
    assert tried > 500
    assert 0.1 < good / tried < 0.9
