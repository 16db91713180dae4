"""A cheap image encoder, and a module that counts its calls."""

from __future__ import annotations

import threading

import torch
from torch import nn


class PooledPixels(nn.Module):
    """A cheap image encoder: mean colours of 16 x 16 pixels, mixed into 256 channels."""

    img_size = 1024

    def __init__(self) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(7)
        self.register_buffer("mix", torch.randn(256, 3, generator=generator))

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        pooled = nn.functional.avg_pool2d(pixels, 16)
        return torch.einsum("oc,bchw->bohw", self.mix, pooled)


class Counted(nn.Module):
    """A module that counts its calls, whichever threads they come from."""

    img_size = 1024

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module
        self.calls = 0
        self._lock = threading.Lock()

    def forward(self, *args: object, **kwargs: object) -> object:
        with self._lock:
            self.calls += 1
        return self.module(*args, **kwargs)

    def __getattr__(self, name: str) -> object:
        """Anything else, such as the weights, is the module's."""
        try:
            return super().__getattr__(name)
        except AttributeError:
            return getattr(super().__getattr__("module"), name)
