"""Mask generations of the page: whose they are, what they hold, and when they are dropped."""

from __future__ import annotations

import threading

import numpy as np
import pytest
from PIL import Image

from mobilesam.errors import PromptError
from mobilesam.everything import EverythingProgress, MaskRecord
from mobilesam.masks import mask_to_coco_rle
from mobilesam.web.page import mask_generations as module
from mobilesam.web.page.mask_generations import IDLE_S, MAX_GENERATIONS, TURN_S, MaskGenerations
from mobilesam.web.server.replies import ExpiredError
from tests.event_loop import run_async
from tests.opening import new_handlers, opened
from tests.stub_options import KEEP_ALL

SIZE_HW = (40, 60)


class Clock:
    """Advances whenever it is read: by default so far that a turn is a single batch."""

    def __init__(self, tick=TURN_S):
        self.now = 0.0
        self.tick = tick

    def __call__(self):
        self.now += self.tick
        return self.now


class Steps:
    """Batches that are given in advance: the names of the masks that there are after each.

    It knows how many were computed, and can hold a thread within a batch.
    """

    def __init__(self, *batches, held_bytes=0):
        self.batches = batches
        self.held_bytes = held_bytes
        self.computed = 0
        self.closed = False
        self.inside = threading.Semaphore(0)
        self.released = None
        self._records = {}

    def record(self, name):
        if name not in self._records:
            random = np.random.default_rng(len(self._records))
            mask = random.random(SIZE_HW) > 0.5
            rle = mask_to_coco_rle(mask)
            self._records[name] = MaskRecord(rle, 0.5, 0.9, (0, 0, 59, 39), int(mask.sum()))
        return self._records[name]

    def __iter__(self):
        try:
            for batch in self.batches:
                self.inside.release()
                if self.released:
                    assert self.released.wait(10)
                self.computed += 1
                if isinstance(batch, Exception):
                    raise batch
                records = [self.record(name) for name in batch]
                yield EverythingProgress(
                    self.computed, len(self.batches), self.held_bytes, lambda r=records: r
                )
        finally:
            self.closed = True


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def generations(clock):
    return MaskGenerations(clock)


def begin(generations, steps, token="mine"):
    return generations.start(token, iter(steps))


def ids_of(reply):
    return [mask["id"] for mask in reply["masks"]]


def test_every_call_continues_by_one_turn_and_nothing_is_computed_in_between(generations):
    steps = Steps(["a"], ["a", "b"], ["b"])
    started = begin(generations, steps)
    assert steps.computed == 0
    replies = [generations.advance("mine", started, 0) for _ in range(3)]
    assert [(reply["done"], reply["total"]) for reply in replies] == [(1, 3), (2, 3), (3, 3)]
    assert [reply["finished"] for reply in replies] == [False, False, True]
    assert steps.computed == 3
    assert generations.advance("mine", started, 0)["finished"]
    assert steps.computed == 3


def test_a_turn_has_as_many_batches_as_its_time_allows():
    generations = MaskGenerations(Clock(0.6 * TURN_S))
    steps = Steps(["a"], ["a"], ["a"], ["a"])
    started = begin(generations, steps)
    generations.advance("mine", started, 0)
    assert steps.computed == 2


def test_only_new_masks_are_sent_and_known_ones_keep_their_id(generations):
    started = begin(generations, Steps(["a", "b"], ["c", "b"], ["c", "b", "a"]))
    first = generations.advance("mine", started, 0)
    assert ids_of(first) == first["ids"] == [1, 2]
    second = generations.advance("mine", started, 2)
    assert (second["ids"], ids_of(second)) == ([3, 2], [3])
    third = generations.advance("mine", started, 3)
    assert (third["ids"], ids_of(third)) == ([3, 2, 4], [4])


def test_a_lost_reply_loses_no_mask(generations):
    started = begin(generations, Steps(["a"], ["a", "b"]))
    generations.advance("mine", started, 0)  # never arrived
    assert ids_of(generations.advance("mine", started, 0)) == [1, 2]


def test_a_mask_is_sent_at_the_photos_own_size(generations):
    steps = Steps(["a"])
    (mask,) = generations.advance("mine", begin(generations, steps), 0)["masks"]
    record = steps.record("a")
    assert mask["rle"] == record.rle
    assert mask["area"] == record.area
    assert mask["predicted_iou"] == 0.5


def test_a_reply_has_a_bounded_size_and_the_next_ones_have_the_rest(generations, monkeypatch):
    steps = Steps(["a", "b", "c"])
    size = max(len(steps.record(name).rle["counts"]) for name in "abc")
    monkeypatch.setattr(module, "MAX_REPLY_BYTES", 2 * size)
    started = begin(generations, steps)
    first = generations.advance("mine", started, 0)
    assert (ids_of(first), first["ids"], first["finished"]) == ([1, 2], [1, 2, 3], False)
    rest = generations.advance("mine", started, 2)
    assert (ids_of(rest), rest["finished"]) == ([3], True)
    monkeypatch.setattr(module, "MAX_REPLY_BYTES", 1)
    assert ids_of(generations.advance("mine", started, 0)) == [1]  # one is always sent


