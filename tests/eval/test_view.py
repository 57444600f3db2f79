"""`avstack view`: live episodes, driving by hand, pictures and films without a window, a window that nobody sees, and errors."""

from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np
import pygame
import pytest

import sim.viewer.video as video
import sim.viewer.window as window
from eval.cli import execute
from eval.live import LiveFeed
from eval.run import Job, prepare, run_episode
from eval.view import Request, open_show
from sim.interface import Control, Gear, Gesture, Indicator, Odometry, VehicleSpec
from sim.recorder import Recorder
from sim.recording import Ending, Footer, Header, RecordedActor, read_recording
from sim.roads.outline import MapOutline
from sim.state import Status
from sim.viewer.hands import LATERAL_MAX, WAVE_TICKS, Hands
from sim.viewer.keys import Keys
from sim.viewer.video import VideoError, filming
from sim.viewer.viewer import Viewer
from sim.world import World

SCENARIO = "four_way_chicken"
RELEASED = pygame.KEYUP


def live(seed: int = 1, driver: str = "rules") -> Viewer:
    return Viewer(open_show(Request(target=SCENARIO, seed=seed, driver=driver)), (800, 500))


def key(which: int, kind: int = pygame.KEYDOWN) -> pygame.event.Event:
    return pygame.event.Event(kind, key=which, mod=0)


def played(script: dict[int, list[pygame.event.Event]], frames: int, seed: int = 1, driver: str = "rules") -> Viewer:
    """A live episode with events before some of its frames, 20 a second."""
    viewer = live(seed, driver)
    keys = Keys(viewer)
    for frame in range(frames):
        for event in script.get(frame, ()):
            keys.handle(event)
        viewer.step(0.05)
    return viewer


def speeds(viewer: Viewer, actor: int) -> np.ndarray:
    return np.array([row["speed"] for k in range(viewer.feed.last_tick) for row in viewer.feed.rows(k) if row["actor"] == actor])


def test_a_live_episode_is_the_one_that_is_run(tmp_path: Path):
    viewer = live(driver="joint")
    while not viewer.feed.ended:
        viewer.feed.advance()
    ran = run_episode(Job(target=SCENARIO, seed=1, driver="joint", out=tmp_path))
    ego = [viewer.feed.rows(k)[["tick", "x", "y"]][0] for k in range(1, 100)]
    recorded = read_recording(Path(str(ran.recording))).track(0)
    assert [(row["x"], row["y"]) for row in ego] == [(row["x"], row["y"]) for row in recorded[:99]]
    assert ran.completed
    assert viewer.feed.verdict == "everybody has arrived"
    assert viewer.feed.trace(50, 0)["percepts"].ndim == 2
    assert viewer.feed.trace(50, 1) == {}


def test_one_looks_back_in_a_live_episode_without_changing_it():
    viewer = played({}, 60)
    last = viewer.feed.last_tick
    assert last == pytest.approx(31, abs=1)
    before = viewer.feed.rows(10).tobytes()
    viewer.seek(5)
    assert viewer.at == 5.0
    assert viewer.feed.last_tick == last
    viewer.seek(last + 10)
    assert viewer.feed.last_tick == last + 10
    assert viewer.feed.rows(10).tobytes() == before


def test_driving_by_hand_does_what_is_pressed_and_is_the_same_each_time():
    script = {
        0: [key(pygame.K_TAB), key(pygame.K_d), key(pygame.K_UP)],
        40: [key(pygame.K_UP, RELEASED), key(pygame.K_DOWN), key(pygame.K_z)],
        100: [key(pygame.K_DOWN, RELEASED), key(pygame.K_w)],
    }
    one, other = played(script, 120), played(script, 120)
    assert isinstance(one.feed, LiveFeed)
    assert isinstance(other.feed, LiveFeed)
    assert one.driven == one.chosen == 1
    assert one.feed.trace_hash == other.feed.trace_hash
    driven = speeds(one, 1)
    assert driven[15] > driven[2] + 1.5
    assert driven[50] < driven[20] - 3.0
    gestures = [int(row["gesture"]) for row in one.feed.rows(one.feed.last_tick - 1) if row["actor"] == 1]
    indicators = [int(row["indicator"]) for row in one.feed.rows(one.feed.last_tick - 1) if row["actor"] == 1]
    assert gestures == [Gesture.WAVE]
    assert indicators == [Indicator.LEFT]
    idle = played({}, 120)
    assert isinstance(idle.feed, LiveFeed)
    assert idle.feed.trace_hash != one.feed.trace_hash


