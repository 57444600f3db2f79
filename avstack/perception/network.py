"""The learned part of perception, in two stages: where something is, and what it is.

The first stage looks at the whole bird's-eye grid, at three scales with skips as in feature pyramids (Lin et al., CVPR 2017), and
says for each cell whether a thing is there and whether it must be gone around; things are peaks of a heat map (Zhou, Wang,
Krähenbühl: Objects as points, 2019; Yin, Zhou, Krähenbühl: CenterPoint, CVPR 2021). Nearly all of a scene is empty, so what the
first stage learns of rare things it learns slowly, and it has to be cheap. The second stage looks at fine crops round the peaks
alone (as in R-CNN, Girshick et al., CVPR 2014): every one of its samples is worth learning from. Its heads share all but their
last layers and are trained on weights of their own; where they differ, they do not know.

torch is imported with this module, so nobody but `detect` and the training imports it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from avstack.perception.bev import CHANNELS, Grid
from avstack.perception.classes import Class
from avstack.perception.decode import Asked, asked_of, propose, settle, worth_asking
from avstack.perception.maps import (
    ABOUT,
    COARSE_OUT,
    CONTEXT,
    CROP,
    CROP_CHANNELS,
    HEADS,
    RETURN,
    RICH_OUT,
    SAID,
    STRIDE,
)
from avstack.perception.returns import joined

LOG_VARIANCE = (-7.0, 5.0)
"""Log-variances are held between these."""
_RARE = -4.0  # initial logit of heat: nearly all cells are empty


@dataclass(frozen=True, slots=True, kw_only=True)
class Widths:
    """Channels at the first stage's three scales, cells of 1, 2 and 4 m, and at those of a crop, cells of 0.5, 1 and 2 m; numbers
    of each return; numbers between those and the second stage's answer."""

    fine: int = 24
    middle: int = 48
    coarse: int = 64
    crop: tuple[int, int, int] = (32, 48, 64)
    returns: tuple[int, int, int] = (32, 64, 96)
    dense: int = 96


class Layer(nn.Module):
    """Convolution, batch normalisation (none once fused) and ReLU."""

    def __init__(self, inputs: int, outputs: int, size: int = 3, stride: int = 1, *, fused: bool = False) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, size, stride=stride, padding=size // 2, bias=fused)
        self.norm: nn.Module = nn.Identity() if fused else nn.BatchNorm2d(outputs)

    def forward(self, x: Tensor) -> Tensor:
        """(B, inputs, H, W) -> (B, outputs, H / stride, W / stride)."""
        return functional.relu(self.norm(self.conv(x)), inplace=True)


class Second(nn.Module):
    """(B, CROP_CHANNELS, CROP, CROP) crops, (B, RETURNS, RETURN) returns and (B, ABOUT) what else is known -> (HEADS, B, SAID).

    Returns are seen along and across the line of sight too, each by itself; of all, the greatest numbers count.
    """

    def __init__(self, w: Widths, *, fused: bool = False) -> None:
        super().__init__()
        one, two, three = w.crop
        self.crop = nn.Sequential(
            Layer(CROP_CHANNELS, one, fused=fused),
            Layer(one, two, stride=2, fused=fused),
            Layer(two, three, stride=2, fused=fused),
        )
        first, second, third = w.returns
        self.returns = nn.Sequential(
            Layer(RETURN + 2, first, 1, fused=fused), Layer(first, second, 1, fused=fused), Layer(second, third, 1, fused=fused)
        )
        self.side = CROP // 4
        self.dense = nn.ModuleList(nn.Linear(three * self.side**2 + third + ABOUT, w.dense) for _ in range(HEADS))
        self.said = nn.ModuleList(nn.Linear(w.dense, SAID) for _ in range(HEADS))

    def forward(self, crops: Tensor, returns: Tensor, about: Tensor) -> Tensor:
        """What each head says."""
        x, y = returns[..., 0], returns[..., 1]
        cos, sin = about[:, -2:-1], about[:, -1:]
        turned = torch.stack([x * cos + y * sin, y * cos - x * sin], dim=2)
        each = torch.cat([returns, turned], dim=2)[:, None].permute(0, 3, 1, 2)  # (B, numbers, 1, RETURNS), channels last
        near = self.returns(each).amax(dim=(2, 3))
        seen = torch.cat([self.crop(crops).flatten(1), near, about], dim=1)
        return torch.stack(
            [said(functional.relu(dense(seen))) for dense, said in zip(self.dense, self.said, strict=True)]
        )  # fmt: skip