def test_a_photo_has_one_mask_generation_and_a_new_one_replaces_it(generations):
    old = begin(generations, Steps(["a"], ["a"]))
    new = begin(generations, Steps(["a"], ["a"]))
    assert len(generations) == 1
    with pytest.raises(ExpiredError):
        generations.advance("mine", old, 0)
    assert generations.advance("mine", new, 0)["ids"] == [1]


def test_the_mask_generation_of_another_photo_cannot_be_read_or_stopped(generations):
    theirs = Steps(["a"], ["a"])
    started = begin(generations, theirs, "theirs")
    begin(generations, Steps(["a"]), "mine")
    for token in ("mine", "nobody's"):
        with pytest.raises(ExpiredError):
            generations.advance(token, started, 0)
        with pytest.raises(ExpiredError):
            generations.stop(token, started)
    assert theirs.computed == 0
    assert not generations.advance("theirs", started, 0)["finished"]


def test_a_stopped_one_computes_no_more_and_keeps_its_masks(generations):
    steps = Steps(["a"], ["a", "b"])
    started = begin(generations, steps)
    generations.advance("mine", started, 0)
    generations.stop("mine", started)
    assert steps.closed
    reply = generations.advance("mine", started, 0)
    assert reply["finished"]
    assert (reply["done"], ids_of(reply)) == (1, [1])
    assert steps.computed == 1


def test_a_finished_one_releases_its_steps_and_what_was_filtered_out(generations, monkeypatch):
    monkeypatch.setattr(module, "MAX_BYTES", 10_000)
    steps = Steps(["a"], held_bytes=10_000)
    started = begin(generations, steps)
    generations.advance("mine", started, 0)
    assert steps.closed
    begin(generations, Steps(["a"]), "theirs")
    assert ids_of(generations.advance("mine", started, 0)) == [1]


def test_it_is_dropped_after_a_minute_without_a_call(generations, clock):
    called = begin(generations, Steps(["a"]), "called")
    generations.advance("called", called, 0)
    left = begin(generations, Steps(["a"], ["a"]), "left")
    generations.advance("left", left, 0)
    clock.now += IDLE_S - 10
    generations.advance("called", called, 0)
    assert len(generations) == 2
    clock.now += 20
    generations.advance("called", called, 0)
    assert len(generations) == 1
    with pytest.raises(ExpiredError):
        generations.advance("left", left, 0)


def test_of_too_many_the_least_recently_used_is_dropped(generations):
    generations._clock = Clock(0)
    started = {
        token: begin(generations, Steps(["a"]), token) for token in map(str, range(MAX_GENERATIONS))
    }
    generations.advance("0", started["0"], 0)
    begin(generations, Steps(["a"]), "one more")
    assert len(generations) == MAX_GENERATIONS
    assert generations.advance("0", started["0"], 0)["ids"] == [1]
    with pytest.raises(ExpiredError):
        generations.advance("1", started["1"], 0)


def test_together_they_hold_a_bounded_number_of_bytes(generations, monkeypatch):
    monkeypatch.setattr(module, "MAX_BYTES", 100)
    started = {}
    for token in ("a", "b", "c"):
        started[token] = begin(generations, Steps(["a"], ["a"], held_bytes=40), token)
        generations.advance(token, started[token], 0)
    assert len(generations) == 2
    with pytest.raises(ExpiredError):
        generations.advance("a", started["a"], 0)
    alone = begin(generations, Steps(["a"], ["a"], held_bytes=1000), "alone")
    assert generations.advance("alone", alone, 0)["ids"] == [1]
    assert len(generations) == 1


def computing(generations, steps, started):
    """A thread that is held in the first batch, and the outcome of its call."""
    outcome = []

    def advance():
        try:
            outcome.append(generations.advance("mine", started, 0))
        except ExpiredError as error:
            outcome.append(error)

    steps.released = threading.Event()
    worker = threading.Thread(target=advance)
    worker.start()
    assert steps.inside.acquire(timeout=10)
    return worker, outcome


def test_two_calls_at_once_never_enter_the_same_steps(generations, monkeypatch):
    monkeypatch.setattr(module, "PATIENCE_S", 0.05)
    steps = Steps(["a"], ["a"])
    started = begin(generations, steps)
    worker, _ = computing(generations, steps, started)
    reply = generations.advance("mine", started, 0)
    assert reply["waiting"]
    assert reply["done"] == 0
    assert not reply["finished"]
    generations.stop("mine", started)
    steps.released.set()
    worker.join(10)
    assert steps.computed == 1
    assert steps.closed


