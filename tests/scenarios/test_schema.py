"""The schema: files round-trip, ranges are reproducible and independent, and every fault is named at its place."""

from __future__ import annotations

import json
import pickle
from copy import deepcopy
from typing import Any

import pytest

from scenarios.errors import InputError
from scenarios.schema import check, json_schema, load, loads
from tests.scenarios.json_schema_subset import violations

GOOD = """\
version: 1
name: sample
summary: A sample.
map:
  builder: four_way
  parameters:
    lanes: {uniform: [1, 3]}
    control: all_way
ego:
  at: {approach: south, before_stop: {uniform: [20, 40]}}
  to: {choice: [{exit: north}, {turn: left}]}
  speed: {normal: {mean: 8, std: 1, low: 5}}
traffic:
  users:
    - name: anna
      at: {approach: north, before_stop: 30}
      style: {choice: [calm, brisk], weights: [3, 1]}
  demand:
    - {approach: any, vehicles_per_hour: {uniform: [100, 900]}}
  styles: {normal: 0.5, calm: {uniform: [0, 1]}}
duration_s: 4e1
"""


def errors_of(text):
    with pytest.raises(InputError) as caught:
        loads(text, file="f.yaml")
    return str(caught.value).splitlines()


def test_round_trip_through_yaml():
    spec = loads(GOOD)
    again = loads(spec.to_yaml())
    assert again.tree == spec.tree
    assert again.draw(5) == spec.draw(5)


def test_summary_of_a_spec():
    spec = loads(GOOD)
    assert (spec.name, spec.summary, spec.example.duration_s) == ("sample", "A sample.", 40.0)
    assert spec.example.ego is not None
    assert spec.example.ego.at is not None
    assert spec.example.ego.at.before_stop == 20.0


def test_specs_travel_between_processes():
    spec = loads(GOOD, file="f.yaml")
    assert pickle.loads(pickle.dumps(spec)) == spec


def test_same_seed_same_values_other_seed_other_values():
    spec = loads(GOOD)
    assert spec.draw(7) == spec.draw(7)
    assert spec.draw(7)[1] != spec.draw(8)[1]


def test_a_range_elsewhere_changes_no_other_draw():
    spec = loads(GOOD)
    tree: Any = deepcopy(spec.tree)
    tree["duration_s"] = {"uniform": [20, 60]}
    tree["traffic"]["users"].insert(0, {"name": "first", "at": {"approach": "east", "before_stop": {"uniform": [5, 50]}}})
    more = check(tree)
    for seed in range(20):
        before, after = spec.draw(seed)[1], more.draw(seed)[1]
        assert {key: after[key] for key in before} == before


def test_values_stay_inside_their_ranges():
    spec = loads(GOOD)
    episodes = [spec.draw(seed) for seed in range(300)]
    assert {episode.map.parameters["lanes"] for episode, _ in episodes} == {1, 2, 3}
    assert all(isinstance(episode.map.parameters["lanes"], int) for episode, _ in episodes)
    assert {episode.traffic.users[0].style for episode, _ in episodes} == {"calm", "brisk"}
    speeds = [episode.ego.speed for episode, _ in episodes if episode.ego is not None and episode.ego.speed is not None]
    assert len(speeds) == len(episodes)
    assert min(speeds) >= 5.0
    assert max(speeds) <= 11.0
    assert sum(speeds) / len(speeds) == pytest.approx(8.0, abs=0.25)
    calm = sum(episode.traffic.users[0].style == "calm" for episode, _ in episodes)
    assert 180 < calm < 270


def test_drawn_values_are_named_by_path():
    _, parameters = loads(GOOD).draw(3)
    assert set(parameters) == {
        "map.parameters.lanes", "ego.at.before_stop", "ego.speed", "traffic.users.anna.style",
        "traffic.demand.0.vehicles_per_hour", "traffic.styles.calm",
    }  # fmt: skip


