"""A tape holds what a recording read back from its file holds."""

import numpy as np

from eval.describe import header_of
from sim.recorder import Recorder, Tape
from sim.recording import Ending, Footer, read_recording
from sim.roads.assemble import assemble
from sim.roads.builders import BUILDERS
from sim.roads.outline import outline
from sim.roads.route import shortest_route
from sim.scenario import Actor, Model, Scenario
from sim.world import World


def test_a_tape_has_the_rows_and_events_of_the_file(tmp_path):
    road_map = assemble(BUILDERS["four_way"](control="none"))
    route = shortest_route(road_map, road_map.lane("south_in_0"), road_map.lane("north_out_0"))
    front = Actor(name="front", route=route, s=45.0, speed=0.0, model=Model.EXTERNAL)
    crash = Actor(name="crash", route=route, s=15.0, speed=6.0, model=Model.EXTERNAL)
    late = Actor(name="late", route=route, s=5.0, speed=5.0, depart_s=2.5)
    scene = Scenario(name="crash", road_map=road_map, actors=(front, crash, late), seed=3, duration_s=6.0)
    world, path = World((scene,)), tmp_path / "file.arrow"
    reason = np.asarray(4.0)
    with Recorder(path, header_of(scene, {}), outline(road_map)) as recorder:
        tape = Tape(recorder.header)
        for _ in range(60):
            for keeper in (recorder, tape, tape):  # a tick that is there already stays as it is
                traces = {0: {"reason": reason}}
                keeper.append(world.tick, world.state.bodies[0], world.state.minds[0], world.events(0), traces)
            world.step()
        recorder.finish(Footer(ending=Ending.PASSED))
    read, kept = read_recording(path), tape.recording(Ending.PASSED)
    assert len(read.events)
    assert set(read.rows["reason"][read.rows["actor"] == 0]) == {4}
    assert np.array_equal(read.rows, kept.rows)
    assert np.array_equal(read.events, kept.events)
    assert kept.header == read.header
