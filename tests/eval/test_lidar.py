"""`avstack lidar` and its bench: pictures, points, and what is refused."""

from __future__ import annotations

import numpy as np
import pygame
import pytest

from eval.bench.lidar import format_bench, run_bench
from eval.cli import execute
from eval.lidar import sweeps_of
from sim.viewer.points import HEIGHTS, PANEL, RAMP, Panel, draw_points, height_colour

SCENE = "four_way_chicken"


def test_a_picture_has_a_panel_for_each_weather_and_points_are_kept(tmp_path, capsys):
    picture, points = tmp_path / "new" / "p.png", tmp_path / "p.npy"
    code = execute(
        ["lidar", SCENE, "--at", "2", "--weather", "clear", "--weather", "fog", "--set", "lidar.columns=180",
         "--picture", str(picture), "--points", str(points)]
    )  # fmt: skip
    assert code == 0
    said = capsys.readouterr().out.splitlines()
    assert [line.split(":")[0] for line in said] == ["clear", "fog"]
    assert pygame.image.load(str(picture)).get_width() == 2 * PANEL
    kept = np.load(points)
    assert kept.shape[1] == 5
    assert len(kept) > 1000
    assert sorted(path.name for path in tmp_path.iterdir()) == ["new", "p.npy"]


def test_bodies_are_outlined_where_their_points_are():
    (_, sweep, boxes), *_ = sweeps_of(SCENE, 1, 4.0, ["clear"], [])
    slots = np.flatnonzero(sweep.counts > 10)
    assert len(slots) > 1
    for slot in slots:
        middle = np.median(sweep.points[sweep.hits == slot][:, :2], axis=0)
        assert min(np.hypot(middle[0] - x, middle[1] - y) for x, y, *_ in boxes) < 3.0


def test_forward_is_up_and_left_is_left():
    points = np.zeros((400, 5), np.float32)
    points[:, :3] = 20.0, 10.0, 2.4
    surface = draw_points([Panel(points=points, title="")], reach=40.0)
    pixels = pygame.surfarray.array3d(surface)
    lit = np.argwhere(pixels.max(axis=2) > 100)
    lit = lit[lit[:, 1] > 60]  # below the title
    car = (PANEL / 2, 26 + PANEL / 2)
    away = lit[np.hypot(lit[:, 0] - car[0], lit[:, 1] - car[1]) > 20]
    assert away[:, 0].mean() == pytest.approx(PANEL / 2 - 10.0 * PANEL / 80.0, abs=2.0)
    assert away[:, 1].mean() == pytest.approx(26 + PANEL / 2 - 20.0 * PANEL / 80.0, abs=2.0)
    assert height_colour(-9.0) == RAMP[0]
    assert height_colour(HEIGHTS[1] + 1.0) == RAMP[-1]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--weather", "frog"), "did you mean 'fog'"),
        (("--at", "-1"), "--at must be between"),
        (("--at", "99", "--set", "duration_s=100"), "not on the road"),
        (("--points", "p.bin"), ".npy"),
        (("--picture", "p.gif"), "p.gif"),
        (("--set", "lidar.beams=31"), "lidar.beams"),
        (("--set", "ego=null"), "no ego"),
    ],
)
def test_bad_input_is_named_and_nothing_is_written(arguments, words, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert execute(["lidar", SCENE, *arguments]) == 2
    assert words in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_the_bench_gives_its_figures():
    figures = run_bench()
    assert figures["rays"] == 32 * 1080
    assert isinstance(figures["rays_per_s"], float)
    assert figures["rays_per_s"] > 0.0
    assert "lidar_ms" in format_bench(figures)