@pytest.mark.parametrize(("actor", "driver"), [(1, "rules"), (0, "joint")])
def test_a_car_that_is_handed_back_drives_on_to_its_goal(actor: int, driver: str):
    take = [key(pygame.K_TAB)] * actor + [key(pygame.K_d), key(pygame.K_DOWN)]
    viewer = played({0: take, 100: [key(pygame.K_DOWN, RELEASED), key(pygame.K_d)]}, 110, driver=driver)
    assert viewer.driven is None
    assert "drives itself again" in viewer.message
    assert speeds(viewer, actor)[40] < 0.5, "it was braked to a stop"
    feed = viewer.feed
    while not feed.ended:
        feed.advance()
    assert isinstance(feed, LiveFeed)
    assert feed.verdict == "everybody has arrived"


def test_taking_another_car_hands_the_first_back():
    viewer = played({0: [key(pygame.K_TAB), key(pygame.K_d)], 10: [key(pygame.K_TAB), key(pygame.K_d)]}, 20)
    assert viewer.driven == 2
    Keys(viewer).handle(key(pygame.K_d))
    assert viewer.driven is None


def test_a_gamepad_drives_too():
    def axis(which: int, value: float) -> pygame.event.Event:
        return pygame.event.Event(pygame.CONTROLLERAXISMOTION, axis=which, value=round(32767 * value), instance_id=0)

    def button(which: int) -> pygame.event.Event:
        return pygame.event.Event(pygame.CONTROLLERBUTTONDOWN, button=which, instance_id=0)

    script = {
        0: [axis(pygame.CONTROLLER_AXIS_LEFTX, 1.0), button(pygame.CONTROLLER_BUTTON_X)],
        1: [axis(pygame.CONTROLLER_AXIS_TRIGGERLEFT, 1.0), axis(pygame.CONTROLLER_AXIS_LEFTX, -0.5)],
        2: [button(pygame.CONTROLLER_BUTTON_LEFTSHOULDER)],
    }
    viewer = played(script, 60)
    assert viewer.driven == 0
    assert viewer.hands is not None
    assert viewer.hands.wheel == pytest.approx(0.5, abs=0.01)
    assert viewer.hands.indicator is Indicator.LEFT
    assert speeds(viewer, 0)[-1] < 1.0


def test_who_is_no_vehicle_or_gone_cannot_be_driven():
    show = open_show(Request(target="crosswalk", seed=0))
    viewer = Viewer(show)
    viewer.step(0.2)
    people = [k for k, actor in enumerate(show.feed.header.actors) if actor.kind == "PEDESTRIAN"]
    viewer.seek(60)
    there = [actor for actor in people if actor in viewer.feed.rows(viewer.feed.last_tick)["actor"]]
    assert there
    viewer.chosen = there[0]
    viewer.drive()
    assert viewer.driven is None
    assert "no vehicle" in viewer.message
    viewer.chosen = None
    viewer.drive()
    assert "choose somebody" in viewer.message


def test_again_is_the_same_and_next_is_another():
    viewer = live(seed=4)
    first = [viewer.feed.rows(viewer.feed.first_tick).tobytes()]
    Keys(viewer).handle(key(pygame.K_r))
    assert viewer.feed.rows(viewer.feed.first_tick).tobytes() == first[0]
    Keys(viewer).handle(key(pygame.K_n))
    assert viewer.feed.header.seed == 5
    assert viewer.feed.rows(viewer.feed.first_tick).tobytes() != first[0]


