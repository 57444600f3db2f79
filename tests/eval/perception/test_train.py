"""Training: it learns, goes on where it stopped, and gives out the network that it trained."""

from __future__ import annotations

import json

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from avstack.perception.classes import Class  # noqa: E402
from avstack.perception.decode import Asked, propose  # noqa: E402
from avstack.perception.detect import META, VERSION, read_network  # noqa: E402
from avstack.perception.maps import ABOUT, CROP, CROP_CHANNELS, MEANS, NOTHING, RETURN, RETURNS  # noqa: E402
from avstack.perception.network import Network, Widths, fused_network, infer, infer_second  # noqa: E402
from eval.perception.samples import sample_of  # noqa: E402
from eval.perception.scenes import views_of  # noqa: E402
from eval.perception.second import proposed_of, train_second  # noqa: E402
from eval.perception.targets import targets_of  # noqa: E402
from eval.perception.train import Progress, TrainConfig, export, train  # noqa: E402

TINY = Widths(fine=8, middle=8, coarse=8, crop=(8, 8, 8), returns=(8, 8, 8), dense=16)


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def samples():
    return [sample_of(view, 6_000_000) for view in views_of(6_000_000, None, 2)]


def total(progress: Progress) -> float:
    return progress.losses["heat"] + progress.losses["around"]


def test_losses_fall(samples, tmp_path):
    seen: list[Progress] = []
    config = TrainConfig(passes=40, batch=2, rate=1e-2, widths=TINY)
    train(samples, config, tmp_path, seen.append)
    assert total(seen[-1]) < 0.7 * total(seen[0])


def test_an_interrupted_training_ends_as_one_that_was_not(samples, tmp_path):
    config = TrainConfig(passes=3, batch=2, widths=TINY)
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    whole = train(samples, config, tmp_path / "a", lambda _: None)

    def stop(progress: Progress) -> None:
        if progress.done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(samples, config, tmp_path / "b", stop)
    again = train(samples, config, tmp_path / "b", lambda _: None)
    for name, value in whole.state_dict().items():
        assert torch.equal(value, again.state_dict()[name]), name


def test_another_training_does_not_go_on_from_it(samples, tmp_path):
    train(samples, TrainConfig(passes=1, batch=2, widths=TINY), tmp_path, lambda _: None)
    steps: list[int] = []
    config = TrainConfig(passes=1, batch=2, seed=2, widths=TINY)
    train(samples, config, tmp_path, lambda progress: steps.append(progress.done))
    assert steps == [1]


def test_what_is_exported_answers_as_what_was_trained(samples, tmp_path):
    network = train(samples, TrainConfig(passes=1, batch=2, widths=TINY), tmp_path, lambda _: None)
    arrays, meta = read_network(export(network, tmp_path, {"command": "a test"}))
    assert (meta["version"], meta["command"], META) == (VERSION, "a test", "meta")
    features = targets_of(samples[0]).features
    with torch.inference_mode():
        wanted = network(torch.from_numpy(features).permute(2, 0, 1)[None])[0].permute(1, 2, 0).numpy()
    found = infer(fused_network(arrays, TINY), features)
    # weights are kept in half precision
    assert np.abs(found - wanted).max() < 0.02 * np.abs(wanted).max()
    draw = np.random.default_rng(0)
    shapes = (5, CROP, CROP, CROP_CHANNELS), (5, RETURNS, RETURN), (5, ABOUT)
    asked = Asked(*(draw.random(shape, np.float32) for shape in shapes))
    with torch.inference_mode():
        crops, returns, about = (torch.from_numpy(one) for one in asked)
        wanted = network.second(crops.permute(0, 3, 1, 2), returns, about).numpy()
    assert np.abs(infer_second(fused_network(arrays, TINY), asked) - wanted).max() < 0.02 * np.abs(wanted).max()
    assert json.dumps(meta)


def first_stage(samples) -> Network:
    """A network that proposes whatever it comes upon."""
    torch.manual_seed(0)
    network = Network(TINY).to(memory_format=torch.channels_last).eval()
    torch.nn.init.constant_(network.said.bias[: len(Class)], -1.0)
    return network


def test_proposals_are_of_the_things_they_lie_on(samples):
    network = first_stage(samples)
    found = proposed_of(network, samples[0], np.random.default_rng(0))
    assert found.crops.shape[1:] == (14, 14, 18)
    assert found.returns.shape == (len(found.label), RETURNS, RETURN)
    assert found.means.shape == (len(found.label), MEANS)
    of = found.label < NOTHING
    assert of.any()
    assert (~of).any()
    # never further off than what counts as the thing itself
    away = np.hypot(*found.means[of, :2].T)
    assert (away < 1.0 + 0.25 * np.exp(found.means[of, 2]) + 0.4).all()


def test_the_second_stage_learns_and_goes_on_where_it_stopped(samples, tmp_path):
    seen: list[Progress] = []
    config = TrainConfig(second_passes=30, second_batch=8, second_rate=1e-2, widths=TINY)
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    whole = train_second(first_stage(samples), samples, config, tmp_path / "a", seen.append)
    assert seen[-1].losses["class"] < 0.7 * np.log(NOTHING + 1)

    def stop(progress: Progress) -> None:
        if progress.done > 0.4 * progress.steps:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train_second(first_stage(samples), samples, config, tmp_path / "b", stop)
    again = train_second(first_stage(samples), samples, config, tmp_path / "b", lambda _: None)
    for name, value in whole.second.state_dict().items():
        assert torch.equal(value, again.second.state_dict()[name]), name
    maps = infer(whole, targets_of(samples[0]).features)
    assert len(propose(maps)) > 0
