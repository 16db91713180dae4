"""Runs over everything that a page pulls: whose they are, what they hold, and when they go."""

from __future__ import annotations

import threading
from concurrent.futures import Future
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as coco_mask

from mobilesam.errors import PromptError
from mobilesam.everything import EverythingProgress, MaskRecord
from mobilesam.masks import mask_to_coco_rle
from mobilesam.web.page import mask_generations as regions_module
from mobilesam.web.page.handlers import PageHandlers
from mobilesam.web.page.mask_generations import (
    FINISHED_IDLE_S,
    IDLE_S,
    MAX_REGIONS_A_CALL,
    MAX_RUNS,
    TURN_S,
    MaskGenerations,
)
from mobilesam.web.server import uploads
from mobilesam.web.server.replies import ExpiredError
from tests.opening import opened

SIZE_HW = (40, 60)
DISPLAY_HW = (20, 30)


class Clock:
    """Goes on whenever it is looked at: by default so far that a turn is a single batch."""

    def __init__(self, tick=TURN_S):
        self.now = 0.0
        self.tick = tick

    def __call__(self):
        self.now += self.tick
        return self.now


class Steps:
    """A run whose batches are written down, and which knows how often and by whom it was entered.

    A batch is a list of the names of the regions that there are after it.
    """

    def __init__(self, *batches, held_bytes=0):
        self.batches = batches
        self.held_bytes = held_bytes
        self.computed = 0
        self.closed = False
        self.inside = threading.Semaphore(0)
        self.let_go = None
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
                if self.let_go:
                    assert self.let_go.wait(10)
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
def runs(clock):
    return MaskGenerations(clock)


def begin(runs, steps, token="mine"):
    return runs.start(token, iter(steps), DISPLAY_HW)


def ids_of(regions):
    return [region["id"] for region in regions]


def test_every_call_takes_a_run_one_turn_further_and_none_in_between(runs):
    steps = Steps(["a"], ["a", "b"], ["b"])
    run = begin(runs, steps)
    assert steps.computed == 0
    seen = [runs.advance("mine", run, 0) for _ in range(3)]
    assert [(reply["done"], reply["total"]) for reply in seen] == [(1, 3), (2, 3), (3, 3)]
    assert [reply["finished"] for reply in seen] == [False, False, True]
    assert steps.computed == 3
    assert runs.advance("mine", run, 0)["finished"]
    assert steps.computed == 3


def test_a_turn_takes_as_many_batches_as_its_time_allows():
    runs = MaskGenerations(Clock(0.6 * TURN_S))
    steps = Steps(["a"], ["a"], ["a"], ["a"])
    run = begin(runs, steps)
    runs.advance("mine", run, 0)
    assert steps.computed == 2


def test_only_what_is_new_comes_and_what_stays_keeps_its_number(runs):
    steps = Steps(["a", "b"], ["c", "b"], ["c", "b", "a"])
    run = begin(runs, steps)
    first = runs.advance("mine", run, 0)
    assert ids_of(first["regions"]) == first["ids"] == [1, 2]
    second = runs.advance("mine", run, 2)
    assert (second["ids"], ids_of(second["regions"])) == ([3, 2], [3])
    third = runs.advance("mine", run, 3)
    assert (third["ids"], ids_of(third["regions"])) == ([3, 2, 4], [4])


def test_a_lost_reply_loses_no_region(runs):
    run = begin(runs, Steps(["a"], ["a", "b"]))
    runs.advance("mine", run, 0)  # never arrived
    assert ids_of(runs.advance("mine", run, 0)["regions"]) == [1, 2]


def test_a_region_comes_at_display_size_and_is_fetched_at_the_photos_own(runs):
    steps = Steps(["a"])
    run = begin(runs, steps)
    (shown,) = runs.advance("mine", run, 0)["regions"]
    original = coco_mask.decode(steps.record("a").rle)
    assert shown["area"] == original.sum()
    assert shown["rle"]["size"] == list(DISPLAY_HW)
    # Each pixel that is shown covers two by two, and is in where at least two of them are.
    blocks = original.reshape(20, 2, 30, 2).sum(axis=(1, 3))
    assert np.array_equal(coco_mask.decode(shown["rle"]), blocks >= 2)
    (fetched,) = runs.regions("mine", run, [shown["id"]])
    assert np.array_equal(coco_mask.decode(fetched["rle"]), original)
    assert fetched["predicted_iou"] == 0.5


def test_a_photo_has_one_run_and_the_newer_one_takes_the_place_of_the_older(runs):
    old = begin(runs, Steps(["a"], ["a"]))
    new = begin(runs, Steps(["a"], ["a"]))
    assert len(runs) == 1
    with pytest.raises(ExpiredError):
        runs.advance("mine", old, 0)
    assert runs.advance("mine", new, 0)["ids"] == [1]


