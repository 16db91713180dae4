"""The browser's decoder against the server's, on the same weights and embeddings."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch
from segment_anything.modeling import Sam

from mobilesam import ImageEmbedding, Prediction, Prompt, Segmenter, WeightsError
from mobilesam.browser_decoder import decoder_weights, embedding_bytes
from mobilesam.browser_decoder.build import BUILT, build
from mobilesam.frame import Frame
from mobilesam.model.backend import ModelBackend, plain_backend
from mobilesam.model.fast_decoder import FastDecoder
from mobilesam.model.sam import build_sam
from mobilesam.predict import predict_masks
from mobilesam.prompts import MAX_POINTS
from tests.browser_decoder import PLAIN, RELAXED, BrowserDecoder, model_prompt

EXAMPLES = BUILT.parents[3] / "examples"
PHOTOS = ["street.jpg", "dog.jpg", "person.jpg", "cell.png", "cat.jpg"]
RNG = np.random.default_rng(3)


@dataclass(frozen=True)
class Case:
    """A kind of prompt; coordinates are shares of the photo's sides."""

    points: tuple[tuple[float, float], ...] = ()
    labels: tuple[int, ...] = ()
    box: tuple[float, float, float, float] | None = None
    has_mask_input: bool = False

    def prompt(self, size_hw: tuple[int, int]) -> Prompt:
        height, width = size_hw
        points = [(x * width, y * height) for x, y in self.points]
        box = self.box and tuple(np.multiply(self.box, [width, height, width, height]).tolist())
        return Prompt(points, list(self.labels), box)


MANY = tuple(map(tuple, RNG.uniform(0.05, 0.95, (MAX_POINTS, 2)).tolist()))
CASES = {
    "a point": Case(((0.45, 0.55),), (1,)),
    "two points": Case(((0.3, 0.6), (0.7, 0.4)), (1, 1)),
    "a negative point": Case(((0.5, 0.5), (0.2, 0.25)), (1, 0)),
    "a box": Case(box=(0.3, 0.2, 0.75, 0.85)),
    "a box and points": Case(((0.5, 0.5), (0.35, 0.3)), (1, 0), (0.3, 0.2, 0.75, 0.85)),
    "a point and mask_input": Case(((0.6, 0.4),), (1,), has_mask_input=True),
}


def with_features(embedding: ImageEmbedding, features: torch.Tensor) -> ImageEmbedding:
    """An embedding with exactly these features, which are not rounded to 16 bits."""
    return replace(embedding, codes=features, scales=torch.ones(1))


def differences(
    logits: np.ndarray, ious: np.ndarray, expected: Prediction, multimask_output: bool
) -> dict[str, float]:
    """How far the browser's masks are from a prediction of the server's."""
    chosen = slice(1, 4) if multimask_output else slice(0, 1)
    actual = replace(expected, low_res_logits=logits[chosen], iou_predictions=ious[chosen])
    assert actual.low_res_logits.shape == expected.low_res_logits.shape
    return {
        "logits": np.abs(actual.low_res_logits - expected.low_res_logits).max(),
        "ious": np.abs(actual.iou_predictions - expected.iou_predictions).max(),
        "pixels": (actual.masks != expected.masks).sum((1, 2)).max(),
        "candidate": abs(actual.best - expected.best),
    }


@pytest.fixture(scope="module")
def decoder(bundled: Segmenter) -> BrowserDecoder:
    """With the bundled weights, in the build that current browsers use."""
    decoder = BrowserDecoder(RELAXED)
    assert decoder.load("weights", decoder_weights(bundled.backend))
    return decoder


@pytest.mark.slow
@pytest.mark.parametrize("photo", PHOTOS)
@pytest.mark.parametrize("case", CASES.values(), ids=list(CASES))
def test_the_browser_gives_the_masks_of_the_server(bundled, decoder, case, photo, tell):
    embedding = bundled.encode(EXAMPLES / photo)
    rounded = with_features(embedding, embedding.features.half().float())
    prompt = case.prompt(embedding.original_size)
    mask_input = None
    if case.has_mask_input:
        first_prompt = CASES["a point"].prompt(embedding.original_size)
        first = predict_masks(bundled.backend, rounded, first_prompt)
        mask_input = first.low_res_logits[:1]
    assert decoder.load("photo", embedding_bytes(embedding))
    logits, ious = decoder.predict(*model_prompt(prompt, embedding.frame), mask_input)
    for multimask_output in (True, False):
        # The last one is the number of pixels by which a mask may differ at the photo's size.
        for what, tolerance, pixels in ((rounded, 1e-3, 10), (embedding, 1e-2, 60)):
            expected = predict_masks(bundled.backend, what, prompt, mask_input, multimask_output)
            found = differences(logits, ious, expected, multimask_output)
            tell(f"{photo} {multimask_output} {tolerance}: {found}")
            assert found["logits"] <= tolerance
            assert found["ious"] <= tolerance / 10
            assert found["pixels"] <= pixels
            assert found["candidate"] == 0


# Random weights and embeddings: without an encoder, so these tests are quick.


