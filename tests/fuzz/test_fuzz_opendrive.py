"""Damaged OpenDRIVE files: whatever is changed, reading gives a map or an InputError, nothing else, and in bounded time."""

from __future__ import annotations

import random
import re
import time
from pathlib import Path

import pytest

from scenarios.errors import InputError
from scenarios.formats.opendrive import load_opendrive, parse_opendrive
from tests.fuzz.mutants import mutant, scaled
from tests.scenarios.formats.xodr import crossroads, document, follow, geometry, lane, road, section, signal, to_junction, to_road

NASTY = (
    *(
        "",
        "0",
        "-0",
        "-1",
        "1",
        "2",
        "9",
        "1e-300",
        "1e300",
        "-1e300",
        "1e9",
        "-1e9",
        "nan",
        "inf",
        "-inf",
        "0.5",
        "1e-9",
        "100",
        "99999",
    ),
    *(
        "none",
        "driving",
        "sidewalk",
        "crosswalk",
        "end",
        "start",
        "road",
        "junction",
        "true",
        "LHT",
        "both",
        "bidirectional",
        "direct",
    ),
    *(
        "206",
        "1000001",
        "1000003",
        "294",
        "274",
        "no limit",
        "mph",
        "ALL WAY",
        "middle",
        "x" * 5000,
        "1_0",
        "&#0;",
        "+",
        "-",
        "\u0663",
    ),
)

SHAPES = (
    "<line/>",
    '<arc curvature="0.01"/>',
    '<spiral curvStart="0" curvEnd="0.02"/>',
    '<poly3 a="0" b="0" c="0.01" d="0"/>',
    '<paramPoly3 aU="0" bU="1" cU="0" dU="0" aV="0" bV="0" cV="0.01" dV="0" pRange="arcLength"/>',
)


def seeds() -> list[str]:
    """Valid files that between them use everything the reader knows."""
    crosswalk = '<object id="5" type="crosswalk" s="50" t="0" hdg="1.5708" length="9" width="3"/>'
    corners = "".join(f'<cornerLocal u="{u}" v="{v}"/>' for u, v in ((-2, -4), (2, -4), (2, 4), (-2, 4)))
    outline = f'<object id="6" type="crosswalk" s="20" t="0"><outlines><outline>{corners}</outline></outlines></object>'
    line = '<object id="7" name="StopLine" type="-1" s="70" t="-1.75" hdg="1.57" length="3.5" width="0"/>'
    signals = {
        0: signal("206", s=78.0, inside='<dependency id="p"/>') + signal("1022", s=78.0, signal_id="p", extra='text="ALL WAY"'),
        1: signal("1000001", s=79.0, signal_id="h", extra='dynamic="yes"') + signal("294", s=76.0, signal_id="l"),
        2: signal("1000003", s=60.0, t=0.0, signal_id="w", extra='value="4" width="7"')
        + signal("274", s=5.0, signal_id="v", extra='value="30"'),
        3: signal("205", s=70.0, signal_id="y", inside='<validity fromLane="-1" toLane="-1"/>'),
    }
    controller = '<controller id="c" name="c" sequence="1"><control signalId="h"/></controller>'
    cross = crossroads(signals, extra='<controller id="c"/>', controllers=controller, objects={0: line, 1: crosswalk})
    both_sides = [section([lane(-1), lane(-2, kind="sidewalk", width=2.0)], [lane(1)])]
    offset, hill = '<laneOffset s="0" a="0.5" b="0.001"/>', '<elevation s="0" a="1" b="0.01"/>'
    roads = [
        road(
            str(n),
            plan=geometry(shape=shape, y=200.0 * n),
            sections=both_sides,
            objects=crosswalk + outline,
            lanes=offset,
            elevation=hill,
        )
        for n, shape in enumerate(SHAPES)
    ]
    opening = lane(-2, inside='<width sOffset="0" a="0" b="0.1"/><width sOffset="35" a="3.5"/>', link=follow(after=-2))
    border = lane(-1, inside='<border sOffset="0" a="-3.5"/><speed sOffset="3" max="30" unit="km/h"/>', link=follow(before=-1))
    sections = [
        section([lane(-1, link=follow(after=-1)), opening]),
        section([border, lane(-2, kind="biking", width=2.0)], s=60.0),
    ]
    connection = (
        '<connection id="0" incomingRoad="a" linkedRoad="b" contactPoint="start"><laneLink from="-1" to="-1"/></connection>'
    )
    direct = f'<junction id="5" type="direct">{connection}</junction>'
    chain = document(
        road("a", sections=sections, link=to_junction("successor", "5")),
        road("b", plan=geometry(x=100.0), link=to_road("successor", "c", "end")),
        road(
            "c",
            plan=geometry(x=300.0, hdg=3.14159265),
            rule="LHT",
            sections=[section([lane(-1)], [lane(1, link=follow(after=-1))])],
        ),
        direct,
    )
    return [cross, document(*roads), chain]


