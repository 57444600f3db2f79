"""Training of both stages: one pass over samples after another, kept after each, so that it can be interrupted and go on.

Losses of the first stage: focal loss on heat (Law and Deng, CornerNet, ECCV 2018), smooth L1 on boxes and velocity, binary
cross-entropy on coarse cells. The second stage is trained after it, see `eval.perception.second`.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from avstack.perception.classes import Class
from avstack.perception.detect import META, NETWORK_FILE, VERSION
from avstack.perception.maps import AROUND, COARSE, COARSE_OUT, HEAT, HEIGHT, HIDDEN, RICH_OUT, SOLID
from avstack.perception.network import Network, Widths, fuse
from eval.perception.samples import BLOCKED, FREE, OPEN_QUESTION, THIN, Sample
from eval.perception.targets import Targets, targets_of, window_of

MEAN_SCALES = (0.3, 0.3, 0.1, 0.1, 0.3, 0.3, 0.3, 0.3, 1.0, 1.0)
"""Error of each mean at which smooth L1 goes over from square to straight."""
MEAN_WEIGHTS = (2.0, 2.0, 2.0, 2.0, 1.0, 1.0, 1.0, 1.0, 0.5, 0.5)


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainConfig:
    """How long and how fast the stages learn. passes over the samples; rate: the highest one of a one-cycle schedule."""

    seed: int = 1
    passes: int = 8
    batch: int = 4
    rate: float = 3e-3
    second_passes: int = 6
    second_batch: int = 128
    second_rate: float = 2e-3
    decay: float = 1e-2
    widths: Widths = field(default_factory=Widths)


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """One step of a stage: where it is, and the losses since the last report."""

    stage: str
    done: int
    steps: int
    losses: dict[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Course:
    """What is trained and how far it is: a module, its optimiser and schedule, and the file that keeps them."""

    module: torch.nn.Module
    optimiser: torch.optim.Optimizer
    schedule: torch.optim.lr_scheduler.LRScheduler
    path: Path
    of: str

    def step(self, parts: dict[str, Tensor]) -> None:
        """One step down the sum of the losses."""
        total = torch.stack(list(parts.values())).sum()
        self.optimiser.zero_grad(set_to_none=True)
        total.backward()
        torch.nn.utils.clip_grad_norm_(self.module.parameters(), 10.0)
        self.optimiser.step()
        self.schedule.step()

    def resume(self) -> int:
        """Passes that are done already, with their state put back."""
        if not self.path.is_file():
            return 0
        kept = torch.load(self.path, weights_only=True)
        if kept["of"] != self.of:
            return 0
        self.module.load_state_dict(kept["module"])
        self.optimiser.load_state_dict(kept["optimiser"])
        self.schedule.load_state_dict(kept["schedule"])
        return int(kept["passes"])

    def keep(self, passes: int) -> None:
        """Write the state after so many passes; nobody ever sees half a file."""
        part = self.path.with_suffix(f".{os.getpid()}.part")
        state = {
            "of": self.of, "passes": passes, "module": self.module.state_dict(), "optimiser": self.optimiser.state_dict(),
            "schedule": self.schedule.state_dict(),
        }  # fmt: skip
        torch.save(state, part)
        part.replace(self.path)


def course(module: torch.nn.Module, config: TrainConfig, rate: float, steps: int, path: Path, of: str) -> Course:
    """A one-cycle course of so many steps."""
    asked = [one for one in module.parameters() if one.requires_grad]
    optimiser = torch.optim.AdamW(asked, lr=rate, weight_decay=config.decay, fused=True)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, rate, total_steps=steps + 1, pct_start=0.2)
    return Course(module=module, optimiser=optimiser, schedule=schedule, path=path, of=of)


class Tally:
    """Losses since the last report."""

    def __init__(self, report: Callable[[Progress], None], stage: str, steps: int, every: int) -> None:
        self.report, self.stage, self.steps, self.every = report, stage, steps, every
        self.losses: dict[str, float] = {}
        self.since = 0

    def add(self, parts: dict[str, Tensor], done: int, *, last: bool) -> None:
        """Count a step's losses; report from time to time, and at the last step of a pass."""
        for name, value in parts.items():
            self.losses[name] = self.losses.get(name, 0.0) + float(value.detach())
        self.since += 1
        if last or self.since == self.every:
            means = {name: value / self.since for name, value in self.losses.items()}
            self.report(Progress(stage=self.stage, done=done, steps=self.steps, losses=means))
            self.losses, self.since = {}, 0


