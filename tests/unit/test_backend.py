"""Which modules are chosen: by the device, the encoder and the CPU."""

from __future__ import annotations

import threading
from types import SimpleNamespace

import pytest
import torch
from segment_anything.modeling import Sam

from mobilesam import MobileSamError
from mobilesam.model import backend, fast_layers
from mobilesam.model.backend import choose_backend, faster_precision, plain_backend
from mobilesam.model.fast_decoder import FastDecoder
from mobilesam.runtime import GpuThread
from mobilesam.settings import Precision


def test_the_fast_modules_run_on_a_cpu(bundled_sam: Sam) -> None:
    chosen = choose_backend(bundled_sam, "float32")
    assert chosen.name == "fast float32"
    assert isinstance(chosen.decode.mask_decoder, FastDecoder)


def test_the_plain_modules_run_for_another_encoder_than_tinyvit(stub_sam: Sam) -> None:
    chosen = choose_backend(stub_sam)
    assert chosen.name == "plain float32"
    assert chosen.decode.mask_decoder is stub_sam.mask_decoder


class SamElsewhere:
    """A model that says that it is on another device."""

    def __init__(self, sam: Sam, device_type: str) -> None:
        self.device = SimpleNamespace(type=device_type)
        self._sam = sam

    def __getattr__(self, name: str) -> object:
        return getattr(self._sam, name)

    def __deepcopy__(self, _: dict[int, object]) -> SamElsewhere:
        return self

    def cpu(self) -> Sam:
        return self._sam


def test_the_plain_modules_run_on_other_devices_with_the_cpu_encoder_as_fallback(
    bundled_sam: Sam,
) -> None:
    chosen = choose_backend(SamElsewhere(bundled_sam, "mps"))
    assert chosen.name == "plain float32"
    assert chosen.decode.mask_decoder is bundled_sam.mask_decoder
    assert chosen.encode_on_cpu is not None
    assert isinstance(chosen.threads, GpuThread)


@pytest.mark.parametrize(
    ("precision", "name", "reason"),
    [
        ("auto", "fast float16", "as fast as bfloat16 on a GPU, and closer to float32"),
        ("bfloat16", "fast bfloat16", "as set"),
        ("float32", "fast float32", "as set"),
    ],
)
def test_the_fast_modules_run_on_a_gpu_in_its_thread(
    bundled_sam: Sam,
    monkeypatch: pytest.MonkeyPatch,
    precision: Precision,
    name: str,
    reason: str,
) -> None:
    built_in = []

    class Model(SimpleNamespace):
        def __init__(self, *_: object) -> None:
            built_in.append(threading.current_thread())
            super().__init__(encode=None, decode=None)

    monkeypatch.setattr(backend, "GpuModel", Model)
    chosen = choose_backend(SamElsewhere(bundled_sam, "cuda"), precision)
    assert (chosen.name, chosen.reason) == (name, reason)
    assert chosen.upscales_masks
    assert chosen.threads.click(threading.current_thread) is built_in[0]


def test_float16_is_refused_on_a_cpu(bundled_sam: Sam) -> None:
    with pytest.raises(MobileSamError, match="MOBILESAM_PRECISION"):
        choose_backend(bundled_sam, "float16")


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_auto_precision_is_the_faster_one_and_says_why(
    bundled_sam: Sam, monkeypatch: pytest.MonkeyPatch, dtype: str
) -> None:
    choice = getattr(torch, dtype), "it was measured"
    monkeypatch.setattr(backend, "faster_precision", lambda: choice)
    chosen = choose_backend(bundled_sam)
    assert (chosen.name, chosen.reason) == (f"fast {dtype}", "it was measured")


def test_a_precision_that_was_set_is_not_measured(
    bundled_sam: Sam, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(backend, "faster_precision")
    chosen = choose_backend(bundled_sam, "bfloat16")
    assert (chosen.name, chosen.reason) == ("fast bfloat16", "as set")


@pytest.mark.parametrize("answer", [False, AttributeError("gone"), RuntimeError("not built in")])
def test_bfloat16_is_not_tried_where_torch_does_not_support_it(
    monkeypatch: pytest.MonkeyPatch, answer: bool | Exception
) -> None:
    def is_supported() -> bool:
        if isinstance(answer, Exception):
            raise answer
        return answer

    monkeypatch.setattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", is_supported, raising=False)
    monkeypatch.setattr(fast_layers, "speedup", lambda *_: 9.0)
    dtype, reason = faster_precision()
    assert dtype == torch.float32
    assert "does not support bfloat16" in reason


@pytest.mark.parametrize(
    ("measured", "dtype"), [(4.0, torch.bfloat16), (1.4, torch.float32), (0.2, torch.float32)]
)
def test_bfloat16_is_used_only_if_a_measured_product_is_faster_by_a_margin(
    monkeypatch: pytest.MonkeyPatch, measured: float, dtype: torch.dtype
) -> None:
    monkeypatch.setattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", lambda: True, raising=False)
    monkeypatch.setattr(fast_layers, "speedup", lambda baseline, candidate: measured)
    chosen, reason = faster_precision()
    assert chosen == dtype
    assert f"{measured} times as fast" in reason


def test_bfloat16_is_not_used_if_its_products_are_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    def product(x: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
        return x @ weight.T + (x.dtype == torch.bfloat16) * 5

    monkeypatch.setattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", lambda: True, raising=False)
    monkeypatch.setattr(backend, "linear", product)
    monkeypatch.setattr(fast_layers, "speedup", lambda *_: 9.0)
    dtype, reason = faster_precision()
    assert dtype == torch.float32
    assert "wrong" in reason


def test_the_fast_and_the_plain_backend_give_the_same_embedding_of_a_photo(
    bundled_sam: Sam,
) -> None:
    """Includes normalisation and padding."""
    generator = torch.Generator().manual_seed(3)
    rgb = torch.rand(1, 3, 300, 1024, generator=generator) * 255
    expected = plain_backend(bundled_sam).encode(rgb)
    actual = choose_backend(bundled_sam, "float32").encode(rgb)
    assert float((actual - expected).norm() / expected.norm()) <= 1e-4