HEAD = "version: 1\nname: x\nmap: {builder: four_way}\n"


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("version: 1\nname: x\n", "f.yaml:1:1: the scenario: key 'map' is missing"),
        ("version: 2\nname: x\nmap: {builder: four_way}\n", "f.yaml:1:10: version: 2 is not one of 1"),
        (HEAD + "wether: rain\n", "f.yaml:4:1: unknown key 'wether' in the scenario; did you mean 'weather'?"),
        (HEAD + "weather: raim\n", "f.yaml:4:10: weather: 'raim' is not one of"),
        (HEAD + "weather: {friction: 3}\n", "f.yaml:4:21: weather.friction: must be less than or equal to 1.2, got 3"),
        (HEAD + "duration_s: -1\n", "f.yaml:4:13: duration_s: must be greater than 0, got -1"),
        (HEAD + "duration_s: 'long'\n", "f.yaml:4:13: duration_s: must be a valid number, got 'long'"),
        (HEAD + "duration_s: '60'\n", "f.yaml:4:13: duration_s: must be a valid number, got '60'"),
        (HEAD + "latency_ticks: 1.5\n", "f.yaml:4:16: latency_ticks: must be a valid integer"),
        (HEAD + "ego: {}\n", "f.yaml:4:6: ego: needs 'at' (where it starts), 'route' or 'track'"),
        (HEAD + "ego: {at: {lane: a, approach: b}}\n", "f.yaml:4:11: ego.at: a place is one of"),
        (HEAD + "ego: {at: {lane: a}, kind: cra}\n", "did you mean 'car'?"),
        (
            HEAD + "ego: {at: {lane: a}, style: agressive}\n",
            "f.yaml:4:29: ego.style: unknown style 'agressive'; did you mean 'aggressive'?",
        ),
        (HEAD + "ego: {at: {lane: a}, to: {exit: b, turn: left}}\n", "f.yaml:4:26: ego.to: a goal is one of"),
        (HEAD + "ego: {at: {lane: a}, present: false}\n", "the ego cannot be absent"),
        (HEAD + "traffic: {styles: {clam: 1}}\n", "f.yaml:4:19: traffic.styles: unknown style 'clam'; did you mean 'calm'?"),
        (HEAD + "traffic: {kinds: {tank: 1}}\n", "unknown kind of vehicle 'tank'"),
        (
            HEAD + "traffic: {demand: [{approach: a}]}\n",
            "f.yaml:4:20: traffic.demand.0: give either 'vehicles_per_hour' or 'count'",
        ),
        (HEAD + "traffic: {demand: lots}\n", "f.yaml:4:19: traffic.demand: must be a valid number, got 'lots' or must be a list"),
        (HEAD + "traffic: {users: [5]}\n", "f.yaml:4:19: traffic.users.0: must be a mapping of keys, got 5"),
        (HEAD + "traffic: {users: [{at: {lane: a}, kind: car, jaywalks: true}]}\n", "only a pedestrian jaywalks"),
        (HEAD + "traffic: {things: [{at: {lane: a}, size: [1, 0, 1]}]}\n", "traffic.things.0.size.1: must be greater than 0"),
        ("version: 1\nname: x\nmap: {builder: four_wya}\n", "f.yaml:3:16: unknown builder 'four_wya'; did you mean 'four_way'?"),
        (
            "version: 1\nname: x\nmap: {builder: four_way, parameters: {lans: 2}}\n",
            "f.yaml:3:39: unknown key 'lans' for builder 'four_way'; did you mean 'lanes'?",
        ),
        ("version: 1\nname: x\nmap: {builder: four_way, file: a.xodr}\n", "f.yaml:3:6: map: give either 'builder' or 'file'"),
        ("version: 1\nname: x\nmap: {file: a.xodr, controls: {a: give_way}}\n", "is not one of 'none', 'stop', 'all_way'"),
        (
            HEAD + "duration_s: {uniform: [5, 1]}\n",
            "f.yaml:4:13: range of duration_s: the lower bound comes first, got [5.0, 1.0]",
        ),
        (HEAD + "duration_s: {uniform: [-5, 1]}\n", "f.yaml:4:13: duration_s: must be greater than 0, got -5"),
        (HEAD + "duration_s: {choice: []}\n", "range of duration_s: choice: "),
        (HEAD + "duration_s: {choice: [5, 6], weights: [1]}\n", "weights must be 2 numbers"),
        (
            HEAD + "duration_s: {normal: {mean: 5, std: -1}}\n",
            "range of duration_s: normal.std: must be greater than or equal to 0",
        ),
        (HEAD + "latency_ticks: {uniform: [0.5, 2]}\n", "f.yaml:4:16: latency_ticks: must be a valid integer"),
        (
            HEAD + "ego: {at: {lane: a}, to: {choice: [{exit: b}, {trn: left}]}}\n",
            "unknown key 'trn' in ego.to; did you mean 'turn'?",
        ),
        ("5\n", "f.yaml:1:1: a scenario is a mapping of keys, got 5"),
    ],
)
def test_each_fault_is_named_at_its_place(text, error):
    errors = errors_of(text)
    assert any(error in line for line in errors), errors
    assert all(line.startswith("f.yaml:") for line in errors)


def test_all_faults_at_once_in_file_order():
    errors = errors_of(
        "version: 1\nnme: x\nmap: {builder: four_wy}\nego:\n"
        "  at: {approach: south}\n  sped: 5\n  kind: cra\nduration_s: {uniform: [2, 1]}\n"
    )
    assert [line.split(": ")[0] for line in errors] == [
        "f.yaml:1:1", "f.yaml:2:1", "f.yaml:3:16", "f.yaml:6:3", "f.yaml:7:9", "f.yaml:8:13",
    ]  # fmt: skip


def test_missing_unreadable_and_binary_files(tmp_path):
    with pytest.raises(InputError, match=r"nowhere\.yaml: cannot be read: no such file"):
        load(tmp_path / "nowhere.yaml")
    with pytest.raises(InputError, match="cannot be read: is a directory"):
        load(tmp_path)
    (tmp_path / "binary.yaml").write_bytes(b"\xff\xfe\x00\x01")
    with pytest.raises(InputError, match="not a text file"):
        load(tmp_path / "binary.yaml")


def test_a_normal_style_mix_is_not_a_range():
    spec = loads(HEAD + "traffic: {styles: {normal: 1.0}}\n")
    assert spec.example.traffic.styles == {"normal": 1.0}


def test_json_schema_accepts_what_the_loader_accepts():
    schema = json.loads(json.dumps(json_schema()))
    assert violations(loads(GOOD).tree, schema) == []


@pytest.mark.parametrize(
    "tree",
    [
        {"version": 1, "name": "x"},
        {"version": 1, "name": "x", "map": {"builder": "nowhere"}},
        {"version": 1, "name": "x", "map": {"builder": "four_way"}, "duration_s": "long"},
        {"version": 1, "name": "x", "map": {"builder": "four_way"}, "colour": "red"},
        {"version": 1, "name": "x", "map": {"builder": "four_way"}, "ego": {"at": {"lane": 5}}},
        {"version": 1, "name": "x", "map": {"builder": "four_way"}, "duration_s": {"uniform": [1]}},
    ],
)
def test_json_schema_refuses_what_the_loader_refuses(tree):
    with pytest.raises(InputError):
        check(tree)
    assert violations(tree, json_schema()) != []
