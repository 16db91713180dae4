"""Data sets that the page writes in several calls: repeated, mixed up, hostile, and dropped."""

from __future__ import annotations

import asyncio
import json
import math
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as coco_mask

from mobilesam.settings import ImageLimits, Settings
from tests.dataset_calls import GONE, SIZE, begin, content, files_in, photo_of, rle, sent
from tests.event_loop import run_async
from tests.opening import new_handlers, opened, upload

POINT = {"type": "point", "x": 100, "y": 70, "label": 1}


def test_a_data_set_is_written_photo_by_photo(ask, folder, tmp_path_factory):
    source = photo_of(tmp_path_factory)
    split = [0.6, 0.2, 0.2]
    dataset = begin(ask, 5, classes=["dog", "cat"], split=split, seed=3, tolerance=0.5)
    for n in range(5):
        name = ("cat", "dog", " ", "new")[n % 4]
        objects = [{"name": name, "rle": rle(), "predicted_iou": None}]
        photo = sent(f"{n}.jpg", objects, path=upload(source))
        assert ask(dataset=dataset, n=n, photo=photo) == {"ok": True, "photos": n + 1}
    reply = ask(dataset=dataset, finish=True)
    assert (reply["name"], reply["photos"], reply["objects"]) == ("dataset-yolo.zip", 5, 5)
    assert files_in(folder) == ["dataset-yolo.zip"]  # the uploads have been removed
    found = content(reply)
    assert found["classes.txt"].decode().split() == ["dog", "cat", "object", "new"]
    images = [name for name in found if name.startswith("images/")]
    assert all(found[name] == source.read_bytes() for name in images)
    counts = [sum(f"/{part}/" in name for name in images) for part in ("train", "val", "test")]
    assert counts == [3, 1, 1]
    for n, class_id in enumerate("1023"):
        (label,) = [text for name, text in found.items() if name.endswith(f"/{n}.txt")]
        assert label.decode().startswith(f"{class_id} ")


def test_every_call_can_be_repeated(ask, tmp_path_factory):
    dataset = begin(ask, 2, "coco_rle")
    photo = sent(path=upload(photo_of(tmp_path_factory)))
    first = ask(dataset=dataset, n=0, photo=photo)
    assert ask(dataset=dataset, n=0, photo=photo) == first  # although the upload is gone
    ask(dataset=dataset, n=1, photo=sent("b.jpg"))
    done = ask(dataset=dataset, finish=True)
    assert ask(dataset=dataset, finish=True) == done
    assert ask(dataset=dataset, n=1, photo=sent("b.jpg"))["photos"] == 2
    assert sorted(content(done)) == [
        "annotations/instances_train.json",
        "classes.txt",
        "images/train/a.jpg",
    ]
    document = json.loads(content(done)["annotations/instances_train.json"])
    assert [image["file_name"] for image in document["images"]] == ["a.jpg", "b.jpg"]
    assert document["annotations"][0]["predicted_iou"] == 0.5


def test_an_upload_that_is_gone_can_be_sent_again(ask, tmp_path_factory):
    dataset = begin(ask)
    path = upload(photo_of(tmp_path_factory))
    Path(path).unlink()
    reply = ask(dataset=dataset, n=0, photo=sent(path=path))
    assert (reply["ok"], reply["expired"]) == (False, True)
    path = upload(photo_of(tmp_path_factory))
    assert ask(dataset=dataset, n=0, photo=sent(path=path))["ok"]
    assert "images/train/a.jpg" in content(ask(dataset=dataset, finish=True))


def test_an_open_photo_needs_no_second_upload(handlers, ask, disc, tmp_path_factory):
    source = tmp_path_factory.mktemp("user") / "disc.png"
    Image.fromarray(disc).save(source)
    token = opened(handlers, source)["token"]
    objects = [{"name": "disc", "interactions": [POINT]}, {"name": "disc", "interactions": [POINT]}]
    masks = handlers.files.masks({"token": token, "objects": objects})
    assert masks["ok"]
    named = [{"name": "disc", "rle": one} for one in masks["rles"]]
    assert all(isinstance(iou, float) for iou in masks["predicted_ious"])
    photo = {"name": "disc.png", "size": list(disc.shape[:2]), "objects": named, "token": token}
    dataset = begin(ask, file_format="coco_rle")
    assert ask(dataset=dataset, n=0, photo=photo)["ok"]
    found = content(ask(dataset=dataset, finish=True))
    assert found["images/train/disc.png"] == source.read_bytes()
    assert handlers.photos.get(token).path.is_file()
    reply = ask(dataset=dataset, n=1, photo={**photo, "token": "another"})
    assert "finished" in reply["error"]
    reply = ask(
        dataset=begin(ask, file_format="coco_rle"), n=1, photo={**photo, "token": "another"}
    )
    assert reply["expired"]


