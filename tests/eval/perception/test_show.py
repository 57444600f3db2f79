"""Pictures of what is perceived: tracked things come in the ego's frame, on what is really there."""

from dataclasses import replace

import numpy as np
import pytest

from avstack.perception.perceive import LIDAR_TRACKING
from avstack.perception.tracking import start_tracking, track
from eval.cli import execute
from eval.perception.show import in_ego_frame, perceived
from tests.avstack.test_tracking import frame
from tests.avstack.test_tracking_lidar import car, signs

pytest.importorskip("torch")


def test_things_come_in_the_frame_of_the_ego():
    turned = replace(frame(car(), 0), pose=np.array([10.0, -5.0, 0.5 * np.pi]))
    percepts, _ = track(turned, start_tracking(), LIDAR_TRACKING, signs(1))
    thing = in_ego_frame(percepts)[0]
    assert thing["mean"][:2] == pytest.approx([5.0, 0.0], abs=0.1)
    assert thing["mean"][2] == pytest.approx(-0.5 * np.pi, abs=0.05)
    assert thing["mean"][3:5] == pytest.approx([0.0, -10.0], abs=1.0)
    assert (np.linalg.eigvalsh(thing["covariance"].astype(np.float64)) > 0.0).all()


def test_what_is_perceived_lies_on_what_is_there():
    moment = perceived("four_way_chicken", 1_000_001, 4.0, ())
    things = moment.seen.things[moment.seen.things["score"] > 0.8]
    assert len(things) > 0
    truth = np.array([box[:2] for box in moment.truth])
    away = np.hypot(things["mean"][:, None, 0] - truth[:, 0], things["mean"][:, None, 1] - truth[:, 1]).min(axis=1)
    assert np.median(away) < 1.5


def test_the_command_draws_and_says_what_is_wrong(tmp_path, capsys):
    picture = tmp_path / "seen.png"
    assert execute(["perception", "show", "debris", "--at", "1", "--picture", str(picture)]) == 0
    assert picture.stat().st_size > 1000
    assert execute(["perception", "show", "debris", "--at", "0"]) == 2
    assert execute(["perception", "show", "debriss", "--picture", str(picture)]) == 2
    assert "debris" in capsys.readouterr().err
