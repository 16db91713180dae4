"""Objects as one file: the right content under a safe name, and limits before the work."""

from __future__ import annotations

import io
import json
import time
import zipfile

import numpy as np
import pytest
import yaml
from PIL import Image
from pycocotools import mask as coco_mask

from mobilesam.errors import AnnotationError, PromptError
from mobilesam.export import FILE_FORMATS, export_file, read_objects
from mobilesam.export.documents import MAX_COUNTS
from mobilesam.images import Photo
from mobilesam.objects import PhotoObject

H, W = 40, 60


def rle_of(mask):
    rle = coco_mask.encode(np.asfortranarray(mask, np.uint8))
    return {"size": rle["size"], "counts": rle["counts"].decode()}


@pytest.fixture
def masks():
    """A disc, and a rectangle that overlaps it."""
    y, x = np.mgrid[:H, :W]
    return np.hypot(y - 15, x - 20) < 12, (y > 10) & (y < 30) & (x > 25) & (x < 50)


@pytest.fixture
def objects(masks):
    names = ("cat", "dog {{7*7}} ${x} '%s'")
    return [PhotoObject(name, mask, 0.5) for name, mask in zip(names, masks, strict=True)]


@pytest.fixture
def photo():
    return Photo(np.random.default_rng(0).integers(0, 255, (H, W, 3), np.uint8))


@pytest.fixture
def export(photo, objects):
    def make(file_format, objects=objects, photo=photo, name="two cats.jpg"):
        return export_file(file_format, photo, objects, name)

    return make


def picture(data):
    return np.array(Image.open(io.BytesIO(data)))


def archive(data):
    with zipfile.ZipFile(io.BytesIO(data)) as opened:
        return {name: opened.read(name) for name in opened.namelist()}


def test_a_mask_is_that_of_all_objects_together(export, masks):
    name, data = export("mask_png")
    assert name == "two cats-masks.png"
    assert np.array_equal(picture(data), 255 * (masks[0] | masks[1]))


def test_an_index_picture_holds_the_places(export, masks):
    name, data = export("index_png")
    assert name == "two cats-index.png"
    assert np.array_equal(picture(data), np.where(masks[1], 2, masks[0]))


def test_cut_outs_carry_the_photos_own_pixels(export, photo, masks):
    name, data = export("cutouts_zip")
    files = archive(data)
    assert name == "two cats-cutouts.zip"
    assert list(files) == ["1-cat.png", "2-dog {{7_7}} ${x} '%s'.png"]
    assert np.array_equal(
        picture(files["2-dog {{7_7}} ${x} '%s'.png"])[..., :3], photo.pixels[11:30, 26:50]
    )


@pytest.mark.parametrize("kind", ["coco_rle", "coco_polygons"])
def test_coco_is_read_back_by_pycocotools(export, objects, kind):
    name, data = export(kind)
    document = json.loads(data)
    assert name == {"coco_rle": "two cats-coco.json"}.get(kind, "two cats-coco-polygons.json")
    assert document["images"] == [{"id": 1, "file_name": "two cats.jpg", "height": H, "width": W}]
    assert [one["name"] for one in document["categories"]] == [item.name for item in objects]
    for one, item in zip(document["annotations"], objects, strict=True):
        rle = one["segmentation"]
        assert isinstance(rle, list) == (kind == "coco_polygons")
        if isinstance(rle, list):
            rle = coco_mask.merge(coco_mask.frPyObjects(rle, H, W))
        assert np.array_equal(coco_mask.decode(rle), item.mask)
        assert one["predicted_iou"] == 0.5


def test_yolo_is_labels_and_their_names_in_the_folders_it_looks_in(export, objects):
    name, data = export("yolo")
    files = archive(data)
    assert name == "two cats-yolo.zip"
    assert list(files) == ["data.yaml", "labels/two cats.txt"]
    names = yaml.safe_load(files["data.yaml"])["names"]
    lines = files["labels/two cats.txt"].decode().splitlines()
    assert [names[int(line.split()[0])] for line in lines] == [item.name for item in objects]
    assert np.array(lines[0].split()[1:3], float).max() <= 1


