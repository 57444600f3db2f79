"""A policy as a driver sees what it saw as an agent, and drives as one."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from eval.drivers import load_driver
from eval.policy import driver as policy
from eval.policy.assess import NEUTRAL
from eval.policy.games import COPIES, STRANGERS, TRAINING, games, seated
from eval.policy.network import (
    LEVELS,
    OBSERVATION,
    OTHER_SIZE,
    OWN_SIZE,
    Weights,
    actions_of,
    features,
    load_weights,
    save_weights,
    shapes,
)
from scenarios.envs import compile_episodes
from scenarios.errors import InputError
from sim.envs import BatchEnv, vector
from sim.scenario import Model
from sim.sensors.state import sense
from sim.state import CONTROL_DTYPE, Status
from sim.traffic.own_world import begin
from sim.world import World

STYLES = tuple(high for _, high in NEUTRAL.values())


def random_weights(seed: int = 0) -> Weights:
    random = np.random.default_rng(seed)
    return Weights({name: random.normal(0.0, 0.3, shape).astype(np.float32) for name, shape in shapes().items()}, {})


def one_agent(seed: int) -> BatchEnv:
    config = replace(OBSERVATION, agents="external", autoreset="Disabled", styles=NEUTRAL, repeat=1)
    return BatchEnv(games("four_way_stop", range(seed, seed + 1), STRANGERS), 1, config)


@pytest.mark.parametrize("seed", [3, 7])
def test_the_driver_sees_what_the_environment_shows(seed):
    env = one_agent(seed)
    row = env.reset([1])[0, 0]
    scenario = env.stock.scenarios[0]
    slot = int(env.tables.agents["slot"][0, 0])
    actor = scenario.actors[slot]
    assert actor.route is not None
    own = begin(scenario.road_map, actor.route, actor.body, scenario.seed)
    edges = vector.make_edges(own.roads)
    places = vector.layout(OBSERVATION)
    first, shape = places["neighbours"]
    compared = neighbours = 0
    while not env.over[0]:
        frame = sense(env.state, env.stock.roads, 0, slot, env.stock.signals[0])
        own = policy.look(frame, own)
        told = policy.observation(own, edges, STYLES)
        theirs = slice(first, first + shape[0] * shape[1])
        for name, at in (("before", slice(0, first)), ("after", slice(theirs.stop, None))):
            np.testing.assert_allclose(told[at], row[at], atol=0.02, err_msg=f"{name} the neighbours at {frame.tick}")
        # an environment's agents look around anew every fifth tick, a driver in every one
        if (frame.tick + slot) % 5 == 0:
            np.testing.assert_allclose(told[theirs], row[theirs], atol=0.02, err_msg=f"neighbours at {frame.tick}")
            compared += 1
            neighbours += int(row[theirs].reshape(shape)[:, 0].sum())
        level = LEVELS[(frame.tick // 7) % len(LEVELS)]
        row = env.step(np.full(env.action_shape, level, np.float32)).observations[0, 0]
    assert compared > 10
    assert neighbours > 20


def play(driver, scenario, slot, ticks, level="state"):
    """Positions and commands of one driver in a world."""
    world = World([replace(scenario, sensing=level)], traced=False)
    actor = scenario.actors[slot]
    memory = driver.start(scenario.road_map, actor.route, actor.body, scenario.seed)
    controls = np.zeros(world.state.bodies.shape, CONTROL_DTYPE)
    log = []
    for _ in range(ticks):
        step = driver.step(world.frame(0, slot), memory)
        memory = step.memory
        one = controls[0, slot]
        one["accel"], one["steer"], one["indicator"], one["given"] = (
            step.control.accel,
            step.control.steer,
            step.control.indicator,
            1,
        )
        world.step(controls)
        body = world.state.bodies[0, slot]
        log.append((float(body["x"]), float(body["y"]), float(body["speed"]), int(step.trace["level"])))
        if body["status"] != Status.ACTIVE:
            break
    return log


def test_the_driver_drives_as_the_environment_s_agent_did(tmp_path):
    """Same network, same episode: the world with the driver in it goes the way of the environment with the agent in it."""
    weights = random_weights(2)
    save_weights(tmp_path / "policy.npz", weights)
    weights = load_weights(tmp_path / "policy.npz")
    env = BatchEnv(games("four_way_stop", range(3, 4), STRANGERS), 1, replace(one_agent(3).config, repeat=OBSERVATION.repeat))
    row = env.reset([1])[0, 0]
    slot = int(env.tables.agents["slot"][0, 0])
    theirs = []
    for _ in range(60):
        choice = weights.choose(*features(row[None]), np.full((1, len(LEVELS)), 0.5), 0.0)
        row = env.step(actions_of(choice[None])).observations[0, 0]
        body = env.state.bodies[0, slot]
        theirs.append((float(body["x"]), float(body["y"]), float(body["speed"]), int(choice[0])))
        if env.over[0]:
            break
    driver = load_driver(f"policy:{tmp_path / 'policy.npz'}[safety=false,temperature=0]")
    scenario = replace(env.stock.scenarios[0], latency_ticks=1)
    own = play(driver, scenario, slot, 3 * len(theirs))[2::3]
    # a neighbour that the environment's agent has not looked for yet may change a choice: up to there they are the same
    same = next((n for n, (a, b) in enumerate(zip(own, theirs, strict=False)) if a[3] != b[3]), len(own))
    assert same > 5
    np.testing.assert_allclose(np.array(own[:same]), np.array(theirs[:same]), atol=0.02)


@pytest.mark.parametrize("level", ["state", "objects"])
@pytest.mark.parametrize("safety", ["true", "false"])
def test_it_drives_at_every_level_that_has_objects_with_the_envelope_and_without(tmp_path, level, safety):
    save_weights(tmp_path / "policy.npz", random_weights(2))
    driver = load_driver(f"policy:{tmp_path / 'policy.npz'}[safety={safety}]")
    scenario = replace(games("four_way_stop", range(3, 4), STRANGERS)[0], ego=0)
    log = play(driver, scenario, 0, 60, level)
    assert len(log) == 60
    assert np.isfinite(np.array(log)).all()


def test_nonsense_is_answered_by_a_stop(tmp_path):
    save_weights(tmp_path / "policy.npz", random_weights())
    driver = load_driver(f"policy:{tmp_path / 'policy.npz'}")
    env = one_agent(3)
    env.reset([1])
    scenario, slot = env.stock.scenarios[0], int(env.tables.agents["slot"][0, 0])
    actor = scenario.actors[slot]
    assert actor.route is not None
    memory = driver.start(scenario.road_map, actor.route, actor.body, 0)
    frame = sense(env.state, env.stock.roads, 0, slot, env.stock.signals[0])
    bad = replace(frame, pose=np.array([np.nan, 0.0, 0.0]))
    assert driver.step(bad, memory).control.accel < 0.0
    assert driver.step(replace(frame, objects=None), memory).control.accel < 0.0


def test_names_of_policies(tmp_path):
    save_weights(tmp_path / "policy.npz", random_weights())
    name = f"policy:{tmp_path / 'policy.npz'}"
    assert type(load_driver(name)).__name__ == "Policy"
    unguarded: Any = load_driver(f"{name}[safety=false,time=2]")
    assert not unguarded.config.safety
    for wrong, message in (
        ("policy:nowhere.npz", "no policy 'nowhere.npz'"),
        (f"{name}[time=9]", "time must be between"),
        (f"{name}[speed=9]", "unknown setting 'speed'"),
    ):
        with pytest.raises(InputError, match=message):
            load_driver(wrong)


@pytest.mark.parametrize("damage", ["text", "cut", "missing", "shape", "version", "nan"])
def test_files_that_are_no_policy_are_refused(tmp_path, damage):
    path = tmp_path / "policy.npz"
    weights = random_weights()
    arrays = dict(weights.arrays)
    if damage == "nan":
        arrays["first.bias"] = np.full_like(arrays["first.bias"], np.nan)
    if damage == "shape":
        arrays["first.bias"] = arrays["first.bias"][:-1]
    save_weights(path, Weights(arrays, {"version": 0} if damage == "version" else {}))
    if damage == "text":
        path.write_text("no weights")
    elif damage == "cut":
        path.write_bytes(path.read_bytes()[:2000])
    elif damage == "missing":
        np.savez(path, about=np.array("{}"))
    with pytest.raises(InputError, match="policy"):
        load_weights(path)


def test_weights_survive_the_file_in_half_precision(tmp_path):
    weights = random_weights()
    save_weights(tmp_path / "a" / "policy.npz", weights)
    assert [file.name for file in (tmp_path / "a").iterdir()] == ["policy.npz"]
    kept = load_weights(tmp_path / "a" / "policy.npz")
    for name, array in weights.arrays.items():
        np.testing.assert_allclose(kept.arrays[name], array, rtol=1e-3, atol=1e-6)


def test_the_order_of_neighbours_means_nothing_and_who_is_not_there_neither():
    random = np.random.default_rng(0)
    own = random.normal(size=(4, OWN_SIZE)).astype(np.float32)
    others = random.normal(size=(4, 7, OTHER_SIZE)).astype(np.float32)
    others[:, :, 0] = [1, 1, 1, 1, 0, 0, 0]
    weights = random_weights()
    expected = weights.logits(own, others)
    np.testing.assert_allclose(weights.logits(own, others[:, [2, 5, 0, 6, 3, 1, 4]]), expected, rtol=1e-4, atol=1e-4)
    others[:, 4:, 1:] = 9.0
    np.testing.assert_allclose(weights.logits(own, others), expected, rtol=1e-4, atol=1e-4)


def test_features_are_of_order_one():
    env = BatchEnv(games("four_way_stop", range(8), TRAINING), 8, replace(OBSERVATION, agents="external", autoreset="SameStep"))
    seen: NDArray[Any] = env.reset(list(range(8)))
    for _ in range(40):
        there = seen[..., 9] > 0.0
        own, others = features(seen[there])
        assert own.shape[1:] == (OWN_SIZE,)
        assert others.shape[2:] == (OTHER_SIZE,)
        assert np.abs(own).max() < 5.0
        assert np.abs(others).max() < 5.0
        seen = env.step(np.full(env.action_shape, 0.3, np.float32)).observations


def test_seats_are_given_out_by_seed():
    scenarios = compile_episodes("four_way_stop", 40)
    first = [seated(one, TRAINING) for one in scenarios]
    assert first == [seated(one, TRAINING) for one in scenarios]
    for one in first:
        assert one.ego is not None
        assert one.actors[one.ego].model == Model.EXTERNAL
    driven = np.array(
        [np.mean([actor.model == Model.EXTERNAL for actor in one.actors if actor.route is not None]) for one in first]
    )
    assert 5 < (driven > 0.6).sum() < 35
    known = {name for name, _ in TRAINING.styles}
    for one in scenarios:
        strangers = seated(one, STRANGERS)
        styles = {actor.style for actor in strangers.actors if actor.model == Model.NEGOTIATOR}
        assert not styles & known
        assert [a for a, actor in enumerate(strangers.actors) if actor.model == Model.EXTERNAL] == [one.ego]
    assert all(actor.model != Model.NEGOTIATOR for one in scenarios for actor in seated(one, COPIES).actors)


def test_the_policy_that_comes_with_it_tells_what_made_it_and_turns_up_at_its_goal():
    weights = policy.weights_at("")
    assert weights.about["config"]["family"] == "four_way_stop"
    assert weights.about["spent"]["updates"] == 300
    assert policy.SHIPPED.stat().st_size < 1_000_000
    for name in ("policy", "policy_no_safety"):
        scenario = replace(games("four_way_stop", range(7001, 7002), STRANGERS)[0], latency_ticks=1)
        assert scenario.ego is not None
        log = play(load_driver(name), scenario, scenario.ego, 400)
        assert len(log) < 400
        assert len({level for *_, level in log}) > 2


def test_the_envelope_changes_nothing_as_long_as_it_has_nothing_to_say_and_stops_who_would_hit_somebody():
    """Beside each other on the same frames; then with a stopped car in the way and a policy that does not care."""
    scenario = replace(games("four_way_stop", range(7001, 7002), STRANGERS)[0], latency_ticks=1)
    assert scenario.ego is not None
    actor = scenario.actors[scenario.ego]
    assert actor.route is not None
    guarded, alone = load_driver("policy"), load_driver("policy_no_safety")
    memories = [one.start(scenario.road_map, actor.route, actor.body, 0) for one in (guarded, alone)]
    world = World([scenario], traced=False)
    controls = np.zeros(world.state.bodies.shape, CONTROL_DTYPE)
    quiet = 0
    for _ in range(100):
        frame = world.frame(0, scenario.ego)
        first, second = guarded.step(frame, memories[0]), alone.step(frame, memories[1])
        memories = [first.memory, second.memory]
        if not int(first.trace["intervention"]):
            quiet += 1
            assert first.control == second.control
        one = controls[0, scenario.ego]
        one["accel"], one["steer"], one["given"] = first.control.accel, first.control.steer, 1
        world.step(controls)
    assert quiet > 50


def test_the_envelope_stops_a_policy_that_does_not_care(tmp_path):
    careless = random_weights()
    careless.arrays["choice.weight"][...] = 0.0
    careless.arrays["choice.bias"][...] = np.arange(len(LEVELS))  # as fast as it may, whatever it sees
    save_weights(tmp_path / "policy.npz", careless)
    scenario = replace(games("four_way_stop", range(7001, 7002), STRANGERS)[0], latency_ticks=1)
    assert scenario.ego is not None
    actor = scenario.actors[scenario.ego]
    stopped = replace(actor, name="stopped", model=Model.STILL, s=actor.s + 25.0, speed=0.0, driver="")
    scenario = replace(scenario, actors=(*scenario.actors, stopped))
    gap = {}
    for safety in ("true", "false"):
        log = play(load_driver(f"policy:{tmp_path / 'policy.npz'}[safety={safety}]"), scenario, scenario.ego, 60)
        gone = float(np.hypot(log[-1][0] - log[0][0], log[-1][1] - log[0][1]))
        gap[safety] = 25.0 - actor.body.length - gone
    assert 0.0 < gap["true"] < 6.0
    assert gap["false"] < 0.0  # into the other
