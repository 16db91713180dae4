"""Mask generations of the page: whose they are, what they hold, and when they are dropped."""

from __future__ import annotations

import threading
import time

import numpy as np
import pytest
from PIL import Image

from mobilesam.errors import PromptError
from mobilesam.everything import EverythingProgress, MaskRecord
from mobilesam.masks import mask_to_coco_rle
from mobilesam.web.page import handlers as handlers_module
from mobilesam.web.page import mask_generation as module
from mobilesam.web.page.mask_generation import EMBEDDING_BYTES, TURN_S, MaskGeneration
from tests.event_loop import run_async
from tests.opening import close_tab, opened
from tests.stub_options import KEEP_ALL

pytestmark = pytest.mark.slow

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
def generate():
    """generate(steps): a mask generation that computes one batch a turn."""
    return lambda steps: MaskGeneration(iter(steps), Clock())


@pytest.fixture
def advance():
    """advance(generation, after): the reply after another turn."""
    lock = threading.Lock()

    def advance_once(generation, after=0):
        assert generation.advance(lock)
        return generation.reply(after)

    return advance_once


def ids_of(reply):
    return [mask["id"] for mask in reply["masks"]]


def test_every_call_continues_by_one_turn_and_nothing_is_computed_in_between(generate, advance):
    steps = Steps(["a"], ["a", "b"], ["b"])
    generation = generate(steps)
    assert steps.computed == 0
    replies = [advance(generation) for _ in range(3)]
    assert [(reply["done"], reply["total"]) for reply in replies] == [(1, 3), (2, 3), (3, 3)]
    assert [reply["finished"] for reply in replies] == [False, False, True]
    assert steps.computed == 3
    assert advance(generation)["finished"]
    assert steps.computed == 3


def test_a_turn_has_as_many_batches_as_its_time_allows(advance):
    steps = Steps(["a"], ["a"], ["a"], ["a"])
    advance(MaskGeneration(iter(steps), Clock(0.6 * TURN_S)))
    assert steps.computed == 2


def test_only_new_masks_are_sent_and_known_ones_keep_their_id(generate, advance):
    generation = generate(Steps(["a", "b"], ["c", "b"], ["c", "b", "a"]))
    first = advance(generation)
    assert ids_of(first) == first["ids"] == [1, 2]
    second = advance(generation, 2)
    assert (second["ids"], ids_of(second)) == ([3, 2], [3])
    third = advance(generation, 3)
    assert (third["ids"], ids_of(third)) == ([3, 2, 4], [4])


def test_a_lost_reply_loses_no_mask(generate, advance):
    generation = generate(Steps(["a"], ["a", "b"]))
    advance(generation)  # never arrived
    assert ids_of(advance(generation)) == [1, 2]


def test_a_mask_is_sent_at_the_photos_own_size(generate, advance):
    steps = Steps(["a"])
    (mask,) = advance(generate(steps))["masks"]
    record = steps.record("a")
    assert mask["rle"] == record.rle
    assert mask["area"] == record.area
    assert mask["predicted_iou"] == 0.5


def test_a_reply_has_a_bounded_size_and_the_next_ones_have_the_rest(generate, advance, monkeypatch):
    steps = Steps(["a", "b", "c"])
    size = max(len(steps.record(name).rle["counts"]) for name in "abc")
    monkeypatch.setattr(module, "MAX_REPLY_BYTES", 2 * size)
    generation = generate(steps)
    first = advance(generation)
    assert (ids_of(first), first["ids"], first["finished"]) == ([1, 2], [1, 2, 3], False)
    rest = advance(generation, 2)
    assert (ids_of(rest), rest["finished"]) == ([3], True)
    monkeypatch.setattr(module, "MAX_REPLY_BYTES", 1)
    assert ids_of(advance(generation)) == [1]  # one is always sent


def test_a_stopped_one_computes_no_more_and_keeps_its_masks(generate, advance):
    steps = Steps(["a"], ["a", "b"])
    generation = generate(steps)
    advance(generation)
    generation.stop()
    assert steps.closed
    reply = advance(generation)
    assert reply["finished"]
    assert (reply["done"], ids_of(reply)) == (1, [1])
    assert steps.computed == 1


def test_a_finished_one_releases_its_steps_and_what_was_filtered_out(generate, advance):
    steps = Steps(["a"], ["a"], held_bytes=10_000)
    generation = generate(steps)
    assert generation.held_bytes == EMBEDDING_BYTES
    advance(generation)
    assert generation.held_bytes == EMBEDDING_BYTES + 10_000
    advance(generation)
    assert steps.closed
    assert generation.held_bytes == len(steps.record("a").rle["counts"])


def computing(generation, steps, lock):
    """A thread that is held in the first batch."""
    steps.released = threading.Event()
    worker = threading.Thread(target=generation.advance, args=(lock,))
    worker.start()
    assert steps.inside.acquire(timeout=10)
    return worker


def test_two_calls_at_once_never_enter_the_same_steps(generate, monkeypatch):
    monkeypatch.setattr(module, "PATIENCE_S", 0.05)
    steps, lock = Steps(["a"], ["a"]), threading.Lock()
    generation = generate(steps)
    worker = computing(generation, steps, lock)
    assert not generation.advance(lock)
    reply = generation.reply(0)
    assert reply["done"] == 0
    assert not reply["finished"]
    generation.stop()
    steps.released.set()
    worker.join(10)
    assert steps.computed == 1
    assert steps.closed


