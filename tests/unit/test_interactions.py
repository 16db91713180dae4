"""A history is parsed without trust and answered by its own steps alone."""

from __future__ import annotations

import numpy as np
import pytest

from mobilesam import AnnotationError, Prediction, Prompt, PromptError
from mobilesam.interactions import (
    MAX_ACTIONS,
    MAX_PAINTED_PX,
    MAX_PATH_POINTS,
    MAX_RADIUS_PX,
    AddPoint,
    Answer,
    ChooseCandidate,
    Paint,
    SetBox,
    SetMask,
    painted_px,
    parse_interactions,
    replay,
)
from mobilesam.masks import mask_to_coco_rle
from mobilesam.paint import CERTAIN_LOGIT, Stroke
from mobilesam.prompts import MAX_POINTS

SIZE_HW, INPUT_HW = (120, 180), (683, 1024)
CLICK, OTHER = AddPoint(90, 60, 1), AddPoint(20, 20, 0)
BOX = SetBox((10, 20, 150, 110))


class FakeDecoder:
    """Three candidates for a single point, else one; the second of three is the best.

    Every prediction has logits of its own, so that a mask_input tells where it came from.
    """

    def __init__(self) -> None:
        self.asked: list[tuple[Prompt, float | None]] = []
        """Prompt and the value that fills the mask_input."""

    def __call__(self, prompt: Prompt, mask_input: np.ndarray | None) -> Prediction:
        if mask_input is not None:
            assert mask_input.shape == (1, 256, 256)
        self.asked.append((prompt, None if mask_input is None else float(mask_input[0, 0, 0])))
        count = 3 if prompt.is_single_point else 1
        first = 10 * len(self.asked)
        logits = np.arange(first, first + count, dtype=np.float32)[:, None, None]
        ious = np.array([0.5, 0.9, 0.7][:count], np.float32)
        return Prediction(np.tile(logits, (1, 256, 256)), ious, SIZE_HW, INPUT_HW, 0.0)


def forgetful(history, compute) -> Prediction:
    return compute()


def played(history, decoder, recall=forgetful) -> Answer:
    return replay(history, SIZE_HW, INPUT_HW, decoder, recall)


def asked_for(*history) -> list[tuple[Prompt, float | None]]:
    decoder = FakeDecoder()
    played(history, decoder)
    return decoder.asked


def test_a_first_click_is_asked_alone_and_its_best_candidate_chosen():
    decoder = FakeDecoder()
    answer = played((CLICK,), decoder)
    assert decoder.asked == [(Prompt([(90, 60)], [1]), None)]
    assert answer.index == 1
    assert answer.prompt == Prompt([(90, 60)], [1])


def test_a_second_click_carries_the_logits_of_the_default_candidate():
    assert asked_for(CLICK, OTHER)[1] == (Prompt([(90, 60), (20, 20)], [1, 0]), 11)


def test_a_second_click_carries_the_logits_of_the_chosen_candidate():
    assert asked_for(CLICK, ChooseCandidate(2), OTHER)[1][1] == 12
    assert asked_for(CLICK, ChooseCandidate(2), ChooseCandidate(0), OTHER)[1][1] == 10


def test_every_further_click_carries_the_logits_of_the_answer_before_it():
    assert [mask_input for _, mask_input in asked_for(CLICK, OTHER, OTHER)] == [None, 11, 20]


def test_a_box_starts_afresh_without_logits_or_the_decodes_before_it():
    assert asked_for(CLICK, BOX) == [(Prompt([(90, 60)], [1], BOX.box), None)]


def test_a_click_after_a_box_refines_its_answer():
    assert asked_for(BOX, CLICK)[1] == (Prompt([(90, 60)], [1], BOX.box), 10)


def test_a_new_box_takes_the_place_of_the_old_one():
    other = SetBox((0, 0, 9, 9))
    assert asked_for(BOX, other) == [(Prompt(box=other.box), None)]


def test_choosing_a_candidate_costs_no_decode():
    decoder = FakeDecoder()
    answer = played((CLICK, ChooseCandidate(2)), decoder)
    assert answer.index == 2
    assert answer.mask_input[0, 0, 0] == 12
    assert len(decoder.asked) == 1


