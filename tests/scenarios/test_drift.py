"""Things that the wind blows about stay about their place, at the speed asked for, the same way for the same seed."""

from __future__ import annotations

import numpy as np
import pytest

from scenarios.catalogue import FAMILIES
from scenarios.compile import compile_scenario
from scenarios.drift import drift_track
from scenarios.resolve import apply_settings
from sim.scenario import Model
from sim.sensors.things import HELD_OUT_KINDS, THINGS
from sim.world import World


@pytest.mark.parametrize("speed", [0.3, 1.2])
def test_a_drift_has_the_speed_asked_for_and_stays_near(speed):
    track = drift_track((5.0, -3.0, 1.0), speed, 300.0, np.random.default_rng(1))
    assert np.sqrt(np.mean(track[:, 4] ** 2)) == pytest.approx(speed, rel=0.1)
    assert np.hypot(track[:, 1] - 5.0, track[:, 2] + 3.0).max() < 3.0 * speed
    moved = np.hypot(*np.diff(track[:, 1:3], axis=0).T) / np.diff(track[:, 0])
    assert np.abs(moved - 0.5 * (track[1:, 4] + track[:-1, 4])).max() < 0.1 * speed
    again = drift_track((5.0, -3.0, 1.0), speed, 300.0, np.random.default_rng(1))
    assert track.tobytes() == again.tobytes()


def test_a_blown_thing_moves_in_the_world_and_its_neighbours_do_not():
    spec = FAMILIES["blocked_lane"].spec()
    plain = compile_scenario(spec, 3)
    windy = compile_scenario(apply_settings(spec, ("traffic.things.litter.present=true",)), 3)
    litter = next(actor for actor in windy.actors if actor.name == "litter")
    assert litter.model == Model.REPLAY
    assert litter.drive_through
    assert [actor.name for actor in plain.actors] == [actor.name for actor in windy.actors if actor.name != "litter"]
    world, slot = World([windy]), windy.actors.index(litter)
    places = []
    for _ in range(20):
        world.step()
        places.append((float(world.state.bodies["x"][0, slot]), float(world.state.bodies["y"][0, slot])))
    assert len(set(places)) == 20


@pytest.mark.parametrize(("family", "held_out"), [("debris", False), ("debris_held_out", True)])
def test_debris_has_one_thing_to_go_round_and_one_to_drive_through(family, held_out):
    kinds = set()
    for seed in range(40):
        scenario = compile_scenario(FAMILIES[family].spec(), seed)
        things = {actor.name: actor for actor in scenario.actors if actor.thing}
        assert set(things) == {"debris", "litter", "aside"}
        assert not things["debris"].drive_through
        assert things["litter"].drive_through
        for actor in things.values():
            kind = THINGS[actor.thing]
            sizes = (actor.body.length, actor.body.width, actor.body.height)
            limits = (kind.length, kind.width, kind.height)
            assert all(low <= size <= high for size, (low, high) in zip(sizes, limits, strict=True))
            assert actor.drive_through == kind.drive_through
            assert (actor.thing in HELD_OUT_KINDS) == held_out
            kinds.add(actor.thing)
    assert len(kinds) > 6