def test_masks_are_those_of_the_export(handlers, disc, tmp_path_factory):
    source = tmp_path_factory.mktemp("user") / "disc.png"
    Image.fromarray(disc).save(source)
    token = opened(handlers, source)["token"]
    objects = [
        {"name": "a", "interactions": [POINT]},
        {"name": "b", "interactions": [{"type": "box", "box": [60, 30, 140, 110]}]},
    ]
    query = {"token": token, "objects": objects, "exclusive": "later"}
    reply = handlers.files.masks(query)
    document = json.loads(
        Path(handlers.files.export({**query, "kind": "coco_rle"})["path"]).read_text()
    )
    kept = {row["category_id"] - 1: row["segmentation"] for row in document["annotations"]}
    assert kept
    assert all(reply["rles"][index] == one for index, one in kept.items())
    first, second = (coco_mask.decode(one) for one in reply["rles"])
    assert not (first & second).any()


def test_an_export_has_the_ids_and_the_tolerance_of_the_query(handlers, disc, tmp_path_factory):
    source = tmp_path_factory.mktemp("user") / "disc.png"
    Image.fromarray(disc).save(source)
    token = opened(handlers, source)["token"]
    rows, columns = np.mgrid[: disc.shape[0], : disc.shape[1]]
    round_ = np.asfortranarray(np.hypot(rows - 60, columns - 90) < 40, np.uint8)
    counts = coco_mask.encode(round_)["counts"].decode()
    mask = {"type": "mask", "rle": {"size": list(disc.shape[:2]), "counts": counts}}
    query = {
        "token": token,
        "objects": [{"name": "disc", "interactions": [mask]}],
        "kind": "coco_polygons",
        "classes": ["cat", "disc"],
    }
    lengths = []
    for tolerance in (0, 2):
        path = handlers.files.export({**query, "tolerance": tolerance})["path"]
        document = json.loads(Path(path).read_text())
        assert [one["name"] for one in document["categories"]] == ["cat", "disc"]
        (annotation,) = document["annotations"]
        assert annotation["category_id"] == 2
        lengths.append(len(str(annotation["segmentation"])))
    assert lengths[1] < lengths[0]
    for bad in ({"classes": "cat"}, {"classes": ["a", "a"]}, {"tolerance": -1}, {"tolerance": "1"}):
        assert not handlers.files.export({**query, **bad})["ok"]


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ({}, "photos must be a list"),
        ({"photos": []}, "1 or more"),
        ({"photos": [1]}, "must be text"),
        ({"photos": ["a"] * 100_000}, "at most 2000"),
        ({"photos": ["x" * 10_000]}, "at most 1000 characters"),
        ({"format": "../../x"}, "format must be one of"),
        ({"format": ["yolo"]}, "format must be one of"),
        ({"split": [0, 0, 0]}, "above 0"),
        ({"split": [1, 1]}, r"must be \[train, val, test\]"),
        ({"split": [math.nan, 1, 1]}, "finite"),
        ({"split": [10**400, 1, 1]}, "finite|number"),
        ({"split": [-1, 1, 1]}, "greater than or equal to 0"),
        ({"seed": 0.5}, "whole number|integer"),
        ({"seed": 10**5000}, "seed"),
        ({"tolerance": 1e9}, "tolerance must"),
        ({"classes": ["cat", " cat"]}, "twice"),
        ({"classes": [""]}, "name"),
        ({"classes": ["a"] * 2000}, "at most 1000"),
        ({"classes": {"0": "cat"}}, "must be a list"),
    ],
)
def test_a_bad_beginning_gets_one_sentence_and_no_folder(ask, folder, query, message):
    good = {"format": "yolo", "photos": ["a"]} if query else {}
    reply = ask(**{**good, **query})
    assert not reply["ok"]
    assert re.search(message, reply["error"]), reply["error"]
    assert list(folder.iterdir()) == []


BOMB = {"size": SIZE, "counts": "o" * 5_000_000}


