"""Layers without autograd and submodules, in the dtype of the fast modules."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch.nn import functional as F  # noqa: N812

from mobilesam.model.matmul import linear


@dataclass(frozen=True, eq=False)
class Linear:
    """A linear layer over the last dimension."""

    weight: torch.Tensor
    bias: torch.Tensor

    @classmethod
    def of(cls, layer: Any, dtype: torch.dtype = torch.float32) -> Linear:
        """Copies the weights of a torch layer."""
        return cls(layer.weight.detach().to(dtype), layer.bias.detach().to(dtype))

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        """(..., in) to (..., out)."""
        return linear(x, self.weight, self.bias)


@dataclass(frozen=True, eq=False)
class LayerNorm:
    """LayerNorm over the last dimension; SAM's LayerNorm2d equals it on channels-last tensors."""

    weight: torch.Tensor
    bias: torch.Tensor
    eps: float

    @classmethod
    def of(cls, layer: Any, dtype: torch.dtype = torch.float32) -> LayerNorm:
        """Copies the weights of a torch layer."""
        return cls(layer.weight.detach().to(dtype), layer.bias.detach().to(dtype), layer.eps)

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        """(..., C) to the same shape."""
        return F.layer_norm(x, x.shape[-1:], self.weight, self.bias, self.eps)
