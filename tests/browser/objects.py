"""What a visitor does with the list of objects, and what is seen of it."""

import io
import json

import numpy as np
from PIL import Image
from pycocotools import mask as coco_mask

_ROWS = """() => [...document.querySelectorAll('.sam-object')].map((row) => ({
  name: row.querySelector('input').value,
  current: row.hasAttribute('aria-current'),
  visible: row.dataset.visible === 'yes',
  colour: getComputedStyle(row.querySelector('.sam-swatch')).backgroundColor,
}))"""


def rows(visitor):
    return visitor.page.evaluate(_ROWS)


def names(visitor):
    return [row["name"] for row in rows(visitor)]


def press_next(visitor):
    visitor.page.locator(".sam-panel [data-do=next]").click()


def row(visitor, at):
    return visitor.page.locator(".sam-object").nth(at)


def take_up(visitor, at):
    with visitor.answered():
        row(visitor, at).locator(".sam-swatch").click()


def delete(visitor, at):
    row(visitor, at).get_by_label("Delete").click()


def layer_at(visitor, disc):
    """The pixel of the layer of kept objects in the middle of a disc."""
    pixels = visitor.pixels("layer")
    height, width = pixels.shape[:2]
    return pixels[round((disc.y + 0.5) * height / 200), round((disc.x + 0.5) * width / 300)]


def is_drawn(visitor, disc):
    return layer_at(visitor, disc)[3] > 0


def save_all(visitor, kind):
    visitor.part("format").select_option(kind)
    return visitor.download("save-all")


def index_picture(visitor):
    return np.array(Image.open(io.BytesIO(save_all(visitor, "index_png")[1])))


def coco_masks(data):
    document = json.loads(data)
    categories = {one["id"]: one["name"] for one in document["categories"]}
    return {
        categories[one["category_id"]]: coco_mask.decode(one["segmentation"]) == 1
        for one in document["annotations"]
    }


def disc_mask(disc):
    y, x = np.mgrid[:200, :300]
    return (x - disc.x) ** 2 + (y - disc.y) ** 2 <= disc.radius**2


def load(visitor, data, name="masks.json"):
    visitor.page.locator("input[data-part=masks-file]").set_input_files(
        {"name": name, "mimeType": "application/json", "buffer": data}
    )


def wait_for_objects(visitor, count):
    visitor.wait_for("(n) => Number(document.querySelector('.sam').dataset.objects) === n", count)
