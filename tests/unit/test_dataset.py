"""Data sets, as the programs load them for which they are made."""

from __future__ import annotations

import csv
import io
import json
import os
import random
import tracemalloc
import zipfile
from pathlib import Path

import cv2
import numpy as np
import pytest
import supervision
import yaml
from PIL import Image
from pycocotools.coco import COCO

from mobilesam.errors import PromptError
from mobilesam.export import ClassList, DatasetWriter, split_photos
from mobilesam.export.dataset import DATASET_FORMATS
from mobilesam.export.split import SPLITS
from mobilesam.objects import PALETTE, PhotoObject
from tests.annotations import read
from tests.serving import iou
from tests.shapes import fifty_masks

MASKS = {name: mask for name, mask in fifty_masks().items() if name.endswith("0")}
SOLID = [name for name in MASKS if name.startswith(("disc", "ring", "sieve"))]
CLASSES = ["cat", "dog", "thing"]
SIZE_HW = (120, 160)


def photo_file(folder: Path, name: str, size_hw=SIZE_HW) -> Path:
    path = folder / name
    Image.new("RGB", size_hw[::-1], "#123456").save(path)
    return path


def disc(name: str, x: int = 80, radius: int = 30) -> PhotoObject:
    rows, columns = np.mgrid[: SIZE_HW[0], : SIZE_HW[1]]
    return PhotoObject(name, np.hypot(rows - 60, columns - x) < radius)


@pytest.fixture
def write(tmp_path):
    """write(format, photos, ...) makes a data set, unpacks it and returns its folder."""

    def make(file_format, photos, classes=CLASSES, tolerance=0.0, with_photos=True):
        (tmp_path / "photos").mkdir(exist_ok=True)
        path = tmp_path / f"{file_format}.zip"
        with (
            path.open("wb+") as file,
            DatasetWriter(file, file_format, ClassList(classes), tolerance) as writer,
        ):
            for name, objects, split in photos:
                size_hw = objects[0].size_hw if objects else SIZE_HW
                photo = photo_file(tmp_path / "photos", name, size_hw) if with_photos else None
                writer.add(name, size_hw, objects, split, photo)
            writer.finish()
        folder = tmp_path / file_format
        with zipfile.ZipFile(path) as archive:
            assert archive.testzip() is None
            assert len(set(archive.namelist())) == len(archive.namelist())
            archive.extractall(folder)
        return folder

    return make


def awkward_photos():
    """Three photos with objects of two classes, and one without, in train and val."""
    masks = [MASKS[name] for name in MASKS]
    photos = [
        (f"{index}.png", [PhotoObject("dog", mask), PhotoObject("thing", mask)], SPLITS[index % 2])
        for index, mask in enumerate(masks)
    ]
    return [*photos, ("empty.png", [], "train")], masks


@pytest.mark.parametrize("file_format", ["coco_rle", "coco_polygons"])
def test_pycocotools_finds_every_mask_and_supervision_the_solid_ones(write, file_format):
    photos, masks = awkward_photos()
    folder = write(file_format, photos)
    found = 0
    for split in ("train", "val"):
        path = folder / "annotations" / f"instances_{split}.json"
        coco = COCO(str(path))
        assert [category["name"] for category in coco.loadCats([1, 2, 3])] == CLASSES
        for annotation in coco.anns.values():
            name = coco.imgs[annotation["image_id"]]["file_name"]
            assert np.array_equal(coco.annToMask(annotation), masks[int(Path(name).stem)])
            assert annotation["category_id"] in (2, 3)
            found += 1
        dataset = supervision.DetectionDataset.from_coco(
            str(folder / "images" / split), str(path), force_masks=True
        )
        assert dataset.classes == CLASSES
        assert len(dataset) == len(coco.imgs)
        for image_path, image, detections in dataset:
            stem = Path(image_path).stem
            if stem == "empty":
                assert not len(detections)
                continue
            assert image.shape[:2] == masks[int(stem)].shape
            assert detections.class_id.tolist() == [1, 2]
            if file_format == "coco_rle":
                assert np.array_equal(detections.mask[0], masks[int(stem)])
    assert found == 2 * len(masks)


