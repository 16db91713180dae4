"""The original MobileSAM and ours with the same random weights, through one checkpoint file."""

from __future__ import annotations

import warnings
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from segment_anything.modeling import Sam

from mobilesam import Segmenter
from mobilesam.model.backend import choose_backend, plain_backend
from mobilesam.model.sam import load_sam
from mobilesam.model.weights import Weights

with warnings.catch_warnings():
    # The original puts its own TinyViT over timm's in timm's registry, and imports old names.
    warnings.filterwarnings("ignore", r"Overwriting tiny_vit_\w+ in registry", UserWarning)
    warnings.filterwarnings("ignore", r"Importing from timm\.models\.\w+", FutureWarning)
    from mobile_sam import SamPredictor
    from mobile_sam.build_sam import build_sam_vit_t


def randomise(model: torch.nn.Module, seed: int) -> None:
    """Weights of a size that keeps signals alive, BatchNorm statistics and biases included."""
    generator = torch.Generator().manual_seed(seed)

    def normal(tensor: torch.Tensor, scale: float, mean: float = 0.0) -> None:
        tensor.copy_(mean + scale * torch.randn(tensor.shape, generator=generator))

    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.endswith("attention_biases"):
                normal(parameter, 1.0)
            elif parameter.ndim > 1:
                normal(parameter, parameter[0].numel() ** -0.5)
            else:
                normal(parameter, 0.2, mean=1.0 if name.endswith("weight") else 0.0)
        for name, buffer in model.named_buffers():
            if name.endswith("running_mean"):
                normal(buffer, 0.3)
            elif name.endswith("running_var"):
                buffer.copy_(0.5 + torch.rand(buffer.shape, generator=generator))


@pytest.fixture(scope="session")
def original() -> Sam:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(5)  # the prompt encoder draws its frequencies when it is made
        sam = build_sam_vit_t()
    randomise(sam, seed=5)
    # Once more, because its builder does so before the weights are there.
    return sam.train().eval().requires_grad_(False)


@pytest.fixture(scope="session")
def loaded(original: Sam, tmp_path_factory) -> Sam:
    """Our plain modules, from a file of the original's weights."""
    path = tmp_path_factory.mktemp("shared") / "mobile_sam.pt"
    torch.save(original.state_dict(), path)
    return load_sam(path, torch.device("cpu"))


@pytest.fixture(scope="session", params=["plain", "fast"])
def ours(request, loaded: Sam) -> Segmenter:
    fast = request.param == "fast"
    network = choose_backend(loaded, "float32") if fast else plain_backend(loaded)
    assert network.name == f"{request.param} float32"
    weights = Weights(Path("mobile_sam.pt"), "custom", "The original's random weights.")
    return Segmenter(network, weights, "shared")


@pytest.fixture(scope="session", params=[(600, 900), (900, 500)], ids=["landscape", "portrait"])
def photo(request) -> np.ndarray:
    """(H, W, 3) uint8: large soft patches of colour."""
    height, width = request.param
    patches = np.random.default_rng(0).integers(0, 255, (12, 18, 3), dtype=np.uint8)
    return cv2.resize(patches, (width, height), interpolation=cv2.INTER_CUBIC)


@pytest.fixture(scope="session")
def predictor(original: Sam, photo: np.ndarray) -> SamPredictor:
    """The original's predictor with the photo set."""
    predictor = SamPredictor(original)
    predictor.set_image(photo)
    return predictor


@pytest.fixture(scope="session")
def embedding(ours: Segmenter, photo: np.ndarray):
    return ours.encode(photo)
