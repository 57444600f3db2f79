"""PPO with self-play, in one file: `avstack train policy`.

Every vehicle that a scenario leaves to the policy is driven by one network, each with a style of its own that it is told
(`eval.policy.network.STYLES`). It plays with copies of itself, with drivers of the simulator, and with what it was some time ago
(`eval.policy.games`), so that it does not only learn to get along with itself. All worlds are stepped by one compiled call.

Sources: Schulman et al., Proximal Policy Optimization Algorithms, arXiv 1707.06347, 2017; advantages as in Schulman et al.,
High-Dimensional Continuous Control Using Generalized Advantage Estimation, ICLR 2016; time-limited episodes as in Pardo et al.,
Time Limits in Reinforcement Learning, ICML 2018.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import math
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from eval.outputs import write_text
from eval.policy.assess import assess, chooser
from eval.policy.curve import draw_curve
from eval.policy.games import COPIES, STRANGERS, TRAINING, games
from eval.policy.network import (
    LEVELS,
    OBSERVATION,
    OTHER_SIZE,
    OWN_SIZE,
    TRUNK,
    WIDTH,
    Weights,
    actions_of,
    features,
    save_weights,
    shapes,
)
from scenarios.errors import InputError
from sim.envs import BatchEnv, Outcome
from sim.envs.config import TERMS
from sim.observe import EGO_FIELDS
from sim.warm import warm_up

REWARD = {
    "progress": 0.01, "goal": 1.0, "collision": -2.5, "at_fault": -1.5, "offroad": -1.0, "stop_ignored": -1.0, "imposed": -0.3,
    "time": -0.015, "jerk": -0.0003, "lateral": -0.002, "off_centre": 0.0,
}  # fmt: skip
"""Weights of reward terms. A collision costs more than waiting for the rest of the episode, and being at fault more still."""
STATE, POLICY, LOG, CURVE = "training.pt", "policy.npz", "log.csv", "curve.svg"
JUDGED_FROM = 5000
"""First seed of the episodes that learning curves are judged on; the stock's are smaller."""
FILLED = 4000
"""Seeds that episodes to learn from are drawn from: 0 to FILLED - 1."""
_LENGTH = EGO_FIELDS.index("length")
_ENDS = {name: TERMS.index(name) for name in ("goal", "collision", "at_fault", "offroad")}


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainConfig:
    """How it learns.

    stock: episodes compiled at a time, others after each `refill` updates; worlds: played side by side; length: decisions of
    each between updates; passes, batch: over what was played, in minibatches of decisions; rate: of Adam, and entropy: its
    weight, both falling to almost nothing; discount, trace: of advantages; clip: of PPO; past: share of worlds in which some of
    the others are what the policy was before, one of the last `memories`, of which one is kept every `keep` updates.
    """

    family: str = "four_way_stop"
    settings: tuple[str, ...] = ()
    seed: int = 1
    stock: int = 512
    refill: int = 40
    worlds: int = 256
    length: int = 32
    passes: int = 3
    batch: int = 1024
    rate: float = 1e-3
    discount: float = 0.99
    trace: float = 0.95
    clip: float = 0.2
    entropy: float = 0.01
    past: float = 0.25
    keep: int = 20
    memories: int = 8
    threads: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """When training is over: after minutes by the clock, minutes of CPU time, or updates, whichever comes first."""

    minutes: float | None = None
    cpu_minutes: float | None = None
    updates: int | None = None

    def share(self, spent: Spent) -> float:
        """How much of it is used up; 1 at the end."""
        parts = [0.0]
        parts += [spent.wall_s / (60.0 * self.minutes)] if self.minutes is not None else []
        parts += [spent.cpu_s / (60.0 * self.cpu_minutes)] if self.cpu_minutes is not None else []
        parts += [spent.updates / self.updates] if self.updates is not None else []
        return max(parts)


@dataclass(slots=True)
class Spent:
    """What a training has used up, over all its sittings. simulated_s, decided_s, learned_s: parts of the CPU time."""

    wall_s: float = 0.0
    cpu_s: float = 0.0
    updates: int = 0
    decisions: int = 0
    simulated_s: float = 0.0
    decided_s: float = 0.0
    learned_s: float = 0.0


