"""Replayed tracks: packing, checks and interpolation."""

from __future__ import annotations

import numpy as np
import pytest

from sim.interface import TICK_S
from sim.scenario import Actor, Model, Scenario
from sim.state import Status
from sim.traffic.replay import pack_tracks, replay

CURVE = np.array(
    [
        [1.0, 0.0, 0.0, 3.0, 4.0],
        [1.5, -2.0, 0.1, 3.1, 5.0],
        [2.3, -6.5, 0.3, -3.0, 6.0],
        [3.0, -10.0, 0.0, -3.1, 5.0],
    ]
)


def scenario(street, *tracks, **fields):
    actors = tuple(
        Actor(name=f"car{k}", model=Model.REPLAY, track=track, **fields)
        if track is not None
        else Actor(name=f"thing{k}", model=Model.STILL, pose=(0.0, 0.0, 0.0))
        for k, track in enumerate(tracks)
    )
    return Scenario(name="logged", road_map=street().road_map, actors=actors, seed=1)


def play(street, track, tick):
    """Body after `tick` of a world with one actor on `track`."""
    world = street(1)
    tracks, starts, lengths = pack_tracks([scenario(street, track)])
    world.minds["track"], world.minds["track_length"] = starts[0], lengths[0]
    world.bodies["finished_tick"] = world.bodies["entered_tick"] = -1
    replay(world.state, tracks, 0, 0, tick)
    return world.bodies[0]


def test_packing_keeps_every_sample_in_order(street):
    tracks, starts, lengths = pack_tracks([scenario(street, CURVE, None, CURVE[:2]), scenario(street, CURVE[1:])])
    assert starts.tolist() == [[0, -1, 4], [6, -1, -1]]
    assert lengths.tolist() == [[4, 0, 2], [3, 0, 0]]
    assert np.array_equal(tracks, np.concatenate([CURVE, CURVE[:2], CURVE[1:]]))


def test_departure_shifts_the_track(street):
    tracks, _, _ = pack_tracks([scenario(street, CURVE, depart_s=2.5)])
    assert np.array_equal(tracks[:, 0], CURVE[:, 0] + 2.5)
    assert np.array_equal(tracks[:, 1:], CURVE[:, 1:])


def test_no_tracks_at_all(street):
    tracks, starts, lengths = pack_tracks([scenario(street, None)])
    assert tracks.shape == (0, 5)
    assert starts.tolist() == [[-1]]
    assert lengths.tolist() == [[0]]


@pytest.mark.parametrize(
    ("row", "column", "value", "complaint"),
    [
        (2, 1, np.nan, "row 2: x is nan"),
        (0, 4, np.inf, "row 0: speed is inf"),
        (2, 0, 1.5, "row 2: t = 1.5 does not come after 1.5"),
        (3, 0, 0.0, "row 3: t = 0.0 does not come after 2.3"),
    ],
)
def test_bad_values_are_named(street, row, column, value, complaint):
    bad = CURVE.copy()
    bad[row, column] = value
    with pytest.raises(ValueError, match=r"scenario 'logged', actor 'car1'") as error:
        pack_tracks([scenario(street, CURVE, bad)])
    assert complaint in str(error.value).replace("np.float64(", "").replace(")", "")


@pytest.mark.parametrize("bad", [np.zeros((0, 5)), np.zeros((3, 4)), np.zeros(5)])
def test_bad_shapes_are_named(street, bad):
    with pytest.raises(ValueError, match="actor 'car0': a track has columns t, x, y, heading, speed"):
        pack_tracks([scenario(street, bad)])


@pytest.mark.parametrize(
    ("tick", "status"),
    [(0, Status.WAITING), (9, Status.WAITING), (10, Status.ACTIVE), (30, Status.ACTIVE), (31, Status.FINISHED)],
)
def test_active_between_first_and_last_sample(street, tick, status):
    assert play(street, CURVE, tick)["status"] == status


def test_pose_is_interpolated_and_turns_the_short_way(street):
    for tick in range(10, 31):
        body = play(street, CURVE, tick)
        time = tick * TICK_S
        for name, column in (("x", 1), ("y", 2), ("speed", 4)):
            assert body[name] == pytest.approx(np.interp(time, CURVE[:, 0], CURVE[:, column]), abs=1e-5)
        heading = np.interp(time, CURVE[:, 0], np.unwrap(CURVE[:, 3]))
        assert body["cos"] == pytest.approx(np.cos(heading), abs=1e-5)
        assert body["sin"] == pytest.approx(np.sin(heading), abs=1e-5)
        assert -np.pi < body["heading"] <= np.pi + 1e-6
        assert abs(body["yaw_rate"]) < 0.4
    middle = play(street, CURVE, 12)
    assert middle["vx"] == pytest.approx(-4.0)
    assert middle["vy"] == pytest.approx(0.2)
    assert middle["accel"] == pytest.approx(2.0)


def test_a_single_sample_is_shown_once(street):
    body = play(street, CURVE[:1], 10)
    assert body["status"] == Status.ACTIVE
    assert (body["x"], body["vx"], body["accel"], body["yaw_rate"]) == (0.0, 0.0, 0.0, 0.0)
    assert play(street, CURVE[:1], 11)["status"] == Status.FINISHED
