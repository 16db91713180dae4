"""Crops: prompts answered from an embedding of a part of the photo."""

from __future__ import annotations

import asyncio
import json
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as coco_mask

from mobilesam import Prompt, PromptError, Segmenter, Settings
from mobilesam.errors import NotEncodedError
from mobilesam.interactions import (
    AddPoint,
    ChooseCandidate,
    SetBox,
    SetCrop,
    SetMask,
    crop_of,
    parse_interactions,
)
from mobilesam.masks import mask_from_coco_rle, mask_to_coco_rle
from mobilesam.model.backend import plain_backend
from mobilesam.paint import Stroke, mask_logits
from mobilesam.web.page import opening as opening_module
from tests.event_loop import run_async
from tests.opening import opened
from tests.stub_options import KEEP_ALL

SIZE_HW = (120, 180)
CROP = (40, 20, 140, 100)
X0, Y0, X1, Y1 = CROP
POINT, OTHER, OUTSIDE = AddPoint(90, 60, 1), AddPoint(60, 40, 0), AddPoint(20, 60, 1)
EMBEDDING_BYTES = 256 * (64 * 64 * 2 + 4)


def shifted(point: AddPoint) -> tuple[float, float]:
    return point.x - X0, point.y - Y0


def placed(part: np.ndarray) -> np.ndarray:
    mask = np.zeros(SIZE_HW, bool)
    mask[Y0:Y1, X0:X1] = part
    return mask


@pytest.fixture
def cut(disc) -> np.ndarray:
    """The pixels of the crop, as a photo of its own."""
    return np.ascontiguousarray(disc[Y0:Y1, X0:X1])


@pytest.mark.slow
def test_predicting_in_a_crop_is_predicting_on_the_cropped_photo(segmenter, disc, cut):
    inside = segmenter.encode(disc, crop_xyxy=CROP)
    alone = segmenter.encode(cut)
    np.testing.assert_array_equal(inside.features, alone.features)
    assert inside.original_size == SIZE_HW
    for given, expected in [
        (Prompt([(90, 60)], [1]), Prompt([shifted(POINT)], [1])),
        (Prompt(box=(50, 30, 120, 90)), Prompt(box=(10, 10, 80, 70))),
    ]:
        prediction, reference = (
            segmenter.predict(inside, given),
            segmenter.predict(alone, expected),
        )
        np.testing.assert_array_equal(prediction.low_res_logits, reference.low_res_logits)
        assert prediction.masks.shape[1:] == SIZE_HW
        assert reference.masks.any()
        for mask, part in zip(prediction.masks, reference.masks, strict=True):
            np.testing.assert_array_equal(mask, placed(part))


def test_a_prompt_beside_the_encoded_crop_is_refused(segmenter, disc):
    inside = segmenter.encode(disc, CROP)
    for prompt in (Prompt([(20, 60)], [1]), Prompt(box=(10, 30, 90, 90))):
        with pytest.raises(PromptError, match="within the crop"):
            segmenter.predict(inside, prompt)


@pytest.mark.slow
def test_everything_in_a_crop_is_everything_in_the_cropped_photo(segmenter, disc, cut):
    options = {"points_per_side": 2, **KEEP_ALL}
    inside = segmenter.everything(segmenter.encode(disc, CROP), **options)
    alone = segmenter.everything(segmenter.encode(cut), **options)
    assert inside
    for one, other in zip(inside, alone, strict=True):
        np.testing.assert_array_equal(one.mask, placed(other.mask))


@pytest.mark.slow
def test_replaying_a_log_with_a_crop_is_predicting_on_the_cropped_photo_by_hand(
    segmenter, disc, cut
):
    photo, alone = segmenter.encode(disc), segmenter.encode(cut)
    segmenter.encode(disc, CROP)
    first = segmenter.predict(alone, Prompt([shifted(POINT)], [1]))
    both = Prompt([shifted(POINT), shifted(OTHER)], [1, 0])
    second = segmenter.predict(alone, both, first.low_res_logits[2:3], multimask_output=False)
    answer = segmenter.answer(photo, (SetCrop(CROP), POINT, ChooseCandidate(2), OTHER))
    np.testing.assert_array_equal(answer.mask(), placed(second.masks[0]))
    undone = segmenter.answer(photo, (SetCrop(CROP), POINT))
    np.testing.assert_array_equal(undone.mask(), placed(first.masks[first.best]))


@pytest.mark.slow
def test_strokes_lie_where_they_were_drawn_also_beside_the_crop(segmenter, disc, cut):
    photo, alone = segmenter.encode(disc), segmenter.encode(cut)
    segmenter.encode(disc, CROP)
    strokes = (
        Stroke(((100.0, 50.0), (130.0, 80.0)), 6.0, 1),
        Stroke(((10.0, 10.0),), 4.0, 1),
    )
    log = (SetCrop(CROP), POINT, *strokes)
    mask = segmenter.answer(photo, log).mask()
    assert mask[10, 10]
    assert mask[65, 115]
    own = tuple(replace(s, path=tuple((x - X0, y - Y0) for x, y in s.path)) for s in strokes[:1])
    expected = segmenter.answer(alone, (AddPoint(*shifted(POINT), 1), *own))
    np.testing.assert_array_equal(mask[Y0:Y1, X0:X1], expected.mask())
    # The next click refines the same logits.
    refined = segmenter.answer(photo, (*log, OTHER)).prediction
    reference = segmenter.answer(
        alone, (AddPoint(*shifted(POINT), 1), *own, AddPoint(*shifted(OTHER), 0))
    ).prediction
    np.testing.assert_allclose(refined.low_res_logits, reference.low_res_logits, atol=1e-5)