def test_a_driver_that_fails_ends_the_episode_and_says_why(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    file = tmp_path / "bad.py"
    file.write_text(
        "from sim.interface import Control, DriverStep\n"
        "class Bad:\n"
        "    def start(self, road_map, route, spec, seed): return 0\n"
        "    def step(self, frame, memory):\n"
        "        if memory > 5: raise KeyError('lost')\n"
        "        return DriverStep(control=Control(), memory=memory + 1)\n"
    )
    viewer = live(driver=f"{file}:Bad")
    for _ in range(40):
        viewer.step(0.05)
    assert viewer.feed.ended
    assert "lost" in viewer.feed.verdict
    assert execute(["view", SCENARIO, "--driver", f"{file}:Bad", "--frames", "40"]) == 3


@pytest.mark.parametrize("speed", [0.0, 3.0, 12.0])
def test_hands_turn_no_more_than_a_passenger_bears(speed: float):
    hands, spec = Hands(), VehicleSpec()
    hands.wheel = 1.0
    odometry = Odometry(speed=speed, accel=0.0, yaw_rate=0.0, steer=0.0)
    turned = [hands.control(odometry, spec).steer for _ in range(40)]
    assert turned[0] < turned[-1]
    assert turned[-1] == pytest.approx(spec.steer_max) or speed > 1.0
    assert speed**2 * np.tan(turned[-1]) / spec.wheelbase <= LATERAL_MAX + 1e-6
    hands.wheel = 0.0
    assert [hands.control(odometry, spec).steer for _ in range(40)][-1] == 0.0


def test_hands_brake_and_reverse():
    hands, spec = Hands(), VehicleSpec()

    def asked(speed: float) -> Control:
        return hands.control(Odometry(speed=speed, accel=0.0, yaw_rate=0.0, steer=0.0), spec)

    assert asked(0.0).accel == 0.0
    assert asked(5.0).accel < 0.0, "rolls out"
    hands.throttle = 1.0
    assert asked(5.0).accel > 2.0
    hands.brake = 1.0
    assert asked(5.0).accel < -3.0, "the brake wins"
    hands.hard = True
    assert asked(5.0).accel == -8.0
    hands.brake, hands.hard = 0.0, False
    hands.shift()
    assert (asked(0.0).gear, asked(0.0).accel < 0.0) == (Gear.REVERSE, True)
    hands.throttle, hands.brake = 0.0, 1.0
    assert asked(-2.0).accel > 3.0
    hands.wave()
    waved = [asked(0.0).gesture for _ in range(WAVE_TICKS + 2)]
    assert waved.count(Gesture.WAVE) == WAVE_TICKS


def test_a_picture_and_frames_without_a_window(tmp_path: Path):
    one, other = tmp_path / "one.png", tmp_path / "other.png"
    common = [SCENARIO, "--driver", "rules", "--seed", "1", "--show", "all"]
    assert execute(["view", *common, "--at", "6", "--screenshot", str(one)]) == 0
    assert execute(["view", *common, "--at", "6", "--screenshot", str(other)]) == 0
    assert one.read_bytes() == other.read_bytes()
    assert pygame.image.load(str(one)).get_size() == (1280, 800)
    assert execute(["view", *common, "--frames", "3", "--size", "800x500", "--screenshot", str(other)]) == 0
    assert pygame.image.load(str(other)).get_size() == (800, 500)


@pytest.mark.parametrize("suffix", [".mp4", ".gif"])
def test_films(tmp_path: Path, suffix: str):
    ffmpeg = pytest.importorskip("imageio_ffmpeg", reason="needs the extra 'video'")
    film = tmp_path / f"drive{suffix}"
    assert execute(["view", SCENARIO, "--frames", "12", "--size", "801x501", "--video", str(film)]) == 0
    command = (ffmpeg.get_ffmpeg_exe(), "-loglevel", "error", "-i", str(film), "-f", "rawvideo", "-pix_fmt", "rgb24", "-")
    raw = subprocess.run(command, capture_output=True, check=True).stdout
    frames = np.frombuffer(raw, np.uint8).reshape(-1, 500, 800, 3)
    assert len(frames) == 12
    assert np.mean(np.any(np.abs(frames[0].astype(int) - frames[-1]) > 40, axis=2)) > 1e-4, "something moves"
    assert [entry.name for entry in tmp_path.iterdir()] == [film.name]


def test_a_film_that_fails_leaves_nothing(tmp_path: Path):
    pytest.importorskip("imageio_ffmpeg", reason="needs the extra 'video'")

    def film() -> None:
        with filming(tmp_path / "a.mp4", 10.0) as add:
            add(pygame.Surface((64, 64)))
            raise RuntimeError("boom")

    with pytest.raises(RuntimeError, match="boom"):
        film()
    assert list(tmp_path.iterdir()) == []


def test_an_encoder_that_fails_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    script = tmp_path / "ffmpeg"
    script.write_text("#!/bin/sh\necho 'no such codec' >&2\nexit 1\n")
    script.chmod(0o755)
    monkeypatch.setattr(video, "encoder", lambda: str(script))

    def film() -> None:
        with filming(tmp_path / "a.gif", 10.0) as add:
            for _ in range(50):
                add(pygame.Surface((640, 640)))

    with pytest.raises(VideoError, match="no such codec"):
        film()
    assert [entry.name for entry in tmp_path.iterdir()] == ["ffmpeg"]


def test_a_window_takes_events_until_it_is_closed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    """SDL's dummy driver stands for a screen here."""
    monkeypatch.setattr(window, "UNSEEN", ())
    monkeypatch.setattr(window, "GIVEN_DRIVER", "dummy")
    monkeypatch.chdir(tmp_path)
    viewer = live()
    shown = []

    def film(picture: pygame.Surface) -> None:
        shown.append(picture.get_size())
        pygame.event.post(key(pygame.K_TAB if len(shown) == 1 else pygame.K_s if len(shown) == 2 else pygame.K_q))

    window.watch(viewer, lambda: "saved: here", film)
    assert viewer.closed
    assert len(shown) >= 3
    assert viewer.chosen == 1
    assert not pygame.display.get_init()


def test_bad_input_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    header = Header(
        scenario="x", seed=0, duration_s=1.0, ego=None, actors=(RecordedActor(name="a", kind="CAR", length=4.0, width=2.0),),
        event_names=(), reason_names=(),
    )  # fmt: skip
    good = tmp_path / "good.arrow"
    nowhere = MapOutline(name="", left_hand_traffic=False, lanes=(), crosswalks=(), edges=(), scenery=(), signals=())
    with Recorder(good, header, nowhere) as recorder:
        recorder.finish(Footer(ending=Ending.PASSED))
    (tmp_path / "bad.arrow").write_bytes(good.read_bytes()[:400])
    for arguments, said in (
        (["four_way_chiken"], "did you mean"),
        ([str(tmp_path / "none.arrow")], "no such recording"),
        ([str(tmp_path / "bad.arrow"), "--frames", "1"], "damaged"),
        ([str(good), "--drive", "--frames", "1"], "nobody can drive in a recording"),
        ([str(good), "--driver", "joint", "--frames", "1"], "has its drivers"),
        ([SCENARIO], "no display"),
        ([SCENARIO, "--frames", "1", "--drive", "nobody"], "nobody called 'nobody'"),
        ([SCENARIO, "--show", "plans"], "did you mean 'plan'"),
        ([SCENARIO, "--size", "12"], "size"),
        ([SCENARIO, "--video", "a.avi"], "End its name"),
        ([SCENARIO, "--screenshot", "a.pdf"], "End its name"),
        (["chicken_tuning", "--set", "a=1", "--frames", "1"], "cannot be set"),
    ):
        assert execute(["view", *arguments]) == 2, arguments
        error = capsys.readouterr().err.strip().splitlines()
        assert said in error[-1], error
        assert error[-1].startswith("avstack: ")
    assert execute(["view", str(good), "--frames", "1"]) == 0, "an episode without a single tick can be looked at"


def test_the_scenarios_of_a_suite_can_be_viewed():
    show = open_show(Request(target="chicken_tuning", seed=3, driver="rules", sensing="state"))
    assert show.feed.header.actors[0].driver == "rules"
    assert show.feed.header.sensing == "state"


def test_take_refuses_what_cannot_be_steered():
    scenario = prepare(Job(target="crosswalk", seed=0))
    world = World((scenario,))
    person = next(k for k, actor in enumerate(scenario.actors) if actor.kind.name == "PEDESTRIAN")
    with pytest.raises(ValueError, match="no vehicle"):
        world.take(0, person)
    assert world.state.bodies["status"][0, 0] in (Status.WAITING, Status.ACTIVE)
