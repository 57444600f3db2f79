"""A small crossing and a made-up episode on it, for recordings and pictures: no simulator involved."""

from pathlib import Path

import numpy as np
import pytest

from sim.interface import Colour
from sim.recorder import Recorder
from sim.recording import RECORDED_EVENT_DTYPE, TICK_DTYPE, Ending, Footer, Header, RecordedActor
from sim.roads.assemble import assemble
from sim.roads.lane_map import Crosswalk, LaneDraft, LaneKind, LaneMap, MapDraft, Regulation, SignalPlan
from sim.roads.outline import outline

BODY = np.dtype(
    [(name, TICK_DTYPE[name]) for name in TICK_DTYPE.names or () if name not in ("tick", "actor", "lane", "s", "d", "reason")]
)
MIND = np.dtype([(name, TICK_DTYPE[name]) for name in ("lane", "s", "d", "reason")])
LINKS = {"west": ("east", "north"), "south": ("north", "east"), "east": ("west",), "north": ("south",)}
AWAY = {"west": (-1.0, 0.0), "east": (1.0, 0.0), "south": (0.0, -1.0), "north": (0.0, 1.0)}
CONTROLS = {"west": Regulation.STOP, "east": Regulation.YIELD, "south": Regulation.SIGNAL, "north": Regulation.ALL_WAY_STOP}


def _line(start, end, points=40):
    return np.linspace(start, end, points)


def _crossing() -> LaneMap:
    """Four arms of one lane each way, keep right; every kind of control, a crosswalk and a house."""
    lanes = []
    for arm, away in AWAY.items():
        out = np.array(away)
        right = np.array([-out[1], out[0]])  # of somebody who comes in
        near, far = 9.0, 60.0
        lanes.append(
            LaneDraft(
                name=f"{arm}_in",
                centreline=_line(far * out + 1.75 * right, near * out + 1.75 * right, 60),
                half_width=1.75,
                successors=tuple(f"{arm}_to_{other}" for other in LINKS[arm]),
                regulation=CONTROLS[arm],
                signal="lights" if arm == "south" else None,
                opposite=f"{arm}_out",
            )
        )
        lanes.append(
            LaneDraft(
                name=f"{arm}_out",
                centreline=_line(near * out - 1.75 * right, far * out - 1.75 * right, 60),
                half_width=1.75,
                opposite=f"{arm}_in",
            )
        )
    ends = {lane.name: lane.centreline for lane in lanes}
    for arm, others in LINKS.items():
        for other in others:
            a, b = ends[f"{arm}_in"][-1], ends[f"{other}_out"][0]
            corner = -np.array(AWAY[arm]) * 1.75 + np.array(AWAY[other]) * 1.75 if arm in ("west", "south") else 0.5 * (a + b)
            t = np.linspace(0.0, 1.0, 30)[:, None]
            straight = abs(np.dot(AWAY[arm], AWAY[other])) > 0.5
            curve = (1 - t) * a + t * b if straight else (1 - t) ** 2 * a + 2 * t * (1 - t) * corner + t**2 * b
            lanes.append(
                LaneDraft(
                    name=f"{arm}_to_{other}", centreline=curve, half_width=1.75, successors=(f"{other}_out",), junction="middle"
                )
            )
    walk = _line(np.array([-5.5, -12.0]), np.array([5.5, -12.0]), 12)
    lanes.append(LaneDraft(name="walk", centreline=walk, half_width=1.5, kind=LaneKind.CROSSWALK))
    zebra = np.array([[-4.0, -13.5], [4.0, -13.5], [4.0, -10.5], [-4.0, -10.5]])
    house = np.array([[8.0, 8.0], [24.0, 8.0], [24.0, 20.0], [8.0, 20.0]])
    plan = SignalPlan(name="lights", phases=((10.0, Colour.GREEN), (3.0, Colour.YELLOW), (10.0, Colour.RED)))
    return assemble(
        MapDraft(
            name="crossing",
            lanes=lanes,
            signals=(plan,),
            crosswalks=(Crosswalk(outline=zebra, lanes=("walk",)),),
            scenery=(house,),
        )
    )


@pytest.fixture(scope="session")
def crossing() -> LaneMap:
    return _crossing()


@pytest.fixture
def header() -> Header:
    actors = (
        RecordedActor(name="ego", kind="CAR", length=4.7, width=1.85, driver="rules", route=(0, 8)),
        RecordedActor(name="bus", kind="BUS", length=12.0, width=2.55, style="assertive"),
        RecordedActor(name="walker", kind="PEDESTRIAN", length=0.5, width=0.6),
        RecordedActor(name="late", kind="CAR", length=4.7, width=1.85),
        RecordedActor(name="dirt", kind="OBJECT", length=2.0, width=1.5, thing="dirt pile"),
    )
    return Header(
        scenario="made_up",
        seed=7,
        duration_s=20.0,
        ego=0,
        actors=actors,
        event_names=("COLLISION", "OFFROAD"),
        reason_names=("FREE", "STOP_LINE"),
        parameters={"gap": 2.5, "kind": "bus"},
        versions={"avstack-sim": "0.0"},
    )


def episode(tick: int, moving: float = 1.0):
    """Bodies and minds of the five actors at a tick: ego from the west meets a bus from the south."""
    bodies, minds = np.zeros(5, dtype=BODY), np.zeros(5, dtype=MIND)
    t = 0.1 * tick * moving
    speed = 7.0 * np.clip(1.0 - np.exp(-((t - 6.0) ** 2) / 3.0), 0.05, 1.0)
    bodies["x"] = (-50.0 + 6.0 * t, 1.75, -6.0 + 0.9 * t, 60.0 - 5.0 * t, 20.0)
    bodies["y"] = (-1.75, -60.0 + 6.1 * t, -12.0, 1.75, 2.0)
    bodies["heading"] = (0.0, np.pi / 2, 0.0, np.pi, 0.3)
    bodies["speed"] = (speed, 6.1, 0.9, 5.0, 0.0)
    bodies["accel"] = (np.sin(t), -np.cos(t), 0.0, 0.2, 0.0)
    bodies["status"] = (1, 1, 1, 1 if tick >= 30 else 0, 1)
    bodies["indicator"] = (1, 2, 0, 3, 0)
    bodies["brake_light"] = (int(4.0 < t < 6.0), 0, 0, 0, 0)
    bodies["gesture"] = (0, int(t > 5.0), 0, 0, 0)
    minds["reason"] = int(3.0 < t < 7.0)
    minds["s"] = t
    return bodies, minds


def collision(tick: int):
    return np.array([(tick, 0, 0, 1, 1.7, -1.7, 0.1 * tick, 6.4, 1, 0)], dtype=RECORDED_EVENT_DTYPE)


@pytest.fixture
def write(tmp_path: Path, crossing: LaneMap, header: Header):
    """Writes the made-up episode to a file and returns its path."""

    def write_recording(
        ticks: int = 160, *, name: str = "a.arrow", moving: float = 1.0, hit: int | None = None, ending=Ending.PASSED
    ) -> Path:
        path = tmp_path / name
        with Recorder(path, header, outline(crossing)) as recorder:
            for tick in range(ticks):
                bodies, minds = episode(tick, moving)
                events = collision(hit) if hit is not None and tick >= hit else np.zeros(0, dtype=RECORDED_EVENT_DTYPE)
                recorder.append(tick, bodies, minds, events, {0: {"margin": np.array(0.5 * tick)}})
            recorder.finish(
                Footer(ending=ending, reasons=() if ending is Ending.PASSED else ("collision at fault",), trace_hash="ab12")
            )
        return path

    return write_recording