def test_the_logits_of_a_mask_are_those_of_its_part_in_the_crop(segmenter, disc, cut):
    mask = np.zeros(SIZE_HW, bool)
    mask[30:70, 60:170] = True
    inside = mask_logits(mask, segmenter.encode(disc, CROP).frame)
    alone = mask_logits(mask[Y0:Y1, X0:X1], segmenter.encode(cut).frame)
    np.testing.assert_array_equal(inside, alone)


@pytest.mark.slow
def test_a_click_beside_the_crop_has_the_whole_log_answered_from_the_whole_photo(segmenter, disc):
    photo = segmenter.encode(disc)
    with_crop = segmenter.answer(photo, (SetCrop(CROP), POINT, OUTSIDE))
    without = segmenter.answer(photo, (POINT, OUTSIDE))
    np.testing.assert_array_equal(with_crop.mask(), without.mask())


@pytest.mark.parametrize(
    ("log", "crop"),
    [
        ((POINT,), None),
        ((SetCrop(CROP), POINT, OTHER), CROP),
        ((SetCrop(CROP), SetBox((40, 20, 140, 100))), CROP),
        ((SetCrop(CROP), SetBox((39, 20, 140, 100))), None),
        ((SetCrop(CROP), SetBox((0, 0, 170, 100)), SetBox((50, 30, 90, 90))), CROP),
        ((SetCrop(CROP), POINT, OUTSIDE), None),
        ((SetCrop(CROP), POINT, SetCrop((0, 0, 100, 100))), (0, 0, 100, 100)),
        ((SetCrop(CROP), Stroke(((90.0, 60.0),), 5.0, 1)), None),
        ((SetCrop(CROP), SetMask(SIZE_HW, "x"), POINT), None),
        ((SetCrop((0, 0, 180, 120)), POINT), None),
    ],
)
def test_the_crop_counts_while_all_prompts_lie_within(log, crop):
    assert crop_of(log, SIZE_HW) == crop


@pytest.mark.parametrize(
    "box", [[0, 0, 500, 100], [5, 5, 5, 90], [90, 90, 10, 10], [0, 0, 20, 20], [-9, 0, 90, 90]]
)
def test_a_log_with_an_impossible_crop_is_one_sentence(segmenter, disc, box):
    log = parse_interactions([{"type": "crop", "box": box}, point(POINT)])
    with pytest.raises(PromptError, match=r"crop must be .*\.$"):
        segmenter.answer(segmenter.encode(disc), log)


@pytest.mark.parametrize("box", [[0, 0, float("nan"), 9], [0, 0, 90], None, "all", [0, 0, 9.5, 9]])
def test_a_crop_that_is_no_rectangle_is_refused_when_it_is_read(box):
    with pytest.raises(PromptError, match=r"box"):
        parse_interactions([{"type": "crop", "box": box}])


def test_a_crop_is_encoded_once(segmenter, stub_sam, disc):
    first, again = segmenter.encode(disc, CROP), segmenter.encode(disc.copy(), list(CROP))
    assert again is first
    assert stub_sam.image_encoder.calls == 1
    assert segmenter.encode(disc, (0, 0, 180, 120)) is segmenter.encode(disc)
    assert stub_sam.image_encoder.calls == 2
    log = (SetCrop(CROP), POINT)
    for _ in range(2):
        segmenter.answer(segmenter.encode(disc), log)
    assert stub_sam.image_encoder.calls == 2
    assert stub_sam.mask_decoder.calls == 1


def test_a_crop_that_was_evicted_must_be_encoded_again(stub_sam, stub_weights, disc):
    room_for_two = Settings(cache_bytes=2 * EMBEDDING_BYTES)
    segmenter = Segmenter(plain_backend(stub_sam), stub_weights, "stub", room_for_two)
    photo, log = segmenter.encode(disc), (SetCrop(CROP), POINT)
    with pytest.raises(NotEncodedError) as error:
        segmenter.answer(photo, log)
    assert error.value.crops == (CROP,)
    segmenter.encode(disc, CROP)
    mask = segmenter.answer(photo, log).mask()
    segmenter.encode(disc, (0, 0, 90, 90))
    segmenter.encode(disc, (0, 0, 91, 90))
    with pytest.raises(NotEncodedError):
        segmenter.answer(photo, log)
    segmenter.encode(disc, CROP)
    np.testing.assert_array_equal(segmenter.answer(photo, log).mask(), mask)


# -- the page --------------------------------------------------------------------------------


