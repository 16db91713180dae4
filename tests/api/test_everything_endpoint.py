"""/everything by gradio_client: the Python API's answer, and one sentence for bad options."""

import pytest
from gradio_client import handle_file
from gradio_client.exceptions import AppError
from pycocotools import mask as coco_mask

OPTIONS = {"points_per_side": 4, "pred_iou_thresh": 0.3, "stability_score_thresh": 0.2}


@pytest.fixture
def ask(client, photo):
    def everything(options):
        return client.predict(handle_file(photo), options, api_name="/everything")

    return everything


def test_the_answer_is_that_of_the_python_api(ask, bundled, photo):
    answer = ask(OPTIONS)
    records = bundled.everything(bundled.encode(photo), **OPTIONS)
    assert answer["size"] == [200, 300]
    assert len(answer["masks"]) == len(records) > 0
    for one, record in zip(answer["masks"], records, strict=True):
        assert (coco_mask.decode(one["rle"]).astype(bool) == record.mask).mean() > 0.999
        assert one["area"] == coco_mask.area(one["rle"])
        assert one["bbox"] == coco_mask.toBbox(one["rle"]).tolist()
        assert one["predicted_iou"] == pytest.approx(record.predicted_iou, abs=1e-4)
        assert one["stability_score"] == pytest.approx(record.stability_score, abs=1e-3)


BAD_OPTIONS = {
    "a list": ([1], "The options must be an object"),
    "a number": (16, "The options must be an object"),
    "an unknown name": ({"crop_n_layers": 9}, "crop_n_layers is not a known field"),
    "a name of Python's": ({"self": 1}, "self is not a known field"),
    "too many points": ({"points_per_side": 65}, "points_per_side must be a whole number"),
    "points in words": ({"points_per_side": "16"}, "points_per_side must be a whole number"),
    "null": ({"pred_iou_thresh": None}, "pred_iou_thresh must be a number"),
    "below zero": ({"box_nms_thresh": -1}, "box_nms_thresh must be a number"),
    "a huge area": ({"min_mask_region_area": 10**18}, "min_mask_region_area must be a whole"),
}


@pytest.mark.parametrize("kind", BAD_OPTIONS)
def test_bad_options_get_one_sentence(ask, kind):
    options, sentence = BAD_OPTIONS[kind]
    with pytest.raises(AppError) as refusal:
        ask(options)
    assert sentence in str(refusal.value)


def test_no_photo_gets_one_sentence(client):
    with pytest.raises(AppError, match="does not have the photo"):
        client.predict(None, None, api_name="/everything")
