"""The facade: one encode for each photo, where it decodes, errors, and CPU budgets."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

import mobilesam
from mobilesam import ImageError, MobileSamError, Prompt, PromptError, Segmenter, Settings
from mobilesam import segmenter as segmenter_module
from mobilesam.interactions import AddPoint, SetBox
from mobilesam.model.backend import plain_backend

CENTRE = Prompt([(90, 60)], [1])
EMBEDDING_BYTES = 256 * (64 * 64 * 2 + 4)


@pytest.mark.slow
def test_a_photo_is_encoded_once_for_all_clicks_boxes_and_undos(segmenter, stub_sam, disc):
    log = [AddPoint(10 + 8 * number, 60, 1) for number in range(8)]
    log += [SetBox((number, number, 100, 100)) for number in range(3)]
    for length in [*range(1, len(log) + 1), len(log) - 1, len(log) - 2]:
        segmenter.answer(segmenter.encode(disc), tuple(log[:length]))
    assert stub_sam.image_encoder.calls == 1
    assert stub_sam.mask_decoder.calls == len(log)


@pytest.mark.slow
def test_users_who_open_the_same_photo_at_once_share_one_encode(segmenter, stub_sam, disc):
    barrier = threading.Barrier(2)

    def use(seed: int) -> np.ndarray:
        random = np.random.default_rng(seed)
        barrier.wait(10)
        for _ in range(5):
            x, y = random.uniform([0, 0], [180, 120])
            segmenter.predict(segmenter.encode(disc.copy()), Prompt([(x, y)], [1]))
        return segmenter.predict(segmenter.encode(disc), CENTRE).low_res_logits

    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(use, range(2))
    assert stub_sam.image_encoder.calls == 1
    np.testing.assert_allclose(first, second, atol=1e-5)


def test_the_same_photo_from_a_path_a_pil_image_or_an_array_is_encoded_once(
    segmenter, stub_sam, disc, tmp_path
):
    Image.fromarray(disc).save(tmp_path / "disc.png")
    Image.fromarray(disc).save(tmp_path / "disc.bmp")
    sources = [tmp_path / "disc.png", str(tmp_path / "disc.bmp"), Image.fromarray(disc), disc]
    assert len({segmenter.encode(source).key for source in sources}) == 1
    assert stub_sam.image_encoder.calls == 1
    assert segmenter.cache_info() == (3, 1, 1, EMBEDDING_BYTES)


def test_different_photos_are_encoded_apart(segmenter, stub_sam, draw_disc):
    first, second = segmenter.encode(draw_disc(0)), segmenter.encode(draw_disc(1))
    assert first.key != second.key
    assert not first.features.equal(second.features)
    assert stub_sam.image_encoder.calls == 2


def test_the_key_of_an_embedding_names_the_checkpoint_too(segmenter, stub_sam, stub_weights, disc):
    other = Segmenter(plain_backend(stub_sam), stub_weights, checkpoint="another")
    same = Segmenter(plain_backend(stub_sam), stub_weights, checkpoint="stub")
    assert segmenter.encode(disc).key != other.encode(disc).key
    assert segmenter.encode(disc).key == same.encode(disc).key


def test_an_evicted_photo_is_encoded_again(stub_sam, stub_weights, draw_disc):
    room_for_two = Settings(cache_bytes=2 * EMBEDDING_BYTES)
    segmenter = Segmenter(
        plain_backend(stub_sam), stub_weights, checkpoint="stub", settings=room_for_two
    )
    keys = [segmenter.encode(draw_disc(seed)).key for seed in (0, 1, 2)]
    assert [segmenter.cached(key) is not None for key in keys] == [False, True, True]
    assert segmenter.encode(draw_disc(2)).key == keys[2]
    assert stub_sam.image_encoder.calls == 3
    assert segmenter.encode(draw_disc(0)).key == keys[0]
    assert stub_sam.image_encoder.calls == 4
    assert segmenter.cache_info().bytes == 2 * EMBEDDING_BYTES


def test_a_photo_that_fails_leaves_the_segmenter_working(segmenter, stub_sam, disc, monkeypatch):
    def fail(pixels):
        raise RuntimeError("out of memory")

    with monkeypatch.context() as patch:
        patch.setattr(stub_sam.image_encoder.module, "forward", fail)
        with pytest.raises(RuntimeError, match="memory"):
            segmenter.encode(disc)
    assert segmenter.encode(disc).features.shape == (1, 256, 64, 64)


@pytest.fixture
def slow_encodes(stub_sam, monkeypatch):
    """Encodes that have begun wait for `release`."""
    forward, encodes = stub_sam.image_encoder.module.forward, SimpleNamespace()
    encodes.begun, encodes.release = threading.Event(), threading.Event()
    encodes.errors = []

    def wait(pixels):
        encodes.begun.set()
        assert encodes.release.wait(10)
        if encodes.errors:
            raise encodes.errors.pop()
        return forward(pixels)

    monkeypatch.setattr(stub_sam.image_encoder.module, "forward", wait)
    return encodes


def test_a_cached_photo_does_not_wait_for_the_encode_of_another(segmenter, slow_encodes, draw_disc):
    slow_encodes.release.set()
    cached = segmenter.encode(draw_disc(0))
    slow_encodes.begun.clear()
    slow_encodes.release.clear()
    with ThreadPoolExecutor(1) as pool:
        other = pool.submit(segmenter.encode, draw_disc(1))
        assert slow_encodes.begun.wait(10)
        assert segmenter.encode(draw_disc(0)) is cached
        assert not other.done()
        slow_encodes.release.set()
        assert other.result(10).key != cached.key


def test_after_an_encode_that_fails_the_next_user_encodes_the_photo(
    segmenter, stub_sam, slow_encodes, disc
):
    slow_encodes.errors = [RuntimeError("out of memory")]
    photo = segmenter.open(disc)
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(segmenter.encode_photo, photo)
        assert slow_encodes.begun.wait(10)
        second = pool.submit(segmenter.encode_photo, photo)
        slow_encodes.release.set()
        with pytest.raises(RuntimeError, match="memory"):
            first.result(10)
        embedding, was_cached = second.result(10)
    assert not was_cached
    assert stub_sam.image_encoder.calls == 2
    assert segmenter.encode_photo(photo) == (embedding, True)


def out_of_memory(_pixels):
    """Raises what torch does when a GPU's memory is full."""
    raise torch.OutOfMemoryError("CUDA out of memory.")