class Network(nn.Module):
    """Logits (N, len(LEVELS)) and values (N,), of `eval.policy.network.features`; its policy does the sums of `Weights`."""

    def __init__(self) -> None:
        super().__init__()
        self.own = nn.Linear(OWN_SIZE, WIDTH)
        self.other = nn.Linear(OTHER_SIZE, WIDTH, bias=False)
        self.mix = nn.Linear(WIDTH, WIDTH)
        self.first = nn.Linear(OWN_SIZE + WIDTH, TRUNK)
        self.second = nn.Linear(TRUNK, TRUNK)
        self.choice = nn.Linear(TRUNK, len(LEVELS))
        self.value = nn.Linear(TRUNK, 1)
        for layer in (self.own, self.other, self.mix, self.first, self.second):
            nn.init.orthogonal_(layer.weight, math.sqrt(2.0))
        nn.init.orthogonal_(self.choice.weight, 0.01)
        nn.init.orthogonal_(self.value.weight, 1.0)

    def forward(self, own: Tensor, others: Tensor) -> tuple[Tensor, Tensor]:
        """Of own (N, OWN_SIZE) and others' (N, NEIGHBOURS, OTHER_SIZE) features."""
        each = torch.relu(self.other(others) + self.own(own)[:, None])
        each = torch.relu(self.mix(each)) * others[:, :, :1]
        trunk = torch.relu(self.first(torch.cat((own, each.amax(dim=1)), dim=1)))
        trunk = torch.relu(self.second(trunk))
        return self.choice(trunk), self.value(trunk)[:, 0]


class Played(NamedTuple):
    """N decisions and what they were worth: features, index in LEVELS, log-probability, advantage, return."""

    own: Tensor
    others: Tensor
    chosen: Tensor
    likelihood: Tensor
    advantage: Tensor
    target: Tensor


@dataclass(slots=True)
class Endings:
    """How the policy's episodes ended since the last report."""

    ended: int = 0
    counts: dict[str, int] = field(default_factory=lambda: dict.fromkeys((*_ENDS, "late"), 0))

    def add(self, outcome: Outcome, mine: NDArray[np.bool_], terms: NDArray[np.float32]) -> None:
        """Count those of one step."""
        done = outcome.terminated & mine
        self.ended += int(((outcome.terminated | outcome.truncated) & mine).sum())
        for name, column in _ENDS.items():
            self.counts[name] += int((done & (terms[..., column] > 0.0)).sum())
        self.counts["late"] += int((outcome.truncated & mine).sum())

    def shares(self) -> dict[str, float]:
        """Of all that ended."""
        return {name: count / max(self.ended, 1) for name, count in self.counts.items()}