ATTRIBUTE = re.compile(r'(\w+)="([^"]*)"')
ELEMENT = re.compile(r"<(\w+)[^<>]*/>|<(\w+)[^<>]*>[^<>]*</\2>")
TAG = re.compile(r"<[^<>]+>")


def change(text: str, rng: random.Random) -> str:
    """One random change of an attribute, an element, or a tag."""
    kind = rng.randrange(6)
    found = list((ATTRIBUTE, ATTRIBUTE, ATTRIBUTE, ELEMENT, ELEMENT, TAG)[kind].finditer(text))
    if not found:
        return text
    one, two = rng.choice(found), rng.choice(found)
    low, high = one.span()
    if kind == 0:
        return f'{text[:low]}{one[1]}="{rng.choice(NASTY)}"{text[high:]}'
    if kind == 1:
        return f'{text[:low]}{one[1]}="{two[2]}"{text[high:]}'
    if kind == 2:
        return text[:low] + text[high:] if rng.random() < 0.5 else f'{text[:low]}{one[1]}="{scaled(one[2], rng)}"{text[high:]}'
    if kind == 3:
        return text[:low] + text[high:] if rng.random() < 0.7 else text[:high] + one[0] + text[high:]
    if kind == 4:
        return text[:low] + two[0] + text[high:]
    return text[:low] + text[high:] if rng.random() < 0.3 else text[:low] + two[0] + text[high:]


def read(data: bytes, number: int) -> bool:
    """Whether the mutant still is a map; any exception but InputError passes through, named by the mutant's number."""
    try:
        draft = parse_opendrive(data, name="mutant")
    except InputError:
        return False
    except Exception as error:
        error.add_note(f"mutant {number}")
        raise
    assert draft.lanes
    return True


def fuzz(seconds: float, first: int) -> tuple[int, int]:
    """Read mutants for a while; how many were still maps, of how many."""
    originals = seeds()
    assert all(read(text.encode(), -1) for text in originals)
    started, number, good = time.monotonic(), first, 0
    while time.monotonic() - started < seconds:
        good += read(mutant(number, originals, change), number)
        number += 1
    return good, number - first


def test_damaged_files_give_input_errors_only():
    originals = seeds()
    good = sum(read(mutant(number, originals, change), number) for number in range(400))
    # Both outcomes must be common, or the mutants would test one side only.
    assert 40 < good < 360


def test_damaged_files_load_or_give_input_errors(tmp_path: Path):
    """The same down to the finished map, for a few."""
    originals = seeds()
    path = tmp_path / "mutant.xodr"
    loaded = 0
    for number in range(1000, 1030):
        path.write_bytes(mutant(number, originals, change))
        try:
            loaded += len(load_opendrive(path).lanes) > 0
        except InputError:
            continue
    assert loaded > 3


@pytest.mark.slow
def test_a_minute_of_damaged_files():
    good, tried = fuzz(60.0, first=10_000)
    assert tried > 500
    assert 0.1 < good / tried < 0.9
