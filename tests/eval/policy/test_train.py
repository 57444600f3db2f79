"""Training: it learns, it can be interrupted, and figures of policies tell bad ones."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from eval.cli import execute
from eval.policy.assess import ENDINGS, POPULATIONS, assess, figures_of, format_figures
from eval.policy.games import COPIES, STRANGERS
from eval.policy.network import LEVELS, NEIGHBOURS, OTHER_SIZE, OWN_SIZE, Weights, load_weights, save_weights, shapes
from scenarios.errors import InputError

torch = pytest.importorskip("torch")

from eval import train_policy  # noqa: E402  needs torch
from eval.train_policy import Budget, Network, Played, Spent, TrainConfig, advantages, learn, train  # noqa: E402

SMALL = TrainConfig(stock=8, worlds=8, length=100, batch=256, keep=1, refill=2, memories=2)


def features_of(count: int, seed: int = 0) -> tuple[Any, Any]:
    random = np.random.default_rng(seed)
    own = random.normal(size=(count, OWN_SIZE)).astype(np.float32)
    others = random.normal(size=(count, NEIGHBOURS, OTHER_SIZE)).astype(np.float32)
    others[:, :, 0] = random.random((count, NEIGHBOURS)) < 0.5
    return own, others


@pytest.fixture(autouse=True)
def _few_reports(monkeypatch):
    monkeypatch.setattr(train_policy, "JUDGED", (("strangers", STRANGERS, 2), ("copies", COPIES, 2)))


def test_arrays_do_the_sums_of_the_network():
    torch.manual_seed(0)
    network = Network()
    torch.nn.init.normal_(network.choice.weight)
    own, others = features_of(50)
    arrays = {name: value.detach().numpy() for name, value in network.state_dict().items() if name in shapes()}
    assert {name: array.shape for name, array in arrays.items()} == shapes()
    with torch.no_grad():
        expected = network(torch.from_numpy(own), torch.from_numpy(others))[0].numpy()
    np.testing.assert_allclose(Weights(arrays).logits(own, others), expected, rtol=1e-4, atol=1e-4)


def test_advantages_are_the_sum_that_they_are_said_to_be():
    random = np.random.default_rng(1)
    length = 7
    rewards, values = random.normal(size=(length, 1, 2)), random.normal(size=(length + 1, 1, 2))
    ends = np.zeros((length, 1, 2), bool)
    ends[3, 0, 0] = True
    mine = np.ones_like(ends)
    config = TrainConfig(discount=0.9, trace=0.8)
    found = advantages(rewards.astype(np.float32), values.astype(np.float32), ends, mine, config)
    for k, last in ((0, 3), (1, length - 1)):
        expected = 0.0
        for t in range(last + 1):
            after = 0.0 if ends[t, 0, k] else values[t + 1, 0, k]
            expected += (0.9 * 0.8) ** t * (rewards[t, 0, k] + 0.9 * after - values[t, 0, k])
        assert found[0, 0, k] == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_what_was_better_than_expected_becomes_likelier(sign):
    torch.manual_seed(0)
    network = Network()
    optimiser = torch.optim.Adam(network.parameters(), lr=1e-3)
    own, others = (torch.from_numpy(part) for part in features_of(512))
    chosen = torch.randint(len(LEVELS), (512,))
    with torch.no_grad():
        before = torch.log_softmax(network(own, others)[0], 1)
    likelihood = before.gather(1, chosen[:, None])[:, 0]
    gain = sign * torch.where(chosen == 3, 1.0, 0.0)
    played = Played(own, others, chosen, likelihood, gain, gain)
    config = replace(TrainConfig(), batch=128, passes=8)
    figures = learn(network, optimiser, played, config, torch.Generator().manual_seed(0), 0.0)
    with torch.no_grad():
        after = torch.log_softmax(network(own, others)[0], 1)
    assert sign * float((after - before)[:, 3].mean()) > 0.05
    assert 0.0 < figures["kl"] < 0.5


def test_a_training_is_repeatable_and_can_be_interrupted(tmp_path):
    rows: list[dict[str, float]] = []
    whole = train(SMALL, Budget(updates=3), tmp_path / "a", rows.append)
    again = train(SMALL, Budget(updates=3), tmp_path / "b", rows.append)
    for name, array in whole.arrays.items():
        assert np.array_equal(array, again.arrays[name]), name
    other = train(replace(SMALL, seed=2), Budget(updates=3), tmp_path / "c", rows.append)
    assert not np.array_equal(whole.arrays["first.weight"], other.arrays["first.weight"])
    kept = load_weights(tmp_path / "a" / "policy.npz")
    assert kept.about["spent"]["updates"] == 3
    assert kept.about["config"]["seed"] == 1
    with (tmp_path / "a" / "log.csv").open() as file:
        told = list(csv.DictReader(file))
    assert told  # an update in which no episode ended has no row
    assert {int(row["updates"]) for row in told} <= {1, 2, 3}
    assert 0.0 < float(told[-1]["simulated_share"]) < 1.0
    assert (tmp_path / "a" / "curve.svg").read_text().startswith("<svg")
    # it goes on from what is there
    longer = train(SMALL, Budget(updates=5), tmp_path / "a", rows.append)
    assert longer.about["spent"]["updates"] == 5
    assert longer.about["spent"]["decisions"] > whole.about["spent"]["decisions"]
    assert not np.array_equal(longer.arrays["first.weight"], whole.arrays["first.weight"])
    assert sorted(file.name for file in (tmp_path / "a").iterdir()) == ["curve.svg", "log.csv", "policy.npz", "training.pt"]


def test_a_folder_of_another_training_is_refused(tmp_path):
    train(SMALL, Budget(updates=1), tmp_path, lambda row: None)
    with pytest.raises(InputError, match="other options"):
        train(replace(SMALL, rate=1e-4), Budget(updates=2), tmp_path, lambda row: None)
    (tmp_path / "training.pt").write_bytes(b"nonsense")
    with pytest.raises(InputError, match="cannot read the training"):
        train(SMALL, Budget(updates=2), tmp_path, lambda row: None)


def test_whatever_is_used_up_first_ends_a_training():
    spent = Spent(wall_s=30.0, cpu_s=10.0, updates=5)
    assert Budget(minutes=1.0).share(spent) == 0.5
    assert Budget(minutes=1.0, cpu_minutes=0.2).share(spent) == pytest.approx(10.0 / 12.0)
    assert Budget(updates=5, minutes=1.0).share(spent) == 1.0


def always(level: int) -> Any:
    return lambda own, others: np.full(len(own), level)


def test_figures_tell_bad_drivers():
    """Who never starts is in the way for good, and who never stops breaks the rule at every line and runs into its like."""
    stands = assess(always(0), "four_way_stop", range(6000, 6006), STRANGERS)
    assert stands.rate("deadlock").rate == 1.0
    assert stands.rate("success").rate == 0.0
    assert (stands.time >= 74.9).all()
    rushes = assess(always(len(LEVELS) - 1), "four_way_stop", range(6000, 6010), COPIES)
    assert rushes.rate("collision").rate > 0.1
    assert rushes.rate("at_fault").count < rushes.rate("collision").count
    assert rushes.rate("stop_ignored").rate > 0.8
    total = sum(rushes.rate(name).count for name in ("success", "collision", "offroad", "deadlock"))
    assert total == len(rushes.time)


def test_figures_of_a_policy(tmp_path, capsys):
    random = np.random.default_rng(0)
    weights = Weights({name: random.normal(0.0, 0.3, shape).astype(np.float32) for name, shape in shapes().items()})
    save_weights(tmp_path / "policy.npz", weights)
    figures = figures_of(weights, "four_way_stop", 4)
    assert set(POPULATIONS) < set(figures)
    for name in POPULATIONS:
        for ending in ENDINGS:
            one = figures[name][ending]
            assert one["low"] <= one["rate"] <= one["high"]
    assert len(format_figures(figures).splitlines()) == 1 + len(POPULATIONS)
    assert execute(["train", "policy", "--evaluate", str(tmp_path / "policy.npz"), "--episodes", "4", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    for name in POPULATIONS:  # half precision may change a choice, not what is told
        assert told[name]["episodes"] == figures[name]["episodes"]


def test_curves_of_several_trainings(tmp_path, capsys):
    train(SMALL, Budget(updates=2), tmp_path / "one", lambda row: None)
    arguments = ["train", "curve", str(tmp_path / "both.svg"), str(tmp_path / "one"), str(tmp_path / "one")]
    assert execute(arguments) == 0
    picture = (tmp_path / "both.svg").read_text()
    assert picture.count("<polyline") == 2 * (1 + 4)  # in the legend and in each panel
    assert execute([*arguments, str(tmp_path / "nowhere")]) == 2
    assert "cannot read the log" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--minutes", "-1"], "--minutes must be a positive number"),
        (["--cpu-minutes", "nan"], "--cpu-minutes must be a positive number"),
        (["four_way_stip", "--updates", "1"], "four_way_stop"),
        (["--evaluate", "nowhere.npz"], "no policy 'nowhere.npz'"),
        (["--updates", "0"], "--updates"),
        (["--threads", "0"], "--threads"),
    ],
)
def test_bad_input_is_one_line(tmp_path, capsys, arguments, message):
    assert execute(["train", "policy", "--out", str(tmp_path / "out"), *arguments]) == 2
    error = capsys.readouterr().err.strip()
    assert message in error
    assert len(error.splitlines()) == 1
    assert not (tmp_path / "out").exists()


def test_an_output_that_cannot_be_is_told_before_training(tmp_path, capsys):
    (tmp_path / "file").write_text("")
    assert execute(["train", "policy", "--updates", "1", "--out", str(tmp_path / "file")]) == 2
    assert "not a folder" in capsys.readouterr().err
