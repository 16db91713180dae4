"""The photos, prompts and results of a batch in the current folder."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from PIL import Image


def save_photos(count, folder=Path("photos")):
    """Tiny photos 000.png, 001.png, ..., no two alike; those that are there are left alone."""
    folder.mkdir(exist_ok=True)
    noise = np.random.default_rng(3)
    for number in range(count):
        pixels = noise.integers(0, 256, (12 + number % 5, 16, 3), np.uint8)
        if not (folder / f"{number:03}.png").exists():
            Image.fromarray(pixels).save(folder / f"{number:03}.png")


def save_prompts(*lines):
    Path("prompts.jsonl").write_text(
        "".join(line if isinstance(line, str) else json.dumps(line) + "\n" for line in lines)
    )


def about(number, x=3, name="thing"):
    return {"file": f"{number:03}.png", "points": [[x, 5, 1]], "name": name}


def finished():
    """Names and figures of the COCO file: {file: [(category, area), ...]}."""
    coco = json.loads(Path("a.json").read_text())
    names = {image["id"]: image["file_name"] for image in coco["images"]}
    categories = {category["id"]: category["name"] for category in coco["categories"]}
    found = {name: [] for name in names.values()}
    assert len(found) == len(names) == len(coco["images"])
    for item in coco["annotations"]:
        found[names[item["image_id"]]].append((categories[item["category_id"]], item["area"]))
    return found