def test_labelme_names_the_photo_and_the_labels(export, objects):
    name, data = export("labelme")
    document = json.loads(data)
    assert name == "two cats.json"
    assert document["imagePath"] == "two cats.jpg"
    assert [shape["label"] for shape in document["shapes"]] == [item.name for item in objects]


@pytest.mark.parametrize("kind", FILE_FORMATS)
def test_equal_objects_make_equal_files(export, kind, monkeypatch):
    first = export(kind)
    monkeypatch.setattr(time, "localtime", lambda *_: time.gmtime(10**9))
    assert export(kind) == first


@pytest.mark.parametrize("kind", FILE_FORMATS)
@pytest.mark.parametrize(
    "name",
    [
        "../../etc/passwd",
        "C:\\a\\nul.png",
        "..",
        "",
        "a\x00b\n.png",
        "\ud800",
        "{{x}}${y}",
        "é" * 900,
    ],
)
def test_whatever_the_photo_is_called_no_name_leads_out_of_a_folder(export, kind, name):
    file_name, data = export(kind, name=name)
    within = [file_name]
    if file_name.endswith(".zip"):
        within += [part for inner in archive(data) for part in inner.split("/")]
    elif file_name.endswith(".json"):
        document = json.loads(data)
        within.append(document.get("imagePath") or document["images"][0]["file_name"])
    for one in within:
        assert one not in {"", ".", ".."}
        assert not set(one) & set('/\\:\x00\n<>"|?*')
        assert len(one.encode()) <= 255
    assert file_name.split(".")[0].upper() not in {"NUL", "CON", "PRN", "AUX"}


@pytest.mark.parametrize("kind", ["", "png", "../coco_rle", None, 7, ["yolo"], {"yolo": 1}])
def test_another_format_is_answered_with_those_there_are(export, kind):
    with pytest.raises(PromptError, match="mask_png, index_png, cutouts_zip"):
        export(kind)


def test_no_objects_and_empty_masks_get_one_sentence_for_every_format(export):
    for kind in FILE_FORMATS:
        with pytest.raises(PromptError, match="no objects yet"):
            export(kind, [])
        with pytest.raises(PromptError, match="nothing to export"):
            export(kind, [PhotoObject("a", np.zeros((H, W), bool))])


def test_masks_of_another_photo_are_refused(export, objects):
    for kind in FILE_FORMATS:
        with pytest.raises(PromptError, match="but the photo is 60 x 40"):
            export(kind, [*objects, PhotoObject("a", np.ones((W, H), bool))])


@pytest.mark.parametrize("kind", ["coco_polygons", "yolo", "labelme"])
@pytest.mark.parametrize("what", ["holes", "parts"])
def test_polygons_of_very_many_holes_or_parts_are_refused(kind, what):
    """They would take gigabytes: the square of their number."""
    photo = Photo(np.zeros((3, 8003, 3), np.uint8))
    for count, fits in ((900, True), (1100, False)):
        mask = np.full((3, 8003), what == "holes")
        mask[1, 1 : 2 * count : 2] = what == "parts"
        item = PhotoObject("a", mask)
        if fits:
            assert export_file(kind, photo, [item], "a.jpg")[1]
        else:
            with pytest.raises(PromptError, match="too ragged"):
                export_file(kind, photo, [item], "a.jpg")


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["coco_polygons", "yolo", "labelme"])
def test_polygons_round_noise_are_refused_at_once(kind):
    noise = PhotoObject("a", np.indices((1500, 1500)).sum(axis=0) % 2 == 0)
    photo = Photo(np.zeros((1500, 1500, 3), np.uint8))
    with pytest.raises(PromptError, match="too ragged"):
        export_file(kind, photo, [noise], "a.png")
    assert export_file("coco_rle", photo, [noise], "a.png")[1]


@pytest.mark.parametrize("kind", ["coco_polygons", "yolo", "labelme"])
def test_a_comb_whose_outline_is_too_long_is_refused(kind):
    """One part, but an outline of more than a million pixels: simplifying it takes long."""
    comb = np.zeros((1500, 2000), bool)
    comb[:, ::4] = comb[0] = True
    photo = Photo(np.zeros((1500, 2000, 3), np.uint8))
    with pytest.raises(PromptError, match="too ragged"):
        export_file(kind, photo, [PhotoObject("a", comb)], "a.png", tolerance=1)


