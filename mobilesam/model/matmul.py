"""One matrix product, by whichever of torch's libraries is faster on this machine.

torch multiplies float32 matrices with MKL, which leaves half of an AMD processor's vector units
unused; oneDNN, which torch brings along too, does not, and reads transposed matrices as they are.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Callable

import torch
from torch.nn import functional as F  # noqa: N812

_SMALL = 1 << 20  # multiplications below which oneDNN's set-up costs more than it gains
_MUST_GAIN = 1.1
_TOLERANCE = 1e-4


def product(
    x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None = None
) -> torch.Tensor:
    """Multiplies: x weight^T + bias.

    Args:
        x: (..., in).
        weight: (out, in), in any order in memory.
        bias: (out,) or None.

    Returns:
        (..., out).
    """
    if x.numel() * len(weight) >= _SMALL and x.dtype == torch.float32 and onednn_pays():
        return onednn_product(x, weight, bias)
    return F.linear(x, weight, bias)


def onednn_product(
    x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None = None
) -> torch.Tensor:
    """`product` by oneDNN: the operator that torch's own compiler calls for linear layers."""
    result: torch.Tensor = torch.ops.mkldnn._linear_pointwise(x, weight, bias, "none", [], "")
    return result


@functools.cache
def onednn_pays() -> bool:
    """Whether oneDNN's product is there, right, and faster; measured once, in milliseconds."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(4096, 256, generator=generator)
    weight = torch.randn(256, 256, generator=generator)
    expected = F.linear(x, weight)
    try:
        difference = onednn_product(x, weight) - expected
    except (AttributeError, RuntimeError):  # private, and not in every torch
        return False
    if not bool(difference.norm() / expected.norm() < _TOLERANCE):
        return False
    return gain(lambda: F.linear(x, weight), lambda: onednn_product(x, weight)) > _MUST_GAIN


def gain(slow: Callable[[], object], fast: Callable[[], object], rounds: int = 5) -> float:
    """How many times faster the second runs than the first, by the best of a few rounds."""
    times: tuple[list[float], list[float]] = ([], [])
    for _ in range(rounds):
        for run, seconds in zip((slow, fast), times, strict=True):
            started = time.perf_counter()
            run()
            seconds.append(time.perf_counter() - started)
    return min(times[0]) / min(times[1])
