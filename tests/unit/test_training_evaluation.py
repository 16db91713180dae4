"""The figures of an evaluation: by hand, and against clicks made through the public API."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.ndimage import distance_transform_edt

from mobilesam import Prompt, Segmenter, Settings
from mobilesam.masks import mask_to_coco_rle
from mobilesam.model.backend import plain_backend
from mobilesam.training.annotations import AnnotatedPhoto, read_annotations
from mobilesam.training.evaluation import (
    MAX_CLICKS,
    MaskResult,
    clicks_needed,
    embed_with,
    evaluate,
    iou,
    summary,
    table,
)
from tests.training import SMALL, save_dataset, small_sam

NEVER = [0.5] * MAX_CLICKS
SLOW = [0.2, 0.86, 0.7, 0.8, 0.85, 0.88, 0.9]
AT_ONCE = [0.95, 0.8, 0.8, 0.8, 0.8, 0.8]


def test_clicks_are_counted_up_to_the_first_that_reaches_the_target():
    assert [clicks_needed(SLOW, target) for target in (0.85, 0.9)] == [2, 7]
    assert [clicks_needed(AT_ONCE, target) for target in (0.85, 0.9)] == [1, 1]
    assert [clicks_needed(NEVER, target) for target in (0.85, 0.9)] == [20, 20]


def test_the_summary_has_the_means_over_masks():
    results = [
        MaskResult(best_of_3=0.6, box=0.7, clicks=SLOW, teacher_iou_point=0.5, teacher_iou_box=1.0),
        MaskResult(1.0, 0.9, AT_ONCE, 0.7, 0.8),
        MaskResult(0.8, 0.5, NEVER, 0.6, 0.6),
    ]
    assert summary(results) == pytest.approx(
        {
            "masks": 3,
            "iou_point": (0.2 + 0.95 + 0.5) / 3,
            "iou_point_best_of_3": 0.8,
            "iou_box": 0.7,
            "iou_corrections_1": (0.86 + 0.8 + 0.5) / 3,
            "iou_corrections_2": (0.7 + 0.8 + 0.5) / 3,
            "iou_corrections_3": (0.8 + 0.8 + 0.5) / 3,
            "iou_corrections_4": (0.85 + 0.8 + 0.5) / 3,
            "iou_corrections_5": (0.88 + 0.8 + 0.5) / 3,
            "noc_85": (2 + 1 + 20) / 3,
            "noc_90": (7 + 1 + 20) / 3,
            "missed_85": 1 / 3,
            "missed_90": 1 / 3,
            "teacher_iou_point": 0.6,
            "teacher_iou_box": 0.8,
        }
    )


def test_few_clicks_give_no_number_of_clicks():
    names = set(summary([MaskResult(0.5, 0.5, [0.1, 0.2, 0.3])], max_clicks=3))
    assert names == {
        "masks", "iou_point", "iou_point_best_of_3", "iou_box", "iou_corrections_1",
        "iou_corrections_2",
    }  # fmt: skip


def test_iou_of_drawn_masks():
    one, other = np.zeros((2, 4, 4), bool)
    assert iou(one, other) == 1
    one[:2], other[1:3] = True, True
    assert iou(one, other) == 1 / 3


def test_the_table_has_a_column_for_each_model():
    lines = table(
        {"before": {"masks": 12.0, "iou_box": 0.5}, "after": {"masks": 12.0, "noc_90": 3.0}}
    ).splitlines()
    assert [line.split() for line in (lines[0], lines[1])] == [
        ["before", "after"],
        ["masks", "12", "12"],
    ]
    assert [line[-20:].split() for line in lines[2:]] == [["0.500", "-"], ["-", "3.00"]]
    assert len(set(map(len, lines))) == 1


def farthest(mask):
    """By another library."""
    depth = distance_transform_edt(np.pad(mask, 1))[1:-1, 1:-1]
    y, x = np.unravel_index(depth.argmax(), mask.shape)
    return depth.max(), (float(x), float(y))


def overlap(mask, other):
    return np.logical_and(mask, other).sum() / np.logical_or(mask, other).sum()


def clicked_by_hand(segmenter, embedding, mask, clicks):
    """The IoUs after each click, as a user of the public API would measure them."""
    prompt = Prompt([farthest(mask)[1]], [1])
    prediction = segmenter.predict(embedding, prompt)
    best_of_3 = max(overlap(one, mask) for one in prediction.masks)
    ious = []
    while True:
        index = prediction.best
        predicted = prediction.masks[index]
        ious.append(overlap(predicted, mask))
        if len(ious) == clicks:
            return ious, best_of_3
        (missing, at), (extra, there) = farthest(mask & ~predicted), farthest(predicted & ~mask)
        prompt = prompt.add_point(*(at if missing >= extra else there), int(missing >= extra))
        logits = prediction.low_res_logits[index : index + 1]
        prediction = segmenter.predict(embedding, prompt, logits, multimask_output=False)


@pytest.mark.slow
def test_it_agrees_with_clicks_through_the_public_api(bundled_sam, stub_weights, tmp_path):
    """On a photo whose longer side is 1024, so that its pixels are the model's."""
    rows, columns = np.mgrid[:640, :1024]
    disc = np.hypot(rows - 300, columns - 400) < 170
    masks = [disc & (columns < 430), np.hypot(rows - 320, columns - 850) < 90]
    pixels = np.random.default_rng(0).integers(0, 60, (640, 1024, 3))
    for mask, colour in ((disc, (150, 60, 20)), (masks[1], (20, 120, 180))):
        pixels[mask] += np.array(colour)
    path = tmp_path / "photo.png"
    Image.fromarray(pixels.astype(np.uint8)).save(path)
    rles = tuple(map(mask_to_coco_rle, masks))
    photo = AnnotatedPhoto(path, "digest", (640, 1024), rles)
    figures = evaluate(bundled_sam, [photo], embed_with(bundled_sam), max_clicks=4, quiet=True)

    segmenter = Segmenter(plain_backend(bundled_sam), stub_weights, "plain", Settings())
    embedding = segmenter.encode(path)
    clicks, best = zip(
        *(clicked_by_hand(segmenter, embedding, mask, 4) for mask in masks), strict=True
    )
    boxes = []
    for mask in masks:
        ys, xs = np.nonzero(mask)
        box = segmenter.predict(embedding, Prompt(box=(xs.min(), ys.min(), xs.max(), ys.max())))
        boxes.append(overlap(box.masks[0], mask))
    expected = {
        "iou_point_best_of_3": np.mean(best),
        "iou_box": np.mean(boxes),
        **dict(
            zip(
                ("iou_point", "iou_corrections_1", "iou_corrections_2", "iou_corrections_3"),
                np.mean(clicks, axis=0),
                strict=True,
            )
        ),
    }
    assert min(expected.values()) > 0.2
    assert figures == pytest.approx({"photos": 1, "masks": 2, **expected}, abs=0.002)


