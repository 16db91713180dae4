"""Which modules answer: decided by the device, the encoder and what the processor can do."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from segment_anything.modeling import Sam

from mobilesam.model import backend as network
from mobilesam.model.backend import bfloat16_is_faster, choose_backend, plain_backend
from mobilesam.model.fast_decoder import FastDecoder


def amx(answer: bool) -> Callable[[], bool]:
    return lambda: answer


def test_a_cpu_gets_the_fast_modules(bundled_sam: Sam) -> None:
    chosen = choose_backend(bundled_sam, "float32")
    assert chosen.name == "fast float32"
    assert isinstance(chosen.mask_decoder, FastDecoder)


def test_another_encoder_than_tinyvit_runs_as_it_is(stub_sam: Sam) -> None:
    chosen = choose_backend(stub_sam)
    assert chosen.name == "plain float32"
    assert chosen.mask_decoder is stub_sam.mask_decoder


def test_another_device_than_the_cpu_gets_the_plain_modules(bundled_sam: Sam) -> None:
    elsewhere = type("Elsewhere", (), {"type": "cuda"})()

    class OnGpu:
        device = elsewhere
        image_encoder = bundled_sam.image_encoder
        prompt_encoder = bundled_sam.prompt_encoder
        mask_decoder = bundled_sam.mask_decoder
        mask_threshold = bundled_sam.mask_threshold

        def cpu(self) -> Sam:
            return bundled_sam

    chosen = choose_backend(OnGpu())
    assert chosen.name == "plain float32"
    assert chosen.encode_on_cpu is not None  # in reserve for when the GPU's memory is full


def test_bfloat16_is_taken_by_itself_where_it_pays(
    bundled_sam: Sam, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(network, "bfloat16_is_faster", amx(True))
    assert choose_backend(bundled_sam).name == "fast bfloat16"
    monkeypatch.setattr(network, "bfloat16_is_faster", amx(False))
    assert choose_backend(bundled_sam).name == "fast float32"


def test_bfloat16_does_not_pay_without_amx(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", amx(False), raising=False)
    assert bfloat16_is_faster() is False


def test_bfloat16_does_not_pay_where_torch_cannot_tell(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(torch.cpu, "_is_amx_tile_supported", raising=False)
    assert bfloat16_is_faster() is False


@pytest.mark.parametrize(("gained", "pays"), [(4.0, True), (1.0, False)])
def test_bfloat16_pays_only_if_a_product_gains(
    monkeypatch: pytest.MonkeyPatch, gained: float, pays: bool
) -> None:
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", amx(True), raising=False)
    monkeypatch.setattr(network, "gain", lambda slow, fast: gained)
    assert bfloat16_is_faster() is pays


def test_the_fast_and_the_plain_network_agree_on_a_photo(bundled_sam: Sam) -> None:
    """From colours to embedding: normalisation and padding included."""
    generator = torch.Generator().manual_seed(3)
    rgb = torch.rand(1, 3, 300, 1024, generator=generator) * 255
    expected = plain_backend(bundled_sam).encode(rgb)
    actual = choose_backend(bundled_sam, "float32").encode(rgb)
    assert float((actual - expected).norm() / expected.norm()) <= 1e-4
