"""/export by gradio_client: the masks of /segment as files, and one sentence for hostile input."""

import json
from pathlib import Path

import httpx
import numpy as np
import pytest
from gradio_client import handle_file
from gradio_client.exceptions import AppError
from PIL import Image
from pycocotools import mask as coco_mask

from mobilesam.export import FILE_FORMATS
from tests.serving import LEFT, ROOT

FULL = {"name": "all", "rle": {"size": [200, 300], "counts": [0, 60000]}}


def files_named(app, name):
    return {path for path in app.files_left() if path.name == name}


@pytest.fixture
def ask(client, photo):
    def export(objects, file_format="mask_png", image=photo):
        return client.predict(handle_file(image), objects, file_format, api_name="/export")

    return export


@pytest.fixture(scope="module")
def found(client, photo):
    """The disc, as /segment gives it."""
    answer = client.predict(
        handle_file(photo), [[*LEFT.centre, 1]], None, None, api_name="/segment"
    )
    best = max(answer["masks"], key=lambda one: one["predicted_iou"])
    return {"name": "disc", **best}


def test_the_endpoint_says_what_it_takes(client):
    endpoint = client.view_api(return_format="dict", print_info=False)["named_endpoints"]["/export"]
    by_name = {one["parameter_name"]: one for one in endpoint["parameters"]}
    assert list(by_name) == ["image", "objects", "format", "name", "edges", "classes", "tolerance"]
    assert by_name["format"]["type"]["enum"] == list(FILE_FORMATS)
    assert by_name["objects"]["type"]["type"] == "array"


@pytest.mark.parametrize("file_format", FILE_FORMATS)
def test_the_mask_of_segment_becomes_a_file_of_every_format(ask, found, file_format):
    file = Path(ask([found], file_format))
    mask = coco_mask.decode(found["rle"])
    assert file.name.startswith("discs")
    if file_format == "mask_png":
        assert np.array_equal(np.array(Image.open(file)), 255 * mask)
    elif file_format == "coco_rle":
        (annotation,) = json.loads(file.read_bytes())["annotations"]
        assert np.array_equal(coco_mask.decode(annotation["segmentation"]), mask)
        assert annotation["predicted_iou"] == found["predicted_iou"]
    else:
        assert file.stat().st_size > 100


def test_the_ids_are_those_of_the_classes_and_polygons_get_shorter(client, found, photo):
    def export(file_format, classes, tolerance):
        arguments = handle_file(photo), [found], file_format, None, None, classes, tolerance
        return Path(client.predict(*arguments, api_name="/export")).read_bytes()

    polygons = []
    for tolerance in (None, 0, 2.0):
        document = json.loads(export("coco_polygons", ["cat", "disc"], tolerance))
        assert [one["name"] for one in document["categories"]] == ["cat", "disc"]
        assert document["annotations"][0]["category_id"] == 2
        polygons.append(document["annotations"][0]["segmentation"])
    assert polygons[0] == polygons[1]
    assert len(str(polygons[2])) < len(str(polygons[0])) / 2
    for classes, tolerance, message in (
        ("cat", 0, "classes must be a list"),
        (["cat", "cat"], 0, "twice"),
        (None, -1, "tolerance must"),
        (None, "much", "tolerance must"),
    ):
        with pytest.raises(AppError, match=message):
            export("yolo", classes, tolerance)


def test_the_file_lies_in_a_secret_folder_within_that_of_the_process(app, client, found, photo):
    before = files_named(app, "discs-masks.png")
    client.predict(handle_file(photo), [found], "mask_png", api_name="/export")
    (made,) = files_named(app, "discs-masks.png") - before
    assert len(made.parent.name) == 48
    assert made.parent.parent.parent == app.files
    assert made.parent.parent.stat().st_mode & 0o777 == 0o700


BAD_OBJECTS = {
    "nothing": (None, "objects must be a list"),
    "none": ([], "no objects yet"),
    "a number": (7, "objects must be a list"),
    "10,000 objects": ([FULL] * 10_000, "at most 1000"),
    "another photo's mask": (
        [{"name": "a", "rle": {"size": [300, 200], "counts": [0, 60000]}}],
        "size is [200, 300]",
    ),
    "damaged counts": (
        [{"name": "a", "rle": {"size": [200, 300], "counts": "~~~~"}}],
        "counts are damaged",
    ),
    "a huge list": (
        [{"name": "a", "rle": {"size": [200, 300], "counts": [0] * 1_000_000}}],
        "do not fill",
    ),
    "a name of a list": ([{**FULL, "name": ["a"]}], "name must be text"),
    "an estimate in words": ([{**FULL, "predicted_iou": "high"}], "finite number"),
}


@pytest.mark.parametrize("kind", BAD_OBJECTS)
def test_bad_objects_get_one_sentence(ask, kind):
    objects, sentence = BAD_OBJECTS[kind]
    with pytest.raises(AppError) as refusal:
        ask(objects)
    assert sentence in str(refusal.value)


@pytest.mark.parametrize("file_format", [None, "exe", ["yolo"], "../mask_png"])
def test_another_format_gets_one_sentence(ask, file_format):
    with pytest.raises(AppError, match="The format must be one of mask_png"):
        ask([FULL], file_format)


def test_a_name_that_is_a_template_stays_a_name(ask):
    name = "{{7*7}} ${process.pid} <script>"
    (category,) = json.loads(Path(ask([{**FULL, "name": name}], "coco_rle")).read_bytes())[
        "categories"
    ]
    assert category["name"] == name


def test_a_photo_outside_the_upload_folder_and_none_are_refused(app, client):
    with pytest.raises(AppError, match="does not have the photo"):
        client.predict(None, [FULL], "mask_png", api_name="/export")
    body = {"data": [{"path": "/etc/passwd"}, [FULL], "mask_png"]}
    with httpx.Client(base_url=app.url, timeout=60) as http:
        event = http.post("gradio_api/call/export", json=body).json()["event_id"]
        answer = http.get(f"gradio_api/call/export/{event}").text
    assert "event: error" in answer
    assert "passwd" not in answer


def test_none_of_this_was_an_unexpected_error(new_log):
    log = new_log()
    assert "ERROR mobilesam" not in log
    # Gradio logs tracebacks of its own for requests that it refuses.
    assert f'File "{ROOT}/mobilesam' not in log