class Table:
    """The worlds that are played in, and who sits where. before: (W, K) seats of what the policy was before."""

    def __init__(self, config: TrainConfig, random: np.random.Generator) -> None:
        self.config, self.random = config, random
        played = replace(OBSERVATION, agents="external", autoreset="SameStep", copy=False, reward=REWARD, threads=config.threads)
        self.env = BatchEnv(self._stock(), config.worlds, played)
        self.seen: NDArray[Any] = self.env.reset([int(seed) for seed in random.integers(2**62, size=config.worlds)])
        self.before = np.zeros((config.worlds, self.env.agents), np.bool_)
        self._seat(np.arange(config.worlds))

    def _stock(self) -> list[Any]:
        first = int(self.random.integers(FILLED - self.config.stock + 1))
        return games(self.config.family, range(first, first + self.config.stock), TRAINING, self.config.settings)

    def refill(self) -> None:
        """Go on with other episodes."""
        self.seen = self.env.refill(self._stock())
        self.before = np.zeros((self.env.worlds, self.env.agents), np.bool_)
        self._seat(np.arange(self.env.worlds))

    def _seat(self, worlds: NDArray[np.intp]) -> None:
        """Give seats of new episodes to what the policy was before; the first one is always its own."""
        some = self.random.random(len(worlds)) < self.config.past
        self.before[worlds] = some[:, None] & (self.random.random((len(worlds), self.env.agents)) < 0.6)
        self.before[worlds, 0] = False

    def play(self, network: Network, past: Network | None, spent: Spent, endings: Endings) -> Played:
        """Let every world go on for `length` decisions. past: what sits in the seats of `before`; None, the policy itself."""
        config, env = self.config, self.env
        length, shape = config.length, (env.worlds, env.agents)
        values = np.zeros((length + 1, *shape), np.float32)
        rewards = np.zeros((length, *shape), np.float32)
        ends, mine = np.zeros((length, *shape), np.bool_), np.zeros((length, *shape), np.bool_)
        parts: list[tuple[Tensor, Tensor, Tensor, Tensor]] = []
        for t in range(length):
            with timed(spent, "decided_s"):
                mine[t] = self._driven(past is not None)
                actions, values[t], part = self._decide(network, past, mine[t])
                parts.append(part)
            with timed(spent, "simulated_s"):
                outcome = env.step(actions_of(actions))
            with timed(spent, "decided_s"):
                self.seen, rewards[t], ends[t] = outcome.observations, outcome.rewards, outcome.terminated | outcome.truncated
                finished = env.final_observations is not None
                endings.add(outcome, mine[t], env.final_terms if finished else env.tables.terms)
                if finished:
                    self._beyond_the_limit(network, outcome, mine[t], rewards[t])
                    self._seat(env.ended_worlds)
        with timed(spent, "decided_s"):
            last = self._driven(past is not None)
            values[length][last] = _ask(network, self.seen[last])[1].numpy()
            gains = advantages(rewards, values, ends, mine, config)[mine]
        own, others, chosen, likelihood = (torch.cat(column) for column in zip(*parts, strict=True))
        return Played(
            own, others, chosen, likelihood, torch.from_numpy(gains), torch.from_numpy(gains + values[:-1][mine])
        )  # fmt: skip

    def _driven(self, by_two: bool) -> NDArray[np.bool_]:
        """(W, K) seats on the road in which the policy sits that learns."""
        present: NDArray[np.bool_] = self.seen[..., _LENGTH] > 0.0
        return present & ~self.before if by_two else present

    def _decide(
        self, network: Network, past: Network | None, mine: NDArray[np.bool_]
    ) -> tuple[NDArray[np.int64], NDArray[np.float32], tuple[Tensor, Tensor, Tensor, Tensor]]:
        """Everybody's choice (W, K), values (W, K), and what is to be remembered of the policy's own choices."""
        actions, values = np.zeros(mine.shape, np.int64), np.zeros(mine.shape, np.float32)
        own, others = (torch.from_numpy(part) for part in features(self.seen[mine]))
        with torch.no_grad():
            logits, value = network(own, others)
            odds = torch.log_softmax(logits, dim=1)
            chosen = self._draw(odds)
            likelihood = odds.gather(1, chosen[:, None])[:, 0]
        actions[mine], values[mine] = chosen.numpy(), value.numpy()
        theirs = (self.seen[..., _LENGTH] > 0.0) & ~mine
        if past is not None and theirs.any():
            actions[theirs] = self._draw(_ask(past, self.seen[theirs])[0]).numpy()
        return actions, values, (own, others, chosen, likelihood)

    def _draw(self, logits: Tensor) -> Tensor:
        """One choice (N,) a row, by its odds: the largest after Gumbel noise."""
        noise = self.random.gumbel(size=tuple(logits.shape)).astype(np.float32)
        return (logits + torch.from_numpy(noise)).argmax(dim=1)

    def _beyond_the_limit(
        self, network: Network, outcome: Outcome, mine: NDArray[np.bool_], rewards: NDArray[np.float32]
    ) -> None:  # fmt: skip
        """Who ran out of time would have gone on: what that would have been worth is added to the last reward."""
        worlds, finals = self.env.ended_worlds, self.env.final_observations
        late = outcome.truncated[worlds] & mine[worlds]
        if finals is not None and late.any():
            w, k = np.nonzero(late)
            rewards[worlds[w], k] += self.config.discount * _ask(network, finals[late])[1].numpy()


def _ask(network: Network, rows: NDArray[Any]) -> tuple[Tensor, Tensor]:
    """Logits and values of observations (N, size)."""
    with torch.no_grad():
        found: tuple[Tensor, Tensor] = network(*(torch.from_numpy(part) for part in features(rows)))
    return found


@contextmanager
def timed(spent: Spent, part: str) -> Iterator[None]:
    """Count this thread's CPU time as a part of what is spent."""
    start = time.thread_time()
    yield
    setattr(spent, part, getattr(spent, part) + time.thread_time() - start)


