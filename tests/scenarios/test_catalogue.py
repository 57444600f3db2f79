"""Conformance of every family: it compiles for many seeds, everybody stands on the road and can get where it wants."""

from __future__ import annotations

import json

import numpy as np
import pytest

from scenarios.catalogue import FAMILIES
from scenarios.compile import compile_scenario
from scenarios.schema import json_schema, loads
from sim.interface import Kind
from sim.roads.route import check_route, route_steps
from sim.scenario import Model
from sim.traffic.styles import RULE_BREAKERS, STYLES
from tests.scenarios.json_schema_subset import violations

SEEDS = range(20)


@pytest.fixture(scope="module", params=FAMILIES)
def family(request):
    return request.param, FAMILIES[request.param].spec()


def test_it_is_listed_under_its_name_with_one_sentence(family):
    name, spec = family
    assert spec.name == name
    assert spec.summary == FAMILIES[name].summary
    assert spec.summary.endswith(".")
    assert spec.summary.count(". ") == 0


def test_everybody_starts_on_the_road_and_has_a_way(family):
    _, spec = family
    for seed in SEEDS:
        scenario = compile_scenario(spec, seed)
        road = scenario.road_map
        assert scenario.ego == 0
        assert scenario.actors[0].model == Model.EXTERNAL
        assert len({actor.name for actor in scenario.actors}) == len(scenario.actors)
        for actor in scenario.actors:
            if actor.route is None:
                continue
            check_route(road, actor.route)
            length = float(road.lanes[actor.route.lanes[0]]["length"])
            assert 0.0 <= actor.s <= length
            assert len(actor.route.lanes) > 1 or actor.route.goal_s > actor.s
            assert actor.style in STYLES
            assert actor.style not in RULE_BREAKERS
            if actor.kind != Kind.PEDESTRIAN:
                point = road.lane_points(actor.route.lanes[0])[min(int(actor.s / 0.5), int(length / 0.5))]
                assert actor.d + 0.5 * actor.body.width <= point["room_left"] + 0.1
                assert 0.5 * actor.body.width - actor.d <= point["room_right"] + 0.1
                assert np.isfinite(route_steps(road, actor.route)["to_goal"][actor.route.lanes[0]])


def test_seeds_differ_and_repeat(family):
    _, spec = family
    episodes = [compile_scenario(spec, seed) for seed in range(4)]
    starts = {(episode.actors[0].s, episode.actors[0].speed, episode.parameters) for episode in episodes}
    assert len(starts) > 1
    again = compile_scenario(spec, 2)
    assert [(a.name, a.s, a.depart_s, a.style) for a in again.actors] == [
        (a.name, a.s, a.depart_s, a.style) for a in episodes[2].actors
    ]


def test_the_exported_schema_and_a_yaml_file_hold_it(family):
    _, spec = family
    assert violations(spec.tree, json.loads(json.dumps(json_schema()))) == []
    assert loads(spec.to_yaml()).tree == spec.tree
