"""What a user does with the list of objects, and what is seen of it."""

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


def rows(demo):
    return demo.page.evaluate(_ROWS)


def names(demo):
    return [row["name"] for row in rows(demo)]


def press_next(demo):
    """Keeps the object, and leaves its name as it is."""
    demo.page.locator(".sam-panel [data-do=next]").click()
    demo.page.evaluate("() => document.activeElement.blur()")


def row(demo, at):
    return demo.page.locator(".sam-object").nth(at)


def edit(demo, at):
    with demo.answered():
        row(demo, at).locator(".sam-swatch").click()


def delete(demo, at):
    row(demo, at).get_by_label("Delete").click()


def layer_at(demo, disc):
    """The pixel of the layer of objects in the middle of a disc."""
    pixels = demo.pixels("layer")
    height, width = pixels.shape[:2]
    return pixels[round((disc.y + 0.5) * height / 200), round((disc.x + 0.5) * width / 300)]


def is_drawn(demo, disc):
    return layer_at(demo, disc)[3] > 0


def save_all(demo, kind):
    demo.part("format").select_option(kind)
    return demo.download("save-all")


def index_picture(demo):
    return np.array(Image.open(io.BytesIO(save_all(demo, "index_png")[1])))


def coco_masks(data):
    document = json.loads(data)
    categories = {one["id"]: one["name"] for one in document["categories"]}
    return {
        categories[one["category_id"]]: coco_mask.decode(one["segmentation"]) == 1
        for one in document["annotations"]
    }


def load(demo, data, name="masks.json"):
    demo.page.locator("input[data-part=mask-file]").set_input_files(
        {"name": name, "mimeType": "application/json", "buffer": data}
    )
