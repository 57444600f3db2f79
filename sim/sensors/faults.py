"""What breaks in sensors, each fault for a while: applied to finished frames of the ego, so that it is the same at every level.

A fault that repeats or delays what was measured needs earlier frames: `FaultMemory` keeps as many as are needed, and is part of a
world's snapshot. Own readings (pose, odometry) and the frame's tick go on unless the fault is about them.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from sim.interface import TICK_S, SensorFrame
from sim.rng import Purpose, generator

_FAULTS = 0xFA17  # a stream within Purpose.SENSOR
_COORDINATES = ("x", "y")


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One fault of the ego's sensors. kind: a key of FAULTS; amount: how bad, None for that kind's own."""

    kind: str
    start_s: float
    duration_s: float
    amount: float | None = None

    def __post_init__(self) -> None:
        if self.kind not in FAULTS:
            raise ValueError(f"Fault.kind must be one of {', '.join(FAULTS)}, got {self.kind!r}")
        if not (self.start_s >= 0.0 and self.duration_s > 0.0):
            raise ValueError(f"a fault starts at 0 s or later and lasts, got {self.start_s!r} s and {self.duration_s!r} s")
        low, high = FAULTS[self.kind].limits
        if not low <= self.severity <= high:
            raise ValueError(f"the amount of {self.kind!r} must be between {low:g} and {high:g}, got {self.amount!r}")

    @property
    def severity(self) -> float:
        """The amount, or that of its kind."""
        return FAULTS[self.kind].amount if self.amount is None else self.amount

    def is_on(self, tick: int) -> bool:
        """Whether it lasts at this tick."""
        return self.start_s <= tick * TICK_S + 1e-9 < self.start_s + self.duration_s


@dataclass(slots=True)
class FaultMemory:
    """Frames as they would have been. past: the last ones, the latest last; frozen: what each fault keeps showing."""

    past: deque[SensorFrame] = field(default_factory=deque)
    frozen: dict[int, SensorFrame] = field(default_factory=dict)

    def copy(self) -> FaultMemory:
        """A memory that goes on by itself."""
        return FaultMemory(past=deque(self.past), frozen=dict(self.frozen))


Effect = Callable[[SensorFrame, SensorFrame, float, np.random.Generator], SensorFrame]


@dataclass(frozen=True, slots=True, kw_only=True)
class FaultKind:
    """A kind of fault: what it does to (frame, earlier frame, amount, random numbers), its usual amount and the limits of that.

    earlier: which frame it is given besides: `none` (this one again), `frozen` (the last one before it began), or `late` (the one
    of `amount` ticks ago).
    """

    effect: Effect
    amount: float = 1.0
    limits: tuple[float, float] = (0.0, 1.0)
    earlier: str = "none"


def _blackout(frame: SensorFrame, earlier: SensorFrame, amount: float, random: np.random.Generator) -> SensorFrame:
    """Nothing comes any more: no points, no list of objects."""
    lidar = None if frame.lidar is None else _read_only(np.zeros((0, 5), np.float32))
    return replace(frame, objects=None, lidar=lidar, sight=None)


def _repeat(frame: SensorFrame, earlier: SensorFrame, amount: float, random: np.random.Generator) -> SensorFrame:
    """What was seen then is given out as if it were seen now."""
    return replace(frame, objects=earlier.objects, lidar=earlier.lidar, sight=earlier.sight)


def _late(frame: SensorFrame, earlier: SensorFrame, amount: float, random: np.random.Generator) -> SensorFrame:
    """What was seen a while ago comes only now, and says so."""
    ticks = frame.tick - earlier.tick
    lidar = earlier.lidar
    if lidar is not None:
        lidar = lidar.copy()
        lidar[:, 4] -= np.float32(ticks * TICK_S)
        _read_only(lidar)
    age = earlier.objects_age + ticks if earlier.objects is not None else frame.objects_age
    return replace(frame, objects=earlier.objects, lidar=lidar, sight=earlier.sight, objects_age=age)


def _rings(frame: SensorFrame, earlier: SensorFrame, amount: float, random: np.random.Generator) -> SensorFrame:
    """Rings give nothing: done by the lidar itself, see `dead_rings`; other levels have none."""
    return frame


