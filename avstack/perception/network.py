"""The learned part of perception: one trunk on a bird's-eye grid, several rich heads, one coarse head.

Three scales with skips, as in feature pyramids (Lin et al., CVPR 2017); things are peaks of a heat map with regressions at the
peak (Zhou, Wang, Krähenbühl: Objects as points, 2019; Yin, Zhou, Krähenbühl: CenterPoint, CVPR 2021). torch is imported with this
module, so nobody but `detect` and the training imports it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from avstack.perception.bev import CHANNELS
from avstack.perception.classes import Class
from avstack.perception.maps import COARSE_OUT, HEADS, RICH_OUT, STRIDE

LOG_VARIANCE = (-7.0, 5.0)
"""Log-variances are held between these."""
_RARE = -4.0  # initial logit of heat: nearly all cells are empty


@dataclass(frozen=True, slots=True, kw_only=True)
class Widths:
    """Channels at the three scales: cells of 1, 2 and 4 m."""

    fine: int = 32
    middle: int = 64
    coarse: int = 96


class Layer(nn.Module):
    """Convolution, batch normalisation (none once fused) and ReLU."""

    def __init__(self, inputs: int, outputs: int, size: int = 3, stride: int = 1, *, fused: bool = False) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, size, stride=stride, padding=size // 2, bias=fused)
        self.norm: nn.Module = nn.Identity() if fused else nn.BatchNorm2d(outputs)

    def forward(self, x: Tensor) -> Tensor:
        """(B, inputs, H, W) -> (B, outputs, H / stride, W / stride)."""
        return functional.relu(self.norm(self.conv(x)), inplace=True)


class Network(nn.Module):
    """(B, CHANNELS, 240, 160) features -> (B, HEADS * RICH_OUT + COARSE_OUT, 120, 80), see `avstack.perception.maps`."""

    def __init__(self, widths: Widths | None = None, *, fused: bool = False) -> None:
        super().__init__()
        w = widths or Widths()
        self.widths = w
        self.stem = Layer(CHANNELS * STRIDE * STRIDE, w.fine, 1, fused=fused)
        self.fine = Layer(w.fine, w.fine, fused=fused)
        self.middle = nn.Sequential(Layer(w.fine, w.middle, stride=2, fused=fused), Layer(w.middle, w.middle, fused=fused))
        self.coarse = nn.Sequential(
            Layer(w.middle, w.coarse, stride=2, fused=fused),
            Layer(w.coarse, w.coarse, fused=fused),
            Layer(w.coarse, w.coarse, fused=fused),
        )
        self.from_coarse = Layer(w.coarse, w.middle, 1, fused=fused)
        self.from_middle = Layer(w.middle, w.fine, 1, fused=fused)
        self.joined = Layer(w.fine, w.fine, fused=fused)
        self.own = nn.ModuleList(Layer(w.fine, w.fine, 1, fused=fused) for _ in range(HEADS))
        self.rich = nn.ModuleList(nn.Conv2d(w.fine, RICH_OUT, 1) for _ in range(HEADS))
        self.solid = nn.Conv2d(w.fine, COARSE_OUT, 1)
        for head in self.rich:
            nn.init.constant_(head.bias[: len(Class)], _RARE)

    def forward(self, features: Tensor) -> Tensor:
        """The maps of all heads, then the coarse ones."""
        fine = self.fine(self.stem(functional.pixel_unshuffle(features, STRIDE)))
        middle = self.middle(fine)
        middle = middle + _larger(self.from_coarse(self.coarse(middle)))
        shared = self.joined(fine + _larger(self.from_middle(middle)))
        heads = [rich(own(shared)) for own, rich in zip(self.own, self.rich, strict=True)]
        return torch.cat([*heads, self.solid(shared)], dim=1)


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
        elif isinstance(module, nn.Conv2d) and not name.endswith(".conv"):
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


def infer(network: Network, features: NDArray[np.float32]) -> NDArray[np.float32]:
    """(120, 80, K) float32 maps of one grid (240, 160, CHANNELS); heat and the coarse probabilities are still logits."""
    threads = torch.get_num_threads()
    if threads != 1:
        torch.set_num_threads(1)  # two threads on a busy machine wait for each other
    with torch.inference_mode():
        maps = network(torch.from_numpy(features).permute(2, 0, 1)[None])
    if threads != 1:
        torch.set_num_threads(threads)
    found: NDArray[np.float32] = maps[0].permute(1, 2, 0).contiguous().numpy()
    return found