@pytest.fixture(scope="module")
def sam() -> Sam:
    """Random weights that float16 holds, but for the frequencies of the positional encoding."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(5)
        sam = build_sam().eval().requires_grad_(False)
        for parameter in sam.parameters():  # norms and biases that differ from their defaults
            parameter.add_(0.02 * torch.randn(parameter.shape)).copy_(parameter.half())
    return sam


@pytest.fixture(scope="module")
def random_embedding() -> ImageEmbedding:
    generator = torch.Generator().manual_seed(11)
    features = (0.3 * torch.randn(1, 256, 64, 64, generator=generator)).half().float()
    return with_features(
        ImageEmbedding.of(features, Frame.of((400, 600), 1024, None), "random"), features
    )


@pytest.fixture(scope="module")
def random_decoders(sam: Sam, random_embedding: ImageEmbedding) -> list[BrowserDecoder]:
    """Both builds."""
    decoders = [BrowserDecoder(PLAIN), BrowserDecoder(RELAXED)]
    for decoder in decoders:
        assert decoder.load("weights", decoder_weights(plain_backend(sam)))
        assert decoder.load("photo", embedding_bytes(random_embedding))
    return decoders


@pytest.mark.slow
@pytest.mark.parametrize(
    "case",
    [*CASES.values(), Case(MANY, (1, 0) * (MAX_POINTS // 2), (0.2, 0.2, 0.6, 0.7), True)],
    ids=[*CASES, "as many points as a prompt can have"],
)
def test_both_builds_give_the_logits_of_segment_anything(
    sam, random_decoders, random_embedding, case
):
    prompt = case.prompt(random_embedding.original_size)
    mask_input = None
    if case.has_mask_input:
        mask_input = 4 * np.random.default_rng(2).standard_normal((1, 256, 256), np.float32)
    coords, labels = model_prompt(prompt, random_embedding.frame)
    results = [decoder.predict(coords, labels, mask_input) for decoder in random_decoders]
    for multimask_output in (True, False):
        expected = predict_masks(
            plain_backend(sam), random_embedding, prompt, mask_input, multimask_output
        )
        scale = np.abs(expected.low_res_logits).max()
        for logits, ious in results:
            found = differences(logits, ious, expected, multimask_output)
            assert found["logits"] <= 1e-4 * scale
            assert found["ious"] <= 1e-5


def test_a_mask_input_is_forgotten_with_the_next_prompt(random_decoders):
    random_decoder = random_decoders[0]
    coords, labels = [[300.0, 200.0]], [1]
    before, _ = random_decoder.predict(coords, labels)
    with_mask, _ = random_decoder.predict(coords, labels, np.full((1, 256, 256), 5, np.float32))
    after, _ = random_decoder.predict(coords, labels)
    assert np.abs(with_mask - before).max() > 1e-3
    assert np.array_equal(after, before)


def fast_decoding(sam: Sam) -> ModelBackend:
    return replace(plain_backend(sam), mask_decoder=FastDecoder(sam.mask_decoder))


def test_the_plain_and_the_fast_modules_have_the_same_weights_for_the_browser(sam):
    assert decoder_weights(plain_backend(sam)) == decoder_weights(fast_decoding(sam))


def test_the_decoder_knows_the_size_of_the_weights_and_of_an_embedding(
    sam, random_decoders, random_embedding
):
    random_decoder = random_decoders[0]
    assert 2 * random_decoder.call("weight_values") == len(decoder_weights(plain_backend(sam)))
    assert 2 * random_decoder.call("embedding_values") == len(embedding_bytes(random_embedding))
    assert random_decoder.call("max_points") == MAX_POINTS + 2


def test_an_embedding_is_little_endian_float16_with_the_channels_last(random_embedding):
    values = np.frombuffer(embedding_bytes(random_embedding), "<f2").reshape(64, 64, 256)
    assert values[3, 5, 7] == random_embedding.features[0, 7, 3, 5].item()


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), 1e6])
def test_values_that_float16_cannot_hold_are_refused(sam, random_embedding, bad):
    features = random_embedding.features.clone()
    features[0, 7, 3, 5] = bad
    with pytest.raises(WeightsError, match=r"embedding .* not finite"):
        embedding_bytes(with_features(random_embedding, features))
    backend = fast_decoding(sam)
    backend.mask_decoder.own_tokens[2, 9] = bad  # a copy of the model's
    with pytest.raises(WeightsError, match=r"weights .* not finite"):
        decoder_weights(backend)


@pytest.mark.parametrize("half", [0x7E00, 0x7C00, 0xFC00], ids=["nan", "inf", "-inf"])
@pytest.mark.parametrize("what", ["weights", "photo"])
def test_the_decoder_refuses_values_that_are_not_finite(half, what):
    decoder = BrowserDecoder(PLAIN)
    size = decoder.call("weight_values" if what == "weights" else "embedding_values")
    values = np.zeros(size, np.uint16)
    assert decoder.load(what, values.tobytes())
    values[-1] = half
    assert not decoder.load(what, values.tobytes())


def test_the_decoder_needs_no_imports_and_its_memory_does_not_grow():
    decoder = BrowserDecoder(PLAIN)  # which imports nothing
    before = decoder._exports["memory"].size(decoder._store)
    decoder.predict([[1.0, 2.0]], [1])
    assert decoder._exports["memory"].size(decoder._store) == before


@pytest.mark.slow
@pytest.mark.skipif(
    importlib.util.find_spec("ziglang") is None, reason="The compiler, ziglang, is not installed."
)
def test_the_committed_builds_are_those_of_the_source(tmp_path, monkeypatch):
    monkeypatch.setenv("ZIG_GLOBAL_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("ZIG_LOCAL_CACHE_DIR", str(tmp_path / "cache"))
    build(tmp_path)
    for name in (PLAIN, RELAXED):
        message = f"{name} is not built from the present source: run `make decoder`."
        assert (tmp_path / name).read_bytes() == (BUILT / name).read_bytes(), message
