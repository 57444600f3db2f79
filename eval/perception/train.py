"""Training of the network: one pass over samples after another, kept after each, so that it can be interrupted and go on.

Losses: focal loss on heat (Law and Deng, CornerNet, ECCV 2018); beta-NLL on box and velocity with beta 0.5 (Seitzer et al., ICLR
2022), whose gradient on means does not vanish where the variance is large; log-variance of the heading on the error of its axis.
The rich heads differ by their beginnings and by weights of the samples that each draws on its own (a mild Bayesian
bootstrap), so that they agree only on what many samples teach.
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
from avstack.perception.maps import (
    AROUND,
    COARSE_OUT,
    HEADS,
    HEAT,
    HEIGHT,
    HIDDEN,
    LOG_VARIANCES,
    MEANS,
    RICH_OUT,
    SOLID,
)
from avstack.perception.network import LOG_VARIANCE, Network, Widths, fuse
from eval.perception.samples import BLOCKED, FREE, OPEN_QUESTION, THIN, Sample
from eval.perception.targets import Targets, targets_of, window_of

BETA = 0.5
_MEANS_OF = (0, 1, 8, 9, 2, 3)  # of `Targets.means`, in the order of _VARIANCES_OF
_VARIANCES_OF = (0, 1, 3, 4, 5, 6)
_HEADING = 2
_QUANTITY_WEIGHTS = (1.0, 1.0, 0.3, 0.3, 1.0, 1.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainConfig:
    """How long and how fast the network learns. passes over the samples; rate: the highest one of a one-cycle schedule."""

    seed: int = 1
    passes: int = 6
    batch: int = 4
    rate: float = 3e-3
    decay: float = 1e-2
    widths: Widths = field(default_factory=Widths)


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """One step: where it is, and the losses since the last report."""

    done: int
    steps: int
    losses: dict[str, float]


def train(
    samples: Sequence[Sample], config: TrainConfig, folder: Path, report: Callable[[Progress], None], device: str = "cpu"
) -> Network:
    """A trained network; `folder` keeps the state after each pass, and training goes on from there.

    Everything follows from the seed on one device with one thread.
    """
    torch.manual_seed(config.seed)
    network = Network(config.widths).to(device).to(memory_format=torch.channels_last)
    optimiser = torch.optim.AdamW(network.parameters(), lr=config.rate, weight_decay=config.decay)
    steps_a_pass = -(-len(samples) // config.batch)
    steps = steps_a_pass * config.passes
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, config.rate, total_steps=steps + 1, pct_start=0.2)
    path = folder / "training.pt"
    begun = _resume(path, network, optimiser, schedule, _fingerprint(samples, config))
    for number in range(begun, config.passes):
        random = np.random.default_rng([config.seed, number])
        order = random.permutation(len(samples))
        losses: dict[str, float] = {}
        network.train()
        for k in range(steps_a_pass):
            chosen = [window_of(targets_of(samples[i], random), random) for i in order[k * config.batch : (k + 1) * config.batch]]
            parts = losses_of(network, chosen, random, device)
            total = torch.stack(list(parts.values())).sum()
            optimiser.zero_grad(set_to_none=True)
            total.backward()
            torch.nn.utils.clip_grad_norm_(network.parameters(), 10.0)
            optimiser.step()
            schedule.step()
            for name, value in parts.items():
                losses[name] = losses.get(name, 0.0) + float(value.detach())
            if (k + 1) % 50 == 0 or k + 1 == steps_a_pass:
                since = (k % 50) + 1
                report(
                    Progress(
                        done=number * steps_a_pass + k + 1, steps=steps,
                        losses={name: value / since for name, value in losses.items()},
                    )
                )  # fmt: skip
                losses = {}
        _keep(path, network, optimiser, schedule, _fingerprint(samples, config), number + 1)
    return network.eval()


def _fingerprint(samples: Sequence[Sample], config: TrainConfig) -> str:
    """Of what a training is of: another one does not go on from its state."""
    told = json.dumps([asdict(config), len(samples), samples[0].scene, samples[-1].scene, VERSION])
    return hashlib.sha256(told.encode()).hexdigest()[:16]


def _resume(
    path: Path, network: Network, optimiser: torch.optim.Optimizer, schedule: torch.optim.lr_scheduler.LRScheduler, of: str
) -> int:
    """Passes that are done already, with their state put back."""
    if not path.is_file():
        return 0
    kept = torch.load(path, weights_only=True)
    if kept["of"] != of:
        return 0
    network.load_state_dict(kept["network"])
    optimiser.load_state_dict(kept["optimiser"])
    schedule.load_state_dict(kept["schedule"])
    return int(kept["passes"])


def _keep(
    path: Path, network: Network, optimiser: torch.optim.Optimizer, schedule: torch.optim.lr_scheduler.LRScheduler, of: str,
    passes: int,
) -> None:  # fmt: skip
    part = path.with_suffix(f".{os.getpid()}.part")
    state = {
        "of": of, "passes": passes, "network": network.state_dict(), "optimiser": optimiser.state_dict(),
        "schedule": schedule.state_dict(),
    }  # fmt: skip
    torch.save(state, part)
    part.replace(path)


def losses_of(network: Network, chosen: Sequence[Targets], random: np.random.Generator, device: str = "cpu") -> dict[str, Tensor]:
    """Named losses of a batch, ready to be added up."""
    features = torch.from_numpy(np.stack([one.features for one in chosen])).to(device).permute(0, 3, 1, 2)
    maps = network(features)
    weights = torch.from_numpy(random.gamma(4.0, 0.25, (HEADS, len(chosen))).astype(np.float32)).to(device)
    heat = _stacked([one.heat for one in chosen], device)
    where = np.concatenate([np.full(len(one.rows), k) for k, one in enumerate(chosen)])
    rows, columns = (np.concatenate([getattr(one, name) for one in chosen]) for name in ("rows", "columns"))
    means = _stacked([np.concatenate([one.means for one in chosen])], device)[0]
    cell_weights = _stacked([np.concatenate([one.weights for one in chosen])], device)[0]
    index = [torch.from_numpy(one).to(device) for one in (where, rows, columns)]
    total = {"heat": maps.new_zeros(()), "box": maps.new_zeros(()), "heading": maps.new_zeros(())}
    for head in range(HEADS):
        own = maps[:, head * RICH_OUT : (head + 1) * RICH_OUT]
        total["heat"] = total["heat"] + 2.0 * _focal(own[:, HEAT : HEAT + len(Class)], heat, weights[head]) / HEADS
        if len(rows):
            said = own[index[0], :, index[1], index[2]]
            box, heading = _regression(said, means, cell_weights * weights[head][index[0]])
            total["box"], total["heading"] = total["box"] + 0.5 * box / HEADS, total["heading"] + 0.5 * heading / HEADS
    return total | _coarse(maps[:, -COARSE_OUT:], chosen, device)


def _stacked(arrays: Sequence[NDArray[np.generic]], device: str) -> Tensor:
    return torch.from_numpy(np.stack(arrays)).to(device)


def _focal(logits: Tensor, target: Tensor, weights: Tensor) -> Tensor:
    """Focal loss on spots of heat, per thing; weights: (B,) of the samples."""
    p = torch.sigmoid(logits)
    hot = target == 1.0
    positive = functional.logsigmoid(logits) * (1.0 - p).square()
    negative = functional.logsigmoid(-logits) * p.square() * (1.0 - target).pow(4)
    each = -torch.where(hot, positive, negative).sum(dim=(1, 2, 3))
    return (each * weights).sum() / hot.sum().clamp(min=1)


def _regression(said: Tensor, means: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
    """(box and velocity, heading) losses of (P, RICH_OUT) cells against (P, MEANS)."""
    mean = said[:, len(Class) : len(Class) + MEANS]
    log_variance = said[:, LOG_VARIANCES:].clamp(*LOG_VARIANCE)
    norm = weights.sum().clamp(min=1.0)
    box = said.new_zeros(())
    for at, variance_at, factor in zip(_MEANS_OF, _VARIANCES_OF, _QUANTITY_WEIGHTS, strict=True):
        own = log_variance[:, variance_at]
        nll = 0.5 * ((mean[:, at] - means[:, at]).square() * torch.exp(-own) + own)
        box = box + factor * (weights * nll * torch.exp(BETA * own).detach()).sum() / norm
    direction = functional.smooth_l1_loss(mean[:, 4:8], means[:, 4:8], reduction="none", beta=0.3).sum(dim=1)
    with torch.no_grad():
        # error of the axis, either end first
        off = torch.atan2(mean[:, 6], mean[:, 7]) - torch.atan2(means[:, 6], means[:, 7])
        error = 0.5 * torch.atan2(torch.sin(off), torch.cos(off))
    own = log_variance[:, _HEADING]
    nll = 0.5 * (error.square() * torch.exp(-own) + own)
    return box, (weights * (direction + 0.3 * nll)).sum() / norm


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
