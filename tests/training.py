"""A small model, and annotated photos to learn from."""

import json

import numpy as np
import torch
from PIL import Image

from mobilesam.masks import mask_to_coco_rle
from mobilesam.model.checkpoint import checkpoint_bytes
from mobilesam.model.sam import build_sam
from mobilesam.training.teacher import set_input_size

SMALL = 128
"""The side of the small model's input."""

PHOTO_HW = (96, 128)


def small_sam(size=SMALL, seed=7):
    """MobileSAM with random weights for size x size pixels, in eval mode."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        sam = build_sam()
    set_input_size(sam, size)
    return sam.eval().requires_grad_(False)


def save_weights(path, seed=7):
    """A checkpoint with random weights, which is loaded as the official one is."""
    path.write_bytes(checkpoint_bytes(small_sam(seed=seed), {}))
    return path


def drawn_photo(seed):
    """(H, W, 3) uint8 with noise, and the masks of a bright disc and a dark rectangle in it."""
    random = np.random.default_rng(seed)
    height, width = PHOTO_HW
    rows, columns = np.mgrid[:height, :width]
    x, y, radius = random.integers(24, 40), random.integers(30, 66), random.integers(12, 22)
    disc = np.hypot(rows - y, columns - x) < radius
    left, top = random.integers(70, 90), random.integers(8, 40)
    rectangle = (columns >= left) & (columns < left + 30) & (rows >= top) & (rows < top + 40)
    pixels = random.integers(90, 140, (height, width, 3))
    pixels[disc] += 100
    pixels[rectangle] -= 80
    return pixels.astype(np.uint8), [disc, rectangle]


def annotation(image_id, segmentation, **fields):
    return {"image_id": image_id, "category_id": 1, "segmentation": segmentation, **fields}


def image(image_id, file_name, size_hw=PHOTO_HW):
    return {
        "id": image_id, "file_name": file_name, "height": size_hw[0], "width": size_hw[1],
    }  # fmt: skip


def save_coco(path, images, annotations):
    categories = [{"id": 1, "name": "object"}]
    document = {"images": images, "annotations": annotations, "categories": categories}
    path.write_text(json.dumps(document))
    return path


def save_dataset(folder, count):
    """Photos and their COCO file: (folder of the photos, file)."""
    photos = folder / "photos"
    photos.mkdir(parents=True)
    images, annotations = [], []
    for seed in range(count):
        pixels, masks = drawn_photo(seed)
        Image.fromarray(pixels).save(photos / f"{seed}.png")
        images.append(image(seed, f"{seed}.png"))
        annotations += [annotation(seed, mask_to_coco_rle(mask)) for mask in masks]
    return photos, save_coco(folder / "coco.json", images, annotations)
