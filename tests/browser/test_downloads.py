"""The files are those of the other two doors: /segment and the Python API, pixel for pixel."""

import io

import numpy as np
import pytest
from gradio_client import handle_file
from PIL import Image
from pycocotools import mask as coco_mask

from mobilesam import Prompt
from tests.serving import Disc, connect, draw

THING = Disc(500, 450, 300)
WIDTH, HEIGHT = 1700, 900


@pytest.fixture(scope="module")
def large(tmp_path_factory):
    """A photo larger than the page shows masks."""
    path = tmp_path_factory.mktemp("photos") / "große Scheibe (1).png"
    draw(WIDTH, HEIGHT, [THING, Disc(1300, 300, 150)]).save(path)
    return path


def as_array(data):
    return np.array(Image.open(io.BytesIO(data)))


def test_the_mask_file_is_the_mask_of_the_api_and_of_the_python_api(visitor, app, bundled, large):
    visitor.open(large)
    visitor.click(THING.centre)
    name, data = visitor.download("mask")
    mask = as_array(data)
    ((point,),) = visitor.histories()
    xy = point["x"], point["y"]
    assert name == "große-Scheibe-1-mask.png"
    assert mask.shape == (HEIGHT, WIDTH)
    assert set(np.unique(mask)) == {0, 255}

    answer = connect(app.url).predict(
        handle_file(large), [[*xy, 1]], None, None, api_name="/segment"
    )
    best = max(answer["masks"], key=lambda one: one["predicted_iou"])
    assert answer["size"] == [HEIGHT, WIDTH]
    assert np.array_equal(mask == 255, coco_mask.decode(best["rle"]) == 1)

    prediction = bundled.predict(bundled.encode(large), Prompt([xy], [1]))
    assert np.array_equal(mask == 255, prediction.masks[prediction.best])


def test_the_cut_out_is_the_photo_within_the_mask_and_nothing_else(visitor, large):
    visitor.open(large)
    visitor.click(THING.centre)
    name, data = visitor.download("cutout")
    cutout = as_array(data)
    mask = as_array(visitor.download("mask")[1]) == 255
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    bounds = np.s_[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    assert name == "große-Scheibe-1-cutout.png"
    assert cutout.shape == (*mask[bounds].shape, 4)
    assert np.array_equal(cutout[..., 3] == 255, mask[bounds])
    assert set(np.unique(cutout[..., 3])) <= {0, 255}
    photo = np.array(Image.open(large))[bounds]
    assert np.array_equal(cutout[..., :3][mask[bounds]], photo[mask[bounds]])
    assert not cutout[..., :3][~mask[bounds]].any()


def test_the_file_holds_the_chosen_candidate(visitor, bundled, large):
    visitor.open(large)
    visitor.click(THING.centre)
    (best,) = visitor.pressed()
    other = (best + 1) % 3
    with visitor.answered():
        visitor.candidates().nth(other).click()
    mask = as_array(visitor.download("mask")[1])
    prediction = bundled.predict(bundled.encode(large), Prompt([THING.centre], [1]))
    assert np.array_equal(mask == 255, prediction.masks[other])
    assert not np.array_equal(mask == 255, prediction.masks[best])


def test_a_refined_mask_starts_from_the_logits_of_the_one_before(visitor, bundled, large):
    visitor.open(large)
    visitor.click(THING.centre)
    visitor.click((300, 300), "right")
    mask = as_array(visitor.download("mask")[1])
    embedding = bundled.encode(large)
    first = bundled.predict(embedding, Prompt([THING.centre], [1]))
    logits = first.low_res_logits[first.best : first.best + 1]
    prompt = Prompt([THING.centre, (300, 300)], [1, 0])
    assert np.array_equal(mask == 255, bundled.predict(embedding, prompt, logits).masks[0])