def test_yolo_is_loaded_as_ultralytics_and_supervision_do(write):
    photos = [
        (f"{name}.png", [PhotoObject("dog", MASKS[name])], "train" if index else "val")
        for index, name in enumerate(SOLID)
    ]
    folder = write("yolo", [*photos, ("empty.png", [], "train")])
    data = yaml.safe_load((folder / "data.yaml").read_text())
    assert "path" not in data
    assert data["names"] == dict(enumerate(CLASSES))
    assert (data["train"], data["val"], data.get("test")) == ("images/train", "images/val", None)
    for split in ("train", "val"):
        images = sorted((folder / data[split]).iterdir())
        for image in images:
            labels = Path(str(image).replace("/images/", "/labels/")).with_suffix(".txt")
            lines = labels.read_text().splitlines()
            if image.stem == "empty":
                assert lines == []
                continue
            (line,) = lines
            label, *numbers = line.split()
            xy = np.array(numbers, np.float32).reshape(-1, 2)
            assert label == "1"
            assert xy.min() >= 0
            assert xy.max() <= 1
            mask = MASKS[image.stem]
            canvas = np.zeros(mask.shape, np.uint8)
            cv2.fillPoly(canvas, [(xy * mask.shape[::-1]).astype(np.int32)], (1,))
            assert iou(canvas.astype(bool), mask) == 1
        dataset = supervision.DetectionDataset.from_yolo(
            str(folder / "images" / split),
            str(folder / "labels" / split),
            str(folder / "data.yaml"),
            force_masks=True,
        )
        assert dataset.classes == CLASSES
        assert len(dataset) == len(images)
        for image_path, _, detections in dataset:
            if Path(image_path).stem != "empty":
                assert iou(detections.mask[0], MASKS[Path(image_path).stem]) == 1


def test_ultralytics_itself_loads_every_photo_and_label(write, monkeypatch, tmp_path):
    monkeypatch.setenv("YOLO_CONFIG_DIR", str(tmp_path / "settings"))
    monkeypatch.setenv("YOLO_OFFLINE", "1")
    utils = pytest.importorskip("ultralytics.data.utils")
    from ultralytics.data.dataset import YOLODataset

    photos = [
        (f"{name}.jpg", [PhotoObject("dog", MASKS[name])], "train" if index else "val")
        for index, name in enumerate(SOLID)
    ]
    folder = write("yolo", [*photos, ("empty.jpg", [], "train")])
    data = utils.check_det_dataset(str(folder / "data.yaml"), autodownload=False)
    assert data["names"] == dict(enumerate(CLASSES))
    found = set()
    for split in ("train", "val"):
        loaded = YOLODataset(img_path=data[split], data=data, task="segment", augment=False)
        for label in loaded.labels:
            stem = Path(label["im_file"]).stem
            found.add(stem)
            if stem == "empty":
                assert not len(label["cls"])
                continue
            mask = MASKS[stem]
            assert (label["shape"], label["cls"].tolist()) == (mask.shape, [[1.0]])
            outline = (label["segments"][0] * mask.shape[::-1]).reshape(-1)
            assert iou(utils.polygon2mask(mask.shape, [outline]).astype(bool), mask) == 1
    assert found == {*SOLID, "empty"}


def test_labelme_finds_the_photo_beside_every_document(write):
    photos, masks = awkward_photos()
    folder = write("labelme", photos)
    documents = [*folder.glob("train/*.json"), *folder.glob("val/*.json")]
    assert len(documents) == len(photos)
    for path in documents:
        document = json.loads(path.read_text())
        with Image.open(path.parent / document["imagePath"]) as image:
            assert image.size == (document["imageWidth"], document["imageHeight"])
        if path.stem != "empty":
            mask = masks[int(path.stem)]
            objects, _ = read(document, mask.shape)
            assert [item.name for item in objects] == ["dog", "thing"]
            assert all(np.array_equal(item.mask, mask) for item in objects)


