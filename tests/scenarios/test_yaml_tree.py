"""YAML 1.2 read right, and everything else refused with its place."""

from __future__ import annotations

from typing import Any

import pytest

from scenarios.errors import InputError
from scenarios.yaml_tree import NODES_MAX, parse


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("no", "no"),
        ("yes", "yes"),
        ("on", "on"),
        ("1:30", "1:30"),
        ("1e3", 1000.0),
        ("-2.5E-1", -0.25),
        ("017", 17),
        ("0o17", 15),
        ("0x1F", 31),
        ("1_000", "1_000"),
        (".5", 0.5),
        ("5.", 5.0),
        ("~", None),
        ("null", None),
        ("true", True),
        ("'1'", "1"),
        ('"true"', "true"),
        ("2001-01-01", "2001-01-01"),
        ("[1, two, 3.0]", [1, "two", 3.0]),
        ("{a: {b: }}", {"a": {"b": None}}),
    ],
)
def test_core_schema(text, value):
    tree: Any = parse(f"key: {text}\n").data
    found = tree["key"]
    assert found == value
    assert type(found) is type(value)


def test_positions_count_from_one_and_know_key_and_value():
    positions = parse("a: 1\nb:\n  - c:   5\n").positions
    place = positions["b", 0, "c"]
    assert (place.line, place.column, place.key_line, place.key_column) == (3, 10, 3, 5)


@pytest.mark.parametrize(
    ("text", "place", "words"),
    [
        ("a: 1\nb: 2\na: 3\n", "f.yaml:3:1", "duplicate key 'a', first given on line 1"),
        ("a: !!python/object/apply:os.system [ls]\n", "f.yaml:1:4", "tag"),
        ("a: !thing 1\n", "f.yaml:1:4", "tag '!thing' is not allowed"),
        ("a: &x [*x]\n", "f.yaml:1:", "refers to itself"),
        ("a: &x {b: 1}\nc:\n  <<: *x\n", "f.yaml:3:3", "merge keys"),
        ("a: .nan\n", "f.yaml:1:4", "not a finite number"),
        ("a: -.inf\n", "f.yaml:1:4", "not a finite number"),
        ("a: [1\n", "f.yaml:2:1", "not valid YAML"),
        ("a: 1\n---\nb: 2\n", "f.yaml:2:1", "another document"),
        ("? [1, 2]\n: 3\n", "f.yaml:1:3", "a key must be a word"),
        ("", "f.yaml:1:1", "empty"),
        ("a: \x01\n", "f.yaml", "not readable"),
    ],
)
def test_refused_with_its_place(text, place, words):
    with pytest.raises(InputError) as caught:
        parse(text, "f.yaml")
    assert str(caught.value).startswith(place)
    assert words in str(caught.value)


def test_all_duplicates_are_named_at_once():
    with pytest.raises(InputError) as caught:
        parse("a: 1\na: 2\nb: {c: 1, c: 2}\n", "f.yaml")
    assert [line.split(" ")[0] for line in str(caught.value).splitlines()] == ["f.yaml:2:1:", "f.yaml:3:11:"]


def test_aliases_cannot_blow_up():
    levels = "\n".join(f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 9))
    with pytest.raises(InputError, match=f"At most {NODES_MAX} values"):
        parse(f"a0: &a0 [1, 2]\n{levels}\n")