@pytest.mark.parametrize(
    ("photo", "message"),
    [
        (None, "photo must be an object"),
        ({}, "name is missing"),
        ({**sent(), "size": [10**6, 10**6]}, "megapixels"),
        ({**sent(), "size": [0, 5]}, "size"),
        ({**sent(), "size": [10**400, 1]}, "size|megapixels"),
        ({**sent(), "size": [1.5, 2]}, "size"),
        ({**sent(), "size": SIZE[::-1]}, "size is"),
        (sent(objects=None) | {"objects": None}, "objects must be a list"),
        (sent(objects=[{"name": "a", "rle": {"size": SIZE, "counts": "~~"}}]), "damaged|fill"),
        (sent(objects=[{"name": "a", "rle": BOMB}]), "fill|damaged"),
        (sent(objects=[{"name": "a", "rle": rle()}] * 1001), "at most 1000"),
        (sent(objects=[{"name": "x" * 100, "rle": rle()}]), "at most 80 characters"),
        (sent("x" * 1001), "at most 1000 characters"),
        (sent(path="/etc/passwd"), "Upload it"),
        (sent(path="../../etc/passwd"), "Upload it"),
        (sent(path=["a"]), "path must be text"),
        (sent(token={"a": 1}), "token must be text"),
    ],
)
def test_a_bad_photo_gets_one_sentence_and_can_be_sent_again(ask, photo, message):
    dataset = begin(ask)
    reply = ask(dataset=dataset, n=1, photo=photo)
    assert not reply["ok"]
    assert re.search(message, reply["error"]), reply["error"]
    assert ask(dataset=dataset, n=1, photo=sent()) == {"ok": True, "photos": 1}
    assert len(content(ask(dataset=dataset, finish=True))) == 3


@pytest.mark.parametrize("n", [None, -1, 3, 0.0, True, "0", [0], 10**30])
def test_a_photo_must_be_one_of_those_announced(ask, n):
    assert "not one of the data set" in ask(dataset=begin(ask), n=n, photo=sent())["error"]


@pytest.mark.parametrize("dataset", ["", "x", None, 7, ["a"], {"a": 1}])
def test_an_unknown_id_is_one_sentence(ask, dataset):
    for query in ({"n": 0, "photo": sent()}, {"finish": True}):
        assert GONE in ask(dataset=dataset, **query)["error"]


@pytest.mark.parametrize("query", [None, 7, "dataset", [], [["dataset"]]])
def test_a_query_that_is_no_object_is_refused(handlers, query):
    assert "does not understand" in run_async(handlers.files.dataset(query, "one"))["error"]


def test_an_empty_data_set_is_not_finished(ask):
    dataset = begin(ask)
    assert "no photos" in ask(dataset=dataset, finish=True)["error"]
    assert ask(dataset=dataset, n=0, photo=sent())["ok"]
    assert ask(dataset=dataset, finish=True)["ok"]


def test_photos_that_come_at_once_are_written_one_after_the_other(handlers, ask):
    dataset = begin(ask, 40, "coco_polygons")

    async def all_at_once():
        return await asyncio.gather(
            *(
                handlers.files.dataset(
                    {"dataset": dataset, "n": n % 20, "photo": sent(f"{n % 20}.jpg")}, "one"
                )
                for n in range(30)
            )
        )

    assert all(reply["ok"] for reply in run_async(all_at_once()))
    done = ask(dataset=dataset, finish=True)
    assert done["photos"] == 20
    document = json.loads(content(done)["annotations/instances_train.json"])
    assert len({image["file_name"] for image in document["images"]}) == 20
    assert [one["id"] for one in document["annotations"]] == list(range(1, 21))


def test_nothing_is_written_before_the_model_is_loaded(folder):
    reply = run_async(
        new_handlers(None, folder).files.dataset({"format": "yolo", "photos": ["a"]}, "one")
    )
    assert "still loading" in reply["error"]


def test_a_data_set_is_no_photo_and_no_annotation_file(
    handlers, ask, segmenter, monkeypatch, tmp_path_factory
):
    monkeypatch.setattr(
        segmenter, "settings", Settings(limits=ImageLimits(max_bytes=300, max_pixels=10_000))
    )
    first = begin(ask)
    assert ask(dataset=first, n=0, photo=sent())["ok"]
    done = ask(dataset=first, finish=True)
    assert Path(done["path"]).stat().st_size > 300
    second = begin(ask)
    assert "at most" in ask(dataset=second, n=0, photo=sent(path=done["path"]))["error"]

    def refuse(_):
        raise AssertionError("it has been read")

    query = {"path": done["path"], "name": "a.zip", "photos": []}
    monkeypatch.setattr(Path, "read_bytes", refuse)
    assert "at most" in handlers.files.import_annotations(query)["error"]


def test_masks_and_combinations_need_no_names(handlers, disc, tmp_path_factory):
    source = tmp_path_factory.mktemp("user") / "disc.png"
    Image.fromarray(disc).save(source)
    token = opened(handlers, source)["token"]
    objects = [{"name": name, "interactions": [POINT]} for name in ("", " ")]
    query = {"token": token, "objects": objects}
    assert len(handlers.files.masks(query)["rles"]) == 2
    assert len(handlers.files.combine({**query, "operation": "merge"})["rles"]) == 1
    assert "Give the object a name" in handlers.files.export({**query, "kind": "yolo"})["error"]
