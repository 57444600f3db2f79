"""Splitting: right on average where the answer is known, and on episodes what plain counting finds."""

from __future__ import annotations

import json
from pathlib import Path as File

import numpy as np
import pytest

from eval.criticality import FAR_M, margin
from eval.evaluate import driven_by
from eval.rare import Episodes, Job, run_job
from eval.splitting import Path, split
from eval.suites import suite_of
from scenarios.errors import InputError
from sim.world import World
from tests.eval.test_gate import call

WIN, LOSE = 0.4, 0.6
TARGET, RUIN = 9, -4


class Gambler:
    """Wins or loses one at a time until TARGET or RUIN. stubborn: a branch repeats its parent's luck."""

    def __init__(self, seed: int, *, stubborn: bool = False) -> None:
        self._seed, self._stubborn = seed, stubborn

    def begin(self, number: int) -> Path[tuple[int, int, int]]:
        return self._play((), 0, 0, number)

    def branch(self, path: Path[tuple[int, int, int]], climb: int, number: int) -> Path[tuple[int, int, int]]:
        money, round_, luck = path.climbs[climb][1]
        return self._play(path.climbs[: climb + 1], money, round_, luck if self._stubborn else number)

    def _play(self, before, money: int, round_: int, luck: int) -> Path[tuple[int, int, int]]:
        climbs = list(before) or [(0.0, (0, 0, luck))]
        draws = np.random.Generator(np.random.Philox(key=[self._seed, luck]))
        tossed = draws.random(400)
        while RUIN < money < TARGET:
            money += 1 if tossed[round_] < WIN else -1
            round_ += 1
            if money > climbs[-1][0]:
                climbs.append((float(money), (money, round_, luck)))
        return Path(climbs=tuple(climbs))


def exact() -> float:
    """Gambler's ruin (Feller, volume 1, XIV.2)."""
    odds = LOSE / WIN
    return float((odds**-RUIN - 1.0) / (odds ** (TARGET - RUIN) - 1.0))


def estimates(count: int, runs: int, *, stubborn: bool = False) -> np.ndarray:
    return np.array(
        [split(Gambler(seed, stubborn=stubborn), runs, TARGET, np.random.default_rng(seed)).probability for seed in range(count)]
    )


def test_splitting_is_right_on_average_where_the_answer_is_known():
    found = estimates(150, 40)
    error = found.std() / np.sqrt(len(found))
    assert exact() == pytest.approx(0.0209, abs=1e-3)
    assert found.mean() == pytest.approx(exact(), abs=3.5 * error)
    plain = np.sqrt(exact() * (1.0 - exact()) / 40)
    assert found.std() < 0.75 * plain, "as many plain runs would tell less"


def test_clones_that_replay_their_parent_are_found_out():
    """The negative control: without new noise a branch says nothing new, and those that get far are counted too often."""
    found = estimates(150, 40, stubborn=True)
    assert found.std() > 1.2 * estimates(150, 40).std()


def test_what_never_happens_has_no_probability():
    found = split(Gambler(1), 10, TARGET + 1, np.random.default_rng(0))
    assert found.probability == 0.0
    assert found.arrived == ()
    with pytest.raises(ValueError, match="at least 2 runs"):
        split(Gambler(1), 1, TARGET, np.random.default_rng(0))


JOB = Job(suite="four_way_stop", driver="rules", sensing="objects", first_seed=0, runs=6, margin_m=1.0, plain=False)


def test_a_branch_shares_the_way_there_and_not_the_way_on():
    episodes = Episodes(JOB)
    parent = episodes.begin(0)
    assert [level for level, _ in parent.climbs] == sorted({level for level, _ in parent.climbs})
    climb = len(parent.climbs) // 2
    one, again, other = (episodes.branch(parent, climb, number) for number in (11, 11, 12))
    assert one.climbs[: climb + 1] == parent.climbs[: climb + 1]
    levels = [[level for level, _ in path.climbs] for path in (one, again, other, parent)]
    assert levels[0] == levels[1], "the same number is the same branch"
    ends = [path.climbs[-1][1].kept.world.state.bodies.tobytes() for path in (one, other)]
    assert levels[0] != levels[2] or ends[0] != ends[1]


def test_the_margin_falls_to_nothing_when_they_touch():
    scenario = driven_by(suite_of("four_way_stop").scenario(3), "rules")
    world = World((scenario,))
    ego = scenario.ego
    assert ego is not None
    bodies = world.state.bodies[0]
    while not np.sum(bodies["status"] == 1) >= 2:
        world.step()
    other = next(k for k in range(len(scenario.actors)) if k != ego and bodies["status"][k] == 1)
    bodies["speed"][[ego, other]] = 0.0
    for gap in (20.0, 5.0, 1.0):
        bodies["x"][other] = bodies["x"][ego] + gap + 0.5 * (bodies["length"][ego] + bodies["length"][other])
        bodies["y"][other], bodies["heading"][[ego, other]] = bodies["y"][ego], 0.0
        assert margin(world, ego) == pytest.approx(gap, abs=1e-3)
    bodies["speed"][ego] = 10.0
    assert margin(world, ego) == pytest.approx(0.1, abs=0.11), "it would touch in a tenth of a second"
    bodies["x"][other] = bodies["x"][ego]
    assert margin(world, ego) == 0.0
    bodies["status"][other] = 2
    bodies["x"][other] += 500.0
    assert margin(world, ego) <= FAR_M


def test_an_estimate_is_kept_and_goes_on(tmp_path: File):
    words = (
        "rare", "four_way_stop", "--driver", "rules", "--sensing", "state", "--margin", "1.5", "--workers", "1",
        "--store", tmp_path / "rare.sqlite", "--json",
    )  # fmt: skip
    _, text = call(*words, "--runs", "6", "--estimates", "1")
    first = json.loads(text)
    _, text = call(*words, "--runs", "6", "--estimates", "2", "--brute", "6")
    both = json.loads(text)
    assert both["splitting"]["estimates"] == 2
    assert both["splitting"]["ticks"] > first["splitting"]["ticks"]
    assert both["brute_force"]["episodes"] == 6
    assert run_job(JOB) == run_job(JOB), "everything follows from the seeds"


def test_nonsense_is_told(tmp_path: File):
    words = ("rare", "four_way_stop", "--driver", "rules", "--workers", "1", "--store", tmp_path / "rare.sqlite")
    for more, message in (
        (("--margin", "-1"), "margin must be"), (("--margin", "nan"), "margin must be"), (("--runs", "1"), "at least 2 episodes"),
        (("--estimates", "0"), "nothing is asked for"), (("--driver", "ruels"), "unknown driver"),
    ):  # fmt: skip
        with pytest.raises(InputError, match=message):
            call(*words, *more)