def test_one_that_fails_says_so_and_ends_with_the_masks_so_far(generate, advance):
    steps = Steps(["a"], PromptError("Too many."), ["a"])
    generation = generate(steps)
    advance(generation)
    with pytest.raises(PromptError, match="Too many"):
        advance(generation)
    reply = advance(generation)
    assert reply["finished"]
    assert ids_of(reply) == [1]
    assert steps.computed == 2


# -- through the handlers ---------------------------------------------------------------------

FEW = {**KEEP_ALL, "points_per_side": 2}


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
    options = handlers.model_info({})["everything"]
    assert options["points_per_side"] == 16
    plain = segmenter.everything_options({})
    assert options["pred_iou_thresh"] == plain.pred_iou_thresh
    assert (options["min_area_share"], options["mask_nms_thresh"]) == (0.01, 0.8)
    assert (plain.min_area_share, plain.mask_nms_thresh) == (0, 1)


@pytest.fixture
def given(segmenter, monkeypatch):
    """given(*steps): what the next mask generations compute, one batch a turn."""

    def give(*all_steps):
        waiting = [iter(steps) for steps in all_steps]
        monkeypatch.setattr(segmenter, "iter_everything", lambda *_: waiting.pop(0))
        monkeypatch.setattr(module, "TURN_S", 0)

    return give


def test_a_photo_has_one_mask_generation_and_a_new_one_replaces_it(handlers, open_photo, given):
    old = Steps(["a"], ["a"])
    given(old, Steps(["a"], ["a"]))
    token = open_photo()
    first = handlers.everything(query(token))
    second = handlers.everything(query(token))
    assert old.closed
    assert handlers.everything(query(token, generation=first["generation"]))["expired"]
    assert handlers.everything(query(token, generation=second["generation"]))["ids"] == [1]


def test_one_that_is_replaced_while_it_computes_stops_and_is_expired(
    handlers, open_photo, given, monkeypatch
):
    steps = Steps(["a"], ["a"])
    steps.released = threading.Event()
    given(steps, Steps(["a"], ["a"]))
    monkeypatch.setattr(module, "TURN_S", 60)
    token, replies = open_photo(), []
    old = threading.Thread(target=lambda: replies.append(handlers.everything(query(token))))
    old.start()
    assert steps.inside.acquire(timeout=10)
    photo = handlers.photos.get(token)
    replaced = photo.generation
    new = threading.Thread(target=lambda: replies.append(handlers.everything(query(token))))
    new.start()
    while photo.generation is replaced:
        time.sleep(0.01)
    steps.released.set()
    for thread in (old, new):
        thread.join(10)
    assert sorted(reply["ok"] for reply in replies) == [False, True]
    assert steps.computed == 1
    assert steps.closed


def test_it_is_dropped_with_its_tab(handlers, open_photo, given):
    my_steps, their_steps = Steps(["a"], ["a"]), Steps(["a"], ["a"])
    given(my_steps, their_steps)
    mine, theirs = open_photo("one"), open_photo("two")
    handlers.everything(query(mine))
    their_id = handlers.everything(query(theirs))["generation"]
    run_async(close_tab(handlers, "one"))
    assert my_steps.closed
    assert not their_steps.closed
    assert handlers.everything(query(theirs, generation=their_id))["ok"]


def test_together_they_hold_a_bounded_number_of_bytes(handlers, open_photo, given, monkeypatch):
    """The least recently used are dropped, and the newest one never is."""
    monkeypatch.setattr(handlers_module, "_MAX_GENERATION_BYTES", 2 * EMBEDDING_BYTES + 100)
    sizes = (40, 40, 40, 10**9)
    steps = [Steps(["a"], ["a"], held_bytes=size) for size in sizes]
    given(*steps)
    photos = [query(open_photo(str(number))) for number in range(4)]
    for photo in photos[:2]:
        photo["generation"] = handlers.everything(photo)["generation"]
    assert handlers.everything(photos[0])["ok"]
    photos[2]["generation"] = handlers.everything(photos[2])["generation"]
    assert [one.closed for one in steps] == [True, True, False, False]
    assert handlers.everything(photos[1])["expired"]
    photos[3]["generation"] = handlers.everything(photos[3])["generation"]
    assert steps[2].closed
    assert handlers.everything(photos[3])["ids"] == [1]


def test_another_users_masks_cannot_be_read(handlers, open_photo):
    mine, theirs = open_photo("one"), open_photo("two")
    their_id = handlers.everything(query(theirs))["generation"]
    handlers.everything(query(mine))
    stolen = handlers.everything(query(mine, generation=their_id))
    assert stolen["expired"]
    assert "masks" not in stolen
    assert handlers.everything(query(mine, generation=their_id, stop=True))["expired"]


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
def test_a_hostile_query_gets_a_sentence_and_starts_nothing(
    handlers, segmenter, open_photo, monkeypatch, hostile
):
    started = []
    monkeypatch.setattr(segmenter, "iter_everything", lambda *given: started.append(given))
    reply = handlers.everything({**query(open_photo()), **hostile})
    assert not reply["ok"]
    assert "Something went wrong" not in reply["error"]
    assert started == []


@pytest.mark.parametrize("after", ["x", None, [], 1.5])
def test_an_odd_mask_id_counts_as_none(handlers, open_photo, after):
    reply = handlers.everything(query(open_photo(), after=after))
    assert ids_of(reply)[0] == 1