def test_cut_outs_that_would_fill_the_memory_are_refused():
    photo = Photo(np.zeros((4000, 5000, 3), np.uint8))
    whole = PhotoObject("a", np.ones((4000, 5000), bool))
    with pytest.raises(PromptError, match="too large for one file"):
        export_file("cutouts_zip", photo, [whole] * 11, "a.png")


def test_objects_are_read_as_a_client_sends_them(masks):
    rows = [
        {"name": " cat ", "rle": rle_of(masks[0]), "predicted_iou": 0.9, "bbox": [1, 2, 3, 4]},
        {"name": "dog", "rle": {"size": [H, W], "counts": [0, H * W]}},
    ]
    cat, dog = read_objects(rows, (H, W))
    assert (cat.name, cat.predicted_iou, dog.predicted_iou) == ("cat", 0.9, None)
    assert np.array_equal(cat.mask, masks[0])
    assert dog.mask.all()


GOOD = {"name": "a", "rle": {"size": [H, W], "counts": [0, H * W]}}
BAD_ROWS = {
    "null": (None, "objects must be a list"),
    "one object": (GOOD, "objects must be a list"),
    "words": (["a"], r"objects\[0\] must be an object"),
    "10,000 objects": ([GOOD] * 10_000, "10000 objects; at most 1000"),
    "no name": ([{"rle": GOOD["rle"]}], r"objects\[0\].name is missing"),
    "an empty name": ([{**GOOD, "name": " \n"}], "Give the object a name"),
    "a long name": ([{**GOOD, "name": "a" * 81}], "at most 80"),
    "no mask": ([{"name": "a"}], r"objects\[0\].rle is missing"),
    "another size": ([{**GOOD, "rle": {"size": [W, H], "counts": "1"}}], r"size is \[40, 60\]"),
    "damaged counts": ([{**GOOD, "rle": {"size": [H, W], "counts": "o"}}], "damaged"),
    "too few counts": ([{**GOOD, "rle": {"size": [H, W], "counts": [5]}}], "do not fill"),
    "a huge list": (
        [{**GOOD, "rle": {"size": [H, W], "counts": [0] * (MAX_COUNTS // 2 + 1)}}] * 2,
        "too long together",
    ),
    "an infinite estimate": ([{**GOOD, "predicted_iou": float("inf")}], "finite number"),
}


@pytest.mark.parametrize("kind", BAD_ROWS)
def test_objects_that_cannot_be_read_get_one_sentence(kind):
    rows, sentence = BAD_ROWS[kind]
    with pytest.raises((AnnotationError, PromptError), match=sentence):
        read_objects(rows, (H, W))


def rectangle_rows(count, size_hw, side):
    """Rectangles as uncompressed RLEs, which need no pixels here."""
    height, width = size_hw
    random = np.random.default_rng(4)
    for number in range(count):
        x, y = (int(random.integers(0, limit - side)) for limit in (width, height))
        counts = [x * height + y, *[side, height - side] * (side - 1), side]
        counts.append(height * width - sum(counts))
        yield {"name": f"class {number % 20}", "rle": {"size": [height, width], "counts": counts}}


@pytest.mark.slow
@pytest.mark.parametrize("kind", [kind for kind in FILE_FORMATS if kind != "cutouts_zip"])
def test_a_thousand_objects_of_12_megapixels_take_seconds(kind):
    size_hw = (3000, 4000)
    photo = Photo(np.broadcast_to(np.uint8(0), (*size_hw, 3)))
    started = time.process_time()
    rows = list(rectangle_rows(255 if kind == "index_png" else 1000, size_hw, 150))
    objects = read_objects(rows, size_hw)
    assert export_file(kind, photo, objects, "a.jpg", tolerance=0.5)[1]
    assert time.process_time() - started < 15  # 1 to 4 s; with full masks more than 30 s
