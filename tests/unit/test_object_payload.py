"""Objects of the page: their files, files read back, hostile queries."""

from __future__ import annotations

import io
import json
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as coco_mask

from mobilesam.interactions import parse_interactions
from mobilesam.web.page import object_payload
from mobilesam.web.page.object_payload import MAX_OBJECTS
from tests.opening import opened

POINT = {"type": "point", "x": 90, "y": 60, "label": 1}
HEIGHT, WIDTH = 120, 180


def edited(mask):
    rle = coco_mask.encode(np.asfortranarray(mask.astype(np.uint8)))
    return {"type": "mask", "rle": {"size": rle["size"], "counts": rle["counts"].decode()}}


def rectangle(x0, y0, x1, y1):
    mask = np.zeros((HEIGHT, WIDTH), bool)
    mask[y0:y1, x0:x1] = True
    return mask


LEFT, RIGHT = rectangle(10, 20, 60, 80), rectangle(40, 50, 150, 100)


@pytest.fixture
def token(handlers, disc, tmp_path) -> str:
    path = tmp_path / "upload.png"
    Image.fromarray(disc).save(path)
    return opened(handlers, path, name="große Scheibe.png")["token"]


@pytest.fixture
def save(handlers, token):
    """save(objects, kind, exclusive=None): the name and the bytes of the file."""

    def save_file(objects, kind="coco_rle", exclusive=None):
        query = {"token": token, "objects": objects, "kind": kind, "exclusive": exclusive}
        reply = handlers.files.export(query)
        assert reply["ok"], reply
        return reply["name"], Path(reply["path"]).read_bytes()

    return save_file


def two(**more):
    return [
        {"name": "left", "interactions": [edited(LEFT)], **more},
        {"name": "right", "interactions": [edited(RIGHT)]},
    ]


def coco_masks(data):
    document = json.loads(data)
    names = {category["id"]: category["name"] for category in document["categories"]}
    return {
        names[one["category_id"]]: coco_mask.decode(one["segmentation"]) == 1
        for one in document["annotations"]
    }


def test_the_index_picture_has_the_colours_of_the_page(save):
    _, data = save(two(colour="#0a0b0c"), "index_png")
    shown = np.array(Image.open(io.BytesIO(data)).convert("RGB"))
    assert tuple(shown[30, 20]) == (10, 11, 12)


@pytest.mark.parametrize("colour", ["blue", 7, {}, "#1e8aff;"])
def test_what_is_no_colour_gets_a_sentence(handlers, token, colour):
    query = {"token": token, "objects": two(colour=colour), "kind": "index_png"}
    assert handlers.files.export(query)["error"].startswith("A colour must be")


def test_edited_masks_are_exported_unchanged(save):
    name, data = save(two())
    assert name == "große Scheibe-coco.json"
    assert json.loads(data)["images"][0]["file_name"] == "große Scheibe.png"
    masks = coco_masks(data)
    assert np.array_equal(masks["left"], LEFT)
    assert np.array_equal(masks["right"], RIGHT)


def test_clicks_are_decoded_at_the_size_of_the_photo(save, segmenter, handlers, token):
    _, data = save([{"name": "disc", "interactions": [POINT]}], "index_png")
    pixels = np.array(Image.open(io.BytesIO(data)))
    mask = handlers.files.export({"token": token, "interactions": [POINT], "kind": "mask"})
    assert pixels.shape == (HEIGHT, WIDTH)
    assert np.array_equal(pixels == 1, np.array(Image.open(mask["path"])) == 255)


def test_each_object_is_cleaned_or_not_as_it_was_kept(save, segmenter, disc):
    box = [{"type": "box", "box": [60, 30, 120, 90]}]
    _, data = save(
        [
            {"name": "default", "interactions": box},
            {"name": "clean", "interactions": box, "clean": True},
            {"name": "raw", "interactions": box, "clean": False},
        ]
    )
    answer = segmenter.answer(segmenter.encode(disc), parse_interactions(box))
    raw, clean = answer.mask(), answer.mask(clean=True)
    assert not np.array_equal(raw, clean)
    for name, mask in coco_masks(data).items():
        assert np.array_equal(mask, raw if name == "raw" else clean), name


