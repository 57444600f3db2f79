"""The table of layers and the campaign of faults: what they drive, what they say, and that they can go on."""

import json
from typing import Any

import pytest

from eval.cli import execute
from eval.drivers import load_driver
from eval.layers import CONDITIONS, HELD_OUT, LAYERS, SHOWN, column
from eval.oracle import Oracle
from eval.suites import SUITES
from sim.sensors.faults import FAULTS
from sim.sensors.things import HELD_OUT_KINDS

pytest.importorskip("torch")


def row(seed, **values):
    plain = {
        "seed": seed, "at_fault": 0, "collisions": 0, "struck_things": 0.0, "completed": True, "mean_speed": 8.0,
        "hard_brakes": 0.0, "phantom_stops": 0.0, "doubt_share": 0.1,
    }  # fmt: skip
    return plain | values


def test_a_column_shows_who_strikes_more_and_by_how_much():
    good, bad = [row(k) for k in range(40)], [row(k, collisions=k % 2, struck_things=float(k % 2)) for k in range(40)]
    found: Any = column({"oracle": good, "rich only": bad, "coarse only": good, "layered": good})
    assert found["layers"]["rich only"]["struck_things"]["rate"] == 0.5
    assert found["less_oracle"]["rich only"]["struck_things"]["value"] == 0.5
    assert found["less_oracle"]["rich only"]["struck_things"]["low"] > 0.2
    assert found["layered_less"]["rich only"]["collisions"]["high"] < -0.2
    assert found["layered_less"]["oracle"]["collisions"]["value"] == 0.0
    assert found["layered_less"]["oracle"]["collisions"]["upper"] < found["layered_less"]["oracle"]["collisions"]["high"]
    assert set(found["layers"]["layered"]) == {"episodes", *SHOWN}


def test_150_episodes_can_show_two_points_at_most_and_a_worse_stack_does_not():
    """The bound that is asked for must be within reach of the episodes there are."""
    clean = [row(k) for k in range(150)]
    hit = [row(k, collisions=k < 2) for k in range(150)]
    for layered, met in ((clean, True), (hit, False)):
        found: Any = column({"oracle": clean, "rich only": clean, "coarse only": clean, "layered": layered})
        assert (found["less_oracle"]["layered"]["collisions"]["upper"] <= 0.02) is met


def test_only_the_column_for_reports_has_things_held_out():
    for condition, suite in CONDITIONS.items():
        things = {actor.thing for seed in range(8) for actor in SUITES[suite].scenario(seed).actors}
        assert bool(things & {*HELD_OUT_KINDS}) == (condition == HELD_OUT), condition


def test_all_columns_but_that_one_are_the_same_streets():
    for seed in range(4):
        nominal, fog, rings = (SUITES[CONDITIONS[name]].scenario(seed) for name in ("nominal", "fog", "ring loss"))
        assert [actor.name for actor in nominal.actors] == [actor.name for actor in fog.actors]
        assert (nominal.weather, fog.weather, nominal.faults) == (nominal.weather, "fog", ())
        assert [fault.kind for fault in rings.faults] == ["rings"]


@pytest.mark.parametrize("kind", list(FAULTS))
def test_every_fault_has_a_suite_in_which_it_begins_on_the_way(kind):
    scenario = SUITES[f"fault_{kind}"].scenario(5)
    assert [fault.kind for fault in scenario.faults] == [kind]
    assert 3.0 <= float(dict(scenario.parameters)["faults.0.start_s"]) <= 10.0


def test_layers_are_one_stack_but_for_who_answers():
    drivers: dict[str, Any] = {name: load_driver(driver) for name, driver in LAYERS.items()}
    answers = {name: driver.config.perception.answers for name, driver in drivers.items()}
    assert answers == {"oracle": "layered", "rich only": "rich", "coarse only": "coarse", "layered": "layered"}
    nothing: Any = None
    with pytest.raises(RuntimeError, match="told"):
        Oracle().step(nothing, nothing)


def test_the_campaign_runs_and_goes_on(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("eval.layers.FAULTS", {"nan": FAULTS["nan"]})
    monkeypatch.setitem(SUITES, "fault_nan", brief("fault_nan"))
    arguments = ["faults", "--seeds", "1000002", "--workers", "1", "--store", str(tmp_path / "s.sqlite"), "--json"]
    assert execute(arguments) == 0
    found = json.loads(capsys.readouterr().out)["faults"]["nan"]["joint"]
    assert found["fault_noticed"]["rate"] == 1.0
    assert found["time_to_notice_s"]["value"] <= 0.2
    assert execute(arguments) == 0
    again = capsys.readouterr()
    assert json.loads(again.out)["faults"]["nan"]["joint"] == found
    assert "1 of 1 episodes are in" in again.err


def brief(name):
    """A suite with episodes of a few seconds."""
    from dataclasses import replace

    return replace(
        SUITES[name], settings=("duration_s=3.0", "faults=[{kind: nan, start_s: {uniform: [0.8, 1.0]}, duration_s: 5.0}]")
    )
