"""The layers of the fast modules, and the choice between torch's two matrix libraries.

torch multiplies float32 matrices with MKL, which leaves half of the vector units of an AMD CPU
unused. oneDNN, which is part of torch too, uses them and reads transposed matrices without a copy.
On other devices torch has one library, and the choice does not arise.
"""

import timeit
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache, partial
from typing import Any, Self, TypeAlias

import torch
from torch.nn import functional as F  # noqa: N812

Layer: TypeAlias = Callable[[torch.Tensor], torch.Tensor]

_ONEDNN_GAIN = 1.1
_MIN_MULTIPLICATIONS = 1 << 20  # below, oneDNN's set-up takes longer than it saves


@dataclass(frozen=True, eq=False)
class Linear:
    """A linear layer over the last dimension."""

    weight: torch.Tensor
    bias: torch.Tensor

    @classmethod
    def of(cls, layer: Any, dtype: torch.dtype = torch.float32) -> Self:
        """Copies the weights of a torch layer."""
        return cls(layer.weight.detach().to(dtype), layer.bias.detach().to(dtype))

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        """(..., in) to (..., out)."""
        return linear(x, self.weight, self.bias)


def layer_norm(layer: Any, dtype: torch.dtype = torch.float32) -> Layer:
    """The LayerNorm of a torch layer over the last dimension, from (..., C) to the same shape.

    SAM's LayerNorm2d equals it on channels-last tensors.
    """
    weight, bias = layer.weight.detach().to(dtype), layer.bias.detach().to(dtype)
    shape = list(weight.shape)
    return partial(F.layer_norm, normalized_shape=shape, weight=weight, bias=bias, eps=layer.eps)


def in_sequence(layers: Iterable[Layer], x: torch.Tensor) -> torch.Tensor:
    """Applies layers one after the other."""
    for layer in layers:
        x = layer(x)
    return x


def linear(x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None = None) -> torch.Tensor:
    """torch.nn.functional.linear by the faster library; `weight` may have any memory layout."""
    is_large = x.numel() * len(weight) >= _MIN_MULTIPLICATIONS
    on_cpu = x.device.type == "cpu"
    if on_cpu and is_large and x.dtype == torch.float32 and onednn_is_faster():
        return onednn_linear(x, weight, bias)
    return F.linear(x, weight, bias)


def batched_linear(x: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """(B, M, X) by (K, Y, X), K being 1 or B: (B, M, Y)."""
    if len(weights) == 1:
        return linear(x, weights[0])
    if x.device.type != "cpu":
        return x @ weights.mT
    return torch.stack([linear(*pair) for pair in zip(x, weights, strict=True)])


def onednn_linear(
    x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None = None
) -> torch.Tensor:
    """`linear` by oneDNN: the operator that torch.compile uses for linear layers."""
    result: torch.Tensor = torch.ops.mkldnn._linear_pointwise(x, weight, bias, "none", [], "")
    return result


@cache
def onednn_is_faster() -> bool:
    """Whether oneDNN is available, correct and faster; measured once, in milliseconds."""
    x, weight = random_matrices((4096, 256), (256, 256))
    gain = gain_of(lambda: onednn_linear(x, weight), lambda: F.linear(x, weight), tolerance=1e-4)
    return gain is not None and gain > _ONEDNN_GAIN


def random_matrices(*shapes: tuple[int, int]) -> list[torch.Tensor]:
    """The same random float32 matrices on every call."""
    generator = torch.Generator().manual_seed(0)
    return [torch.randn(shape, generator=generator) for shape in shapes]


def gain_of(
    candidate: Callable[[], torch.Tensor],
    baseline: Callable[[], torch.Tensor],
    tolerance: float,
) -> float | None:
    """How many times as fast as `baseline` a function is; None if it is unsupported or incorrect.

    It is correct if its relative error, compared with the baseline, is at most `tolerance`.
    """
    expected = baseline()
    try:
        error = (candidate() - expected).norm() / expected.norm()
    except (AttributeError, RuntimeError):  # private operators are missing in some versions
        return None
    return speedup(baseline, candidate) if error <= tolerance else None


def speedup(baseline: Callable[[], object], candidate: Callable[[], object]) -> float:
    """Ratio of the run times of two functions: the best of five rounds each."""
    rounds = [[timeit.timeit(run, number=1) for run in (baseline, candidate)] for _ in range(5)]
    baseline_s, candidate_s = map(min, zip(*rounds, strict=True))
    return float(baseline_s / candidate_s)
