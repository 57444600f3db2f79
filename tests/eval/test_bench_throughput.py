"""`avstack bench throughput`: rates of workers add up, the first episode of each is left out, and shares are of the CPU time."""

from __future__ import annotations

import json

import pytest

from eval.bench.throughput import PARTS, Timed, figures_of
from scenarios.errors import InputError
from tests.eval.test_gate import call


def timed(worker: int, busy_s: float, *parts: float) -> Timed:
    return Timed(worker=worker, busy_s=busy_s, parts=dict(zip(PARTS, parts, strict=True)), simulated_s=20.0)


def test_rates_of_workers_add_up():
    first, usual = (50.0, 0.0, 0.0, 0.0), (1.0, 0.2, 0.6, 0.2)
    one = figures_of("state", 1, [timed(7, 60.0, *first), timed(7, 2.0, *usual), timed(7, 2.0, *usual)])
    assert (one["episodes"], one["episodes_per_s"]) == (2, 0.5)
    assert one["episodes_per_cpu_s"] == pytest.approx(0.5)
    assert one["simulated_per_cpu_s"] == 20.0
    assert one["shares"] == pytest.approx({"driving": 0.5, "recording": 0.1, "references": 0.3, "metrics": 0.1})
    two = figures_of("state", 2, [timed(k, busy, *usual) for k, busy in ((7, 60.0), (8, 60.0), (7, 2.0), (8, 4.0))])
    assert two["episodes_per_s"] == pytest.approx(0.75)
    alone = figures_of("state", 2, [timed(7, 2.0, *usual), timed(8, 2.0, *usual)])
    assert alone["episodes_per_s"] == pytest.approx(1.0), "nobody drove a second one"


def test_episodes_are_timed():
    words = ("bench", "throughput", "--driver", "rules", "--level", "state", "--workers", "1", "--episodes", "1", "--json")
    code, text = call(*words)
    (found,) = json.loads(text)
    assert code == 0
    assert found["episodes"] == 1
    assert found["episodes_per_s"] > 0.0
    assert sum(found["shares"].values()) == pytest.approx(1.0)
    for more, said in (
        (("--driver", "nobody"), "unknown driver"),
        (("--suite", "nothing"), "unknown suite"),
        (("--level", "x"), "sensing"),
    ):
        with pytest.raises(InputError, match=said):
            call(*words, *more)
