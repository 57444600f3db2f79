"""The viewer without a window: what keys and the mouse do to what is shown, and that pictures show it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pygame
import pytest

from sim.interface import COARSE_PLACE, PERCEPT_COLUMNS, TRAJECTORY_COLUMNS
from sim.recorder import Recorder
from sim.recording import RECORDED_EVENT_DTYPE, TICK_DTYPE, Ending, Footer, Header, read_recording
from sim.roads.outline import outline
from sim.viewer.cast import EGO_COLOUR
from sim.viewer.feed import RecordedFeed
from sim.viewer.keys import Keys
from sim.viewer.mind import claims_in, ellipse, futures_in, half_axes, percepts_in, trajectory_in
from sim.viewer.overlays import BLOCKED, COARSE, RICH, ZONE, Overlay
from sim.viewer.panel import PANEL, TIMELINE, timeline_place
from sim.viewer.picture import draw
from sim.viewer.viewer import CATCH_UP_S, Badge, Show, Viewer, between
from sim.viewer.window import pictures
from sim.viewer.zones import conflict_zones
from tests.sim.recordings.conftest import episode

EGO_AT_80 = (-2.0, -1.75)


def percepts(*things: dict[str, float]) -> np.ndarray:
    plain = {"length": 4.7, "width": 1.9, "var_x": 0.25, "var_y": 0.25, "existence": 1.0, "trust": 1.0}
    return np.array([[(plain | thing).get(name, 0.0) for name in PERCEPT_COLUMNS] for thing in things], np.float32)


def mind_of(tick: int) -> dict[str, np.ndarray]:
    """A trace with everything that is shown."""
    x = -50.0 + 0.6 * tick
    ahead = np.zeros((20, len(TRAJECTORY_COLUMNS)), np.float32)
    ahead[:, 0], ahead[:, 1], ahead[:, 2] = 0.5 * np.arange(20), x + 3.0 * np.arange(20), -1.75
    futures = np.zeros((2, 2, 10, 2), np.float32)
    futures[:, 0] = ahead[:10, 1:3]
    futures[:, 1, :, 0], futures[:, 1, :, 1] = 1.75, -60.0 + 0.61 * tick + 2.0 * np.arange(10)
    cells = np.zeros((2, 40, 40), np.uint8)
    cells[0, 30, 20], cells[1, :10] = 90, 100
    return {
        "manoeuvre": np.array(2), "reason": np.array(1), "trajectory": ahead, "futures": futures,
        "futures_share": np.array([0.7, 0.3], np.float32), "others_at": np.array([[1.75, -60.0 + 0.61 * tick]]),
        "go_first": np.array([0.8]), "percepts": percepts({"x": 1.75, "y": -60.0 + 0.61 * tick}, {"x": 8.0, "source": 1.0}),
        "coarse": cells, "coarse_place": np.array([x, -1.75, 0.0, -10.0, -20.0, 1.0]),
    }  # fmt: skip


@pytest.fixture
def feed(tmp_path: Path, crossing, header: Header) -> RecordedFeed:
    """The made-up episode with a mind."""
    path = tmp_path / "minded.arrow"
    known = Header(**{name: getattr(header, name) for name in header.__slots__} | {"record": "arrays"})
    with Recorder(path, known, outline(crossing)) as recorder:
        for tick in range(160):
            bodies, minds = episode(tick)
            recorder.append(tick, bodies, minds, np.zeros(0, RECORDED_EVENT_DTYPE), {0: mind_of(tick)})
        recorder.finish(Footer(ending=Ending.PASSED))
    return RecordedFeed(read_recording(path))


@pytest.fixture
def viewer(feed: RecordedFeed) -> Viewer:
    badges = {0: Badge(label="ego", colour=EGO_COLOUR), 1: Badge(label="A", colour=(0, 100, 170))}
    show = Show(feed=feed, bounds=(-30.0, -30.0, 30.0, 30.0), badges=badges, reasons={1: "thinks about it"})
    made = Viewer(show, (900, 600))
    made.overlays = dict.fromkeys(Overlay, False)
    return made


def pixels(picture: pygame.Surface) -> np.ndarray:
    return pygame.surfarray.array3d(picture).astype(int)


def share(picture: pygame.Surface, colour) -> float:
    return float(np.mean(np.abs(pixels(picture) - colour).max(axis=2) <= 12))


def key(which: int, mod: int = 0) -> pygame.event.Event:
    return pygame.event.Event(pygame.KEYDOWN, key=which, mod=mod)


def press(viewer: Viewer, *keys: int, mod: int = 0) -> None:
    table = Keys(viewer)
    for which in keys:
        table.handle(key(which, mod))


def mouse(kind: int, at: tuple[float, float], button: int = 1) -> pygame.event.Event:
    return pygame.event.Event(kind, pos=at, button=button)


def test_time_runs_pauses_steps_and_ends(viewer: Viewer):
    viewer.step(0.2)
    assert viewer.at == pytest.approx(2.0)
    press(viewer, pygame.K_SPACE)
    viewer.step(0.2)
    assert viewer.at == pytest.approx(2.0)
    press(viewer, pygame.K_PERIOD)
    press(viewer, pygame.K_PERIOD, mod=pygame.KMOD_SHIFT)
    press(viewer, pygame.K_COMMA)
    assert viewer.at == pytest.approx(12.0)
    press(viewer, pygame.K_END)
    assert viewer.at_end
    press(viewer, pygame.K_RIGHT)
    assert viewer.at == 159.0
    press(viewer, pygame.K_HOME)
    press(viewer, pygame.K_LEFT)
    assert viewer.at == 0.0


def test_time_goes_slower_and_faster_and_a_late_picture_does_not_jump(viewer: Viewer):
    press(viewer, pygame.K_RIGHTBRACKET)
    viewer.step(0.2)
    assert viewer.at == pytest.approx(4.0)
    press(viewer, pygame.K_LEFTBRACKET, pygame.K_LEFTBRACKET)
    viewer.step(0.2)
    assert viewer.at == pytest.approx(5.0)
    viewer.rate = 1.0
    viewer.step(30.0)
    assert viewer.at == pytest.approx(5.0 + CATCH_UP_S * 10.0)
    while not viewer.at_end:
        viewer.step(0.2)
    assert not viewer.playing
    assert "passed" in viewer.message
    press(viewer, pygame.K_SPACE)
    assert viewer.at == 0.0, "from the end it begins again"


def test_the_camera_pans_zooms_and_follows(viewer: Viewer):
    keys = Keys(viewer)
    viewer.seek(80)
    scale = viewer.camera.scale
    press(viewer, pygame.K_PLUS)
    assert viewer.camera.scale == pytest.approx(1.25 * scale)
    press(viewer, pygame.K_MINUS)
    x, y = viewer.camera.x, viewer.camera.y
    keys.handle(mouse(pygame.MOUSEBUTTONDOWN, (300, 300)))
    keys.handle(mouse(pygame.MOUSEMOTION, (320, 290)))
    keys.handle(mouse(pygame.MOUSEBUTTONUP, (320, 290)))
    assert (viewer.camera.x, viewer.camera.y) == pytest.approx((x - 20.0 / scale, y - 10.0 / scale))
    under = viewer.view().pixels(np.array([[5.0, 5.0]]))[0]
    keys.handle(mouse(pygame.MOUSEMOTION, tuple(under)))
    keys.handle(pygame.event.Event(pygame.MOUSEWHEEL, y=3))
    assert np.allclose(viewer.view().pixels(np.array([[5.0, 5.0]]))[0], under), "what is under the mouse stays there"
    press(viewer, pygame.K_f)
    draw(viewer)
    assert (viewer.camera.x, viewer.camera.y) == pytest.approx(EGO_AT_80)
    press(viewer, pygame.K_0)
    assert not viewer.camera.follow
    assert viewer.camera.scale == pytest.approx(scale)


def test_one_chooses_by_key_and_by_click_what_acts(viewer: Viewer):
    assert viewer.chosen == 0
    viewer.seek(80)
    press(viewer, pygame.K_TAB)
    assert viewer.chosen == 1
    press(viewer, pygame.K_TAB, mod=pygame.KMOD_SHIFT)
    press(viewer, pygame.K_TAB, mod=pygame.KMOD_SHIFT)
    assert viewer.chosen == 3, "the dirt pile does not act"
    at = tuple(viewer.view().pixels(np.array([EGO_AT_80]))[0])
    keys = Keys(viewer)
    keys.handle(mouse(pygame.MOUSEBUTTONDOWN, at))
    keys.handle(mouse(pygame.MOUSEBUTTONUP, at))
    assert viewer.chosen == 0
    keys.handle(mouse(pygame.MOUSEBUTTONDOWN, (at[0] - 150, at[1] - 150)))
    keys.handle(mouse(pygame.MOUSEBUTTONUP, (at[0] - 150, at[1] - 150)))
    assert viewer.chosen == 0, "nobody is there"


def test_the_time_line_searches(viewer: Viewer):
    left, right, top, _ = timeline_place(*viewer.size)
    keys = Keys(viewer)
    keys.handle(mouse(pygame.MOUSEBUTTONDOWN, (left + 0.25 * (right - left), top)))
    assert viewer.at == pytest.approx(50, abs=1), "a quarter of 20 s"
    keys.handle(mouse(pygame.MOUSEMOTION, (left + 0.5 * (right - left), top)))
    assert viewer.at == pytest.approx(100, abs=1)
    keys.handle(mouse(pygame.MOUSEBUTTONUP, (right + 50, top)))
    assert viewer.at == 159.0
    assert not viewer.playing


def test_a_recording_can_neither_be_driven_nor_run_again(viewer: Viewer):
    press(viewer, pygame.K_d)
    assert viewer.driven is None
    assert "recording" in viewer.message
    press(viewer, pygame.K_r)
    assert "recording" in viewer.message


def test_every_key_of_the_menu_does_something(viewer: Viewer):
    """Whatever is pressed, in whatever order, leaves a picture to be drawn."""
    rng = np.random.default_rng(3)
    keys = Keys(viewer, lambda: "saved")
    every = [which for which in range(32, 128) if which not in (pygame.K_q,)] + [pygame.K_F1, pygame.K_HOME, pygame.K_END]
    for which in rng.permutation(every * 3)[:150]:
        keys.handle(key(int(which), int(rng.choice([0, pygame.KMOD_SHIFT, pygame.KMOD_ALT]))))
        viewer.step(0.03)
    draw(viewer)
    assert not viewer.closed
    viewer.help = True
    press(viewer, pygame.K_ESCAPE)
    assert not viewer.closed, "out of the help first"
    keys.handle(key(pygame.K_q))


@pytest.mark.parametrize("overlay", list(Overlay))
def test_every_overlay_changes_the_picture(viewer: Viewer, overlay: Overlay):
    viewer.seek(80)
    without = pixels(draw(viewer))
    press(viewer, pygame.K_1 + list(Overlay).index(overlay))
    viewer.message = ""
    shown = pixels(draw(viewer))
    assert np.mean(np.any(shown != without, axis=2)) > 0.0003
    press(viewer, pygame.K_1 + list(Overlay).index(overlay))
    viewer.message = ""
    assert np.array_equal(pixels(draw(viewer)), without)


def test_overlays_have_their_colours(viewer: Viewer):
    viewer.seek(80)
    for overlay, colours in ((Overlay.PERCEPTS, (RICH, COARSE)), (Overlay.GRID, (BLOCKED,)), (Overlay.ZONES, (ZONE,))):
        viewer.overlays[overlay] = True
        for colour in colours:
            assert share(draw(viewer), colour) > 1e-5, overlay


def test_pictures_are_the_same_for_the_same_state_and_differ_between_moments(viewer: Viewer):
    viewer.seek(80)
    assert np.array_equal(pixels(draw(viewer)), pixels(draw(viewer)))
    assert draw(viewer).get_size() == (900, 600)
    assert share(draw(viewer), EGO_COLOUR) > 0.0005
    earlier = pixels(draw(viewer))
    viewer.seek(90)
    assert np.mean(np.any(pixels(draw(viewer)) != earlier, axis=2)) > 0.002


def test_a_moment_between_two_ticks_lies_between():
    before, after = np.zeros(1, TICK_DTYPE), np.zeros(1, TICK_DTYPE)
    for row, x, heading in ((before, 1.0, 3.1), (after, 2.0, -3.1)):
        row["x"], row["heading"], row["actor"] = x, heading, 0
    mixed = between(before, after, 0.5)
    assert mixed["x"][0] == pytest.approx(1.5)
    assert abs(mixed["heading"][0]) == pytest.approx(np.pi, abs=0.01), "the short way round"
    assert between(before, after[:0], 0.5)["x"][0] == 1.0, "who is there no more does not move"


def test_the_panel_says_why_from_the_trace_or_from_the_header(viewer: Viewer, feed: RecordedFeed):
    assert int(feed.trace(80, 0)["manoeuvre"]) == 2
    assert feed.trace(80, 1) == {}
    assert claims_in(feed.trace(80, 0))[0][1] == pytest.approx(0.8)
    viewer.seek(80)
    mine = pixels(draw(viewer))[-PANEL:, 60:130]
    viewer.chosen = 1
    assert np.any(pixels(draw(viewer))[-PANEL:, 60:130] != mine)


WRONG = (
    np.zeros(0), np.array(3.0), np.zeros(3), np.zeros((2, 3)), np.zeros((0, 0, 0, 0)), np.ones((1, 1, 0, 2)),
    np.ones((2, 0, 3, 2)), np.full((2, len(PERCEPT_COLUMNS)), np.nan), np.full((2, len(PERCEPT_COLUMNS)), 1e300),
    np.full((4, len(TRAJECTORY_COLUMNS)), 7.0), np.full((1, 2, 5, 2), np.inf), np.zeros((2, 4, 4), np.uint8), np.full(6, 1e30),
    np.full((1, 2), -np.inf), np.array([np.nan]), np.array([5.0]), np.zeros((2, 2), bool),
)  # fmt: skip
TRACED = (
    "percepts", "trajectory", "futures", "futures_share", "others_at", "go_first", "coarse", "coarse_place", "manoeuvre",
    "reason",
)  # fmt: skip


def test_a_driver_may_trace_nonsense(viewer: Viewer, monkeypatch: pytest.MonkeyPatch):
    """What is not of the declared shape, or not finite, is not drawn; nothing is raised."""
    viewer.overlays = dict.fromkeys(Overlay, True)
    viewer.seek(80)
    good = mind_of(80)
    rng = np.random.default_rng(5)
    for wrong in [{}, *({name: one} for name in TRACED for one in WRONG)]:
        monkeypatch.setattr(viewer.feed, "trace", lambda tick, actor, wrong=wrong: good | wrong)
        draw(viewer)
    for _ in range(60):
        chosen = {name: WRONG[rng.integers(len(WRONG))] for name in TRACED}
        monkeypatch.setattr(viewer.feed, "trace", lambda tick, actor, chosen=chosen: chosen)
        draw(viewer)


def test_what_is_traced_rightly_is_read():
    good = mind_of(80)
    assert [thing["x"] for thing in percepts_in(good)] == [1.75, 8.0]
    assert percepts_in({"percepts": np.vstack((good["percepts"], np.full((1, len(PERCEPT_COLUMNS)), np.nan)))})[1]["x"] == 8.0
    assert trajectory_in(good).shape == (20, len(TRAJECTORY_COLUMNS))
    assert futures_in(good)[0].shape == (2, 2, 10, 2)
    assert claims_in(good)[0][1] == 0.8
    assert len(COARSE_PLACE) == len(good["coarse_place"])
    assert half_axes(4.0, 0.0, 1.0) == pytest.approx((4.0, 2.0, 0.0))
    assert half_axes(1.0, 0.0, 4.0) == pytest.approx((4.0, 2.0, np.pi / 2))


def test_ellipses_hold_what_they_should():
    rim = ellipse(1.0, 2.0, 4.0, 0.0, 0.25)
    assert np.abs(rim - (1.0, 2.0)).max(axis=0) == pytest.approx((4.0, 1.0))
    turned = ellipse(0.0, 0.0, 1.0, 0.9, 1.0)
    farthest = turned[np.argmax(np.hypot(*turned.T))]
    assert farthest[0] * farthest[1] > 0.0, "along the diagonal"


def test_zones_lie_where_ways_cross(crossing):
    zones = conflict_zones(outline(crossing))
    assert zones
    points = np.concatenate(zones)
    assert np.abs(points).max() < 12.0, "inside the junction"


def test_without_a_window_pictures_come_at_the_viewers_own_time(viewer: Viewer):
    made = sum(1 for _ in pictures(viewer, 20.0, 5))
    assert made == 5
    assert viewer.at == pytest.approx(5 * 0.5)
    assert sum(1 for _ in pictures(viewer, 20.0, None)) == pytest.approx((159.0 - 2.5) / 0.5, abs=2)
    assert viewer.at_end


def test_a_small_window_is_still_a_picture(viewer: Viewer):
    viewer.resize(100, 100)
    viewer.help = True
    assert draw(viewer).get_width() > PANEL
    assert viewer.size[1] > TIMELINE
