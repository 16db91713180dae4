"""Layers reduced to what inference needs of them, in the dtype that the fast modules want."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch.nn import functional as F  # noqa: N812

from mobilesam.model.matmul import product


@dataclass(frozen=True, eq=False)
class Linear:
    """A linear layer on the last dimension."""

    weight: torch.Tensor
    bias: torch.Tensor

    @classmethod
    def of(cls, layer: Any, dtype: torch.dtype = torch.float32) -> Linear:
        """The layer's weights, in a dtype."""
        return cls(layer.weight.detach().to(dtype), layer.bias.detach().to(dtype))

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        """(..., in) to (..., out)."""
        return product(x, self.weight, self.bias)


@dataclass(frozen=True, eq=False)
class LayerNorm:
    """A LayerNorm over the last dimension; SAM's LayerNorm2d is one on channels-last tensors."""

    weight: torch.Tensor
    bias: torch.Tensor
    eps: float

    @classmethod
    def of(cls, layer: Any, dtype: torch.dtype = torch.float32) -> LayerNorm:
        """The layer's weights, in a dtype."""
        return cls(layer.weight.detach().to(dtype), layer.bias.detach().to(dtype), layer.eps)

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        """(..., C) to the same shape."""
        return F.layer_norm(x, x.shape[-1:], self.weight, self.bias, self.eps)