def test_class_images_hold_the_ids_that_the_legend_explains(write):
    photos = [("a.jpg", [disc("thing"), disc("dog", 60)], "train"), ("b.jpg", [], "test")]
    folder = write("class_png", photos)
    rows = list(csv.DictReader((folder / "classes.csv").read_text().splitlines()))
    assert [(row["id"], row["name"]) for row in rows] == [
        ("0", "background"),
        ("1", "cat"),
        ("2", "dog"),
        ("3", "thing"),
    ]
    with Image.open(folder / "masks" / "train" / "a.png") as image:
        values = np.array(image)
        colours = np.array(image.convert("RGB"))
    thing, dog = (item.mask for item in photos[0][1])
    assert np.array_equal(values, np.where(dog, 2, np.where(thing, 3, 0)))
    assert [row["colour"] for row in rows[:2]] == ["#000000", PALETTE[0]]
    for row in rows:
        seen = {"#" + bytes(pixel).hex() for pixel in colours[values == int(row["id"])]}
        assert seen == ({row["colour"]} if row["name"] != "cat" else set())
    with Image.open(folder / "masks" / "test" / "b.png") as image:
        assert image.size == SIZE_HW[::-1]
        assert not np.array(image).any()


@pytest.mark.parametrize("file_format", DATASET_FORMATS)
def test_ids_are_those_of_the_list_and_other_names_follow_it(write, file_format):
    first = write(file_format, [("a.jpg", [disc("new"), disc("dog", 60)], "train")])
    assert (first / "classes.txt").read_text() == "cat\ndog\nthing\nnew\n"


def test_five_photos_with_three_objects_have_equal_ids_in_every_order(write):
    random_ = random.Random(3)
    for round_ in range(3):
        photos = []
        for number in range(5):
            objects = [disc("cat", 40), disc("dog", 80), disc("cat", 120)]
            random_.shuffle(objects)
            photos.append((f"{number}.jpg", objects, "train"))
        folder = write("yolo", photos, ["cat", "dog"])
        for number, (_, objects, _) in enumerate(photos):
            lines = (folder / f"labels/train/{number}.txt").read_text().splitlines()
            ids = [line.split()[0] for line in lines]
            assert ids == [{"cat": "0", "dog": "1"}[item.name] for item in objects], round_


@pytest.mark.parametrize("file_format", DATASET_FORMATS)
def test_names_that_are_there_twice_get_numbers(write, file_format):
    names = ["image.png", "image.png", "IMAGE.jpg", "image-2.png", "x/../image.png"]
    kept = ["image.png", "image-2.png", "IMAGE-3.jpg", "image-2-2.png", "image-3.png"]
    stream = io.BytesIO()
    with DatasetWriter(stream, file_format, ClassList()) as writer:
        added = [writer.add(name, SIZE_HW, [disc("cat")]) for name in names]
        writer.finish()
    stems = [name.rsplit(".", 1)[0].lower() for name in added]
    assert len(set(stems)) == len(names)
    assert added[:2] == kept[:2]
    with zipfile.ZipFile(stream) as archive:
        listed = archive.namelist()
        if file_format.startswith("coco"):
            document = json.loads(archive.read("annotations/instances_train.json"))
            assert [image["file_name"] for image in document["images"]] == added
        elif file_format == "labelme":
            for name in added:
                document = json.loads(archive.read(f"train/{Path(name).stem}.json"))
                assert document["imagePath"] == name
    assert len({name.lower() for name in listed}) == len(listed)


