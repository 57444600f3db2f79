"""What a user types: names, files, maps and settings."""

from __future__ import annotations

from typing import Any

import pytest

from scenarios.catalogue import FAMILIES
from scenarios.compile import compile_scenario
from scenarios.errors import InputError
from scenarios.nearest import LISTED_MAX
from scenarios.resolve import apply_settings, resolve
from sim.roads.route import route_length


def test_a_name_of_the_catalogue_and_its_file_are_the_same(tmp_path):
    spec = resolve("four_way_stop")
    path = tmp_path / "copy.yaml"
    path.write_text(spec.to_yaml())
    assert resolve(str(path)).tree == spec.tree
    assert compile_scenario(resolve(str(path)), 3).actors == compile_scenario(spec, 3).actors


@pytest.mark.parametrize(
    ("target", "error"),
    [
        ("four_way_stp", "unknown scenario 'four_way_stp'; did you mean 'four_way_stop'?"),
        ("nowhere.yaml", "nowhere.yaml: cannot be read: no such file"),
        ("nowhere.xodr", "nowhere.xodr: map file does not exist"),
        ("", "unknown scenario ''"),
        ("\0.yaml", "cannot be read"),
    ],
)
def test_unknown_targets(target, error):
    with pytest.raises(InputError) as caught:
        resolve(target)
    assert error in str(caught.value)


def test_a_long_list_of_names_says_how_many_more_there_are():
    with pytest.raises(InputError, match=rf" and {len(FAMILIES) - LISTED_MAX} more\. Give"):
        resolve("zzz")


@pytest.mark.data
def test_a_map_gives_a_random_drive_in_traffic(data_dir):
    spec = resolve(str(data_dir / "opendrive" / "esmini" / "fabriksgatan.xodr"))
    starts = set()
    for seed in range(10):
        scenario = compile_scenario(spec, seed)
        assert scenario.ego is not None
        ego = scenario.actors[scenario.ego]
        assert ego.route is not None
        starts.add((ego.route.lanes[0], round(ego.s, 2)))
        assert len(scenario.actors) > 3
        assert route_length(scenario.road_map, ego.route) - ego.s > 150.0
    assert len(starts) > 5


@pytest.mark.parametrize(
    ("settings", "path", "value"),
    [
        (["traffic.demand=900"], ("traffic", "demand"), 900),
        (["traffic.demand.other.count=3"], ("traffic", "demand", 0, "count"), 3),
        (["traffic.demand.0.count=3"], ("traffic", "demand", 0, "count"), 3),
        (["ego.speed={uniform: [5, 9]}"], ("ego", "speed"), {"uniform": [5, 9]}),
        (["map.parameters.lanes=2"], ("map", "parameters", "lanes"), 2),
        (["weather=snow", "weather=rain"], ("weather",), "rain"),
        (["weather.friction=0.5"], ("weather", "friction"), 0.5),
        (["traffic.styles={calm: 1}"], ("traffic", "styles"), {"calm": 1}),
        (["traffic.styles.brisk=1"], ("traffic", "styles", "brisk"), 1),
        (["ego="], ("ego",), None),
        (["criteria.max_time_s=1e1"], ("criteria", "max_time_s"), 10.0),
    ],
)
def test_settings_change_one_value(settings, path, value):
    base = resolve("four_way_stop")
    spec = apply_settings(base, settings)
    node: Any = spec.tree
    for key in path:
        node = node[key]
    assert node == value
    assert resolve("four_way_stop").tree == base.tree
    assert compile_scenario(spec, 0).actors


@pytest.mark.parametrize(
    ("setting", "error"),
    [
        ("demand", "not of the form key=value"),
        ("=5", "not of the form key=value"),
        ("trafic.demand=5", "unknown key 'trafic' in the scenario; did you mean 'traffic'?"),
        ("traffic.deman=5", "unknown key 'deman' in traffic; did you mean 'demand'?"),
        ("traffic.demand.7.count=5", "traffic.demand has no item '7'. It has 1, from 0, named other"),
        ("map.parameters.lans=5", "unknown key 'lans' in map.parameters; did you mean 'lanes'?"),
        ("traffic.demand=lots", "--set traffic.demand=lots: traffic.demand: must be a valid number"),
        ("traffic.demand=-5", "--set traffic.demand=-5: traffic.demand: must be greater than or equal to 0, got -5"),
        ("duration_s=[1", "--set duration_s=[1: "),
        ("duration_s.x=1", "unknown key 'x' in duration_s"),
        ("ego.at.approach=5", "--set ego.at.approach=5: ego.at.approach: must be a valid string, got 5"),
        ("traffic.styles.clam=1", "unknown style 'clam'; did you mean 'calm'?"),
    ],
)
def test_settings_that_make_no_sense(setting, error):
    with pytest.raises(InputError) as caught:
        apply_settings(resolve("four_way_stop"), [setting])
    assert error in str(caught.value)


def test_faults_that_a_setting_causes_later_name_the_setting():
    spec = apply_settings(resolve("four_way_stop"), ["ego.at.approach=up"])
    with pytest.raises(InputError, match=r"--set ego\.at\.approach=up: no arm 'up'"):
        compile_scenario(spec, 0)


def test_every_family_resolves():
    for name in FAMILIES:
        assert resolve(name).name == name