def advantages(
    rewards: NDArray[np.float32], values: NDArray[np.float32], ends: NDArray[np.bool_], mine: NDArray[np.bool_],
    config: TrainConfig,
) -> NDArray[np.float32]:  # fmt: skip
    """(T, W, K) generalised advantages; values are (T + 1, W, K), and 0 after an end."""
    found = np.zeros_like(rewards)
    running = np.zeros(rewards.shape[1:], np.float32)
    for t in range(len(rewards) - 1, -1, -1):
        on = ~ends[t]
        error = rewards[t] + config.discount * values[t + 1] * on - values[t]
        running = (error + config.discount * config.trace * on * running) * mine[t]
        found[t] = running
    return found


def learn(
    network: Network,
    optimiser: torch.optim.Optimizer,
    played: Played,
    config: TrainConfig,
    generator: torch.Generator,
    entropy_weight: float,
) -> dict[str, float]:
    """PPO's passes over what was played; means of its figures."""
    sums = dict.fromkeys(("kl", "value_error", "entropy"), 0.0)
    steps = 0
    for _ in range(config.passes):
        order = torch.randperm(len(played.chosen), generator=generator)
        for rows in order.split(config.batch):
            if len(rows) < min(config.batch // 2, len(order)):
                continue
            own, others, chosen, before, gain, target = (part[rows] for part in played)
            logits, value = network(own, others)
            odds = torch.log_softmax(logits, dim=1)
            change = odds.gather(1, chosen[:, None])[:, 0] - before
            ratio = torch.exp(change)
            gain = (gain - gain.mean()) / (gain.std() + 1e-6)
            worth = torch.minimum(ratio * gain, ratio.clamp(1.0 - config.clip, 1.0 + config.clip) * gain).mean()
            entropy = -(odds.exp() * odds).sum(dim=1).mean()
            error = (value - target).square().mean()
            optimiser.zero_grad(set_to_none=True)
            (0.5 * error - worth - entropy_weight * entropy).backward()
            nn.utils.clip_grad_norm_(network.parameters(), 0.5)
            optimiser.step()
            steps += 1
            for name, one in (("kl", (ratio - 1.0 - change).mean()), ("value_error", error), ("entropy", entropy)):
                sums[name] += float(one.detach())
    return {name: total / max(steps, 1) for name, total in sums.items()}


class Training:
    """A training under way: network, optimiser, worlds, what the policy was before; `folder` keeps it and its results."""

    def __init__(self, config: TrainConfig, folder: Path) -> None:
        self.config, self.folder = config, folder
        torch.manual_seed(config.seed)
        self.random = np.random.default_rng(config.seed)
        self.generator = torch.Generator().manual_seed(config.seed)
        self.network = Network()
        self.optimiser = torch.optim.Adam(self.network.parameters(), lr=config.rate, eps=1e-5)
        self.past: list[dict[str, Tensor]] = []
        self.spent = Spent()
        self.rows: list[dict[str, float]] = []
        self._load()
        self.table = Table(config, self.random)

    def update(self, share: float, endings: Endings) -> dict[str, float]:
        """Play and learn once; share: of the budget that is used up."""
        config = self.config
        left = max(1.0 - share, 0.05)
        for group in self.optimiser.param_groups:
            group["lr"] = config.rate * left
        if self.spent.updates and self.spent.updates % config.refill == 0:
            with timed(self.spent, "simulated_s"):
                self.table.refill()
        played = self.table.play(self.network, self._remembered(), self.spent, endings)
        with timed(self.spent, "learned_s"):
            figures = learn(self.network, self.optimiser, played, config, self.generator, config.entropy * left)
        self.spent.updates += 1
        self.spent.decisions += len(played.chosen)
        if self.spent.updates % config.keep == 0:
            self.past = [*self.past[1 - config.memories :], deepcopy(self.network.state_dict())]
        return figures

    def _remembered(self) -> Network | None:
        if not self.past:
            return None
        past = Network()
        past.load_state_dict(self.past[int(self.random.integers(len(self.past)))])
        return past

    def weights(self) -> Weights:
        """The policy as it is now, with what made it."""
        arrays = {name: value.detach().numpy().copy() for name, value in self.network.state_dict().items()}
        about = {"config": asdict(self.config), "spent": asdict(self.spent)}
        return Weights({name: arrays[name] for name in shapes()}, about)

    def judge(self) -> dict[str, float]:
        """How the policy drives among strangers and among copies of itself: shares of its endings."""
        found: dict[str, float] = {}
        choose = chooser(self.weights())
        for name, population, episodes in JUDGED:
            seeds = range(JUDGED_FROM, JUDGED_FROM + episodes)
            outcomes = assess(choose, self.config.family, seeds, population, self.config.settings)
            found |= {f"{name}_{ending}": outcomes.rate(ending).rate for ending in outcomes.endings}
        return found

    def save(self) -> None:
        """Keep everything that the training goes on from; nobody ever sees half of it."""
        self.folder.mkdir(parents=True, exist_ok=True)
        part = self.folder / f"{STATE}.{os.getpid()}.part"
        state = {
            "of": self._fingerprint(), "network": self.network.state_dict(), "optimiser": self.optimiser.state_dict(),
            "past": self.past, "spent": asdict(self.spent), "rows": self.rows, "generator": self.generator.get_state(),
            "random": json.dumps(self.random.bit_generator.state),
        }  # fmt: skip
        torch.save(state, part)
        part.replace(self.folder / STATE)
        save_weights(self.folder / POLICY, self.weights())
        text = io.StringIO()
        if self.rows:
            writer = csv.DictWriter(text, list(self.rows[-1]))
            writer.writeheader()
            writer.writerows(self.rows)
        write_text(self.folder / LOG, text.getvalue())
        draw_curve(self.folder / CURVE, [self.rows])

    def _fingerprint(self) -> str:
        told = json.dumps([asdict(self.config), REWARD, {name: list(shape) for name, shape in shapes().items()}])
        return hashlib.sha256(told.encode()).hexdigest()[:16]

    def _load(self) -> None:
        """Go on from what the folder holds. InputError where that is of another training."""
        path = self.folder / STATE
        if not path.is_file():
            return
        fix = "Choose another --out, or give --overwrite"
        try:
            kept = torch.load(path, weights_only=True)
        except Exception as error:  # torch raises whatever a broken file makes it raise
            raise InputError(f"cannot read the training {str(path)!r}: {error}", fix=fix) from None
        if not isinstance(kept, dict) or kept.get("of") != self._fingerprint():
            raise InputError(f"{str(path)!r} is of a training with other options, or by another version", fix=fix)
        self.network.load_state_dict(kept["network"])
        self.optimiser.load_state_dict(kept["optimiser"])
        self.generator.set_state(kept["generator"])
        self.random.bit_generator.state = json.loads(kept["random"])
        self.past, self.rows, self.spent = kept["past"], kept["rows"], Spent(**kept["spent"])


JUDGED = (("strangers", STRANGERS, 100), ("copies", COPIES, 50))
"""What a row of the log is judged by: among whom, and in how many episodes. Among copies all of them count."""
REPORTS = 20
"""So many rows a training writes to its log."""


def train(config: TrainConfig, budget: Budget, folder: Path, report: Callable[[dict[str, float]], None]) -> Weights:
    """Train until the budget is used up, from the start or from what `folder` holds; `report` gets each row of the log."""
    warm_up(environments=True)
    torch.set_num_threads(config.threads)
    training = Training(config, folder)
    spent, endings = training.spent, Endings()
    wall, cpu = time.monotonic() - spent.wall_s, time.process_time() - spent.cpu_s
    reported = math.floor(REPORTS * budget.share(spent))
    while budget.share(spent) < 1.0:
        figures = training.update(budget.share(spent), endings)
        spent.wall_s, spent.cpu_s = time.monotonic() - wall, time.process_time() - cpu
        done = math.floor(REPORTS * budget.share(spent))
        if done > reported and endings.ended:
            judged = training.judge()
            row = {
                "updates": spent.updates, "decisions": spent.decisions, "cpu_s": spent.cpu_s, "wall_s": spent.wall_s,
                **endings.shares(), **judged, **figures, "decisions_per_cpu_s": spent.decisions / spent.cpu_s,
                "simulated_share": spent.simulated_s / spent.cpu_s, "learned_share": spent.learned_s / spent.cpu_s,
            }  # fmt: skip
            training.rows.append(row)
            training.save()
            report(row)
            reported, endings = done, Endings()
    training.save()
    return training.weights()
