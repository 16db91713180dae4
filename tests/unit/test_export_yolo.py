"""YOLO labels, read by supervision and as ultralytics rasterises them."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import supervision
import yaml
from PIL import Image

from mobilesam import PhotoObject
from mobilesam.export.classes import ClassList
from mobilesam.export.coco import coco_annotation
from mobilesam.export.yolo import yolo_data_yaml, yolo_labels
from tests.serving import iou
from tests.shapes import SPECKS, fifty_masks

ROOT = Path(__file__).parents[2]
MASKS = fifty_masks()
NAMES = ["cat", "thing"]


@pytest.fixture
def read_by_supervision(tmp_path):
    """read(text, size_hw): names, classes and masks that supervision finds in a data set."""

    def read(text: str, size_hw: tuple[int, int]) -> tuple[list[str], list[int], np.ndarray]:
        for folder in ("images", "labels"):
            (tmp_path / folder).mkdir()
        Image.new("RGB", size_hw[::-1]).save(tmp_path / "images" / "photo.png")
        (tmp_path / "labels" / "photo.txt").write_text(text)
        (tmp_path / "data.yaml").write_text(yolo_data_yaml(NAMES))
        paths = [str(tmp_path / name) for name in ("images", "labels", "data.yaml")]
        dataset = supervision.DetectionDataset.from_yolo(*paths)
        found = next(iter(dataset.annotations.values()))
        return dataset.classes, found.class_id.tolist(), found.mask

    return read


def rasterised_by_ultralytics(line: str, size_hw: tuple[int, int]) -> np.ndarray:
    """Its polygon2mask: float32 times the size, truncated, cv2.fillPoly."""
    relative = np.array(line.split()[1:], np.float32).reshape(-1, 2)
    canvas = np.zeros(size_hw, np.uint8)
    cv2.fillPoly(canvas, [(relative * np.array(size_hw[::-1])).astype(np.int32)], (1,))
    return canvas.astype(bool)


@pytest.mark.parametrize("name", MASKS)
def test_readers_that_round_or_truncate_find_the_mask(name, read_by_supervision, tell):
    mask = MASKS[name]
    text = yolo_labels([PhotoObject("thing", mask)], mask.shape, ClassList(NAMES))
    names, classes, (rounded,) = read_by_supervision(text, mask.shape)
    truncated = rasterised_by_ultralytics(text, mask.shape)
    overlap = min(iou(rounded, mask), iou(truncated, mask))
    tell(f"YOLO {name}: IoU {overlap:.4f}")
    assert (names, classes) == (NAMES, [1])
    assert not (mask & ~(rounded & truncated)).any()
    # Specks far apart weigh less than the lines that join them; nothing is lost, much is added.
    assert overlap >= (0.01 if name.startswith(SPECKS) else 0.98)


@pytest.mark.parametrize("size_hw", [(8, 8), (3, 11), (40, 2)])
@pytest.mark.parametrize("corner_xy", [(10, 12), (0, 0)])
def test_the_box_around_vertices_is_one_pixel_smaller_as_documented(size_hw, corner_xy):
    """Vertices are pixels, as OpenCV and Pillow fill them; COCO's box counts the last pixel too."""
    (height, width), (x, y) = size_hw, corner_xy
    mask = np.zeros((60, 90), bool)
    mask[y : y + height, x : x + width] = True
    item = PhotoObject("cat", mask)
    line = yolo_labels([item], mask.shape, ClassList(NAMES))
    vertices = np.floor(np.array(line.split()[1:], float).reshape(-1, 2) * (90, 60)).astype(int)
    assert (vertices.min(axis=0).tolist(), vertices.max(axis=0).tolist()) == (
        [x, y],
        [x + width - 1, y + height - 1],
    )
    assert coco_annotation(item)["bbox"] == [x, y, width, height]


def test_the_documentation_says_what_readers_of_boxes_must_add():
    text = " ".join((ROOT / "docs" / "api.md").read_text().split())
    assert "the box around the vertices get 7 x 7: they should add one pixel" in text


@pytest.mark.slow
@pytest.mark.parametrize("shape", [(1, 1), (1, 5), (5, 1)])
def test_a_pixel_or_a_line_is_no_box(shape, read_by_supervision):
    mask = np.zeros((4000, 6000), bool)
    mask[-shape[0] :, -shape[1] :] = True
    text = yolo_labels([PhotoObject("cat", mask)], mask.shape, ClassList(NAMES))
    assert len(text.split()) == 7
    _, _, (found,) = read_by_supervision(text, mask.shape)
    np.testing.assert_array_equal(found, mask)
    np.testing.assert_array_equal(rasterised_by_ultralytics(text, mask.shape), mask)


def test_every_object_has_a_line_but_those_with_empty_masks(read_by_supervision):
    mask = MASKS["disc 0"]
    objects = [PhotoObject(name, each) for name, each in
               (("thing", mask), ("cat", mask & ~mask), ("cat", ~mask))]  # fmt: skip
    text = yolo_labels(objects, mask.shape, ClassList(NAMES))
    assert text.count("\n") == 2
    assert read_by_supervision(text, mask.shape)[1] == [1, 0]
    numbers = np.array([value for line in text.splitlines() for value in line.split()[1:]], float)
    assert 0 <= numbers.min() <= numbers.max() <= 1
    assert yolo_labels([], mask.shape, ClassList(NAMES)) == ""


def test_data_yaml_keeps_any_name():
    names = ["cat", "no", "1", 'say "hi": #x', "back\\slash", "Bär 猫 😀", "- {a: [b", "'"]
    content = yaml.safe_load(yolo_data_yaml(names))
    assert content == {"train": "images", "val": "images", "names": dict(enumerate(names))}
