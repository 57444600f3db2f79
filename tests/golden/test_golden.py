"""Episodes come out as they did when `make golden` was last run."""

import json

import pytest

from .traces import FILE, machine_class, names, outcome

GOLDEN = json.loads(FILE.read_text())


@pytest.mark.parametrize(("family", "seed"), names())
def test_the_episode_is_the_golden_one(family, seed):
    if GOLDEN["machine"] != machine_class():
        pytest.skip(f"golden traces are of {GOLDEN['machine']}; this is {machine_class()}")
    assert outcome(family, seed) == GOLDEN["episodes"][f"{family}-{seed}"], "if it is meant: make golden"


def test_every_golden_episode_is_run():
    assert set(GOLDEN["episodes"]) == {f"{family}-{seed}" for family, seed in names()}
