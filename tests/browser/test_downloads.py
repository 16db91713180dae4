"""Downloaded files agree with /segment and with the Python API, pixel for pixel."""

import io

import numpy as np
import pytest
from gradio_client import handle_file
from PIL import Image
from pycocotools import mask as coco_mask

from mobilesam import Prompt, clean_mask
from mobilesam.export import cutout_png
from mobilesam.images import open_photo
from tests.browser.object_list import press_next
from tests.serving import LEFT, RIGHT, Disc, assert_same_masks, connect, draw

LARGE = Disc(500, 450, 300)
WIDTH, HEIGHT = 1700, 900


@pytest.fixture(scope="module")
def large(tmp_path_factory):
    """A photo larger than the page shows masks."""
    path = tmp_path_factory.mktemp("photos") / "große Scheibe (1).png"
    draw(WIDTH, HEIGHT, [LARGE, Disc(1300, 300, 150)]).save(path)
    return path


def as_array(data):
    return np.array(Image.open(io.BytesIO(data)))


def test_the_mask_file_is_the_mask_of_the_api_and_of_the_python_api(demo, app, bundled, large):
    demo.open(large)
    demo.click(LARGE.centre)
    name, data = demo.download("mask")
    mask = as_array(data)
    ((point,),) = demo.interactions()
    xy = point["x"], point["y"]
    assert name == "große Scheibe (1)-mask.png"
    assert mask.shape == (HEIGHT, WIDTH)
    assert set(np.unique(mask)) == {0, 255}

    answer = connect(app.url).predict(
        handle_file(large), [[*xy, 1]], None, None, True, api_name="/segment"
    )
    best = answer["masks"][answer["best"]]
    assert answer["size"] == [HEIGHT, WIDTH]
    assert np.array_equal(mask == 255, coco_mask.decode(best["rle"]) == 1)

    prompt = Prompt([xy], [1])
    prediction = bundled.predict(bundled.encode(large), prompt)
    assert_same_masks(mask == 255, clean_mask(prediction.masks[prediction.best], prompt))


def test_the_cut_out_is_that_of_the_python_api_with_soft_edges(demo, large):
    demo.open(large)
    demo.click(LARGE.centre)
    name, data = demo.download("cutout")
    mask = as_array(demo.download("mask")[1]) == 255
    assert name == "große Scheibe (1)-cutout.png"
    assert data == cutout_png(open_photo(large), mask, soft=True)


def test_the_file_has_the_chosen_candidate(demo, bundled, large):
    demo.open(large)
    demo.click(LARGE.centre)
    (best,) = demo.pressed()
    other = (best + 1) % 3
    with demo.answered():
        demo.candidates().nth(other).click()
    mask = as_array(demo.download("mask")[1])
    prediction = bundled.predict(bundled.encode(large), Prompt([LARGE.centre], [1]))
    assert_same_masks(mask == 255, prediction.masks[other])
    assert ((mask == 255) != prediction.masks[best]).mean() > 1e-3


def test_a_refined_mask_starts_from_the_logits_of_the_last_one(demo, bundled, large):
    demo.open(large)
    demo.click(LARGE.centre)
    demo.click((300, 300), "right")
    mask = as_array(demo.download("mask")[1])
    embedding = bundled.encode(large)
    first = bundled.predict(embedding, Prompt([LARGE.centre], [1]))
    logits = first.low_res_logits[first.best : first.best + 1]
    prompt = Prompt([LARGE.centre, (300, 300)], [1, 0])
    refined = bundled.predict(embedding, prompt, logits).masks[0]
    # The processes may add in another order; the logits of another candidate change 137 pixels.
    assert ((mask == 255) != clean_mask(refined, prompt)).sum() <= 30


def test_without_a_mask_that_is_edited_the_files_are_those_of_all_objects(new_demo, photo):
    demo = new_demo(permissions=["clipboard-read", "clipboard-write"])
    demo.open(photo)
    title = demo.part("download-title")
    buttons = [demo.page.locator(f".sam-panel [data-do={do}]") for do in ("cutout", "copy", "mask")]
    assert [button.is_disabled() for button in buttons] == [True] * 3
    assert title.inner_text() == "Download"
    demo.click(LEFT.centre)
    assert title.inner_text() == "Download this mask"
    left = as_array(demo.download("mask")[1])
    press_next(demo)
    demo.click(RIGHT.centre)
    right = as_array(demo.download("mask")[1])
    press_next(demo)
    assert title.inner_text() == "Download all objects"
    name, data = demo.download("mask")
    assert name == "discs-masks.png"
    assert np.array_equal(as_array(data), np.maximum(left, right))
    name, data = demo.download("cutout")
    cutout = as_array(data)
    rows, columns = np.nonzero(np.maximum(left, right))
    assert name == "discs-cutout.png"
    assert abs(cutout.shape[1] - np.ptp(columns)) <= 6
    assert abs(cutout.shape[0] - np.ptp(rows)) <= 6
    buttons[1].click()
    demo.wait_for("() => document.querySelector('[data-part=alert-text]').textContent")
    assert demo.alert() == "Cut-out copied."