@pytest.mark.parametrize(
    "name", ["a.json", "a", "é" * 200 + ".png", "..", "a/../b.png", "\ud800", "a." + "x" * 300]
)
@pytest.mark.parametrize("file_format", DATASET_FORMATS)
def test_no_name_leads_out_of_the_folder_or_meets_another_file(tmp_path, name, file_format):
    photo, stream = photo_file(tmp_path, "a.jpg"), io.BytesIO()
    with DatasetWriter(stream, file_format, ClassList()) as writer:
        added = {writer.add(name, SIZE_HW, [disc("cat")], photo=photo) for _ in range(3)}
        writer.finish()
    with zipfile.ZipFile(stream) as archive:
        names = archive.namelist()
    assert len(added) == 3
    assert len(set(names)) == len(names)
    for one in names:
        assert all(part not in ("", ".", "..") for part in one.split("/"))
        assert max(len(part.encode()) for part in one.split("/")) <= 255
        assert Path(one).suffix


@pytest.mark.parametrize("file_format", DATASET_FORMATS)
def test_equal_photos_make_equal_bytes(tmp_path, file_format):
    photo = photo_file(tmp_path, "a.jpg")

    def made() -> bytes:
        stream = io.BytesIO()
        with DatasetWriter(stream, file_format, ClassList(CLASSES)) as writer:
            writer.add("a.jpg", SIZE_HW, [disc("cat")], "train", photo)
            writer.add("b.jpg", SIZE_HW, [disc("dog")], "val", photo)
            writer.finish()
        return stream.getvalue()

    assert made() == made()
    with zipfile.ZipFile(io.BytesIO(made())) as archive:
        copies = [archive.read(name) for name in archive.namelist() if name.endswith(".jpg")]
    assert copies == [photo.read_bytes()] * 2


def test_a_tolerance_makes_polygons_shorter_and_close(write):
    rough = PhotoObject("cat", MASKS["disc 0"])
    counts, overlaps = [], []
    for tolerance in (0.0, 1.0):
        folder = write("coco_polygons", [("a.jpg", [rough], "train")], tolerance=tolerance)
        coco = COCO(str(folder / "annotations" / "instances_train.json"))
        (annotation,) = coco.anns.values()
        counts.append(len(annotation["segmentation"][0]))
        overlaps.append(iou(coco.annToMask(annotation).astype(bool), rough.mask))
    assert counts[1] < counts[0] / 2
    assert overlaps[0] == 1
    assert 0.97 < overlaps[1] < 1


def test_train_and_val_are_named_even_if_one_has_no_photos(write):
    folder = write("yolo", [("a.jpg", [disc("cat")], "test")])
    data = yaml.safe_load((folder / "data.yaml").read_text())
    assert [data[split] for split in SPLITS] == ["images/test"] * 3


def test_a_photo_that_cannot_be_added_leaves_no_trace(tmp_path):
    noise = PhotoObject("cat", np.indices((1500, 1500)).sum(axis=0) % 2 == 0)
    stream = io.BytesIO()
    with DatasetWriter(stream, "yolo", ClassList()) as writer:
        with pytest.raises(PromptError, match="too ragged"):
            writer.add("a.jpg", (1500, 1500), [noise])
        with pytest.raises(PromptError, match="but the photo is"):
            writer.add("a.jpg", (5, 5), [noise])
        with pytest.raises(FileNotFoundError):
            writer.add("a.jpg", SIZE_HW, [disc("cat")], photo=tmp_path / "none.jpg")
        with pytest.raises(PromptError, match="no photos"):
            writer.finish()
        assert writer.add("a.jpg", SIZE_HW, [disc("cat")]) == "a.jpg"
        writer.finish()
    with zipfile.ZipFile(stream) as archive:
        assert archive.namelist() == ["labels/train/a.txt", "classes.txt", "data.yaml"]


def test_a_class_image_has_room_for_255_classes():
    with DatasetWriter(io.BytesIO(), "class_png", ClassList(map(str, range(255)))) as writer:
        writer.add("a.jpg", SIZE_HW, [disc("254")])
        with pytest.raises(PromptError, match="at most 255 classes"):
            writer.add("b.jpg", SIZE_HW, [disc("new")])