def test_nobody_reads_stops_or_advances_the_run_of_another_photo(runs):
    theirs = Steps(["a"], ["a"])
    run = begin(runs, theirs, "theirs")
    begin(runs, Steps(["a"]), "mine")
    for token in ("mine", "nobodys"):
        with pytest.raises(ExpiredError):
            runs.advance(token, run, 0)
        with pytest.raises(ExpiredError):
            runs.stop(token, run)
        with pytest.raises(ExpiredError):
            runs.regions(token, run, [])
    assert theirs.computed == 0
    assert not runs.advance("theirs", run, 0)["finished"]


def test_a_stopped_run_computes_no_more_and_keeps_its_regions(runs):
    steps = Steps(["a"], ["a", "b"])
    run = begin(runs, steps)
    runs.advance("mine", run, 0)
    runs.stop("mine", run)
    assert steps.closed
    reply = runs.advance("mine", run, 0)
    assert reply["finished"]
    assert reply["done"] == 1
    assert steps.computed == 1
    assert ids_of(runs.regions("mine", run, [1])) == [1]


def test_a_finished_run_lets_go_of_its_steps(runs):
    steps = Steps(["a"])
    run = begin(runs, steps)
    runs.advance("mine", run, 0)
    assert steps.closed
    assert ids_of(runs.regions("mine", run, [1])) == [1]


def test_an_unfinished_run_goes_after_a_minute_a_finished_one_stays_to_be_looked_at(runs, clock):
    finished = begin(runs, Steps(["a"]), "finished")
    runs.advance("finished", finished, 0)
    left = begin(runs, Steps(["a"], ["a"]), "left")
    runs.advance("left", left, 0)
    clock.now += IDLE_S - 10
    runs.advance("finished", finished, 0)
    assert len(runs) == 2
    clock.now += 20
    runs.advance("finished", finished, 0)
    assert len(runs) == 1
    with pytest.raises(ExpiredError):
        runs.advance("left", left, 0)
    clock.now += FINISHED_IDLE_S + 1
    with pytest.raises(ExpiredError):
        runs.regions("finished", finished, [1])
    assert len(runs) == 0


def test_there_are_never_more_runs_than_may_be_and_the_longest_unused_goes(runs):
    names = {token: begin(runs, Steps(["a"]), token) for token in map(str, range(MAX_RUNS))}
    runs.advance("0", names["0"], 0)
    begin(runs, Steps(["a"]), "one more")
    assert len(runs) == MAX_RUNS
    assert runs.advance("0", names["0"], 0)["ids"] == [1]
    with pytest.raises(ExpiredError):
        runs.advance("1", names["1"], 0)


def test_the_runs_together_hold_a_bounded_number_of_bytes(runs, monkeypatch):
    monkeypatch.setattr(regions_module, "MAX_BYTES", 100)
    names = {}
    for token in ("a", "b", "c"):
        names[token] = begin(runs, Steps(["a"], ["a"], held_bytes=40), token)
        runs.advance(token, names[token], 0)
    assert len(runs) == 2
    with pytest.raises(ExpiredError):
        runs.advance("a", names["a"], 0)
    alone = begin(runs, Steps(["a"], ["a"], held_bytes=1000), "alone")
    assert runs.advance("alone", alone, 0)["ids"] == [1]
    assert len(runs) == 1


def test_two_calls_at_once_never_enter_one_run_twice(runs, monkeypatch):
    monkeypatch.setattr(regions_module, "PATIENCE_S", 0.05)
    steps = Steps(["a"], ["a"])
    steps.let_go = threading.Event()
    run = begin(runs, steps)
    worker = threading.Thread(target=runs.advance, args=("mine", run, 0))
    worker.start()
    assert steps.inside.acquire(timeout=10)
    reply = runs.advance("mine", run, 0)
    assert reply["waiting"]
    assert reply["done"] == 0
    assert not reply["finished"]
    runs.stop("mine", run)
    steps.let_go.set()
    worker.join(10)
    assert steps.computed == 1
    assert steps.closed


def computing(runs, steps, run):
    """A thread that has entered the first batch and is held there, and what became of its call."""
    outcome = []

    def advance():
        try:
            outcome.append(runs.advance("mine", run, 0))
        except ExpiredError as error:
            outcome.append(error)

    steps.let_go = threading.Event()
    worker = threading.Thread(target=advance)
    worker.start()
    assert steps.inside.acquire(timeout=10)
    return worker, outcome


def test_a_run_that_is_replaced_while_it_computes_is_gone_and_not_finished(runs):
    steps = Steps(["a"], ["a"])
    old = begin(runs, steps)
    worker, outcome = computing(runs, steps, old)
    new = begin(runs, Steps(["a"], ["a"]))
    steps.let_go.set()
    worker.join(10)
    assert isinstance(outcome[0], ExpiredError)
    assert steps.closed
    assert runs.advance("mine", new, 0)["ids"] == [1]


def test_a_run_does_not_go_while_a_long_batch_is_computed(runs, clock):
    steps = Steps(["a"], ["a"])
    worker, outcome = computing(runs, steps, begin(runs, steps))
    clock.now += 2 * IDLE_S
    begin(runs, Steps(["a"]), "theirs")
    steps.let_go.set()
    worker.join(10)
    assert outcome[0]["ids"] == [1]