def _nan(frame: SensorFrame, earlier: SensorFrame, amount: float, random: np.random.Generator) -> SensorFrame:
    """A share of the points, or of the objects, has no place."""
    lidar, objects = frame.lidar, frame.objects
    if lidar is not None:
        lidar = lidar.copy()
        lidar[random.random(len(lidar)) < amount, :3] = np.nan
        _read_only(lidar)
    if objects is not None:
        objects = objects.copy()
        bad = random.random(len(objects)) < amount
        for name in _COORDINATES:
            objects[name][bad] = np.nan
        objects.setflags(write=False)
    return replace(frame, lidar=lidar, objects=objects)


def _pose_jump(frame: SensorFrame, earlier: SensorFrame, amount: float, random: np.random.Generator) -> SensorFrame:
    """The pose estimate is off by `amount` metres in a direction that stays the same, and by a little angle; it does not know."""
    angle = random.uniform(0.0, 2.0 * np.pi)
    shift = np.array([amount * np.cos(angle), amount * np.sin(angle), 0.05 * amount * random.choice((-1.0, 1.0))])
    pose = frame.pose + shift
    pose[2] = np.pi - (np.pi - pose[2]) % (2.0 * np.pi)
    pose.setflags(write=False)
    return replace(frame, pose=pose)


def _read_only(points: NDArray[np.float32]) -> NDArray[np.float32]:
    points.setflags(write=False)
    return points


FAULTS: Mapping[str, FaultKind] = {
    "blackout": FaultKind(effect=_blackout),
    "frozen": FaultKind(effect=_repeat, earlier="frozen"),
    "rings": FaultKind(effect=_rings, amount=0.5, limits=(0.0, 0.99)),
    "late": FaultKind(effect=_late, amount=5.0, limits=(1.0, 50.0), earlier="late"),
    "nan": FaultKind(effect=_nan, amount=0.2),
    "pose_jump": FaultKind(effect=_pose_jump, amount=2.0, limits=(0.0, 50.0)),
}
"""Name -> what it does. amount: share of rings, of points or of objects; ticks; metres."""


def dead_rings(faults: Sequence[Fault], tick: int) -> float:
    """Share of rings that faults take away at a tick."""
    return max((fault.severity for fault in faults if fault.kind == "rings" and fault.is_on(tick)), default=0.0)


def apply(faults: Sequence[Fault], frame: SensorFrame, memory: FaultMemory, seed: int) -> SensorFrame:
    """The frame with the faults of its tick; `memory` takes it in as it was. To be called for one tick after the other."""
    _remember(faults, frame, memory)
    spoilt = frame
    for number, fault in enumerate(faults):
        if not fault.is_on(frame.tick):
            continue
        kind = FAULTS[fault.kind]
        # a jump goes the same way all the time; what flickers is drawn anew each tick
        moment = 0 if fault.kind == "pose_jump" else frame.tick
        random = generator(seed, Purpose.SENSOR, _FAULTS, number, moment)
        spoilt = kind.effect(spoilt, _earlier(kind, number, fault, frame, memory), fault.severity, random)
    return spoilt


def _remember(faults: Sequence[Fault], frame: SensorFrame, memory: FaultMemory) -> None:
    if memory.past and memory.past[-1].tick == frame.tick:
        memory.past.pop()
    for number, fault in enumerate(faults):
        if FAULTS[fault.kind].earlier == "frozen" and fault.is_on(frame.tick) and number not in memory.frozen:
            memory.frozen[number] = memory.past[-1] if memory.past else frame
    memory.past.append(frame)
    wanted = max((round(fault.severity) for fault in faults if FAULTS[fault.kind].earlier == "late"), default=0)
    while len(memory.past) > wanted + 1:
        memory.past.popleft()


def _earlier(kind: FaultKind, number: int, fault: Fault, frame: SensorFrame, memory: FaultMemory) -> SensorFrame:
    if kind.earlier == "frozen":
        return memory.frozen[number]
    if kind.earlier == "late":
        due = frame.tick - round(fault.severity)
        return next((one for one in reversed(memory.past) if one.tick <= due), memory.past[0])
    return frame