def test_if_the_gpus_memory_is_full_the_cpu_encodes(stub_sam, stub_weights, disc, caplog):
    backend = plain_backend(stub_sam)
    full = replace(backend, encode=out_of_memory, encode_on_cpu=backend.encode)
    segmenter = Segmenter(full, stub_weights, checkpoint="stub")
    embedding = segmenter.encode(disc)
    assert embedding.note == "The GPU's memory was full, so this photo was encoded on the CPU."
    assert [record.message for record in caplog.records] == [embedding.note]
    expected = Segmenter(backend, stub_weights, checkpoint="stub").encode(disc)
    assert embedding.features.equal(expected.features)
    assert segmenter.encode(disc) is embedding


def test_a_backend_without_a_reserve_says_that_memory_is_full(stub_sam, stub_weights, disc):
    full = replace(plain_backend(stub_sam), encode=out_of_memory)
    with pytest.raises(torch.OutOfMemoryError):
        Segmenter(full, stub_weights, checkpoint="stub").encode(disc)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("prompt", "candidates"),
    [
        (CENTRE, 3),
        (Prompt([(90, 60)], [0]), 3),
        (Prompt([(90, 60), (20, 20)], [1, 0]), 1),
        (Prompt(box=(60, 30, 120, 90)), 1),
        (Prompt([(90, 60)], [1], (60, 30, 120, 90)), 1),
    ],
)
def test_only_a_single_point_gets_three_candidates_unless_asked_otherwise(
    segmenter, disc, prompt, candidates
):
    embedding = segmenter.encode(disc)
    assert len(segmenter.predict(embedding, prompt).masks) == candidates
    assert len(segmenter.predict(embedding, prompt, multimask_output=True).masks) == 3
    assert len(segmenter.predict(embedding, prompt, multimask_output=False).masks) == 1


@pytest.mark.slow
@pytest.mark.parametrize("size_hw", [(120, 180), (180, 120), (2000, 700), (1, 300), (7, 5)])
def test_a_prediction_is_at_the_photos_own_size(segmenter, draw_disc, size_hw):
    embedding = segmenter.encode(draw_disc(size_hw=size_hw))
    height, width = size_hw
    prediction = segmenter.predict(embedding, Prompt([(width / 2, height / 2)], [1]))
    assert embedding.original_size == size_hw
    assert max(embedding.input_size) == 1024
    assert prediction.masks.shape == (3, *size_hw)
    assert prediction.masks.dtype == bool
    assert prediction.iou_predictions.shape == (3,)
    assert prediction.low_res_logits.shape == (3, 256, 256)
    assert prediction.low_res_logits.dtype == prediction.iou_predictions.dtype == np.float32
    assert prediction.iou_predictions[prediction.best] == prediction.iou_predictions.max()