def point(item: AddPoint) -> dict:
    return {"type": "point", "x": item.x, "y": item.y, "label": item.label}


LOG = [{"type": "crop", "box": list(CROP)}, point(POINT)]


@pytest.fixture
def token(handlers, disc, tmp_path) -> str:
    Image.fromarray(disc).save(tmp_path / "disc.png")
    return opened(handlers, tmp_path / "disc.png")["token"]


def encode_crop(handlers, token, crop=CROP):
    query = {"token": token, "crop": crop if crop is None else list(crop)}
    return run_async(handlers.opening.encode_crop(query))


def test_a_click_in_a_crop_is_answered_after_the_crop_was_encoded(
    handlers, token, segmenter, disc, cut
):
    query = {"token": token, "interactions": LOG, "clean": False}
    missing = handlers.segment(query)
    assert (missing["ok"], missing["crops"]) == (False, [list(CROP)])
    assert encode_crop(handlers, token) == {"ok": True}
    reply = handlers.segment(query)
    prediction = segmenter.predict(segmenter.encode(cut), Prompt([shifted(POINT)], [1]))
    expected = placed(prediction.masks[prediction.best])
    np.testing.assert_array_equal(mask_from_coco_rle(reply["rle"], SIZE_HW), expected)
    assert len(reply["candidates"]) == 3


@pytest.mark.slow
def test_an_export_has_the_mask_of_the_crop_at_the_photos_size(handlers, token, segmenter, cut):
    objects = [
        {"name": "near", "interactions": LOG, "clean": False},
        {"name": "far", "interactions": [point(POINT)], "clean": False},
        {"name": "other", "interactions": [{"type": "crop", "box": [0, 0, 99, 99]}, point(POINT)]},
    ]
    query = {"token": token, "objects": objects, "kind": "coco_rle"}
    missing = handlers.files.export(query)["crops"]
    assert sorted(missing) == [[0, 0, 99, 99], list(CROP)]
    for crop in missing:
        assert encode_crop(handlers, token, crop)["ok"]
    reply = handlers.files.export(query)
    document = json.loads(Path(reply["path"]).read_bytes())
    near, far, _ = (coco_mask.decode(one["segmentation"]) == 1 for one in document["annotations"])
    prediction = segmenter.predict(segmenter.encode(cut), Prompt([shifted(POINT)], [1]))
    np.testing.assert_array_equal(near, placed(prediction.masks[prediction.best]))
    assert (far != near).any()


def test_a_crop_is_encoded_in_the_queue_of_photos_but_not_behind_many(handlers, token, stub_sam):
    queue = handlers._queues.photos
    calls, release = stub_sam.image_encoder.calls, threading.Event()

    async def scene():
        for _ in range(opening_module.MAX_AHEAD_OF_CROP):
            queue.submit(release.wait)
        query = {"token": token, "crop": list(CROP)}
        waiting = [asyncio.create_task(handlers.opening.encode_crop(query)) for _ in range(3)]
        await asyncio.sleep(0)
        late = asyncio.create_task(
            handlers.opening.encode_crop({"token": token, "crop": [0, 0, 90, 90]})
        )
        await asyncio.sleep(0)
        release.set()
        return [await one for one in waiting], await late

    replies, refused = run_async(scene())
    assert replies == [{"ok": True}] * 3
    assert stub_sam.image_encoder.calls == calls + 1
    assert "busy" in refused["error"]


def test_the_crops_of_a_photo_are_limited(handlers, token, monkeypatch):
    monkeypatch.setattr(opening_module, "MAX_CROPS", 2)
    assert encode_crop(handlers, token, (0, 0, 90, 90))["ok"]
    assert encode_crop(handlers, token, (0, 0, 91, 90))["ok"]
    assert "Reload the page" in encode_crop(handlers, token, (0, 0, 92, 90))["error"]
    assert encode_crop(handlers, token, (0, 0, 90, 90))["ok"]


@pytest.mark.parametrize("crop", [None, [0, 0, 9, 9], [0, 0, 999, 90], [1e999] * 4, [[]] * 4])
def test_a_crop_that_cannot_be_encoded_costs_nothing(handlers, token, stub_sam, crop):
    calls = stub_sam.image_encoder.calls
    reply = encode_crop(handlers, token, crop)
    assert not reply["ok"]
    assert "crop" in reply["error"].lower()
    assert stub_sam.image_encoder.calls == calls
    assert not handlers.photos.get(token).crops


def test_a_crop_of_a_closed_photo_is_not_encoded(handlers, token):
    handlers.photos.close(handlers.photos.get(token))
    assert encode_crop(handlers, token)["expired"]


def test_a_mask_in_the_log_is_one_of_the_whole_photo(handlers, token):
    mask = np.zeros(SIZE_HW, bool)
    mask[:10] = True
    log = [*LOG, {"type": "mask", "rle": mask_to_coco_rle(mask)}]
    reply = handlers.segment({"token": token, "interactions": log})
    np.testing.assert_array_equal(mask_from_coco_rle(reply["rle"], SIZE_HW), mask)
