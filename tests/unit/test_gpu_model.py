"""The model for GPUs, on the CPU: the same answers as the reference, in one thread."""

from __future__ import annotations

import logging
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
import torch
from segment_anything.modeling import Sam
from torch._subclasses import DynamicOutputShapeException, FakeTensorMode

from mobilesam import Prompt, Segmenter
from mobilesam.model.backend import ModelBackend, graphs_backend, plain_backend
from mobilesam.model.gpu import GpuModel, prompt_coords, prompt_tokens
from mobilesam.model.sam import build_sam
from mobilesam.runtime import GpuThread
from tests.graph_device import ReplayingCpu


@pytest.fixture(scope="module")
def device() -> ReplayingCpu:
    return ReplayingCpu()


@pytest.fixture(scope="module")
def model(bundled_sam: Sam, device: ReplayingCpu) -> ModelBackend:
    return graphs_backend(bundled_sam, torch.float32, device)


@pytest.fixture(scope="module")
def plain(bundled_sam: Sam) -> ModelBackend:
    return plain_backend(bundled_sam)


def noise(height: int, width: int) -> torch.Tensor:
    """(1, 3, height, width) uint8: soft patches of colour."""
    generator = torch.Generator().manual_seed(height + width)
    patches = torch.rand(1, 3, 2 + height // 50, 2 + width // 50, generator=generator)
    soft = torch.nn.functional.interpolate(patches, (height, width), mode="bilinear")
    return (255 * soft).to(torch.uint8)


def relative_error(actual: torch.Tensor, expected: torch.Tensor) -> float:
    return float((actual - expected).norm() / expected.norm())


@pytest.mark.parametrize("size_hw", [(683, 1024), (1024, 300), (1, 1024)])
def test_photos_of_every_shape_have_the_embedding_of_the_reference(
    model: ModelBackend, plain: ModelBackend, size_hw: tuple[int, int]
) -> None:
    pixels = noise(*size_hw)
    features = model.encode(pixels)
    assert features.dtype == torch.float32
    assert relative_error(features, plain.encode(pixels)) <= 1e-5


def test_all_photos_share_one_recording(model: ModelBackend, device: ReplayingCpu) -> None:
    recordings = device.recordings
    first = model.encode(noise(200, 1024))
    kept = first.clone()
    model.encode(noise(1024, 512))
    assert torch.equal(first, kept)
    assert device.recordings == recordings


def test_half_precision_is_close_to_the_reference(bundled_sam: Sam, plain: ModelBackend) -> None:
    half = graphs_backend(bundled_sam, torch.bfloat16, ReplayingCpu())
    pixels = noise(683, 1024)
    features = half.encode(pixels)
    assert features.dtype == torch.float32
    assert 1e-4 <= relative_error(features, plain.encode(pixels)) <= 0.03


def test_a_batch_has_the_embeddings_of_its_photos(model: ModelBackend) -> None:
    photos = torch.cat([noise(500, 1024), noise(500, 1024).flip(3)])
    features = model.encode(photos)
    assert features.shape == (2, 256, 64, 64)
    for photo, row in zip(photos, features, strict=True):
        assert relative_error(row, model.encode(photo[None])[0]) <= 1e-5


def test_a_photo_beyond_the_range_of_half_precision_is_encoded_exactly(
    bundled_sam: Sam, model: ModelBackend, monkeypatch: pytest.MonkeyPatch, caplog
) -> None:
    exact = torch.full((1, 256, 64, 64), 5.0)
    overflowing = GpuModel(bundled_sam, torch.float32, lambda _: exact, ReplayingCpu())
    assert not caplog.records
    monkeypatch.setattr(
        overflowing._encoder, "encode_squares", lambda x: torch.full((1, 256, 64, 64), torch.inf)
    )
    assert torch.equal(overflowing.encode(noise(500, 1024)), exact)
    assert [record.levelno for record in caplog.records] == [logging.WARNING]


POINTS = torch.tensor([[[10.0, 20.0], [700.5, 300.0], [0.0, 1023.0]]])
LABELS = torch.tensor([[1, 0, 1]])
BOXES = torch.tensor([[100.0, 120.0, 700.0, 500.0]])
PROMPTS = {
    "points": (POINTS, LABELS, None),
    "a box": (None, None, BOXES),
    "a box and points": (POINTS, LABELS, BOXES),
    "five prompts": (POINTS.expand(5, -1, -1), LABELS.expand(5, -1), None),
}


@pytest.mark.parametrize("prompts", PROMPTS.values(), ids=PROMPTS)
@pytest.mark.parametrize("with_mask", [False, True])
@pytest.mark.parametrize("multimask_output", [False, True])
def test_prompts_have_the_masks_of_the_reference(
    model: ModelBackend, plain: ModelBackend, prompts, with_mask: bool, multimask_output: bool
) -> None:
    points, labels, boxes = prompts
    generator = torch.Generator().manual_seed(2)
    features = 0.3 * torch.randn(1, 256, 64, 64, generator=generator)
    count = len(boxes if points is None else points)
    masks = 4 * torch.randn(count, 1, 256, 256, generator=generator) if with_mask else None
    given = features, points if points is None else (points, labels), boxes, masks, multimask_output
    logits, ious = model.decode(*given)
    expected_logits, expected_ious = plain.decode(*given)
    assert logits.shape == (count, 3 if multimask_output else 1, 256, 256)
    assert relative_error(logits, expected_logits) <= 1e-5
    assert torch.allclose(ious, expected_ious, atol=1e-5)


@pytest.mark.parametrize("prompts", PROMPTS.values(), ids=PROMPTS)
def test_prompt_tokens_are_those_of_sam(stub_sam: Sam, prompts) -> None:
    points, labels, boxes = prompts
    points = None if points is None else (points, labels)
    encoder = stub_sam.prompt_encoder
    expected, _ = encoder(points, boxes, None)
    actual = prompt_tokens(encoder, *prompt_coords(points, boxes))
    torch.testing.assert_close(actual, expected, atol=1e-5, rtol=0)


def moved(module: torch.nn.Module, device: str) -> torch.nn.Module:
    """The same module with unset weights elsewhere, as `to` cannot do within FakeTensorMode."""
    for part in module.modules():
        part.training = False
        for name, tensor in part._buffers.items():
            part._buffers[name] = torch.empty_like(tensor, device=device)
        for name, tensor in part._parameters.items():
            if tensor is not None:
                part._parameters[name] = torch.nn.Parameter(
                    torch.empty_like(tensor, device=device), requires_grad=False
                )
    return module


@pytest.mark.slow
def test_nothing_leaves_the_gpu_or_waits_for_it_while_a_graph_is_recorded(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """With torch's tensors without data: they refuse mixed devices and to be looked at."""
    device = ReplayingCpu()
    monkeypatch.setattr(device, "device", torch.device("cuda:0"))
    monkeypatch.setattr(GpuModel, "_warm_up", lambda _: None)
    sam = build_sam().train()
    with FakeTensorMode(allow_non_fake_inputs=True):
        model = GpuModel(moved(sam, "cuda:0"), torch.float16, torch.zeros_like, device)
        squares = torch.empty(1, 1024, 1024, 3, dtype=torch.uint8)
        features, _ = model._run("encoder", model._encode, squares, torch.ones(1, 2))
        for masks in (None, torch.zeros(1, 1, 256, 256)):
            points = torch.zeros(1, 3, 2), torch.ones(1, 3, dtype=torch.int64)
            logits, _ = model.decode(features, points, torch.zeros(1, 4), masks, True)
        with pytest.raises(DynamicOutputShapeException):
            model._graphs.run("a selection", lambda x: (x[x > 0],), features)
    assert features.dtype == torch.float32
    assert logits.device == torch.device("cuda:0")
    assert device.recordings == 4


def test_batches_of_prompts_are_not_recorded(model: ModelBackend, device: ReplayingCpu) -> None:
    recordings = device.recordings
    features = torch.zeros(1, 256, 64, 64)
    points = POINTS.expand(7, -1, -1), LABELS.expand(7, -1)
    model.decode(features, points, None, None, True)
    assert device.recordings == recordings


def test_everything_runs_in_the_thread_of_the_gpu(
    model: ModelBackend, device: ReplayingCpu, stub_weights, draw_disc
) -> None:
    thread = GpuThread()
    gpu = thread.click(threading.current_thread)
    segmenter = Segmenter(replace(model, threads=thread), stub_weights, "gpu")
    device.threads.clear()

    def use(seed: int) -> np.ndarray:
        embedding = segmenter.encode(draw_disc(seed))
        return segmenter.predict(embedding, Prompt([(90, 60)], [1])).low_res_logits

    with ThreadPoolExecutor(2) as pool:
        one, other = pool.map(use, range(2))
    segmenter.everything(segmenter.encode(draw_disc(0)), 1)
    assert device.threads == {gpu}
    assert np.abs(one - other).max() > 1e-3
    np.testing.assert_array_equal(use(0), one)