@pytest.mark.slow
@pytest.mark.parametrize("file_format", DATASET_FORMATS)
def test_memory_does_not_grow_with_the_photos(tmp_path, file_format):
    photo = tmp_path / "a.jpg"
    photo.write_bytes(random.Random(1).randbytes(200_000))
    objects = [disc("cat", radius=8), disc("dog", 60, 8)]
    grown = []
    with (tmp_path / "a.zip").open("wb+") as file:
        writer = DatasetWriter(file, file_format, ClassList())
        tracemalloc.start()
        for number in range(500):
            writer.add(f"{number}.jpg", SIZE_HW, objects, SPLITS[number % 3], photo)
            if number in (50, 499):
                grown.append(tracemalloc.get_traced_memory()[0])
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        writer.finish()
        writer.close()
    assert grown[1] - grown[0] < 1_000_000  # names and places in the ZIP; the photos have 90 MB
    assert peak < 5_000_000
    assert (tmp_path / "a.zip").stat().st_size > 100_000_000


KEYS = [f"photo {number}" for number in range(100)]


def test_a_split_depends_on_the_seed_and_not_on_the_order():
    splits = dict(zip(KEYS, split_photos(KEYS, (0.8, 0.1, 0.1), 7), strict=True))
    shuffled = random.Random(1).sample(KEYS, len(KEYS))
    again = dict(zip(shuffled, split_photos(shuffled, (80, 10, 10), 7), strict=True))
    assert again == splits
    assert [list(splits.values()).count(split) for split in SPLITS] == [80, 10, 10]
    assert split_photos(KEYS, (0.8, 0.1, 0.1), 8) != split_photos(KEYS, (0.8, 0.1, 0.1), 7)


def test_one_more_photo_moves_few_others():
    before = split_photos(KEYS, (0.8, 0.1, 0.1), 7)
    after = split_photos([*KEYS, "new"], (0.8, 0.1, 0.1), 7)
    assert sum(one != other for one, other in zip(before, after, strict=False)) <= 3


@pytest.mark.parametrize(
    ("count", "shares", "expected"),
    [
        (1, (0.8, 0.1, 0.1), [1, 0, 0]),
        (2, (0.8, 0.1, 0.1), [1, 1, 0]),
        (3, (0.8, 0.1, 0.1), [1, 1, 1]),
        (5, (0.8, 0.1, 0.1), [3, 1, 1]),
        (5, (0.8, 0.2, 0), [4, 1, 0]),
        (10, (0, 0, 1), [0, 0, 10]),
        (7, (1, 1, 1), [3, 2, 2]),
        (0, (1, 0, 0), [0, 0, 0]),
    ],
)
def test_shares_hold_and_no_part_is_empty_if_there_are_enough(count, shares, expected):
    found = split_photos(KEYS[:count], shares, 0)
    assert [found.count(split) for split in SPLITS] == expected


def test_equal_photos_are_in_one_split():
    keys = [f"{number // 4}" for number in range(40)]
    found = split_photos(keys, (0.5, 0.25, 0.25), 1)
    assert all(len(set(found[at : at + 4])) == 1 for at in range(0, 40, 4))
    assert set(found) == set(SPLITS)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("x.a:b", "x.a_b"),
        ("x.a|*?", "x.a___"),
        ("lpt1.a:b", "_lpt1.a_b"),
        ("a.jpg. . ", "a.jpg"),
        ("a..", "a.jpg"),
        ("x.JSON.", "x.JSON.jpg"),
        ("...a. .png", "_..a. .png"),
    ],
)
def test_a_copied_photo_has_a_safe_name_with_the_stem_of_its_labels(tmp_path, name, expected):
    photo, stream = photo_file(tmp_path, "a.jpg"), io.BytesIO()
    with DatasetWriter(stream, "yolo", ClassList()) as writer:
        assert writer.add(name, SIZE_HW, [disc("cat")], photo=photo) == expected
        writer.finish()
    with zipfile.ZipFile(stream) as archive:
        names = archive.namelist()
    stem = os.path.splitext(expected)[0]
    assert {f"images/train/{expected}", f"labels/train/{stem}.txt"} < set(names)
