"""What a user does in the result, and what is seen of it."""

import io
from pathlib import Path

import numpy as np
from PIL import Image

from tests.serving import YELLOW, Disc, draw

LARGE, SMALL = Disc(500, 450, 300), Disc(1300, 300, 150, YELLOW)
WIDTH, HEIGHT = 1700, 900
MOVES_APART_MS = 700  # turns of the wheel that follow sooner are undone together


def save_large(path):
    """Saves a photo with both discs, which is larger than what shows of it."""
    draw(WIDTH, HEIGHT, [LARGE, SMALL]).save(path)
    return path


def as_array(data):
    return np.array(Image.open(io.BytesIO(data)))


def show_result(demo):
    demo.page.keyboard.press("r")
    wait_full(demo)


def wait_full(demo):
    """Waits until the cut-out at its own size shows."""
    demo.page.wait_for_selector(".sam[data-view=result] [data-part=result-view][data-full=yes]")


def on(demo, background):
    demo.page.locator(f"[data-background='{background}']").click()


def shown(demo):
    """The result as it is on the screen, (H, W, 3)."""
    return as_array(demo.part("result-view").screenshot())[..., :3].astype(int)


def at(pixels, x, y):
    """The pixel of a result of any size, at this pixel of the photo."""
    height, width = pixels.shape[:2]
    return pixels[int(y * height / HEIGHT), int(x * width / WIDTH)]


def save(demo, command="result-save"):
    name, data = demo.download(command)
    return name, as_array(data)


def near(pixel, colour):
    return np.abs(np.array(pixel[:3], int) - colour).max() <= 6


def cutout_of(demo):
    """The cut-out file of the panel."""
    with demo.page.expect_download() as saved:
        demo.page.locator(".sam-panel [data-do=cutout]").click()
    return as_array(Path(saved.value.path()).read_bytes())


def pull(demo, dx, dy):
    """Drags the object in the result by a number of the photo's pixels."""
    box = demo.part("result-view").bounding_box()
    scale = box["width"] / WIDTH
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    demo.page.mouse.move(x, y)
    demo.page.mouse.down()
    demo.page.mouse.move(x + dx * scale, y + dy * scale, steps=4)
    demo.page.mouse.up()
    demo.page.wait_for_timeout(MOVES_APART_MS)


def red_centre(demo):
    """The middle of the object in the saved result, whose background is white: (x, y)."""
    rows, columns = np.nonzero(save(demo)[1][..., 1] < 200)
    return columns.mean(), rows.mean()