@pytest.mark.parametrize("index", [-1, 3, 99])
def test_a_candidate_that_was_not_offered_cannot_be_chosen(index):
    with pytest.raises(PromptError, match="candidate"):
        asked_for(CLICK, ChooseCandidate(index))


def test_a_candidate_cannot_be_chosen_before_anything_is_asked():
    with pytest.raises(PromptError, match="candidate"):
        asked_for(ChooseCandidate(0), CLICK)


def test_only_the_candidates_of_the_last_answer_can_be_chosen():
    with pytest.raises(PromptError, match="candidate"):
        asked_for(CLICK, OTHER, ChooseCandidate(1))


def test_an_empty_history_has_no_answer():
    with pytest.raises(PromptError, match="at least one"):
        asked_for()


def test_a_click_costs_one_decode_however_long_the_history(segmenter, stub_sam, disc):
    embedding = segmenter.encode(disc)
    history = []
    for step in range(12):
        history.append(AddPoint(60 + 5 * step, 60, step % 2))
        segmenter.answer(embedding, tuple(history))
        assert stub_sam.mask_decoder.calls == step + 1


def test_undo_and_redo_cost_no_decode_and_give_the_same_answer(segmenter, stub_sam, disc):
    embedding = segmenter.encode(disc)
    steps = (CLICK, ChooseCandidate(0), OTHER, BOX, AddPoint(100, 70, 1))
    answers = [segmenter.answer(embedding, steps[: n + 1]) for n in range(len(steps))]
    decodes = stub_sam.mask_decoder.calls
    assert decodes == 4
    for n in [3, 2, 1, 0, 1, 2, 3, 4]:
        again = segmenter.answer(embedding, steps[: n + 1])
        assert again.index == answers[n].index
        np.testing.assert_array_equal(again.mask_input, answers[n].mask_input)
    assert stub_sam.mask_decoder.calls == decodes


def test_an_answer_is_that_of_the_decoder_with_the_chosen_logits(segmenter, disc):
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


def test_the_same_clicks_on_another_photo_have_another_answer(segmenter, draw_disc):
    first, second = (
        segmenter.answer(segmenter.encode(draw_disc(seed)), (CLICK,)) for seed in (0, 1)
    )
    assert not np.array_equal(first.mask_input, second.mask_input)


def test_a_history_is_read_from_json():
    raw = [
        {"type": "point", "x": 90, "y": 60.5, "label": 1},
        {"type": "box", "box": [150, 110, 10, 20]},
        {"type": "candidate", "index": 2},
    ]
    assert parse_interactions(raw) == (AddPoint(90, 60.5, 1), BOX, ChooseCandidate(2))


def test_equal_clicks_have_equal_histories():
    integers, floats = (
        parse_interactions([{"type": "point", "x": x, "y": 2, "label": label}])
        for x, label in ((1, 1), (1.0, 1.0))
    )
    assert len({integers, floats}) == 1


@pytest.mark.parametrize("raw", [None, {}, "[]", 7, ({"type": "candidate", "index": 0},)])
def test_a_history_is_a_list(raw):
    with pytest.raises(PromptError, match="list"):
        parse_interactions(raw)


def test_a_history_that_is_too_long_is_refused():
    step = {"type": "candidate", "index": 0}
    assert len(parse_interactions([step] * MAX_ACTIONS)) == MAX_ACTIONS
    with pytest.raises(PromptError, match=str(MAX_ACTIONS)):
        parse_interactions([step] * (MAX_ACTIONS + 1))


def test_a_history_with_too_many_points_is_refused_before_any_decode():
    step = {"type": "point", "x": 1, "y": 1, "label": 1}
    assert len(parse_interactions([step] * MAX_POINTS)) == MAX_POINTS
    with pytest.raises(PromptError, match=str(MAX_POINTS)):
        parse_interactions([step] * (MAX_POINTS + 1))


