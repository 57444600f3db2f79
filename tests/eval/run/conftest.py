"""The command line in this process, and small drivers of every temper."""

import json
from dataclasses import dataclass
from pathlib import Path

import pytest

from eval.cli import execute

DRIVERS = '''
import time
import numpy as np
from sim.interface import Control, DriverStep


class Idle:
    """Rolls on: neither brakes nor steers."""

    def start(self, road_map, route, spec, seed):
        return 0

    def step(self, frame, memory):
        return DriverStep(control=Control(accel=0.0), memory=memory + 1)


class Parked(Idle):
    def step(self, frame, memory):
        return DriverStep(control=Control(accel=-6.0), memory=memory + 1, trace={})


class Tracer(Idle):
    """Traces numbers and arrays; its memory has a constant part and a part of its own."""

    def start(self, road_map, route, spec, seed):
        return {"map": road_map, "constant": np.arange(5000.0), "seen": []}

    def step(self, frame, memory):
        seen = [*memory["seen"], frame.tick]
        futures = np.full((len(frame.objects), 4, 2), frame.tick, np.float32)
        trace = {"margin": np.array(0.5 * frame.tick), "futures": futures}
        return DriverStep(control=Control(accel=0.2), memory={**memory, "seen": seen}, trace=trace)


class TracesWords(Idle):
    def step(self, frame, memory):
        return DriverStep(control=Control(), memory=memory, trace={"why": np.array("because")})


class TracesOtherwise(Idle):
    def step(self, frame, memory):
        return DriverStep(control=Control(), memory=memory, trace={"a": np.zeros([1] * (1 + frame.tick % 2))})


class Unpicklable(Idle):
    def start(self, road_map, route, spec, seed):
        return lambda: 0

    def step(self, frame, memory):
        return DriverStep(control=Control(), memory=memory)


class Raises(Idle):
    def step(self, frame, memory):
        if memory == 12:
            raise KeyError("lost my way")
        return super().step(frame, memory)


class Exits(Idle):
    def step(self, frame, memory):
        raise SystemExit(0)


class Hangs(Idle):
    def step(self, frame, memory):
        while memory == 7:
            try:
                time.sleep(0.01)
            except Exception:
                pass
        return super().step(frame, memory)


class Dies(Idle):
    def step(self, frame, memory):
        import os, signal
        if memory == 60:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().step(frame, memory)


class Nan(Idle):
    def step(self, frame, memory):
        return DriverStep(control=Control(accel=float("nan")), memory=memory)


class Wrong(Idle):
    def step(self, frame, memory):
        return Control()


class NoStep:
    def start(self, road_map, route, spec, seed):
        return None


class NeedsArgument(Idle):
    def __init__(self, model):
        self.model = model


class NoWeights(Idle):
    def __init__(self):
        raise FileNotFoundError("no weights")


class StepTakesOne(Idle):
    def step(self, frame):
        return None


not_a_class = 3
'''


@dataclass(frozen=True)
class Finished:
    """What a command left behind."""

    code: int
    out: str
    err: str

    @property
    def json(self):
        return json.loads(self.out)


@pytest.fixture
def avstack(capsys):
    def call(*arguments) -> Finished:
        code = execute([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        return Finished(int(code), captured.out, captured.err)

    return call


@pytest.fixture
def drivers(tmp_path: Path):
    """Gives "FILE.py:Class" for one of the classes above."""
    folder = tmp_path / "mine"
    folder.mkdir()
    path = folder / "drivers.py"
    path.write_text(DRIVERS)
    return lambda name: f"{path}:{name}"
