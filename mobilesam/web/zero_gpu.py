"""ZeroGPU Spaces: a GPU is lent for the length of a function call.

The module `spaces`, which only such a Space has, must be imported before torch. It runs a function
that it has decorated in a process with the GPU; that process is forked when the page has been
launched, and finds the model in memory. So the model is loaded before the launch.
"""

from __future__ import annotations

import copy
import importlib
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, TypeAlias

from mobilesam.settings import Precision, Settings

if TYPE_CHECKING:  # after `spaces`
    import numpy as np
    import torch
    from numpy.typing import NDArray
    from segment_anything.modeling import Sam

    from mobilesam.model.network import Network
    from mobilesam.segmenter import Segmenter

_LENT_S = 20
"""For how long a GPU is asked for; an encode takes a fraction of a second, a first one some."""

Encode: TypeAlias = Callable[["NDArray[np.float32]"], "NDArray[np.float32]"]

Lend: TypeAlias = Callable[..., Callable[[Encode], Encode]]
"""spaces.GPU: decorates functions."""


def lent_gpu(settings: Settings) -> Lend | None:
    """What lends a GPU here, or None where nothing does.

    Args:
        settings: their zero_gpu says whether this is such a Space.
    """
    if not settings.zero_gpu:
        return None
    try:
        lend: Lend = importlib.import_module("spaces").GPU
    except ImportError:
        return None
    return lend


def load_with_lent_gpu(
    lend: Lend, weights: str | None, settings: Settings, device: str = "cuda"
) -> Segmenter:
    """A segmenter that encodes on the lent GPU and answers clicks on the CPU, without a wait.

    Args:
        lend: what `lent_gpu` found.
        weights: as `Segmenter.from_weights` takes them.
        settings: of this process.
        device: of the encoder.

    Raises:
        MobileSamError: as `Segmenter.from_weights`.
    """
    from mobilesam.segmenter import Segmenter

    def choose(sam: Sam, precision: Precision) -> Network:
        return _network(lend, sam, precision, device)

    return Segmenter.from_weights(weights, "cpu", settings, choose)


def _network(lend: Lend, sam: Sam, precision: Precision, device: str) -> Network:
    import torch

    from mobilesam.model.network import choose_network

    network = choose_network(sam, precision)
    lent_sam = copy.deepcopy(sam).to(device)

    # Arrays, not tensors: they go from process to process and back.
    @lend(duration=_LENT_S)
    @torch.inference_mode()
    def encode_lent(rgb: NDArray[np.float32]) -> NDArray[np.float32]:
        pixels = lent_sam.preprocess(torch.from_numpy(rgb).to(device))
        embedding: NDArray[np.float32] = lent_sam.image_encoder(pixels).cpu().numpy()
        return embedding

    def encode(rgb: torch.Tensor) -> torch.Tensor:
        return torch.from_numpy(encode_lent(rgb.numpy()))

    return replace(
        network,
        encode=encode,
        encode_on_cpu=network.encode,
        name=f"encoder on a lent GPU, else {network.name}",
    )