@pytest.mark.parametrize(
    "step",
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
def test_a_malformed_step_is_refused(step):
    with pytest.raises(PromptError):
        parse_interactions([step])


# A mask taken up, and the brush.

RIGHT_HALF = np.zeros(SIZE_HW, bool)
RIGHT_HALF[:, 90:] = True
TAKEN = SetMask(SIZE_HW, mask_to_coco_rle(RIGHT_HALF)["counts"])
DAB = Paint(Stroke(((20.0, 60.0),), 10.0, 1))
WIPE = Paint(Stroke(((90.0, 60.0), (180.0, 60.0)), 5.0, 0))


def test_a_mask_taken_up_is_the_answer_until_something_is_asked():
    decoder = FakeDecoder()
    answer = played((TAKEN,), decoder)
    np.testing.assert_array_equal(answer.mask(), RIGHT_HALF)
    assert (decoder.asked, answer.predicted_iou) == ([], None)
    small = answer.mask((12, 18))
    np.testing.assert_array_equal(small, RIGHT_HALF[::10, ::10])


def test_a_click_on_a_mask_taken_up_refines_it():
    given = []

    def decoder(prompt, mask_input):
        given.append(mask_input)
        return FakeDecoder()(prompt, mask_input)

    played((CLICK, TAKEN, OTHER), decoder)
    (logits,) = given
    assert logits.shape == (1, 256, 256)
    # The photo lies in the upper 683 of 1024 rows; its right half is in, the rest is out.
    assert (logits[0, :170, 130:] > 6).all()
    assert (logits[0, :170, :126] < -6).all()
    assert (logits[0, 172:] < -6).all()


def test_only_the_points_since_the_mask_taken_up_are_asked_about():
    assert asked_for(CLICK, TAKEN, OTHER)[-1][0] == Prompt([(20, 20)], [0])
    assert asked_for(CLICK, TAKEN, OTHER, BOX)[-1][0] == Prompt([(20, 20)], [0], BOX.box)


def test_strokes_add_and_take_away_in_their_order():
    mask = played((TAKEN, DAB, WIPE), FakeDecoder()).mask()
    assert mask[60, 20]
    assert mask[60, 29]
    assert not mask[60, 32]
    assert not mask[60, 150]
    assert mask[70, 150]
    back = Paint(Stroke(((150.0, 60.0),), 3.0, 1))
    assert played((TAKEN, WIPE, back), FakeDecoder()).mask()[60, 150]


def test_a_stroke_alone_is_a_mask():
    answer = played((DAB,), FakeDecoder())
    area = answer.mask().sum()
    assert area == pytest.approx(np.pi * 10**2, rel=0.08)
    assert answer.mask((240, 360)).sum() == pytest.approx(4 * area, rel=0.08)


def test_strokes_stay_on_top_of_a_later_click_and_go_into_its_mask_input():
    given = []

    def decoder(prompt, mask_input):
        given.append(mask_input)
        return FakeDecoder()(prompt, mask_input)

    answer = played((CLICK, WIPE, OTHER), decoder)
    x, y = 150 * 1024 / 180 / 4, 60 * 683 / 120 / 4
    assert given[1][0, int(y), int(x)] == np.float32(-CERTAIN_LOGIT)
    assert given[1][0, int(y) + 40, int(x)] > 0
    assert not answer.mask()[60, 150]
    assert answer.mask()[80, 150]


def test_a_box_starts_without_the_strokes():
    assert played((CLICK, WIPE, BOX), FakeDecoder()).mask()[60, 150]


def test_a_mask_of_another_photo_or_with_wrong_counts_is_refused():
    for other in (
        SetMask((10, 10), TAKEN.counts),
        SetMask(SIZE_HW, "nonsense"),
        SetMask((0, 0), ""),
    ):
        with pytest.raises(AnnotationError):
            played((other,), FakeDecoder())


def test_a_stroke_that_leaves_the_photo_is_refused():
    with pytest.raises(PromptError, match="leaves the 180 x 120 photo"):
        played((Paint(Stroke(((181.0, 5.0),), 5.0, 1)),), FakeDecoder())


def test_masks_and_strokes_are_parsed():
    rle = {"size": list(SIZE_HW), "counts": TAKEN.counts}
    stroke = {"type": "paint", "path": [[20, 60]], "radius": 10, "label": 1}
    assert parse_interactions([{"type": "mask", "rle": rle}, stroke]) == (TAKEN, DAB)


@pytest.mark.parametrize(
    "step",
    [
        {"type": "mask"},
        {"type": "mask", "rle": []},
        {"type": "mask", "rle": {"size": [1.5, 2], "counts": ""}},
        {"type": "mask", "rle": {"size": [True, 2], "counts": ""}},
        {"type": "mask", "rle": {"size": [1, 2, 3], "counts": ""}},
        {"type": "mask", "rle": {"size": [1, 2], "counts": [1, 1]}},
        {"type": "mask", "rle": {"size": [1, 2], "counts": "0" * 4_000_001}},
        {"type": "paint", "path": [], "radius": 1, "label": 1},
        {"type": "paint", "path": "ab", "radius": 1, "label": 1},
        {"type": "paint", "path": [[1]], "radius": 1, "label": 1},
        {"type": "paint", "path": [[1, float("nan")]], "radius": 1, "label": 1},
        {"type": "paint", "path": [[1, 1]], "radius": 0, "label": 1},
        {"type": "paint", "path": [[1, 1]], "radius": True, "label": 1},
        {"type": "paint", "path": [[1, 1]], "radius": float("nan"), "label": 1},
        {"type": "paint", "path": [[1, 1]], "radius": 10**400, "label": 1},
        {"type": "paint", "path": [[1, 1]], "radius": 1, "label": 2},
        {"type": "paint", "path": [[1, 1]] * (MAX_PATH_POINTS + 1), "radius": 1, "label": 1},
    ],
)
def test_malformed_masks_and_strokes_are_refused(step):
    with pytest.raises(PromptError):
        parse_interactions([step])


def test_many_long_strokes_together_are_refused():
    stroke = {"type": "paint", "path": [[1, 1]] * (MAX_PATH_POINTS // 2), "radius": 1, "label": 1}
    assert len(parse_interactions([stroke, stroke])) == 2
    with pytest.raises(PromptError, match="too many strokes"):
        parse_interactions([stroke, stroke, {**stroke, "path": [[1, 1]]}])


def test_wide_strokes_are_bounded_by_what_they_go_over():
    wide = Paint(Stroke(((1.0, 1.0),), MAX_RADIUS_PX, 1))
    most = int(MAX_PAINTED_PX // (2 * MAX_RADIUS_PX) ** 2)
    size_hw, input_hw = (5000, 8000), (640, 1024)
    assert painted_px((wide,) * most, size_hw, input_hw) <= MAX_PAINTED_PX
    with pytest.raises(PromptError, match="too many strokes"):
        replay((wide,) * (most + 1), size_hw, input_hw, FakeDecoder(), forgetful)


def test_long_strokes_are_bounded_by_their_length_even_where_they_are_thin():
    there_and_back = Paint(Stroke(((0.0, 0.0), (8000.0, 5000.0)) * 500, 1.0, 1))
    size_hw, input_hw = (5000, 8000), (640, 1024)

    def play(times: int) -> None:
        replay((there_and_back,) * times, size_hw, input_hw, FakeDecoder(), forgetful)

    play(2)
    with pytest.raises(PromptError, match="too many strokes"):
        play(4)


def test_strokes_on_a_tiny_photo_are_bounded_by_what_they_go_over_in_the_logits():
    """There each of its pixels is sixteen by sixteen, and every click draws them again."""
    history = (Paint(Stroke(((8.0, 8.0),) * 1000, 16.0, 1)), *[AddPoint(8, 8, 1)] * 20)

    def play(clicks: int) -> None:
        replay(history[: 1 + clicks], (16, 16), (1024, 1024), FakeDecoder(), forgetful)

    play(10)
    with pytest.raises(PromptError, match="too many strokes"):
        play(20)


def test_a_wide_brush_on_a_tiny_photo_covers_it_and_takes_a_click():
    stroke = Paint(Stroke(((0.0, 0.0),), 4096.0, 1))
    answer = replay((stroke, AddPoint(0.5, 0.5, 1)), (1, 1), (1024, 1024), FakeDecoder(), forgetful)
    assert answer.mask().all()
    assert (answer.mask_input == CERTAIN_LOGIT).all()


def test_a_remembered_click_makes_no_mask_input(monkeypatch):
    history = (CLICK, Paint(Stroke(((20.0, 60.0),), 10.0, 1)), OTHER)
    remembered = {}

    def recall(key, compute):
        if key not in remembered:
            remembered[key] = compute()
        return remembered[key]

    first = played(history, FakeDecoder(), recall)
    monkeypatch.setattr("mobilesam.interactions.painted_logits", None)
    again = played(history, FakeDecoder(), recall)
    assert again.prediction is first.prediction
