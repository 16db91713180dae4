"""The log of interactions: validation of its JSON, and the answer that follows from it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import ndimage

from mobilesam import AnnotationError, Prediction, Prompt, PromptError
from mobilesam.frame import Frame
from mobilesam.interactions import (
    MAX_INTERACTIONS,
    MAX_PAINTED_PX,
    MAX_PATH_POINTS,
    AddPoint,
    Answer,
    ChooseCandidate,
    SetBox,
    SetMask,
    painted_px,
    parse_interactions,
    replay,
)
from mobilesam.masks import mask_to_coco_rle
from mobilesam.paint import CERTAIN_LOGIT, MAX_RADIUS_PX, Stroke
from mobilesam.prompts import MAX_POINTS

SIZE_HW = (120, 180)
FRAME = Frame(SIZE_HW, (683, 1024))
CLICK, OTHER = AddPoint(90, 60, 1), AddPoint(20, 20, 0)
BOX = SetBox((10, 20, 150, 110))


class FakeDecoder:
    """Three candidates for a single point, else one; the second of three is the best.

    Every prediction has logits of its own, so that a mask_input tells where it came from.
    """

    def __init__(self) -> None:
        self.requests: list[tuple[Prompt, float | None]] = []
        """Prompt and the value that fills the mask_input."""

    def __call__(self, prompt: Prompt, mask_input: np.ndarray | None) -> Prediction:
        if mask_input is not None:
            assert mask_input.shape == (1, 256, 256)
        self.requests.append((prompt, None if mask_input is None else float(mask_input[0, 0, 0])))
        count = 3 if prompt.is_single_point else 1
        first = 10 * len(self.requests)
        logits = np.arange(first, first + count, dtype=np.float32)[:, None, None]
        ious = np.array([0.5, 0.9, 0.7][:count], np.float32)
        return Prediction(np.tile(logits, (1, 256, 256)), ious, FRAME, 0.0)


def play(interactions, decoder, frame=FRAME) -> Answer:
    """Drives a replay with a decoder that remembers nothing."""
    steps = replay(tuple(interactions), frame)
    try:
        _, answer = next(steps)
        while True:
            _, answer = steps.send(decoder(answer.prompt, answer.mask_input))
    except StopIteration as end:
        return end.value


def decoded_for(*log) -> list[tuple[Prompt, float | None]]:
    decoder = FakeDecoder()
    play(log, decoder)
    return decoder.requests


def test_a_first_click_is_decoded_alone_and_its_best_candidate_chosen():
    decoder = FakeDecoder()
    answer = play((CLICK,), decoder)
    assert decoder.requests == [(Prompt([(90, 60)], [1]), None)]
    assert answer.index == 1
    assert answer.prompt == Prompt([(90, 60)], [1])


def test_a_second_click_refines_the_default_candidate():
    assert decoded_for(CLICK, OTHER)[1] == (Prompt([(90, 60), (20, 20)], [1, 0]), 11)


def test_a_second_click_refines_the_chosen_candidate():
    assert decoded_for(CLICK, ChooseCandidate(2), OTHER)[1][1] == 12
    assert decoded_for(CLICK, ChooseCandidate(2), ChooseCandidate(0), OTHER)[1][1] == 10


def test_every_further_click_refines_the_prediction_before_it():
    assert [mask_input for _, mask_input in decoded_for(CLICK, OTHER, OTHER)] == [None, 11, 20]


def test_a_box_starts_afresh_without_mask_input_or_earlier_decodes():
    assert decoded_for(CLICK, BOX) == [(Prompt([(90, 60)], [1], BOX.box), None)]


def test_a_click_after_a_box_refines_its_answer():
    assert decoded_for(BOX, CLICK)[1] == (Prompt([(90, 60)], [1], BOX.box), 10)


def test_a_new_box_replaces_the_old_one():
    other = SetBox((0, 0, 9, 9))
    assert decoded_for(BOX, other) == [(Prompt(box=other.box), None)]


def test_choosing_a_candidate_costs_no_decode():
    decoder = FakeDecoder()
    answer = play((CLICK, ChooseCandidate(2)), decoder)
    assert answer.index == 2
    assert answer.mask_input[0, 0, 0] == 12
    assert len(decoder.requests) == 1


@pytest.mark.parametrize("index", [-1, 3, 99])
def test_a_candidate_that_does_not_exist_cannot_be_chosen(index):
    with pytest.raises(PromptError, match="candidate"):
        decoded_for(CLICK, ChooseCandidate(index))


def test_a_candidate_cannot_be_chosen_before_a_prediction():
    with pytest.raises(PromptError, match="candidate"):
        decoded_for(ChooseCandidate(0), CLICK)


def test_only_candidates_of_the_last_prediction_can_be_chosen():
    with pytest.raises(PromptError, match="candidate"):
        decoded_for(CLICK, OTHER, ChooseCandidate(1))


def test_an_empty_log_has_no_answer():
    with pytest.raises(PromptError, match="at least one"):
        decoded_for()


@pytest.mark.slow
def test_a_click_costs_one_decode_however_long_the_log(segmenter, stub_sam, disc):
    embedding = segmenter.encode(disc)
    log = []
    for number in range(12):
        log.append(AddPoint(60 + 5 * number, 60, number % 2))
        segmenter.answer(embedding, tuple(log))
        assert stub_sam.mask_decoder.calls == number + 1


@pytest.mark.slow
def test_undo_and_redo_cost_no_decode_and_give_the_same_answer(segmenter, stub_sam, disc):
    embedding = segmenter.encode(disc)
    log = (CLICK, ChooseCandidate(0), OTHER, BOX, AddPoint(100, 70, 1))
    answers = [segmenter.answer(embedding, log[: n + 1]) for n in range(len(log))]
    decodes = stub_sam.mask_decoder.calls
    assert decodes == 4
    for n in [3, 2, 1, 0, 1, 2, 3, 4]:
        again = segmenter.answer(embedding, log[: n + 1])
        assert again.index == answers[n].index
        np.testing.assert_array_equal(again.mask_input, answers[n].mask_input)
    assert stub_sam.mask_decoder.calls == decodes


@pytest.mark.slow
def test_a_refinement_is_decoded_with_the_logits_of_the_chosen_candidate(segmenter, disc):
    embedding = segmenter.encode(disc)
    first = segmenter.predict(embedding, Prompt([(90, 60)], [1]))
    second = Prompt([(90, 60), (20, 20)], [1, 0])
    answers = {}
    for index in range(3):
        expected = segmenter.predict(embedding, second, first.low_res_logits[index : index + 1])
        answer = segmenter.answer(embedding, (CLICK, ChooseCandidate(index), OTHER))
        np.testing.assert_allclose(
            answer.prediction.low_res_logits, expected.low_res_logits, atol=1e-5
        )
        answers[index] = expected.low_res_logits
    assert np.abs(answers[0] - answers[1]).max() > 1e-3


def test_the_same_log_on_another_photo_has_another_answer(segmenter, draw_disc):
    first, second = (
        segmenter.answer(segmenter.encode(draw_disc(seed)), (CLICK,)) for seed in (0, 1)
    )
    assert not np.array_equal(first.mask_input, second.mask_input)


def test_a_log_is_read_from_json():
    raw = [
        {"type": "point", "x": 90, "y": 60.5, "label": 1},
        {"type": "box", "box": [150, 110, 10, 20]},
        {"type": "candidate", "index": 2},
    ]
    assert parse_interactions(raw) == (AddPoint(90, 60.5, 1), BOX, ChooseCandidate(2))


def test_integers_and_floats_make_equal_logs():
    integers, floats = (
        parse_interactions([{"type": "point", "x": x, "y": 2, "label": label}])
        for x, label in ((1, 1), (1.0, 1.0))
    )
    assert len({integers, floats}) == 1


@pytest.mark.parametrize("raw", [None, {}, "[]", 7, ({"type": "candidate", "index": 0},)])
def test_a_log_is_a_list(raw):
    with pytest.raises(PromptError, match="list"):
        parse_interactions(raw)


def test_a_log_that_is_too_long_is_refused():
    item = {"type": "candidate", "index": 0}
    assert len(parse_interactions([item] * MAX_INTERACTIONS)) == MAX_INTERACTIONS
    with pytest.raises(PromptError, match=str(MAX_INTERACTIONS)):
        parse_interactions([item] * (MAX_INTERACTIONS + 1))


def test_a_log_with_too_many_points_is_refused_before_any_decode():
    item = {"type": "point", "x": 1, "y": 1, "label": 1}
    assert len(parse_interactions([item] * MAX_POINTS)) == MAX_POINTS
    with pytest.raises(PromptError, match=str(MAX_POINTS)):
        parse_interactions([item] * (MAX_POINTS + 1))


@pytest.mark.parametrize(
    "item",
    [
        None,
        "point",
        [],
        {},
        {"type": None},
        {"type": []},
        {"type": "eval", "x": 1, "y": 1, "label": 1},
        {"type": "point"},
        {"type": "point", "x": 1, "y": 1},
        {"type": "point", "x": 1, "label": 1},
        {"type": "point", "x": "1", "y": 1, "label": 1},
        {"type": "point", "x": float("nan"), "y": 1, "label": 1},
        {"type": "point", "x": 1, "y": 10**400, "label": 1},
        {"type": "point", "x": 1, "y": 1, "label": 2},
        {"type": "point", "x": 1, "y": 1, "label": True},
        {"type": "point", "x": [1], "y": 1, "label": 1},
        {"type": "box"},
        {"type": "box", "box": None},
        {"type": "box", "box": "1234"},
        {"type": "box", "box": [1, 2, 3]},
        {"type": "box", "box": [1, 2, 1, 9]},
        {"type": "box", "box": {"x0": 1}},
        {"type": "candidate"},
        {"type": "candidate", "index": "0"},
        {"type": "candidate", "index": 0.0},
        {"type": "candidate", "index": True},
    ],
    ids=str,
)
def test_a_malformed_interaction_is_refused(item):
    with pytest.raises(PromptError):
        parse_interactions([item])


# Masks to edit, and brush strokes.

RIGHT_HALF = np.zeros(SIZE_HW, bool)
RIGHT_HALF[:, 90:] = True
EDITED = SetMask(SIZE_HW, mask_to_coco_rle(RIGHT_HALF)["counts"])
DOT = Stroke(((20.0, 60.0),), 10.0, 1)
ERASER = Stroke(((90.0, 60.0), (180.0, 60.0)), 5.0, 0)


def test_a_mask_to_edit_is_the_answer_until_the_first_click():
    decoder = FakeDecoder()
    answer = play((EDITED,), decoder)
    np.testing.assert_array_equal(answer.mask(), RIGHT_HALF)
    assert (decoder.requests, answer.predicted_iou) == ([], None)
    small = answer.mask((12, 18))
    np.testing.assert_array_equal(small, RIGHT_HALF[::10, ::10])


def test_a_click_on_a_mask_to_edit_refines_it():
    given = []

    def decoder(prompt, mask_input):
        given.append(mask_input)
        return FakeDecoder()(prompt, mask_input)

    play((CLICK, EDITED, OTHER), decoder)
    (logits,) = given
    assert logits.shape == (1, 256, 256)
    # The photo lies in the upper 683 of 1024 rows; its right half is in, the rest is out.
    assert (logits[0, :170, 130:] > 6).all()
    assert (logits[0, :170, :126] < -6).all()
    assert (logits[0, 172:] < -6).all()


def test_a_single_click_on_a_mask_to_edit_has_one_candidate(segmenter, disc):
    answer = segmenter.answer(segmenter.encode(disc), (EDITED, CLICK))
    assert len(answer.prediction.iou_predictions) == 1


def test_a_mask_to_edit_discards_the_points_before_it():
    assert decoded_for(CLICK, EDITED, OTHER)[-1][0] == Prompt([(20, 20)], [0])
    assert decoded_for(CLICK, EDITED, OTHER, BOX)[-1][0] == Prompt([(20, 20)], [0], BOX.box)


def test_strokes_add_and_remove_in_order():
    mask = play((EDITED, DOT, ERASER), FakeDecoder()).mask()
    assert mask[60, 20]
    assert mask[60, 29]
    assert not mask[60, 32]
    assert not mask[60, 150]
    assert mask[70, 150]
    back = Stroke(((150.0, 60.0),), 3.0, 1)
    assert play((EDITED, ERASER, back), FakeDecoder()).mask()[60, 150]


def test_a_stroke_alone_is_a_mask():
    answer = play((DOT,), FakeDecoder())
    area = answer.mask().sum()
    assert area == pytest.approx(np.pi * 10**2, rel=0.08)
    assert answer.mask((240, 360)).sum() == pytest.approx(4 * area, rel=0.08)


def test_strokes_stay_on_top_of_a_later_prediction_and_enter_its_mask_input():
    given = []

    def decoder(prompt, mask_input):
        given.append(mask_input)
        return FakeDecoder()(prompt, mask_input)

    answer = play((CLICK, ERASER, OTHER), decoder)
    x, y = 150 * 1024 / 180 / 4, 60 * 683 / 120 / 4
    assert given[1][0, int(y), int(x)] == np.float32(-CERTAIN_LOGIT)
    assert given[1][0, int(y) + 40, int(x)] > 0
    assert not answer.mask()[60, 150]
    assert answer.mask()[80, 150]


def test_a_box_discards_the_strokes():
    assert play((CLICK, ERASER, BOX), FakeDecoder()).mask()[60, 150]


def test_a_mask_of_another_photo_or_with_wrong_counts_is_refused():
    for other in (
        SetMask((10, 10), EDITED.counts),
        SetMask(SIZE_HW, "nonsense"),
        SetMask((0, 0), ""),
    ):
        with pytest.raises(AnnotationError):
            play((other,), FakeDecoder())


def test_a_stroke_outside_the_photo_is_refused():
    with pytest.raises(PromptError, match="outside the 180 x 120 photo"):
        play((Stroke(((181.0, 5.0),), 5.0, 1),), FakeDecoder())


def test_masks_and_strokes_are_parsed():
    rle = {"size": list(SIZE_HW), "counts": EDITED.counts}
    stroke = {"type": "stroke", "path": [[20, 60]], "radius": 10, "label": 1}
    assert parse_interactions([{"type": "mask", "rle": rle}, stroke]) == (EDITED, DOT)


@pytest.mark.parametrize(
    "item",
    [
        {"type": "mask"},
        {"type": "mask", "rle": []},
        {"type": "mask", "rle": {"size": [1.5, 2], "counts": ""}},
        {"type": "mask", "rle": {"size": [True, 2], "counts": ""}},
        {"type": "mask", "rle": {"size": [1, 2, 3], "counts": ""}},
        {"type": "mask", "rle": {"size": [1, 2], "counts": [1, 1]}},
        {"type": "mask", "rle": {"size": [1, 2], "counts": "0" * 4_000_001}},
        {"type": "stroke", "path": [], "radius": 1, "label": 1},
        {"type": "stroke", "path": "ab", "radius": 1, "label": 1},
        {"type": "stroke", "path": [[1]], "radius": 1, "label": 1},
        {"type": "stroke", "path": [[1, float("nan")]], "radius": 1, "label": 1},
        {"type": "stroke", "path": [[1, 1]], "radius": 0, "label": 1},
        {"type": "stroke", "path": [[1, 1]], "radius": True, "label": 1},
        {"type": "stroke", "path": [[1, 1]], "radius": float("nan"), "label": 1},
        {"type": "stroke", "path": [[1, 1]], "radius": 10**400, "label": 1},
        {"type": "stroke", "path": [[1, 1]], "radius": 1, "label": 2},
        {"type": "stroke", "path": [[1, 1]] * (MAX_PATH_POINTS + 1), "radius": 1, "label": 1},
    ],
)
def test_malformed_masks_and_strokes_are_refused(item):
    with pytest.raises(PromptError):
        parse_interactions([item])


def test_strokes_with_too_many_points_together_are_refused():
    stroke = {"type": "stroke", "path": [[1, 1]] * (MAX_PATH_POINTS // 2), "radius": 1, "label": 1}
    assert len(parse_interactions([stroke, stroke])) == 2
    with pytest.raises(PromptError, match="too many brush strokes"):
        parse_interactions([stroke, stroke, {**stroke, "path": [[1, 1]]}])


def test_wide_strokes_are_limited_by_the_area_they_sweep():
    wide = Stroke(((1.0, 1.0),), MAX_RADIUS_PX, 1)
    most = int(MAX_PAINTED_PX // (2 * MAX_RADIUS_PX) ** 2)
    frame = Frame((5000, 8000), (640, 1024))
    assert painted_px((wide,) * most, frame) <= MAX_PAINTED_PX
    with pytest.raises(PromptError, match="too many brush strokes"):
        play((wide,) * (most + 1), FakeDecoder(), frame)


def test_long_strokes_are_limited_even_if_they_are_thin():
    there_and_back = Stroke(((0.0, 0.0), (8000.0, 5000.0)) * 500, 1.0, 1)
    frame = Frame((5000, 8000), (640, 1024))

    def paint(times: int) -> None:
        play((there_and_back,) * times, FakeDecoder(), frame)

    paint(2)
    with pytest.raises(PromptError, match="too many brush strokes"):
        paint(4)


def test_strokes_on_a_tiny_photo_are_limited_by_their_area_in_the_logits():
    """A pixel of the photo is 16 x 16 logits there, and every click draws the strokes again."""
    log = (Stroke(((8.0, 8.0),) * 1000, 16.0, 1), *[AddPoint(8, 8, 1)] * 20)

    def click(times: int) -> None:
        play(log[: 1 + times], FakeDecoder(), Frame((16, 16), (1024, 1024)))

    click(10)
    with pytest.raises(PromptError, match="too many brush strokes"):
        click(20)


def test_a_wide_brush_covers_a_tiny_photo_which_can_still_be_clicked():
    stroke = Stroke(((0.0, 0.0),), 4096.0, 1)
    answer = play((stroke, AddPoint(0.5, 0.5, 1)), FakeDecoder(), Frame((1, 1), (1024, 1024)))
    assert answer.mask().all()
    assert (answer.mask_input == CERTAIN_LOGIT).all()


def test_a_remembered_prediction_computes_no_mask_input(segmenter, disc, monkeypatch):
    embedding, log = segmenter.encode(disc), (CLICK, DOT, OTHER)
    first = segmenter.answer(embedding, log)
    monkeypatch.setattr("mobilesam.interactions.painted_logits", None)
    again = segmenter.answer(embedding, log)
    assert again.prediction is first.prediction


class SpeckledDecoder(FakeDecoder):
    """A square of 70 x 70 pixels of the photo, a hole of 3 x 3 in it, and a speck beside it."""

    def __call__(self, prompt: Prompt, mask_input: np.ndarray | None) -> Prediction:
        prediction = super().__call__(prompt, mask_input)
        logits = np.full((256, 256), -1, np.float32)
        logits[20:120, 20:120] = 1
        logits[60:64, 60:64] = -1
        logits[20:24, 140:144] = 1
        return replace(prediction, low_res_logits=np.stack([logits] * len(prediction.masks)))


def parts_and_holes(mask: np.ndarray) -> tuple[int, int]:
    holes = ndimage.binary_fill_holes(mask) & ~mask
    return ndimage.label(mask)[1], ndimage.label(holes)[1]


ON_SQUARE, IN_HOLE, ON_SPECK = AddPoint(30, 30, 1), AddPoint(43, 43, 0), AddPoint(99, 15, 1)


@pytest.mark.parametrize("size_hw", [None, (60, 90), (480, 720)])
@pytest.mark.parametrize(
    ("log", "expected"),
    [
        ([ON_SQUARE], (1, 0)),
        ([BOX], (1, 0)),
        ([ON_SQUARE, IN_HOLE], (1, 1)),
        ([ON_SQUARE, ON_SPECK], (2, 0)),
    ],
)
def test_clean_up_is_a_choice_and_never_against_a_click(log, expected, size_hw):
    answer = play(log, SpeckledDecoder())
    assert parts_and_holes(answer.mask(size_hw)) == (2, 1)
    assert parts_and_holes(answer.mask(size_hw, clean=True)) == expected


@pytest.mark.parametrize("log", [[ON_SQUARE, DOT], [EDITED], [EDITED, ON_SQUARE]])
def test_what_the_user_has_drawn_or_loaded_is_not_cleaned(log):
    answer = play(log, SpeckledDecoder())
    np.testing.assert_array_equal(answer.mask(clean=True), answer.mask())


def test_clean_up_changes_no_logits():
    answer = play([ON_SQUARE], SpeckledDecoder())
    before = answer.mask_input.copy()
    answer.mask(clean=True)
    np.testing.assert_array_equal(answer.mask_input, before)
