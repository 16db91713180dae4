"""Both libraries give the same product, and the slower or absent one is never taken."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch

from mobilesam.model import matmul as product_module
from mobilesam.model.matmul import gain, onednn_pays, product


@pytest.fixture(autouse=True)
def _measured_afresh() -> Iterator[None]:
    onednn_pays.cache_clear()
    yield
    onednn_pays.cache_clear()


def tensors(*shapes: tuple[int, ...]) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(5)
    return [torch.randn(shape, generator=generator) for shape in shapes]


@pytest.mark.parametrize("pays", [True, False])
@pytest.mark.parametrize("shape", [(7, 256), (2, 4096, 256), (3, 2048, 4, 256), (0, 256)])
def test_the_product_is_that_of_numpy(
    monkeypatch: pytest.MonkeyPatch, shape: tuple[int, ...], pays: bool
) -> None:
    monkeypatch.setattr(product_module, "onednn_pays", lambda: pays)
    x, weight, bias = tensors(shape, (128, 256), (128,))
    expected = x.double().numpy() @ weight.double().numpy().T + bias.double().numpy()
    assert torch.allclose(product(x, weight, bias).double(), torch.from_numpy(expected), atol=1e-4)
    without = product(x, weight).double() + bias.double()
    assert torch.allclose(without, torch.from_numpy(expected), atol=1e-4)


def test_transposed_matrices_are_read_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(product_module, "onednn_pays", lambda: True)
    x, weight = tensors((256, 4096), (256, 56))
    expected = torch.from_numpy(x.double().numpy().T @ weight.double().numpy())
    assert torch.allclose(product(x.mT, weight.mT).double(), expected, atol=1e-4)


@pytest.mark.parametrize("error", [AttributeError("gone"), RuntimeError("not on this machine")])
def test_onednn_is_not_taken_where_it_is_not(
    monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def refuse(*_: object) -> torch.Tensor:
        raise error

    monkeypatch.setattr(product_module, "onednn_product", refuse)
    assert onednn_pays() is False
    x, weight = tensors((4096, 256), (256, 256))
    assert torch.equal(product(x, weight), torch.nn.functional.linear(x, weight))


@pytest.mark.parametrize(("gained", "pays"), [(2.0, True), (1.0, False)])
def test_onednn_is_taken_only_where_it_is_faster(
    monkeypatch: pytest.MonkeyPatch, gained: float, pays: bool
) -> None:
    linear = torch.nn.functional.linear
    monkeypatch.setattr(product_module, "onednn_product", linear)  # on machines without it too
    monkeypatch.setattr(product_module, "gain", lambda slow, fast: gained)
    assert onednn_pays() is pays


def test_onednn_is_not_taken_where_it_is_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        product_module, "onednn_product", lambda x, w, b=None: torch.nn.functional.linear(x, w) + 1
    )
    monkeypatch.setattr(product_module, "gain", lambda slow, fast: 9.0)
    assert onednn_pays() is False


def test_the_gain_is_the_slow_time_over_the_fast() -> None:
    assert gain(lambda: sum(range(200_000)), lambda: None) > 1
