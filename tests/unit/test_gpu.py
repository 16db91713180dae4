"""The model on a GPU; skipped elsewhere. Run it by `pytest --noconftest tests/unit/test_gpu.py`.

It needs no fixture of conftest.py, so that it also runs where browsers and Gradio are missing.
"""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from mobilesam import Prompt, Segmenter, Settings
from mobilesam.embedding import compute_embedding
from mobilesam.images import open_photo
from mobilesam.model.backend import ModelBackend, choose_backend, plain_backend
from mobilesam.model.graphs import CudaDevice, Graphs
from mobilesam.model.sam import load_sam
from mobilesam.model.weights import WEIGHTS_DIR, resolve_weights
from mobilesam.runtime import GpuThread

pytestmark = [
    pytest.mark.cuda,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="There is no GPU."),
]

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
DEVICE = torch.device("cuda")


@pytest.fixture(scope="module")
def chosen() -> ModelBackend:
    return choose_backend(load_sam(WEIGHTS_DIR, DEVICE))


@pytest.fixture(scope="module")
def plain() -> ModelBackend:
    """The reference on the GPU, in its own permanent thread."""
    return replace(plain_backend(load_sam(WEIGHTS_DIR, DEVICE)), threads=GpuThread())


@pytest.fixture
def segmenter(chosen: ModelBackend) -> Segmenter:
    return Segmenter(chosen, resolve_weights("bundled"), "gpu")


def street(height: int = 682, width: int = 1024) -> np.ndarray:
    return open_photo(EXAMPLES / "street.jpg").pixels[:height, :width]


def relative_error(actual: np.ndarray, expected: np.ndarray) -> float:
    return float(np.linalg.norm(actual - expected) / np.linalg.norm(expected))


def iou(one: np.ndarray, other: np.ndarray) -> float:
    return np.count_nonzero(one & other) / max(1, np.count_nonzero(one | other))


def test_the_fast_modules_are_chosen(chosen: ModelBackend) -> None:
    assert chosen.name == "fast float16"
    assert chosen.device.type == "cuda"


# A photo, a portrait, a square that is scaled up, and a strip.
@pytest.mark.parametrize("size_hw", [(682, 1024), (600, 350), (200, 200), (20, 1024)])
def test_embeddings_are_those_of_the_reference(
    chosen: ModelBackend, plain: ModelBackend, size_hw: tuple[int, int]
) -> None:
    photo = open_photo(street(*size_hw))
    actual, expected = (compute_embedding(one, photo, "").features for one in (chosen, plain))
    assert actual.dtype == torch.float32
    assert actual.device.type == "cuda"
    assert relative_error(actual.cpu().numpy(), expected.cpu().numpy()) <= 0.005


@pytest.mark.parametrize(
    "prompt",
    [
        Prompt([(500, 400)], [1]),
        Prompt([(500, 400), (100, 600)], [1, 0]),
        Prompt(box=(300, 200, 700, 600)),
        Prompt([(500, 400)], [1], (300, 200, 700, 600)),
        Prompt([(20 * n, 10 * n) for n in range(1, 30)], [1] * 29),
    ],
    ids=["a point", "two points", "a box", "a box and a point", "29 points"],
)
def test_masks_are_those_of_the_reference(
    segmenter: Segmenter, plain: ModelBackend, prompt: Prompt
) -> None:
    reference = Segmenter(plain, segmenter.weights, "plain")
    photo = street()
    for mask_input in (None, np.linspace(-8, 8, 65536, dtype=np.float32).reshape(1, 256, 256)):
        ours, theirs = (
            one.predict(one.encode(photo), prompt, mask_input) for one in (segmenter, reference)
        )
        assert ours.low_res_logits.dtype == np.float32
        assert relative_error(ours.low_res_logits, theirs.low_res_logits) <= 0.02
        np.testing.assert_allclose(ours.iou_predictions, theirs.iou_predictions, atol=0.01)
        assert iou(ours.mask(ours.best), theirs.mask(ours.best)) >= 0.98