def test_a_run_that_fails_says_so_and_is_dropped(runs):
    steps = Steps(["a"], PromptError("Too many."))
    run = begin(runs, steps)
    runs.advance("mine", run, 0)
    with pytest.raises(PromptError, match="Too many"):
        runs.advance("mine", run, 0)
    assert len(runs) == 0
    with pytest.raises(ExpiredError):
        runs.advance("mine", run, 0)


@pytest.mark.parametrize(
    "ids",
    [None, "1", {"1": 1}, [True], [1.0], ["1"], [0], [-1], [2], [10**30], [[1]], [None],
     [1] * (MAX_REGIONS_A_CALL + 1)],
)  # fmt: skip
def test_odd_numbers_of_regions_are_refused_with_a_sentence(runs, ids):
    run = begin(runs, Steps(["a"]))
    runs.advance("mine", run, 0)
    with pytest.raises(PromptError):
        runs.regions("mine", run, ids)


# -- through the handlers ---------------------------------------------------------------------

FEW = {
    "points_per_side": 2,
    "pred_iou_thresh": 0.0,
    "stability_score_thresh": 0.0,
    "stability_score_offset": 0.02,  # the logits of random weights are small
    "box_nms_thresh": 1.0,
}


@pytest.fixture
def handlers(segmenter, tmp_path, monkeypatch):
    monkeypatch.setattr(uploads, "get_upload_folder", lambda: str(tmp_path))
    model: Future[object] = Future()
    model.set_result(segmenter)
    return PageHandlers(model, tmp_path)


@pytest.fixture
def open_photo(handlers, disc, tmp_path):
    path = Path(tmp_path / "disc.png")
    Image.fromarray(disc).save(path)

    def open_it(visitor="one"):
        return opened(handlers, path, visitor)["token"]

    return open_it


def asked(token, **more):
    return {"token": token, "run": None, "options": FEW, "side": 64, "after": 0, **more}


def pulled(handlers, token, **more):
    """The last reply of a whole run, and how many calls it took."""
    reply = handlers.everything(asked(token, **more))
    calls = 1
    while reply["ok"] and not reply["finished"]:
        reply = handlers.everything(asked(token, run=reply["run"], **more))
        calls += 1
    return reply, calls


def test_a_run_pulled_to_its_end_has_the_regions_of_everything(
    handlers, segmenter, open_photo, disc
):
    token = open_photo()
    reply, _ = pulled(handlers, token)
    records = segmenter.everything(segmenter.encode(disc), **FEW)
    assert len(records) > 1
    assert [region["area"] for region in reply["regions"]] == [record.area for record in records]
    assert all(max(region["rle"]["size"]) == 64 for region in reply["regions"])
    asked_for = {"token": token, "run": reply["run"], "ids": reply["ids"]}
    assert [r["rle"] for r in handlers.regions(asked_for)["regions"]] == [r.rle for r in records]


def test_the_page_is_told_the_options_that_suit_the_weights(handlers, segmenter):
    told = handlers.about({})["everything"]
    assert told["points_per_side"] == 16
    assert told["pred_iou_thresh"] == segmenter.everything_options({}).pred_iou_thresh


def test_leaving_takes_the_run_along(handlers, open_photo):
    mine, theirs = open_photo("one"), open_photo("two")
    my_run = handlers.everything(asked(mine))["run"]
    their_run = handlers.everything(asked(theirs))["run"]
    handlers.leave("one")
    assert handlers.everything(asked(mine, run=my_run))["expired"]
    assert len(handlers._runs) == 1
    assert handlers.everything(asked(theirs, run=their_run))["ok"]


def test_another_visitors_run_cannot_be_read(handlers, open_photo):
    mine, theirs = open_photo("one"), open_photo("two")
    run = handlers.everything(asked(theirs))["run"]
    stolen = handlers.regions({"token": mine, "run": run, "ids": [1]})
    assert not stolen["ok"]
    assert "regions" not in stolen


def test_an_embedding_that_left_the_cache_is_said_so_that_the_page_opens_the_photo_again(
    handlers, segmenter, open_photo, monkeypatch
):
    token = open_photo()
    monkeypatch.setattr(segmenter, "cached", lambda key: None)
    assert handlers.everything(asked(token))["expired"]


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
        {"run": 7},
        {"run": ["a"]},
        {"run": "guessed"},
        {"run": {}, "stop": True},
        {"stop": True},
        {"token": None},
        {"token": ["a"]},
        {"token": "guessed"},
    ],
)
def test_a_hostile_query_gets_a_sentence_and_starts_nothing(handlers, open_photo, hostile):
    reply = handlers.everything({**asked(open_photo()), **hostile})
    assert not reply["ok"]
    assert "Something went wrong" not in reply["error"]
    assert len(handlers._runs) == 0


@pytest.mark.parametrize("odd", [{"after": "x"}, {"after": None}, {"side": "big"}, {"side": 10**9}])
def test_an_odd_wish_for_what_to_show_is_taken_for_none(handlers, open_photo, odd):
    reply = handlers.everything({**asked(open_photo()), **odd})
    assert reply["ok"]