def train(
    samples: Sequence[Sample], config: TrainConfig, folder: Path, report: Callable[[Progress], None], device: str = "cpu"
) -> Network:
    """A network with its first stage trained; `folder` keeps the state after each pass, and training goes on from there.

    Everything follows from the seed on one device with one thread.
    """
    torch.manual_seed(config.seed)
    network = Network(config.widths).to(device).to(memory_format=torch.channels_last)
    network.second.requires_grad_(False)
    steps_a_pass = -(-len(samples) // config.batch)
    steps = steps_a_pass * config.passes
    run = course(network, config, config.rate, steps, folder / "training.pt", fingerprint(samples, config, second=False))
    tally = Tally(report, "first", steps, 200)
    for number in range(run.resume(), config.passes):
        random = np.random.default_rng([config.seed, number])
        order = random.permutation(len(samples))
        network.train()
        for k in range(steps_a_pass):
            chosen = [window_of(targets_of(samples[i], random), random) for i in order[k * config.batch : (k + 1) * config.batch]]
            parts = losses_of(network, chosen, device)
            run.step(parts)
            tally.add(parts, number * steps_a_pass + k + 1, last=k + 1 == steps_a_pass)
        run.keep(number + 1)
    network.second.requires_grad_(True)
    return network.eval()


def fingerprint(samples: Sequence[Sample], config: TrainConfig, *, second: bool) -> str:
    """Of what the training of a stage is of: another one does not go on from its state. The first does not depend on how the
    second is trained."""
    numbers = {name: value for name, value in asdict(config).items() if second or not name.startswith("second_")}
    told = json.dumps([numbers, len(samples), samples[0].scene, samples[-1].scene, VERSION])
    return hashlib.sha256(told.encode()).hexdigest()[:16]


def losses_of(network: Network, chosen: Sequence[Targets], device: str = "cpu") -> dict[str, Tensor]:
    """Named losses of a batch, ready to be added up."""
    features = torch.from_numpy(np.stack([one.features for one in chosen])).to(device).permute(0, 3, 1, 2)
    maps = network(features)
    heat = _stacked([one.heat for one in chosen], device)
    where = np.concatenate([np.full(len(one.rows), k) for k, one in enumerate(chosen)])
    rows, columns = (np.concatenate([getattr(one, name) for one in chosen]) for name in ("rows", "columns"))
    means = _stacked([np.concatenate([one.means for one in chosen])], device)[0]
    weights = _stacked([np.concatenate([one.weights for one in chosen])], device)[0]
    index = [torch.from_numpy(one).to(device) for one in (where, rows, columns)]
    found = {"heat": 2.0 * _focal(maps[:, HEAT : HEAT + len(Class)], heat)}
    said = maps[index[0], :, index[1], index[2]][:, len(Class) : RICH_OUT]
    found["box"] = (mean_losses(said, means) * weights).sum() / weights.sum().clamp(min=1.0)
    return found | _coarse(maps[:, COARSE : COARSE + COARSE_OUT], chosen, device)


def mean_losses(said: Tensor, means: Tensor) -> Tensor:
    """(P,) weighted sums of smooth L1 over (P, MEANS)."""
    scales = torch.tensor(MEAN_SCALES, device=said.device)
    away = (said - means).abs()
    each = torch.where(away < scales, 0.5 * away.square() / scales, away - 0.5 * scales)
    return each @ torch.tensor(MEAN_WEIGHTS, device=said.device)


def _stacked(arrays: Sequence[NDArray[np.generic]], device: str) -> Tensor:
    return torch.from_numpy(np.stack(arrays)).to(device)


def _focal(logits: Tensor, target: Tensor) -> Tensor:
    """Focal loss on spots of heat, per thing."""
    p = torch.sigmoid(logits)
    hot = target == 1.0
    negative = (functional.softplus(logits) * p.square() * (1.0 - target).pow(4)).sum()
    positive = (functional.softplus(-logits[hot]) * (1.0 - p[hot]).square()).sum()
    return (positive + negative) / hot.sum().clamp(min=1)


def _coarse(maps: Tensor, chosen: Sequence[Targets], device: str) -> dict[str, Tensor]:
    around = _stacked([one.around for one in chosen], device)
    blocked, thin, asked = around == BLOCKED, around == THIN, around != OPEN_QUESTION
    logits = maps[:, AROUND]
    each = functional.binary_cross_entropy_with_logits(logits, blocked.float(), reduction="none")
    count = blocked.sum().clamp(min=1)
    total = (each * asked * (1.0 + 2.0 * blocked + 2.0 * thin)).sum() / count
    told = blocked | thin
    solid = functional.binary_cross_entropy_with_logits(maps[:, SOLID], blocked.float(), reduction="none")
    # as many things are thin as are not, as far as the loss goes
    balance = 1.0 + 8.0 * thin
    hidden = _stacked([one.hidden for one in chosen], device).float()
    height = _stacked([one.height for one in chosen], device)
    high = (height > 0.0) & (around != FREE) & asked
    return {
        "around": 0.15 * total,
        "solid": 0.3 * (solid * told * balance).sum() / count,
        "hidden": 0.5 * functional.binary_cross_entropy_with_logits(maps[:, HIDDEN], hidden),
        "height": 0.2 * ((maps[:, HEIGHT] - height).abs() * high).sum() / high.sum().clamp(min=1),
    }


def export(network: Network, folder: Path, about: dict[str, object]) -> Path:
    """Write the fused weights, in half precision, with what they are of; nobody ever sees half a file."""
    arrays = {name: array.astype(np.float16) for name, array in fuse(network).items()}
    digest = hashlib.sha256(b"".join(array.tobytes() for _, array in sorted(arrays.items()))).hexdigest()[:16]
    meta = {"version": VERSION, "digest": digest, "widths": asdict(network.widths), **about, "made": time.strftime("%Y-%m-%d")}
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / NETWORK_FILE
    part = path.with_suffix(f".{os.getpid()}.part")
    with part.open("wb") as file:
        np.savez(file, **arrays, **{META: np.array(json.dumps(meta))})  # type: ignore[arg-type]
    part.replace(path)
    return path
