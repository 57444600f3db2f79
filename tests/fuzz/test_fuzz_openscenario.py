"""Damaged OpenSCENARIO files: whatever is changed, reading and playing gives a scenario or an InputError, nothing else."""

from __future__ import annotations

import random
import re
import time
from pathlib import Path

import pytest

from scenarios.errors import InputError
from scenarios.formats.openscenario_file import read_document
from scenarios.scripted import ego_of, set_stage
from tests.fuzz.mutants import exchange, mutant
from tests.scenarios.storyboard import osc

NASTY = (
    *(
        "",
        "0",
        "-1",
        "1",
        "2",
        "1e-300",
        "1e300",
        "-1e9",
        "nan",
        "inf",
        "0.5",
        "1_0",
        "\u0663",
        "&#0;",
        "$A",
        "${1/0}",
        "${$A*2}",
    ),
    *(
        "Ego",
        "Other",
        "step",
        "linear",
        "time",
        "rate",
        "distance",
        "true",
        "car",
        "rising",
        "lessThan",
        "skip",
        "x" * 5000,
        "..",
        "/",
    ),
)
ELEMENT = re.compile(r"<(\w+)[^<>]*/>")
PLAYED_TICKS = 25


def seeds() -> list[str]:
    """Valid files that between them use much of what the reader knows."""
    change = osc.lane_change('<RelativeTargetLane entityRef="Other" value="1"/>')
    target = '<RelativeTargetSpeed entityRef="Ego" value="0.5" speedTargetValueType="factor" continuous="true"/>'
    distance = osc.private(
        '<LongitudinalAction><LongitudinalDistanceAction entityRef="Ego" distance="20" freespace="true" continuous="false" '
        'displacement="leadingReferencedEntity"/></LongitudinalAction>'
    )
    near = osc.condition(
        osc.by_entity(
            '<RelativeDistanceCondition entityRef="Ego" relativeDistanceType="longitudinal" value="${$A * 10}" freespace="true" '
            'rule="greaterThan"/>'
        ),
        "rising",
        0.2,
    )
    return [
        osc.document(
            osc.story(
                osc.event("one", change, osc.at_time(0.3)), osc.event("two", osc.speed(2.0, "cubic", "rate", 3.0), near),
                osc.event("three", osc.speed(0.0, target=target), osc.state_of("event", "one", "startTransition"), "parallel"),
            ),
            parameters=osc.parameter("A", 4.0), stop=osc.trigger(osc.at_time(9.0), tag="StopTrigger"),
        ),
        osc.document(osc.story(osc.event("one", distance, osc.at_time(0.1))), minor=0),
    ]  # fmt: skip


def change(text: str, rng: random.Random) -> str:
    """One random change of a value or an element."""
    return exchange(text, rng, ELEMENT, NASTY)


def play(folder: Path, data: bytes, number: int) -> bool:
    """Whether the mutant can be played; any exception but InputError passes through, named by the mutant's number."""
    (folder / "test.xosc").write_bytes(data)
    try:
        instance = read_document(folder / "test.xosc").instance({})
        board, _ = set_stage(instance, ego_of(instance.entities()))
        for _ in range(PLAYED_TICKS):
            board.step()
    except InputError:
        return False
    except Exception as error:
        error.add_note(f"mutant {number}")
        raise
    return True


def test_damaged_files_give_input_errors_only(tmp_path: Path) -> None:
    originals = seeds()
    osc.write(tmp_path, originals[0])
    assert all(play(tmp_path, text.encode(), -1) for text in originals)
    good = sum(play(tmp_path, mutant(number, originals, change), number) for number in range(200))
    assert 20 < good < 180


@pytest.mark.slow
def test_a_minute_of_damaged_files(tmp_path: Path) -> None:
    originals = seeds()
    osc.write(tmp_path, originals[0])
    started, number, good = time.monotonic(), 10_000, 0
    while time.monotonic() - started < 60.0:
        good += play(tmp_path, mutant(number, originals, change), number)
        number += 1
    assert number - 10_000 > 300
    assert 0.1 < good / (number - 10_000) < 0.9
