"""The linear operation, by whichever of torch's two libraries is faster on this machine.

torch multiplies float32 matrices with MKL, which leaves half of the vector units of an AMD CPU
unused. oneDNN, which is part of torch too, uses them and reads transposed matrices without a copy.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Callable

import torch
from torch.nn import functional as F  # noqa: N812

_MIN_MULTIPLICATIONS = 1 << 20  # below, oneDNN's set-up takes longer than it saves
_MIN_SPEEDUP = 1.1
_TOLERANCE = 1e-4


def linear(x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None = None) -> torch.Tensor:
    """Computes x weight^T + bias, as torch.nn.functional.linear does.

    Args:
        x: (..., in).
        weight: (out, in), in any memory layout.
        bias: (out,) or None.

    Returns:
        (..., out).
    """
    is_large = x.numel() * len(weight) >= _MIN_MULTIPLICATIONS
    if is_large and x.dtype == torch.float32 and onednn_is_faster():
        return onednn_linear(x, weight, bias)
    return F.linear(x, weight, bias)


def onednn_linear(
    x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None = None
) -> torch.Tensor:
    """`linear` by oneDNN: the operator that torch.compile uses for linear layers."""
    result: torch.Tensor = torch.ops.mkldnn._linear_pointwise(x, weight, bias, "none", [], "")
    return result


@functools.cache
def onednn_is_faster() -> bool:
    """Whether oneDNN is available, correct and faster; measured once, in milliseconds."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(4096, 256, generator=generator)
    weight = torch.randn(256, 256, generator=generator)
    expected = F.linear(x, weight)
    try:
        difference = onednn_linear(x, weight) - expected
    except (AttributeError, RuntimeError):  # private, and missing in some versions of torch
        return False
    if not bool(difference.norm() / expected.norm() < _TOLERANCE):
        return False
    return speedup(lambda: F.linear(x, weight), lambda: onednn_linear(x, weight)) > _MIN_SPEEDUP


def speedup(
    baseline: Callable[[], object], candidate: Callable[[], object], rounds: int = 5
) -> float:
    """Ratio of the run times of two functions: the best of a few rounds each."""
    times: tuple[list[float], list[float]] = ([], [])
    for _ in range(rounds):
        for run, seconds in zip((baseline, candidate), times, strict=True):
            started = time.perf_counter()
            run()
            seconds.append(time.perf_counter() - started)
    return min(times[0]) / min(times[1])
