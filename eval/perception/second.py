"""Training of the second stage: what the proposals of a trained first stage on its own scenes really are.

Losses: cross-entropy on the class or nothing; smooth L1 on means; the Gaussian likelihood of their errors, held fixed, on
log-variances: a likelihood on both hardly moves a mean whose variance is still large (Seitzer et al., ICLR 2022), and velocities,
which show in few cells only, would be learned last or never. The heads differ by their beginnings and by weights of the samples
that each draws on its own (a mild Bayesian bootstrap), so that they agree only on what many samples teach.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from avstack.perception.bev import CELL, SHAPE, X0, Y0
from avstack.perception.classes import Class
from avstack.perception.decode import asked_of, crop_corner, crop_middle, propose, worth_asking
from avstack.perception.maps import (
    CONTEXT,
    COS2,
    CROP,
    CROP_CHANNELS,
    DX,
    DY,
    HEADS,
    LOG_LENGTH,
    LOG_WIDTH,
    MEANS,
    NOTHING,
    SAID_MEANS,
    SAID_VARIANCES,
    SIN2,
    VX,
    VY,
)
from avstack.perception.network import LOG_VARIANCE, Network, infer
from avstack.perception.returns import joined
from eval.perception.samples import Sample, grid_of
from eval.perception.targets import varied
from eval.perception.train import Progress, Tally, TrainConfig, course, fingerprint, mean_losses

JITTER = 1
"""Fine cells by which a crop is moved about."""
_NEAR, _NEAR_SHARE = 1.0, 0.25
"""A proposal is of the thing whose centre is nearer than this [m] plus this share of its length."""
_UNASKED = -1
_BOX_WEIGHT, _VARIANCE_WEIGHT = 0.8, 0.1
_CENTRE = CONTEXT + len(Class)  # of `about`: where the first stage has the centre, from the middle of the crop


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposed:
    """Proposals (P,). crops: (P, CROP + 2 JITTER, CROP + 2 JITTER, CROP_CHANNELS) float16; returns: (P, RETURNS, RETURN); about:
    (P, ABOUT); label: class, NOTHING, or not asked; means: (P, MEANS) from the middle of the crop."""

    crops: NDArray[np.float16]
    returns: NDArray[np.float16]
    about: NDArray[np.float32]
    label: NDArray[np.int64]
    means: NDArray[np.float32]


def proposed_of(network: Network, sample: Sample, random: np.random.Generator) -> Proposed:
    """The first stage's proposals on one sample, varied, that the second one is asked about, and the truth about them."""
    grid = grid_of(sample)
    features, boxes, mirrored, gain = varied(grid.features, sample.boxes, random)
    returns = joined(grid.standing, grid.earlier)
    returns[:, 3] *= gain
    if mirrored:
        returns[:, 1] *= -1.0
    maps = infer(network, features)
    found = worth_asking(propose(maps))
    asked = asked_of(found, maps, features, returns)
    label, means = _truth(found, boxes)
    keep = label != _UNASKED
    side, pad = CROP + 2 * JITTER, CROP
    wide = np.pad(features[..., :CROP_CHANNELS], ((pad, pad), (pad, pad), (0, 0))).astype(np.float16)
    crops = np.zeros((int(keep.sum()), side, side, CROP_CHANNELS), np.float16)
    for k, one in enumerate(found[keep]):
        i, j = (_held(crop_corner(float(one["mean"][q]), (X0, Y0)[q]) - JITTER + pad, q) for q in (0, 1))
        crops[k] = wide[i : i + side, j : j + side]
    return Proposed(
        crops=crops, returns=asked.returns[keep].astype(np.float16), about=asked.about[keep], label=label[keep], means=means[keep]
    )


def _held(first: int, axis: int) -> int:
    return min(max(first, 0), SHAPE[axis] + 2 * CROP - CROP - 2 * JITTER)


def _truth(found: NDArray[np.void], boxes: NDArray[np.void]) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """(label, means) of each proposal."""
    label = np.full(len(found), NOTHING)
    means = np.zeros((len(found), MEANS), np.float32)
    if not len(boxes):
        return label, means
    for k, one in enumerate(found):
        away = np.hypot(boxes["x"] - one["mean"][0], boxes["y"] - one["mean"][1])
        # the nearest by its own measure: a thing beside a bus is not the bus
        scaled = away / (_NEAR + _NEAR_SHARE * boxes["length"])
        n = int(np.argmin(scaled))
        if scaled[n] > 1.0:
            continue
        box = boxes[n]
        if box["points"] == 0:
            label[k] = _UNASKED
            continue
        label[k] = box["label"]
        x, y = crop_middle(float(one["mean"][0]), X0), crop_middle(float(one["mean"][1]), Y0)
        heading = float(box["heading"])
        means[k] = (
            box["x"] - x, box["y"] - y, math.log(box["length"]), math.log(box["width"]), math.sin(heading), math.cos(heading),
            math.sin(2.0 * heading), math.cos(2.0 * heading), box["vx"], box["vy"],
        )  # fmt: skip
    return label, means


