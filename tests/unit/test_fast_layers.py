"""Both libraries compute the same linear operation, and oneDNN is used only where it helps."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from torch.nn import functional as F  # noqa: N812

from mobilesam.model import fast_layers
from mobilesam.model.fast_layers import linear, onednn_is_faster, speedup


@pytest.fixture(autouse=True)
def _empty_cache() -> Iterator[None]:
    onednn_is_faster.cache_clear()
    yield
    onednn_is_faster.cache_clear()


def tensors(*shapes: tuple[int, ...]) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(5)
    return [torch.randn(shape, generator=generator) for shape in shapes]


@pytest.mark.parametrize("use_onednn", [True, False])
@pytest.mark.parametrize("shape", [(7, 256), (2, 4096, 256), (3, 2048, 4, 256), (0, 256)])
def test_linear_equals_numpy(
    monkeypatch: pytest.MonkeyPatch, shape: tuple[int, ...], use_onednn: bool
) -> None:
    monkeypatch.setattr(fast_layers, "onednn_is_faster", lambda: use_onednn)
    x, weight, bias = tensors(shape, (128, 256), (128,))
    expected = x.double().numpy() @ weight.double().numpy().T + bias.double().numpy()
    assert torch.allclose(linear(x, weight, bias).double(), torch.from_numpy(expected), atol=1e-4)
    without_bias = linear(x, weight).double() + bias.double()
    assert torch.allclose(without_bias, torch.from_numpy(expected), atol=1e-4)


def test_transposed_matrices_are_supported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fast_layers, "onednn_is_faster", lambda: True)
    x, weight = tensors((256, 4096), (256, 56))
    expected = torch.from_numpy(x.double().numpy().T @ weight.double().numpy())
    assert torch.allclose(linear(x.mT, weight.mT).double(), expected, atol=1e-4)


@pytest.mark.parametrize("error", [AttributeError("gone"), RuntimeError("not on this machine")])
def test_onednn_is_not_used_if_it_is_unavailable(
    monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def refuse(*_: object) -> torch.Tensor:
        raise error

    monkeypatch.setattr(fast_layers, "onednn_linear", refuse)
    assert onednn_is_faster() is False
    x, weight = tensors((4096, 256), (256, 256))
    assert torch.equal(linear(x, weight), F.linear(x, weight))


@pytest.mark.parametrize(("measured", "is_faster"), [(2.0, True), (1.0, False)])
def test_onednn_is_used_only_if_it_is_measured_to_be_faster(
    monkeypatch: pytest.MonkeyPatch, measured: float, is_faster: bool
) -> None:
    monkeypatch.setattr(fast_layers, "onednn_linear", F.linear)  # on machines without oneDNN too
    monkeypatch.setattr(fast_layers, "speedup", lambda baseline, candidate: measured)
    assert onednn_is_faster() is is_faster


def test_onednn_is_not_used_if_its_result_is_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fast_layers, "onednn_linear", lambda x, w, b=None: F.linear(x, w) + 1)
    monkeypatch.setattr(fast_layers, "speedup", lambda baseline, candidate: 9.0)
    assert onednn_is_faster() is False


def test_speedup_is_the_ratio_of_the_run_times() -> None:
    assert speedup(lambda: sum(range(200_000)), lambda: None) > 1