class Network(nn.Module):
    """(B, CHANNELS, 240, 160) features -> (B, OUTPUTS, 120, 80), see `avstack.perception.maps`; `second` is the second stage."""

    def __init__(self, widths: Widths | None = None, *, fused: bool = False) -> None:
        super().__init__()
        w = widths or Widths()
        self.widths = w
        self.stem = Layer(CHANNELS * STRIDE * STRIDE, w.fine, 1, fused=fused)
        self.middle = nn.Sequential(Layer(w.fine, w.middle, stride=2, fused=fused), Layer(w.middle, w.middle, fused=fused))
        self.coarse = nn.Sequential(
            Layer(w.middle, w.coarse, stride=2, fused=fused),
            Layer(w.coarse, w.coarse, fused=fused),
            Layer(w.coarse, w.coarse, fused=fused),
        )
        self.from_coarse = Layer(w.coarse, w.middle, 1, fused=fused)
        self.from_middle = Layer(w.middle, w.fine, 1, fused=fused)
        self.joined = Layer(w.fine, CONTEXT, fused=fused)
        self.own = Layer(CONTEXT, CONTEXT, 1, fused=fused)
        self.said = nn.Conv2d(CONTEXT, RICH_OUT + COARSE_OUT, 1)
        nn.init.constant_(self.said.bias[: len(Class)], _RARE)
        self.second = Second(w, fused=fused)

    def forward(self, features: Tensor) -> Tensor:
        """The maps of the first stage."""
        fine = self.stem(_unshuffled(features))
        middle = self.middle(fine)
        middle = middle + _larger(self.from_coarse(self.coarse(middle)))
        shared = self.joined(fine + _larger(self.from_middle(middle)))
        return torch.cat([self.said(self.own(shared)), shared], dim=1)


def _unshuffled(features: Tensor) -> Tensor:
    """Four fine cells as channels of one: `pixel_unshuffle` that stays channels-last."""
    b, c, h, w = features.shape
    cells = features.permute(0, 2, 3, 1).reshape(b, h // STRIDE, STRIDE, w // STRIDE, STRIDE * c)
    return cells.transpose(2, 3).reshape(b, h // STRIDE, w // STRIDE, STRIDE * STRIDE * c).permute(0, 3, 1, 2)


def _larger(x: Tensor) -> Tensor:
    return functional.interpolate(x, scale_factor=2.0, mode="nearest")


def fuse(network: Network) -> dict[str, NDArray[np.float32]]:
    """Weights of the same network without batch normalisation, which at run time is a factor and an offset of each filter."""
    arrays: dict[str, NDArray[np.float32]] = {}
    for name, module in network.named_modules():
        if isinstance(module, Layer):
            norm = module.norm
            if not isinstance(norm, nn.BatchNorm2d) or norm.running_mean is None or norm.running_var is None:
                raise ValueError(f"layer {name!r} has no batch normalisation left to fuse")
            factor = norm.weight / torch.sqrt(norm.running_var + norm.eps)
            arrays[f"{name}.conv.weight"] = _array(module.conv.weight * factor[:, None, None, None])
            arrays[f"{name}.conv.bias"] = _array(norm.bias - norm.running_mean * factor)
        elif isinstance(module, nn.Conv2d | nn.Linear) and not name.endswith(".conv"):
            arrays[f"{name}.weight"] = _array(module.weight)
            if module.bias is not None:
                arrays[f"{name}.bias"] = _array(module.bias)
    return arrays


def _array(tensor: Tensor) -> NDArray[np.float32]:
    found: NDArray[np.float32] = tensor.detach().cpu().numpy().astype(np.float32)
    return found


def fused_network(arrays: Mapping[str, NDArray[np.float32]], widths: Widths) -> Network:
    """A network for inference from what `fuse` gave. Raises ValueError where names or shapes do not fit."""
    network = Network(widths, fused=True)
    try:
        network.load_state_dict({name: torch.from_numpy(np.array(array)) for name, array in arrays.items()})
    except RuntimeError as error:
        raise ValueError(str(error).splitlines()[0]) from error
    return network.eval().to(memory_format=torch.channels_last)


def widths_of(numbers: Mapping[str, object]) -> Widths:
    """Widths as JSON keeps them. Raises TypeError where they are others."""
    return Widths(**{name: tuple(value) if isinstance(value, list) else value for name, value in numbers.items()})  # type: ignore[arg-type]


def answers(network: Network, grid: Grid) -> tuple[NDArray[np.float32], NDArray[np.void]]:
    """(maps of the first stage, candidates of the second one) of one grid, before any calibration."""
    maps = infer(network, grid.features)
    proposals = worth_asking(propose(maps))
    asked = asked_of(proposals, maps, grid.features, joined(grid.standing, grid.earlier))
    return maps, settle(proposals, infer_second(network, asked), grid.standing)


def infer(network: Network, features: NDArray[np.float32]) -> NDArray[np.float32]:
    """(120, 80, OUTPUTS) float32 maps of one grid (240, 160, CHANNELS); heat and the coarse probabilities are still logits."""
    with _Alone():
        maps = network(torch.from_numpy(features).permute(2, 0, 1)[None])
    found: NDArray[np.float32] = maps[0].permute(1, 2, 0).contiguous().numpy()
    return found


def infer_second(network: Network, asked: Asked) -> NDArray[np.float32]:
    """(HEADS, N, SAID) float32 of proposals."""
    if not len(asked.crops):
        return np.zeros((HEADS, 0, SAID), np.float32)
    with _Alone():
        crops, returns, about = (torch.from_numpy(one) for one in asked)
        said = network.second(crops.permute(0, 3, 1, 2), returns, about)
    found: NDArray[np.float32] = said.numpy()
    return found


class _Alone:
    """Inference on one thread: two threads on a busy machine wait for each other."""

    def __enter__(self) -> None:
        self.threads = torch.get_num_threads()
        self.mode = torch.inference_mode()
        if self.threads != 1:
            torch.set_num_threads(1)
        self.mode.__enter__()

    def __exit__(self, *raised: object) -> None:
        self.mode.__exit__(None, None, None)
        if self.threads != 1:
            torch.set_num_threads(self.threads)