def test_one_that_is_replaced_while_it_computes_is_expired(generations):
    steps = Steps(["a"], ["a"])
    worker, outcome = computing(generations, steps, begin(generations, steps))
    new = begin(generations, Steps(["a"], ["a"]))
    steps.released.set()
    worker.join(10)
    assert isinstance(outcome[0], ExpiredError)
    assert steps.closed
    assert generations.advance("mine", new, 0)["ids"] == [1]


def test_one_in_a_long_batch_is_not_dropped_as_idle(generations, clock):
    steps = Steps(["a"], ["a"])
    worker, outcome = computing(generations, steps, begin(generations, steps))
    clock.now += 2 * IDLE_S
    begin(generations, Steps(["a"]), "theirs")
    steps.released.set()
    worker.join(10)
    assert outcome[0]["ids"] == [1]


def test_one_that_fails_says_so_and_ends_with_the_masks_so_far(generations):
    steps = Steps(["a"], PromptError("Too many."), ["a"])
    started = begin(generations, steps)
    generations.advance("mine", started, 0)
    with pytest.raises(PromptError, match="Too many"):
        generations.advance("mine", started, 0)
    reply = generations.advance("mine", started, 0)
    assert reply["finished"]
    assert ids_of(reply) == [1]
    assert steps.computed == 2


# -- through the handlers ---------------------------------------------------------------------

FEW = {**KEEP_ALL, "points_per_side": 2}


@pytest.fixture
def handlers(segmenter, tmp_path, monkeypatch):
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))
    return new_handlers(segmenter, tmp_path)


@pytest.fixture
def open_photo(handlers, disc, tmp_path):
    path = tmp_path / "disc.png"
    Image.fromarray(disc).save(path)
    return lambda session="one": opened(handlers, path, session)["token"]


def query(token, **more):
    return {"token": token, "generation": None, "options": FEW, "after": 0, **more}


def test_a_finished_one_has_the_masks_of_the_python_api(handlers, segmenter, open_photo, disc):
    token = open_photo()
    reply = handlers.everything(query(token))
    while not reply["finished"]:
        reply = handlers.everything(query(token, generation=reply["generation"]))
    records = segmenter.everything(segmenter.encode(disc), **FEW)
    assert len(records) > 1
    by_id = {mask["id"]: mask["rle"] for mask in reply["masks"]}
    assert [by_id[mask_id] for mask_id in reply["ids"]] == [record.rle for record in records]


def test_the_page_is_told_the_options_that_suit_the_weights(handlers, segmenter):
    options = run_async(handlers.model_info({}))["everything"]
    assert options["points_per_side"] == 16
    assert options["pred_iou_thresh"] == segmenter.everything_options({}).pred_iou_thresh


def test_it_is_dropped_with_its_tab(handlers, open_photo):
    mine, theirs = open_photo("one"), open_photo("two")
    handlers.everything(query(mine))
    their_id = handlers.everything(query(theirs))["generation"]
    run_async(handlers.on_unload("one"))
    assert len(handlers._generations) == 1
    assert handlers.everything(query(theirs, generation=their_id))["ok"]


def test_another_users_masks_cannot_be_read(handlers, open_photo):
    mine, theirs = open_photo("one"), open_photo("two")
    their_id = handlers.everything(query(theirs))["generation"]
    stolen = handlers.everything(query(mine, generation=their_id))
    assert stolen["expired"]
    assert "masks" not in stolen


def test_a_photo_whose_embedding_left_the_cache_is_expired(
    handlers, segmenter, open_photo, monkeypatch
):
    token = open_photo()
    monkeypatch.setattr(segmenter, "cached", lambda key: None)
    assert handlers.everything(query(token))["expired"]


@pytest.mark.parametrize(
    "hostile",
    [
        {"options": None},
        {"options": "16"},
        {"options": [["points_per_side", 2]]},
        {"options": {"points_per_side": 10**9}},
        {"options": {"points_per_side": 2.5}},
        {"options": {"points_per_side": True}},
        {"options": {"pred_iou_thresh": float("nan")}},
        {"options": {"stability_score_thresh": [1]}},
        {"options": {"min_mask_region_area": -1}},
        {"options": {"__class__": 1}},
        {"generation": 7},
        {"generation": ["a"]},
        {"generation": "guessed"},
        {"generation": {}, "stop": True},
        {"stop": True},
        {"token": None},
        {"token": ["a"]},
        {"token": "guessed"},
    ],
)
def test_a_hostile_query_gets_a_sentence_and_starts_nothing(handlers, open_photo, hostile):
    reply = handlers.everything({**query(open_photo()), **hostile})
    assert not reply["ok"]
    assert "Something went wrong" not in reply["error"]
    assert len(handlers._generations) == 0


@pytest.mark.parametrize("after", ["x", None, [], 1.5])
def test_an_odd_mask_id_counts_as_none(handlers, open_photo, after):
    reply = handlers.everything(query(open_photo(), after=after))
    assert ids_of(reply)[0] == 1
