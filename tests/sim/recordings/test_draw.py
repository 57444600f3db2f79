"""Pictures: they show something, they show what the recording says, and they need no display."""

import numpy as np
import pygame
import pytest

from sim.recording import Ending, read_recording
from sim.viewer.canvas import fit, nice_step
from sim.viewer.cast import EGO_COLOUR, choose_cast, choose_moments
from sim.viewer.draw import draw_episode, draw_map, save


def _pixels(picture: pygame.Surface) -> np.ndarray:
    return pygame.surfarray.array3d(picture)


def _share_of(picture: pygame.Surface, colour) -> float:
    return float(np.mean(np.abs(_pixels(picture).astype(int) - colour).max(axis=2) <= 12))


@pytest.fixture
def picture(write):
    return draw_episode(read_recording(write(160, hit=95, ending=Ending.FAILED)))


def test_a_map_shows_its_asphalt(crossing):
    drawn = draw_map(crossing, (900, 700))
    assert drawn.get_size() == (900, 700)
    assert _share_of(drawn, (203, 206, 211)) > 0.02


def test_an_episode_shows_ego(picture):
    assert _share_of(picture, EGO_COLOUR) > 0.001


def test_the_same_recording_gives_the_same_picture(write, picture):
    again = draw_episode(read_recording(write(160, name="b.arrow", hit=95, ending=Ending.FAILED)))
    assert np.array_equal(_pixels(picture), _pixels(again))


def test_the_picture_changes_with_its_content(write, picture):
    moved = draw_episode(read_recording(write(160, name="b.arrow", moving=1.2, hit=95, ending=Ending.FAILED)))
    passed = draw_episode(read_recording(write(160, name="c.arrow", hit=95)))
    assert np.mean(_pixels(picture) != _pixels(moved)) > 0.005
    assert np.any(_pixels(picture)[:, :40] != _pixels(passed)[:, :40])


def test_moments_are_in_order_and_show_the_contact(write):
    recording = read_recording(write(160, hit=95))
    moments = choose_moments(recording, choose_cast(recording), 6)
    assert list(moments) == sorted(set(moments))
    assert (moments[0], moments[-1]) == (0, 159)
    assert 95 in moments


@pytest.mark.parametrize("ticks", [1, 2, 5])
def test_short_episodes_can_be_drawn(write, ticks):
    recording = read_recording(write(ticks))
    assert len(choose_moments(recording, choose_cast(recording), 6)) == ticks
    assert draw_episode(recording).get_width() > 0


def test_an_episode_that_never_began_can_be_drawn(write):
    recording = read_recording(write(0, ending=Ending.CRASHED))
    assert len(recording.rows) == 0
    assert draw_episode(recording).get_width() > 0


def test_the_cast_starts_with_ego_and_leaves_what_never_moves_grey(write):
    cast = choose_cast(read_recording(write(160)))
    assert cast[0].label == "ego"
    assert {member.actor for member in cast if not member.main} == {4}
    assert len({member.colour for member in cast if member.main}) == sum(member.main for member in cast)


def test_a_picture_is_saved_whole(tmp_path, crossing):
    target = tmp_path / "new" / "map.png"
    save(draw_map(crossing, (300, 200)), target)
    assert [entry.name for entry in target.parent.iterdir()] == ["map.png"]
    assert pygame.image.load(str(target)).get_size() == (300, 200)


def test_too_small_a_sheet_is_refused(write):
    with pytest.raises(ValueError, match="1200 x 1000"):
        draw_episode(read_recording(write(5)), (300, 300))


def test_views_keep_north_up_and_proportions():
    view = fit((0.0, 0.0, 10.0, 20.0), 100.0, 50.0, 200.0, 200.0)
    pixels = view.pixels(np.array([[5.0, 10.0], [5.0, 20.0], [15.0, 10.0]]))
    assert np.allclose(pixels, [[200.0, 150.0], [200.0, 50.0], [300.0, 150.0]])


@pytest.mark.parametrize(("span", "parts", "step"), [(10.0, 5, 2.0), (7.0, 5, 2.0), (60.0, 10, 10.0), (0.9, 3, 0.5)])
def test_axis_steps_are_round(span, parts, step):
    assert nice_step(span, parts) == pytest.approx(step)