@pytest.mark.slow
def test_a_model_agrees_with_itself_as_its_teacher_and_not_with_another(tmp_path):
    photos, file = save_dataset(tmp_path, 2)
    annotated = read_annotations([file], photos, SMALL, pytest.fail)
    sam, other = small_sam(), small_sam(seed=8)
    figures = [
        evaluate(sam, annotated, embed_with(sam), teacher, max_clicks=2, quiet=True)
        for teacher in (sam, other, None)
    ]
    agreement = [[one.get(f"teacher_iou_{kind}") for kind in ("point", "box")] for one in figures]
    assert agreement[0] == [1, 1]
    assert max(agreement[1]) < 0.9
    assert agreement[2] == [None, None]


def test_masks_are_clicked_until_the_highest_target_and_five_corrections(tmp_path, monkeypatch):
    photos, file = save_dataset(tmp_path, 1)
    annotated = read_annotations([file], photos, SMALL, pytest.fail)
    truth = annotated[0].masks()
    sam, turns = small_sam(), []

    def decode(self, points, labels, boxes=None, mask_input=None, multimask_output=False):
        """Right at the eighth click for the first mask, at once for the second."""
        clicks = points.shape[1]
        turns.append(len(points))
        which = truth if len(points) == 2 else truth[:1]
        found = [
            mask if clicks >= 8 or mask is truth[1] else np.roll(mask, 20, axis=0) for mask in which
        ]
        count = 3 if multimask_output else 1
        logits = torch.zeros(len(points), count, SMALL // 4, SMALL // 4)
        return [[mask] * count for mask in found], torch.zeros(len(points), count), logits

    monkeypatch.setattr("mobilesam.training.evaluation.PhotoDecoder.decode", decode)
    figures = evaluate(sam, annotated, embed_with(sam), quiet=True)
    assert turns == [2, 2, *[2] * 5, *[1] * 2]  # points, boxes, corrections
    assert figures["noc_90"] == (8 + 1) / 2
    assert figures["missed_90"] == 0