def test_results_of_two_photos_and_two_clicks_share_no_memory(segmenter: Segmenter) -> None:
    first = segmenter.encode(street())
    kept = first.features.clone()
    click = segmenter.predict(first, Prompt([(500, 400)], [1]))
    logits = click.low_res_logits.copy()
    second = segmenter.encode(street()[:, ::-1])
    segmenter.predict(second, Prompt([(100, 100)], [1]))
    assert torch.equal(first.features, kept)
    np.testing.assert_array_equal(click.low_res_logits, logits)
    assert not torch.equal(second.features, kept)
    again = segmenter.predict(first, Prompt([(500, 400)], [1]))
    np.testing.assert_allclose(again.low_res_logits, logits, atol=1e-4)


def test_users_in_many_threads_get_the_answers_of_one_user(segmenter: Segmenter) -> None:
    photos = [np.roll(street(), 100 * shift, axis=1) for shift in range(4)]
    expected = [
        segmenter.predict(segmenter.encode(photo), Prompt([(500, 400)], [1])).low_res_logits
        for photo in photos
    ]
    together = threading.Barrier(8)
    fresh = Segmenter(segmenter.backend, segmenter.weights, "fresh", Settings(cache_bytes=1))

    def use(number: int) -> np.ndarray:
        together.wait(30)
        for _ in range(3):
            embedding = fresh.encode(photos[number % 4])
            answer = fresh.predict(embedding, Prompt([(500, 400)], [1]))
        return answer.low_res_logits

    with ThreadPoolExecutor(8) as pool:
        for number, logits in enumerate(pool.map(use, range(8))):
            np.testing.assert_allclose(logits, expected[number % 4], atol=1e-3)


def test_everything_finds_what_the_reference_finds(
    segmenter: Segmenter, plain: ModelBackend
) -> None:
    reference = Segmenter(plain, segmenter.weights, "plain")
    found, expected = (one.everything(one.encode(street()), 8) for one in (segmenter, reference))
    assert abs(len(found) - len(expected)) <= 2
    best = [max(iou(one.mask, other.mask) for other in expected) for one in found]
    assert np.mean(best) >= 0.95


def test_if_the_memory_is_full_the_cpu_encodes_and_later_the_gpu_again(
    segmenter: Segmenter, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = segmenter.backend.encode.__self__
    monkeypatch.setattr(model, "_graphs", Graphs(model._device))  # recordings need memory
    photo = open_photo(street())
    torch.cuda.empty_cache()
    torch.cuda.set_per_process_memory_fraction(1e-4)
    try:
        spared = compute_embedding(segmenter.backend, photo, "")
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
    assert spared.note.startswith("The GPU's memory was full")
    after = compute_embedding(segmenter.backend, photo, "")
    assert after.note == ""
    click = Prompt([(500, 400)], [1])
    one, other = (segmenter.predict(embedding, click) for embedding in (spared, after))
    assert iou(one.mask(one.best), other.mask(one.best)) >= 0.98


def test_beyond_the_limit_graphs_are_recorded_again() -> None:
    graphs = Graphs(CudaDevice(DEVICE), limit=2)
    for _ in range(2):
        for size in range(1, 5):
            x = torch.full((size,), float(size))
            (doubled,) = graphs.run("f", lambda x: (2 * x,), x)
            assert doubled.tolist() == [2 * size] * size
    assert len(graphs) == 2


def test_what_a_graph_cannot_record_is_called() -> None:
    graphs = Graphs(CudaDevice(DEVICE))

    def waits_for_the_cpu(x: torch.Tensor) -> tuple[torch.Tensor]:
        return (x[x > 1],)

    for _ in range(2):
        (kept,) = graphs.run("f", waits_for_the_cpu, torch.tensor([1.0, 2.0, 3.0]))
        assert kept.tolist() == [2, 3]
    (doubled,) = graphs.run("g", lambda x: (2 * x,), torch.ones(2))
    assert doubled.tolist() == [2, 2]