def train_second(
    network: Network, samples: Sequence[Sample], config: TrainConfig, folder: Path, report: Callable[[Progress], None]
) -> Network:
    """The network with its second stage trained on the proposals of its first one; goes on as `train` does."""
    random = np.random.default_rng([config.seed, 2])
    parts = [proposed_of(network, sample, random) for sample in samples]
    every = Proposed(**{name: np.concatenate([getattr(one, name) for one in parts]) for name in Proposed.__dataclass_fields__})
    del parts
    torch.manual_seed(config.seed)
    batches = max(len(every.label) // config.second_batch, 1)
    steps = batches * config.second_passes
    path, of = folder / "training_second.pt", fingerprint(samples, config, second=True)
    run = course(network.second, config, config.second_rate, steps, path, of)
    tally = Tally(report, "second", steps, 200)
    for number in range(run.resume(), config.second_passes):
        random = np.random.default_rng([config.seed, 2, number])
        order = random.permutation(len(every.label))
        network.second.train()
        for k in range(batches):
            chosen = np.sort(order[k * config.second_batch : (k + 1) * config.second_batch])
            losses = _losses(network, every, chosen, random)
            run.step(losses)
            tally.add(losses, number * batches + k + 1, last=k + 1 == batches)
        run.keep(number + 1)
    network.eval()
    return network


def _shifted(every: Proposed, chosen: NDArray[np.int64], random: np.random.Generator) -> tuple[Tensor, ...]:
    """(crops, returns, about, label, means) of a batch, each crop moved about by up to JITTER cells."""
    shift = random.integers(0, 2 * JITTER + 1, (len(chosen), 2))
    crops = np.empty((len(chosen), CROP, CROP, CROP_CHANNELS), np.float32)
    for k, n in enumerate(chosen):
        i, j = shift[k]
        crops[k] = every.crops[n, i : i + CROP, j : j + CROP]
    returns, about, means = every.returns[chosen].astype(np.float32), every.about[chosen], every.means[chosen]
    moved = (CELL * (shift - JITTER)).astype(np.float32)
    means[:, :2] -= moved
    returns[:, :, :2] -= moved[:, None]
    about[:, _CENTRE : _CENTRE + 2] -= moved
    return (
        torch.from_numpy(crops).permute(0, 3, 1, 2), torch.from_numpy(returns), torch.from_numpy(about),
        torch.from_numpy(every.label[chosen]), torch.from_numpy(means),
    )  # fmt: skip


def _losses(network: Network, every: Proposed, chosen: NDArray[np.int64], random: np.random.Generator) -> dict[str, Tensor]:
    """Named losses of a batch."""
    device = next(network.parameters()).device
    crops, returns, about, label, means = (one.to(device) for one in _shifted(every, chosen, random))
    said = network.second(crops, returns, about)
    drawn = torch.from_numpy(random.gamma(4.0, 0.25, (HEADS, len(chosen))).astype(np.float32)).to(device)
    there = label != NOTHING
    count = there.sum().clamp(min=1)
    total = {name: crops.new_zeros(()) for name in ("class", "box", "variance")}
    for head in range(HEADS):
        own, weights = said[head], drawn[head]
        each = functional.cross_entropy(own[:, : NOTHING + 1], label, reduction="none")
        total["class"] = total["class"] + (weights * each).mean() / HEADS
        found, truth = own[there, SAID_MEANS:SAID_VARIANCES], means[there]
        total["box"] = total["box"] + _BOX_WEIGHT * (weights[there] * mean_losses(found, truth)).sum() / count / HEADS
        nll = _likelihood(found.detach(), truth, own[there, SAID_VARIANCES:].clamp(*LOG_VARIANCE))
        total["variance"] = total["variance"] + _VARIANCE_WEIGHT * (weights[there] * nll).sum() / count / HEADS
    return total


def _likelihood(found: Tensor, truth: Tensor, log_variance: Tensor) -> Tensor:
    """(P,) sums of negative log-likelihoods of the errors of the quantities; of the heading, of its axis, either end first."""
    off = torch.atan2(found[:, SIN2], found[:, COS2]) - torch.atan2(truth[:, SIN2], truth[:, COS2])
    axis = 0.5 * torch.atan2(torch.sin(off), torch.cos(off))
    away = found - truth
    errors = torch.stack(
        [away[:, DX], away[:, DY], axis, away[:, VX], away[:, VY], away[:, LOG_LENGTH], away[:, LOG_WIDTH]], dim=1
    )  # fmt: skip
    return 0.5 * (errors.square() * torch.exp(-log_variance) + log_variance).sum(dim=1)
