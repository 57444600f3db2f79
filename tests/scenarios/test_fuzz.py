"""Whatever bytes or trees come in, only InputError comes out."""

from __future__ import annotations

import contextlib
import random
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from scenarios.catalogue import FAMILIES
from scenarios.compile import compile_scenario
from scenarios.errors import InputError
from scenarios.schema import check, load, loads

TEXTS = [FAMILIES[name].spec().to_yaml() for name in ("four_way_stop", "four_way_chicken", "t_junction")]
PIECES = [
    "{", "}", "[", "]", ":", ",", "- ", "\n", "  ", "\t", "&a ", "*a", "!x ", "!!binary ", "'", '"', "|", ">", "%", "@",
    "?", "#", "~",
    "1e999", "-0", ".nan", "0x", "null", "true", "<<: ", "{uniform: [1, 2]}", "{choice: []}", "{choice: [~, 1, {}]}",
    "{normal: {mean: 1, std: 1e308}}", "{uniform: [-1e308, 1e308]}", "99999999999999999999999", "\x00", "\ud800",
    "\u2028", "ü", "name", "---\n",
]  # fmt: skip

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(["south", "car", "left", "calm"])
)
KEYS = st.sampled_from(
    [
        "version",
        "name",
        "map",
        "ego",
        "traffic",
        "users",
        "at",
        "to",
        "lane",
        "s",
        "approach",
        "demand",
        "uniform",
        "choice",
        "normal",
        "mean",
    ]
)
TREES = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=5), max_leaves=25)


def try_text(text):
    """The text is a scenario or an InputError; ditto its first episode."""
    try:
        spec = loads(text, file="f.yaml")
        spec.draw(0)
    except InputError as error:
        return str(error).startswith("f.yaml")
    return True


def test_damaged_files():
    source = random.Random(20240)
    for _ in range(250):
        text = source.choice(TEXTS)
        for _ in range(source.randint(1, 3)):
            at = source.randrange(len(text))
            text = text[:at] + source.choice(["", source.choice(PIECES)]) + text[at + source.randint(0, 6) :]
        assert try_text(text), text


def test_damaged_bytes(tmp_path):
    source = random.Random(7)
    path = tmp_path / "f.yaml"
    for _ in range(60):
        data = bytearray(source.choice(TEXTS).encode())
        for _ in range(source.randint(1, 5)):
            data[source.randrange(len(data))] = source.randrange(256)
        path.write_bytes(bytes(data))
        with contextlib.suppress(InputError):
            load(path)


@settings(max_examples=150)
@given(tree=TREES)
def test_any_tree(tree):
    with contextlib.suppress(InputError):
        check(tree).draw(1)


@settings(max_examples=150)
@given(data=st.data())
def test_one_strange_value_in_a_good_tree(data):
    tree = FAMILIES["four_way_chicken"].spec().tree
    node: Any = tree
    key = data.draw(st.sampled_from(sorted(tree)))
    while isinstance(node[key], (dict, list)) and node[key] and data.draw(st.booleans()):
        node = node[key]
        key = data.draw(st.sampled_from(sorted(node))) if isinstance(node, dict) else data.draw(st.integers(0, len(node) - 1))
    node[key] = data.draw(SCALARS | st.sampled_from([{}, [], {"uniform": [0, 1e9]}, {"choice": ["a", 1, None]}]))
    with contextlib.suppress(InputError):
        compile_scenario(check(tree), 0)