def test_a_prediction_depends_on_the_call_alone(segmenter, disc):
    embedding = segmenter.encode(disc)
    before = segmenter.predict(embedding, CENTRE)
    segmenter.predict(embedding, Prompt([(5, 5)], [0]), before.low_res_logits[:1])
    after = segmenter.predict(embedding, CENTRE)
    np.testing.assert_allclose(after.low_res_logits, before.low_res_logits, atol=1e-5)


def test_a_mask_input_changes_the_answer(segmenter, disc):
    embedding = segmenter.encode(disc)
    alone = segmenter.predict(embedding, CENTRE, multimask_output=False)
    refined = segmenter.predict(embedding, CENTRE, alone.low_res_logits, multimask_output=False)
    assert np.abs(alone.low_res_logits - refined.low_res_logits).max() > 1e-3


@pytest.mark.parametrize(
    "mask_input",
    [
        np.zeros((256, 256), np.float32),
        np.zeros((3, 256, 256), np.float32),
        np.zeros((1, 120, 180), np.float32),
        np.zeros((1, 256, 256), bool),
        np.zeros((1, 256, 256), np.uint8),
        np.full((1, 256, 256), np.nan, np.float32),
        np.full((1, 256, 256), np.inf, np.float32),
        "logits",
    ],
    ids=lambda value: f"{np.shape(value)} {np.asarray(value).dtype} {np.asarray(value).flat[0]}",
)
def test_a_mask_input_of_another_kind_is_refused(segmenter, disc, mask_input):
    with pytest.raises(PromptError, match="mask_input"):
        segmenter.predict(segmenter.encode(disc), CENTRE, mask_input)


def test_a_mask_input_in_double_precision_is_accepted(segmenter, disc):
    embedding = segmenter.encode(disc)
    logits = segmenter.predict(embedding, CENTRE).low_res_logits[:1]
    single, double = (
        segmenter.predict(embedding, CENTRE, mask_input)
        for mask_input in (logits, logits.astype(np.float64))
    )
    np.testing.assert_allclose(single.low_res_logits, double.low_res_logits, atol=1e-5)


def test_whatever_cannot_be_used_raises_a_mobile_sam_error(segmenter, disc, tmp_path):
    embedding = segmenter.encode(disc)
    with pytest.raises(ImageError):
        segmenter.encode(tmp_path / "missing.jpg")
    with pytest.raises(PromptError):
        segmenter.predict(embedding, Prompt())
    with pytest.raises(PromptError):
        segmenter.predict(embedding, Prompt([(181, 60)], [1]))
    with pytest.raises(PromptError):
        segmenter.answer(embedding, ())
    with pytest.raises(PromptError):
        segmenter.everything(embedding, points_per_side=0)
    with pytest.raises(MobileSamError, match="device"):
        Segmenter.from_weights("bundled", device="no such device")
    for error in (ImageError, PromptError, mobilesam.WeightsError):
        assert issubclass(error, MobileSamError)


def test_the_limits_of_the_settings_hold_for_encode(stub_sam, stub_weights, disc):
    settings = Settings(limits=mobilesam.ImageLimits(max_pixels=100))
    segmenter = Segmenter(
        plain_backend(stub_sam), stub_weights, checkpoint="stub", settings=settings
    )
    with pytest.raises(ImageError, match="megapixels"):
        segmenter.encode(disc)


def test_the_weights_variable_decides_where_no_weights_are_named(monkeypatch, tmp_path):
    monkeypatch.setenv("MOBILESAM_WEIGHTS", str(tmp_path / "missing.pt"))
    with pytest.raises(mobilesam.WeightsError, match=r"missing\.pt"):
        Segmenter.from_weights()


def test_the_bundled_weights_say_what_they_are(bundled):
    assert bundled.weights.kind == "bundled"
    assert bundled.weights.reason


def test_users_decode_in_their_own_threads_and_a_photo_is_encoded_in_one_that_ends(
    segmenter, stub_sam, disc, monkeypatch
):
    decoded_in, encoded_in = set(), []
    predict, encode = segmenter_module.predict_masks, stub_sam.image_encoder.module.forward

    def noted_predict(*args):
        decoded_in.add(threading.current_thread())
        return predict(*args)

    def noted_encode(pixels):
        encoded_in.append(threading.current_thread())
        return encode(pixels)

    monkeypatch.setattr(segmenter_module, "predict_masks", noted_predict)
    monkeypatch.setattr(stub_sam.image_encoder.module, "forward", noted_encode)

    def use():
        segmenter.predict(segmenter.encode(disc), Prompt([(20, 20)], [1]))

    users = [threading.Thread(target=use) for _ in range(4)]
    for user in users:
        user.start()
    for user in users:
        user.join()
    assert decoded_in == set(users)
    assert len(encoded_in) == 1
    assert not encoded_in[0].is_alive()
