"""Which modules are chosen: by the device, the encoder and the CPU."""

from __future__ import annotations

import threading
from collections.abc import Callable
from types import SimpleNamespace

import pytest
import torch
from segment_anything.modeling import Sam

from mobilesam import MobileSamError
from mobilesam.model import backend, fast_layers
from mobilesam.model.backend import bfloat16_is_faster, choose_backend, plain_backend
from mobilesam.model.fast_decoder import FastDecoder
from mobilesam.runtime import GpuThread
from mobilesam.settings import Precision


def always(answer: bool) -> Callable[[], bool]:
    return lambda: answer


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
    ("precision", "name"),
    [
        ("auto", "fast float16, CUDA graphs"),
        ("bfloat16", "fast bfloat16, CUDA graphs"),
        ("float32", "fast float32, CUDA graphs"),
    ],
)
def test_the_fast_modules_run_on_a_gpu_in_its_thread(
    bundled_sam: Sam, monkeypatch: pytest.MonkeyPatch, precision: Precision, name: str
) -> None:
    built_in = []

    class Model(SimpleNamespace):
        def __init__(self, *_: object) -> None:
            built_in.append(threading.current_thread())
            super().__init__(encode=None, decode=None)

    monkeypatch.setattr(backend, "GpuModel", Model)
    chosen = choose_backend(SamElsewhere(bundled_sam, "cuda"), precision)
    assert chosen.name == name
    assert chosen.threads.click(threading.current_thread) is built_in[0]


def test_float16_is_refused_on_a_cpu(bundled_sam: Sam) -> None:
    with pytest.raises(MobileSamError, match="MOBILESAM_PRECISION"):
        choose_backend(bundled_sam, "float16")


def test_auto_precision_is_bfloat16_only_if_it_is_faster(
    bundled_sam: Sam, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backend, "bfloat16_is_faster", always(True))
    assert choose_backend(bundled_sam).name == "fast bfloat16"
    monkeypatch.setattr(backend, "bfloat16_is_faster", always(False))
    assert choose_backend(bundled_sam).name == "fast float32"


def test_bfloat16_is_not_faster_without_amx(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", always(False), raising=False)
    assert bfloat16_is_faster() is False


def test_bfloat16_is_not_used_if_torch_cannot_detect_amx(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(torch.cpu, "_is_amx_tile_supported", raising=False)
    assert bfloat16_is_faster() is False


@pytest.mark.parametrize(("measured", "is_faster"), [(4.0, True), (1.0, False)])
def test_bfloat16_is_used_only_if_a_measured_product_is_faster(
    monkeypatch: pytest.MonkeyPatch, measured: float, is_faster: bool
) -> None:
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", always(True), raising=False)
    monkeypatch.setattr(fast_layers, "speedup", lambda baseline, candidate: measured)
    assert bfloat16_is_faster() is is_faster


def test_the_fast_and_the_plain_backend_give_the_same_embedding_of_a_photo(
    bundled_sam: Sam,
) -> None:
    """Includes normalisation and padding."""
    generator = torch.Generator().manual_seed(3)
    rgb = torch.rand(1, 3, 300, 1024, generator=generator) * 255
    expected = plain_backend(bundled_sam).encode(rgb)
    actual = choose_backend(bundled_sam, "float32").encode(rgb)
    assert float((actual - expected).norm() / expected.norm()) <= 1e-4