@pytest.mark.parametrize(
    ("exclusive", "left"), [(None, LEFT), ("later", LEFT & ~RIGHT), ("predicted_iou", LEFT)]
)
def test_overlaps_are_removed_by_the_chosen_rule(save, exclusive, left):
    _, data = save(two(predicted_iou=0.9), exclusive=exclusive)
    masks = coco_masks(data)
    assert np.array_equal(masks["left"], left)
    assert np.array_equal(masks["right"], RIGHT & ~LEFT if exclusive == "predicted_iou" else RIGHT)


@pytest.mark.parametrize(
    "objects",
    [
        None,
        [],
        {},
        "objects",
        [None],
        [[]],
        [{"name": "a"}],
        [{"name": "a", "interactions": []}],
        [{"name": "", "interactions": [POINT]}],
        [{"name": 7, "interactions": [POINT]}],
        [{"name": "x" * 1000, "interactions": [POINT]}],
        [{"name": "a", "interactions": [{"type": "mask", "rle": {"size": [9, 9], "counts": "0"}}]}],
        [{"name": "a", "interactions": [edited(LEFT)], "predicted_iou": "high"}],
        [{"name": "a", "interactions": [POINT], "clean": "yes"}],
        [{"name": "a", "interactions": [POINT]}] * (MAX_OBJECTS + 1),
        [{"name": "a", "interactions": [POINT] * 60}] * 40,
        [{"name": "a", "interactions": [edited(LEFT & RIGHT & ~LEFT)]}],
    ],
)
def test_objects_that_cannot_be_exported_get_a_sentence(handlers, token, objects):
    reply = handlers.files.export({"token": token, "objects": objects, "kind": "coco_rle"})
    assert not reply["ok"]
    assert "went wrong" not in reply["error"]


@pytest.mark.parametrize("count", [101, 1000])
def test_a_photo_can_have_a_thousand_objects(save, count):
    objects = [{"name": "a", "interactions": [edited(LEFT)]}] * count
    _, data = save(objects)
    assert len(json.loads(data)["annotations"]) == count


def test_an_export_has_a_cpu_budget(handlers, token, monkeypatch):
    items = [{"name": "a", "interactions": [edited(LEFT)]}] * 50
    asked = {"token": token, "objects": items, "kind": "coco_rle"}
    assert handlers.files.export(asked)["ok"]
    monkeypatch.setattr(object_payload, "CPU_BUDGET_S", 0.001)
    reply = handlers.files.export(asked)
    assert not reply["ok"]
    assert "fewer objects" in reply["error"]


def test_decodes_count_although_they_run_in_another_thread(handlers, token, monkeypatch, stub_sam):
    """Each takes 20 ms of the decoder's thread, and the budget is that of ten."""
    monkeypatch.setattr(object_payload, "CPU_BUDGET_S", 0.2)
    forward = stub_sam.mask_decoder.module.forward

    def slow(*args, **kwargs):
        ends_at = time.thread_time() + 0.02
        while time.thread_time() < ends_at:
            pass
        return forward(*args, **kwargs)

    monkeypatch.setattr(stub_sam.mask_decoder.module, "forward", slow)
    items = [{"name": "a", "interactions": [{**POINT, "x": 10 + x}]} for x in range(50)]
    query = {"token": token, "objects": items, "kind": "index_png"}
    assert "fewer objects" in handlers.files.export(query)["error"]
    assert stub_sam.mask_decoder.calls <= 11


@pytest.mark.parametrize("odd", ["first", "", 1, [], {}, True])
def test_unknown_rules_and_formats_get_a_sentence(handlers, token, odd):
    asked = {"token": token, "objects": two(), "kind": "coco_rle"}
    for reply in (
        handlers.files.export({**asked, "exclusive": odd}),
        handlers.files.export({**asked, "kind": odd}),
    ):
        assert not reply["ok"]
        assert "went wrong" not in reply["error"]


def test_an_unknown_token_is_expired(handlers, token):
    for token in ("other", None, []):
        assert handlers.files.export({"token": token, "objects": two(), "kind": "coco_rle"})[
            "expired"
        ]
